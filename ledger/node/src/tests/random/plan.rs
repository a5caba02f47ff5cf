//! What a run consists of, made from one seed: the network, who lies in it, and what goes wrong when.

use std::collections::BTreeMap;
use std::time::Duration;

use aval_machine::testkit::workload::Dice;
use aval_machine::testkit::{Kit, Options};
use aval_types::NodeKind;
use aval_types::genesis::Parameters;

use crate::engine::simulation::{Plug, Quality, START};

use super::byzantine::Kind;

/// Nodes of a run at most.
const NODES_MAX: usize = 10;
/// How long things go wrong, milliseconds of simulated time.
const CHAOS_MS: u64 = 24_000;

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// All links are like this for a time.
    Links { what: &'static str, quality: Quality, for_ms: u64 },
    /// The messages of a node come in another order, some of them twice, for a time.
    Reorder { node: usize, percent: u64, for_ms: u64 },
    /// These hear nothing of the others for a time, nor the others of these.
    Partition { side: Vec<usize>, for_ms: u64 },
    /// A node is ended in the middle of what it does and starts again later, from its disk. Without a plug,
    /// at once; in a power failure what was not synced is lost.
    Crash { node: usize, plug: Option<Plug>, power: bool, down_ms: u64 },
    /// The disk of a node is slow for a time.
    SlowDisk { node: usize, delay_ms: u64, for_ms: u64 },
    /// The clock of a node is set.
    Clock { node: usize, offset_ms: i64 },
    /// A further node is registered and starts.
    Join { node: usize, kind: NodeKind },
}

impl Fault {
    /// The name that it is counted under.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Links { what, .. } => what,
            Self::Reorder { .. } => "reorder",
            Self::Partition { .. } => "partition",
            Self::Crash { power: true, .. } => "power failure",
            Self::Crash { plug: Some(Plug::Before(_)), .. } => "crash before a write",
            Self::Crash { plug: Some(Plug::After(_)), .. } => "crash after a write",
            Self::Crash { .. } => "crash",
            Self::SlowDisk { .. } => "slow disk",
            Self::Clock { .. } => "clock",
            Self::Join { kind: NodeKind::Validator, .. } => "validator joins",
            Self::Join { kind: NodeKind::Observer, .. } => "observer joins",
        }
    }
}

/// Every name that a fault is counted under.
pub(super) const FAULTS: &[&str] = &[
    "loss",
    "delay",
    "reorder",
    "partition",
    "power failure",
    "crash before a write",
    "crash after a write",
    "crash",
    "slow disk",
    "clock",
    "validator joins",
    "observer joins",
];

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// Validators of genesis; nodes that join have the numbers after them.
    pub(super) validators: usize,
    pub(super) nodes: usize,
    pub(super) byzantine: BTreeMap<usize, Kind>,
    /// What goes wrong, by the millisecond since the network is up.
    pub(super) faults: Vec<(u64, Fault)>,
    /// Milliseconds between two transactions of the network's people.
    pub(super) pause_ms: u64,
}

impl Plan {
    /// The plan of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let validators = dice.pick(&[4, 4, 4, 4, 5, 6, 7, 7]).expect("there are some");
        let joining = dice.below(3).min(NODES_MAX - validators);
        let nodes = validators + joining;
        let most = (validators - 1) / 3;
        let liars = dice.below(most + 1).max(usize::from(dice.chance(60)));
        let mut byzantine = BTreeMap::new();
        for _ in 0..liars {
            let kind = dice.pick(Kind::ALL).expect("there are some");
            byzantine.insert(dice.below(validators), kind);
        }
        let mut plan =
            Self { seed, validators, nodes, byzantine, faults: Vec::new(), pause_ms: dice.between(80, 400) };
        for node in validators..nodes {
            let kind = if dice.chance(60) { NodeKind::Validator } else { NodeKind::Observer };
            plan.faults.push((dice.between(0, CHAOS_MS / 3), Fault::Join { node, kind }));
        }
        for _ in 0..dice.between(2, 7) {
            let at = dice.between(0, CHAOS_MS);
            let fault = plan.fault(&mut dice);
            plan.faults.push((at, fault));
        }
        plan.faults.sort_by_key(|(at, _)| *at);
        plan
    }

    fn fault(&self, dice: &mut Dice) -> Fault {
        let node = dice.below(self.validators);
        let for_ms = dice.between(500, 8_000);
        match dice.below(10) {
            0 => {
                let quality =
                    Quality { loss_percent: u8::try_from(dice.between(5, 30)).expect("small"), ..LINK };
                Fault::Links { what: "loss", quality, for_ms }
            }
            1 => {
                let latency = Duration::from_millis(dice.between(50, 500));
                let quality = Quality { latency, jitter: latency / 2, loss_percent: 0 };
                Fault::Links { what: "delay", quality, for_ms }
            }
            2 => Fault::Reorder { node, percent: dice.between(5, 50), for_ms },
            3 => {
                let mut all: Vec<usize> = (0..self.nodes).collect();
                dice.shuffle(&mut all);
                all.truncate(dice.between(1, self.nodes as u64 / 2) as usize);
                Fault::Partition { side: all, for_ms }
            }
            4 => Fault::SlowDisk { node, delay_ms: dice.between(20, 800), for_ms },
            5 => {
                let large = if dice.chance(30) { 20_000 } else { 900 };
                let offset_ms = i64::try_from(dice.between(0, 2 * large)).expect("small");
                Fault::Clock { node, offset_ms: offset_ms - i64::try_from(large).expect("small") }
            }
            6 => Fault::Crash { node, plug: None, power: true, down_ms: for_ms },
            7 => {
                let plug = Some(Plug::Before(dice.between(0, 40)));
                Fault::Crash { node, plug, power: dice.chance(50), down_ms: for_ms }
            }
            8 => {
                let plug = Some(Plug::After(dice.between(0, 40)));
                Fault::Crash { node, plug, power: false, down_ms: for_ms }
            }
            _ => Fault::Crash { node, plug: None, power: false, down_ms: for_ms },
        }
    }

    /// Everybody's keys, and the genesis.
    pub(super) fn kit(&self) -> Kit {
        let mut dice = Dice::new(self.seed);
        let mut parameters = Parameters {
            block_bytes_max: 256 * 1024,
            block_transactions_max: u32::try_from(dice.between(6, 40)).expect("small"),
            heartbeat_ms: 500,
            witness_retention_ms: 3_600_000,
            leader_timeout_ms: 1_000,
            ..Parameters::default()
        };
        parameters.governance.notice_blocks = 3;
        parameters.validators.epoch_blocks = dice.between(12, 30);
        // The set never shrinks below what its liars are counted against.
        parameters.validators.size_min = u32::try_from(self.validators).expect("small");
        parameters.quota.per_grant = u32::try_from(dice.between(6, 60)).expect("small");
        Kit::with(Options {
            seed: self.seed,
            validators: self.validators,
            time_s: START.as_secs() - 1,
            parameters,
            governor_threshold: 2,
            ..Options::default()
        })
    }

    /// The number by which the kit knows a node that joins.
    pub(super) fn number(&self, node: usize) -> u64 {
        (node - self.validators) as u64 + 1
    }

    /// The seeds of the nodes' keys.
    pub(super) fn key_seeds(&self, kit: &Kit) -> Vec<[u8; 32]> {
        let joining = (self.validators..self.nodes).map(|node| kit.node_key(self.number(node)));
        kit.validator_keys().iter().cloned().chain(joining).map(|key| *key.to_seed()).collect()
    }
}

/// What a link is like when nothing is wrong with it.
pub(super) const LINK: Quality = Quality::GOOD;
