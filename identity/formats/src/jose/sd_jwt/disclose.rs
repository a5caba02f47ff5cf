//! The issuer's and the holder's side: concealing claims, choosing what to show, binding it to a key.

use super::process::is_reserved;
use super::{DISCLOSURES_MAX, Disclosure, KB_JWT, SdJwt, digest};
use crate::jose::sign;
use crate::{FormatError, Signer};
use aval_codec::{b64u, sha256};
use rand::Rng as _;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// What a holder signs.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyBindingDraft<'a> {
    /// The verifier.
    pub audience: &'a str,
    /// The verifier's nonce.
    pub nonce: &'a str,
    /// When it is made, in unix seconds.
    pub issued_at_s: i64,
    /// Further claims, such as `transaction_data_hashes`.
    pub claims: Map<String, Value>,
}

/// Issues an SD-JWT: the claims at the `concealed` JSON pointers (RFC 6901; `/given_name`, `/nationalities/0`) become
/// disclosures, the rest stays in plain text. Concealing something and a part of it makes recursive disclosures.
/// `header` holds `kid` or `x5c`.
pub fn issue(
    typ: &str,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    concealed: &[&str],
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    if concealed.len() > DISCLOSURES_MAX {
        return Err(FormatError::Oversized("number of disclosures"));
    }
    if has_reserved(&Value::Object(claims.clone())) {
        return Err(FormatError::Draft("a claim has a name that is reserved for SD-JWT"));
    }
    // Longer pointers first: what lies inside is concealed before what surrounds it.
    let mut pointers: Vec<Vec<String>> =
        concealed.iter().map(|text| tokens(text)).collect::<Result<_, _>>()?;
    pointers.sort_by_key(|tokens| std::cmp::Reverse(tokens.len()));
    let mut payload = Value::Object(claims.clone());
    let mut text = String::new();
    let mut salts = vec![[0u8; 16]; pointers.len()];
    salts.iter_mut().for_each(|salt| rand::rng().fill_bytes(salt));
    for (tokens, salt) in pointers.iter().zip(&salts) {
        let encoded = conceal(&mut payload, tokens, salt)?;
        text.push('~');
        text.push_str(&encoded);
    }
    let Value::Object(mut payload) = payload else { return Err(FormatError::Draft("not an object")) };
    if !pointers.is_empty() {
        payload.insert("_sd_alg".to_owned(), "sha-256".into());
    }
    Ok(format!("{}{text}~", sign(typ, header, &payload, signer)?))
}

/// Binds a presentation, which ends in a tilde, to the holder's key.
pub fn bind(
    presentation: &str,
    draft: &KeyBindingDraft<'_>,
    signer: &dyn Signer,
) -> Result<String, FormatError> {
    if !presentation.ends_with('~') {
        return Err(FormatError::Draft("the presentation has a key binding already"));
    }
    let mut claims = draft.claims.clone();
    claims.insert("aud".to_owned(), draft.audience.into());
    claims.insert("nonce".to_owned(), draft.nonce.into());
    claims.insert("iat".to_owned(), draft.issued_at_s.into());
    claims.insert("sd_hash".to_owned(), b64u::encode(sha256(presentation.as_bytes())).into());
    Ok(format!("{presentation}{}", sign(KB_JWT, &Map::new(), &claims, signer)?))
}

impl SdJwt {
    /// A presentation that shows the claims at these JSON pointers into [`SdJwt::claims`], with whatever surrounds them
    /// and everything inside them, and nothing else that is concealed. It ends in a tilde: see [`bind`].
    pub fn select(&self, pointers: &[&str]) -> Result<String, FormatError> {
        let mut shown = BTreeSet::new();
        for pointer in pointers {
            let tokens = tokens(pointer)?;
            let whole = Value::Object(self.jwt.payload().clone());
            self.collect(&whole, &tokens, &mut shown)
                .ok_or_else(|| FormatError::Selection((*pointer).to_owned()))?;
        }
        let jwt = self.text.split('~').next().unwrap_or_default();
        let chosen = self.disclosures.iter().filter(|one| shown.contains(one.digest.as_str()));
        Ok(chosen.fold(format!("{jwt}~"), |text, one| format!("{text}{}~", one.encoded)))
    }

    /// Notes the disclosures on the way down a pointer and all that lie behind its end.
    fn collect<'a>(&'a self, at: &Value, tokens: &[String], shown: &mut BTreeSet<&'a str>) -> Option<()> {
        let Some((token, rest)) = tokens.split_first() else {
            self.everything(at, shown);
            return Some(());
        };
        match at {
            Value::Object(members) => {
                if let Some(value) = members.get(token).filter(|_| !is_reserved(token)) {
                    return self.collect(value, rest, shown);
                }
                let digests = members.get("_sd").and_then(Value::as_array)?;
                let found = digests
                    .iter()
                    .filter_map(|digest| self.find(digest))
                    .find(|one| one.name.as_deref() == Some(token))?;
                shown.insert(&found.digest);
                self.collect(&found.value, rest, shown)
            }
            Value::Array(elements) => {
                // Counted as the processed claims count: elements without a disclosure are not there.
                let there = elements.iter().filter_map(|element| match element.get("...") {
                    Some(digest) => self.find(digest).map(|one| (&one.value, Some(&one.digest))),
                    None => Some((element, None)),
                });
                let (value, digest) = there.into_iter().nth(token.parse().ok()?)?;
                shown.extend(digest.map(String::as_str));
                self.collect(value, rest, shown)
            }
            _ => None,
        }
    }

    fn everything<'a>(&'a self, at: &Value, shown: &mut BTreeSet<&'a str>) {
        match at {
            Value::Object(members) => {
                for (name, value) in members {
                    match (name.as_str(), value) {
                        ("_sd", Value::Array(digests)) => {
                            digests.iter().for_each(|digest| self.follow(digest, shown));
                        }
                        ("...", digest) => self.follow(digest, shown),
                        (_, value) => self.everything(value, shown),
                    }
                }
            }
            Value::Array(elements) => elements.iter().for_each(|element| self.everything(element, shown)),
            _ => {}
        }
    }

    fn follow<'a>(&'a self, digest: &Value, shown: &mut BTreeSet<&'a str>) {
        if let Some(one) = self.find(digest) {
            shown.insert(&one.digest);
            self.everything(&one.value, shown);
        }
    }

    fn find(&self, digest: &Value) -> Option<&Disclosure> {
        let digest = digest.as_str()?;
        self.disclosures.iter().find(|one| one.digest == digest)
    }
}

/// Replaces what a pointer names by its digest; hands out the disclosure.
fn conceal(payload: &mut Value, tokens: &[String], salt: &[u8; 16]) -> Result<String, FormatError> {
    let missing = || FormatError::Selection(format!("/{}", tokens.join("/")));
    let (last, way) =
        tokens.split_last().ok_or(FormatError::Draft("the whole payload cannot be concealed"))?;
    let mut parent = payload;
    for token in way {
        parent = match parent {
            Value::Object(members) => members.get_mut(token),
            Value::Array(elements) => token.parse::<usize>().ok().and_then(|at| elements.get_mut(at)),
            _ => None,
        }
        .ok_or_else(missing)?;
    }
    let encode = |elements: Value| b64u::encode(elements.to_string());
    match parent {
        Value::Object(members) => {
            let value = members.remove(last).filter(|_| last != "_sd").ok_or_else(missing)?;
            let encoded = encode(json!([b64u::encode(salt), last, value]));
            let digests = members.entry("_sd").or_insert_with(|| Value::Array(Vec::new()));
            let digests = digests.as_array_mut().ok_or_else(missing)?;
            digests.push(digest(&encoded).into());
            // Sorted, so that the order of digests says nothing of the order of claims.
            digests.sort_by(|left, right| left.as_str().cmp(&right.as_str()));
            Ok(encoded)
        }
        Value::Array(elements) => {
            let element = last.parse::<usize>().ok().and_then(|at| elements.get_mut(at));
            let element = element.filter(|value| value.get("...").is_none()).ok_or_else(missing)?;
            let encoded = encode(json!([b64u::encode(salt), element.take()]));
            *element = json!({ "...": digest(&encoded) });
            Ok(encoded)
        }
        _ => Err(missing()),
    }
}

fn has_reserved(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| is_reserved(name) || has_reserved(value))
        }
        Value::Array(elements) => elements.iter().any(has_reserved),
        _ => false,
    }
}

/// The reference tokens of a JSON pointer.
fn tokens(pointer: &str) -> Result<Vec<String>, FormatError> {
    let rest = pointer.strip_prefix('/').ok_or_else(|| FormatError::Selection(pointer.to_owned()))?;
    Ok(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}
