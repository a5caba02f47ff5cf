//! The issuer's side: a draft becomes a signed credential. Salts come from the caller, because this crate has no
//! randomness.

use crate::CredentialError;
use crate::date;
use crate::jws;
use crate::presentation::{Limits, Presentation};
use crate::sd_jwt::{self, conceal};
use crate::status::StatusEntry;
use crate::vcdm::{BASE_TYPE, CREDENTIALS_V2_CONTEXT};
use aval_codec::json::Json;
use aval_did::key::{PublicKey, Signer};
use std::collections::{BTreeMap, BTreeSet};

/// A `credentialSchema` of VCDM 2.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialSchema {
    /// Where the schema is.
    pub id: String,
    /// Which kind of schema: `JsonSchema`.
    pub kind: String,
}

/// What an issuer wants to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialDraft {
    /// The issuer's DID.
    pub issuer: String,
    /// The DID URL of the signing key, an assertion method of the issuer.
    pub key_id: String,
    /// The credential's identifier, a `urn:uuid:`.
    pub id: Option<String>,
    /// Contexts after that of VCDM 2.0.
    pub contexts: Vec<String>,
    /// Types besides `VerifiableCredential`.
    pub types: Vec<String>,
    /// The subject's identifier.
    pub subject_id: Option<String>,
    /// The subject's claims.
    pub claims: BTreeMap<String, Json>,
    /// The names of those claims that the holder may hide. Never `id` or `role`.
    pub disclosable: BTreeSet<String>,
    /// Where the credential's status is kept.
    pub status: Vec<StatusEntry>,
    /// From when on it is valid, in unix seconds.
    pub valid_from_s: i64,
    /// When its validity has ended, in unix seconds.
    pub valid_until_s: Option<i64>,
    /// The holder's key.
    pub holder_key: Option<PublicKey>,
    /// The schema that the claims follow.
    pub schema: Option<CredentialSchema>,
}

/// Signs a draft. `salt` is called once for each disclosure and must return 128 fresh random bits.
///
/// What was made is read back by the rules of the ledger, so that an issuer notices at once if nobody would accept
/// it.
pub fn issue(
    draft: &CredentialDraft,
    signer: &dyn Signer,
    salt: &mut dyn FnMut() -> [u8; 16],
) -> Result<String, CredentialError> {
    let mut subject = draft.claims.clone();
    if subject.contains_key("id") || subject.contains_key("_sd") {
        return Err(CredentialError::Draft("the subject's id is not a claim, and `_sd` is reserved"));
    }
    let mut disclosures = Vec::new();
    for name in &draft.disclosable {
        if name == "role" {
            return Err(CredentialError::Draft("roles cannot be concealed"));
        }
        disclosures.push(conceal::member(&mut subject, name, &salt())?);
    }
    if let Some(id) = &draft.subject_id {
        subject.insert("id".to_owned(), Json::String(id.clone()));
    }
    let payload = payload(draft, subject)?;
    let header = BTreeMap::from([("kid".to_owned(), Json::String(draft.key_id.clone()))]);
    let mut text = jws::try_sign(signer, sd_jwt::TYPE, header, &payload)?;
    text.push('~');
    for disclosure in &disclosures {
        text.push_str(disclosure.as_str());
        text.push('~');
    }
    let readable = Presentation::parse(text.as_bytes(), &Limits::LEDGER)?;
    readable.verify_issuer_signature(&signer.public())?;
    Ok(text)
}

fn payload(draft: &CredentialDraft, subject: BTreeMap<String, Json>) -> Result<Json, CredentialError> {
    let string = |text: &str| Json::String(text.to_owned());
    let list = |first: &str, rest: &[String]| {
        Json::Array(std::iter::once(string(first)).chain(rest.iter().map(|text| string(text))).collect())
    };
    let date = |seconds: i64| {
        date::format(seconds).map(Json::String).ok_or(CredentialError::Draft("a date has no four-digit year"))
    };
    let mut members = BTreeMap::from([
        ("@context".to_owned(), list(CREDENTIALS_V2_CONTEXT, &draft.contexts)),
        ("type".to_owned(), list(BASE_TYPE, &draft.types)),
        ("issuer".to_owned(), string(&draft.issuer)),
        ("validFrom".to_owned(), date(draft.valid_from_s)?),
        ("credentialSubject".to_owned(), Json::Object(subject)),
        ("_sd_alg".to_owned(), string("sha-256")),
    ]);
    if let Some(id) = &draft.id {
        members.insert("id".to_owned(), string(id));
    }
    if let Some(valid_until_s) = draft.valid_until_s {
        members.insert("validUntil".to_owned(), date(valid_until_s)?);
    }
    match draft.status.as_slice() {
        [] => {}
        [one] => {
            members.insert("credentialStatus".to_owned(), one.to_json());
        }
        several => {
            let entries = several.iter().map(StatusEntry::to_json).collect();
            members.insert("credentialStatus".to_owned(), Json::Array(entries));
        }
    }
    if let Some(key) = &draft.holder_key {
        let confirmation = Json::Object(BTreeMap::from([("jwk".to_owned(), key.to_jwk())]));
        members.insert("cnf".to_owned(), confirmation);
    }
    if let Some(schema) = &draft.schema {
        let schema = BTreeMap::from([
            ("id".to_owned(), string(&schema.id)),
            ("type".to_owned(), string(&schema.kind)),
        ]);
        members.insert("credentialSchema".to_owned(), Json::Object(schema));
    }
    Ok(Json::Object(members))
}
