//! The folder of a development network: keys, DIDs, genesis file and the nodes' homes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aval_did::key::SigningKey;
use aval_did::{Control, Did, Document, VerificationMethod, inception_hash};
use aval_types::accreditation::{AccreditationKind, AccreditedType, DEPTH_MAX, Level};
use aval_types::genesis::{
    GENESIS_VERSION, Genesis, GenesisAccreditation, GenesisDid, Governors, Parameters, Validator,
};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::{Config, GENESIS_FILE, Home, write_new};
use crate::fault::{Fault, file_fault};
use crate::genesis_file::GenesisFile;
use crate::key_file::{self, Seed};

const PLAN_FILE: &str = "devnet.json";
const ROOT_FOLDER: &str = "root";
const ISSUER_FOLDER: &str = "issuer";
const IDENTITY_KEYS: &str = "keys.json";
/// How long the accreditations of a development network last: ten years.
const ACCREDITED_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1000;
const OPERATOR_KEYS: &str = "operator.json";
/// The method id of the one document key that is made.
const METHOD: &str = "#key-1";
/// Ports for validators lie so far above those of the REST interfaces.
const PEER_PORT_OFFSET: u16 = 100;
/// Ports of the interfaces for operators lie so far above those of the REST interfaces.
const ADMIN_PORT_OFFSET: u16 = 50;

/// What a network is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Plan {
    pub(super) nodes: u16,
    pub(super) base_port: u16,
    pub(super) network: String,
    pub(super) heartbeat_ms: u64,
}

/// What else a new network starts with.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    /// Parameters that differ from those that the plan gives; groups may be given in part.
    pub(super) parameters: Option<serde_json::Map<String, serde_json::Value>>,
    /// Names of further DIDs.
    pub(super) dids: Vec<String>,
    /// Further credential types that root and issuer are accredited for. They give no role on the ledger.
    pub(super) types: Vec<String>,
}

/// A validator of the network.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) home: PathBuf,
    pub(super) api: SocketAddr,
}

/// A network's folder.
pub(super) struct Layout {
    home: PathBuf,
    genesis: GenesisFile,
    issuer: String,
    nodes: Vec<Node>,
}

/// A DID with its secrets, as `keys.json` and `operator.json` hold them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    did: Did,
    document_keys: BTreeMap<&'static str, Secret>,
    control_keys: Vec<Secret>,
    next_control_keys: Vec<Secret>,
    #[serde(skip)]
    inception: GenesisDid,
}

#[derive(Serialize)]
struct Secret {
    algorithm: &'static str,
    seed: Seed,
}

impl Secret {
    fn of(key: &SigningKey) -> Self {
        Self { algorithm: "EdDSA", seed: Seed::of(key) }
    }
}

impl Identity {
    /// A new DID whose one key authenticates and makes claims, with one control key and one that follows it.
    fn generate(network: &str) -> Result<Self, Fault> {
        let [document_key, control_key, next_key] = std::array::from_fn(|_| SigningKey::generate());
        let control = Control::single(&control_key.public(), &next_key.public());
        let document = Document {
            verification_method: vec![VerificationMethod::Multikey {
                id: METHOD.to_owned(),
                public_key_multibase: document_key.public().to_multikey(),
            }],
            authentication: vec![METHOD.to_owned()],
            assertion_method: vec![METHOD.to_owned()],
            ..Document::default()
        };
        let inception = inception_hash(network, &control, &document);
        let did = Did::new(network, &inception)
            .map_err(|error| Fault::usage(format!("--network {network} cannot be part of a DID: {error}")))?;
        Ok(Self {
            did: did.clone(),
            document_keys: BTreeMap::from([(METHOD, Secret::of(&document_key))]),
            control_keys: vec![Secret::of(&control_key)],
            next_control_keys: vec![Secret::of(&next_key)],
            inception: GenesisDid { did, control, document },
        })
    }
}

impl Layout {
    /// Continues the network in a folder, or makes one there.
    pub(super) fn open_or_make(home: &Path, plan: &Plan, extras: &Extras) -> Result<Self, Fault> {
        let file = home.join(PLAN_FILE);
        match fs::read_to_string(&file) {
            Ok(text) => {
                let made: Plan = serde_json::from_str(&text).map_err(|error| {
                    Fault::failed(format!(
                        "{} is damaged ({error}): remove the folder and make it anew",
                        file.display()
                    ))
                })?;
                if made.base_port != plan.base_port {
                    crate::cli::output::talk(&format!(
                        "{} was made with base port {}, which is used again.",
                        home.display(),
                        made.base_port
                    ));
                }
                Self::open(home, &made)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::make(home, plan, extras),
            Err(error) => Err(file_fault("the network", &file, &error)),
        }
    }

    fn open(home: &Path, plan: &Plan) -> Result<Self, Fault> {
        let home = fs::canonicalize(home).map_err(|error| file_fault("the network", home, &error))?;
        let genesis = GenesisFile::read(&home.join(GENESIS_FILE))?;
        let is_issuer = |entry: &&GenesisAccreditation| entry.kind == AccreditationKind::Issuer;
        let issuer = genesis.genesis.accreditations.iter().find(is_issuer);
        let issuer = issuer.map(|entry| entry.did.to_string()).unwrap_or_default();
        let nodes = (0..plan.nodes)
            .map(|index| {
                let folder = home.join(node_name(index));
                let config = Home::open(&folder)?.config;
                Ok(Node { name: node_name(index), home: folder, api: config.api.listen })
            })
            .collect::<Result<_, Fault>>()?;
        Ok(Self { home, genesis, issuer, nodes })
    }

    /// Makes the folder. Its plan is written last: a folder without one was not finished, and is not continued.
    fn make(home: &Path, plan: &Plan, extras: &Extras) -> Result<Self, Fault> {
        let is_used = fs::read_dir(home).is_ok_and(|mut entries| entries.next().is_some());
        if is_used {
            return Err(Fault::failed(format!(
                "{} is not empty and is no finished development network: remove it, or choose another --home",
                home.display()
            )));
        }
        let last = u32::from(plan.base_port) + u32::from(PEER_PORT_OFFSET) + u32::from(plan.nodes);
        if last > u32::from(u16::MAX) {
            return Err(Fault::usage(format!(
                "--base-port {} leaves too few ports above it",
                plan.base_port
            )));
        }
        let parameters = parameters(plan, extras)?;
        make_folder(home)?;
        let further: Vec<(&String, Identity)> = extras
            .dids
            .iter()
            .map(|name| Ok((name, Identity::generate(&plan.network)?)))
            .collect::<Result<_, Fault>>()?;
        let root = Identity::generate(&plan.network)?;
        let issuer = Identity::generate(&plan.network)?;
        let mut validators = Vec::new();
        let mut operators = Vec::new();
        for index in 0..plan.nodes {
            let folder = home.join(node_name(index));
            make_folder(&folder)?;
            let key = key_file::generate(&folder.join(crate::config::KEY_FILE))?;
            let operator = Identity::generate(&plan.network)?;
            key_file::write(&folder.join(OPERATOR_KEYS), &operator)?;
            validators.push(Validator {
                name: node_name(index),
                operator: operator.did.clone(),
                key: key.key().map_err(Fault::failed)?.public(),
                address: local(plan.base_port + PEER_PORT_OFFSET + index),
                sector: aval_types::node::UNSPECIFIED.to_owned(),
                region: aval_types::node::UNSPECIFIED.to_owned(),
            });
            operators.push(operator);
            let mut config = Config { genesis: Path::new("..").join(GENESIS_FILE), ..Config::default() };
            config.api.listen = local(plan.base_port + index);
            config.admin.listen = Some(local(plan.base_port + ADMIN_PORT_OFFSET + index));
            Home::new(&folder, config).write()?;
        }
        let mut genesis = genesis(plan, validators, &operators, &root, &issuer);
        genesis.parameters = parameters;
        for accreditation in &mut genesis.accreditations {
            accredit_further(&mut accreditation.types, &extras.types);
        }
        genesis.dids.extend(further.iter().map(|(_, identity)| identity.inception.clone()));
        let bytes = genesis.to_bytes();
        GenesisFile::parse(bytes.clone())
            .map_err(|reason| Fault::failed(format!("the genesis file would not be valid: {reason}")))?;
        write_new(&home.join(GENESIS_FILE), &bytes, 0o644)?;
        let founding = [(ROOT_FOLDER, &root), (ISSUER_FOLDER, &issuer)];
        let further = further.iter().map(|(name, identity)| (name.as_str(), identity));
        for (folder, identity) in founding.into_iter().chain(further) {
            make_folder(&home.join(folder))?;
            key_file::write(&home.join(folder).join(IDENTITY_KEYS), identity)?;
        }
        let text = serde_json::to_string_pretty(plan).unwrap_or_default() + "\n";
        write_new(&home.join(PLAN_FILE), text.as_bytes(), 0o644)?;
        Self::open(home, plan)
    }

    /// The folder.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The genesis file.
    pub(super) fn genesis(&self) -> &GenesisFile {
        &self.genesis
    }

    /// Where the genesis file is.
    pub(super) fn genesis_path(&self) -> PathBuf {
        self.home.join(GENESIS_FILE)
    }

    /// The accredited issuer.
    pub(super) fn issuer_did(&self) -> &str {
        &self.issuer
    }

    /// Where the issuer's keys are.
    pub(super) fn issuer_keys(&self) -> PathBuf {
        self.home.join(ISSUER_FOLDER).join(IDENTITY_KEYS)
    }

    /// The validators.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// The parameters of a development network, with what is asked for instead of what it has by itself.
fn parameters(plan: &Plan, extras: &Extras) -> Result<Parameters, Fault> {
    let usual = Parameters {
        block_bytes_max: 4 << 20,
        block_transactions_max: 4096,
        heartbeat_ms: plan.heartbeat_ms,
        witness_retention_ms: 24 * 60 * 60 * 1000,
        leader_timeout_ms: plan.heartbeat_ms + 1000,
        ..Parameters::default()
    };
    let Some(asked) = &extras.parameters else { return Ok(usual) };
    let invalid = |error: serde_json::Error| Fault::usage(format!("--parameters cannot be used: {error}"));
    let mut written = serde_json::to_value(&usual).map_err(invalid)?;
    if let Some(members) = written.as_object_mut() {
        members.extend(asked.clone());
    }
    let parameters: Parameters = serde_json::from_value(written).map_err(invalid)?;
    parameters.validate().map_err(|reason| Fault::usage(format!("--parameters cannot be used: {reason}")))?;
    Ok(parameters)
}

fn genesis(
    plan: &Plan,
    validators: Vec<Validator>,
    operators: &[Identity],
    root: &Identity,
    issuer: &Identity,
) -> Genesis {
    let time = clock::now_ms();
    let members: Vec<Did> = operators.iter().map(|operator| operator.did.clone()).collect();
    let quorum = members.len() - members.len().saturating_sub(1) / 3;
    let dids =
        [root, issuer].into_iter().chain(operators).map(|identity| identity.inception.clone()).collect();
    Genesis {
        version: GENESIS_VERSION,
        network: plan.network.clone(),
        time,
        parameters: Parameters::default(),
        policy: None,
        validators,
        governors: Governors { threshold: u32::try_from(quorum).unwrap_or(1), members },
        dids,
        accreditations: vec![
            GenesisAccreditation {
                did: root.did.clone(),
                kind: AccreditationKind::Root,
                parent: None,
                types: accredited_types(),
                depth: DEPTH_MAX,
                expires: time + ACCREDITED_MS,
            },
            GenesisAccreditation {
                did: issuer.did.clone(),
                kind: AccreditationKind::Issuer,
                parent: Some(root.did.clone()),
                types: accredited_types(),
                depth: 0,
                expires: time + ACCREDITED_MS,
            },
        ],
    }
}

/// What the root and the issuer of a development network are accredited for: everything that has a role on the ledger.
fn accredited_types() -> Vec<AccreditedType> {
    let accredited = |credential_type: &str, roles: [&str; 2]| AccreditedType {
        credential_type: credential_type.to_owned(),
        roles: roles.map(str::to_owned).into(),
        level: Level::High,
    };
    vec![
        accredited("AvalMembershipCredential", ["endorser", "member"]),
        accredited("AvalNodeCredential", ["observer", "operator"]),
        accredited("AvalSupervisionCredential", ["auditor", "supervisor"]),
    ]
}

/// Adds types without roles.
fn accredit_further(accredited: &mut Vec<AccreditedType>, types: &[String]) {
    accredited.extend(types.iter().map(|name| AccreditedType {
        credential_type: name.clone(),
        roles: Vec::new(),
        level: Level::High,
    }));
    accredited.sort_by(|one, other| one.credential_type.cmp(&other.credential_type));
    accredited.dedup_by(|one, other| one.credential_type == other.credential_type);
}

fn node_name(index: u16) -> String {
    format!("node-{index}")
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn make_folder(path: &Path) -> Result<(), Fault> {
    fs::create_dir_all(path).map_err(|error| file_fault("the network", path, &error))
}
