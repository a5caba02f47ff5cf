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
//!
//! Around its transactions a block acts on its own: [`begin`] before them, [`end`] after them. What these do
//! is laid over the state like the changes of a transaction, so that a transaction which they overtake is
//! rejected, and it is told in the block's own receipt.

mod begin;
mod end;
mod propose;

use std::borrow::Borrow;
use std::collections::BTreeSet;

use aval_codec::{Hash, merkle};
use aval_types::{BlockReceipt, Event, Outcome, Receipt, Reject, TransactionId};
use rayon::prelude::*;

use crate::authorize::{Admitted, BlockContext, authorize_again, authorize_under};
use crate::check::Checked;
use crate::constitution::Constitution;
use crate::effect::Effect;
use crate::state::{Changes, Overlay, StateError, StateRead};

pub use propose::{BlockLimits, Dropped, Proposal, propose_block};

/// What a block does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// The changes to the state before the block.
    pub changes: Changes,
    /// The receipts, in the order of the transactions.
    pub receipts: Vec<Receipt>,
    /// What the block did on its own, if it did anything.
    pub block_receipt: Option<BlockReceipt>,
    /// Bytes of the receipts, the block's own last: the leaves of the root.
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
    let mut block = Block::begin(state, context)?;
    let decisions = authorize_all(state, &block.constitution, context, transactions);
    for (index, (transaction, decision)) in transactions.iter().zip(decisions).enumerate() {
        let admitted = decision?.map_err(|reject| ExecuteError::Unauthorized { index, reject })?;
        if !block.ids.insert(admitted.id()) {
            return Err(ExecuteError::Unauthorized { index, reject: Reject::TransactionDuplicate });
        }
        let outcome = match block.decide_on_top(transaction.borrow(), admitted)? {
            Ok(admitted) => block.apply(admitted)?,
            Err(reject) => Outcome::Rejected(reject),
        };
        block.receipt(transaction.borrow().id(), outcome);
    }
    Ok(block.finish()?)
}

type Decision = Result<Result<Admitted, Reject>, StateError>;

/// Authorizes all transactions on the state before the block, on all cores.
fn authorize_all<S, T>(
    state: &S,
    constitution: &Constitution,
    context: &BlockContext,
    transactions: &[T],
) -> Vec<Decision>
where
    S: StateRead + ?Sized,
    T: Borrow<Checked> + Sync,
{
    // Handing a few transactions to other cores costs more than it brings.
    transactions
        .par_iter()
        .with_min_len(8)
        .map(|transaction| authorize_under(state, constitution, transaction.borrow(), context))
        .collect()
}

/// A block while it is executed.
struct Block<'block, S: ?Sized> {
    overlay: Overlay<'block, S>,
    context: &'block BlockContext,
    /// The constitution before the block.
    constitution: Constitution,
    /// The present one, once something in the block has changed it: then nothing decided under the old one stands.
    changed: Option<Constitution>,
    ids: BTreeSet<TransactionId>,
    order: Vec<TransactionId>,
    receipts: Vec<Receipt>,
    events: Vec<Event>,
}

impl<'block, S: StateRead + ?Sized> Block<'block, S> {
    /// A block that has done what comes before its transactions.
    fn begin(state: &'block S, context: &'block BlockContext) -> Result<Self, StateError> {
        let mut block = Self {
            overlay: Overlay::new(state),
            context,
            constitution: Constitution::of(state)?,
            changed: None,
            ids: BTreeSet::new(),
            order: Vec::new(),
            receipts: Vec::new(),
            events: Vec::new(),
        };
        let effect = begin::begin(state, context)?;
        block.act(effect)?;
        Ok(block)
    }

    /// Lays over the state what the block does on its own.
    fn act(&mut self, effect: Effect) -> Result<(), StateError> {
        let effect = effect.seal()?;
        self.events.extend(effect.events);
        self.lay_over(effect.changes)
    }

    fn lay_over(&mut self, changes: Changes) -> Result<(), StateError> {
        let is_constitutional = changes.keys().any(|key| Constitution::rests_on(key));
        self.overlay.apply(changes);
        if is_constitutional {
            self.changed = Some(Constitution::of(&self.overlay)?);
        }
        Ok(())
    }

    /// The decision after the transactions before this one: the same as before the block, unless they changed what it
    /// read.
    fn decide_on_top(&self, checked: &Checked, admitted: Admitted) -> Decision {
        match &self.changed {
            None if !self.overlay.touches(admitted.reads()) => Ok(Ok(admitted)),
            changed => {
                let constitution = changed.as_ref().unwrap_or(&self.constitution);
                authorize_again(&self.overlay, constitution, checked, self.context)
            }
        }
    }

    fn apply(&mut self, admitted: Admitted) -> Result<Outcome, StateError> {
        let (changes, events) = admitted.into_parts();
        self.lay_over(changes)?;
        Ok(Outcome::Applied(events))
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

    /// Does what comes after the transactions and gives the outcome.
    fn finish(mut self) -> Result<Executed, StateError> {
        let effect = end::end(&self.overlay, self.context)?;
        self.act(effect)?;
        let block_receipt = (!self.events.is_empty()).then_some(BlockReceipt {
            height: self.context.height,
            time_ms: self.context.time_ms,
            events: self.events,
        });
        let own = block_receipt.iter().map(BlockReceipt::encode);
        let receipt_bytes: Vec<Vec<u8>> = self.receipts.iter().map(Receipt::encode).chain(own).collect();
        Ok(Executed {
            changes: self.overlay.into_changes(),
            receipts_root: merkle::root(&receipt_bytes),
            receipts: self.receipts,
            block_receipt,
            receipt_bytes,
            ids: self.order,
        })
    }
}
