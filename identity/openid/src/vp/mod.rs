//! OpenID4VP 1.0: credentials are asked for with a query and presented to a verifier.
//!
//! ```text
//! wallet (holder)                                          verifier
//!   holder::Invitation::parse     <- QR code or link -      verifier::Session::new, link
//!   Reference::request            -- GET or POST ------->   Session::request_object
//!   Unverified::verify_…          <- signed request ----
//!   dcql::Query::evaluate, the user decides
//!   Verified::respond             -- direct_post ------->   Session::accept, verify, Session::check
//!   Verified::on_response         <- redirect_uri -------   Session::reply, conclude; result
//! ```
//!
//! Not here: registered clients, `verifier_attestation`, OpenID Federation, the Digital Credentials API, and queries by
//! scope. A wallet says so and refuses.

pub mod client_id;
pub mod dcql;
pub mod holder;
pub mod request;
pub mod sd_jwt;
#[cfg(test)]
mod tests;
pub mod transaction_data;
pub mod tree;
pub mod verifier;

pub use client_id::ClientId;
pub use holder::{Identity, Invitation, Reference, Unverified, Verified, Wanted};
pub use request::{Request, ResponseMode};
pub use transaction_data::TransactionData;
pub use tree::Node;
pub use verifier::{Answer, Conclusion, Secrets, Session, SessionDraft, SessionState};
