//! OpenID4VCI 1.0 with the pre-authorized code.
//!
//! ```text
//! wallet (holder)                                      issuer
//!   offer::OfferLink::parse      <- QR code or link -   offer::CredentialOffer::to_uri
//!   Discovery                    -- GET well-known -->  metadata::IssuerMetadata
//!   Discovery                    -- GET well-known -->  metadata::AuthorizationServerMetadata
//!   Redeemable::token_request    -- POST token ------>  issuer::Session::redeem
//!   Authorized::nonce_request    -- POST nonce ------>  token::nonce_response
//!   Authorized::credential_request -- POST credential ->  issuer::Issuer::accept, then the credential
//!   Authorized::on_credential
//! ```
//!
//! **Credential format.** OpenID4VCI 1.0 Appendix A defines formats for VCDM as JWT and with Data Integrity,
//! and `dc+sd-jwt` for IETF SD-JWT VC, but none for VCDM 2.0 secured as SD-JWT; it leaves room for others to
//! define profiles. Ours: the format identifier is `vc+sd-jwt` (the media subtype of VC-JOSE-COSE); the
//! metadata are those of `jwt_vc_json`, that is `credential_definition` with `type`; the algorithms of
//! `credential_signing_alg_values_supported` are JOSE names; the `credential` of the response is the SD-JWT
//! as a string.

pub mod credential;
pub mod holder;
pub mod issuer;
pub mod metadata;
pub mod offer;
pub mod proof;
#[cfg(test)]
mod tests;
pub mod token;

pub use credential::{CredentialRequest, CredentialResponse};
pub use holder::{Authorized, Discovered, Discovery, Received, Redeemable};
pub use issuer::{Accepted, Issuer, IssuerRules, Session};
pub use metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
pub use offer::{CredentialOffer, InputMode, OfferLink, TransactionCodeSpec};
pub use proof::{HolderKey, ProofOfPossession};
pub use token::{TokenRequest, TokenResponse};

/// The format identifier of VCDM 2.0 credentials secured as SD-JWT.
pub const FORMAT: &str = "vc+sd-jwt";

/// The grant type of the pre-authorized code.
pub const PRE_AUTHORIZED_CODE: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";
