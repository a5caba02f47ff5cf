//! The issuer's side of RFC 9901: replaces a claim by its digest. Concealing inside first and outside afterwards
//! makes recursive disclosures.

use super::disclosure::{Disclosure, is_reserved};
use crate::CredentialError;
use aval_codec::json::Json;
use std::collections::BTreeMap;

/// Replaces the member `name` by its digest in `_sd`. The digests are kept sorted, which hides the order of the
/// claims.
pub fn member(
    object: &mut BTreeMap<String, Json>,
    name: &str,
    salt: &[u8; 16],
) -> Result<Disclosure, CredentialError> {
    if is_reserved(name) {
        return Err(CredentialError::Draft("a reserved name cannot be disclosed"));
    }
    let Some(value) = object.remove(name) else {
        return Err(CredentialError::Draft("a claim to be concealed does not exist"));
    };
    let disclosure = Disclosure::make(salt, Some(name), value);
    let digests = object.entry("_sd".to_owned()).or_insert_with(|| Json::Array(Vec::new()));
    let Json::Array(digests) = digests else {
        return Err(CredentialError::Draft("`_sd` is taken by a claim"));
    };
    digests.push(Json::String(disclosure.digest().to_owned()));
    digests.sort_by(|left, right| text(left).cmp(text(right)));
    Ok(disclosure)
}

/// Replaces the element at `index` by `{"...": digest}`.
pub fn element(array: &mut [Json], index: usize, salt: &[u8; 16]) -> Result<Disclosure, CredentialError> {
    let Some(element) = array.get_mut(index) else {
        return Err(CredentialError::Draft("an element to be concealed does not exist"));
    };
    let disclosure = Disclosure::make(salt, None, element.clone());
    let digest = Json::String(disclosure.digest().to_owned());
    *element = Json::Object(BTreeMap::from([("...".to_owned(), digest)]));
    Ok(disclosure)
}

fn text(json: &Json) -> &str {
    match json {
        Json::String(text) => text,
        _ => "",
    }
}
