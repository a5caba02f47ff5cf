//! The genesis file: the network's first state and, by its hash, its trust anchor (specs/wire.md, "Genesis").
//!
//! It is a reviewed JSON file. Its hash is plain SHA-256 over its bytes as they are, so `sha256sum genesis.json`
//! shows it; nobody needs this program to compare two copies. Everything that all nodes must agree on from the
//! first block is in it.

use std::net::SocketAddr;

use aval_codec::{Hash, Limits, json, merkle, sha256};
use aval_did::{Control, Create, Did, Document, PublicKey, syntax::is_network_label};
use serde::{Deserialize, Serialize};

use crate::{
    accreditation::{AccreditationKind, AccreditationRecord, AccreditedType, excess, validate_scope},
    block::{Header, validators_hash},
    limits,
    network::NetworkId,
    node::UNSPECIFIED,
};

pub use crate::parameters::Parameters;

/// The version of the file's format.
pub const GENESIS_VERSION: u32 = 1;

/// Why a file is not a genesis. The text is for the operator who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Not the JSON that is expected.
    #[error("genesis.json cannot be read: {0}")]
    Malformed(String),
    /// Read, but it cannot start a network.
    #[error("genesis.json is not valid: {0}")]
    Invalid(String),
}

impl GenesisError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "genesis.malformed",
            Self::Invalid(_) => "genesis.invalid",
        }
    }
}

/// The contents of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The version of the format: 1.
    pub version: u32,
    /// The network's label.
    pub network: String,
    /// Time of the genesis block, milliseconds since 1970.
    pub time: u64,
    /// Parameters of the network.
    pub parameters: Parameters,
    /// Who may do what, as the text of a policy set; the default set if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::strictly_some")]
    pub policy: Option<String>,
    /// Who makes blocks.
    pub validators: Vec<Validator>,
    /// Who governs.
    pub governors: Governors,
    /// DIDs that exist from the start.
    pub dids: Vec<GenesisDid>,
    /// Who is accredited from the start: whoever accredits comes before whom it accredits.
    pub accreditations: Vec<GenesisAccreditation>,
}

/// A validator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// What people call it.
    pub name: String,
    /// Who operates it.
    pub operator: Did,
    /// Its key, an Ed25519 one.
    pub key: PublicKey,
    /// Where it listens for other nodes.
    pub address: SocketAddr,
    /// The sector of its operator, for diversity.
    #[serde(default = "unspecified", skip_serializing_if = "is_unspecified")]
    pub sector: String,
    /// The region that it stands in, for diversity.
    #[serde(default = "unspecified", skip_serializing_if = "is_unspecified")]
    pub region: String,
}

fn unspecified() -> String {
    UNSPECIFIED.to_owned()
}

fn is_unspecified(label: &str) -> bool {
    label == UNSPECIFIED
}

/// The governors: `threshold` of `members` decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Governors {
    /// How many have to agree.
    pub threshold: u32,
    /// Who they are.
    pub members: Vec<Did>,
}

/// A DID that exists from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisDid {
    /// The DID.
    pub did: Did,
    /// Its control keys.
    pub control: Control,
    /// Its document.
    pub document: Document,
}

/// Somebody who is accredited from the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccreditation {
    /// Who.
    pub did: Did,
    /// For what.
    pub kind: AccreditationKind,
    /// By whom; left out for a root.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "json::strictly_some")]
    pub parent: Option<Did>,
    /// Which credential types.
    pub types: Vec<AccreditedType>,
    /// How many links may stand below it.
    pub depth: u8,
    /// When it ends, milliseconds since 1970.
    pub expires: u64,
}

impl GenesisAccreditation {
    /// The record of the first state.
    pub fn record(&self) -> AccreditationRecord {
        AccreditationRecord {
            subject: self.did.clone(),
            kind: self.kind,
            parent: self.parent.clone(),
            types: self.types.clone(),
            depth: self.depth,
            expires: self.expires,
            credential: None,
            version: 1,
            height: 0,
            revoked: None,
            revoked_by: None,
        }
    }
}

impl Validator {
    /// The key's bytes; `None` if it is not an Ed25519 key, which a validated genesis does not hold.
    pub fn ed25519_key(&self) -> Option<[u8; 32]> {
        match self.key {
            PublicKey::Ed25519(bytes) => Some(bytes),
            PublicKey::P256(_) => None,
        }
    }
}

impl Genesis {
    /// Reads and validates the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, GenesisError> {
        let limits = Limits { bytes_max: limits::GENESIS_BYTES_MAX, depth_max: limits::JSON_DEPTH_MAX };
        let genesis: Self =
            json::from_slice(bytes, limits).map_err(|error| GenesisError::Malformed(error.to_string()))?;
        genesis.validate().map_err(GenesisError::Invalid)?;
        Ok(genesis)
    }

    /// The hash of a genesis file: SHA-256 of its bytes, what `sha256sum genesis.json` shows.
    pub fn hash_of(bytes: &[u8]) -> Hash {
        sha256(bytes)
    }

    /// The file's bytes as `avald init` writes them. Not canonical: the hash is over whatever bytes the file has.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The name of the network whose genesis file has this hash.
    pub fn network_id(&self, genesis: Hash) -> Result<NetworkId, GenesisError> {
        NetworkId::new(&self.network, genesis)
            .ok_or_else(|| GenesisError::Invalid("network is not a label".to_owned()))
    }

    /// The validators' keys in ascending order: the order of signer indices in certificates.
    pub fn validator_keys(&self) -> Vec<[u8; 32]> {
        let mut keys: Vec<[u8; 32]> = self.validators.iter().filter_map(Validator::ed25519_key).collect();
        keys.sort_unstable();
        keys
    }

    /// The header of the genesis block, given the file's hash and the root of the first state.
    pub fn header(&self, genesis: Hash, state_root: Hash) -> Header {
        let empty = merkle::root::<&[u8]>(&[]);
        let validators = validators_hash(&self.validator_keys());
        Header {
            genesis,
            height: 0,
            time_ms: self.time,
            epoch: 0,
            view: 0,
            parent_view: 0,
            leader: [0; 32],
            parent: genesis,
            transactions_root: empty,
            witnesses_root: empty,
            receipts_root: empty,
            state_root,
            validators_hash: validators,
            next_validators_hash: validators,
            last_set_change: 0,
        }
    }

    /// Checks that the file can start a network; says in one sentence what is wrong with it.
    fn validate(&self) -> Result<(), String> {
        if self.version != GENESIS_VERSION {
            return Err(format!("version is {}, this program reads 1", self.version));
        }
        if !is_network_label(&self.network) {
            return Err(
                "network is not a label: a lowercase letter, then up to 31 of a-z, 0-9 and -".to_owned()
            );
        }
        self.parameters.validate()?;
        self.validate_dids()?;
        self.validate_validators()?;
        self.validate_governors()?;
        self.validate_accreditations()
    }

    fn validate_dids(&self) -> Result<(), String> {
        for (index, entry) in self.dids.iter().enumerate() {
            if entry.did.network() != self.network {
                return Err(format!("{} is of another network", entry.did));
            }
            if self.dids.iter().take(index).any(|other| other.did == entry.did) {
                return Err(format!("{} is listed twice", entry.did));
            }
            let create = Create {
                did: entry.did.clone(),
                control: entry.control.clone(),
                document: entry.document.clone(),
            };
            create.validate().map_err(|error| format!("{}: {error}", entry.did))?;
        }
        Ok(())
    }

    fn validate_validators(&self) -> Result<(), String> {
        if self.validators.is_empty() || self.validators.len() > limits::VALIDATORS_MAX {
            return Err(format!("there must be 1 to {} validators", limits::VALIDATORS_MAX));
        }
        for (index, validator) in self.validators.iter().enumerate() {
            let name = &validator.name;
            if !is_network_label(name) {
                return Err(format!("the name of validator {} is not a label", index + 1));
            }
            if validator.ed25519_key().is_none() {
                return Err(format!("the key of validator {name} is not an Ed25519 key"));
            }
            if !is_network_label(&validator.sector) || !is_network_label(&validator.region) {
                return Err(format!("sector or region of validator {name} is not a label"));
            }
            self.expect_did(&validator.operator, "operator")?;
            let earlier = || self.validators.iter().take(index);
            if earlier().any(|other| other.name == *name) {
                return Err(format!("two validators have the name {name}"));
            }
            if earlier().any(|other| other.key == validator.key) {
                return Err(format!("validator {name} has the key of another"));
            }
            if earlier().any(|other| other.address == validator.address) {
                return Err(format!("validator {name} has the address of another"));
            }
        }
        Ok(())
    }

    fn validate_governors(&self) -> Result<(), String> {
        let members = &self.governors.members;
        for (index, member) in members.iter().enumerate() {
            self.expect_did(member, "governor")?;
            if members.iter().take(index).any(|other| other == member) {
                return Err(format!("governor {member} is listed twice"));
            }
        }
        let threshold = usize::try_from(self.governors.threshold).unwrap_or(usize::MAX);
        if threshold == 0 || threshold > members.len() {
            return Err("the governors' threshold is not between 1 and their number".to_owned());
        }
        Ok(())
    }

    fn validate_accreditations(&self) -> Result<(), String> {
        let mut earlier: Vec<AccreditationRecord> = Vec::with_capacity(self.accreditations.len());
        for entry in &self.accreditations {
            let did = &entry.did;
            self.expect_did(did, entry.kind.name())?;
            let record_of = |did: &Did| earlier.iter().find(|record| record.subject == *did);
            if record_of(did).is_some() {
                return Err(format!("{did} is accredited twice"));
            }
            validate_scope(entry.kind, &entry.types, entry.depth)
                .map_err(|reason| format!("the accreditation of {did}: {reason}"))?;
            if entry.expires <= self.time {
                return Err(format!("the accreditation of {did} ends before the network begins"));
            }
            match (entry.kind, &entry.parent) {
                (AccreditationKind::Root, None) => {}
                (AccreditationKind::Root, Some(_)) => return Err(format!("root {did} has a parent")),
                (_, None) => return Err(format!("the accreditation of {did} has no parent")),
                (_, Some(parent)) => {
                    let parent = record_of(parent)
                        .ok_or_else(|| format!("the parent of {did} is not accredited before it"))?;
                    // What holds between two neighbours holds along the chain, because the parent was checked before.
                    let fits = parent.kind.accredits()
                        && parent.depth > entry.depth
                        && parent.expires >= entry.expires
                        && excess(std::slice::from_ref(parent), &entry.types).is_none();
                    if !fits {
                        return Err(format!("the accreditation of {did} exceeds that of its parent"));
                    }
                }
            }
            earlier.push(entry.record());
        }
        Ok(())
    }

    /// Every DID that the file gives a part to must exist from the start.
    fn expect_did(&self, did: &Did, part: &str) -> Result<(), String> {
        if self.dids.iter().any(|entry| entry.did == *did) {
            Ok(())
        } else {
            Err(format!("{part} {did} is not among the dids"))
        }
    }
}
