//! The credential inside the envelope: VCDM 2.0 read as plain JSON, no JSON-LD processing.
//!
//! Read are the members that decide anything; the rest of the claims stays as it is. Members that decide validity
//! must be in plain text: an issuer that lets a holder hide the status or the end of validity has made a credential
//! that nobody can judge.

use crate::CredentialError;
use crate::date::{self, Rounding};
use crate::sd_jwt::{DC_TYPE, SdJwt};
use crate::status::StatusEntry;
use aval_codec::json::Json;
use aval_did::key::PublicKey;
use std::collections::{BTreeMap, BTreeSet};

/// The value that `@context` of every VCDM 2.0 credential begins with.
pub const CREDENTIALS_V2_CONTEXT: &str = "https://www.w3.org/ns/credentials/v2";

/// The type that every credential has.
pub const BASE_TYPE: &str = "VerifiableCredential";

/// The members that may not be selectively disclosable (RFC 9901 section 9.7, VC-JOSE-COSE section 3.2.1).
pub const PLAIN_MEMBERS: [&str; 14] = [
    "@context",
    "type",
    "issuer",
    "validFrom",
    "validUntil",
    "credentialStatus",
    "credentialSchema",
    "relatedResource",
    "iss",
    "aud",
    "exp",
    "nbf",
    "cnf",
    "sub",
];

/// The claims of an SD-JWT VC that may not be selectively disclosable; what a grant may rest on is among them.
const DC_PLAIN_MEMBERS: [&str; 12] = [
    "iss",
    "sub",
    "aud",
    "nbf",
    "exp",
    "cnf",
    "vct",
    "vct#integrity",
    "status",
    "role",
    "jti",
    "credentialSchema",
];

/// Members that an SD-JWT VC does not have and a VCDM credential does.
const DC_FOREIGN_MEMBERS: [&str; 9] = [
    "@context",
    "type",
    "issuer",
    "validFrom",
    "validUntil",
    "credentialSubject",
    "credentialStatus",
    "vc",
    "vp",
];

const STRINGS_MAX: usize = 16;
const STRING_BYTES_MAX: usize = 512;

/// What a credential says, as far as a verifier must understand it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The credential's own identifier.
    pub id: Option<String>,
    /// The issuer's identifier.
    pub issuer: String,
    /// All types, [`BASE_TYPE`] among them.
    pub types: Vec<String>,
    /// The identifier of the subject.
    pub subject_id: Option<String>,
    /// The subject with all disclosed claims.
    pub subject: BTreeMap<String, Json>,
    /// The role claims of the subject, sorted.
    pub roles: Vec<String>,
    /// Where to ask for the credential's status.
    pub status: Vec<StatusEntry>,
    /// The later of `validFrom` and `nbf`, in unix seconds.
    pub valid_from_s: Option<i64>,
    /// The earlier of `validUntil` and `exp`, in unix seconds.
    pub valid_until_s: Option<i64>,
    /// The holder's key of `cnf`.
    pub holder_key: Option<PublicKey>,
}

impl Credential {
    /// Reads the processed payload of an SD-JWT, by the model that its `typ` names.
    pub fn read(sd_jwt: &SdJwt) -> Result<Self, CredentialError> {
        if sd_jwt.media_type() == Some(DC_TYPE) {
            return Self::read_dc(sd_jwt);
        }
        for name in PLAIN_MEMBERS {
            if !sd_jwt.is_plain(name) {
                return Err(CredentialError::Concealed(name));
            }
        }
        let claims = sd_jwt.claims();
        if claims.contains_key("vc") || claims.contains_key("vp") {
            return Err(CredentialError::NotACredential("`vc` and `vp` claims belong to an older version"));
        }
        context(claims.get("@context"))?;
        let types = types(claims.get("type"))?;
        let issuer = issuer(claims)?;
        let subject = subject(claims)?;
        let subject_id = optional_text(&subject, "id", "the subject's id")?;
        same_as(claims, "iss", Some(&issuer), "`iss` differs from the issuer")?;
        same_as(claims, "sub", subject_id.as_deref(), "`sub` differs from the subject")?;
        let valid_from_s = later(date(claims, "validFrom", Rounding::Up)?, seconds(claims, "nbf")?);
        let valid_until_s = earlier(date(claims, "validUntil", Rounding::Down)?, seconds(claims, "exp")?);
        if let (Some(from), Some(until)) = (valid_from_s, valid_until_s)
            && from > until
        {
            return Err(CredentialError::NotACredential("it ends before it begins"));
        }
        let status = match claims.get("credentialStatus") {
            None => Vec::new(),
            Some(status) => StatusEntry::read_all(status)?,
        };
        Ok(Self {
            id: optional_text(claims, "id", "its id")?,
            issuer,
            types,
            subject_id,
            roles: roles(sd_jwt, &subject)?,
            subject,
            status,
            valid_from_s,
            valid_until_s,
            holder_key: holder_key(claims)?,
        })
    }

    /// Reads an SD-JWT VC: `vct` is its type, `sub` its subject, `role` a claim at the top, and its status an entry
    /// of a Token Status List, in which a set bit means that it is revoked. Members by which it would be a VCDM
    /// credential, too, are refused, so that nobody reads it the other way.
    fn read_dc(sd_jwt: &SdJwt) -> Result<Self, CredentialError> {
        for name in DC_PLAIN_MEMBERS {
            if !sd_jwt.is_plain(name) {
                return Err(CredentialError::Concealed(name));
            }
        }
        let claims = sd_jwt.claims();
        if DC_FOREIGN_MEMBERS.iter().any(|name| claims.contains_key(*name)) {
            return Err(CredentialError::NotACredential("an SD-JWT VC has members of another model"));
        }
        let issuer = optional_text(claims, "iss", "`iss`")?
            .filter(|issuer| issuer.contains(':'))
            .ok_or(CredentialError::NotACredential("`iss` is not a URL"))?;
        let kind = optional_text(claims, "vct", "`vct`")?
            .ok_or(CredentialError::NotACredential("`vct` is missing"))?;
        let (valid_from_s, valid_until_s) = (seconds(claims, "nbf")?, seconds(claims, "exp")?);
        if let (Some(from), Some(until)) = (valid_from_s, valid_until_s)
            && from > until
        {
            return Err(CredentialError::NotACredential("it ends before it begins"));
        }
        let status = match claims.get("status") {
            None => Vec::new(),
            Some(status) => vec![StatusEntry::read_token(status)?],
        };
        Ok(Self {
            id: optional_text(claims, "jti", "its id")?,
            issuer,
            types: vec![kind],
            subject_id: optional_text(claims, "sub", "the subject's id")?,
            roles: claims.get("role").map(role_names).transpose()?.unwrap_or_default(),
            subject: claims.clone(),
            status,
            valid_from_s,
            valid_until_s,
            holder_key: holder_key(claims)?,
        })
    }

    /// Whether the credential is valid at this time; the beginning is included, the end is not.
    pub fn check_time(&self, now_s: i64, skew_s: i64) -> Result<(), CredentialError> {
        if self.valid_from_s.is_some_and(|from| now_s.saturating_add(skew_s) < from) {
            return Err(CredentialError::NotYetValid);
        }
        if self.valid_until_s.is_some_and(|until| now_s.saturating_sub(skew_s) >= until) {
            return Err(CredentialError::Expired);
        }
        Ok(())
    }
}

fn context(member: Option<&Json>) -> Result<(), CredentialError> {
    let contexts =
        strings(member).ok_or(CredentialError::NotACredential("`@context` is not a list of URLs"))?;
    if contexts.first().map(String::as_str) != Some(CREDENTIALS_V2_CONTEXT) {
        return Err(CredentialError::NotACredential("`@context` does not begin with that of VCDM 2.0"));
    }
    Ok(())
}

fn types(member: Option<&Json>) -> Result<Vec<String>, CredentialError> {
    let types = match member {
        Some(Json::String(one)) => vec![one.clone()],
        other => strings(other).ok_or(CredentialError::NotACredential("`type` is not a list of names"))?,
    };
    if !types.iter().any(|name| name == BASE_TYPE) {
        return Err(CredentialError::NotACredential("`type` lacks VerifiableCredential"));
    }
    if types.iter().collect::<BTreeSet<_>>().len() != types.len() {
        return Err(CredentialError::NotACredential("a type is named twice"));
    }
    Ok(types)
}

fn issuer(claims: &BTreeMap<String, Json>) -> Result<String, CredentialError> {
    let issuer = match claims.get("issuer") {
        Some(Json::Object(members)) => members.get("id"),
        other => other,
    };
    match issuer {
        Some(Json::String(issuer)) if issuer.contains(':') && issuer.len() <= STRING_BYTES_MAX => {
            Ok(issuer.clone())
        }
        _ => Err(CredentialError::NotACredential("`issuer` is not a URL")),
    }
}

fn subject(claims: &BTreeMap<String, Json>) -> Result<BTreeMap<String, Json>, CredentialError> {
    let subject = match claims.get("credentialSubject") {
        Some(Json::Array(subjects)) if subjects.len() == 1 => subjects.first(),
        other => other,
    };
    match subject {
        Some(Json::Object(members)) => Ok(members.clone()),
        _ => Err(CredentialError::NotACredential("it has not exactly one subject")),
    }
}

/// The subject's `role` must be in plain text: what a grant may rest on is not up to the holder to show or hide.
fn roles(sd_jwt: &SdJwt, subject: &BTreeMap<String, Json>) -> Result<Vec<String>, CredentialError> {
    let Some(member) = subject.get("role") else { return Ok(Vec::new()) };
    let signed = match sd_jwt.signed_payload().get("credentialSubject") {
        Some(Json::Object(members)) => members.get("role"),
        Some(Json::Array(subjects)) => match subjects.first() {
            Some(Json::Object(members)) => members.get("role"),
            _ => None,
        },
        _ => None,
    };
    if signed != Some(member) {
        return Err(CredentialError::Concealed("role"));
    }
    role_names(member)
}

/// One name or a list of different ones, sorted.
fn role_names(member: &Json) -> Result<Vec<String>, CredentialError> {
    let mut roles = match member {
        Json::String(one) => vec![one.clone()],
        other => {
            strings(Some(other)).ok_or(CredentialError::NotACredential("`role` is not a list of names"))?
        }
    };
    let count = roles.len();
    roles.sort();
    roles.dedup();
    if roles.len() != count {
        return Err(CredentialError::NotACredential("a role is named twice"));
    }
    Ok(roles)
}

fn holder_key(claims: &BTreeMap<String, Json>) -> Result<Option<PublicKey>, CredentialError> {
    match claims.get("cnf") {
        None => Ok(None),
        Some(Json::Object(confirmation)) => match confirmation.get("jwk") {
            Some(jwk) => PublicKey::from_jwk(jwk).map(Some).map_err(|_| CredentialError::HolderKey),
            None => Err(CredentialError::HolderKey),
        },
        Some(_) => Err(CredentialError::HolderKey),
    }
}

fn strings(member: Option<&Json>) -> Option<Vec<String>> {
    let Some(Json::Array(elements)) = member else { return None };
    if elements.is_empty() || elements.len() > STRINGS_MAX {
        return None;
    }
    elements
        .iter()
        .map(|element| match element {
            Json::String(text) if !text.is_empty() && text.len() <= STRING_BYTES_MAX => Some(text.clone()),
            _ => None,
        })
        .collect()
}

fn optional_text(
    members: &BTreeMap<String, Json>,
    name: &str,
    what: &'static str,
) -> Result<Option<String>, CredentialError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::String(text)) if !text.is_empty() && text.len() <= STRING_BYTES_MAX => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(CredentialError::malformed(what, "not a short string")),
    }
}

fn same_as(
    claims: &BTreeMap<String, Json>,
    name: &str,
    wanted: Option<&str>,
    reason: &'static str,
) -> Result<(), CredentialError> {
    match claims.get(name) {
        None => Ok(()),
        Some(Json::String(value)) if Some(value.as_str()) == wanted => Ok(()),
        Some(_) => Err(CredentialError::NotACredential(reason)),
    }
}

fn date(
    claims: &BTreeMap<String, Json>,
    name: &str,
    rounding: Rounding,
) -> Result<Option<i64>, CredentialError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => date::parse(text, rounding)
            .map(Some)
            .ok_or(CredentialError::NotACredential("a date is not an xsd:dateTimeStamp")),
        Some(_) => Err(CredentialError::NotACredential("a date is not a string")),
    }
}

fn seconds(claims: &BTreeMap<String, Json>, name: &str) -> Result<Option<i64>, CredentialError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Int(seconds)) => Ok(Some(*seconds)),
        Some(_) => Err(CredentialError::NotACredential("a time is not a whole number of seconds")),
    }
}

fn later(left: Option<i64>, right: Option<i64>) -> Option<i64> {
    left.max(right)
}

fn earlier(left: Option<i64>, right: Option<i64>) -> Option<i64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}
