//! Who takes part, as committed state says: the validators of each epoch, the nodes that may be connected, and why.
//!
//! Two questions with different answers. *Who votes* is decided once per epoch, by the state after the last
//! block of the epoch before. *Who may be connected* follows every block: a node that lost its credential is
//! gone in the block that took it. No file on this machine decides either; the configuration can only say
//! that an admitted node is reached at another address.
//!
//! Asking the rules after every block would cost more than most blocks. So the roster remembers which keys of the state
//! the last answer was read from, and asks again when a block changes one of them or when time has passed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aval_did::Did;
use aval_machine::membership::{self, Member, Status};
use aval_machine::{Changes, StateError, state_key};
use aval_store::Ledger;
use aval_types::NodeKind;
use aval_types::genesis::Parameters;

use crate::engine::{Fatal, Membership, Peer, Peers};

/// Credentials run out without a block that says so; this often, by block time, they are looked at.
const RECHECK_MS: u64 = 2_000;
/// An idle validator may be this much slower than the heartbeat before the others change the leader.
const LEADER_SLACK_MS: u64 = 1_000;
/// Validator sets that are remembered.
const SETS_REMEMBERED: usize = 256;

/// A registered node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredNode {
    /// Its Ed25519 key.
    pub key: [u8; 32],
    /// What people call it.
    pub name: String,
    /// What it is there for.
    pub kind: NodeKind,
    /// The DID of who operates it.
    pub operator: Did,
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// How it stands.
    pub status: Status,
    /// Why it is admitted, or why not: `genesis`, `grant`, or the code of what speaks against it.
    pub why: &'static str,
}

impl RegisteredNode {
    /// `validator` in the set, `candidate` for it, or `observer`.
    pub const fn role(&self) -> &'static str {
        match self.kind {
            NodeKind::Observer => "observer",
            NodeKind::Validator if self.status.is_in_set() => "validator",
            NodeKind::Validator => "candidate",
        }
    }
}

/// Who is admitted after a block, and who is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The height of the block.
    pub height: u64,
    /// The nodes that are admitted: validators, then candidates, then observers.
    pub nodes: Vec<RegisteredNode>,
    /// The nodes that are registered and not admitted.
    pub refused: Vec<RegisteredNode>,
}

/// The epoch that this node takes part in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The epoch.
    pub epoch: u64,
    /// Whether this node votes in it.
    pub votes: bool,
}

/// The answer of the rules to the newest block, and when to ask again.
struct Newest {
    admission: Arc<Admission>,
    peers: Arc<Peers>,
    reads: BTreeSet<Vec<u8>>,
    asked_at_ms: u64,
    is_stale: bool,
}

/// The roster of a ledger.
pub struct Roster {
    ledger: Ledger,
    epoch_blocks: NonZeroU64,
    addresses: BTreeMap<[u8; 32], SocketAddr>,
    sets: Mutex<BTreeMap<u64, Arc<Vec<[u8; 32]>>>>,
    newest: Mutex<Option<Newest>>,
    place: Mutex<Place>,
}

impl Roster {
    /// The roster of a ledger that has its genesis block. `addresses` are by key, and go before the registered ones.
    pub fn new(
        ledger: Ledger,
        epoch_blocks: NonZeroU64,
        addresses: BTreeMap<[u8; 32], SocketAddr>,
    ) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            epoch_blocks,
            addresses,
            sets: Mutex::default(),
            newest: Mutex::default(),
            place: Mutex::default(),
        })
    }

    /// Takes note of what a block that is about to be announced changed.
    pub fn committed(&self, changes: &Changes, time_ms: u64) {
        if let Some(newest) = &mut *lock(&self.newest) {
            newest.is_stale |= time_ms.saturating_sub(newest.asked_at_ms) >= RECHECK_MS
                || changes.keys().any(|key| newest.reads.contains(key));
        }
    }

    /// Who is admitted after the newest committed block.
    pub fn admission(&self) -> Result<Arc<Admission>, Fatal> {
        self.with_newest(|newest| newest.admission.clone())
    }

    /// The epoch that this node takes part in.
    pub fn place(&self) -> Place {
        *lock(&self.place)
    }

    /// Blocks of an epoch.
    pub fn epoch_blocks(&self) -> NonZeroU64 {
        self.epoch_blocks
    }

    fn with_newest<T>(&self, take: impl FnOnce(&Newest) -> T) -> Result<T, Fatal> {
        let mut known = lock(&self.newest);
        if let Some(newest) = known.as_ref().filter(|newest| !newest.is_stale) {
            return Ok(take(newest));
        }
        let fresh = self.ask(known.as_ref())?;
        Ok(take(known.insert(fresh)))
    }

    /// Asks the rules. What has not changed keeps its place in memory, so that others see that it has not.
    fn ask(&self, before: Option<&Newest>) -> Result<Newest, Fatal> {
        let head = self.ledger.require_head().map_err(unreadable)?;
        let view = self.ledger.view(&head.digest()).map_err(unreadable)?;
        let asked_at_ms = head.header().time_ms;
        let members = membership::members(&view, asked_at_ms).map_err(unreadable)?;
        let reads = members.reads.iter().cloned().collect();
        let nodes: Vec<_> = members.connected().map(|member| self.registered(member)).collect();
        let refused: Vec<_> = members.refused.iter().map(|member| self.registered(member)).collect();
        let peers = peers(&nodes);
        let admission = match before {
            Some(before) if before.admission.nodes == nodes && before.admission.refused == refused => {
                before.admission.clone()
            }
            _ => Arc::new(Admission { height: head.height(), nodes, refused }),
        };
        let peers = match before {
            Some(before) if *before.peers == peers => before.peers.clone(),
            _ => Arc::new(peers),
        };
        Ok(Newest { admission, peers, reads, asked_at_ms, is_stale: false })
    }

    fn registered(&self, member: &Member) -> RegisteredNode {
        let configured = self.addresses.get(&member.key).copied();
        RegisteredNode {
            key: member.key,
            name: member.record.name.clone(),
            kind: member.record.kind,
            operator: member.operator().clone(),
            address: configured.or_else(|| member.addresses().first().copied()),
            status: member.status,
            why: member.why(),
        }
    }
}

impl Membership for Roster {
    fn validators(&self, epoch: u64) -> Result<Option<Arc<Vec<[u8; 32]>>>, Fatal> {
        if let Some(keys) = lock(&self.sets).get(&epoch) {
            return Ok(Some(keys.clone()));
        }
        // The set of epoch 0 is that of the genesis block.
        let decided_at = epoch.saturating_mul(self.epoch_blocks.get()).saturating_sub(1);
        let head = self.ledger.require_head().map_err(unreadable)?;
        if decided_at > head.height() {
            return Ok(None);
        }
        let keys = Arc::new(self.ledger.validators_after(decided_at).map_err(unreadable)?);
        let mut sets = lock(&self.sets);
        sets.insert(epoch, keys.clone());
        if sets.len() > SETS_REMEMBERED {
            sets.pop_first();
        }
        Ok(Some(keys))
    }

    fn peers(&self) -> Result<Arc<Peers>, Fatal> {
        self.with_newest(|newest| newest.peers.clone())
    }

    fn leader_timeout_ms(&self) -> Result<u64, Fatal> {
        let value = self.ledger.state(state_key::PARAMETERS.as_bytes()).map_err(unreadable)?;
        let parameters = parameters_in(value.as_deref()).map_err(unreadable)?;
        Ok(parameters.leader_timeout_ms.max(parameters.heartbeat_ms.saturating_add(LEADER_SLACK_MS)))
    }

    fn entered(&self, epoch: u64, votes: bool) {
        *lock(&self.place) = Place { epoch, votes };
    }
}

/// Everybody calls who validates or could. Whoever waits for a place is among them, so that it is connected when it
/// gets one.
fn peers(nodes: &[RegisteredNode]) -> Peers {
    let of = |kind: NodeKind| {
        let chosen = nodes.iter().filter(move |node| node.kind == kind);
        chosen.map(|node| Peer { key: node.key, address: node.address }).collect()
    };
    Peers { validators: of(NodeKind::Validator), observers: of(NodeKind::Observer) }
}

/// The parameters in force, by their value in the state.
pub fn parameters_in(value: Option<&[u8]>) -> Result<Parameters, StateError> {
    let damaged = |reason: &dyn std::fmt::Display| StateError::damaged(state_key::PARAMETERS, reason);
    let value = value.ok_or_else(|| damaged(&"they are missing"))?;
    serde_json::from_slice(value).map_err(|error| damaged(&error))
}

fn unreadable(error: impl std::fmt::Display) -> Fatal {
    Fatal(format!("the members of the network cannot be read: {error}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
