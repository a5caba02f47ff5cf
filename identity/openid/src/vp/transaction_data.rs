//! Transaction data (OpenID4VP 1.0 sections 5.1 and 8.4, appendix B.3.3): what the user agrees to by
//! presenting, bound by hash into the key binding of the presentation.

use aval_codec::{b64u, sha256};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The one hash algorithm.
pub const HASH_ALGORITHM: &str = "sha-256";

/// The largest object, encoded.
pub const BYTES_MAX: usize = 16 * 1024;

/// How many objects a request may have.
pub const OBJECTS_MAX: usize = 16;

const CREDENTIALS_MAX: usize = 64;

/// One object. What is hashed is the text as it was sent, never something that was encoded again.
#[derive(Debug, Clone, PartialEq)]
pub struct TransactionData {
    encoded: String,
    kind: String,
    credential_ids: Vec<String>,
    members: Map<String, Value>,
}

impl TransactionData {
    /// An object of this type for any of these credential queries, with further members of the type.
    pub fn new(kind: &str, credential_ids: &[&str], members: &Map<String, Value>) -> Result<Self, String> {
        let mut all = members.clone();
        all.insert("type".to_owned(), kind.into());
        all.insert("credential_ids".to_owned(), credential_ids.iter().map(|id| Value::from(*id)).collect());
        let bytes = serde_json::to_vec(&all).map_err(|error| error.to_string())?;
        Self::parse(&b64u::encode(bytes))
    }

    /// Reads an object as it stands in a request: base64url of JSON.
    pub fn parse(encoded: &str) -> Result<Self, String> {
        if encoded.len() > BYTES_MAX {
            return Err("transaction data is larger than allowed".to_owned());
        }
        let bytes = b64u::decode(encoded).map_err(|_| "transaction data is not base64url".to_owned())?;
        let Value::Object(members) = crate::value::parse(&bytes, BYTES_MAX)? else {
            return Err("transaction data is not a JSON object".to_owned());
        };
        let kind = members.get("type").and_then(Value::as_str).filter(|kind| !kind.is_empty());
        let kind = kind.ok_or("transaction data has no type")?.to_owned();
        let ids = members.get("credential_ids").and_then(Value::as_array);
        let ids = ids.ok_or("transaction data names no credentials")?;
        let credential_ids: Option<Vec<String>> =
            ids.iter().map(|id| id.as_str().map(str::to_owned)).collect();
        let credential_ids = credential_ids.filter(|ids| (1..=CREDENTIALS_MAX).contains(&ids.len()));
        let credential_ids = credential_ids.ok_or("transaction data names no credentials, or too many")?;
        if let Some(algorithms) = members.get("transaction_data_hashes_alg") {
            let names = algorithms.as_array().map(Vec::as_slice).unwrap_or_default();
            if !names.iter().any(|name| name.as_str() == Some(HASH_ALGORITHM)) {
                return Err("transaction data wants another hash than SHA-256".to_owned());
            }
        }
        Ok(Self { encoded: encoded.to_owned(), kind, credential_ids, members })
    }

    /// As it stands in the request.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// What kind of agreement it is. A wallet that does not know the type refuses the request.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The credential queries of which one must answer for it.
    pub fn credential_ids(&self) -> &[String] {
        &self.credential_ids
    }

    /// All members, for showing them to the user.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// What a key binding carries.
    pub fn hash(&self) -> String {
        b64u::encode(sha256(self.encoded.as_bytes()))
    }
}

/// Whether key bindings answer for all transaction data, and for nothing else. `bindings` are the payloads of
/// verified key binding JWTs, each with the id of the credential query that it answers.
pub fn check(expected: &[TransactionData], bindings: &[(&str, &Map<String, Value>)]) -> Result<(), String> {
    let mut answered: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (id, payload) in bindings {
        let Some(hashes) = payload.get("transaction_data_hashes") else { continue };
        let algorithm = payload.get("transaction_data_hashes_alg").map(|name| name.as_str());
        if !matches!(algorithm, None | Some(Some(HASH_ALGORITHM))) {
            return Err("a key binding hashes transaction data with another algorithm".to_owned());
        }
        let hashes = hashes.as_array().ok_or("`transaction_data_hashes` is not a list")?;
        for hash in hashes {
            let hash = hash.as_str().ok_or("a hash of transaction data is not a string")?;
            let known = expected
                .iter()
                .any(|one| one.hash() == hash && one.credential_ids.iter().any(|one| one == id));
            if !known {
                return Err("a key binding agrees to something that was not asked".to_owned());
            }
            answered.entry(id).or_default().insert(hash.to_owned());
        }
    }
    let missing = expected.iter().find(|one| {
        let mut ids = one.credential_ids.iter();
        !ids.any(|id| answered.get(id.as_str()).is_some_and(|hashes| hashes.contains(&one.hash())))
    });
    match missing {
        None => Ok(()),
        Some(one) => Err(format!("no key binding agrees to the transaction of type `{}`", one.kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn payment() -> TransactionData {
        let members = json!({"payee": "Contoso", "amount": "12.50"});
        TransactionData::new("payment", &["card"], members.as_object().unwrap()).unwrap()
    }

    fn binding(hashes: Value) -> Map<String, Value> {
        json!({"transaction_data_hashes": hashes, "transaction_data_hashes_alg": "sha-256"})
            .as_object()
            .unwrap()
            .clone()
    }

    #[test]
    fn each_object_needs_the_agreement_of_one_of_its_credentials() {
        let expected = [payment()];
        let agreed = binding(json!([payment().hash()]));
        assert_eq!(check(&expected, &[("card", &agreed)]), Ok(()));
        assert_eq!(check(&expected, &[("other", &Map::new()), ("card", &agreed)]), Ok(()));
        assert!(check(&expected, &[("other", &agreed)]).is_err(), "another credential agrees");
        assert!(check(&expected, &[("card", &Map::new())]).is_err(), "nothing is agreed to");
        assert!(check(&expected, &[]).is_err());
        assert!(check(&[], &[("card", &agreed)]).is_err(), "nobody asked");
        let more = binding(json!([payment().hash(), "AAAA"]));
        assert!(check(&expected, &[("card", &more)]).is_err(), "one of the hashes is of something else");
        let mut other = agreed.clone();
        other.insert("transaction_data_hashes_alg".to_owned(), "sha-512".into());
        assert!(check(&expected, &[("card", &other)]).is_err(), "another algorithm");
    }

    #[test]
    fn what_is_no_transaction_data_is_refused() {
        let parse = |value: Value| TransactionData::parse(&b64u::encode(value.to_string()));
        assert!(parse(json!({"type": "payment", "credential_ids": ["card"]})).is_ok());
        for value in [
            json!([]),
            json!({"type": "payment"}),
            json!({"credential_ids": ["card"]}),
            json!({"type": "", "credential_ids": ["card"]}),
            json!({"type": "payment", "credential_ids": []}),
            json!({"type": "payment", "credential_ids": [1]}),
            json!({"type": "payment", "credential_ids": ["card"], "transaction_data_hashes_alg": ["sha-512"]}),
        ] {
            assert!(parse(value.clone()).is_err(), "{value}");
        }
        assert!(TransactionData::parse("e30=").is_err());
        assert!(TransactionData::parse(&"A".repeat(BYTES_MAX + 1)).is_err());
    }
}
