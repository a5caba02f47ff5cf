//! A second ledger, slow and obvious, that knows nothing of the first: it reads final blocks and says whether
//! anything in them happened without authorization.
//!
//! It is written from specs/rules.md and specs/trust.md, one rule after the other, over plain maps. It shares
//! the shapes of transactions with the ledger, and none of its rules: no state keys, no overlays, no policy
//! engine, no batches, no memory of what was read. Every signature is verified alone. [`Model::block`] judges
//! a block, [`Model::differences`] compares a state with what the model knows.
//!
//! What it does not judge: shapes that the decoder refuses, contents of DID documents, policies other than
//! the ones that [`policy_without`] makes, and which of several validators leaves or joins first
//! (`ledger/machine/tests/rules/selection.rs` does that). A change of the validator set is judged by what
//! must hold of it: when, who, and how many.

mod apply;
mod compare;
mod decide;
mod government;
mod grants;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use aval_did::{Control, Did, Document, VersionId};
use aval_types::genesis::Governors;
use aval_types::governance::Change;
use aval_types::supervision::Target;
use aval_types::{
    AccreditationKind, AccreditedType, Action, Commitment, Event, Genesis, Grant, GrantId, NetworkId,
    NodeKind, Parameters, Purpose, RegistryId, SchemaHash, SubmittedTransaction, TransactionId,
};

pub use compare::Listing;

/// Why something must not be: in words, for whoever reads the failure of a test.
pub type No = &'static str;

/// A final block as the model reads it.
#[derive(Debug, Clone)]
pub struct FinalBlock {
    /// Its height.
    pub height: u64,
    /// Its time, milliseconds since 1970.
    pub time_ms: u64,
    /// Its transactions with their witnesses, and whether each was applied.
    pub transactions: Vec<(SubmittedTransaction, bool)>,
    /// What it did on its own.
    pub events: Vec<Event>,
    /// The validator set after it.
    pub validators: Vec<[u8; 32]>,
}

#[derive(Debug, Clone)]
struct ModelDid {
    version: VersionId,
    control: Control,
    document: Document,
    deactivated: bool,
    grants: Vec<GrantId>,
    /// When the present allowance began, and how much of it is used.
    allowance: (u64, u32),
}

#[derive(Debug, Clone)]
struct ModelRegistry {
    purpose: Purpose,
    bits: u8,
    size: u32,
    lists: Vec<String>,
}

#[derive(Debug, Clone)]
struct ModelAccreditation {
    kind: AccreditationKind,
    parent: Option<Did>,
    types: Vec<AccreditedType>,
    depth: u8,
    expires: u64,
    version: u32,
    revoked: bool,
    revoked_by: Option<Did>,
}

#[derive(Debug, Clone)]
struct ModelSchema {
    credential_type: String,
    publisher: Did,
    deprecated: bool,
    schema: aval_codec::Json,
}

#[derive(Debug, Clone)]
struct ModelNode {
    kind: NodeKind,
    name: String,
    operator: Did,
    addresses: Vec<SocketAddr>,
    founding: bool,
    leaving: bool,
    /// Out for good, and since when.
    barred: Option<u64>,
    /// By a fault that it was shown to have made.
    at_fault: bool,
    /// Below the service level, and until when.
    suspended_until: Option<u64>,
}

#[derive(Debug, Clone)]
struct ModelProposal {
    proposer: Did,
    change: Change,
    execute_at: u64,
    closes: u64,
    votes: BTreeMap<Did, bool>,
    /// `executed`, `rejected` or `failed`.
    outcome: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct ModelHold {
    target: Target,
    expires: u64,
    released: bool,
}

/// Everything that the model knows.
#[derive(Debug, Clone)]
pub struct Model {
    network: NetworkId,
    height: u64,
    time_ms: u64,
    parameters: Parameters,
    governors: Governors,
    policy: String,
    dids: BTreeMap<Did, ModelDid>,
    grants: BTreeMap<GrantId, Grant>,
    registries: BTreeMap<RegistryId, ModelRegistry>,
    /// Values other than 0, by list and index.
    entries: BTreeMap<(String, u64), u8>,
    accreditations: BTreeMap<Did, ModelAccreditation>,
    schemas: BTreeMap<SchemaHash, ModelSchema>,
    anchors: BTreeSet<Commitment>,
    services: BTreeSet<(Did, String)>,
    nodes: BTreeMap<[u8; 32], ModelNode>,
    validators: BTreeSet<[u8; 32]>,
    proposals: BTreeMap<TransactionId, ModelProposal>,
    /// Proposals in the order of their blocks.
    agenda: Vec<TransactionId>,
    holds: BTreeMap<TransactionId, ModelHold>,
    /// Who is shut out, and whether by governance.
    denials: BTreeMap<Target, bool>,
    /// Ids that are used up.
    included: BTreeSet<TransactionId>,
    /// Uses of a grant in a window of the quota.
    uses: BTreeMap<(GrantId, u64), u64>,
}

/// The default policy, but that nobody may do actions of this kind.
pub fn policy_without(kind: &str) -> String {
    let default = crate::policy::DEFAULT_POLICY;
    format!(
        "{default}\n@id(\"nobody-{}\")\nforbid (principal, action == Action::\"{kind}\", resource);\n",
        kind.replace('.', "-")
    )
}

impl Model {
    /// A network at genesis.
    pub fn new(genesis: &Genesis, network: NetworkId) -> Self {
        let did = |entry: &aval_types::genesis::GenesisDid| {
            let record = ModelDid {
                version: VersionId { number: 1, hash: entry.did.inception() },
                control: entry.control.clone(),
                document: entry.document.clone(),
                deactivated: false,
                grants: Vec::new(),
                allowance: (genesis.time, 0),
            };
            (entry.did.clone(), record)
        };
        let accreditation = |entry: &aval_types::genesis::GenesisAccreditation| {
            let record = ModelAccreditation {
                kind: entry.kind,
                parent: entry.parent.clone(),
                types: entry.types.clone(),
                depth: entry.depth,
                expires: entry.expires,
                version: 1,
                revoked: false,
                revoked_by: None,
            };
            (entry.did.clone(), record)
        };
        let node = |entry: &aval_types::genesis::Validator| {
            let record = ModelNode {
                kind: NodeKind::Validator,
                name: entry.name.clone(),
                operator: entry.operator.clone(),
                addresses: vec![entry.address],
                founding: true,
                leaving: false,
                barred: None,
                at_fault: false,
                suspended_until: None,
            };
            (aval_types::node::key_bytes(&entry.key).expect("genesis has Ed25519 keys"), record)
        };
        let nodes: BTreeMap<_, _> = genesis.validators.iter().map(node).collect();
        Self {
            network,
            height: 0,
            time_ms: genesis.time,
            parameters: genesis.parameters.clone(),
            governors: genesis.governors.clone(),
            policy: genesis.policy.clone().unwrap_or_else(|| crate::policy::DEFAULT_POLICY.to_owned()),
            dids: genesis.dids.iter().map(did).collect(),
            grants: BTreeMap::new(),
            registries: BTreeMap::new(),
            entries: BTreeMap::new(),
            accreditations: genesis.accreditations.iter().map(accreditation).collect(),
            schemas: BTreeMap::new(),
            anchors: BTreeSet::new(),
            services: BTreeSet::new(),
            validators: nodes.keys().copied().collect(),
            nodes,
            proposals: BTreeMap::new(),
            agenda: Vec::new(),
            holds: BTreeMap::new(),
            denials: BTreeMap::new(),
            included: BTreeSet::new(),
            uses: BTreeMap::new(),
        }
    }

    /// The newest height that was judged.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// The parameters in force.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The validators in force.
    pub fn validators(&self) -> &BTreeSet<[u8; 32]> {
        &self.validators
    }

    /// Whether a transaction may be in the next block if it has this time.
    pub fn verdict(&self, submitted: &SubmittedTransaction, time_ms: u64) -> Result<(), No> {
        let mut then = self.clone();
        (then.height, then.time_ms) = (self.height + 1, time_ms);
        then.decide(submitted, true)
    }

    /// Judges a final block and takes it in. The error says what happened without being allowed to.
    pub fn block(&mut self, block: &FinalBlock) -> Result<(), String> {
        let at = |what: String| format!("block {}: {what}", block.height);
        if block.height != self.height + 1 || block.time_ms <= self.time_ms {
            return Err(at("height and time do not follow the block below".to_owned()));
        }
        if block.transactions.len() > self.parameters.block_transactions_max as usize {
            return Err(at(format!("{} transactions", block.transactions.len())));
        }
        (self.height, self.time_ms) = (block.height, block.time_ms);
        let before = self.clone();
        self.execute_agenda();
        let mut ids = BTreeSet::new();
        for (submitted, applied) in &block.transactions {
            let transaction = &submitted.transaction;
            let (id, kind) = (transaction.id(), transaction.action().kind());
            if !ids.insert(id) {
                return Err(at(format!("{kind} {id} is in it twice")));
            }
            before
                .decide(submitted, true)
                .map_err(|no| at(format!("{kind} {id} is not authorized: {no}")))?;
            match (self.decide(submitted, false), applied) {
                (Ok(()), true) => self.apply(id, submitted),
                (Err(_), false) => {}
                (Err(no), true) => return Err(at(format!("{kind} {id} was overtaken and is applied: {no}"))),
                (Ok(()), false) => return Err(at(format!("{kind} {id} is rejected for no reason"))),
            }
        }
        self.included.extend(ids);
        self.end(block).map_err(at)
    }

    fn did(&self, did: &Did) -> Result<&ModelDid, No> {
        match self.dids.get(did) {
            None => Err("a DID is not on the ledger"),
            Some(record) if record.deactivated => Err("a DID is deactivated"),
            Some(record) => Ok(record),
        }
    }

    fn is_governor(&self, did: &Did) -> bool {
        self.governors.members.contains(did)
    }

    fn forbids(&self, kind: &str) -> bool {
        self.policy.contains(&format!("forbid (principal, action == Action::\"{kind}\", resource);"))
    }
}

/// The family of an action, `did` of `did.create`.
fn family(kind: &str) -> &str {
    kind.split('.').next().unwrap_or(kind)
}

/// The DIDs that sign an action, each once.
fn signers(submitted: &SubmittedTransaction) -> BTreeSet<Did> {
    submitted.transaction.payload().signers.iter().map(|signer| signer.kid.did().clone()).collect()
}

/// Whether it is an action of governors.
fn governs(action: &Action) -> bool {
    matches!(action, Action::GovernancePropose(_) | Action::GovernanceVote(_))
}
