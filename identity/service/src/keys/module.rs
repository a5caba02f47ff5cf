//! Keys in a PKCS#11 module: a hardware security module, a smart card, or SoftHSM. They are found by `CKA_ID`, never
//! leave the module, and sign one at a time.
//!
//! Mechanisms: `CKM_EDDSA` with Ed25519 and `CKM_ECDSA` with P-256 over a SHA-256 digest made here. A key signs a
//! challenge when it is opened and the signature is verified by our own rules, so that a module with other ideas of a
//! mechanism is noticed before anything is issued.

use crate::home::require_private;
use aval_codec::sha256;
use aval_did::key::{Algorithm, PublicKey, Signer, SignerError, normalize_es256_low_s};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The object identifier of P-256, DER.
const OID_P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// The object identifier of Ed25519 (RFC 8410), DER.
const OID_ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
/// The name of the curve as older modules have it: a `PrintableString`.
const NAME_ED25519: [u8; 14] = *b"\x13\x0cedwards25519";

/// Which module, and how it is opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModuleConfig {
    /// The module's library.
    pub library: PathBuf,
    /// The label of the token.
    pub token: String,
    /// A file with the user's PIN in its first line, mode 0600.
    pub pin_file: PathBuf,
}

/// An open module. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    opened: Arc<Opened>,
}

struct Opened {
    library: Pkcs11,
    slot: Slot,
    session: Mutex<Option<Session>>,
    pin: AuthPin,
}

impl fmt::Debug for Module {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Module").field("slot", &self.opened.slot.id()).finish_non_exhaustive()
    }
}

/// Libraries of this process: one may be initialized only once.
static LIBRARIES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

fn library(path: &PathBuf) -> Result<Pkcs11, String> {
    let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = libraries.get(path) {
        return Ok(library.clone());
    }
    let shown = path.display();
    let library = Pkcs11::new(path).map_err(|error| format!("{shown} is no PKCS#11 library: {error}"))?;
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(format!("the PKCS#11 library {shown} does not start: {error}")),
    }
    libraries.insert(path.clone(), library.clone());
    Ok(library)
}

impl Module {
    /// Loads the library, finds the token and logs in.
    pub fn open(config: &ModuleConfig) -> Result<Self, String> {
        require_private(&config.pin_file, "write the token's PIN into it")
            .map_err(|fault| fault.to_string())?;
        let pin = std::fs::read_to_string(&config.pin_file)
            .map_err(|error| format!("{} cannot be read: {error}", config.pin_file.display()))?;
        let pin = AuthPin::from(pin.lines().next().unwrap_or_default().to_owned());
        let library = library(&config.library)?;
        let slots = library.get_slots_with_token().map_err(|error| format!("no slots: {error}"))?;
        let wanted = |slot: &&Slot| {
            library.get_token_info(**slot).is_ok_and(|token| token.label().trim_end() == config.token)
        };
        let slot = *slots
            .iter()
            .find(wanted)
            .ok_or_else(|| format!("the PKCS#11 module has no token `{}`", config.token))?;
        let module = Self { opened: Arc::new(Opened { library, slot, session: Mutex::new(None), pin }) };
        module
            .with_session(|_| Ok(()))
            .map_err(|error| format!("the PKCS#11 token cannot be used: {error}"))?;
        Ok(module)
    }

    /// Works in the one session. A session that the module has closed, for instance because the token was taken out
    /// for a moment, is opened once more.
    fn with_session<T>(&self, work: impl Fn(&Session) -> Result<T, Error>) -> Result<T, Error> {
        let mut place = self.opened.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = place.as_ref() {
            match work(session) {
                Err(Error::Pkcs11(
                    RvError::SessionHandleInvalid
                    | RvError::SessionClosed
                    | RvError::UserNotLoggedIn
                    | RvError::DeviceRemoved
                    | RvError::DeviceError,
                    _,
                )) => *place = None,
                done => return done,
            }
        }
        let session = self.opened.library.open_rw_session(self.opened.slot)?;
        match session.login(UserType::User, Some(&self.opened.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error),
        }
        let done = work(&session);
        *place = Some(session);
        done
    }

    /// The key with a `CKA_ID`, hexadecimal.
    pub fn key(&self, algorithm: Algorithm, id: &str) -> Result<ModuleKey, String> {
        let bytes = from_hex(id).ok_or("a `pkcs11` is not hexadecimal")?;
        let find = |session: &Session, class: ObjectClass| {
            let template = [Attribute::Class(class), Attribute::Id(bytes.clone())];
            Ok::<_, Error>(session.find_objects(&template)?.first().copied())
        };
        let found = self.with_session(|session| {
            let private = find(session, ObjectClass::PRIVATE_KEY)?;
            let Some(public) = find(session, ObjectClass::PUBLIC_KEY)? else { return Ok((private, None)) };
            let attributes = session.get_attributes(public, &[AttributeType::EcPoint])?;
            let point = attributes.into_iter().find_map(|attribute| match attribute {
                Attribute::EcPoint(point) => Some(point),
                _ => None,
            });
            Ok((private, point))
        });
        let (private, point) = found.map_err(|error| format!("the PKCS#11 module: {error}"))?;
        let handle = private.ok_or_else(|| format!("the PKCS#11 token has no private key {id}"))?;
        let point = point.ok_or_else(|| format!("the PKCS#11 token has no public key {id}"))?;
        let public = public_key(algorithm, &point)
            .ok_or_else(|| format!("the PKCS#11 key {id} is no {} key", algorithm.name()))?;
        let key = ModuleKey { module: self.clone(), handle, public };
        let challenge: [u8; 32] = rand::rng().random();
        let signature = key.try_sign(&challenge).map_err(|error| format!("the PKCS#11 key {id}: {error}"))?;
        if public.verify(algorithm, &challenge, &signature).is_err() {
            return Err(format!("the PKCS#11 key {id} makes signatures that do not verify"));
        }
        Ok(key)
    }

    /// Makes a key that never leaves the module; gives its `CKA_ID` in hexadecimal.
    pub fn generate(&self, algorithm: Algorithm) -> Result<(String, ModuleKey), String> {
        let id: [u8; 8] = rand::rng().random();
        let (mechanism, curves) = match algorithm {
            Algorithm::EdDsa => {
                (Mechanism::EccEdwardsKeyPairGen, vec![OID_ED25519.to_vec(), NAME_ED25519.to_vec()])
            }
            Algorithm::Es256 => (Mechanism::EccKeyPairGen, vec![OID_P256.to_vec()]),
        };
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Id(id.to_vec()),
        ];
        let made = self.with_session(|session| {
            let mut made = Err(Error::NotSupported);
            for curve in &curves {
                let public = [
                    Attribute::Token(true),
                    Attribute::Verify(true),
                    Attribute::Id(id.to_vec()),
                    Attribute::EcParams(curve.clone()),
                    Attribute::KeyType(match algorithm {
                        Algorithm::EdDsa => KeyType::EC_EDWARDS,
                        Algorithm::Es256 => KeyType::EC,
                    }),
                ];
                made = session.generate_key_pair(&mechanism, &public, &private);
                if made.is_ok() {
                    break;
                }
            }
            made
        });
        made.map_err(|error| format!("the PKCS#11 module made no key: {error}"))?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = self.key(algorithm, &id)?;
        Ok((id, key))
    }
}

/// A key in a module.
pub struct ModuleKey {
    module: Module,
    handle: ObjectHandle,
    public: PublicKey,
}

impl Signer for ModuleKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn try_sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        let signed = self.module.with_session(|session| match self.public.algorithm() {
            Algorithm::EdDsa => {
                let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
                session.sign(&mechanism, self.handle, message)
            }
            Algorithm::Es256 => session.sign(&Mechanism::Ecdsa, self.handle, sha256(message).as_bytes()),
        });
        let signature = signed.map_err(|error| SignerError(error.to_string()))?;
        let signature = <[u8; 64]>::try_from(signature)
            .map_err(|_| SignerError("the module's signature is not of 64 bytes".to_owned()))?;
        match self.public.algorithm() {
            Algorithm::EdDsa => Ok(signature),
            Algorithm::Es256 => normalize_es256_low_s(&signature)
                .ok_or_else(|| SignerError("the module's signature is not one of P-256".to_owned())),
        }
    }
}

impl fmt::Debug for ModuleKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ModuleKey({})", self.public)
    }
}

/// The public key of a `CKA_EC_POINT`: an OCTET STRING in DER, or what is in one.
fn public_key(algorithm: Algorithm, point: &[u8]) -> Option<PublicKey> {
    let inner = match point {
        [0x04, length, inner @ ..] if usize::from(*length) == inner.len() => inner,
        bare => bare,
    };
    match algorithm {
        Algorithm::EdDsa => PublicKey::ed25519(inner).ok(),
        Algorithm::Es256 => PublicKey::p256(inner).ok(),
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}
