use aval_codec::sha256;
use aval_machine::{Changes, StateRead};
use aval_types::{NetworkId, Witness};

use super::fixture::*;
use super::on_both_back_ends;
use crate::{Commit, EMPTY_ROOT, Ledger};

on_both_back_ends!(
    an_empty_ledger_has_a_view_before_genesis_and_nothing_else,
    a_committed_block_reads_back_whole,
    a_ledger_goes_on_where_it_was_dropped,
    a_crash_leaves_whole_blocks,
    committing_twice_is_fine_and_anything_else_is_refused,
    a_block_with_another_state_root_is_refused,
    receipts_are_proven,
    finality_is_found_above_a_block_without_a_certificate,
    the_newest_certified_height_may_lie_below_the_head,
    a_time_leads_to_the_newest_height_that_is_not_later,
    a_transaction_is_found_in_the_past_of_a_view_only,
    another_genesis_is_refused,
);

fn an_empty_ledger_has_a_view_before_genesis_and_nothing_else(disk: &Disk) {
    let ledger = disk.open();
    assert!(ledger.head().is_none());
    assert_eq!(ledger.require_head().unwrap_err().code(), "store.empty");
    assert_eq!(ledger.state_at(b"a", 0).unwrap_err().code(), "store.empty");
    assert_eq!(ledger.view(&sha256(b"other")).unwrap_err().code(), "store.unknown_block");
    let view = ledger.view(&genesis()).unwrap();
    assert_eq!((view.next_height(), view.root(), view.header()), (0, EMPTY_ROOT, None));
    assert_eq!(view.read(b"a").unwrap(), None);
    // Once there is a genesis block, the genesis hash is no parent any more.
    extend(&ledger, Changes::new(), Vec::new());
    assert_eq!(ledger.view(&genesis()).unwrap_err().code(), "store.unknown_block");
}

fn a_committed_block_reads_back_whole(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "1")]), Vec::new());
    let block = execute(
        &ledger,
        &tip(&ledger),
        put(&[("a", "2"), ("b", "3")]),
        vec![witnessed("first", b"a presentation"), transaction("second")],
    );
    let own = ledger.insert_pending(block).unwrap();
    ledger.commit(&own, Some(&certificate(1))).unwrap();

    let head = ledger.require_head().unwrap();
    assert_eq!((head.height(), head.digest(), head.header()), (1, own.digest(), own.header()));
    assert_eq!(ledger.pending_count(), 0);
    assert_eq!(&ledger.block(1).unwrap(), own.block());
    assert_eq!(ledger.stripped_block(1).unwrap(), own.block().strip());
    assert_eq!(ledger.certificate(1).unwrap(), Some(certificate(1)));
    assert_eq!(ledger.state(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(proven(&ledger, "b", 1).as_deref(), Some(&b"3"[..]));
    assert_eq!(proven(&ledger, "c", 1), None);
    assert_eq!(ledger.receipts(1).unwrap(), own.executed().receipt_bytes);
    assert_eq!(ledger.block(2).unwrap_err().code(), "store.not_yet");
}

fn a_ledger_goes_on_where_it_was_dropped(disk: &Disk) {
    for height in 0..5 {
        let ledger = disk.open();
        assert_eq!(ledger.head().map(|head| head.height() + 1).unwrap_or(0), height);
        let name = format!("tx {height}");
        assert_eq!(
            extend(&ledger, put(&[("counter", &name), (&name, "x")]), vec![transaction(&name)]),
            height
        );
    }
    let ledger = disk.open();
    for height in 0..5 {
        let name = format!("tx {height}");
        assert_eq!(proven(&ledger, "counter", height), Some(name.clone().into_bytes()));
        assert_eq!(ledger.transaction(&id(&name)).unwrap().unwrap().height, height);
    }
}

fn a_crash_leaves_whole_blocks(disk: &Disk) {
    let ledger = disk.open();
    let mut roots = Vec::new();
    for height in 0..20u64 {
        // The copy is taken while the ledger is open: nothing was flushed or closed for it.
        let crashed = disk.snapshot();
        let name = format!("tx {height}");
        extend(&ledger, put(&[("counter", &name), (&name, "x")]), vec![witnessed(&name, b"w")]);
        roots.push(ledger.require_head().unwrap().header().state_root);
        let after = crashed.open();
        assert_eq!(after.head().map(|head| head.height()), height.checked_sub(1));
        // It goes on from there to the same roots.
        extend(&after, put(&[("counter", &name), (&name, "x")]), vec![witnessed(&name, b"w")]);
        assert_eq!(after.require_head().unwrap().digest(), ledger.require_head().unwrap().digest());
    }
    let after = disk.snapshot().open();
    for (height, root) in (0..).zip(roots) {
        assert_eq!(after.header(height).unwrap().state_root, root);
        assert!(matches!(after.block(height).unwrap().transactions[0].witness, Witness::Full(_)));
    }
}

fn committing_twice_is_fine_and_anything_else_is_refused(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "1")]), Vec::new());
    let genesis_digest = tip(&ledger);
    let first = execute(&ledger, &tip(&ledger), put(&[("a", "2")]), Vec::new());
    let twin = execute(&ledger, &tip(&ledger), put(&[("a", "3")]), Vec::new());
    assert_eq!(ledger.commit(&first, None).unwrap(), Commit::Written);
    assert_eq!(ledger.commit(&first, Some(&certificate(1))).unwrap(), Commit::Known);
    assert_eq!(ledger.certificate(1).unwrap(), Some(certificate(1)));

    let error = ledger.commit(&twin, None).unwrap_err();
    assert_eq!(error.code(), "store.conflict");
    assert!(error.to_string().contains(&first.digest().to_hex()));

    // A block two heights up is a gap; one on another parent at the next height conflicts.
    let second =
        ledger.insert_pending(execute(&ledger, &tip(&ledger), put(&[("b", "1")]), Vec::new())).unwrap();
    let third = execute(&ledger, &second.digest(), put(&[("b", "2")]), Vec::new());
    assert_eq!(ledger.commit(&third, None).unwrap_err().code(), "store.gap");
    let mut header = second.header().clone();
    header.parent = genesis_digest;
    let block = aval_types::Block { header, transactions: Vec::new() };
    let foreign = crate::PendingBlock::new(block, second.executed().clone(), second.tree().clone()).unwrap();
    assert_eq!(ledger.commit(&foreign, None).unwrap_err().code(), "store.conflict");
    assert_eq!(ledger.state(b"a").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(ledger.require_head().unwrap().height(), 1);
    ledger.commit(&second, None).unwrap();
    ledger.commit(&third, None).unwrap();
}

fn a_block_with_another_state_root_is_refused(disk: &Disk) {
    let ledger = disk.open();
    let good = execute(&ledger, &tip(&ledger), put(&[("a", "1")]), Vec::new());
    let mut block = good.block().clone();
    block.header.state_root = sha256(b"another");
    let error = crate::PendingBlock::new(block, good.executed().clone(), good.tree().clone()).unwrap_err();
    assert_eq!(error.code(), "store.root_mismatch");
}

fn receipts_are_proven(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, Changes::new(), Vec::new());
    let names: Vec<String> = (0..7).map(|number| format!("tx {number}")).collect();
    extend(&ledger, Changes::new(), names.iter().map(|name| transaction(name)).collect());
    let root = ledger.header(1).unwrap().receipts_root;
    for (index, name) in (0u32..).zip(&names) {
        let (place, proof) = ledger.receipt(&id(name)).unwrap().unwrap();
        assert_eq!((place.height, place.index), (1, index));
        assert_eq!(proof.verify(&root).unwrap().transaction, id(name));
    }
    assert!(ledger.receipt(&id("tx 7")).unwrap().is_none());
    assert!(ledger.receipts(0).unwrap().is_empty());
}

fn finality_is_found_above_a_block_without_a_certificate(disk: &Disk) {
    let ledger = disk.open();
    for height in 0..6 {
        let block = execute(&ledger, &tip(&ledger), put(&[("a", &height.to_string())]), Vec::new());
        ledger.commit(&block, (height == 4).then(|| certificate(4)).as_ref()).unwrap();
    }
    let finality = ledger.finality(2).unwrap();
    assert_eq!(finality.path.iter().map(|header| header.height).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(finality.certificate, certificate(4));
    assert!(ledger.finality(4).unwrap().path.is_empty());
    let error = ledger.finality(5).unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("store.not_certified", true));

    let network = NetworkId::new("demo", genesis()).unwrap();
    let bundle = ledger.state_proof(&network, "a", 2).unwrap();
    assert_eq!((bundle.header.height, bundle.path.len()), (2, 2));
    ledger.put_certificate(5, &certificate(5)).unwrap();
    ledger.put_certificate(5, &certificate(9)).unwrap();
    assert_eq!(ledger.header_proof(&network, 5).unwrap().certificate, certificate(5));
}

fn the_newest_certified_height_may_lie_below_the_head(disk: &Disk) {
    let ledger = disk.open();
    let genesis_block = execute(&ledger, &tip(&ledger), Changes::new(), Vec::new());
    ledger.commit(&genesis_block, None).unwrap();
    assert_eq!(ledger.newest_certified().unwrap_err().code(), "store.not_certified");
    extend(&ledger, Changes::new(), Vec::new());
    let second = execute(&ledger, &tip(&ledger), Changes::new(), Vec::new());
    ledger.commit(&second, None).unwrap();
    assert_eq!(ledger.newest_certified().unwrap(), 1);
}

fn a_time_leads_to_the_newest_height_that_is_not_later(disk: &Disk) {
    let ledger = disk.open();
    for _ in 0..9 {
        extend(&ledger, Changes::new(), Vec::new());
    }
    assert_eq!(ledger.height_at(time_ms(0) - 1).unwrap(), None);
    for height in 0..9 {
        assert_eq!(ledger.height_at(time_ms(height)).unwrap(), Some(height));
        assert_eq!(ledger.height_at(time_ms(height) + INTERVAL_MS - 1).unwrap(), Some(height));
    }
    assert_eq!(ledger.height_at(u64::MAX).unwrap(), Some(8));
}

fn a_transaction_is_found_in_the_past_of_a_view_only(disk: &Disk) {
    let open = || -> Ledger { disk.open() };
    let ledger = open();
    extend(&ledger, Changes::new(), vec![transaction("zero")]);
    let before = ledger.view(&tip(&ledger)).unwrap();
    extend(&ledger, Changes::new(), vec![transaction("one")]);
    let pending =
        ledger.insert_pending(execute(&ledger, &tip(&ledger), Changes::new(), vec![transaction("two")]));
    let above = ledger.view(&pending.unwrap().digest()).unwrap();
    let at_tip = ledger.view(&tip(&ledger)).unwrap();
    let seen = |view: &crate::View| {
        ["zero", "one", "two", "never"].map(|name| view.contains_transaction(&id(name)).unwrap())
    };
    assert_eq!(seen(&before), [true, false, false, false]);
    assert_eq!(seen(&at_tip), [true, true, false, false]);
    assert_eq!(seen(&above), [true, true, true, false]);
    drop((ledger, before, above, at_tip));
    // After a restart the blocks on disk are remembered, the pending one is not.
    let ledger = open();
    assert_eq!(seen(&ledger.view(&tip(&ledger)).unwrap()), [true, true, false, false]);
}

fn another_genesis_is_refused(disk: &Disk) {
    drop(disk.open());
    let error = disk.open_with(&sha256(b"another genesis file"), crate::StoreConfig::default()).unwrap_err();
    assert_eq!(error.code(), "store.genesis_mismatch");
    disk.open();
}
