//! Blocks, certificates and the rules of DIDs; grants are taken at their word.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aval_codec::Hash;
use aval_did::{Control, Create, Did, DidRecord, Document, PublicKey, SigningKey, VerificationMethod, rules};
use aval_proof::{
    Certificate, Claim, LedgerProof, ReceiptProof, TrustChain, TrustLink, ValidatorSet, signed_bytes,
};
use aval_types::accreditation::{AccreditationKind, AccreditedType, Level};
use aval_types::genesis::{Genesis, GenesisAccreditation, GenesisDid, Governors, Parameters, Validator};
use aval_types::receipt::receipts_root;
use aval_types::{
    Action, Event, Header, ListRecord, NetworkId, Outcome, Receipt, RegistryId, Reject, Role,
    SubmittedTransaction, TransactionId,
};

use super::tree::{self, State};

pub const LABEL: &str = "test";
pub const CREDENTIAL_TYPE: &str = "AvalMembershipCredential";
pub const LIST: &str = "https://issuer.example/status/1";

pub struct Block {
    pub header: Header,
    pub receipts: Vec<Receipt>,
    pub state: State,
}

pub struct FakeLedger {
    pub genesis: Vec<u8>,
    pub network: NetworkId,
    pub blocks: Vec<Block>,
    pub issuer: Did,
    validators: Vec<SigningKey>,
    /// Sets that have retired, each with the height of the last block that it certifies.
    retired: Vec<(u64, Vec<SigningKey>)>,
    /// The changes of the set.
    pub trust_chain: TrustChain,
    places: HashMap<TransactionId, (usize, usize)>,
    /// How far the block time is ahead of this machine's clock, in milliseconds.
    pub ahead_ms: u64,
}

pub fn issuer_key() -> SigningKey {
    SigningKey::from_seed(&[50; 32])
}

fn public(key: &SigningKey) -> PublicKey {
    key.public()
}

fn create(seed: u8, document_key: &SigningKey) -> Create {
    let control = Control::single(
        &public(&SigningKey::from_seed(&[seed; 32])),
        &public(&SigningKey::from_seed(&[seed + 1; 32])),
    );
    let document = Document {
        verification_method: vec![VerificationMethod::multikey("#key-1", &public(document_key))],
        authentication: vec!["#key-1".to_owned()],
        assertion_method: vec!["#key-1".to_owned()],
        ..Document::default()
    };
    Create::new(LABEL, control, document).unwrap()
}

impl FakeLedger {
    /// Four validators, whose operator is the root of trust, and one accredited issuer with one status list.
    pub fn new() -> Self {
        Self::with_seed(10)
    }

    /// The seed makes other validators, and with them another network.
    pub fn with_seed(seed: u8) -> Self {
        let mut validators: Vec<SigningKey> =
            (0..4).map(|index| SigningKey::from_seed(&[seed + index; 32])).collect();
        validators.sort_by_key(|key| public(key).to_multikey());
        let operator = create(seed + 60, &SigningKey::from_seed(&[seed + 70; 32]));
        let issuer = create(80, &issuer_key());
        let genesis = genesis(&validators, &operator, &issuer);
        let bytes = genesis.to_bytes();
        let hash = Genesis::hash_of(&bytes);
        let network = genesis.network_id(hash).unwrap();
        let mut state = State::new();
        for operation in [&operator, &issuer] {
            let record = rules::genesis_record(LABEL, operation, genesis.time).unwrap();
            state.insert(format!("did/{}", record.did), record.to_bytes());
        }
        for entry in &genesis.accreditations {
            let record = entry.record();
            state.insert(format!("accreditation/{}", entry.did), serde_json::to_vec(&record).unwrap());
        }
        let registry = RegistryId::new(issuer.did.clone(), "membership").unwrap();
        state.insert(format!("list/{LIST}"), serde_json::to_vec(&ListRecord { registry, list: 0 }).unwrap());
        let header = genesis.header(hash, tree::root(&state));
        let block = Block { header, receipts: Vec::new(), state };
        let mut ledger = Self {
            genesis: bytes,
            trust_chain: TrustChain { network: network.clone(), links: Vec::new(), more: false },
            retired: Vec::new(),
            network,
            blocks: vec![block],
            issuer: issuer.did.clone(),
            validators,
            places: HashMap::new(),
            ahead_ms: 0,
        };
        ledger.heartbeat();
        ledger
    }

    pub fn head(&self) -> &Block {
        self.blocks.last().unwrap()
    }

    /// An empty block.
    pub fn heartbeat(&mut self) {
        let state = self.head().state.clone();
        self.extend(state, Vec::new());
    }

    /// A block in which an entry of the state has another value, whatever the rules say.
    pub fn insert(&mut self, key: &str, value: Vec<u8>) {
        let mut state = self.head().state.clone();
        state.insert(key.to_owned(), value);
        self.extend(state, Vec::new());
    }

    /// A block after which four others certify.
    pub fn change_validators(&mut self, seed: u8) {
        self.heartbeat();
        let next: Vec<SigningKey> = (0..4).map(|index| SigningKey::from_seed(&[seed + index; 32])).collect();
        let keys = next.iter().map(|key| aval_types::node::key_bytes(&public(key)).unwrap()).collect();
        let set = ValidatorSet::new(keys);
        let header = &mut self.blocks.last_mut().unwrap().header;
        header.next_validators_hash = set.hash();
        header.last_set_change = header.height;
        let header = header.clone();
        let certificate = self.certify(&header);
        self.retired.push((header.height, std::mem::replace(&mut self.validators, next)));
        self.trust_chain.links.push(TrustLink { header, certificate, next: set });
    }

    fn next_time_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 + self.ahead_ms;
        now.max(self.head().header.time_ms + 1)
    }

    fn extend(&mut self, state: State, receipts: Vec<Receipt>) {
        let parent = &self.head().header;
        let header = Header {
            height: parent.height + 1,
            time_ms: receipts.first().map_or_else(|| self.next_time_ms(), |receipt| receipt.time_ms),
            view: parent.height + 1,
            parent_view: parent.view,
            leader: [1; 32],
            parent: parent.digest(),
            validators_hash: parent.next_validators_hash,
            receipts_root: receipts_root(&receipts),
            state_root: tree::root(&state),
            ..parent.clone()
        };
        for (index, receipt) in receipts.iter().enumerate() {
            self.places.insert(receipt.transaction, (self.blocks.len(), index));
        }
        self.blocks.push(Block { header, receipts, state });
    }

    /// Executes a transaction in a block of its own, or says why not.
    pub fn submit(&mut self, submitted: &SubmittedTransaction) -> Result<TransactionId, Reject> {
        let transaction = &submitted.transaction;
        let id = transaction.id();
        if self.places.contains_key(&id) {
            return Err(Reject::TransactionDuplicate);
        }
        transaction.verify_signatures()?;
        if transaction.payload().network != self.network {
            return Err(Reject::TransactionNetwork);
        }
        let time_ms = self.next_time_ms();
        if time_ms >= transaction.payload().exp * 1000 {
            return Err(Reject::TransactionExpired);
        }
        let mut state = self.head().state.clone();
        let events = apply(&mut state, submitted, time_ms)?;
        let receipt = Receipt {
            transaction: id,
            index: 0,
            height: self.head().header.height + 1,
            time_ms,
            outcome: Outcome::Applied(events),
        };
        self.extend(state, vec![receipt]);
        Ok(id)
    }

    pub fn record(&self, did: &Did) -> Option<DidRecord> {
        let bytes = self.head().state.get(&format!("did/{did}"))?;
        Some(DidRecord::from_bytes(bytes).unwrap())
    }

    /// A certificate of three of the four validators for any header.
    pub fn certify(&self, header: &Header) -> Certificate {
        let digest: Hash = header.digest();
        let message =
            signed_bytes(&self.network.genesis(), header.epoch, header.view, header.parent_view, &digest);
        let retired = self.retired.iter().find(|(last, _)| header.height <= *last);
        let mut keys: Vec<(&SigningKey, [u8; 32])> = retired
            .map_or(&self.validators, |(_, keys)| keys)
            .iter()
            .map(|key| match public(key) {
                PublicKey::Ed25519(bytes) => (key, bytes),
                _ => unreachable!("validators have Ed25519 keys"),
            })
            .collect();
        keys.sort_by_key(|(_, bytes)| *bytes);
        Certificate {
            epoch: header.epoch,
            view: header.view,
            parent_view: header.parent_view,
            signers: vec![0, 1, 3],
            signatures: [0, 1, 3].map(|index: usize| keys[index].0.sign(&message)).to_vec(),
        }
    }

    pub fn proof(&self, header: &Header, claim: Claim) -> LedgerProof {
        LedgerProof {
            network: self.network.clone(),
            header: header.clone(),
            path: Vec::new(),
            certificate: self.certify(header),
            claim,
        }
    }

    pub fn state_proof(&self, key: &str, height: usize) -> LedgerProof {
        let block = &self.blocks[height];
        let value = block.state.get(key).cloned();
        let proof = tree::prove(&block.state, key);
        self.proof(&block.header, Claim::State { key: key.to_owned(), value, proof })
    }

    pub fn receipt_proof(&self, id: &TransactionId) -> Option<LedgerProof> {
        let (height, index) = *self.places.get(id)?;
        let block = &self.blocks[height];
        let encoded: Vec<Vec<u8>> = block.receipts.iter().map(Receipt::encode).collect();
        Some(self.proof(&block.header, Claim::Receipt(ReceiptProof::of(&encoded, index)?)))
    }

    pub fn place(&self, id: &TransactionId) -> Option<&Receipt> {
        let (height, index) = *self.places.get(id)?;
        self.blocks[height].receipts.get(index)
    }

    /// The first height at which a DID has a version with this number.
    pub fn height_of_version(&self, did: &Did, number: u64) -> Option<usize> {
        let key = format!("did/{did}");
        self.blocks.iter().position(|block| {
            block
                .state
                .get(&key)
                .is_some_and(|bytes| DidRecord::from_bytes(bytes).unwrap().version_id.number == number)
        })
    }
}

fn apply(state: &mut State, submitted: &SubmittedTransaction, time_ms: u64) -> Result<Vec<Event>, Reject> {
    let payload = submitted.transaction.payload();
    let signers: Vec<PublicKey> = payload
        .signers
        .iter()
        .filter(|signer| signer.role == Role::Controller)
        .map(|signer| signer.kid.key())
        .collect();
    let refused = |error: aval_did::DidError| Reject::from_code(error.code()).unwrap();
    let existing = |did: &Did| -> Option<DidRecord> {
        state.get(&format!("did/{did}")).map(|bytes| DidRecord::from_bytes(bytes).unwrap())
    };
    let known = |did: &Did| existing(did).ok_or(Reject::DidNotFound);
    let mut events = Vec::new();
    let mut record = match &payload.action {
        Action::DidCreate(action) => {
            let operation = &action.operation;
            let before = existing(&operation.did);
            let record =
                rules::apply_create(before.as_ref(), LABEL, operation, &signers, time_ms).map_err(refused)?;
            events.push(Event::DidCreated { did: record.did.clone(), version_id: record.version_id });
            record
        }
        Action::DidUpdate(operation) => {
            let before = known(&operation.did)?;
            // As on the real ledger: an update wants a grant or an endorser.
            if before.grants.is_empty() && payload.endorser().is_none() {
                return Err(Reject::GrantRequired);
            }
            let record = rules::apply_update(&before, operation, &signers, time_ms).map_err(refused)?;
            events.push(Event::DidUpdated { did: record.did.clone(), version_id: record.version_id });
            record
        }
        Action::DidRotate(operation) => {
            let before = known(&operation.did)?;
            let record = rules::apply_rotate(&before, operation, &signers, time_ms).map_err(refused)?;
            events.push(Event::DidRotated { did: record.did.clone(), version_id: record.version_id });
            record
        }
        Action::DidDeactivate(operation) => {
            let before = known(&operation.did)?;
            let record = rules::apply_deactivate(&before, operation, &signers, time_ms).map_err(refused)?;
            events.push(Event::DidDeactivated { did: record.did.clone(), version_id: record.version_id });
            record
        }
        Action::CredentialPresent(action) => known(&action.grant.subject)?,
        _ => return Err(Reject::TransactionSigners("not in this box".into())),
    };
    if let Some(grant) = payload.action.grant() {
        submitted.check_witness()?;
        let key = format!("grant/{}", grant.id());
        if state.contains_key(&key) {
            return Err(Reject::GrantExists);
        }
        record.grants.push(grant.id().0);
        state.insert(key, serde_json::to_vec(grant).unwrap());
        events.push(Event::GrantCreated {
            grant: grant.id(),
            subject: grant.subject.clone(),
            issuer: grant.issuer.clone(),
            credential_type: grant.credential_type.clone(),
        });
    }
    state.insert(format!("did/{}", record.did), record.to_bytes());
    Ok(events)
}

fn genesis(validators: &[SigningKey], operator: &Create, issuer: &Create) -> Genesis {
    let did = |create: &Create| GenesisDid {
        did: create.did.clone(),
        control: create.control.clone(),
        document: create.document.clone(),
    };
    Genesis {
        version: 1,
        network: LABEL.to_owned(),
        time: 1_790_000_000_000,
        parameters: Parameters {
            block_bytes_max: 1024 * 1024,
            block_transactions_max: 1000,
            heartbeat_ms: 1000,
            witness_retention_ms: 60_000,
            leader_timeout_ms: 1000,
            ..Parameters::default()
        },
        policy: None,
        validators: validators
            .iter()
            .enumerate()
            .map(|(index, key)| Validator {
                name: format!("validator-{index}"),
                operator: operator.did.clone(),
                key: public(key),
                address: format!("127.0.0.1:{}", 7001 + index).parse().unwrap(),
                sector: aval_types::node::UNSPECIFIED.to_owned(),
                region: aval_types::node::UNSPECIFIED.to_owned(),
            })
            .collect(),
        governors: Governors { threshold: 1, members: vec![operator.did.clone()] },
        dids: vec![did(operator), did(issuer)],
        accreditations: vec![
            accreditation(operator, AccreditationKind::Root, None),
            accreditation(issuer, AccreditationKind::Issuer, Some(operator)),
        ],
    }
}

fn accreditation(create: &Create, kind: AccreditationKind, parent: Option<&Create>) -> GenesisAccreditation {
    GenesisAccreditation {
        did: create.did.clone(),
        kind,
        parent: parent.map(|create| create.did.clone()),
        types: vec![AccreditedType {
            credential_type: CREDENTIAL_TYPE.to_owned(),
            roles: vec!["member".to_owned()],
            level: Level::Substantial,
        }],
        depth: if kind == AccreditationKind::Root { 2 } else { 0 },
        expires: 2_000_000_000_000,
    }
}
