//! Committing final blocks that came by another way than the engine: verified here, block by block.
//!
//! Nothing is believed of where they come from. The set that certifies an epoch is read from the state that
//! executing the epoch before left; a quorum of it has to have signed a block or a descendant of it in the
//! same epoch; and executing the block has to give what its header says. That is the trust chain in full:
//! every set change is followed by having made it.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::sync::Arc;

use aval_machine::Rules;
use aval_proof::ValidatorSet;
use aval_store::{Ledger, StoreError};

use super::execution::{Execution, Rejection};
use super::{ExecutorOptions, fatal};
use crate::block_run::Certified;
use crate::engine::{Fatal, Membership as _, SealedBlock};
use crate::mempool::{Limits, Mempool};
use crate::roster::Roster;

/// Why a run of blocks was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// The blocks are not this network's, or not final.
    #[error("block {height} is not to be believed: {reason}")]
    Untrusted {
        /// Its height.
        height: u64,
        /// What is wrong.
        reason: String,
    },
    /// This node cannot go on.
    #[error("{0}")]
    Fault(String),
}

impl From<Fatal> for ReplayError {
    fn from(error: Fatal) -> Self {
        Self::Fault(error.0)
    }
}

impl From<StoreError> for ReplayError {
    fn from(error: StoreError) -> Self {
        fatal(error).into()
    }
}

/// Commits blocks in the order of heights.
pub struct Replay {
    execution: Execution,
    epoch_blocks: NonZeroU64,
    roster: Arc<Roster>,
    /// Blocks that no certificate covers yet.
    waiting: VecDeque<Certified>,
}

impl Replay {
    /// On top of what the ledger has, which is the genesis block at least.
    pub fn new(ledger: Ledger, epoch_blocks: NonZeroU64, options: ExecutorOptions) -> Self {
        let roster = Roster::new(ledger.clone(), epoch_blocks, BTreeMap::new());
        let mempool = Arc::new(Mempool::new(Limits::default()));
        let rules = Rules::certified(options.network.clone());
        let execution = Execution { ledger, mempool, rules, options };
        Self { execution, epoch_blocks, roster, waiting: VecDeque::new() }
    }

    /// The height that comes next.
    pub fn next_height(&self) -> Result<u64, ReplayError> {
        let head = self.execution.ledger.require_head()?.height();
        Ok(head + 1 + self.waiting.len() as u64)
    }

    /// Takes further blocks, and commits those that a certificate covers. Returns the newest committed height.
    pub fn take(&mut self, run: Vec<Certified>) -> Result<u64, ReplayError> {
        for (block, certificate) in run {
            let expected = self.next_height()?;
            if block.header.height != expected {
                return Err(untrusted(block.header.height, format!("block {expected} was asked for")));
            }
            self.waiting.push_back((block, certificate));
        }
        while let Some(covered) = self.covered()? {
            for _ in 0..covered {
                let Some((block, certificate)) = self.waiting.pop_front() else { break };
                let height = block.header.height;
                let execution = &self.execution;
                let pending =
                    execution.execute(&SealedBlock::new(block)).map_err(|rejection| match rejection {
                        Rejection::Invalid(reason) => untrusted(height, reason),
                        other => ReplayError::Fault(other.to_string()),
                    })?;
                execution.ledger.commit(&pending, certificate.as_ref())?;
                self.roster.committed(&pending.executed().changes, pending.header().time_ms);
            }
        }
        Ok(self.execution.ledger.require_head()?.height())
    }

    /// How many of the waiting blocks a certificate of the next block's epoch covers. Every certificate among these is
    /// verified, and every block is the parent of the one after it.
    fn covered(&self) -> Result<Option<usize>, ReplayError> {
        let head = self.execution.ledger.require_head()?;
        let epoch = (head.height() + 1) / self.epoch_blocks;
        let Some(keys) = self.roster.validators(epoch)? else {
            return Err(ReplayError::Fault(format!("the validators of epoch {epoch} are not known")));
        };
        let set = ValidatorSet::new(keys.to_vec());
        let (mut parent, mut covered) = (head.digest(), None);
        for (index, (block, certificate)) in self.waiting.iter().enumerate() {
            let (height, digest) = (block.header.height, block.digest());
            if height / self.epoch_blocks != epoch {
                break;
            }
            if block.header.parent != parent {
                return Err(untrusted(height, "it does not follow the block below"));
            }
            parent = digest;
            if let Some(certificate) = certificate {
                if certificate.epoch != epoch {
                    return Err(untrusted(height, "its certificate is of another epoch"));
                }
                certificate
                    .verify(&self.execution.ledger.genesis(), &digest, &set)
                    .map_err(|error| untrusted(height, error.to_string()))?;
                covered = Some(index + 1);
            }
        }
        Ok(covered)
    }
}

fn untrusted(height: u64, reason: impl Into<String>) -> ReplayError {
    ReplayError::Untrusted { height, reason: reason.into() }
}
