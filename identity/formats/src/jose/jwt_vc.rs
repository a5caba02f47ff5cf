//! JWT encoding of VCDM 1.1 (section 6.3.1), to verify what older issuers made.
//!
//! Registered claims stand in for members of the credential. Where both are there they must agree; where only the claim
//! is there it is put into the credential, so that whatever looks at the credential afterwards sees the whole.

use super::{Jwt, seconds};
use crate::FormatError;
use crate::date::{self, Rounding};
use crate::json::Limits;
use serde_json::{Map, Value};

/// A credential or presentation of VCDM 1.1 that came as a JWT.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimsOf11 {
    /// The JWT, to verify its signature and times.
    pub jwt: Jwt,
    /// The credential or presentation with the claims in their places.
    pub document: Value,
}

/// Reads a JWT with a `vc` claim.
pub fn read_credential_1_1(text: &str, limits: Limits) -> Result<ClaimsOf11, FormatError> {
    let jwt = Jwt::parse(text, "credential", &[], limits)?;
    let mut document = inner(&jwt, "vc")?;
    let payload = jwt.payload();
    issuer(&mut document, payload.get("iss"))?;
    plain(&mut document, "id", payload.get("jti"), "`jti` is not the credential's id")?;
    subject(&mut document, payload.get("sub"))?;
    date_of(&mut document, "issuanceDate", seconds(payload, "nbf")?, Rounding::Down)?;
    date_of(&mut document, "expirationDate", seconds(payload, "exp")?, Rounding::Down)?;
    Ok(ClaimsOf11 { document: Value::Object(document), jwt })
}

/// Reads a JWT with a `vp` claim. Audience and nonce are claims of the JWT.
pub fn read_presentation_1_1(text: &str, limits: Limits) -> Result<ClaimsOf11, FormatError> {
    let jwt = Jwt::parse(text, "presentation", &[], limits)?;
    let mut document = inner(&jwt, "vp")?;
    plain(&mut document, "holder", jwt.payload().get("iss"), "`iss` is not the holder")?;
    plain(&mut document, "id", jwt.payload().get("jti"), "`jti` is not the presentation's id")?;
    Ok(ClaimsOf11 { document: Value::Object(document), jwt })
}

fn inner(jwt: &Jwt, claim: &str) -> Result<Map<String, Value>, FormatError> {
    match jwt.payload().get(claim) {
        Some(Value::Object(members)) if !members.contains_key("proof") => Ok(members.clone()),
        Some(Value::Object(_)) => Err(FormatError::Claims("a proof inside a signed token")),
        _ => Err(FormatError::Claims("there is no `vc` or `vp` claim that is an object")),
    }
}

fn plain(
    document: &mut Map<String, Value>,
    member: &str,
    claim: Option<&Value>,
    reason: &'static str,
) -> Result<(), FormatError> {
    let Some(claim) = claim else { return Ok(()) };
    if !claim.is_string() {
        return Err(FormatError::Claims("a claim that names somebody is not text"));
    }
    let stands = document.entry(member).or_insert_with(|| claim.clone());
    if stands == claim { Ok(()) } else { Err(FormatError::Claims(reason)) }
}

fn issuer(document: &mut Map<String, Value>, claim: Option<&Value>) -> Result<(), FormatError> {
    let claim = claim.ok_or(FormatError::Claims("`iss` is missing"))?;
    match document.get_mut("issuer") {
        Some(Value::Object(issuer)) => plain(issuer, "id", Some(claim), "`iss` is not the issuer"),
        _ => plain(document, "issuer", Some(claim), "`iss` is not the issuer"),
    }
}

fn subject(document: &mut Map<String, Value>, claim: Option<&Value>) -> Result<(), FormatError> {
    if claim.is_none() {
        return Ok(());
    }
    match document.get_mut("credentialSubject") {
        Some(Value::Object(subject)) => plain(subject, "id", claim, "`sub` is not the subject"),
        Some(Value::Array(subjects)) => match subjects.as_mut_slice() {
            [Value::Object(subject)] => plain(subject, "id", claim, "`sub` is not the subject"),
            _ => Err(FormatError::Claims("`sub` in a credential with several subjects")),
        },
        _ => Err(FormatError::Claims("`sub` in a credential without subject")),
    }
}

fn date_of(
    document: &mut Map<String, Value>,
    member: &str,
    claim_s: Option<i64>,
    rounding: Rounding,
) -> Result<(), FormatError> {
    let Some(claim_s) = claim_s else { return Ok(()) };
    match document.get(member) {
        None => {
            let text = date::format(claim_s).ok_or(FormatError::Claims("a time is out of range"))?;
            document.insert(member.to_owned(), Value::String(text));
            Ok(())
        }
        Some(Value::String(text)) if date::parse(text, rounding) == Some(claim_s) => Ok(()),
        Some(_) => Err(FormatError::Claims("a time claim is not the date of the credential")),
    }
}
