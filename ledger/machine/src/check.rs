//! Step 3 of a transaction's way: everything that can be decided without state (specs/rules.md, section 1).
//!
//! A [`SignedTransaction`] has its shape checked already. Here: the network, the presentation against the payload,
//! and every signature by a key that the transaction itself names: the signers' and the key binding's. Signatures are
//! verified in batches over many transactions and on all cores; a batch accepts exactly what single verification
//! accepts (ZIP-215), so how transactions are grouped never changes an answer.
//!
//! Checking is early because it is safe early: nothing here depends on the state, so the answer holds in every block.

use std::collections::VecDeque;
use std::sync::OnceLock;

use aval_codec::{Hash, tag};
use aval_credential::{CredentialError, Presentation};
use aval_did::operation::Examined;
use aval_did::{BatchVerifier, PublicKey};
use aval_types::block::{BlockTransaction, Witness, transaction_length};
use aval_types::{
    Action, Grant, NetworkId, Payload, Reject, SignedTransaction, SubmittedTransaction, TransactionId, vote,
};
use rayon::prelude::*;

use crate::sabotage::{self, Sabotage};

/// Transactions whose signatures are verified as one batch. Larger batches gain little per signature (about 60 % at
/// 64 and 70 % at 256) and spread worse over cores.
const BATCH_TRANSACTIONS: usize = 128;

/// What the stateless check goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    network: NetworkId,
    audience: String,
    erased_witnesses: bool,
}

impl Rules {
    /// The rules of everybody who votes, proposes or admits: witnesses must be there.
    pub fn live(network: NetworkId) -> Self {
        Self { audience: network.to_string(), network, erased_witnesses: false }
    }

    /// The rules for blocks under a finality certificate: a quorum has seen the witnesses, so erased ones are
    /// accepted and their presentations are not looked at (D7). Never to be used on a block that is not final.
    pub fn certified(network: NetworkId) -> Self {
        Self { erased_witnesses: true, ..Self::live(network) }
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }
}

/// A transaction that passed the stateless check. Made by [`check`] and [`check_all`] alone.
#[derive(Debug, Clone)]
pub struct Checked {
    transaction: SignedTransaction,
    block_transaction: BlockTransaction,
    envelope_hash: Hash,
    evidence: Option<Evidence>,
    examined: Option<Examined>,
}

/// The presentation of a checked transaction.
#[derive(Debug, Clone)]
pub(crate) enum Evidence {
    /// At hand. Its key binding is verified; the issuer's signature is not, since its key is in the state.
    Presented(Box<Presented>),
    /// Erased after its retention; a finality certificate vouches for it.
    Erased,
}

/// A parsed presentation with a memory for the one verification that needs the state.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) presentation: Presentation,
    /// The issuer key that was tried first, and whether the signature verified by it. A signature never changes its
    /// answer for a key, so remembering it saves the verification in every further block that is tried.
    issuer_signature: OnceLock<(PublicKey, bool)>,
}

impl Clone for Presented {
    fn clone(&self) -> Self {
        Self { presentation: self.presentation.clone(), issuer_signature: self.issuer_signature.clone() }
    }
}

impl Presented {
    /// Whether the issuer's signature verifies by `key`.
    pub(crate) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let verify = || self.presentation.verify_issuer_signature(key).is_ok();
        let (first, verdict) = self.issuer_signature.get_or_init(|| (*key, verify()));
        if first == key { *verdict } else { verify() }
    }
}

impl Checked {
    /// The transaction's id.
    pub fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// The transaction.
    pub fn transaction(&self) -> &SignedTransaction {
        &self.transaction
    }

    /// The payload.
    pub fn payload(&self) -> &Payload {
        self.transaction.payload()
    }

    /// The action.
    pub fn action(&self) -> &Action {
        self.transaction.action()
    }

    /// The transaction as a block carries it: envelope and witness.
    pub fn block_transaction(&self) -> &BlockTransaction {
        &self.block_transaction
    }

    /// Bytes it takes in a block's body.
    pub fn block_bytes(&self) -> usize {
        transaction_length(&self.block_transaction)
    }

    /// Hash of the envelope: payload, headers and signatures. Together with [`Self::witness_hash`] it tells one
    /// signed form of a transaction from another (say, a mangled copy), which have the same id.
    pub fn envelope_hash(&self) -> Hash {
        self.envelope_hash
    }

    /// Hash of the witness; zero if there is none.
    pub fn witness_hash(&self) -> Hash {
        self.block_transaction.witness.hash()
    }

    pub(crate) fn evidence(&self) -> Option<&Evidence> {
        self.evidence.as_ref()
    }

    /// What is known of a `did.update` without the state: it is decided upon several times, on the way into a block and
    /// in each block that is tried.
    pub(crate) fn examined(&self) -> Option<&Examined> {
        self.examined.as_ref()
    }
}

/// Checks one transaction.
pub fn check(submitted: SubmittedTransaction, rules: &Rules) -> Result<Checked, Reject> {
    // A batch of one has one answer.
    check_batch(vec![submitted], rules).pop().unwrap_or(Err(Reject::TransactionSignature))
}

/// Checks many transactions, in batches and on all cores; answers in the order of the transactions.
pub fn check_all(submitted: Vec<SubmittedTransaction>, rules: &Rules) -> Vec<Result<Checked, Reject>> {
    if submitted.len() <= BATCH_TRANSACTIONS / 4 {
        return check_batch(submitted, rules);
    }
    // Even shares, at least one per core, so that no core waits for another's full batch.
    let shares = submitted.len().div_ceil(BATCH_TRANSACTIONS).max(rayon::current_num_threads());
    let share = submitted.len().div_ceil(shares).max(1);
    let mut batches = Vec::with_capacity(shares);
    let mut rest = submitted;
    while rest.len() > share {
        let tail = rest.split_off(share);
        batches.push(std::mem::replace(&mut rest, tail));
    }
    batches.push(rest);
    batches.into_par_iter().flat_map_iter(|batch| check_batch(batch, rules)).collect()
}

/// A transaction that is fine but for its signatures, which lie in the batch.
struct Pending {
    checked: Checked,
    signatures: usize,
    key_binding: bool,
}

fn check_batch(submitted: Vec<SubmittedTransaction>, rules: &Rules) -> Vec<Result<Checked, Reject>> {
    let mut batch = BatchVerifier::new();
    let pending: Vec<Result<Pending, Reject>> = submitted
        .into_iter()
        .map(|submitted| check_all_but_signatures(submitted, rules, &mut batch))
        .collect();
    let mut verdicts = VecDeque::from(batch.verify());
    let mut take = |count: usize| {
        // Verdicts come in the order of queueing; a missing one counts as a failure.
        let taken: Vec<bool> = verdicts.drain(..count.min(verdicts.len())).collect();
        taken.len() == count && taken.into_iter().all(|valid| valid)
    };
    pending
        .into_iter()
        .map(|pending| {
            let pending = pending?;
            let signed = take(pending.signatures) || sabotage::is(Sabotage::SkipSignatures);
            let bound = !pending.key_binding || take(1);
            match (signed, bound) {
                (false, _) => Err(Reject::TransactionSignature),
                (true, false) => Err(key_binding("its signature does not verify")),
                (true, true) => Ok(pending.checked),
            }
        })
        .collect()
}

/// Everything but the signatures; queues those, but only if nothing else is wrong.
fn check_all_but_signatures(
    submitted: SubmittedTransaction,
    rules: &Rules,
    batch: &mut BatchVerifier,
) -> Result<Pending, Reject> {
    submitted.check_witness()?;
    let SubmittedTransaction { transaction, witness } = submitted;
    let payload = transaction.payload();
    if payload.network != rules.network {
        return Err(Reject::TransactionNetwork);
    }
    check_node_proofs(payload)?;
    let evidence = match (&witness, payload.presentation) {
        (Witness::Full(bytes), Some(sd_hash)) => Some(read_presentation(bytes, sd_hash, payload)?),
        (Witness::Stripped(_), Some(_)) if rules.erased_witnesses => Some(Evidence::Erased),
        (Witness::None, None) => None,
        (Witness::None | Witness::Stripped(_), Some(_)) => return Err(Reject::PresentationMissing),
        (Witness::Full(_) | Witness::Stripped(_), None) => return Err(Reject::PresentationUnexpected),
    };
    let key_binding = match &evidence {
        Some(Evidence::Presented(presented)) => {
            let nonce = transaction.id().to_string();
            let bound = presented.presentation.check_key_binding(&nonce, &rules.audience);
            Some(bound.map_err(refuse_key_binding)?)
        }
        Some(Evidence::Erased) | None => None,
    };
    let checks = transaction.signature_checks();
    let signatures = checks.len();
    for check in checks {
        batch.queue(&check.key, &check.message, &check.signature);
    }
    if let Some((key, input)) = &key_binding {
        batch.queue(key, input.message, input.signature);
    }
    let key_binding = key_binding.is_some();
    let block_transaction = BlockTransaction { envelope: transaction.to_envelope(), witness };
    let envelope_hash = aval_codec::hash(tag::ENVELOPE, &[&block_transaction.envelope]);
    let examined = match transaction.action() {
        Action::DidUpdate(operation) => Some(operation.examine()),
        _ => None,
    };
    let checked = Checked { transaction, block_transaction, envelope_hash, evidence, examined };
    Ok(Pending { checked, signatures, key_binding })
}

/// What node keys have signed: the possession of a key that is registered, the votes that prove a fault.
fn check_node_proofs(payload: &Payload) -> Result<(), Reject> {
    match &payload.action {
        Action::NodeRegister(action) => {
            let operator = payload.sender().map(|kid| kid.did());
            let holds = |operator| action.proof.holds(&payload.network, operator, &action.key);
            if operator.is_some_and(holds) { Ok(()) } else { Err(Reject::NodePossession) }
        }
        Action::NodeEvidence(action) => {
            vote::check_evidence(&action.key, &action.first, &action.second, &payload.network.genesis())
        }
        _ => Ok(()),
    }
}

fn read_presentation(bytes: &[u8], sd_hash: Hash, payload: &Payload) -> Result<Evidence, Reject> {
    let presentation =
        Presentation::parse(bytes, &aval_credential::Limits::LEDGER).map_err(|error| match error {
            CredentialError::Oversized(_) => Reject::PresentationOversized,
            other => Reject::PresentationMalformed(other.to_string().into()),
        })?;
    if presentation.sd_hash() != sd_hash {
        return Err(mismatch("the payload names another sd_hash"));
    }
    // An action without a grant takes no presentation: the transaction's shape says so.
    let grant = payload.action.grant().ok_or(Reject::PresentationUnexpected)?;
    compare(grant, &presentation)?;
    Ok(Evidence::Presented(Box::new(Presented { presentation, issuer_signature: OnceLock::new() })))
}

/// The grant that the action states must be what the credential says, field by field.
fn compare(grant: &Grant, presentation: &Presentation) -> Result<(), Reject> {
    if presentation.issuer() != grant.issuer.as_str() {
        return Err(mismatch("the grant names another issuer"));
    }
    if !presentation.has_type(&grant.credential_type) {
        return Err(mismatch("the credential has not the grant's type"));
    }
    if presentation.roles() != grant.roles {
        return Err(mismatch("the grant has other roles"));
    }
    // A credential need not name its subject; the holder's key binds it. If it does, it must be this one.
    if presentation.subject_id().is_some_and(|subject| subject != grant.subject.as_str()) {
        return Err(mismatch("the credential's subject is another"));
    }
    match presentation.status() {
        [entry] if entry.list == grant.status.list && entry.index == grant.status.index => {}
        [_] => return Err(mismatch("the grant names another status entry")),
        _ => return Err(mismatch("a credential for the ledger has one status entry")),
    }
    let expires = presentation.valid_until_s().and_then(|seconds| u64::try_from(seconds).ok());
    if expires != Some(grant.expires) {
        return Err(mismatch("the grant ends at another time than the credential"));
    }
    Ok(())
}

fn mismatch(detail: &'static str) -> Reject {
    Reject::PresentationMismatch(detail.into())
}

fn key_binding(detail: &'static str) -> Reject {
    Reject::PresentationKeyBinding(detail.into())
}

fn refuse_key_binding(error: CredentialError) -> Reject {
    match error {
        CredentialError::Nonce => Reject::PresentationReplayed,
        other => Reject::PresentationKeyBinding(other.to_string().into()),
    }
}
