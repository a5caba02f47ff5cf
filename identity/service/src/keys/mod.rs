//! The issuer's key file: its DID and the key of its document. Keys that control the DID may be in it and are not read.
//!
//! ```json
//! {"did": "did:aval:…", "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": "<base64url>"}}, "controlKeys": […]}
//! ```
//!
//! The file has mode 0600; a file that others may read is refused. Secrets are wiped from memory and never shown, not
//! even in the sentence that says why a file cannot be read.

use crate::fault::Fault;
use crate::home::require_private;
use aval_codec::b64u;
use aval_did::Did;
use aval_did::key::{Algorithm, SigningKey};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use zeroize::{Zeroize as _, Zeroizing};

const REMEDY: &str = "`aval-identityd issuer init --keys FILE` puts it there";

/// The issuer's identity with its private key.
#[derive(Debug)]
pub struct IssuerKeys {
    /// The issuer's DID, which the ledger accredits.
    pub did: Did,
    /// The verification method that signs credentials, with its `#`.
    pub method: String,
    /// The key of that method: it signs credentials and the issuer's transactions.
    pub signing: SigningKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyFile {
    did: String,
    document_keys: BTreeMap<String, Secret>,
}

#[derive(Deserialize)]
struct Secret {
    algorithm: String,
    seed: String,
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

impl IssuerKeys {
    /// Reads the file; gives its text too, for a copy.
    pub fn read(path: &Path) -> Result<(Self, Zeroizing<String>), Fault> {
        require_private(path, REMEDY)?;
        let text = std::fs::read_to_string(path).map_err(|error| Fault::of_file(path, &error, REMEDY))?;
        let text = Zeroizing::new(text);
        let keys = Self::parse(&text).map_err(|reason| {
            Fault::failed(format!("{} is not an issuer's key file: {reason}", path.display()))
        })?;
        Ok((keys, text))
    }

    /// Reads the text of a key file. Of several document keys the first by name signs.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The reader's own message could quote a value, and values are secrets here.
        let file: KeyFile = serde_json::from_str(text)
            .map_err(|error| format!("line {}, column {} does not fit", error.line(), error.column()))?;
        let did: Did = file.did.parse().map_err(|_| "`did` is not a did:aval")?;
        let (method, secret) = file.document_keys.into_iter().next().ok_or("`documentKeys` is empty")?;
        if !method.starts_with('#') || method.len() < 2 {
            return Err("a document key must be named as in the document, with a # in front".to_owned());
        }
        let algorithm =
            Algorithm::from_name(&secret.algorithm).ok_or("the algorithm is neither EdDSA nor ES256")?;
        let bytes = Zeroizing::new(b64u::decode(&secret.seed).unwrap_or_default());
        let seed =
            <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| "a seed is not 32 bytes in base64url")?;
        let seed = Zeroizing::new(seed);
        let signing = SigningKey::from_secret(algorithm, &seed).map_err(|_| "a seed is not a valid key")?;
        Ok(Self { did, method, signing })
    }

    /// The DID URL of the signing method.
    pub fn key_id(&self) -> String {
        format!("{}{}", self.did, self.method)
    }
}

#[cfg(test)]
mod tests;
