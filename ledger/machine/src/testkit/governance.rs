//! Proposals and votes.

use aval_types::governance::{Change, GovernancePropose, GovernanceVote};
use aval_types::{Action, SubmittedTransaction, TransactionId};

use super::{Kit, Party};

impl Party {
    /// Proposes a change, to be executed at a height.
    pub fn propose(&self, kit: &Kit, change: Change, execute_at: u64) -> SubmittedTransaction {
        let title = "a change".to_owned();
        self.send(kit, Action::GovernancePropose(GovernancePropose { change, execute_at, title }))
    }

    /// Votes on a proposal.
    pub fn vote(&self, kit: &Kit, proposal: TransactionId, approve: bool) -> SubmittedTransaction {
        self.send(kit, Action::GovernanceVote(GovernanceVote { proposal, approve }))
    }
}
