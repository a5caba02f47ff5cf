//! `vc+jwt` and `vp+jwt` (VC-JOSE-COSE 1.0 section 3.1): the credential is the payload.

use super::{Jwt, key_id_header, sign};
use crate::json::Limits;
use crate::{FormatError, Signer};
use serde_json::{Map, Value};

/// The `typ` of a credential.
pub const VC_JWT: &str = "vc+jwt";
/// The `typ` of a presentation.
pub const VP_JWT: &str = "vp+jwt";

/// Signs a credential of VCDM 2.0. The caller has checked it with [`crate::vcdm`].
pub fn sign_credential(credential: &Value, key_id: &str, signer: &dyn Signer) -> Result<String, FormatError> {
    sign_as(VC_JWT, "vc", credential, key_id, signer)
}

/// Signs a presentation of VCDM 2.0; `claims` (`aud`, `nonce`, `iat`, `exp`) say for whom and when.
pub fn sign_presentation(
    presentation: &Value,
    claims: &Map<String, Value>,
    key_id: &str,
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    let mut payload = members(presentation)?.clone();
    for (name, value) in claims {
        if payload.insert(name.clone(), value.clone()).is_some() {
            return Err(FormatError::Draft("a claim has the name of a member of the presentation"));
        }
    }
    sign_as(VP_JWT, "vp", &Value::Object(payload), key_id, signer)
}

/// Reads a credential; its claims must not contradict it. What is left to do: the signature ([`Jwt::verify`]) with the
/// issuer's key, the times of both, the data model.
pub fn read_credential(text: &str, limits: Limits) -> Result<Jwt, FormatError> {
    let jwt = read(text, "credential", VC_JWT, "vc", limits)?;
    same(jwt.payload(), "iss", "issuer", "`iss` is not the issuer")?;
    same(jwt.payload(), "sub", "credentialSubject", "`sub` is not the subject")?;
    if jwt.payload().get("jti").is_some_and(|id| Some(id) != jwt.payload().get("id")) {
        return Err(FormatError::Claims("`jti` is not the credential's id"));
    }
    Ok(jwt)
}

/// Reads a presentation; what is left to do is as for a credential, and audience and nonce.
pub fn read_presentation(text: &str, limits: Limits) -> Result<Jwt, FormatError> {
    let jwt = read(text, "presentation", VP_JWT, "vp", limits)?;
    same(jwt.payload(), "iss", "holder", "`iss` is not the holder")?;
    Ok(jwt)
}

fn sign_as(
    typ: &str,
    content: &str,
    value: &Value,
    key_id: &str,
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    let payload = members(value)?;
    if payload.contains_key("vc") || payload.contains_key("vp") {
        return Err(FormatError::Draft("`vc` and `vp` claims belong to an older version"));
    }
    let mut header = key_id_header(key_id);
    header.insert("cty".to_owned(), content.into());
    sign(typ, &header, payload, signer)
}

fn read(
    text: &str,
    part: &'static str,
    typ: &str,
    content: &str,
    limits: Limits,
) -> Result<Jwt, FormatError> {
    let jwt = Jwt::parse(text, part, &[typ], limits)?;
    let is_content = |cty: &str| cty.strip_prefix("application/").unwrap_or(cty) == content;
    match jwt.header().get("cty") {
        None => {}
        Some(Value::String(cty)) if is_content(cty) => {}
        Some(_) => return Err(FormatError::Header { part, reason: "another content type" }),
    }
    if jwt.payload().contains_key("vc") || jwt.payload().contains_key("vp") {
        return Err(FormatError::Claims("`vc` and `vp` belong to an older version"));
    }
    Ok(jwt)
}

fn members(value: &Value) -> Result<&Map<String, Value>, FormatError> {
    value.as_object().ok_or_else(|| FormatError::malformed("document", "not a JSON object"))
}

/// A registered claim that repeats a member, which is a URL or an object with an `id`, must say the same.
fn same(
    payload: &Map<String, Value>,
    claim: &str,
    member: &str,
    reason: &'static str,
) -> Result<(), FormatError> {
    let Some(claimed) = payload.get(claim) else { return Ok(()) };
    let member = match payload.get(member) {
        Some(Value::Object(members)) => members.get("id"),
        other => other,
    };
    // A claim about a member that is not there at all contradicts nothing.
    if member.is_none_or(|member| member == claimed) { Ok(()) } else { Err(FormatError::Claims(reason)) }
}
