//! A ledger in memory with one block per call: the quickest way to bring a state about.

use aval_types::{Outcome, Receipt, Reject, SubmittedTransaction};

use super::Kit;
use crate::{
    BlockContext, BlockLimits, Checked, ExecuteError, Executed, MemoryState, authorize, check, execute_block,
};

/// A state and the height it is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestLedger {
    /// The state.
    pub state: MemoryState,
    /// The height of the newest block.
    pub height: u64,
}

impl TestLedger {
    pub(super) fn new(state: MemoryState) -> Self {
        Self { state, height: 0 }
    }
}

impl Kit {
    /// The kit's ledger.
    pub fn ledger(&self) -> &TestLedger {
        &self.ledger
    }

    /// The state of the kit's ledger.
    pub fn state(&self) -> &MemoryState {
        &self.ledger.state
    }

    /// The context of the ledger's next block.
    pub fn next_context(&self) -> BlockContext {
        self.context(self.ledger.height + 1)
    }

    /// Limits that no test reaches.
    pub fn block_limits(&self) -> BlockLimits {
        BlockLimits { bytes_max: usize::MAX, transactions_max: usize::MAX }
    }

    /// Checks a transaction that is expected to pass.
    pub fn checked(&self, submitted: SubmittedTransaction) -> Checked {
        check(submitted, &self.rules()).expect("the transaction passes the stateless check")
    }

    /// What a node at the kit's time would say to a transaction: refused and why, or nothing.
    pub fn verdict(&self, submitted: SubmittedTransaction) -> Result<(), Reject> {
        let checked = check(submitted, &self.rules())?;
        authorize(&self.ledger.state, &checked, &self.next_context())
            .expect("a state in memory can be read")
            .map(|_| ())
    }

    /// Executes one transaction as a block of its own.
    pub fn apply(&mut self, submitted: SubmittedTransaction) -> Result<Receipt, Reject> {
        let checked = check(submitted, &self.rules())?;
        match self.apply_block(&[checked]) {
            Ok(mut executed) => Ok(executed.receipts.remove(0)),
            Err(ExecuteError::Unauthorized { reject, .. }) => Err(reject),
            Err(ExecuteError::State(error)) => panic!("a state in memory can be read: {error}"),
        }
    }

    /// Executes transactions as one block and commits it.
    pub fn apply_block(&mut self, transactions: &[Checked]) -> Result<Executed, ExecuteError> {
        self.apply_in(&self.next_context(), transactions)
    }

    pub(super) fn apply_in(
        &mut self,
        context: &BlockContext,
        transactions: &[Checked],
    ) -> Result<Executed, ExecuteError> {
        let executed = execute_block(&self.ledger.state, context, transactions)?;
        self.ledger.state.commit(&executed, context.time_ms);
        self.ledger.height += 1;
        Ok(executed)
    }

    /// Executes a company's `did.create` with a member's credential; the company and its credential.
    pub fn member(&mut self, number: u64) -> (super::Party, super::Credential) {
        let company = self.company(number);
        let credential = self.membership(&company);
        self.expect_applied(company.create_with(self, &credential));
        (company, credential)
    }

    /// A company that may endorse others.
    pub fn endorser(&mut self, number: u64) -> (super::Party, super::Credential) {
        let company = self.company(number);
        let credential = self.credential(&company, &["endorser", "member"]);
        self.expect_applied(company.create_with(self, &credential));
        (company, credential)
    }

    /// Executes a transaction that is expected to take effect.
    pub fn expect_applied(&mut self, submitted: SubmittedTransaction) -> Receipt {
        let receipt = self.apply(submitted).expect("the transaction is authorized");
        assert!(matches!(receipt.outcome, Outcome::Applied(_)), "{receipt:?}");
        receipt
    }
}
