//! Executing a block on its parent: the checks of its header, of every transaction, and of the outcome it claims.

use std::sync::Arc;

use aval_machine::membership::participation::leaders_wanted;
use aval_machine::membership::{self, HeaderSets};
use aval_machine::sabotage::{self, Sabotage};
use aval_machine::{
    BlockContext, Checked, ExecuteError, Executed, Rules, StateError, check_all, execute_block, state_key,
};
use aval_store::{Ledger, PendingBlock, PendingTree, StoreError, View};
use aval_types::block::BlockTransaction;
use aval_types::genesis::Parameters;
use aval_types::{Block, Header, SubmittedTransaction};

use super::version::expect_support;
use super::{Executor, ExecutorOptions};
use crate::engine::SealedBlock;
use crate::mempool::{EnvelopeKey, Mempool};
use crate::roster::parameters_in;
use crate::runtime::offload;

/// Why a block could not be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rejection {
    /// It is wrong for good, on every node.
    #[error("{0}")]
    Invalid(String),
    /// The state after its parent is not at hand, at this moment.
    #[error("its parent is not known")]
    UnknownParent,
    /// This node cannot tell: a fault of its own.
    #[error("this node cannot tell: {0}")]
    Fault(String),
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownBlock(_) => Self::UnknownParent,
            StoreError::RootMismatch { .. } => Self::Invalid(error.to_string()),
            other => Self::Fault(other.to_string()),
        }
    }
}

fn invalid(reason: impl Into<String>) -> Rejection {
    Rejection::Invalid(reason.into())
}

/// What executing takes with it to another thread.
pub(super) struct Execution {
    pub(super) ledger: Ledger,
    pub(super) mempool: Arc<Mempool<Checked>>,
    pub(super) rules: Rules,
    pub(super) options: ExecutorOptions,
}

impl Executor {
    pub(super) fn execution(&self) -> Execution {
        Execution {
            ledger: self.ledger.clone(),
            mempool: self.mempool.clone(),
            rules: self.rules.clone(),
            options: self.options.clone(),
        }
    }

    /// Executes a block whose parent is committed or pending and keeps the outcome. Says nothing about its time being
    /// ahead of any clock.
    pub(super) async fn execute(&self, block: Arc<SealedBlock>) -> Result<Arc<PendingBlock>, Rejection> {
        let guard = self.execution.clone().lock_owned().await;
        if let Some(pending) = self.ledger.pending(&block.digest()) {
            return Ok(pending);
        }
        let execution = self.execution();
        offload(&*self.runtime, move || {
            // Moved here so that the next block waits even if whoever asked for this one is gone.
            let _guard = guard;
            execution.execute(&block)
        })
        .await
        .unwrap_or_else(|| Err(Rejection::Fault("the node is stopping".to_owned())))
    }
}

impl Execution {
    pub(super) fn execute(&self, sealed: &SealedBlock) -> Result<Arc<PendingBlock>, Rejection> {
        let block = sealed.block();
        let view = self.ledger.view(&block.header.parent)?;
        let parent = view.header().ok_or(Rejection::UnknownParent)?;
        check_header(&block.header, parent, &self.options)?;
        expect_support(&view, block.header.height, self.options.protocol_version)?;
        check_size(sealed, &parameters(&view)?)?;
        let checked = self.check_transactions(&block.transactions)?;
        let context = self.block_context(&view, &block.header)?;
        let executed = execute_block(&view, &context, &checked).map_err(|error| match error {
            ExecuteError::State(error) => Rejection::Fault(error.to_string()),
            unauthorized => invalid(unauthorized.to_string()),
        })?;
        if executed.receipts_root != block.header.receipts_root {
            return Err(invalid("its receipts are not those that its header names"));
        }
        let sets = self.header_sets(&view, parent, &executed)?;
        if !sets.are_those_of(&block.header) && !sabotage::is(Sabotage::SkipSetCheck) {
            return Err(invalid("it names another validator set"));
        }
        let tree = view.tree(&executed.changes)?;
        self.keep(block.clone(), executed, tree)
    }

    /// What the machine needs to know of a block besides its transactions.
    fn block_context(&self, view: &View, header: &Header) -> Result<BlockContext, Rejection> {
        Ok(BlockContext {
            network: self.options.network.clone(),
            height: header.height,
            time_ms: header.time_ms,
            leaders: block_leaders(&self.ledger, view, header.leader)?,
        })
    }

    /// What the header of the next block has to say of epoch and validators.
    pub(super) fn header_sets(
        &self,
        view: &View,
        parent: &Header,
        executed: &Executed,
    ) -> Result<HeaderSets, Rejection> {
        let next = membership::validators_after(view, &executed.changes)
            .map_err(|error| Rejection::Fault(error.to_string()))?;
        let epoch_blocks = self.options.parameters.validators.epoch_blocks;
        Ok(HeaderSets::following(parent, view.next_height(), epoch_blocks, &next))
    }

    /// Keeps an executed block until it is final or impossible. The state root is compared on the way.
    pub(super) fn keep(
        &self,
        block: Block,
        executed: Executed,
        tree: PendingTree,
    ) -> Result<Arc<PendingBlock>, Rejection> {
        let pending = PendingBlock::new(block, executed, tree)?;
        Ok(self.ledger.insert_pending(pending)?)
    }

    /// The checked form of a block's transactions: those that wait in the pool are checked already.
    fn check_transactions(&self, transactions: &[BlockTransaction]) -> Result<Vec<Arc<Checked>>, Rejection> {
        let mut checked: Vec<Option<Arc<Checked>>> = Vec::with_capacity(transactions.len());
        let mut unknown = Vec::new();
        for transaction in transactions {
            let known = self.mempool.checked(&EnvelopeKey::of(transaction));
            if known.is_none() {
                let parsed = transaction.transaction().map_err(|reject| invalid(reject.code()))?;
                unknown
                    .push(SubmittedTransaction { transaction: parsed, witness: transaction.witness.clone() });
            }
            checked.push(known);
        }
        let mut fresh = check_all(unknown, &self.rules).into_iter();
        checked
            .into_iter()
            .map(|known| match known {
                Some(known) => Ok(known),
                None => match fresh.next() {
                    Some(Ok(fresh)) => Ok(Arc::new(fresh)),
                    Some(Err(reject)) => Err(invalid(reject.code())),
                    None => Err(Rejection::Fault("a check has no answer".to_owned())),
                },
            })
            .collect()
    }
}

/// Who proposed the next block of a view and those before it, as far as the machine asks for it; usually nobody.
pub(crate) fn block_leaders(
    ledger: &Ledger,
    view: &View,
    leader: [u8; 32],
) -> Result<Vec<[u8; 32]>, StoreError> {
    let wanted = leaders_wanted(view, view.next_height()).map_err(|error| {
        // The state says nothing about this node's disk that the ledger would not say as well.
        StoreError::Corrupt { what: error.to_string() }
    })?;
    let mut leaders = Vec::new();
    if wanted == 0 {
        return Ok(leaders);
    }
    leaders.push(leader);
    let mut cursor = view.header().cloned();
    for _ in 1..wanted {
        // The genesis block has no leader.
        let Some(header) = cursor.filter(|header| header.height > 0) else { break };
        leaders.push(header.leader);
        cursor = Some(match ledger.pending(&header.parent) {
            Some(pending) => pending.header().clone(),
            None => ledger.header(header.height - 1)?,
        });
    }
    Ok(leaders)
}

/// The rules of a header that need its parent alone. Leader and views are the engine's: it compares
/// them with the place in the order that the block was proposed for.
fn check_header(header: &Header, parent: &Header, options: &ExecutorOptions) -> Result<(), Rejection> {
    if header.genesis != options.network.genesis() {
        return Err(invalid("it belongs to another network"));
    }
    if header.parent != parent.digest() || Some(header.height) != parent.height.checked_add(1) {
        return Err(invalid("its height does not follow its parent's"));
    }
    if header.time_ms <= parent.time_ms && !sabotage::is(Sabotage::SkipTimeCheck) {
        return Err(invalid("its time is not after its parent's"));
    }
    if header.epoch != membership::epoch_of(header.height, options.parameters.validators.epoch_blocks) {
        return Err(invalid("its epoch is not that of its height"));
    }
    if header.validators_hash != parent.next_validators_hash {
        return Err(invalid("it names another validator set than its parent"));
    }
    Ok(())
}

/// The parameters in force on a state.
pub(super) fn parameters(view: &View) -> Result<Parameters, Rejection> {
    parameters_in(view.state(state_key::PARAMETERS.as_bytes())?.as_deref()).map_err(damaged)
}

fn check_size(sealed: &SealedBlock, parameters: &Parameters) -> Result<(), Rejection> {
    if sabotage::is(Sabotage::SkipSizeCheck) {
        return Ok(());
    }
    let too_many = sealed.block().transactions.len() > parameters.block_transactions_max as usize;
    // Witnesses that are erased by now have counted when the block was made.
    if too_many || sealed.encoded().len() > parameters.block_bytes_max as usize {
        return Err(invalid("it is larger than the network allows"));
    }
    Ok(())
}

pub(super) fn damaged(error: StateError) -> Rejection {
    Rejection::Fault(error.to_string())
}
