//! Which policy allowed or denied a transaction, and why: for `avald policy explain` and the REST interface.
//!
//! A transaction on the ledger is asked about on the state before its block, at its block's time, so whoever
//! has the chain gets the same answer at any later time. Answers name policies and what they ask about, never
//! a value.

use aval_machine::policy::Explanation;
use aval_machine::{BlockContext, Checked, Rules, StateError, check, explain};
use aval_store::{Ledger, StoreError};
use aval_types::{Header, NetworkId, Outcome, Receipt, Reject, SubmittedTransaction, TransactionId};
use serde::Serialize;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The transaction itself is wrong, whatever the state.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What a transaction was asked and answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explained {
    /// The transaction.
    pub transaction: TransactionId,
    /// The action's type.
    pub action: &'static str,
    /// The height of the state that was asked.
    pub state_height: u64,
    /// The block's time, milliseconds since 1970.
    pub time: u64,
    /// `applied` or `rejected`, if it is on the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What the policies say; nothing if the DID that acts is not on the ledger.
    pub policy: Option<Explanation>,
}

/// Explains a transaction that is on the ledger; `None` if it is not.
pub fn of_final(
    ledger: &Ledger,
    network: &NetworkId,
    id: &TransactionId,
) -> Result<Option<Explained>, ExplainError> {
    let Some(place) = ledger.transaction(id)? else { return Ok(None) };
    let block = ledger.stripped_block(place.height)?;
    let index = usize::try_from(place.index).unwrap_or(usize::MAX);
    let damaged = || StoreError::Corrupt { what: format!("block {} has no such transaction", place.height) };
    let in_block = block.transactions.get(index).ok_or_else(damaged)?;
    let submitted =
        SubmittedTransaction { transaction: in_block.transaction()?, witness: in_block.witness.clone() };
    // The quorum that certified the block has seen the presentation, which may be erased by now.
    let checked = check(submitted, &Rules::certified(network.clone()))?;
    let mut explained = at(ledger, network, &checked, place.height - 1, block.header.time_ms)?;
    let receipts = ledger.receipts(place.height)?;
    let receipt = receipts.get(index).and_then(|bytes| Receipt::decode(bytes).ok()).ok_or_else(damaged)?;
    match receipt.outcome {
        Outcome::Applied(_) => explained.outcome = Some("applied"),
        Outcome::Rejected(reject) => {
            explained.outcome = Some("rejected");
            explained.code = Some(reject.code());
        }
    }
    Ok(Some(explained))
}

/// Explains what would become of a submission in the block after the one at `height`, or after the newest.
pub fn of_submission(
    ledger: &Ledger,
    network: &NetworkId,
    submitted: SubmittedTransaction,
    height: Option<u64>,
) -> Result<Explained, ExplainError> {
    let checked = check(submitted, &Rules::live(network.clone()))?;
    let newest = ledger.require_head()?.height();
    let height = height.unwrap_or(newest);
    let header: Header = ledger.header(height)?;
    at(ledger, network, &checked, height, header.time_ms + 1)
}

fn at(
    ledger: &Ledger,
    network: &NetworkId,
    checked: &Checked,
    state_height: u64,
    time_ms: u64,
) -> Result<Explained, ExplainError> {
    let view = ledger.view_at(state_height)?;
    let context = BlockContext {
        network: network.clone(),
        height: state_height + 1,
        time_ms,
        // Who made blocks is nothing that a transaction is asked about.
        leaders: Vec::new(),
    };
    Ok(Explained {
        transaction: checked.id(),
        action: checked.action().kind(),
        state_height,
        time: time_ms,
        outcome: None,
        code: None,
        policy: explain(&view, checked, &context)?,
    })
}
