//! What a whole network's people do in a few minutes, made from a seed: transactions of every kind of action, most of
//! them good, some that nobody may accept.
//!
//! A [`Workload`] owns a [`Kit`] with everybody's keys and remembers who has joined, who was shut out, what
//! was proposed. [`Workload::next`] makes the next transaction; whoever submits it says by
//! [`Workload::settle`] what became of it, so that the people do not build on what never happened. The same
//! seed and the same answers give the same transactions.

mod actions;
mod mischief;

use std::collections::{BTreeMap, BTreeSet};

use aval_types::governance::{Change, GovernancePropose, GovernanceVote};
use aval_types::node::key_bytes;
use aval_types::supervision::Target;
use aval_types::{Action, NodeKind, SchemaHash, SubmittedTransaction, TransactionId};

use super::{Credential, Draft, Kit, Party};

/// Random numbers from a seed: SplitMix64.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall by a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.roll() % count as u64).expect("it is below a size")
    }

    /// A number of a range, both ends included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    /// One of these.
    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())].clone()) }
    }

    /// These in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

/// Somebody who takes part.
#[derive(Debug, Clone)]
struct Actor {
    party: Party,
    credentials: Vec<Credential>,
    joined: bool,
    ended: bool,
    /// Something of it is under way, on which its next operation will build.
    busy: bool,
}

/// What has to be remembered once a transaction took effect.
#[derive(Debug, Clone)]
enum Effect {
    Nothing,
    Joined { actor: usize, credential: Option<Box<Credential>> },
    Moved { actor: usize, after: Box<Party>, ended: bool },
    Presented { actor: usize, credential: Box<Credential> },
    Suspended { actor: usize, suspended: bool },
    Registry,
    Proposed { execute_at: u64 },
    Voted { proposal: TransactionId, governor: usize },
    Held,
    Released { hold: TransactionId },
    Denied { target: Target },
    Allowed { target: Target },
    Accredited { actor: usize, previous: u32 },
    Disaccredited { actor: usize },
    Branch { actor: usize },
    Published { schema: SchemaHash },
    Deprecated { schema: SchemaHash },
    Registered { number: u64 },
    Left { number: u64 },
    Evidence { number: u64 },
    Listed { actor: usize, name: String },
    Removed { actor: usize, name: String },
}

/// A proposal that waits for its height.
#[derive(Debug, Clone)]
struct Proposal {
    id: TransactionId,
    execute_at: u64,
    voted: BTreeSet<usize>,
}

/// The transactions of a network's people. See the module's documentation.
#[derive(Debug)]
pub struct Workload {
    /// Everybody's keys.
    pub kit: Kit,
    dice: Dice,
    actors: Vec<Actor>,
    underway: BTreeMap<TransactionId, Effect>,
    /// What was sent lately, for those who send it again.
    sent: Vec<SubmittedTransaction>,
    deck: Vec<&'static str>,
    companies: u64,
    registries: u64,
    /// Whose second credential is suspended.
    suspended: BTreeSet<usize>,
    has_suspensions: bool,
    proposals: Vec<Proposal>,
    holds: Vec<TransactionId>,
    denials: Vec<Target>,
    accredited: BTreeMap<usize, (u32, bool)>,
    /// Who has a status registry beside the issuer, and was accredited when it was made.
    branches: BTreeSet<usize>,
    schemas: Vec<SchemaHash>,
    /// Nodes that are registered and never run.
    nodes: Vec<u64>,
    next_node: u64,
    services: Vec<(usize, String)>,
    serial: u64,
}

/// Who endorses, operates nodes and supervises; those after them come and go.
const ENDORSER: usize = 0;
const OPERATOR: usize = 1;
const SUPERVISOR: usize = 2;
const REGULARS: usize = 4;
/// The first number of nodes that are registered and never run.
const PHANTOM_NODES_FROM: u64 = 500;

impl Workload {
    /// The people of a network whose keys come from the kit.
    pub fn new(kit: Kit, seed: u64) -> Self {
        let mut workload = Self {
            dice: Dice::new(seed ^ 0x5eed),
            kit,
            actors: Vec::new(),
            underway: BTreeMap::new(),
            sent: Vec::new(),
            deck: Vec::new(),
            companies: 0,
            registries: 0,
            suspended: BTreeSet::new(),
            has_suspensions: false,
            proposals: Vec::new(),
            holds: Vec::new(),
            denials: Vec::new(),
            accredited: BTreeMap::new(),
            branches: BTreeSet::new(),
            schemas: Vec::new(),
            nodes: Vec::new(),
            next_node: PHANTOM_NODES_FROM,
            services: Vec::new(),
            serial: 0,
        };
        for _ in 0..REGULARS {
            workload.actor();
        }
        workload
    }

    /// What has to be on the ledger before people can do anything: the issuer's registry, and nothing else.
    pub fn opening(&mut self) -> SubmittedTransaction {
        let submitted = self.kit.create_registry();
        self.note(&submitted, Effect::Nothing);
        submitted
    }

    /// Those who stay: an endorser, an operator, a supervisor and a member, who join with credentials.
    pub fn regulars(&mut self) -> Vec<SubmittedTransaction> {
        (0..REGULARS)
            .map(|actor| {
                let roles: &[&str] = match actor {
                    ENDORSER => &["endorser", "member"],
                    OPERATOR => &["member", "observer", "operator"],
                    SUPERVISOR => &["member", "supervisor"],
                    _ => &["member"],
                };
                self.join(actor, roles)
            })
            .collect()
    }

    /// Registers node `number` of the operator. For nodes that will run.
    pub fn register_node(&mut self, number: u64, kind: NodeKind) -> ([u8; 32], SubmittedTransaction) {
        let operator = self.actors[OPERATOR].party.clone();
        let node = self.kit.registration(&operator, number, kind, ("public", "north"));
        let key = key_bytes(&node.key).expect("an Ed25519 key");
        let submitted = operator.register(&self.kit, node);
        self.note(&submitted, Effect::Nothing);
        (key, submitted)
    }

    /// Somebody shows two votes of a validator.
    pub fn show(&mut self, evidence: aval_types::action::NodeEvidence) -> SubmittedTransaction {
        let member = self.actors[REGULARS - 1].party.clone();
        let submitted = member.send(&self.kit, Action::NodeEvidence(Box::new(evidence)));
        self.note(&submitted, Effect::Nothing);
        submitted
    }

    /// Makes the next transaction, for a ledger at `height`.
    pub fn next(&mut self, now_s: u64, height: u64) -> SubmittedTransaction {
        self.kit.now_s = now_s;
        self.proposals.retain(|proposal| proposal.execute_at > height);
        if self.dice.chance(12)
            && let Some(submitted) = self.mischief()
        {
            return submitted;
        }
        for _ in 0..32 {
            if self.deck.is_empty() {
                self.deck = Self::deck();
                self.dice.shuffle(&mut self.deck);
            }
            let kind = self.deck.pop().expect("it was filled");
            if let Some(submitted) = self.make(kind, height) {
                return submitted;
            }
        }
        // Whoever else is busy, a new company can always ask to come in.
        self.create(false)
    }

    /// Says what became of a transaction.
    pub fn settle(&mut self, id: &TransactionId, applied: bool) {
        let Some(effect) = self.underway.remove(id) else { return };
        if let Effect::Joined { actor, .. } | Effect::Moved { actor, .. } = &effect {
            self.actors[*actor].busy = false;
        }
        if applied {
            self.remember(*id, effect);
        }
    }

    /// Every kind, the common ones more often.
    fn deck() -> Vec<&'static str> {
        let common =
            ["did.create", "did.update", "did.update", "did.update", "anchor.create", "governance.vote"];
        Action::KINDS.iter().copied().chain(common).chain(["governance.vote", "registry.update"]).collect()
    }

    fn actor(&mut self) -> usize {
        self.companies += 1;
        let party = self.kit.company(self.companies);
        self.actors.push(Actor { party, credentials: Vec::new(), joined: false, ended: false, busy: false });
        self.actors.len() - 1
    }

    fn remember(&mut self, id: TransactionId, effect: Effect) {
        match effect {
            Effect::Nothing => {}
            Effect::Joined { actor, credential } => {
                self.actors[actor].joined = true;
                self.actors[actor].credentials.extend(credential.map(|credential| *credential));
            }
            Effect::Moved { actor, after, ended } => {
                self.actors[actor].party = *after;
                self.actors[actor].ended = ended;
            }
            Effect::Presented { actor, credential } => self.actors[actor].credentials.push(*credential),
            Effect::Suspended { actor, suspended: true } => {
                self.suspended.insert(actor);
            }
            Effect::Suspended { actor, suspended: false } => {
                self.suspended.remove(&actor);
            }
            Effect::Registry => self.has_suspensions = true,
            Effect::Proposed { execute_at } => {
                self.proposals.push(Proposal { id, execute_at, voted: BTreeSet::new() });
            }
            Effect::Voted { proposal, governor } => {
                let open = self.proposals.iter_mut().find(|open| open.id == proposal);
                open.map(|open| open.voted.insert(governor));
            }
            Effect::Held => self.holds.push(id),
            Effect::Released { hold } => self.holds.retain(|own| *own != hold),
            Effect::Denied { target } => self.denials.push(target),
            Effect::Allowed { target } => self.denials.retain(|own| *own != target),
            Effect::Accredited { actor, previous } => {
                self.accredited.insert(actor, (previous + 1, true));
            }
            Effect::Disaccredited { actor } => {
                let version = self.accredited.get(&actor).map_or(0, |(version, _)| *version);
                self.accredited.insert(actor, (version + 1, false));
            }
            Effect::Branch { actor } => {
                self.branches.insert(actor);
            }
            Effect::Published { schema } => self.schemas.push(schema),
            Effect::Deprecated { schema } => self.schemas.retain(|own| *own != schema),
            Effect::Registered { number } => self.nodes.push(number),
            Effect::Left { number } | Effect::Evidence { number } => self.nodes.retain(|own| *own != number),
            Effect::Listed { actor, name } => self.services.push((actor, name)),
            Effect::Removed { actor, name } => {
                self.services.retain(|(own, other)| *own != actor || *other != name);
            }
        }
    }

    /// Remembers a transaction that is about to be sent.
    fn note(&mut self, submitted: &SubmittedTransaction, effect: Effect) {
        if let Effect::Joined { actor, .. } | Effect::Moved { actor, .. } = &effect {
            self.actors[*actor].busy = true;
        }
        self.underway.insert(submitted.transaction.id(), effect);
        self.sent.push(submitted.clone());
        if self.sent.len() > 64 {
            self.sent.remove(0);
        }
    }

    /// As a rule ten minutes; now and then so short that it may run out on the way.
    fn window(&mut self) -> (u64, u64) {
        let begin = self.kit.now_s - 5;
        match self.dice.chance(10) {
            true => (begin, begin + 5 + self.dice.between(2, 20)),
            false => (begin, begin + 600),
        }
    }

    /// Signs an action of a sender.
    fn send(&mut self, actor: &Party, action: Action, effect: Effect) -> SubmittedTransaction {
        let (nbf, exp) = self.window();
        let submitted = Draft::new(&self.kit, action).sender(actor).window(nbf, exp).submit();
        self.note(&submitted, effect);
        submitted
    }

    /// Somebody on the ledger with nothing under way, from `from` on.
    fn idle(&mut self, from: usize) -> Option<usize> {
        let able = |actor: &usize| {
            let one = &self.actors[*actor];
            one.joined && !one.ended && !one.busy
        };
        let idle: Vec<usize> = (from..self.actors.len()).filter(able).collect();
        self.dice.pick(&idle)
    }

    fn idle_party(&mut self, from: usize) -> Option<Party> {
        let actor = self.idle(from)?;
        Some(self.actors[actor].party.clone())
    }

    /// Proposes a change for a height that leaves time for votes.
    fn propose(&mut self, change: Change, height: u64) -> SubmittedTransaction {
        let governor = self.dice.below(self.kit.operators.len());
        let governor = self.kit.operators[governor].clone();
        let execute_at = height + self.dice.between(12, 30);
        let title = format!("change {}", self.serial);
        self.serial += 1;
        let action = Action::GovernancePropose(GovernancePropose { change, execute_at, title });
        self.send(&governor, action, Effect::Proposed { execute_at })
    }

    fn vote(&mut self) -> Option<SubmittedTransaction> {
        let open = self.proposals.clone();
        let proposal = self.dice.pick(&open)?;
        let silent: Vec<usize> =
            (0..self.kit.operators.len()).filter(|governor| !proposal.voted.contains(governor)).collect();
        let governor = self.dice.pick(&silent)?;
        let approve = self.dice.chance(90);
        let action = Action::GovernanceVote(GovernanceVote { proposal: proposal.id, approve });
        let party = self.kit.operators[governor].clone();
        Some(self.send(&party, action, Effect::Voted { proposal: proposal.id, governor }))
    }
}
