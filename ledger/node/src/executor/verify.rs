//! The verdict on another validator's block.

use std::sync::Arc;
use std::time::Duration;

use aval_machine::sabotage::{self, Sabotage};
use futures::StreamExt as _;
use tracing::{error, warn};

use super::Executor;
use super::execution::Rejection;
use crate::engine::{Ancestry, SealedBlock};

/// How far a block's time may be ahead of this node's clock (D11).
const AHEAD_MS_MAX: u64 = 2_000;
/// How far above the committed height blocks are executed; a node further behind first commits what is final.
const HEIGHTS_AHEAD_MAX: u64 = 32;

impl Executor {
    /// Answers when it is certain: `true` if the block may become final, `false` if it never may.
    pub(super) async fn judge(&self, block: Arc<SealedBlock>, ancestry: Ancestry) -> bool {
        let height = block.height();
        if sabotage::is(Sabotage::VoteWithoutExecution) {
            return true;
        }
        match self.execute_with_ancestors(block.clone(), ancestry).await {
            Ok(()) => {
                self.wait_for_time(block.block().header.time_ms).await;
                true
            }
            Err(Rejection::Invalid(reason)) => {
                warn!(height, reason, "voted against a block");
                false
            }
            Err(rejection @ (Rejection::UnknownParent | Rejection::Fault(_))) => {
                // Abstaining. If it is this node's disk, the next commit stops the node.
                error!(height, %rejection, "cannot judge a block");
                std::future::pending().await
            }
        }
    }

    async fn wait_for_time(&self, time_ms: u64) {
        loop {
            let ahead = time_ms.saturating_sub(self.runtime.now_ms());
            if ahead <= AHEAD_MS_MAX {
                return;
            }
            self.runtime.sleep(Duration::from_millis(ahead - AHEAD_MS_MAX)).await;
        }
    }

    /// Executes a block after those of its ancestors that are not executed here yet.
    pub(super) async fn execute_with_ancestors(
        &self,
        block: Arc<SealedBlock>,
        mut ancestry: Ancestry,
    ) -> Result<(), Rejection> {
        self.wait_for_height(block.height().saturating_sub(HEIGHTS_AHEAD_MAX)).await;
        // From the block down to the first one whose parent's state is at hand.
        let mut chain = vec![block];
        while let Some(lowest) = chain.last() {
            if self.ledger.pending(&lowest.digest()).is_some() {
                chain.pop();
                break;
            }
            let header = &lowest.block().header;
            let head = self.ledger.require_head().map_err(Rejection::from)?;
            if header.height <= head.height() {
                // Below what is final there is exactly one block for each height.
                let known = self.ledger.header(header.height).map_err(Rejection::from)?.digest();
                if known != lowest.digest() {
                    return Err(Rejection::Invalid("it conflicts with a final block".to_owned()));
                }
                chain.pop();
                break;
            }
            if header.parent == head.digest() || self.ledger.pending(&header.parent).is_some() {
                break;
            }
            match ancestry.next().await {
                Some(parent) => chain.push(parent),
                None => return Err(Rejection::UnknownParent),
            }
        }
        while let Some(block) = chain.pop() {
            self.execute_or_find_final(block).await?;
        }
        Ok(())
    }

    /// Executes a block, unless it, or another one at its height, became final in the meantime.
    async fn execute_or_find_final(&self, block: Arc<SealedBlock>) -> Result<(), Rejection> {
        let (height, digest) = (block.height(), block.digest());
        let rejection = match self.execute(block).await {
            Ok(_) => return Ok(()),
            Err(rejection) => rejection,
        };
        let head = self.ledger.require_head().map_err(Rejection::from)?;
        if rejection != Rejection::UnknownParent || height > head.height() {
            return Err(rejection);
        }
        if self.ledger.header(height).map_err(Rejection::from)?.digest() == digest {
            Ok(())
        } else {
            Err(Rejection::Invalid("it conflicts with a final block".to_owned()))
        }
    }

    async fn wait_for_height(&self, height: u64) {
        loop {
            // Listening starts before looking, so that a block in between is not missed.
            let committed = self.committed.notified();
            futures::pin_mut!(committed);
            committed.as_mut().enable();
            if self.newest().height >= height {
                return;
            }
            committed.await;
        }
    }
}
