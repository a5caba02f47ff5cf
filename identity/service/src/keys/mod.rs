//! Who signs: the issuer's DID, and one or more keys of its document, of which one is active.
//!
//! A key file names the keys. A private key is in the file itself, or in a PKCS#11 module ([`module`]) that the file
//! only points at. The file is sealed under a passphrase ([`file`]), or plain with mode 0600; one that others may read
//! is refused. Secrets are wiped from memory and never shown, not even in the sentence that says why a file cannot be
//! read.
//!
//! Rotation: a further key is added to the file, the DID document comes to name it, then it is made the active one in
//! the running service. Keys that signed earlier stay in the document, so what they signed stays verifiable.

pub mod file;
pub mod module;
#[cfg(test)]
mod tests;

use crate::fault::Fault;
use aval_did::Did;
use aval_did::key::{Algorithm, PublicKey, Signer, SignerError, SigningKey};
use aval_formats::{FormatError, VerificationKey};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// One key of the issuer's document.
pub struct Key {
    method: String,
    id: String,
    public: PublicKey,
    signer: Box<dyn Signer + Send + Sync>,
}

impl Key {
    /// A key under the name that the DID document gives it, with its `#`.
    pub fn new(did: &Did, method: &str, signer: Box<dyn Signer + Send + Sync>) -> Self {
        let id = format!("{did}{method}");
        Self { method: method.to_owned(), id, public: signer.public(), signer }
    }

    /// The verification method, with its `#`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The DID URL of the verification method.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }
}

impl Signer for Key {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        self.signer.try_sign(message)
    }
}

/// The same key for the general formats.
impl aval_formats::Signer for Key {
    fn public(&self) -> VerificationKey {
        self.public.into()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, FormatError> {
        self.signer.try_sign(message).map(Vec::from).map_err(|error| FormatError::Signer(error.0))
    }
}

/// Shows the public half.
impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({} {})", self.id, self.public)
    }
}

#[derive(Debug)]
struct Ring {
    keys: Vec<Arc<Key>>,
    active: Arc<Key>,
}

/// The issuer's identity with its keys. They may change while it is used: whoever signs takes the active key once.
#[derive(Debug)]
pub struct IssuerKeys {
    did: Did,
    ring: RwLock<Ring>,
    certificates: RwLock<BTreeMap<String, Vec<Vec<u8>>>>,
    source: Option<file::Source>,
}

impl IssuerKeys {
    /// An issuer with one key in memory.
    pub fn single(did: Did, method: &str, key: SigningKey) -> Self {
        let active = Arc::new(Key::new(&did, method, Box::new(key)));
        let ring = RwLock::new(Ring { keys: vec![active.clone()], active });
        Self { did, ring, certificates: RwLock::default(), source: None }
    }

    /// An issuer with several keys; `None` if `active` names none of them.
    pub fn several(did: Did, keys: Vec<Key>, active: &str) -> Option<Self> {
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        let active = keys.iter().find(|key| key.method == active)?.clone();
        let ring = RwLock::new(Ring { keys, active });
        Some(Self { did, ring, certificates: RwLock::default(), source: None })
    }

    /// Reads the keys that a source names.
    pub fn open(source: file::Source) -> Result<Self, Fault> {
        let mut keys = source.read()?;
        keys.source = Some(source);
        Ok(keys)
    }

    /// The issuer's DID, which the ledger accredits.
    pub fn did(&self) -> &Did {
        &self.did
    }

    /// The key that signs from now on.
    pub fn active(&self) -> Arc<Key> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).active.clone()
    }

    /// All keys at hand.
    pub fn all(&self) -> Vec<Arc<Key>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// The key of a verification method.
    pub fn named(&self, method: &str) -> Option<Arc<Key>> {
        self.all().into_iter().find(|key| key.method == method)
    }

    /// Gives a key its certificates, as DER and its own first.
    pub fn certify(&self, method: &str, chain: Vec<Vec<u8>>) -> Result<(), Fault> {
        let key = self.named(method);
        let key =
            key.ok_or_else(|| Fault::failed(format!("there are certificates for {method}, and no key")))?;
        let certified = chain.first().and_then(|leaf| aval_openid::x509::leaf(leaf).ok());
        if certified.map(|certified| certified.key) != Some(key.public) {
            return Err(Fault::failed(format!("the first certificate for {method} is not one of that key")));
        }
        self.certificates.write().unwrap_or_else(PoisonError::into_inner).insert(method.to_owned(), chain);
        Ok(())
    }

    /// The certificates of a key.
    pub fn certificates(&self, method: &str) -> Option<Vec<Vec<u8>>> {
        self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(method).cloned()
    }

    /// Adds a key in memory, for tests of rotation.
    #[cfg(test)]
    pub(crate) fn add(&self, key: Key) {
        self.ring.write().unwrap_or_else(PoisonError::into_inner).keys.push(Arc::new(key));
    }

    /// Reads the source again, for keys that were added to it. The active key stays the same.
    pub fn reload(&self) -> Result<(), Fault> {
        let Some(source) = &self.source else { return Ok(()) };
        let fresh = source.read()?;
        if fresh.did != self.did {
            return Err(Fault::failed("the key file is of another DID now: start the service again"));
        }
        let keys = fresh.all();
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let active = ring.active.clone();
        ring.keys = keys;
        if !ring.keys.iter().any(|key| key.method == active.method) {
            ring.keys.push(active);
        }
        Ok(())
    }

    /// Makes a key the active one; false if it is not at hand.
    pub fn activate(&self, method: &str) -> bool {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = ring.keys.iter().find(|key| key.method == method).cloned() else { return false };
        ring.active = key;
        true
    }
}
