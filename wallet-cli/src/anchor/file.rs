//! What is kept beside an anchored file: salt, commitment and the proven receipt.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use aval_codec::{Hash, b64u};
use aval_proof::LedgerProof;
use aval_types::Commitment;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::error::WalletError;
use crate::home;

/// The contents of `FILE.anchor.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnchorFile {
    pub(super) network: String,
    pub(super) kind: String,
    /// 32 bytes, base64url: a secret as long as the file is one.
    pub(super) salt: String,
    /// SHA-256 of the file.
    pub(super) digest: Hash,
    pub(super) commitment: Commitment,
    /// The ledger proof of the receipt; none until the transaction is final.
    pub(super) receipt: Option<Value>,
}

impl AnchorFile {
    pub(super) fn read(path: &Path) -> Result<Self, WalletError> {
        serde_json::from_slice(&home::read_input(path)?)
            .map_err(|error| WalletError::Failed(format!("{} is no anchor: {error}", path.display())))
    }

    /// Never replaces one that is there: its salt would be lost.
    pub(super) fn write_new(&self, path: &Path) -> Result<(), WalletError> {
        home::write_secret(path, &self.to_bytes()?)
    }

    pub(super) fn replace(&self, path: &Path) -> Result<(), WalletError> {
        home::replace(path, &self.to_bytes()?)
    }

    pub(super) fn salt(&self) -> Result<[u8; 32], WalletError> {
        b64u::decode_array(&self.salt)
            .map_err(|_| WalletError::Failed("the anchor's salt is not 32 bytes in base64url".to_owned()))
    }

    pub(super) fn proof(&self) -> Result<LedgerProof, WalletError> {
        let receipt = self.receipt.as_ref().ok_or_else(|| {
            WalletError::TryLater("the anchor holds no receipt: it was not final when it was made".to_owned())
        })?;
        LedgerProof::from_json(receipt.to_string().as_bytes())
            .map_err(|error| WalletError::Failed(format!("the anchor's receipt cannot be read: {error}")))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, WalletError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| WalletError::Failed(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// SHA-256 of a file of any size.
pub(super) fn digest(path: &Path) -> Result<Hash, WalletError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => WalletError::NotFound(format!("there is no file {}", path.display())),
        _ => WalletError::io("read", path.display().to_string(), source),
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(Hash::new(hasher.finalize().into()));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}
