use aval_machine::Changes;

use super::fixture::*;
use super::on_both_back_ends;
use crate::{PENDING_BLOCKS_MAX, StoreError};

on_both_back_ends!(
    two_children_of_one_parent_stand_side_by_side_until_one_is_final,
    a_long_pending_chain_gives_the_same_roots_as_committing_each_block,
    a_view_stays_what_it_is_while_the_ledger_moves_on,
    a_pending_block_on_an_unknown_parent_is_refused,
    a_block_that_was_verified_late_still_has_its_parents_state,
    pending_blocks_are_bounded_and_the_newest_chain_stays,
);

fn two_children_of_one_parent_stand_side_by_side_until_one_is_final(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "0"), ("b", "0")]), Vec::new());
    let parent = tip(&ledger);
    let left = ledger.insert_pending(execute(&ledger, &parent, put(&[("a", "left")]), Vec::new())).unwrap();
    let right = ledger.insert_pending(execute(&ledger, &parent, put(&[("a", "right")]), Vec::new())).unwrap();
    let gone = Changes::from([(b"b".to_vec(), None)]);
    let left_child = ledger.insert_pending(execute(&ledger, &left.digest(), gone, Vec::new())).unwrap();
    let right_child =
        ledger.insert_pending(execute(&ledger, &right.digest(), put(&[("c", "1")]), Vec::new())).unwrap();
    assert_eq!(ledger.pending_count(), 4);

    let read = |digest: &_, key: &[u8]| ledger.view(digest).unwrap().state(key).unwrap();
    assert_eq!(read(&left_child.digest(), b"a").as_deref(), Some(&b"left"[..]));
    assert_eq!(read(&left_child.digest(), b"b"), None);
    assert_eq!(read(&right_child.digest(), b"a").as_deref(), Some(&b"right"[..]));
    assert_eq!(read(&right_child.digest(), b"b").as_deref(), Some(&b"0"[..]));
    assert_eq!(ledger.state(b"a").unwrap().as_deref(), Some(&b"0"[..]));

    ledger.commit(&right, None).unwrap();
    // The other branch is gone, what stands on the final block is not.
    assert_eq!(ledger.pending_count(), 1);
    assert!(ledger.pending(&right_child.digest()).is_some());
    assert!(matches!(ledger.view(&left_child.digest()), Err(StoreError::UnknownBlock(_))));
    ledger.commit(&right_child, None).unwrap();
    assert_eq!(proven(&ledger, "a", 2).as_deref(), Some(&b"right"[..]));
    assert_eq!(proven(&ledger, "c", 2).as_deref(), Some(&b"1"[..]));
    assert_eq!(proven(&ledger, "c", 1), None);
}

fn a_long_pending_chain_gives_the_same_roots_as_committing_each_block(disk: &Disk) {
    let ledger = disk.open();
    let twin = Disk::memory().open();
    extend(&ledger, put(&[("0", "0")]), Vec::new());
    extend(&twin, put(&[("0", "0")]), Vec::new());
    let mut blocks = Vec::new();
    let mut parent = tip(&ledger);
    for number in 1..40u32 {
        // Some blocks change nothing, some delete.
        let mut changes = Changes::new();
        for key in (0..number).filter(|key| (key * number) % 7 == 3) {
            let value = (key % 5 != 0).then(|| number.to_be_bytes().to_vec());
            changes.insert(key.to_string().into_bytes(), value);
        }
        let block = ledger.insert_pending(execute(&ledger, &parent, changes.clone(), Vec::new())).unwrap();
        parent = block.digest();
        blocks.push(block);
        extend(&twin, changes, Vec::new());
        assert_eq!(tip(&twin), parent);
    }
    for block in &blocks {
        ledger.commit(block, None).unwrap();
    }
    for height in 0..40 {
        for key in 0..40 {
            assert_eq!(proven(&ledger, &key.to_string(), height), proven(&twin, &key.to_string(), height));
        }
    }
}

fn a_view_stays_what_it_is_while_the_ledger_moves_on(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "0"), ("b", "0")]), Vec::new());
    let old = ledger.view(&tip(&ledger)).unwrap();
    let pending =
        ledger.insert_pending(execute(&ledger, &tip(&ledger), put(&[("a", "1")]), Vec::new())).unwrap();
    let above = ledger.view(&pending.digest()).unwrap();
    ledger.commit(&pending, None).unwrap();
    extend(&ledger, Changes::from([(b"a".to_vec(), None), (b"b".to_vec(), Some(b"2".to_vec()))]), Vec::new());
    assert_eq!(old.state(b"a").unwrap().as_deref(), Some(&b"0"[..]));
    assert_eq!(old.state(b"b").unwrap().as_deref(), Some(&b"0"[..]));
    assert_eq!(above.state(b"a").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(above.state(b"b").unwrap().as_deref(), Some(&b"0"[..]));
    assert_eq!(ledger.view_at(2).unwrap().state(b"a").unwrap(), None);
    // Its tree too: the root is the one that was committed on top of it.
    assert_eq!(old.tree(&put(&[("a", "1")])).unwrap().root(), ledger.header(1).unwrap().state_root);
}

fn a_pending_block_on_an_unknown_parent_is_refused(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, Changes::new(), Vec::new());
    let first =
        ledger.insert_pending(execute(&ledger, &tip(&ledger), put(&[("a", "1")]), Vec::new())).unwrap();
    let second = execute(&ledger, &first.digest(), put(&[("a", "2")]), Vec::new());
    let other = Disk::memory().open();
    extend(&other, Changes::new(), Vec::new());
    assert_eq!(other.insert_pending(second).unwrap_err().code(), "store.unknown_block");
}

fn a_block_that_was_verified_late_still_has_its_parents_state(disk: &Disk) {
    let ledger = disk.open();
    for number in 0..20 {
        extend(&ledger, put(&[("a", &number.to_string())]), Vec::new());
    }
    let parent = ledger.header(9).unwrap().digest();
    let view = ledger.view(&parent).unwrap();
    assert_eq!((view.next_height(), view.state(b"a").unwrap()), (10, Some(b"9".to_vec())));
    drop(view);
    drop(ledger);
    // The newest digests are remembered across a restart.
    assert_eq!(disk.open().view(&parent).unwrap().next_height(), 10);
}

fn pending_blocks_are_bounded_and_the_newest_chain_stays(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "0")]), Vec::new());
    let parent = tip(&ledger);
    let on = |parent: &_, value: &str| {
        ledger.insert_pending(execute(&ledger, parent, put(&[("a", value)]), Vec::new())).unwrap()
    };
    // The oldest of all, and what stands on it.
    let kept = on(&parent, "kept");
    let mut forks = Vec::new();
    for number in 0..PENDING_BLOCKS_MAX {
        forks.push(on(&parent, &number.to_string()));
        assert!(ledger.pending_count() <= PENDING_BLOCKS_MAX);
    }
    assert!(ledger.pending(&kept.digest()).is_none(), "the oldest went first");
    let child = on(&forks[1].digest(), "child");
    assert_eq!(ledger.pending_count(), PENDING_BLOCKS_MAX);
    assert!(ledger.pending(&forks[0].digest()).is_none());
    assert!(ledger.pending(&forks[1].digest()).is_some(), "the new block stands on it");
    // What was dropped can become final all the same.
    ledger.commit(&kept, None).unwrap();
    assert_eq!(ledger.pending_count(), 0);
    assert!(matches!(ledger.view(&child.digest()), Err(StoreError::UnknownBlock(_))));
}
