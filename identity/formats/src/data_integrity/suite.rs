//! The cryptosuites: what is hashed, with what, for which keys.

use crate::{FormatError, KeyType, VerificationKey, jcs};
use aval_linked_data::{Contexts, Hash};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A cryptosuite, or the one older kind of proof that is still verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// EdDSA over RDF.
    EddsaRdfc2022,
    /// EdDSA over canonical JSON.
    EddsaJcs2022,
    /// ECDSA over RDF, P-256 and P-384.
    EcdsaRdfc2019,
    /// ECDSA over canonical JSON, P-256 and P-384.
    EcdsaJcs2019,
    /// ECDSA over single statements, P-256: the holder chooses what to show.
    EcdsaSd2023,
    /// The proof type before cryptosuites had names. Verified, and made only for those who know nothing newer.
    Ed25519Signature2020,
}

impl Suite {
    /// All of them.
    pub const ALL: [Suite; 6] = [
        Suite::EddsaRdfc2022,
        Suite::EddsaJcs2022,
        Suite::EcdsaRdfc2019,
        Suite::EcdsaJcs2019,
        Suite::EcdsaSd2023,
        Suite::Ed25519Signature2020,
    ];

    /// Its name; for the oldest that of the proof type.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::EddsaRdfc2022 => "eddsa-rdfc-2022",
            Suite::EddsaJcs2022 => "eddsa-jcs-2022",
            Suite::EcdsaRdfc2019 => "ecdsa-rdfc-2019",
            Suite::EcdsaJcs2019 => "ecdsa-jcs-2019",
            Suite::EcdsaSd2023 => "ecdsa-sd-2023",
            Suite::Ed25519Signature2020 => "Ed25519Signature2020",
        }
    }

    /// The suite of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// True where JSON is hashed, false where RDF is.
    pub const fn is_jcs(self) -> bool {
        matches!(self, Suite::EddsaJcs2022 | Suite::EcdsaJcs2019)
    }

    /// Checks that a key is of a type that the suite has.
    pub fn check_key(self, key: &VerificationKey) -> Result<(), FormatError> {
        let fits = match self {
            Suite::EddsaRdfc2022 | Suite::EddsaJcs2022 | Suite::Ed25519Signature2020 => {
                key.kind() == KeyType::Ed25519
            }
            Suite::EcdsaSd2023 => key.kind() == KeyType::P256,
            Suite::EcdsaRdfc2019 | Suite::EcdsaJcs2019 => matches!(key.kind(), KeyType::P256 | KeyType::P384),
        };
        if fits { Ok(()) } else { Err(FormatError::Algorithm("proof")) }
    }
}

/// What is signed: the hash of the proof's configuration, then that of the document.
pub(super) fn hash_data(
    contexts: &Contexts,
    suite: Suite,
    unsecured: Map<String, Value>,
    config: &Map<String, Value>,
    kind: KeyType,
) -> Result<Vec<u8>, FormatError> {
    let (config, document) = if suite.is_jcs() {
        (jcs::canonicalize_object(config)?, jcs::canonicalize_object(&unsecured)?)
    } else {
        let hash = if kind == KeyType::P384 { Hash::Sha384 } else { Hash::Sha256 };
        let config = canonical_config(contexts, unsecured.get("@context"), config, hash)?;
        (config, contexts.canonicalize(&Value::Object(unsecured), hash)?.into_bytes())
    };
    Ok([digest(kind, &config), digest(kind, &document)].concat())
}

/// The canonical statements of a proof's configuration, which is read by the contexts of its document.
pub(super) fn canonical_config(
    contexts: &Contexts,
    context: Option<&Value>,
    config: &Map<String, Value>,
    hash: Hash,
) -> Result<Vec<u8>, FormatError> {
    let mut config = config.clone();
    if let Some(context) = context {
        config.insert("@context".to_owned(), context.clone());
    }
    Ok(contexts.canonicalize(&Value::Object(config), hash)?.into_bytes())
}

fn digest(kind: KeyType, bytes: &[u8]) -> Vec<u8> {
    match kind {
        KeyType::Ed25519 | KeyType::P256 => Sha256::digest(bytes).to_vec(),
        KeyType::P384 => Sha384::digest(bytes).to_vec(),
        // No suite is for these keys; this is what their signatures hash with.
        KeyType::P521 => Sha512::digest(bytes).to_vec(),
    }
}
