//! An executor in somebody's hands: proposals and verdicts can be changed or written down, all else goes through.

use std::future::Future;
use std::sync::Arc;

use aval_proof::Certificate;
use aval_types::Block;
use aval_types::action::NodeEvidence;
use aval_types::block::{transactions_root, witnesses_root};
use bytes::Bytes;

use crate::engine::{Ancestry, Application, Fatal, SealedBlock, Slot};
use crate::executor::Executor;

/// What is done to an executor. The defaults do nothing.
pub(super) trait Hands: Send + Sync + 'static {
    /// The block to propose.
    fn propose(
        &self,
        executor: &Executor,
        slot: Slot,
        ancestry: Ancestry,
    ) -> impl Future<Output = Option<Arc<SealedBlock>>> + Send {
        executor.propose(slot, ancestry)
    }

    /// Takes note of what the executor said about a block.
    fn judged(&self, _: &SealedBlock, _: bool) {}
}

/// An executor with hands on it.
pub(super) struct Tampered<H> {
    pub(super) executor: Arc<Executor>,
    pub(super) hands: H,
}

impl<H: Hands> Application for Tampered<H> {
    async fn propose(&self, slot: Slot, ancestry: Ancestry) -> Option<Arc<SealedBlock>> {
        self.hands.propose(&self.executor, slot, ancestry).await
    }

    async fn verify(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> bool {
        let verdict = self.executor.verify(block.clone(), ancestry).await;
        self.hands.judged(&block, verdict);
        verdict
    }

    async fn finalized(
        &self,
        block: Arc<SealedBlock>,
        certificate: Option<Certificate>,
    ) -> Result<(), Fatal> {
        self.executor.finalized(block, certificate).await
    }

    fn observe_tip(&self, height: u64) {
        self.executor.observe_tip(height);
    }

    fn message(&self, sender: [u8; 32], message: Bytes) {
        self.executor.message(sender, message);
    }

    fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        self.executor.is_fed_up_with(sender)
    }

    fn fault(&self, evidence: NodeEvidence) {
        self.executor.fault(evidence);
    }
}

/// A block with another body, whose header commits to that body.
pub(super) fn with_body(block: &SealedBlock, change: impl FnOnce(&mut Block)) -> SealedBlock {
    let mut block = block.block().clone();
    change(&mut block);
    block.header.transactions_root = transactions_root(&block.transactions);
    block.header.witnesses_root = witnesses_root(&block.transactions);
    SealedBlock::new(block)
}
