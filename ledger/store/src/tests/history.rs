use aval_machine::Changes;

use super::fixture::*;
use super::on_both_back_ends;
use crate::{Ledger, StoreConfig};

on_both_back_ends!(
    every_past_height_is_read_and_proven,
    pruning_keeps_the_configured_history_and_drops_the_rest,
    pruning_in_slices_gives_the_same_as_pruning_at_once,
    without_a_configured_history_nothing_is_pruned,
    versions_of_a_did_are_found_by_id_and_by_height,
    versions_of_a_did_stay_readable_after_pruning,
    the_trust_chain_names_each_change_and_outlives_pruning,
);

const DID: &str = "did:aval:demo:QmExample";

fn record(version: &str) -> String {
    format!(r#"{{"did":"{DID}","versionId":"{version}","document":{{"service":[{{"a\u0022b":1}}]}}}}"#)
}

fn every_past_height_is_read_and_proven(disk: &Disk) {
    let ledger = disk.open();
    extend(&ledger, put(&[("a", "0")]), Vec::new());
    extend(&ledger, put(&[("b", "1")]), Vec::new());
    extend(&ledger, Changes::new(), Vec::new());
    extend(&ledger, Changes::from([(b"a".to_vec(), None)]), Vec::new());
    extend(&ledger, put(&[("a", "4"), ("b", "4")]), Vec::new());
    let expected = [
        (Some("0"), None),
        (Some("0"), Some("1")),
        (Some("0"), Some("1")),
        (None, Some("1")),
        (Some("4"), Some("4")),
    ];
    for (height, (a, b)) in (0..).zip(expected) {
        for (key, value) in [("a", a), ("b", b), ("c", None)] {
            let value = value.map(|value| value.as_bytes().to_vec());
            assert_eq!(ledger.state_at(key.as_bytes(), height).unwrap(), value, "{key} at {height}");
            assert_eq!(proven(&ledger, key, height), value, "{key} at {height}");
        }
    }
    assert_eq!(ledger.state_at(b"a", 5).unwrap_err().code(), "store.not_yet");
    assert_eq!(ledger.prove(b"a", 5).unwrap_err().code(), "store.not_yet");
}

fn with_history(disk: &Disk) -> Ledger {
    let config = StoreConfig { history_heights: Some(1), ..StoreConfig::default() };
    disk.open_with(&genesis(), config).unwrap()
}

/// 400 blocks: one key changes in each, one in every tenth, one never, one comes and goes.
fn fill(ledger: &Ledger) {
    extend(ledger, put(&[("never", "0"), ("each", "0"), ("tenth", "0")]), Vec::new());
    for height in 1..400u64 {
        let text = height.to_string();
        let mut changes = put(&[("each", &text), (&format!("own/{height}"), "x")]);
        if height % 10 == 0 {
            changes.insert(b"tenth".to_vec(), Some(text.clone().into_bytes()));
        }
        changes.insert(b"sometimes".to_vec(), (height % 3 == 0).then(|| text.into_bytes()));
        extend(ledger, changes, Vec::new());
    }
}

fn check(ledger: &Ledger, heights: impl Iterator<Item = u64>) {
    for height in heights {
        let text = |number: u64| Some(number.to_string().into_bytes());
        assert_eq!(proven(ledger, "never", height), text(0));
        assert_eq!(proven(ledger, "each", height), text(height));
        assert_eq!(proven(ledger, "tenth", height), text(height / 10 * 10));
        assert_eq!(proven(ledger, "sometimes", height), if height % 3 == 0 { text(height) } else { None });
        assert_eq!(proven(ledger, &format!("own/{}", height + 1), height), None);
    }
}

fn pruning_keeps_the_configured_history_and_drops_the_rest(disk: &Disk) {
    let ledger = with_history(disk);
    fill(&ledger);
    check(&ledger, (3..400).step_by(7));
    let pruned = ledger.prune(usize::MAX).unwrap();
    // At least 256 heights are always kept, for views on them.
    assert_eq!((pruned.oldest, pruned.is_done, ledger.oldest_height()), (399 - 256, true, 143));
    assert!(pruned.rows > 1_000);
    check(&ledger, 143..400);
    for height in [0, 1, 100, 142] {
        assert_eq!(ledger.prove(b"never", height).unwrap_err().code(), "store.pruned");
        assert_eq!(ledger.state_at(b"each", height).unwrap_err().code(), "store.pruned");
        // What happened stays; only how the state was is forgotten.
        assert!(ledger.block(height).is_ok() && ledger.finality(height).is_ok());
    }
    assert_eq!(ledger.prune(usize::MAX).unwrap().rows, 0);
    drop(ledger);
    let ledger = with_history(disk);
    assert_eq!(ledger.oldest_height(), 143);
    check(&ledger, (143..400).step_by(10));
    extend(&ledger, put(&[("each", "400")]), Vec::new());
    assert_eq!(ledger.prune(1).unwrap().oldest, 144);
}

fn pruning_in_slices_gives_the_same_as_pruning_at_once(disk: &Disk) {
    let ledger = with_history(disk);
    let whole = with_history(&Disk::memory());
    fill(&ledger);
    fill(&whole);
    let rows = whole.prune(usize::MAX).unwrap().rows;
    let mut sliced = 0;
    loop {
        let pruned = ledger.prune(10).unwrap();
        sliced += pruned.rows;
        assert_eq!(ledger.oldest_height(), pruned.oldest);
        check(&ledger, (pruned.oldest.max(3)..400).step_by(29));
        if pruned.is_done {
            break;
        }
    }
    assert_eq!((sliced, ledger.oldest_height()), (rows, 143));
}

fn without_a_configured_history_nothing_is_pruned(disk: &Disk) {
    let ledger = disk.open();
    fill(&ledger);
    let pruned = ledger.prune(usize::MAX).unwrap();
    assert_eq!((pruned.rows, pruned.oldest, pruned.is_done), (0, 0, true));
    check(&ledger, (3..400).step_by(13));
}

fn versions_of_a_did_are_found_by_id_and_by_height(disk: &Disk) {
    let ledger = disk.open();
    let key = format!("did/{DID}");
    extend(&ledger, Changes::new(), Vec::new());
    extend(&ledger, put(&[(&key, &record("1-Qm1"))]), Vec::new());
    extend(&ledger, put(&[("other", "x")]), Vec::new());
    extend(&ledger, put(&[(&key, &record("2-Qm2"))]), Vec::new());

    let first = ledger.did_version(DID, "1-Qm1").unwrap().unwrap();
    assert_eq!((first.number, first.height, first.version_id.as_str()), (1, 1, "1-Qm1"));
    assert_eq!(ledger.did_version(DID, "2-Qm2").unwrap().unwrap().height, 3);
    for unknown in ["2-Qm1", "3-Qm3", "1", "x-Qm1", ""] {
        assert!(ledger.did_version(DID, unknown).unwrap().is_none());
    }
    assert!(ledger.did_version("did:aval:demo:QmExampl", "1-Qm1").unwrap().is_none());
    let at = |height| ledger.did_version_at(DID, height).unwrap().map(|version| version.number);
    assert_eq!([at(0), at(1), at(2), at(3)], [None, Some(1), Some(1), Some(2)]);
    assert_eq!(ledger.did_versions(DID, 1, 10).unwrap().len(), 2);
    assert_eq!(ledger.did_versions(DID, 2, 10).unwrap()[0].version_id, "2-Qm2");
    assert_eq!(ledger.did_version_number(DID, 3).unwrap(), None);
}

fn versions_of_a_did_stay_readable_after_pruning(disk: &Disk) {
    let ledger = with_history(disk);
    let key = format!("did/{DID}");
    extend(&ledger, put(&[(&key, &record("1-Qm1"))]), Vec::new());
    for number in 2..400 {
        extend(&ledger, put(&[(&key, &record(&format!("{number}-Qm{number}")))]), Vec::new());
    }
    while !ledger.prune(50).unwrap().is_done {}
    for height in [0, 1, 50, 200, 398] {
        let version = format!("{}-Qm{}", height + 1, height + 1);
        assert_eq!(ledger.state_at(key.as_bytes(), height).unwrap(), Some(record(&version).into_bytes()));
        assert_eq!(ledger.did_version_at(DID, height).unwrap().unwrap().version_id, version);
    }
    assert_eq!(ledger.prove(key.as_bytes(), 0).unwrap_err().code(), "store.pruned");
}

fn the_trust_chain_names_each_change_and_outlives_pruning(disk: &Disk) {
    use aval_did::SigningKey;
    use aval_proof::ValidatorSet;
    use aval_types::{Block, NetworkId};
    let ledger = with_history(disk);
    let set = |seed: u8| -> Vec<aval_did::PublicKey> {
        (0..4).map(|index| SigningKey::from_seed(&[seed + index; 32]).public()).collect()
    };
    let keys = |seed: u8| {
        let bytes = set(seed).iter().map(|key| aval_types::node::key_bytes(key).unwrap()).collect();
        ValidatorSet::new(bytes)
    };
    let value = |seed: u8| {
        let mut entries = set(seed);
        entries.sort();
        let entry = |key: &aval_did::PublicKey| serde_json::json!({ "key": key, "since": 0 });
        serde_json::Value::from(entries.iter().map(entry).collect::<Vec<_>>()).to_string()
    };
    // A change at every tenth height up to 400.
    let mut seed = 10u8;
    let mut last = 0;
    for height in 0..=600u64 {
        let changes_here = height == 0 || (height % 10 == 0 && height <= 400);
        let before = keys(seed).hash();
        if height > 0 && changes_here {
            seed += 5;
        }
        let changes = if changes_here { put(&[("validators", &value(seed))]) } else { Changes::new() };
        let pending = execute(&ledger, &tip(&ledger), changes, Vec::new());
        let mut header = pending.header().clone();
        header.validators_hash = if height == 0 { keys(seed).hash() } else { before };
        header.next_validators_hash = keys(seed).hash();
        if header.validators_hash != header.next_validators_hash {
            last = height;
        }
        header.last_set_change = last;
        let block = Block { header, transactions: Vec::new() };
        let block =
            crate::PendingBlock::new(block, pending.executed().clone(), pending.tree().clone()).unwrap();
        ledger.commit(&block, Some(&certificate(height))).unwrap();
    }
    while !ledger.prune(1000).unwrap().is_done {}
    assert!(ledger.oldest_height() > 300);
    let network = NetworkId::new("demo", genesis()).unwrap();
    assert_eq!(ledger.set_changes(0).unwrap(), (1..=40).map(|tenth| tenth * 10).collect::<Vec<_>>());
    let chain = ledger.trust_chain(&network, 0).unwrap();
    assert_eq!((chain.links.len(), chain.more), (32, true));
    assert_eq!(chain.links[0].next, keys(15));
    assert_eq!(chain.links[0].next.hash(), chain.links[0].header.next_validators_hash);
    let rest = ledger.trust_chain(&network, 320).unwrap();
    assert_eq!((rest.links.len(), rest.more), (8, false));
    for link in chain.links.iter().chain(&rest.links) {
        assert_eq!(link.next.hash(), link.header.next_validators_hash);
        assert_eq!(link.header.last_set_change, link.header.height);
    }
    assert!(ledger.trust_chain(&network, 400).unwrap().links.is_empty());
    assert_eq!(ledger.validators_after(9).unwrap(), keys(10).keys());
    assert_eq!(ledger.validators_after(10).unwrap(), keys(15).keys());
}
