//! Steps 3 and 4 as law, and what follows from them: from a block's transactions to changes and receipts.
//!
//! Every transaction of a block is authorized on the state before the block; one that is not makes the whole block
//! invalid, so a faulty leader cannot bring unauthorized work in. Then they are applied in order, each to what the
//! ones before it left. A transaction that one of them has overtaken (it replaced the version that this one builds
//! on, revoked its grant, took its registry's name) is *rejected*: it changes nothing and its receipt has the code.
//!
//! Authorizing is a pure function of the state before the block, so it runs on all cores. It remembers what it read;
//! only where an earlier transaction has changed that, it is done again on what is there now. The outcome is that of
//! one core doing everything twice, in order.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use aval_codec::{Hash, merkle};
use aval_types::{Outcome, Receipt, Reject, TransactionId};
use rayon::prelude::*;

use crate::authorize::{Admitted, BlockContext, authorize};
use crate::check::Checked;
use crate::state::{Changes, Overlay, StateError, StateRead};

/// Candidates that a proposer authorizes at a time: enough for all cores, not much more than a block needs.
const PROPOSAL_WINDOW: usize = 256;

/// What a block does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The changes to the state before the block.
    pub changes: Changes,
    /// The receipts, in the order of the transactions.
    pub receipts: Vec<Receipt>,
    /// Their bytes: the leaves of the root.
    pub receipt_bytes: Vec<Vec<u8>>,
    /// Root over the receipts, for the header.
    pub receipts_root: Hash,
    /// The transactions' ids, in order: what replay protection remembers.
    pub ids: Vec<TransactionId>,
}

/// Why a block has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// The block holds a transaction that is not authorized on the state before it: the block is invalid, vote no.
    #[error("transaction {index} of the block is not authorized: {reject}")]
    Unauthorized {
        /// The transaction's place in the block.
        index: usize,
        /// Why it is not authorized.
        reject: Reject,
    },
    /// Nothing was decided: this node cannot read its state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl ExecuteError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "block.unauthorized",
            Self::State(error) => error.code(),
        }
    }
}

/// Executes a block that somebody proposed. `transactions` are all of its transactions, in order.
pub fn execute_block<S, T>(
    state: &S,
    context: &BlockContext,
    transactions: &[T],
) -> Result<Executed, ExecuteError>
where
    S: StateRead + ?Sized,
    T: Borrow<Checked> + Sync,
{
    let mut block = Block::new(state, context);
    for (index, (transaction, decision)) in
        transactions.iter().zip(authorize_all(state, context, transactions)).enumerate()
    {
        let admitted = decision?.map_err(|reject| ExecuteError::Unauthorized { index, reject })?;
        if !block.ids.insert(admitted.id()) {
            return Err(ExecuteError::Unauthorized { index, reject: Reject::TransactionDuplicate });
        }
        let outcome = match block.decide_on_top(transaction.borrow(), admitted)? {
            Ok(admitted) => block.apply(admitted),
            Err(reject) => Outcome::Rejected(reject),
        };
        block.receipt(transaction.borrow().id(), outcome);
    }
    Ok(block.finish())
}

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
    let mut block = Block::new(state, context);
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    // The count of transactions goes before them.
    let mut bytes = 4usize;
    let mut indices = 0usize..;
    'windows: for window in candidates.chunks(PROPOSAL_WINDOW) {
        let decisions = authorize_all(state, context, window);
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
                        let outcome = block.apply(admitted);
                        block.receipt(candidate.id(), outcome);
                    }
                },
            }
        }
    }
    Ok(Proposal { executed: block.finish(), kept, dropped })
}

fn expect_new<S: ?Sized>(block: &Block<'_, S>, admitted: Admitted) -> Result<Admitted, Reject> {
    if block.ids.contains(&admitted.id()) { Err(Reject::TransactionDuplicate) } else { Ok(admitted) }
}

type Decision = Result<Result<Admitted, Reject>, StateError>;

/// Authorizes all transactions on the state before the block, on all cores.
fn authorize_all<S, T>(state: &S, context: &BlockContext, transactions: &[T]) -> Vec<Decision>
where
    S: StateRead + ?Sized,
    T: Borrow<Checked> + Sync,
{
    // Handing a few transactions to other cores costs more than it brings.
    transactions
        .par_iter()
        .with_min_len(8)
        .map(|transaction| authorize(state, transaction.borrow(), context))
        .collect()
}

/// A block while it is executed.
struct Block<'block, S: ?Sized> {
    overlay: Overlay<'block, S>,
    context: &'block BlockContext,
    ids: BTreeSet<TransactionId>,
    order: Vec<TransactionId>,
    receipts: Vec<Receipt>,
}

impl<'block, S: StateRead + ?Sized> Block<'block, S> {
    fn new(state: &'block S, context: &'block BlockContext) -> Self {
        Self {
            overlay: Overlay::new(state),
            context,
            ids: BTreeSet::new(),
            order: Vec::new(),
            receipts: Vec::new(),
        }
    }

    /// The decision after the transactions before this one: the same as before the block, unless they changed what it
    /// read.
    fn decide_on_top(&self, checked: &Checked, admitted: Admitted) -> Decision {
        if self.overlay.touches(admitted.reads()) {
            authorize(&self.overlay, checked, self.context)
        } else {
            Ok(Ok(admitted))
        }
    }

    fn apply(&mut self, admitted: Admitted) -> Outcome {
        let (changes, events) = admitted.into_parts();
        self.overlay.apply(changes);
        Outcome::Applied(events)
    }

    fn receipt(&mut self, transaction: TransactionId, outcome: Outcome) {
        // A block never has more transactions than fit a u32: its body counts them in one.
        let index = u32::try_from(self.receipts.len()).unwrap_or(u32::MAX);
        self.order.push(transaction);
        self.receipts.push(Receipt {
            transaction,
            index,
            height: self.context.height,
            time_ms: self.context.time_ms,
            outcome,
        });
    }

    fn finish(self) -> Executed {
        let receipt_bytes: Vec<Vec<u8>> = self.receipts.iter().map(Receipt::encode).collect();
        Executed {
            changes: self.overlay.into_changes(),
            receipts_root: merkle::root(&receipt_bytes),
            receipts: self.receipts,
            receipt_bytes,
            ids: self.order,
        }
    }
}
