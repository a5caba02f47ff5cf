//! Credentials as linked data: the one crate that names `ssi`.
//!
//! Tier T1: JSON-LD expansion, RDF canonicalization and the Data Integrity cryptosuites that need them. The interface is
//! small and not generic, on JSON values, text and bytes. Contexts are shipped inside; nothing is ever fetched.
