//! The issuer's key file: its DID, the keys of its document, and the keys that control it.
//!
//! ```json
//! {"did": "did:aval:…", "documentKeys": {"#key-1": {"algorithm": "EdDSA", "seed": "<base64url>"}}, "controlKeys": [{…}]}
//! ```
//!
//! The file has mode 0600; a file that others may read is refused. Secrets are wiped from memory and never shown.

use anyhow::{Context, Result, bail};
use aval_codec::b64u;
use aval_did::key::{Algorithm, SigningKey};
use aval_did::Did;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The issuer's identity with its private keys.
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

impl IssuerKeys {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).with_context(|| {
            format!("the key file {} cannot be read; `aval-identityd issuer init --keys FILE` puts it there", path.display())
        })?;
        if metadata.permissions().mode() & 0o077 != 0 {
            bail!("the key file {} can be read by others; run: chmod 600 {}", path.display(), path.display());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not an issuer's key file", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: KeyFile = serde_json::from_str(text)?;
        let did: Did = file.did.parse().ok().context("`did` is not a did:aval")?;
        let (method, secret) = file.document_keys.into_iter().next().context("`documentKeys` is empty")?;
        let algorithm = Algorithm::from_name(&secret.algorithm).context("the algorithm is neither EdDSA nor ES256")?;
        let seed = b64u::decode(&secret.seed).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let seed = seed.context("a seed is not 32 bytes in base64url")?;
        let signing = SigningKey::from_secret(algorithm, &seed).ok().context("a seed is not a valid key")?;
        Ok(Self { did, method, signing })
    }

    /// The DID URL of the signing method.
    pub fn key_id(&self) -> String {
        format!("{}{}", self.did, self.method)
    }
}
