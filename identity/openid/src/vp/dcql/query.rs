//! The query: its members, and the rules that a query must keep (OpenID4VP 1.0 sections 6.1 to 6.4).

use crate::vp::dcql::path::{ClaimsPath, STEPS_MAX};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The largest query that is read.
pub(crate) const QUERY_BYTES_MAX: usize = 64 * 1024;

const CREDENTIALS_MAX: usize = 64;
const CLAIMS_MAX: usize = 256;
const OPTIONS_MAX: usize = 64;
const VALUES_MAX: usize = 256;
const ID_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 2048;

/// Why a query cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the query is not valid: {0}")]
pub struct QueryError(pub String);

fn refuse<T>(reason: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError(reason.into()))
}

/// A validated query.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Query {
    credentials: Vec<CredentialQuery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential_sets: Option<Vec<CredentialSetQuery>>,
}

/// What is asked of one credential.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CredentialQuery {
    /// The name of this part of the query; the response has it.
    pub id: String,
    /// The format identifier.
    pub format: String,
    /// Whether several credentials may answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multiple: bool,
    /// Which credentials, in the words of the format.
    pub meta: Meta,
    /// Whose credentials; any of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_authorities: Option<Vec<TrustedAuthority>>,
    /// Whether the holder must prove possession of a key.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub require_cryptographic_holder_binding: bool,
    /// Which claims; without it, those that cannot be hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<ClaimsQuery>>,
    /// Alternatives among the claims, the preferred first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_sets: Option<Vec<Vec<String>>>,
}

// `skip_serializing_if` wants a function of a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}

/// Which credentials, in the words of the format (appendix B).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Types of `dc+sd-jwt` credentials; any of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vct_values: Option<Vec<String>>,
    /// Types of W3C credentials: any of the sets, each type of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub type_values: Option<Vec<Vec<String>>>,
}

/// Who must stand behind the issuer (section 6.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustedAuthority {
    /// `aki`, `etsi_tl`, `openid_federation` or another that both sides know.
    #[serde(rename = "type")]
    pub kind: String,
    /// Any of these.
    pub values: Vec<String>,
}

/// What is asked of one claim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClaimsQuery {
    /// Its name in `claim_sets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it is.
    pub path: ClaimsPath,
    /// What it must be: one of these strings, integers or booleans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
}

/// Which credentials belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSetQuery {
    /// Alternatives, the preferred first; each a list of names of credential queries.
    pub options: Vec<Vec<String>>,
    /// Whether the request fails without it.
    #[serde(default = "yes")]
    pub required: bool,
}

#[derive(Deserialize)]
struct Unchecked {
    credentials: Vec<CredentialQuery>,
    #[serde(default)]
    credential_sets: Option<Vec<CredentialSetQuery>>,
}

impl Query {
    /// Reads and validates a query.
    pub fn parse(bytes: &[u8]) -> Result<Self, QueryError> {
        Self::from_value(crate::value::parse(bytes, QUERY_BYTES_MAX).map_err(QueryError)?)
    }

    /// Validates a query that came inside of something else.
    pub fn from_value(value: Value) -> Result<Self, QueryError> {
        refuse_null(&value)?;
        let unchecked: Unchecked =
            serde_json::from_value(value).map_err(|error| QueryError(error.to_string()))?;
        Self::new(unchecked.credentials, unchecked.credential_sets)
    }

    /// Validates a query.
    pub fn new(
        credentials: Vec<CredentialQuery>,
        credential_sets: Option<Vec<CredentialSetQuery>>,
    ) -> Result<Self, QueryError> {
        if credentials.is_empty() || credentials.len() > CREDENTIALS_MAX {
            return refuse("`credentials` is empty or too long");
        }
        let mut ids = BTreeSet::new();
        for credential in &credentials {
            credential.check()?;
            if !ids.insert(credential.id.as_str()) {
                return refuse(format!("the id `{}` occurs twice", credential.id));
            }
        }
        if credential_sets.as_ref().is_some_and(|sets| sets.is_empty() || sets.len() > OPTIONS_MAX) {
            return refuse("`credential_sets` is empty or too long");
        }
        for set in credential_sets.iter().flatten() {
            if set.options.is_empty() || set.options.len() > OPTIONS_MAX {
                return refuse("`options` is empty or too long");
            }
            for option in &set.options {
                if option.is_empty() || option.len() > CREDENTIALS_MAX {
                    return refuse("an option is empty or too long");
                }
                if let Some(id) = option.iter().find(|id| !ids.contains(id.as_str())) {
                    return refuse(format!("an option names `{}`, which is not asked for", shown(id)));
                }
            }
        }
        Ok(Self { credentials, credential_sets })
    }

    /// What is asked of each credential.
    pub fn credentials(&self) -> &[CredentialQuery] {
        &self.credentials
    }

    /// Which credentials belong together.
    pub fn credential_sets(&self) -> Option<&[CredentialSetQuery]> {
        self.credential_sets.as_deref()
    }

    /// The part with this id.
    pub fn credential(&self, id: &str) -> Option<&CredentialQuery> {
        self.credentials.iter().find(|one| one.id == id)
    }

    /// The query as JSON.
    pub fn to_value(&self) -> Value {
        // A struct of strings, numbers and values always serializes.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// `null` stands for a member that is missing in `serde`, and in the specification only for all elements of a path.
fn refuse_null(value: &Value) -> Result<(), QueryError> {
    match value {
        Value::Object(members) => {
            if let Some((name, _)) = members.iter().find(|(_, member)| member.is_null()) {
                return refuse(format!("`{}` is null", shown(name)));
            }
            members.values().try_for_each(refuse_null)
        }
        Value::Array(elements) => elements.iter().try_for_each(refuse_null),
        _ => Ok(()),
    }
}

impl CredentialQuery {
    /// A query for a credential of a format, with any claims that cannot be hidden.
    pub fn new(id: &str, format: &str, meta: Meta) -> Self {
        Self {
            id: id.to_owned(),
            format: format.to_owned(),
            multiple: false,
            meta,
            trusted_authorities: None,
            require_cryptographic_holder_binding: true,
            claims: None,
            claim_sets: None,
        }
    }

    fn check(&self) -> Result<(), QueryError> {
        check_id(&self.id)?;
        if self.format.is_empty() || self.format.len() > ID_BYTES_MAX {
            return refuse("a format is empty or too long");
        }
        self.meta.check(&self.format)?;
        let authorities = self.trusted_authorities.as_deref();
        if authorities.is_some_and(|list| list.is_empty() || list.len() > OPTIONS_MAX) {
            return refuse("`trusted_authorities` is empty or too long");
        }
        for authority in authorities.unwrap_or_default() {
            check_texts("the values of a trusted authority", &authority.values)?;
            check_texts("the type of a trusted authority", std::slice::from_ref(&authority.kind))?;
        }
        let Some(claims) = &self.claims else {
            return match self.claim_sets {
                None => Ok(()),
                Some(_) => refuse("`claim_sets` without `claims`"),
            };
        };
        if claims.is_empty() || claims.len() > CLAIMS_MAX {
            return refuse("`claims` is empty or too long");
        }
        let mut ids = BTreeSet::new();
        for claim in claims {
            claim.check()?;
            match &claim.id {
                Some(id) if !ids.insert(id.as_str()) => {
                    return refuse(format!("the id `{}` of a claim occurs twice", shown(id)));
                }
                None if self.claim_sets.is_some() => {
                    return refuse("a claim has no id, and there are `claim_sets`");
                }
                _ => {}
            }
        }
        if self.claim_sets.as_ref().is_some_and(|sets| sets.is_empty() || sets.len() > OPTIONS_MAX) {
            return refuse("`claim_sets` is empty or too long");
        }
        for set in self.claim_sets.iter().flatten() {
            if set.is_empty() || set.len() > CLAIMS_MAX {
                return refuse("a set of claims is empty or too long");
            }
            if let Some(id) = set.iter().find(|id| !ids.contains(id.as_str())) {
                return refuse(format!("a set of claims names `{}`, which is not asked for", shown(id)));
            }
        }
        Ok(())
    }
}

impl Meta {
    /// Types of `dc+sd-jwt` credentials.
    pub fn vct(values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Self { vct_values: Some(values), type_values: None }
    }

    /// One set of types of W3C credentials.
    pub fn types(values: &[&str]) -> Self {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Self { vct_values: None, type_values: Some(vec![values]) }
    }

    fn check(&self, format: &str) -> Result<(), QueryError> {
        if let Some(values) = &self.vct_values {
            check_texts("`vct_values`", values)?;
        }
        if self.type_values.as_ref().is_some_and(|sets| sets.is_empty() || sets.len() > OPTIONS_MAX) {
            return refuse("`type_values` is empty or too long");
        }
        for set in self.type_values.iter().flatten() {
            check_texts("a set of `type_values`", set)?;
        }
        match format {
            "dc+sd-jwt" if self.vct_values.is_none() => refuse("`vct_values` is missing"),
            "jwt_vc_json" | "ldp_vc" | "vc+sd-jwt" if self.type_values.is_none() => {
                refuse("`type_values` is missing")
            }
            _ => Ok(()),
        }
    }
}

impl ClaimsQuery {
    /// A claim at a path of names, whatever it is.
    pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { id: None, path: ClaimsPath::names(names), values: None }
    }

    fn check(&self) -> Result<(), QueryError> {
        if let Some(id) = &self.id {
            check_id(id)?;
        }
        if self.path.0.is_empty() || self.path.0.len() > STEPS_MAX {
            return refuse("a path is empty or too long");
        }
        let Some(values) = &self.values else { return Ok(()) };
        if values.is_empty() || values.len() > VALUES_MAX {
            return refuse("the values of a claim are none or too many");
        }
        let plain =
            |value: &Value| value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64();
        if values.iter().all(plain) { Ok(()) } else { refuse("a value is no string, integer or boolean") }
    }
}

/// Letters, digits, `_` and `-` (section 6.1).
fn check_id(id: &str) -> Result<(), QueryError> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(plain) {
        return refuse(format!("`{}` is not an id", shown(id)));
    }
    Ok(())
}

fn check_texts(what: &str, texts: &[String]) -> Result<(), QueryError> {
    if texts.is_empty() || texts.len() > VALUES_MAX {
        return refuse(format!("{what} are none or too many"));
    }
    if texts.iter().any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX) {
        return refuse(format!("one of {what} is empty or too long"));
    }
    Ok(())
}

fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}
