//! Further issuers behind the VC-API, each with a way of securing of its own: the issuer's DID with another suite, or a
//! `did:key` with a key that is kept for it.
//!
//! A `did:key` is on no ledger, so nobody accredits it: what it issues counts where a verifier trusts it by name, in
//! tests and closed groups. Its status entries are bits of the issuer's registries on the ledger, in lists that the
//! instance signs.
//!
//! The file, sealed as the key file is:
//!
//! ```json
//! {"tests": {"suite": "ecdsa-sd-2023", "key": {"algorithm": "ES256", "secret": "<base64url>"}, "status": true}}
//! ```

use crate::fault::Fault;
use crate::keys::file::Source;
use aval_codec::b64u;
use aval_formats::data_integrity::Suite;
use aval_formats::{KeyType, SigningKey};
use aval_types::registry::is_registry_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// The name of the securing by VC-JOSE-COSE, beside those of cryptosuites.
pub const VC_JWT: &str = "vc+jwt";

/// How an instance secures credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Securing {
    /// With a Data Integrity proof.
    Proof(Suite),
    /// In a JWT, given out as an enveloped credential.
    Jwt,
}

impl Securing {
    /// The securing of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == VC_JWT {
            return Some(Self::Jwt);
        }
        Suite::from_name(name).filter(|suite| *suite != Suite::Ed25519Signature2020).map(Self::Proof)
    }
}

/// What the file says of an instance.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// A cryptosuite, or `vc+jwt`.
    pub suite: String,
    /// The key of a `did:key`; without one it is the issuer's DID and its active key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<InstanceKey>,
    /// Whether credentials get status entries.
    #[serde(default)]
    pub status: bool,
}

/// A key in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceKey {
    /// `EdDSA`, `ES256` or `ES384`.
    pub algorithm: String,
    /// In base64url.
    pub secret: String,
}

impl Drop for InstanceKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// A key that issues for itself.
pub struct OwnKey {
    /// The `did:key`.
    pub did: String,
    /// The DID URL of its method.
    pub id: String,
    /// The key.
    pub key: SigningKey,
}

/// An instance.
pub struct Instance {
    /// Its name in paths.
    pub name: String,
    /// How it secures.
    pub securing: Securing,
    /// Its key, if it is a `did:key`.
    pub own: Option<OwnKey>,
    /// Whether credentials get status entries.
    pub status: bool,
}

/// Shows no secret.
impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Instance");
        shown.field("name", &self.name).field("securing", &self.securing).finish_non_exhaustive()
    }
}

/// All instances by name.
pub type Instances = BTreeMap<String, Instance>;

impl InstanceConfig {
    /// With a new key of this algorithm, or the issuer's own.
    pub fn generate(suite: &str, algorithm: Option<&str>, status: bool) -> Result<Self, String> {
        let key = match algorithm {
            None => None,
            Some(name) => {
                let kind = KeyType::of_algorithm(name).ok_or("the algorithm is EdDSA, ES256 or ES384")?;
                let secret = b64u::encode(SigningKey::generate(kind).to_secret().as_slice());
                Some(InstanceKey { algorithm: name.to_owned(), secret })
            }
        };
        Ok(Self { suite: suite.to_owned(), key, status })
    }

    /// The instance that it describes.
    pub fn instance(&self, name: &str) -> Result<Instance, String> {
        if !is_registry_name(name) {
            return Err("a name is 1 to 32 of a-z, 0-9 and -".to_owned());
        }
        let securing = Securing::from_name(&self.suite).ok_or("the suite is not known")?;
        let own = self.key.as_ref().map(InstanceKey::own).transpose()?;
        if let (Securing::Proof(suite), Some(own)) = (securing, &own) {
            suite.check_key(&own.key.public()).map_err(|_| "the suite has no keys of this algorithm")?;
        }
        Ok(Instance { name: name.to_owned(), securing, own, status: self.status })
    }
}

impl InstanceKey {
    fn own(&self) -> Result<OwnKey, String> {
        let kind = KeyType::of_algorithm(&self.algorithm).ok_or("the algorithm is not known")?;
        let secret = Zeroizing::new(b64u::decode(&self.secret).map_err(|_| "a secret is not base64url")?);
        let key = SigningKey::from_secret(kind, &secret).map_err(|_| "a secret is not a key")?;
        let multikey = key.public().to_multikey();
        let did = format!("did:key:{multikey}");
        Ok(OwnKey { id: format!("{did}#{multikey}"), did, key })
    }
}

/// What the file says; nothing if there is none.
pub fn read(source: &Source) -> Result<BTreeMap<String, InstanceConfig>, Fault> {
    if !source.path.exists() {
        return Ok(BTreeMap::new());
    }
    // The reader's own message could quote a secret.
    serde_json::from_str(&source.text()?)
        .map_err(|_| Fault::failed(format!("{} is not a file of instances", source.path.display())))
}

/// Opens what the file says.
pub fn open(source: &Source) -> Result<Instances, Fault> {
    let named = read(source)?;
    let opened = named.iter().map(|(name, config)| {
        let instance = config.instance(name);
        instance.map(|instance| (name.clone(), instance)).map_err(|reason| {
            Fault::failed(format!("{}: the instance {name}: {reason}", source.path.display()))
        })
    });
    opened.collect()
}

/// Adds an instance to the file.
pub fn add(source: &Source, name: &str, config: InstanceConfig) -> Result<Instance, Fault> {
    let instance = config.instance(name).map_err(Fault::usage)?;
    let mut all = read(source)?;
    if all.insert(name.to_owned(), config).is_some() {
        return Err(Fault::failed(format!("there is an instance {name}")));
    }
    let text = serde_json::to_string_pretty(&all).map(Zeroizing::new);
    let text = text.map_err(|error| Fault::failed(error.to_string()))?;
    crate::home::replace(&source.path, &source.seal(&text)?, 0o600)?;
    Ok(instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_a_suite_that_its_key_can_do() {
        for (suite, algorithm) in [
            ("eddsa-rdfc-2022", "EdDSA"),
            ("eddsa-jcs-2022", "EdDSA"),
            ("ecdsa-rdfc-2019", "ES256"),
            ("ecdsa-jcs-2019", "ES384"),
            ("ecdsa-sd-2023", "ES256"),
            (VC_JWT, "ES384"),
        ] {
            let config = InstanceConfig::generate(suite, Some(algorithm), false).unwrap();
            let instance = config.instance("tests").unwrap();
            let own = instance.own.unwrap();
            assert!(own.id.starts_with(&own.did) && own.did.starts_with("did:key:z"));
            assert!(config.instance("No Name").is_err());
        }
        for (suite, algorithm) in [
            ("eddsa-rdfc-2022", "ES256"),
            ("ecdsa-sd-2023", "ES384"),
            ("Ed25519Signature2020", "EdDSA"),
            ("bbs-2023", "ES256"),
        ] {
            let config = InstanceConfig::generate(suite, Some(algorithm), false).unwrap();
            assert!(config.instance("tests").is_err(), "{suite} {algorithm}");
        }
        assert!(InstanceConfig::generate("eddsa-rdfc-2022", Some("RS256"), false).is_err());
    }
}
