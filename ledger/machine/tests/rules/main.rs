//! The rules of the ledger, tested from outside: refusals, blocks, privacy, and a slow model that everything is
//! compared with.

mod blocks;
mod cost;
mod directory;
mod governance;
mod grants;
mod membership;
mod model;
mod nodes;
mod policies;
mod privacy;
mod quotas;
mod random;
mod refusals;
mod registries;
mod schemas;
mod selection;
mod supervision;
mod trust;
mod trust_model;
mod workload;

use aval_machine::testkit::Kit;
use aval_machine::{Checked, ExecuteError, authorize, check, execute_block, propose_block};
use aval_types::{Reject, SubmittedTransaction};

/// The code with which a transaction is refused, wherever that happens. Asserts that every way to the state gives the
/// same answer and that nothing changes: advice at ingress, a block of another proposer, a block of one's own.
#[track_caller]
fn refusal(kit: &Kit, submitted: Result<SubmittedTransaction, Reject>) -> &'static str {
    let before = kit.state().clone();
    let checked = match submitted.and_then(|submitted| check(submitted, &kit.rules())) {
        Err(reject) => return reject.code(),
        Ok(checked) => checked,
    };
    let context = kit.next_context();
    let advice = authorize(kit.state(), &checked, &context).unwrap();
    let reject = advice.expect_err("the transaction is refused");
    let block: &[Checked] = &[checked];
    match execute_block(kit.state(), &context, block) {
        Err(ExecuteError::Unauthorized { index: 0, reject: other }) => assert_eq!(reject, other),
        other => panic!("a block with an unauthorized transaction is invalid, not {other:?}"),
    }
    let proposal = propose_block(kit.state(), &context, block, kit.block_limits()).unwrap();
    assert_eq!(proposal.kept, Vec::<usize>::new());
    assert_eq!(proposal.dropped[0].reject, reject);
    // What the block does on its own, it does without the transaction as well.
    let empty = execute_block::<_, Checked>(kit.state(), &context, &[]).unwrap();
    assert_eq!(proposal.executed, empty);
    assert_eq!(kit.state(), &before);
    reject.code()
}
