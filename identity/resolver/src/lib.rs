//! DID Resolution 1.0 for `did:aval`, `did:key`, `did:jwk`, `did:web` and `did:webvh`.
//!
//! Tier T2: it talks to ledger nodes and to the web, guarded against requests into private networks.
