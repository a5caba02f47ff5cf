//! A genesis file as a node holds it: its exact bytes, their hash and what they say.

use std::path::Path;

use aval_codec::Hash;
use aval_did::PublicKey;
use aval_types::genesis::{Genesis, Validator};
use aval_types::limits::GENESIS_BYTES_MAX;
use aval_types::network::NetworkId;
use serde::Serialize;

use crate::fault::{Fault, file_fault};

/// A genesis file that was read and is valid.
#[derive(Debug, Clone)]
pub struct GenesisFile {
    /// The bytes, as they are in the file: they are what the hash is over and what `/v1/genesis` serves.
    pub bytes: Vec<u8>,
    /// Their SHA-256: the network's trust anchor.
    pub hash: Hash,
    /// What they say.
    pub genesis: Genesis,
    /// The network's full name.
    pub network: NetworkId,
}

/// What a reviewer wants to see of a genesis file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    hash: Hash,
    network: String,
    time: String,
    validators: Vec<ValidatorSummary>,
    faults_tolerated: usize,
    governors: String,
    dids: usize,
    accreditations: Vec<AccreditationSummary>,
}

#[derive(Debug, Serialize)]
struct AccreditationSummary {
    kind: &'static str,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    types: Vec<String>,
    expires: String,
}

#[derive(Debug, Serialize)]
struct ValidatorSummary {
    name: String,
    key: String,
    address: String,
    operator: String,
}

impl GenesisFile {
    /// Reads and validates a file.
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let length = std::fs::metadata(path).map_err(|error| file_fault("the node", path, &error))?.len();
        if length > GENESIS_BYTES_MAX as u64 {
            return Err(Fault::invalid(format!(
                "{} is not a genesis file: it is larger than {GENESIS_BYTES_MAX} bytes",
                path.display()
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| file_fault("the node", path, &error))?;
        Self::parse(bytes).map_err(|reason| {
            Fault::invalid(format!("{} is no genesis to start from: {reason}", path.display()))
        })
    }

    /// Validates a file's bytes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let genesis = Genesis::parse(&bytes).map_err(|error| error.to_string())?;
        let hash = Genesis::hash_of(&bytes);
        let network = genesis.network_id(hash).map_err(|error| error.to_string())?;
        Ok(Self { bytes, hash, genesis, network })
    }

    /// The validator that has this key.
    pub fn validator(&self, key: &PublicKey) -> Option<&Validator> {
        self.genesis.validators.iter().find(|validator| validator.key == *key)
    }

    /// What a reviewer wants to see.
    pub fn summary(&self) -> Summary {
        let genesis = &self.genesis;
        Summary {
            hash: self.hash,
            network: self.network.to_string(),
            time: crate::clock::rfc3339(genesis.time),
            validators: genesis
                .validators
                .iter()
                .map(|validator| ValidatorSummary {
                    name: validator.name.clone(),
                    key: validator.key.to_multikey(),
                    address: validator.address.to_string(),
                    operator: validator.operator.to_string(),
                })
                .collect(),
            faults_tolerated: genesis.validators.len().saturating_sub(1) / 3,
            governors: format!("{} of {}", genesis.governors.threshold, genesis.governors.members.len()),
            dids: genesis.dids.len(),
            accreditations: genesis
                .accreditations
                .iter()
                .map(|entry| AccreditationSummary {
                    kind: entry.kind.name(),
                    subject: entry.did.to_string(),
                    parent: entry.parent.as_ref().map(ToString::to_string),
                    types: entry
                        .types
                        .iter()
                        .map(|one| {
                            format!(
                                "{} ({}; {})",
                                one.credential_type,
                                one.roles.join(", "),
                                one.level.name()
                            )
                        })
                        .collect(),
                    expires: crate::clock::rfc3339(entry.expires),
                })
                .collect(),
        }
    }
}

impl Summary {
    /// The summary as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("hash        {}", self.hash),
            format!("network     {}", self.network),
            format!("time        {}", self.time),
            format!("governors   {}", self.governors),
            format!("DIDs        {}", self.dids),
            format!("validators  {}, of which {} may fail", self.validators.len(), self.faults_tolerated),
        ];
        for validator in &self.validators {
            lines.push(format!("            {}  {}  {}", validator.name, validator.address, validator.key));
        }
        for entry in &self.accreditations {
            let AccreditationSummary { kind, subject, types, expires, .. } = entry;
            lines.push(format!("{kind:<10}  {subject}: {} until {expires}", types.join("; ")));
        }
        lines
    }
}
