//! Making a block: when, of what, and with which outcome.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aval_machine::{BlockContext, BlockLimits, Checked, Dropped, propose_block};
use aval_store::View;
use aval_types::block::{BlockTransaction, HEADER_BYTES, transactions_root, witnesses_root};
use aval_types::genesis::Parameters;
use aval_types::{Block, Header, TransactionId};
use futures::StreamExt as _;
use futures::future::select;

use super::Executor;
use super::execution::{Execution, Rejection, block_leaders, parameters};
use super::version::expect_support;
use crate::engine::{Ancestry, SealedBlock, Slot};
use crate::runtime::offload;

/// Transactions for which a block is made at once. By then its fixed costs are small against those of its content.
const WORTHWHILE: usize = 256;
/// Bytes of a body without transactions.
const EMPTY_BODY_BYTES: usize = 4;

impl Executor {
    /// Makes the block of a slot: as soon as there is work, or when the heartbeat is due (D12).
    pub(super) async fn build(
        &self,
        slot: Slot,
        mut ancestry: Ancestry,
    ) -> Result<Arc<SealedBlock>, Rejection> {
        let parent = ancestry.next().await.ok_or(Rejection::UnknownParent)?;
        self.execute_with_ancestors(parent.clone(), ancestry).await?;
        let parent = parent.block().header.clone();
        let parameters = parameters(&self.ledger.view(&slot.parent)?)?;
        let candidates = self.wait_for_candidates(&slot, &parent, &parameters).await;
        let guard = self.execution.clone().lock_owned().await;
        let (execution, now_ms) = (self.execution(), self.runtime.now_ms());
        let (block, dropped) = offload(&*self.runtime, move || {
            let _guard = guard;
            execution.build(&slot, &parent, &parameters, candidates, now_ms)
        })
        .await
        .unwrap_or_else(|| Err(Rejection::Fault("the node is stopping".to_owned())))?;
        for Dropped { id, reject, .. } in dropped {
            self.mempool.refuse(id, reject, now_ms);
        }
        Ok(block)
    }

    /// Lets time pass by this node's runtime.
    #[cfg(test)]
    pub(crate) async fn pause(&self, duration: Duration) {
        self.runtime.sleep(duration).await;
    }

    /// Makes a block as a proposer may that keeps no rule: these transactions before those of the pool, as
    /// many as there are. What the rules refuse is left out all the same.
    #[cfg(test)]
    pub(crate) async fn build_with(
        &self,
        slot: Slot,
        mut ancestry: Ancestry,
        first: Vec<BlockTransaction>,
    ) -> Option<Arc<SealedBlock>> {
        let parent = ancestry.next().await?;
        self.execute_with_ancestors(parent.clone(), ancestry).await.ok()?;
        let parent = parent.block().header.clone();
        let mut parameters = parameters(&self.ledger.view(&slot.parent).ok()?).ok()?;
        parameters.block_transactions_max = u32::MAX;
        let execution = self.execution();
        let read = |one: BlockTransaction| {
            let transaction = one.transaction().ok()?;
            Some(aval_types::SubmittedTransaction { transaction, witness: one.witness })
        };
        let first = aval_machine::check_all(first.into_iter().filter_map(read).collect(), &execution.rules);
        let mut candidates: Vec<Arc<Checked>> = first.into_iter().flatten().map(Arc::new).collect();
        let included = self.included_above_final(&slot);
        let bytes_max = parameters.block_bytes_max as usize;
        candidates.extend(self.mempool.candidates_where(bytes_max, usize::MAX, |id| !included.contains(id)));
        let now_ms = self.runtime.now_ms();
        execution.build(&slot, &parent, &parameters, candidates, now_ms).ok().map(|(block, _)| block)
    }

    /// Transactions that wait and are not in a block below.
    ///
    /// Every block costs votes, messages and synced files, whatever is in it. So a block is made when there are enough
    /// transactions to be worth it, or when the last one is old enough, or, with whatever there is, at the heartbeat.
    async fn wait_for_candidates(
        &self,
        slot: &Slot,
        parent: &Header,
        parameters: &Parameters,
    ) -> Vec<Arc<Checked>> {
        let bytes_max = (parameters.block_bytes_max as usize).saturating_sub(HEADER_BYTES + EMPTY_BODY_BYTES);
        let count_max = parameters.block_transactions_max as usize;
        let interval = self.options.block_interval;
        let moment = interval / 10;
        // A parent from a clock that runs ahead must not make this node wait for longer than the interval.
        let earliest_ms = parent.time_ms.min(self.runtime.now_ms()).saturating_add(duration_ms(interval));
        let heartbeat_ms = parent.time_ms.saturating_add(parameters.heartbeat_ms);
        loop {
            // Listening starts before looking, so that an arrival in between is not missed.
            let arrival = self.mempool.notified();
            futures::pin_mut!(arrival);
            arrival.as_mut().enable();
            let included = self.included_above_final(slot);
            let candidates = self.mempool.candidates_where(bytes_max, count_max, |id| !included.contains(id));
            let now_ms = self.runtime.now_ms();
            let is_due = !candidates.is_empty()
                && (candidates.len() >= WORTHWHILE.min(count_max) || now_ms >= earliest_ms);
            if is_due || now_ms >= heartbeat_ms {
                return candidates;
            }
            if candidates.is_empty() {
                let heartbeat = self.runtime.sleep(Duration::from_millis(heartbeat_ms - now_ms));
                select(arrival, heartbeat).await;
            }
            // Clients come in groups: the block that answers the first one should take the others along.
            self.runtime.sleep(moment).await;
        }
    }

    /// The transactions of the blocks between the newest final one and the slot's parent.
    fn included_above_final(&self, slot: &Slot) -> BTreeSet<TransactionId> {
        let mut included = BTreeSet::new();
        let mut cursor = slot.parent;
        while let Some(pending) = self.ledger.pending(&cursor) {
            included.extend(pending.executed().ids.iter().copied());
            cursor = pending.parent();
        }
        included
    }
}

impl Execution {
    fn build(
        &self,
        slot: &Slot,
        parent: &Header,
        parameters: &Parameters,
        candidates: Vec<Arc<Checked>>,
        now_ms: u64,
    ) -> Result<(Arc<SealedBlock>, Vec<Dropped>), Rejection> {
        let view: View = self.ledger.view(&slot.parent)?;
        expect_support(&view, view.next_height(), self.options.protocol_version)?;
        let context = BlockContext {
            network: self.options.network.clone(),
            height: view.next_height(),
            time_ms: now_ms.max(parent.time_ms.saturating_add(1)),
            leaders: block_leaders(&self.ledger, &view, slot.leader)?,
        };
        let limits = BlockLimits {
            bytes_max: (parameters.block_bytes_max as usize).saturating_sub(HEADER_BYTES),
            transactions_max: parameters.block_transactions_max as usize,
        };
        let proposal = propose_block(&view, &context, &candidates, limits)
            .map_err(|error| Rejection::Fault(error.to_string()))?;
        let transactions: Vec<BlockTransaction> = proposal
            .kept
            .iter()
            .filter_map(|index| candidates.get(*index))
            .map(|checked| checked.block_transaction().clone())
            .collect();
        let tree = view.tree(&proposal.executed.changes)?;
        let sets = self.header_sets(&view, parent, &proposal.executed)?;
        let header = Header {
            genesis: self.options.network.genesis(),
            height: context.height,
            time_ms: context.time_ms,
            epoch: slot.epoch,
            view: slot.view,
            parent_view: slot.parent_view,
            leader: slot.leader,
            parent: slot.parent,
            transactions_root: transactions_root(&transactions),
            witnesses_root: witnesses_root(&transactions),
            receipts_root: proposal.executed.receipts_root,
            state_root: tree.root(),
            validators_hash: sets.validators_hash,
            next_validators_hash: sets.next_validators_hash,
            last_set_change: sets.last_set_change,
        };
        let block = Block { header, transactions };
        let sealed = SealedBlock::new(block.clone());
        self.keep(block, proposal.executed, tree)?;
        Ok((Arc::new(sealed), proposal.dropped))
    }
}

fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
