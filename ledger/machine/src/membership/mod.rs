//! Who may take part as a node, and why (D10, specs/rules.md, "Nodes and validators").
//!
//! A node is admitted while its operator has a live grant with the role of its kind; validators of genesis stand on the
//! genesis file until their operator holds such a grant for the first time. Nothing else decides: no local file, no
//! node's opinion. What holds:
//!
//! - An observer, or a validator that only waits, goes in the block that takes its standing.
//! - A validator in force goes in that block too, as long as at most half of the faults that the set tolerates are
//!   spent this way ([`spare`]); beyond that it is *leaving* and stays connected until the rules let it out.
//! - The set changes at the ends of epochs only ([`selection`]), loses at most f members there, and never shrinks below
//!   `validators.sizeMin`. So nobody can stop the chain by revoking, not even all operators at once.
//!
//! [`members`] is a function of state and time alone; [`Members::reads`] says which keys it rests on.

mod boundary;
mod end;
pub mod participation;
pub mod selection;

use std::net::SocketAddr;

use aval_codec::Hash;
use aval_did::{Did, PublicKey};
use aval_types::block::validators_hash;
use aval_types::node::{NodeRecord, SuspensionCause, key_bytes};
use aval_types::{NodeKind, Reject, ValidatorEntry};

use crate::authorize::Stop;
use crate::effect::Effect;
use crate::grant;
use crate::state::{Changes, StateError, StateRead};
use crate::state_key;
use crate::view::View;

pub(crate) use end::end;

/// Everybody who is registered, as of one state and time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The validators in force that are connected, ascending by key. To be called by everybody.
    pub validators: Vec<Member>,
    /// All others that are connected: candidates in the order of their queue, then observers.
    pub observers: Vec<Member>,
    /// Registered, and not to be connected.
    pub refused: Vec<Member>,
    /// The state keys that the answer rests on. While none of them changes, only the passing of time can change it.
    pub reads: Vec<Vec<u8>>,
}

/// A registered node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its Ed25519 key.
    pub key: [u8; 32],
    /// What is registered about it.
    pub record: NodeRecord,
    /// How it stands.
    pub status: Status,
    /// What speaks against it, if something does.
    pub reason: Option<Reject>,
}

/// How a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// A validator in force.
    Validating,
    /// A validator in force that leaves the set as soon as the rules let it; connected until then.
    Leaving,
    /// A validator in force that is disconnected already.
    CutOff,
    /// A validator that waits to be selected.
    Candidate,
    /// A validator that may not be selected for a time; it follows.
    Suspended,
    /// An observer.
    Observing,
    /// Registered without standing: not connected.
    Refused,
}

impl Status {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Leaving => "leaving",
            Self::CutOff => "cut-off",
            Self::Candidate => "candidate",
            Self::Suspended => "suspended",
            Self::Observing => "observing",
            Self::Refused => "refused",
        }
    }

    /// Whether other nodes connect with it.
    pub const fn is_connected(self) -> bool {
        !matches!(self, Self::CutOff | Self::Refused)
    }

    /// Whether it is in the set in force.
    pub const fn is_in_set(self) -> bool {
        matches!(self, Self::Validating | Self::Leaving | Self::CutOff)
    }
}

impl Member {
    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.record.addresses
    }

    /// Who answers for it.
    pub fn operator(&self) -> &Did {
        &self.record.operator
    }

    /// Why it is admitted, or why not: `genesis`, `grant`, or the code of what speaks against it.
    pub fn why(&self) -> &'static str {
        match &self.reason {
            Some(reason) => reason.code(),
            None if self.record.founding => "genesis",
            None => "grant",
        }
    }
}

impl Members {
    /// Everybody.
    pub fn all(&self) -> impl Iterator<Item = &Member> {
        self.validators.iter().chain(&self.observers).chain(&self.refused)
    }

    /// Those that other nodes connect with.
    pub fn connected(&self) -> impl Iterator<Item = &Member> {
        self.validators.iter().chain(&self.observers)
    }

    /// The node with this key.
    pub fn get(&self, key: &[u8; 32]) -> Option<&Member> {
        self.all().find(|member| member.key == *key)
    }
}

/// How many of `count` validators may be faulty.
pub const fn faults(count: usize) -> usize {
    count.saturating_sub(1) / 3
}

/// How many validators in force may be disconnected before the set changes: half of the faults that it tolerates,
/// rounded up. Those left are a quorum and a margin of the other half.
pub const fn spare(count: usize) -> usize {
    faults(count).div_ceil(2)
}

/// The epoch of a height.
pub const fn epoch_of(height: u64, epoch_blocks: u64) -> u64 {
    match height.checked_div(epoch_blocks) {
        Some(epoch) => epoch,
        None => 0,
    }
}

/// Whether the block of this height is the last of its epoch: the one that decides on the next set.
pub const fn is_boundary(height: u64, epoch_blocks: u64) -> bool {
    match height.checked_rem(epoch_blocks) {
        Some(place) => place == epoch_blocks.saturating_sub(1),
        None => false,
    }
}

/// The keys of the validators in force after the state, ascending: who certifies the next block.
pub fn validators<S: StateRead + ?Sized>(state: &S) -> Result<Vec<[u8; 32]>, StateError> {
    keys_of(&View::new(state).validators()?)
}

/// The same after `changes` were made to the state.
pub fn validators_after<S: StateRead + ?Sized>(
    state: &S,
    changes: &Changes,
) -> Result<Vec<[u8; 32]>, StateError> {
    match changes.get(state_key::VALIDATORS.as_bytes()) {
        Some(Some(bytes)) => read_validators(bytes),
        _ => validators(state),
    }
}

/// Reads the value of the key `validators`: the keys, ascending.
pub fn read_validators(bytes: &[u8]) -> Result<Vec<[u8; 32]>, StateError> {
    let entries: Vec<ValidatorEntry> =
        serde_json::from_slice(bytes).map_err(|error| StateError::damaged(state_key::VALIDATORS, error))?;
    keys_of(&entries)
}

fn keys_of(entries: &[ValidatorEntry]) -> Result<Vec<[u8; 32]>, StateError> {
    let keys = entries.iter().map(|entry| key_bytes(&entry.key)).collect::<Option<Vec<_>>>();
    keys.ok_or_else(|| StateError::damaged(state_key::VALIDATORS, "a key is not an Ed25519 key"))
}

/// What the two sets of a header are, and the height of the newest change, given its parent's and the set after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSets {
    /// The epoch.
    pub epoch: u64,
    /// The set that certifies the block: the one that its parent named as next.
    pub validators_hash: Hash,
    /// The set after it.
    pub next_validators_hash: Hash,
    /// The height of the newest block whose two sets differ.
    pub last_set_change: u64,
}

impl HeaderSets {
    /// The only values that a header of this height may have.
    pub fn following(parent: &aval_types::Header, height: u64, epoch_blocks: u64, next: &[[u8; 32]]) -> Self {
        let validators_hash_ = parent.next_validators_hash;
        let next_validators_hash = validators_hash(next);
        let is_change = validators_hash_ != next_validators_hash;
        Self {
            epoch: epoch_of(height, epoch_blocks),
            validators_hash: validators_hash_,
            next_validators_hash,
            last_set_change: if is_change { height } else { parent.last_set_change },
        }
    }

    /// Whether a header says the same of the sets. The epoch is the engine's place for the block.
    pub fn are_those_of(&self, header: &aval_types::Header) -> bool {
        self.validators_hash == header.validators_hash
            && self.next_validators_hash == header.next_validators_hash
            && self.last_set_change == header.last_set_change
    }
}

/// Who is registered, who is admitted, and why, at a time.
pub fn members<S: StateRead + ?Sized>(state: &S, time_ms: u64) -> Result<Members, StateError> {
    let view = View::new(state);
    let entries = view.validators()?;
    let cut_off = cut_off(&view, &entries, time_ms)?;
    let mut members = Members::default();
    for key in view.nodes()? {
        let record = view.node_expected(&key)?;
        let Some(key) = key_bytes(&key) else { continue };
        let is_in_set = entries.iter().any(|entry| key_bytes(&entry.key) == Some(key));
        let reason = objection(&view, &record, time_ms)?;
        let suspended = is_suspended(&record, time_ms);
        let status = match (is_in_set, &reason) {
            (true, Some(_)) if cut_off.contains(&key) => Status::CutOff,
            (true, Some(_)) => Status::Leaving,
            (true, None) if suspended || record.leaving => Status::Leaving,
            (true, None) => Status::Validating,
            (false, Some(_)) => Status::Refused,
            (false, None) if record.kind == NodeKind::Observer => Status::Observing,
            (false, None) if suspended => Status::Suspended,
            (false, None) => Status::Candidate,
        };
        let reason = reason.or_else(|| suspended.then_some(Reject::NodeSuspended));
        let group = match status {
            Status::Refused | Status::CutOff => &mut members.refused,
            status if status.is_in_set() => &mut members.validators,
            _ => &mut members.observers,
        };
        group.push(Member { key, record, status, reason });
    }
    members.validators.sort_by_key(|member| member.key);
    members.observers.sort_by_key(|member| member.record.kind);
    members.reads = view.into_reads();
    Ok(members)
}

/// What speaks against connecting with a node, whatever the set needs; nothing if it is admitted.
pub(crate) fn objection<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    record: &NodeRecord,
    time_ms: u64,
) -> Result<Option<Reject>, StateError> {
    let denied = match key_bytes(&record.key) {
        Some(key) => view.bytes(&state_key::deny_node(&key))?.is_some(),
        None => true,
    };
    if denied || view.bytes(&state_key::deny_did(&record.operator))?.is_some() {
        return Ok(Some(Reject::NodeDenied));
    }
    if barred(record) {
        return Ok(Some(Reject::NodeBarred));
    }
    let Some(operator) = view.did(&record.operator)? else { return Ok(Some(Reject::DidNotFound)) };
    if operator.deactivated {
        return Ok(Some(Reject::DidDeactivated));
    }
    match grant::expect_role(view, &operator, record.kind.role(), time_ms) {
        Ok(()) => Ok(None),
        // A founder stands on genesis until the first time that it stands on a grant.
        Err(Stop::Reject(Reject::GrantRequired | Reject::GrantRole)) if record.founding => Ok(None),
        Err(Stop::Reject(reject)) => Ok(Some(reject)),
        Err(Stop::State(error)) => Err(error),
    }
}

/// Whether the node is barred for good: it was at fault, or governance has expelled it.
pub(crate) fn barred(record: &NodeRecord) -> bool {
    record.suspended.as_ref().is_some_and(|suspended| {
        matches!(suspended.cause, SuspensionCause::Equivocation(_) | SuspensionCause::Expelled)
    })
}

/// Whether a suspension is in force.
pub(crate) fn is_suspended(record: &NodeRecord, time_ms: u64) -> bool {
    record.suspended.as_ref().is_some_and(|suspended| suspended.is_on(time_ms))
}

/// The validators in force that are disconnected: of those that something speaks against, the first ones, as many as
/// [`spare`] allows.
fn cut_off<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    entries: &[ValidatorEntry],
    time_ms: u64,
) -> Result<Vec<[u8; 32]>, StateError> {
    let mut leaving = Vec::new();
    for entry in entries {
        let Some(key) = key_bytes(&entry.key) else { continue };
        let record = view.node_expected(&entry.key)?;
        if objection(view, &record, time_ms)?.is_some() {
            // What the passing of time has brought about since the last block comes last.
            leaving.push((entry.leaving.unwrap_or(u64::MAX), key));
        }
    }
    leaving.sort_unstable();
    leaving.truncate(spare(entries.len()));
    Ok(leaving.into_iter().map(|(_, key)| key).collect())
}

/// Takes a node out for good: what a vote of the governors to expel it does. It stays on the record, so that its key
/// cannot come back; if it validates, it leaves the set as fast as the rules let it.
pub(crate) fn expel<S: StateRead + ?Sized>(
    view: &View<'_, S>,
    key: &PublicKey,
    time_ms: u64,
) -> Result<Effect, Stop> {
    let mut record = view.node(key)?.ok_or(Reject::NodeNotFound)?;
    if barred(&record) {
        return Err(Reject::NodeBarred.into());
    }
    record.suspended =
        Some(aval_types::node::Suspension { since: time_ms, until: None, cause: SuspensionCause::Expelled });
    let mut effect = Effect::default();
    effect.put_node(&record)?;
    effect.event(aval_types::Event::NodeExpelled { node: record.key, operator: record.operator });
    Ok(effect)
}
