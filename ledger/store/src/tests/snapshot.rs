//! A state goes from one ledger to another in chunks, and nothing but the very state arrives.

use aval_codec::Hash;
use aval_machine::Changes;
use aval_proof::snapshot::{SnapshotChunk, VerifiedChunk};
use proptest::prelude::*;

use super::fixture::*;
use crate::ledger::{InstallStep, InstalledChange};
use crate::{Ledger, StoreConfig, StoreError};

const TARGET: usize = 600;

/// A ledger of some hundred keys that change over 300 heights.
fn grown(disk: &Disk) -> Ledger {
    let ledger = disk.open();
    for height in 0..300u64 {
        let mut changes: Changes = (0..3)
            .map(|n| {
                let key = format!("key/{}", (height * 7 + n * 31) % 400);
                (key.into_bytes(), Some(format!("value {height}").into_bytes()))
            })
            .collect();
        if height % 5 == 4 {
            changes.insert(format!("key/{}", (height * 7) % 400).into_bytes(), None);
        }
        let did = format!("did/did:aval:demo:Qm{}", height % 9);
        changes.insert(
            did.into_bytes(),
            Some(format!(r#"{{"versionId":"{}-Qm"}}"#, height / 9 + 1).into_bytes()),
        );
        changes.insert(b"validators".to_vec(), Some(b"[]".to_vec()));
        extend(
            &ledger,
            changes,
            vec![transaction(&format!("tx {height}")), transaction(&format!("other {height}"))],
        );
    }
    ledger
}

fn chunk(ledger: &Ledger, height: u64, from: &Hash) -> SnapshotChunk {
    ledger.snapshot_chunk_of(height, from, TARGET).unwrap().unwrap()
}

fn verified(ledger: &Ledger, height: u64, from: &Hash) -> VerifiedChunk {
    chunk(ledger, height, from).verify(&ledger.header(height).unwrap().state_root).unwrap()
}

fn chunks(ledger: &Ledger, height: u64) -> Vec<VerifiedChunk> {
    let mut chunks = vec![verified(ledger, height, &Hash::ZERO)];
    while let Some(next) = chunks.last().unwrap().next() {
        chunks.push(verified(ledger, height, &next));
    }
    chunks
}

/// Takes the blocks that the installation waits for from another ledger.
fn take_blocks(ledger: &Ledger, from: &Ledger) {
    while let Some(height) = ledger.install_lacks().unwrap() {
        let block = from.stripped_block(height).unwrap();
        let receipts = from.receipts(height).unwrap();
        ledger.install_block(&block, &receipts, from.certificate(height).unwrap().as_ref()).unwrap();
    }
}

fn install(ledger: &Ledger, from: &Ledger, height: u64) {
    let header = from.header(height).unwrap();
    let mut next = ledger.begin_install(&header).unwrap().next;
    while let InstallStep::Chunk(at) = next {
        next = ledger.install_chunk(&verified(from, height, &at)).unwrap();
    }
    take_blocks(ledger, from);
    ledger.finish_install(&from.header(0).unwrap(), &[]).unwrap();
}

fn both(test: impl Fn(&dyn Fn() -> Disk)) {
    test(&Disk::memory);
    test(&Disk::rocks);
}

#[test]
fn a_ledger_made_from_a_snapshot_goes_on_as_the_one_it_came_from() {
    both(|disk| {
        let (old, new) = (disk(), disk());
        let ledger = grown(&old);
        for height in [299, 290] {
            assert!(chunks(&ledger, height).len() > 10);
        }
        let copy = new.open();
        install(&copy, &ledger, 290);
        // The blocks above follow from executing them.
        for height in 291..300 {
            let block = ledger.block(height).unwrap();
            let view = copy.view(&tip(&copy)).unwrap();
            let changes: Changes = changes_of(&ledger, height);
            let tree = view.tree(&changes).unwrap();
            assert_eq!(tree.root(), block.header.state_root, "at height {height}");
            let own = execute(&copy, &tip(&copy), changes, block.transactions.clone());
            assert_eq!(own.digest(), block.digest());
            copy.commit(&own, Some(&certificate(height))).unwrap();
        }
        drop(copy);
        let copy = new.open();
        for key in (0..400).map(|n| format!("key/{n}")) {
            assert_eq!(proven(&copy, &key, 299), proven(&ledger, &key, 299));
            assert_eq!(proven(&copy, &key, 290), proven(&ledger, &key, 290));
        }
        assert!(copy.transaction(&id("tx 100")).unwrap().is_some());
        assert!(copy.receipt(&id("other 100")).unwrap().is_some());
        assert_eq!(copy.did_version("did:aval:demo:Qm1", "33-Qm").unwrap().unwrap().height, 290);
        assert_eq!(copy.did_version("did:aval:demo:Qm1", "2-Qm").unwrap_err().code(), "store.pruned");
        assert_eq!(copy.did_version("did:aval:demo:Qm1", "99-Qm").unwrap(), None);
        assert_eq!(copy.state_at(b"did/did:aval:demo:Qm1", 200).unwrap_err().code(), "store.pruned");
        assert_eq!(copy.validators_after(100).unwrap(), Vec::<[u8; 32]>::new());
        copy.erase_witnesses(u64::MAX, 1_000).unwrap();
        // A snapshot of the copy is a snapshot.
        let (again, third) = (disk(), disk().open());
        drop(again);
        install(&third, &copy, 299);
        assert_eq!(third.head().unwrap().digest(), ledger.head().unwrap().digest());
    });
}

/// What a block of [`grown`] changed, from the states around it.
fn changes_of(ledger: &Ledger, height: u64) -> Changes {
    let mut keys: Vec<Vec<u8>> = (0..400).map(|n| format!("key/{n}").into_bytes()).collect();
    keys.extend((0..9).map(|n| format!("did/did:aval:demo:Qm{n}").into_bytes()));
    keys.into_iter()
        .filter_map(|key| {
            let (before, after) =
                (ledger.state_at(&key, height - 1).unwrap(), ledger.state_at(&key, height).unwrap());
            (before != after).then_some((key, after))
        })
        .collect()
}

#[test]
fn an_installation_goes_on_after_every_break() {
    both(|disk| {
        let ledger = grown(&disk());
        let header = ledger.header(299).unwrap();
        let mut broken = disk();
        // After each call the disk is as a power cut leaves it, and is opened again.
        loop {
            let copy = broken.open();
            assert!(copy.head().is_none());
            match copy.begin_install(&header).unwrap().next {
                InstallStep::Chunk(at) => {
                    copy.install_chunk(&verified(&ledger, 299, &at)).unwrap();
                }
                InstallStep::Block { below, .. } => {
                    if copy.install_lacks().unwrap().is_none() {
                        break;
                    }
                    let height = below - 1;
                    let block = ledger.stripped_block(height).unwrap();
                    copy.install_block(&block, &ledger.receipts(height).unwrap(), None).unwrap();
                }
            }
            // RocksDB moves files about by itself; copying them from under it is for other tests.
            let after = matches!(broken, Disk::Memory(_)).then(|| broken.snapshot());
            drop(copy);
            broken = after.unwrap_or(broken);
        }
        let copy = broken.open();
        let own = execute(&copy, &genesis(), put(&[("a", "b")]), Vec::new());
        assert_eq!(copy.commit(&own, None).unwrap_err().code(), "store.installing");
        copy.finish_install(&ledger.header(0).unwrap(), &[]).unwrap();
        assert_eq!(copy.head().unwrap().digest(), header.digest());
        assert_eq!(copy.begin_install(&header).unwrap_err().code(), "store.not_empty");
    });
}

#[test]
fn a_snapshot_of_another_height_replaces_what_is_left_of_the_first() {
    let ledger = grown(&Disk::memory());
    let copy = Disk::memory().open();
    copy.begin_install(&ledger.header(280).unwrap()).unwrap();
    for chunk in chunks(&ledger, 280).iter().take(4) {
        copy.install_chunk(chunk).unwrap();
    }
    // A chunk of the other height does not fit, and after the change neither does one of the first.
    let other = verified(&ledger, 299, &Hash::ZERO);
    assert_eq!(copy.install_chunk(&other).unwrap_err().code(), "store.not_of_snapshot");
    copy.begin_install(&ledger.header(299).unwrap()).unwrap();
    let first = &chunks(&ledger, 280)[4];
    assert_eq!(copy.install_chunk(first).unwrap_err().code(), "store.not_of_snapshot");
    install(&copy, &ledger, 299);
    for key in (0..400).map(|n| format!("key/{n}")) {
        assert_eq!(copy.state(key.as_bytes()).unwrap(), ledger.state(key.as_bytes()).unwrap());
    }
}

#[test]
fn what_a_liar_changes_in_a_chunk_is_refused() {
    let ledger = grown(&Disk::memory());
    let root = ledger.header(299).unwrap().state_root;
    let honest = chunk(&ledger, 299, &Hash::ZERO);
    assert!(honest.entries.len() > 3 && honest.siblings.len() > 2);
    honest.clone().verify(&root).unwrap();
    let lies: Vec<(&str, Box<dyn Fn(&mut SnapshotChunk)>)> = vec![
        ("a changed value", Box::new(|lie| lie.entries[1].1.push(0))),
        ("a changed key", Box::new(|lie| lie.entries[1].0[0] ^= 1)),
        ("a key left out", Box::new(|lie| drop(lie.entries.remove(1)))),
        ("all keys left out", Box::new(|lie| lie.entries.clear())),
        ("a key added", Box::new(|lie| lie.entries.push((b"key/9999".to_vec(), b"x".to_vec())))),
        ("an entry twice", Box::new(|lie| lie.entries.insert(1, lie.entries[0].clone()))),
        ("another order", Box::new(|lie| lie.entries.swap(0, 1))),
        ("another sibling", Box::new(|lie| lie.siblings[0] = Hash::ZERO)),
        ("a sibling too few", Box::new(|lie| lie.siblings.truncate(1))),
        ("a sibling too many", Box::new(|lie| lie.siblings.push(Hash::ZERO))),
        ("no siblings", Box::new(|lie| lie.siblings.clear())),
        ("another place", Box::new(|lie| lie.from = Hash::new([0x80; 32]))),
    ];
    for (what, lie) in lies {
        let mut chunk = honest.clone();
        lie(&mut chunk);
        assert_eq!(chunk.verify(&root).unwrap_err().code(), "proof.state", "{what}");
    }
    // A chunk of another height is one of another state.
    let old = chunk(&ledger, 280, &Hash::ZERO);
    assert_eq!(old.verify(&root).unwrap_err().code(), "proof.state");
}

#[test]
fn wrong_blocks_of_the_replay_window_are_refused_and_not_kept() {
    let ledger = grown(&Disk::memory());
    let copy = Disk::memory().open();
    let mut next = copy.begin_install(&ledger.header(299).unwrap()).unwrap().next;
    while let InstallStep::Chunk(at) = next {
        let block = ledger.stripped_block(299).unwrap();
        assert_eq!(copy.install_block(&block, &[], None).unwrap_err().code(), "store.not_of_snapshot");
        next = copy.install_chunk(&verified(&ledger, 299, &at)).unwrap();
    }
    let (honest, receipts) = (ledger.stripped_block(299).unwrap(), ledger.receipts(299).unwrap());
    let mut wrong_body = honest.clone();
    wrong_body.transactions.pop();
    let mut wrong_header = honest.clone();
    wrong_header.header.time_ms += 1;
    let below = ledger.stripped_block(298).unwrap();
    for block in [&wrong_body, &wrong_header, &below] {
        assert_eq!(copy.install_block(block, &receipts, None).unwrap_err().code(), "store.not_of_snapshot");
    }
    let too_few = copy.install_block(&honest, &receipts[..1], None).unwrap_err();
    assert_eq!(too_few.code(), "store.not_of_snapshot");
    assert_eq!(copy.install_lacks().unwrap(), Some(299));
    let early = copy.finish_install(&ledger.header(0).unwrap(), &[]).unwrap_err();
    assert_eq!(early.code(), "store.not_of_snapshot");
    assert!(copy.head().is_none());
    take_blocks(&copy, &ledger);
    copy.finish_install(&ledger.header(0).unwrap(), &[]).unwrap();
    // The blocks are a second apart, so ten minutes are all of them but a few.
    assert_eq!(copy.base(), 0);
}

#[test]
fn a_pruned_height_is_not_handed_out() {
    let disk = Disk::memory();
    drop(grown(&disk));
    let config = StoreConfig { history_heights: Some(1), ..StoreConfig::default() };
    let ledger = disk.open_with(&genesis(), config).unwrap();
    ledger.prune(usize::MAX).unwrap();
    let error: StoreError = ledger.snapshot_chunk(10, &Hash::ZERO).unwrap_err();
    assert_eq!(error.code(), "store.pruned");
    assert_eq!(ledger.snapshot_chunk(299, &Hash::new([7; 32])).unwrap(), None);
    let _: Vec<InstalledChange> = Vec::new();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_state_is_the_sum_of_its_chunks(
        keys in proptest::collection::btree_map(proptest::collection::vec(any::<u8>(), 1..6), 0usize..200, 0..80),
        target in 1usize..2_000,
    ) {
        let ledger = Disk::memory().open();
        let changes: Changes =
            keys.iter().map(|(key, length)| ([b"k/", key.as_slice()].concat(), Some(vec![1; *length]))).collect();
        extend(&ledger, changes.clone(), Vec::new());
        let root = ledger.header(0).unwrap().state_root;
        let copy = Disk::memory().open();
        let mut next = copy.begin_install(&ledger.header(0).unwrap()).unwrap().next;
        let mut seen = Changes::new();
        while let InstallStep::Chunk(at) = next {
            let bytes = ledger.snapshot_chunk_of(0, &at, target).unwrap().unwrap().encode().unwrap();
            let chunk = SnapshotChunk::decode(&bytes).unwrap().verify(&root).unwrap();
            seen.extend(chunk.entries().iter().map(|entry| (entry.key.clone(), Some(entry.value.clone()))));
            next = copy.install_chunk(&chunk).unwrap();
        }
        prop_assert_eq!(seen, changes);
        // A damaged byte is noticed wherever it is.
        let bytes = ledger.snapshot_chunk_of(0, &Hash::ZERO, target).unwrap().unwrap().encode().unwrap();
        let position = target % bytes.len();
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        // The height is not under the root: it says what was asked for.
        if !(1..9).contains(&position) {
            prop_assert!(SnapshotChunk::decode(&damaged).and_then(|chunk| chunk.verify(&root)).is_err());
        }
    }
}
