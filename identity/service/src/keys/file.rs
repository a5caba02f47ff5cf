//! The key file, plain or sealed.
//!
//! ```json
//! {"did": "did:aval:…", "active": "#key-2", "controlKeys": […], "documentKeys": {
//!   "#key-1": {"algorithm": "EdDSA", "seed": "<base64url>"},
//!   "#key-2": {"algorithm": "ES256", "pkcs11": "<CKA_ID in hexadecimal>"}}}
//! ```
//!
//! Without `active` the first key by name is the active one. Keys that control the DID may be in the file; they are
//! neither read nor kept when the file is written again for another reason.

use super::module::{Module, ModuleConfig};
use super::{IssuerKeys, Key};
use crate::fault::Fault;
use crate::home::require_private;
use aval_codec::b64u;
use aval_did::Did;
use aval_did::key::{Algorithm, Signer, SigningKey};
use aval_sealed::{Header, KeyDerivation, Magic, SealError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use zeroize::{Zeroize as _, Zeroizing};

const REMEDY: &str = "`aval-identityd issuer init --keys FILE` puts it there";
const PASSPHRASE_REMEDY: &str = "write the passphrase of the key file into it";
/// The first bytes of a sealed key file.
const MAGIC: Magic = b"aval-keys\n";
/// A passphrase for unattended use is read by a machine: it may well be long.
const PASSPHRASE_LENGTH_MIN: usize = 8;
/// Where a passphrase may be instead of in a file.
pub const PASSPHRASE_VARIABLE: &str = "AVAL_ISSUER_PASSPHRASE";

/// Where the keys are: a file, what opens it, and the module that it may point into.
#[derive(Debug, Clone)]
pub struct Source {
    /// The key file.
    pub path: PathBuf,
    /// How the key file is protected.
    pub sealing: Sealing,
    /// The PKCS#11 module, if keys are in one.
    pub module: Option<ModuleConfig>,
}

/// How a key file is protected.
#[derive(Debug, Clone, Default)]
pub enum Sealing {
    /// By its mode alone: the text is plain.
    #[default]
    Plain,
    /// Under the passphrase in the first line of a file.
    File(PathBuf),
    /// Under a passphrase that is asked for once: of the environment, else of the terminal.
    Asked(Asked),
}

/// A passphrase that is known from the moment that it was asked for.
#[derive(Clone, Default)]
pub struct Asked(Arc<OnceLock<Zeroizing<String>>>);

/// Shows nothing.
impl std::fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Asked")
    }
}

impl Asked {
    /// A passphrase for new keys: typed twice where it is typed.
    pub fn choose() -> Result<Self, Fault> {
        let asked = Self::default();
        if std::env::var_os(PASSPHRASE_VARIABLE).is_none() && std::io::stdin().is_terminal() {
            let chosen = typed("Passphrase for the issuer's keys: ")?;
            if chosen != typed("The same again: ")? {
                return Err(Fault::usage("the passphrases differ"));
            }
            let _ = asked.0.set(long_enough(chosen)?);
        }
        asked.passphrase()?;
        Ok(asked)
    }

    fn passphrase(&self) -> Result<Zeroizing<String>, Fault> {
        if let Some(known) = self.0.get() {
            return Ok(known.clone());
        }
        let given = match std::env::var(PASSPHRASE_VARIABLE) {
            Ok(text) => Zeroizing::new(text),
            Err(_) if std::io::stdin().is_terminal() => typed("Passphrase of the issuer's keys: ")?,
            Err(_) => {
                return Err(Fault::locked(format!(
                    "the issuer's keys are sealed: give their passphrase in a file (--passphrase-file at init), in \
                     {PASSPHRASE_VARIABLE}, or on a terminal"
                )));
            }
        };
        let given = long_enough(given)?;
        Ok(self.0.get_or_init(|| given).clone())
    }
}

fn typed(question: &str) -> Result<Zeroizing<String>, Fault> {
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| Fault::failed(format!("the terminal gave no passphrase: {error}")))
}

fn long_enough(text: Zeroizing<String>) -> Result<Zeroizing<String>, Fault> {
    if text.chars().count() < PASSPHRASE_LENGTH_MIN {
        return Err(Fault::failed(format!("a passphrase has {PASSPHRASE_LENGTH_MIN} characters at least")));
    }
    Ok(text)
}

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFile {
    /// Whose the keys are; none where a certificate says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    did: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    active: Option<String>,
    document_keys: BTreeMap<String, Secret>,
}

#[derive(Serialize, Deserialize)]
struct Secret {
    algorithm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pkcs11: Option<String>,
}

/// Shows no seed.
impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secret").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

/// A key that was added to a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// The name that the DID document has to give it.
    pub method: String,
    /// `EdDSA` or `ES256`.
    pub algorithm: &'static str,
    /// The public key as the DID document has to have it.
    pub public_key_multibase: String,
}

impl KeyFile {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        // The reader's own message could quote a value, and values are secrets here.
        let file: Self = serde_json::from_str(text)
            .map_err(|error| format!("line {}, column {} does not fit", error.line(), error.column()))?;
        if !file.did.is_empty() {
            file.did()?;
        }
        if file.document_keys.is_empty() {
            return Err("`documentKeys` is empty".to_owned());
        }
        if file.document_keys.keys().any(|method| !method.starts_with('#') || method.len() < 2) {
            return Err("a document key must be named as in the document, with a # in front".to_owned());
        }
        if file.active.as_ref().is_some_and(|active| !file.document_keys.contains_key(active)) {
            return Err("`active` names none of the `documentKeys`".to_owned());
        }
        Ok(file)
    }

    fn did(&self) -> Result<Did, String> {
        self.did.parse().map_err(|_| "`did` is not a did:aval".to_owned())
    }

    /// The keys that it names. `module` opens what is not in the file.
    pub fn keys(&self, module: &mut dyn FnMut() -> Result<Module, String>) -> Result<IssuerKeys, String> {
        let did = self.did()?;
        let mut keys = Vec::new();
        for (method, secret) in &self.document_keys {
            keys.push(Key::new(&did, method, secret.signer(module)?));
        }
        let active = self.active.as_ref().or(self.document_keys.keys().next());
        let active = active.ok_or("`documentKeys` is empty")?;
        IssuerKeys::several(did, keys, active).ok_or_else(|| "`active` names no key".to_owned())
    }

    /// The active key, whoever's it is.
    fn signer(
        &self,
        module: &mut dyn FnMut() -> Result<Module, String>,
    ) -> Result<Box<dyn Signer + Send + Sync>, String> {
        let secret = match &self.active {
            Some(active) => self.document_keys.get(active),
            None => self.document_keys.values().next(),
        };
        secret.ok_or("`documentKeys` is empty")?.signer(module)
    }

    /// Adds a key under the next free name.
    fn add(&mut self, secret: Secret) -> String {
        let method = (1..)
            .map(|number: u32| format!("#key-{number}"))
            .find(|method| !self.document_keys.contains_key(method))
            .unwrap_or_default();
        // What signs shall not change because a name comes earlier in the alphabet.
        if self.active.is_none() {
            self.active = self.document_keys.keys().next().cloned();
        }
        self.document_keys.insert(method.clone(), secret);
        method
    }
}

impl Secret {
    fn signer(
        &self,
        module: &mut dyn FnMut() -> Result<Module, String>,
    ) -> Result<Box<dyn Signer + Send + Sync>, String> {
        let algorithm =
            Algorithm::from_name(&self.algorithm).ok_or("the algorithm is neither EdDSA nor ES256")?;
        match (&self.seed, &self.pkcs11) {
            (Some(seed), None) => {
                let bytes = Zeroizing::new(b64u::decode(seed).unwrap_or_default());
                let seed = <[u8; 32]>::try_from(bytes.as_slice())
                    .map_err(|_| "a seed is not 32 bytes in base64url")?;
                let seed = Zeroizing::new(seed);
                let key =
                    SigningKey::from_secret(algorithm, &seed).map_err(|_| "a seed is not a valid key")?;
                Ok(Box::new(key))
            }
            (None, Some(id)) => Ok(Box::new(module()?.key(algorithm, id)?)),
            _ => Err("a document key has either `seed` or `pkcs11`".to_owned()),
        }
    }
}

/// The first line of a passphrase file.
fn passphrase(path: &Path) -> Result<Zeroizing<String>, Fault> {
    require_private(path, PASSPHRASE_REMEDY)?;
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| Fault::of_file(path, &error, PASSPHRASE_REMEDY))?;
    let line = Zeroizing::new(text.lines().next().unwrap_or_default().to_owned());
    if line.chars().count() < PASSPHRASE_LENGTH_MIN {
        return Err(Fault::failed(format!(
            "the first line of {} has fewer than {PASSPHRASE_LENGTH_MIN} characters",
            path.display()
        )));
    }
    Ok(line)
}

fn unusable(path: &Path, error: SealError) -> Fault {
    let sentence = format!("{}: {error}", path.display());
    match error {
        SealError::Passphrase => Fault::locked(sentence),
        _ => Fault::failed(sentence),
    }
}

impl Source {
    /// A plain file.
    pub fn plain(path: &Path) -> Self {
        Self { path: path.to_owned(), sealing: Sealing::Plain, module: None }
    }

    fn passphrase(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        match &self.sealing {
            Sealing::Plain => Ok(None),
            Sealing::File(file) => passphrase(file).map(Some),
            Sealing::Asked(asked) => asked.passphrase().map(Some),
        }
    }

    /// The text of the file, unsealed.
    pub fn text(&self) -> Result<Zeroizing<String>, Fault> {
        let path = self.path.as_path();
        require_private(path, REMEDY)?;
        let bytes = std::fs::read(path).map(Zeroizing::new);
        let bytes = bytes.map_err(|error| Fault::of_file(path, &error, REMEDY))?;
        let plain = match self.passphrase()? {
            None => bytes,
            Some(passphrase) => {
                let header = Header::parse(MAGIC, &bytes).map_err(|error| unusable(path, error))?;
                let key = header.derive(passphrase.as_bytes()).map_err(|error| unusable(path, error))?;
                header.unseal(&key, &bytes).map_err(|error| unusable(path, error))?
            }
        };
        let text = std::str::from_utf8(&plain)
            .map_err(|_| Fault::failed(format!("{} is not text", path.display())))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    /// The bytes of a file that this source would open, for a text.
    pub fn seal(&self, text: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let plain = Zeroizing::new(text.as_bytes().to_vec());
        let Some(passphrase) = self.passphrase()? else { return Ok(plain) };
        let sealed = Header::generate(MAGIC, KeyDerivation::STANDARD)
            .and_then(|header| header.seal(&header.derive(passphrase.as_bytes())?, plain))
            .map_err(|error| unusable(&self.path, error))?;
        Ok(Zeroizing::new(sealed))
    }

    fn parse(&self) -> Result<KeyFile, Fault> {
        KeyFile::parse(&self.text()?).map_err(|reason| self.unusable(&reason))
    }

    fn unusable(&self, reason: &str) -> Fault {
        Fault::failed(format!("{} is not a key file: {reason}", self.path.display()))
    }

    fn module(&self) -> Result<Module, String> {
        let config =
            self.module.as_ref().ok_or("it points into a PKCS#11 module, and config.json names none")?;
        Module::open(config)
    }

    /// Reads the keys.
    pub fn read(&self) -> Result<IssuerKeys, Fault> {
        let mut module: Option<Module> = None;
        let mut open = || match &module {
            Some(module) => Ok(module.clone()),
            None => self.module().inspect(|opened| module = Some(opened.clone())),
        };
        self.parse()?.keys(&mut open).map_err(|reason| self.unusable(&reason))
    }

    /// Reads the active key alone, of a file that need not say whose it is.
    pub fn read_signer(&self) -> Result<Box<dyn Signer + Send + Sync>, Fault> {
        self.parse()?.signer(&mut || self.module()).map_err(|reason| self.unusable(&reason))
    }

    /// Makes a key and adds it to the file; in the module, if it shall never leave that.
    pub fn add(&self, algorithm: Algorithm, in_module: bool) -> Result<Added, Fault> {
        let mut file = self.parse()?;
        let name = algorithm.name().to_owned();
        let (secret, public) = if in_module {
            let module = self.module().map_err(|reason| self.unusable(&reason))?;
            let (id, key) = module.generate(algorithm).map_err(Fault::failed)?;
            (Secret { algorithm: name, seed: None, pkcs11: Some(id) }, key.public())
        } else {
            let key = match algorithm {
                Algorithm::EdDsa => SigningKey::generate(),
                Algorithm::Es256 => SigningKey::generate_p256(),
            };
            let seed = b64u::encode(key.to_seed().as_slice());
            (Secret { algorithm: name, seed: Some(seed), pkcs11: None }, key.public())
        };
        let method = file.add(secret);
        let text = serde_json::to_string_pretty(&file).map(Zeroizing::new);
        let text = text.map_err(|error| Fault::failed(error.to_string()))?;
        crate::home::replace(&self.path, &self.seal(&text)?, 0o600)?;
        Ok(Added { method, algorithm: algorithm.name(), public_key_multibase: public.to_string() })
    }
}
