//! OpenID4VCI 1.0, with the pre-authorized code and, from [`crate::oauth::authorization`], the authorization code.
//!
//! ```text
//! wallet (holder)                                      issuer
//!   offer::OfferLink::parse      <- QR code or link -   offer::CredentialOffer::to_uri
//!   Discovery                    -- GET well-known -->  metadata::IssuerMetadata
//!   Discovery                    -- GET well-known -->  metadata::AuthorizationServerMetadata
//!   Redeemable::token_request    -- POST token ------>  issuer::Session::redeem
//!     or Redeemable::login       -- PAR, browser, token ->  oauth::authorization
//!   Authorized::nonce_request    -- POST nonce ------>  token::nonce_response
//!   Authorized::credential_request -- POST credential ->  issuer::Issuer::accept, then the credential
//!   Authorized::on_credential, on_delivery
//!   Authorized::deferred_request -- POST deferred -> later::DeferredRequest
//!   Authorized::notification     -- POST notification -> later::Notification
//! ```
//!
//! **Credential format.** OpenID4VCI 1.0 Appendix A defines formats for VCDM as JWT and with Data Integrity,
//! and `dc+sd-jwt` for IETF SD-JWT VC, but none for VCDM 2.0 secured as SD-JWT; it leaves room for others to
//! define profiles. Ours: the format identifier is `vc+sd-jwt` (the media subtype of VC-JOSE-COSE); the
//! metadata are those of `jwt_vc_json`, that is `credential_definition` with `type`; the algorithms of
//! `credential_signing_alg_values_supported` are JOSE names; the `credential` of the response is the SD-JWT
//! as a string.

pub mod credential;
pub mod encryption;
pub mod holder;
pub mod issuer;
pub mod later;
pub mod login;
pub mod metadata;
pub mod offer;
pub mod proof;
pub mod signed_metadata;
#[cfg(test)]
mod tests;
pub mod token;

pub use credential::{CredentialRequest, CredentialResponse};
pub use encryption::{Encryption, ResponseEncryption};
pub use holder::{Authorized, Discovered, Discovery, Received, Redeemable};
pub use issuer::{Accepted, Issuer, IssuerRules, Session};
pub use later::{DeferredRequest, Delivery, Notification, NotificationEvent};
pub use login::{Login, Proving, Secrets};
pub use metadata::{AuthorizationServerMetadata, CredentialConfiguration, IssuerMetadata};
pub use offer::{CredentialOffer, InputMode, OfferLink, TransactionCodeSpec};
pub use proof::{HolderKey, ProofOfPossession};
pub use token::{TokenRequest, TokenResponse};

/// The format identifier of VCDM 2.0 credentials secured as SD-JWT.
pub const FORMAT: &str = "vc+sd-jwt";

/// The grant type of the pre-authorized code.
pub const PRE_AUTHORIZED_CODE: &str = "urn:ietf:params:oauth:grant-type:pre-authorized_code";

/// The formats of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// VCDM 2.0 secured as SD-JWT, the form that the ledger reads.
    VcSdJwt,
    /// IETF SD-JWT VC.
    DcSdJwt,
    /// W3C credentials as JWT.
    JwtVcJson,
    /// W3C credentials with Data Integrity.
    LdpVc,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::VcSdJwt, Self::DcSdJwt, Self::JwtVcJson, Self::LdpVc];

    /// The format identifier.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VcSdJwt => FORMAT,
            Self::DcSdJwt => "dc+sd-jwt",
            Self::JwtVcJson => "jwt_vc_json",
            Self::LdpVc => "ldp_vc",
        }
    }

    /// The format of an identifier.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}
