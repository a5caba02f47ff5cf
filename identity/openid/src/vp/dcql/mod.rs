//! The Digital Credentials Query Language (OpenID4VP 1.0 section 6): which credentials a verifier asks for, and which
//! of their claims.
//!
//! [`Query::parse`] reads and validates; a query that is not valid never becomes a [`Query`]. The wallet asks
//! [`Query::evaluate`] what it could present; the verifier asks [`Query::check`] whether what was presented is what it
//! asked for.

mod evaluate;
mod path;
mod query;

pub use evaluate::{Candidate, Choice, Evaluation, Presented, Selected, Unsatisfied};
pub use path::{ClaimsPath, Step};
pub use query::{
    ClaimsQuery, CredentialQuery, CredentialSetQuery, Meta, Query, QueryError, TrustedAuthority,
};
