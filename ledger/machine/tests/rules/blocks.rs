//! Blocks: overtaken transactions, unauthorized ones, proposals, and that nothing depends on threads or grouping.

use aval_machine::testkit::{Kit, Options};
use aval_machine::{
    BlockLimits, Checked, ExecuteError, Overlay, StateError, StateRead, authorize, check_all, execute_block,
    propose_block,
};
use aval_types::{Outcome, Reject, SubmittedTransaction, TransactionId};

fn codes(executed: &aval_machine::Executed) -> Vec<&'static str> {
    executed
        .receipts
        .iter()
        .map(|receipt| match &receipt.outcome {
            Outcome::Applied(_) => "applied",
            Outcome::Rejected(reject) => reject.code(),
        })
        .collect()
}

#[test]
fn a_transaction_overtaken_inside_its_block_is_rejected_and_changes_nothing() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let first = company.clone().update(&kit, kit.document(&company, 2));
    let second = company.clone().update(&kit, kit.document(&company, 3));
    let block = [kit.checked(first.clone()), kit.checked(second)];
    let context = kit.next_context();
    let both = execute_block(kit.state(), &context, &block).unwrap();
    assert_eq!(codes(&both), ["applied", "did.stale_version"]);
    let alone = execute_block(kit.state(), &context, &block[..1]).unwrap();
    assert_eq!(both.changes, alone.changes);
    assert_ne!(both.receipts_root, alone.receipts_root);
    assert_eq!(both.ids.len(), 2);
    // A proposer leaves it out instead.
    let proposal = propose_block(kit.state(), &context, &block, kit.block_limits()).unwrap();
    assert_eq!(proposal.kept, [0]);
    assert_eq!(proposal.dropped[0].reject, Reject::DidStaleVersion);
    assert_eq!(proposal.executed, alone);
}

#[test]
fn revocation_bites_in_the_block_that_carries_it() {
    let mut kit = Kit::ready(1);
    let (company, credential) = kit.member(1);
    let (endorser, endorsing) = kit.endorser(2);
    let newcomer = kit.company(3);
    let fresh = kit.membership(&newcomer);
    let update = kit.checked(company.clone().update(&kit, kit.document(&company, 2)));
    let endorsed = kit.checked(kit.company(4).create_endorsed(&kit, &endorser));
    let create = kit.checked(newcomer.create_with(&kit, &fresh));
    let revocations = [&credential, &endorsing, &fresh].map(|credential| kit.checked(kit.revoke(credential)));
    let after: Vec<Checked> = revocations.iter().cloned().chain([update, endorsed, create]).collect();
    let executed = execute_block(kit.state(), &kit.next_context(), &after).unwrap();
    let expected = ["applied", "applied", "applied", "grant.revoked", "endorser.grant", "credential.revoked"];
    assert_eq!(codes(&executed), expected);
    let before: Vec<Checked> = after.iter().rev().cloned().collect();
    let executed = execute_block(kit.state(), &kit.next_context(), &before).unwrap();
    assert_eq!(codes(&executed), ["applied"; 6]);
}

#[test]
fn one_credential_presented_twice_in_a_block_makes_one_grant() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let credential = kit.membership(&company);
    let block = [0, 1].map(|_| kit.checked(company.present(&kit, &credential)));
    let executed = kit.apply_block(&block).unwrap();
    assert_eq!(codes(&executed), ["applied", "grant.exists"]);
}

#[test]
fn a_block_with_an_unauthorized_transaction_is_invalid() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let (revoked, credential) = kit.member(2);
    kit.expect_applied(kit.revoke(&credential));
    let good = kit.checked(company.clone().update(&kit, kit.document(&company, 2)));
    let bad = kit.checked(revoked.clone().update(&kit, kit.document(&revoked, 2)));
    let context = kit.next_context();
    let unauthorized = ExecuteError::Unauthorized { index: 1, reject: Reject::GrantRevoked };
    assert_eq!(execute_block(kit.state(), &context, &[good, bad]), Err(unauthorized.clone()));
    assert_eq!(unauthorized.code(), "block.unauthorized");
}

#[test]
fn what_an_earlier_transaction_of_the_block_would_allow_is_not_authorized_yet() {
    let kit = Kit::ready(1);
    let mut company = kit.company(1);
    let credential = kit.membership(&company);
    let create = kit.checked(company.create_with(&kit, &credential));
    let update = kit.checked(company.update(&kit, kit.document(&company, 2)));
    let unauthorized = ExecuteError::Unauthorized { index: 1, reject: Reject::DidNotFound };
    assert_eq!(execute_block(kit.state(), &kit.next_context(), &[create, update]), Err(unauthorized));
}

#[test]
fn a_transaction_twice_in_a_block_makes_it_invalid_and_a_proposer_drops_the_copy() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    let rotate = kit.checked(company.rotate(&kit));
    let block = [rotate.clone(), rotate];
    let context = kit.next_context();
    let unauthorized = ExecuteError::Unauthorized { index: 1, reject: Reject::TransactionDuplicate };
    assert_eq!(execute_block(kit.state(), &context, &block), Err(unauthorized));
    let proposal = propose_block(kit.state(), &context, &block, kit.block_limits()).unwrap();
    assert_eq!((proposal.kept.as_slice(), proposal.dropped[0].index), (&[0][..], 1));
    assert_eq!(proposal.dropped[0].reject, Reject::TransactionDuplicate);
}

#[test]
fn a_transaction_checked_for_another_network_is_not_authorized_here() {
    let kit = Kit::ready(1);
    let other = Kit::with(Options { seed: 2, ..Options::default() });
    let checked = other.checked(other.create_registry());
    let verdict = authorize(kit.state(), &checked, &kit.next_context()).unwrap();
    assert_eq!(verdict.unwrap_err(), Reject::TransactionNetwork);
}

#[test]
fn a_proposal_keeps_to_its_limits_and_leaves_the_rest_for_later() {
    let mut kit = Kit::ready(1);
    let companies: Vec<_> = (0..600).map(|number| kit.company(number)).collect();
    let (endorser, _) = kit.endorser(1_000);
    let submitted = companies.iter().map(|company| company.create_endorsed(&kit, &endorser)).collect();
    let candidates: Vec<Checked> =
        check_all(submitted, &kit.rules()).into_iter().map(Result::unwrap).collect();
    let context = kit.next_context();
    let limits = BlockLimits { transactions_max: 500, ..kit.block_limits() };
    let proposal = propose_block(kit.state(), &context, &candidates, limits).unwrap();
    assert_eq!(proposal.kept, (0..500).collect::<Vec<_>>());
    assert!(proposal.dropped.is_empty());
    let bytes: usize = candidates[..3].iter().map(Checked::block_bytes).sum::<usize>() + 4;
    for (bytes_max, expected) in [(bytes, 3), (bytes - 1, 2), (4, 0), (0, 0)] {
        let limits = BlockLimits { bytes_max, ..kit.block_limits() };
        let proposal = propose_block(kit.state(), &context, &candidates, limits).unwrap();
        assert_eq!(proposal.kept.len(), expected);
        assert!(proposal.dropped.is_empty());
    }
    // What is proposed is what everybody else executes.
    let body: Vec<_> = candidates[..3].iter().map(|checked| checked.block_transaction().clone()).collect();
    assert_eq!(aval_types::block::encode_body(&body).len(), bytes);
    let executed = execute_block(kit.state(), &context, &candidates[..500]).unwrap();
    assert_eq!(executed, proposal.executed);
}

#[test]
fn the_outcome_does_not_depend_on_threads_or_on_how_signatures_are_grouped() {
    let mut kit = Kit::ready(1);
    let (endorser, _) = kit.endorser(1_000);
    let submitted: Vec<SubmittedTransaction> =
        (0..200).map(|number| kit.company(number).create_endorsed(&kit, &endorser)).collect();
    let context = kit.next_context();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let checked: Vec<Checked> =
                check_all(submitted.clone(), &kit.rules()).into_iter().map(Result::unwrap).collect();
            execute_block(kit.state(), &context, &checked).unwrap()
        })
    };
    let one_by_one: Vec<Checked> = submitted.iter().map(|submitted| kit.checked(submitted.clone())).collect();
    let expected = execute_block(kit.state(), &context, &one_by_one).unwrap();
    for threads in [1, 2, 7] {
        assert_eq!(run(threads), expected);
    }
}

#[test]
fn blocks_stack_up_over_a_state_that_does_not_know_them() {
    let mut kit = Kit::ready(1);
    let (mut company, _) = kit.member(1);
    let base = kit.state().clone();
    let first = kit.checked(company.update(&kit, kit.document(&company, 2)));
    let second = kit.checked(company.update(&kit, kit.document(&company, 3)));
    let one = execute_block(&base, &kit.context(10), &[&first]).unwrap();
    let pending = Overlay::with_block(&base, one.changes.clone(), one.ids.clone());
    let two = execute_block(&pending, &kit.context(11), &[&second]).unwrap();
    let replay = execute_block(&pending, &kit.context(11), &[&first]);
    assert_eq!(replay, Err(ExecuteError::Unauthorized { index: 0, reject: Reject::TransactionDuplicate }));
    let mut committed = base.clone();
    committed.commit(&one, kit.now_s * 1000);
    assert_eq!(execute_block(&committed, &kit.context(11), &[&second]).unwrap(), two);
}

#[test]
fn an_empty_block_changes_nothing() {
    let kit = Kit::ready(1);
    let executed = execute_block::<_, Checked>(kit.state(), &kit.next_context(), &[]).unwrap();
    assert!(executed.changes.is_empty() && executed.receipts.is_empty() && executed.ids.is_empty());
    assert_eq!(executed.receipts_root, aval_codec::sha256(b""));
}

/// A state whose values under some prefix cannot be read, or are not what the rules wrote.
struct Broken<'a> {
    state: &'a aval_machine::MemoryState,
    prefix: &'static str,
    value: Option<&'static [u8]>,
}

impl StateRead for Broken<'_> {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match (key.starts_with(self.prefix.as_bytes()), self.value) {
            (true, Some(value)) => Ok(Some(value.to_vec())),
            (true, None) => Err(StateError::Unavailable("disk".to_owned())),
            (false, _) => self.state.read(key),
        }
    }

    fn contains_transaction(&self, id: &TransactionId) -> Result<bool, StateError> {
        self.state.contains_transaction(id)
    }
}

#[test]
fn a_state_that_cannot_be_read_is_never_a_verdict() {
    let mut kit = Kit::ready(1);
    let (company, _) = kit.member(1);
    let update = kit.checked(company.clone().update(&kit, kit.document(&company, 2)));
    let credential = kit.membership(&company);
    let present = kit.checked(company.present(&kit, &credential));
    let context = kit.next_context();
    let block = [update, present];
    for prefix in ["did/", "grant/", "accreditation/", "registry/", "list/"] {
        for value in [None, Some(&b"not json"[..]), Some(&b"{}"[..])] {
            let broken = Broken { state: kit.state(), prefix, value };
            let result = execute_block(&broken, &context, &block);
            assert!(matches!(result, Err(ExecuteError::State(_))), "{prefix} {result:?}");
            assert!(propose_block(&broken, &context, &block, kit.block_limits()).is_err());
        }
    }
    // A status chunk of another length is damage as well, when it is to be changed.
    let broken = Broken { state: kit.state(), prefix: "status/", value: Some(b"short") };
    let revoke = kit.checked(kit.revoke(&credential));
    assert!(matches!(execute_block(&broken, &context, &[revoke]), Err(ExecuteError::State(_))));
}

#[test]
fn genesis_makes_the_first_state_and_refuses_what_cannot_be() {
    let kit = Kit::new(1);
    let keys: Vec<String> =
        kit.state().entries().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect();
    assert_eq!(keys.iter().filter(|key| key.starts_with("did/")).count(), 6);
    assert_eq!(keys.iter().filter(|key| key.starts_with("accreditation/")).count(), 2);
    for key in ["validators", "governors", "parameters"] {
        assert!(keys.iter().any(|other| other == key));
    }
    assert_eq!(Kit::new(1).genesis_bytes(), kit.genesis_bytes());
    assert_ne!(Kit::new(2).genesis_bytes(), kit.genesis_bytes());
    let mut genesis = kit.genesis().clone();
    genesis.dids[0].document = genesis.dids[1].document.clone();
    assert_eq!(aval_machine::genesis_changes(&genesis).unwrap_err().code(), "genesis.invalid");
}
