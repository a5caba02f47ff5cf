//! The credential offer (OpenID4VCI 1.0 section 4): a link or QR code with the offer in it, or with a reference to
//! it.

use crate::http::HttpRequest;
use crate::url_rules::UrlPolicy;
use crate::vci::PRE_AUTHORIZED_CODE;
use crate::{HttpResponse, OpenIdError};
use aval_codec::json;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use url::form_urlencoded;

/// The scheme of offers for wallets that are programs of their own.
pub const SCHEME: &str = "openid-credential-offer";

/// The largest offer that is read, as a link or behind a reference.
pub const OFFER_BYTES_MAX: usize = 16 * 1024;

const CONFIGURATIONS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 512;
const CODE_BYTES_MAX: usize = 2048;
const DESCRIPTION_LETTERS_MAX: usize = 300;
const TRANSACTION_CODE_LENGTH_MAX: u32 = 64;

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferLink {
    /// The offer itself.
    Value(CredentialOffer),
    /// A request that fetches it; its answer goes to [`CredentialOffer::on_response`].
    Reference(HttpRequest),
}

impl OfferLink {
    /// Reads a link: `openid-credential-offer://?…`, or an `https` link of a web wallet with the same parameters.
    pub fn parse(link: &str, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        if link.len() > OFFER_BYTES_MAX {
            return Err(OpenIdError::Oversized("credential offer"));
        }
        let (scheme, rest) =
            link.trim().split_once("://").ok_or_else(|| OpenIdError::Offer("it is not a link".to_owned()))?;
        if !scheme.eq_ignore_ascii_case(SCHEME) && !scheme.eq_ignore_ascii_case("https") {
            return Err(OpenIdError::Offer(format!("it does not begin with {SCHEME}://")));
        }
        let query = rest.split_once('?').map(|(_, query)| query).unwrap_or_default();
        let query = query.split('#').next().unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(OpenIdError::Offer("a parameter occurs twice".to_owned()));
            }
        }
        match (parameters.get("credential_offer"), parameters.get("credential_offer_uri")) {
            (Some(offer), None) => CredentialOffer::parse(offer.as_bytes(), policy).map(Self::Value),
            (None, Some(reference)) => {
                let url = policy.check("reference to the offer", reference)?;
                Ok(Self::Reference(HttpRequest::get(url.into(), OFFER_BYTES_MAX)))
            }
            _ => Err(OpenIdError::Offer(
                "it must have either `credential_offer` or `credential_offer_uri`".to_owned(),
            )),
        }
    }
}

/// The offer object.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialOffer {
    /// The issuer's identifier.
    pub credential_issuer: String,
    /// Which credentials are offered.
    pub credential_configuration_ids: Vec<String>,
    /// Ways to be authorized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
}

/// The grants of an offer; those that are not known are ignored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Grants {
    /// The pre-authorized code.
    #[serde(
        rename = "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pre_authorized_code: Option<PreAuthorizedCode>,
    /// The authorization code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_code: Option<AuthorizationCode>,
}

/// The authorization code and what goes with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct AuthorizationCode {
    /// What ties the user who comes to this offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_state: Option<String>,
    /// Which of several authorization servers to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
}

/// The pre-authorized code and what goes with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreAuthorizedCode {
    /// The code: whoever has it (and the transaction code) gets the credential.
    #[serde(rename = "pre-authorized_code")]
    pub code: String,
    /// There if the user must enter a transaction code that came another way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_code: Option<TransactionCodeSpec>,
    /// Which of several authorization servers to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
}

/// What the transaction code looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct TransactionCodeSpec {
    /// Which characters it has; digits, if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_mode: Option<InputMode>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u32>,
    /// Where the user finds it. Foreign text: to be shown as such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Characters of a transaction code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputMode {
    /// Digits.
    Numeric,
    /// Anything.
    Text,
}

impl TransactionCodeSpec {
    /// A code of this many digits.
    pub fn digits(length: u32) -> Self {
        Self { input_mode: Some(InputMode::Numeric), length: Some(length), description: None }
    }

    /// Whether an entered code can be right at all. A wallet asks before it spends one of few attempts.
    pub fn fits(&self, code: &str) -> bool {
        let length_fits = self.length.is_none_or(|length| code.chars().count() == length as usize);
        let letters_fit =
            self.input_mode == Some(InputMode::Text) || code.chars().all(|letter| letter.is_ascii_digit());
        !code.is_empty() && length_fits && letters_fit
    }
}

impl CredentialOffer {
    /// An offer with a pre-authorized code.
    pub fn pre_authorized(
        issuer: &str,
        configuration_ids: Vec<String>,
        code: String,
        tx_code: Option<TransactionCodeSpec>,
    ) -> Self {
        let grant = PreAuthorizedCode { code, tx_code, authorization_server: None };
        Self {
            credential_issuer: issuer.to_owned(),
            credential_configuration_ids: configuration_ids,
            grants: Some(Grants { pre_authorized_code: Some(grant), authorization_code: None }),
        }
    }

    /// An offer whose user comes to the issuer with a browser. `issuer_state` is fresh and random.
    pub fn with_authorization(issuer: &str, configuration_ids: Vec<String>, issuer_state: String) -> Self {
        let grant = AuthorizationCode { issuer_state: Some(issuer_state), authorization_server: None };
        Self {
            credential_issuer: issuer.to_owned(),
            credential_configuration_ids: configuration_ids,
            grants: Some(Grants { pre_authorized_code: None, authorization_code: Some(grant) }),
        }
    }

    /// Reads an offer object and checks its bounds.
    pub fn parse(body: &[u8], policy: UrlPolicy) -> Result<Self, OpenIdError> {
        if body.len() > OFFER_BYTES_MAX {
            return Err(OpenIdError::Oversized("credential offer"));
        }
        let limits = json::Limits { bytes_max: OFFER_BYTES_MAX, depth_max: 16 };
        let offer: Self =
            json::from_slice(body, limits).map_err(|error| OpenIdError::Offer(error.to_string()))?;
        offer.check(policy)?;
        Ok(offer)
    }

    /// Reads what a reference led to.
    pub fn on_response(response: &HttpResponse<'_>, policy: UrlPolicy) -> Result<Self, OpenIdError> {
        Self::parse(response.json("credential offer", OFFER_BYTES_MAX)?, policy)
    }

    fn check(&self, policy: UrlPolicy) -> Result<(), OpenIdError> {
        let refuse = |reason: &str| Err(OpenIdError::Offer(reason.to_owned()));
        policy.check_issuer("issuer of the offer", &self.credential_issuer)?;
        let ids = &self.credential_configuration_ids;
        if ids.is_empty() || ids.len() > CONFIGURATIONS_MAX {
            return refuse("it names no credential, or too many");
        }
        if ids.iter().any(|id| id.is_empty() || id.len() > TEXT_BYTES_MAX) {
            return refuse("the name of a credential is empty or too long");
        }
        if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
            return refuse("it names a credential twice");
        }
        let issuer_state = self.authorization_code().and_then(|grant| grant.issuer_state.as_ref());
        if issuer_state.is_some_and(|state| state.is_empty() || state.len() > CODE_BYTES_MAX) {
            return refuse("its issuer state is empty or too long");
        }
        let Some(grant) = self.pre_authorized_code() else { return Ok(()) };
        if grant.code.is_empty() || grant.code.len() > CODE_BYTES_MAX {
            return refuse("its code is empty or too long");
        }
        let Some(spec) = &grant.tx_code else { return Ok(()) };
        if spec.length.is_some_and(|length| !(1..=TRANSACTION_CODE_LENGTH_MAX).contains(&length)) {
            return refuse("the length of its transaction code is out of bounds");
        }
        let letters = spec.description.as_ref().map_or(0, |text| text.chars().count());
        if letters > DESCRIPTION_LETTERS_MAX {
            return refuse("the description of its transaction code is too long");
        }
        Ok(())
    }

    /// The grant with the pre-authorized code.
    pub fn pre_authorized_code(&self) -> Option<&PreAuthorizedCode> {
        self.grants.as_ref()?.pre_authorized_code.as_ref()
    }

    /// The grant with the authorization code.
    pub fn authorization_code(&self) -> Option<&AuthorizationCode> {
        self.grants.as_ref()?.authorization_code.as_ref()
    }

    /// The object as JSON, to be served with the media type `application/json`.
    pub fn to_json(&self) -> Vec<u8> {
        // A struct of strings and numbers always serializes.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The link with the offer in it.
    pub fn to_uri(&self) -> String {
        let offer = self.to_json();
        format!("{SCHEME}://?credential_offer={}", percent_encoded(&offer))
    }

    /// The link to an offer that the issuer serves: shorter, and better as a QR code.
    pub fn uri_by_reference(url: &str) -> String {
        format!("{SCHEME}://?credential_offer_uri={}", percent_encoded(url.as_bytes()))
    }
}

/// Hides the code.
impl std::fmt::Debug for CredentialOffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CredentialOffer")
            .field("credential_issuer", &self.credential_issuer)
            .field("credential_configuration_ids", &self.credential_configuration_ids)
            .field("grant", &self.pre_authorized_code().map(|_| PRE_AUTHORIZED_CODE))
            .finish_non_exhaustive()
    }
}

/// Hides the code.
impl std::fmt::Debug for PreAuthorizedCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PreAuthorizedCode").field("tx_code", &self.tx_code).finish_non_exhaustive()
    }
}

/// Hides the issuer's state: it stands for the user.
impl std::fmt::Debug for AuthorizationCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AuthorizationCode").finish_non_exhaustive()
    }
}

/// Percent-encoding that form decoders and plain ones read alike: a space is never written as a plus.
fn percent_encoded(bytes: &[u8]) -> String {
    form_urlencoded::byte_serialize(bytes).collect::<String>().replace('+', "%20")
}
