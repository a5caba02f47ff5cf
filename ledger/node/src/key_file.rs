//! The file with a node's network key.
//!
//! ```json
//! {"type": "Ed25519", "public": "z6Mk…", "seed": "<base64url of 32 bytes>"}
//! ```
//!
//! The file is made with mode 0600, and a file that others may read is refused. The seed never appears in a message.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aval_codec::b64u;
use aval_did::key::SigningKey;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::config::write_new;
use crate::fault::{Fault, file_fault};

/// A signing key as a file holds it; also inside of other files.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// `Ed25519`.
    #[serde(rename = "type")]
    key_type: String,
    /// The public key as a multikey.
    public: String,
    seed: Seed,
}

/// 32 secret bytes; base64url in a file, wiped from memory.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// The seed of a key.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.to_seed())
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(b64u::encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = b64u::decode_array::<32>(&*text);
        bytes
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .map_err(|_| D::Error::custom("not 32 bytes in base64url"))
    }
}

const ED25519: &str = "Ed25519";

impl StoredKey {
    /// The form in which a file holds an Ed25519 key.
    pub fn of(key: &SigningKey) -> Self {
        Self { key_type: ED25519.to_owned(), public: key.public().to_multikey(), seed: Seed::of(key) }
    }

    /// The public key as a multikey, as the file states it.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The key, if the file is sound: seed and public key must belong together.
    pub fn key(&self) -> Result<NodeKey, &'static str> {
        if self.key_type != ED25519 {
            return Err("its type is not Ed25519");
        }
        let signer = SigningKey::from_seed(&self.seed.0);
        if signer.public().to_multikey() != self.public {
            return Err("its public key does not belong to its seed");
        }
        Ok(NodeKey { seed: self.seed.0.clone(), signer })
    }
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StoredKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A node's key.
pub struct NodeKey {
    seed: Zeroizing<[u8; 32]>,
    signer: SigningKey,
}

impl NodeKey {
    /// The public half.
    pub fn public(&self) -> aval_did::PublicKey {
        self.signer.public()
    }

    /// The secret, for the consensus engine.
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Signs what the node says of itself. Votes are signed by the consensus engine.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signer.sign(message)
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NodeKey")
            .field("public", &self.public().to_multikey())
            .finish_non_exhaustive()
    }
}

/// Makes a key and its file. Refuses to replace one.
pub fn generate(path: &Path) -> Result<StoredKey, Fault> {
    let stored = StoredKey::of(&SigningKey::generate());
    write(path, &stored)?;
    Ok(stored)
}

/// Writes a file that only its owner may read.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), Fault> {
    let text = serde_json::to_string_pretty(value)
        .map(|text| Zeroizing::new(text + "\n"))
        .map_err(|_| Fault::failed(format!("{} cannot be written", path.display())))?;
    write_new(path, text.as_bytes(), 0o600)
}

/// Reads a node's key file.
pub fn read(path: &Path) -> Result<NodeKey, Fault> {
    let metadata = fs::metadata(path).map_err(|error| file_fault("the node's key", path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Fault::locked(format!(
            "{} may be read by others: run chmod 600 on it, and consider the key known to them",
            path.display()
        )));
    }
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| file_fault("the node's key", path, &error))?;
    let damaged = |what: &str| {
        Fault::failed(format!("{} is no key file ({what}): restore it from a backup", path.display()))
    };
    // The reader's own message could quote the content, so it is not passed on.
    let stored: StoredKey =
        serde_json::from_str(&text).map_err(|_| damaged("it is not the JSON that is expected"))?;
    stored.key().map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_private_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        let stored = generate(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().public().to_multikey(), stored.public());
        assert!(generate(&path).unwrap_err().to_string().contains("exists already"));
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.key");
        generate(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let fault = read(&path).unwrap_err();
        assert_eq!(fault.exit_code(), 4);
        assert!(fault.to_string().contains("chmod 600"));
    }

    #[test]
    fn a_damaged_file_is_refused_without_showing_its_content() {
        let folder = tempfile::tempdir().unwrap();
        for text in
            ["", "{\"type\":\"Ed25519\",\"public\":\"z6Mkx\",\"seed\":\"SECRET\"}", "{\"seed\":\"SECRET\"}"]
        {
            let path = folder.path().join("node.key");
            let _ = fs::remove_file(&path);
            write_new(&path, text.as_bytes(), 0o600).unwrap();
            let sentence = read(&path).unwrap_err().to_string();
            assert!(sentence.contains("no key file"), "{sentence}");
            assert!(!sentence.contains("SECRET"), "{sentence}");
        }
        assert_eq!(read(&folder.path().join("none")).unwrap_err().exit_code(), 5);
    }

    #[test]
    fn nothing_that_is_printed_for_debugging_holds_the_seed() {
        let stored = StoredKey::of(&SigningKey::from_seed(&[7; 32]));
        let secret = b64u::encode([7; 32]);
        assert!(!format!("{stored:?}").contains(&secret));
        assert!(!format!("{:?}", stored.key().unwrap()).contains(&secret));
    }
}
