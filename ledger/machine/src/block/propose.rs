//! Making a block: which candidates it holds.

use std::borrow::Borrow;

use aval_types::{Reject, TransactionId};

use super::{Block, Executed, authorize_all};
use crate::authorize::{Admitted, BlockContext};
use crate::check::Checked;
use crate::state::{StateError, StateRead};

/// Candidates that a proposer authorizes at a time: enough for all cores, not much more than a block needs.
const PROPOSAL_WINDOW: usize = 256;

/// How large a block may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLimits {
    /// Bytes of the block's body.
    pub bytes_max: usize,
    /// Transactions.
    pub transactions_max: usize,
}

/// A block in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What the block does: exactly what [`execute_block`] says of the transactions kept.
    pub executed: Executed,
    /// Indices of the candidates that the block holds, ascending.
    pub kept: Vec<usize>,
    /// Candidates that cannot go into this block, and why. One that is in neither list did not fit: it is as good as
    /// before.
    pub dropped: Vec<Dropped>,
}

/// A candidate that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Its index among the candidates. The id alone would not tell a transaction from a mangled copy.
    pub index: usize,
    /// Its id.
    pub id: TransactionId,
    /// Why it was left out.
    pub reject: Reject,
}

/// Makes a block from candidates in order of preference. Leaves out what is not authorized and what an earlier
/// candidate overtakes, so nobody fills blocks for free.
pub fn propose_block<S, T>(
    state: &S,
    context: &BlockContext,
    candidates: &[T],
    limits: BlockLimits,
) -> Result<Proposal, StateError>
where
    S: StateRead + ?Sized,
    T: Borrow<Checked> + Sync,
{
    let mut block = Block::begin(state, context)?;
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    // The count of transactions goes before them.
    let mut bytes = 4usize;
    let mut indices = 0usize..;
    'windows: for window in candidates.chunks(PROPOSAL_WINDOW) {
        let decisions = authorize_all(state, &block.constitution, context, window);
        for ((candidate, decision), index) in window.iter().zip(decisions).zip(&mut indices) {
            let candidate: &Checked = candidate.borrow();
            let size = bytes.saturating_add(candidate.block_bytes());
            if kept.len() >= limits.transactions_max {
                break 'windows;
            }
            if size > limits.bytes_max {
                if kept.is_empty() { continue } else { break 'windows }
            }
            match decision?.and_then(|admitted| expect_new(&block, admitted)) {
                Err(reject) => dropped.push(Dropped { index, id: candidate.id(), reject }),
                Ok(admitted) => match block.decide_on_top(candidate, admitted)? {
                    Err(reject) => dropped.push(Dropped { index, id: candidate.id(), reject }),
                    Ok(admitted) => {
                        bytes = size;
                        kept.push(index);
                        block.ids.insert(admitted.id());
                        let outcome = block.apply(admitted)?;
                        block.receipt(candidate.id(), outcome);
                    }
                },
            }
        }
    }
    Ok(Proposal { executed: block.finish()?, kept, dropped })
}

fn expect_new<S: ?Sized>(block: &Block<'_, S>, admitted: Admitted) -> Result<Admitted, Reject> {
    if block.ids.contains(&admitted.id()) { Err(Reject::TransactionDuplicate) } else { Ok(admitted) }
}
