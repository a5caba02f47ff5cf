//! The pool against whatever is done to it, and its promises one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use aval_codec::Hash;
use aval_types::{Reject, TransactionId};
use proptest::prelude::*;

use super::{COPIES_MAX, EnvelopeKey, InsertError, Inserted, Limits, Mempool, PoolStatus, Pooled, Usage};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Item {
    id: u8,
    copy: u8,
    payer: u8,
    size_bytes: usize,
    expires_ms: u64,
}

fn hash(byte: u8) -> Hash {
    Hash::new([byte; 32])
}

fn id(byte: u8) -> TransactionId {
    TransactionId(hash(byte))
}

impl Pooled for Item {
    fn id(&self) -> TransactionId {
        id(self.id)
    }

    fn key(&self) -> EnvelopeKey {
        EnvelopeKey { envelope: hash(self.id), witness: hash(self.copy) }
    }

    fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    fn payer(&self) -> Hash {
        hash(self.payer)
    }

    fn expires_ms(&self) -> u64 {
        self.expires_ms
    }
}

const LIMITS: Limits = Limits {
    bytes_max: 1000,
    entries_max: 12,
    payer_bytes_max: 500,
    payer_entries_max: 6,
    patient_entries: 4,
    patience_ms: 4_000,
    statuses_max: 20,
    status_retention_ms: 1000,
};

fn item(id: u8) -> Item {
    Item { id, copy: 0, payer: id, size_bytes: 10, expires_ms: 10_000 }
}

fn pool_of(items: &[Item]) -> Mempool<Item> {
    let pool = Mempool::new(LIMITS);
    for item in items {
        assert_eq!(pool.insert(Arc::new(*item), 0), Ok(Inserted::New));
    }
    pool
}

fn candidate_ids(pool: &Mempool<Item>) -> Vec<u8> {
    pool.candidates(usize::MAX, usize::MAX).iter().map(|item| item.id).collect()
}

#[test]
fn candidates_come_in_the_order_of_arrival_and_stay_within_bytes_and_count() {
    let pool = pool_of(&[item(3), item(1), Item { size_bytes: 50, ..item(2) }, item(4)]);
    assert_eq!(candidate_ids(&pool), [3, 1, 2, 4]);
    assert_eq!(pool.candidates(usize::MAX, 2).len(), 2);
    let fitting: Vec<_> = pool.candidates(30, 9).iter().map(|item| item.id).collect();
    assert_eq!(fitting, [3, 1, 4], "what does not fit is passed over");
    let others: Vec<_> =
        pool.candidates_where(999, 9, |other| *other != id(1)).iter().map(|item| item.id).collect();
    assert_eq!(others, [3, 2, 4]);
}

#[test]
fn a_copy_cannot_shadow_another_and_only_one_is_proposed() {
    let mangled = Item { copy: 1, ..item(1) };
    let pool = pool_of(&[mangled, item(1)]);
    assert!(pool.checked(&item(1).key()).is_some() && pool.checked(&mangled.key()).is_some());
    assert_eq!(candidate_ids(&pool), [1]);
    pool.finalized(&[id(1)], 1);
    assert!(pool.is_empty());
    assert_eq!(pool.insert(Arc::new(mangled), 2), Err(InsertError::Finalized));
}

#[test]
fn copies_of_one_transaction_are_bounded_and_the_same_copy_is_known() {
    let pool = Mempool::new(LIMITS);
    for copy in 0..COPIES_MAX as u8 {
        assert_eq!(pool.insert(Arc::new(Item { copy, ..item(1) }), 0), Ok(Inserted::New));
    }
    assert_eq!(pool.insert(Arc::new(Item { copy: 99, ..item(1) }), 0), Err(InsertError::Copies));
    assert_eq!(pool.insert(Arc::new(item(1)), 0), Ok(Inserted::Known));
}

#[test]
fn a_refusal_is_remembered_for_a_while_and_forgotten_when_the_transaction_comes_again() {
    let pool = pool_of(&[item(1), item(2)]);
    pool.refuse(id(1), Reject::GrantRequired, 100);
    assert_eq!(pool.status(&id(1), 100), PoolStatus::Refused(Reject::GrantRequired));
    assert_eq!(candidate_ids(&pool), [2]);
    assert_eq!(pool.insert(Arc::new(item(1)), 200), Ok(Inserted::New));
    assert_eq!(pool.status(&id(1), 200), PoolStatus::Pending);
    pool.refuse(id(1), Reject::DidStaleVersion, 300);
    assert_eq!(pool.status(&id(1), 1299), PoolStatus::Refused(Reject::DidStaleVersion));
    assert_eq!(pool.status(&id(1), 1300), PoolStatus::Unknown);
}

#[test]
fn what_only_has_to_wait_is_not_refused() {
    let pool = pool_of(&[item(1)]);
    pool.refuse(id(1), Reject::TransactionDuplicate, 0);
    pool.refuse(id(1), Reject::TransactionNotYetValid, 0);
    pool.note_refusal(id(1), Reject::GrantRequired, 0);
    assert_eq!(pool.status(&id(1), 0), PoolStatus::Pending);
    pool.note_refusal(id(2), Reject::GrantRequired, 0);
    assert_eq!(pool.status(&id(2), 0), PoolStatus::Refused(Reject::GrantRequired));
}

#[test]
fn inclusion_is_final_whatever_is_refused_later() {
    let pool = pool_of(&[item(1)]);
    pool.finalized(&[id(1)], 0);
    pool.refuse(id(1), Reject::TransactionSignature, 1);
    assert_eq!(pool.status(&id(1), 1), PoolStatus::Unknown, "the ledger answers for it");
}

#[test]
fn an_entry_leaves_when_its_window_ends_and_says_why() {
    let pool = pool_of(&[Item { expires_ms: 500, ..item(1) }, item(2)]);
    pool.finalized(&[], 499);
    assert_eq!(pool.usage().entries, 2);
    pool.finalized(&[], 500);
    assert_eq!(candidate_ids(&pool), [2]);
    assert_eq!(pool.status(&id(1), 500), PoolStatus::Refused(Reject::TransactionExpired));
    assert_eq!(pool.insert(Arc::new(Item { expires_ms: 500, ..item(3) }), 500), Err(InsertError::Expired));
}

#[test]
fn one_payer_cannot_fill_the_pool_for_others() {
    let pool = Mempool::new(LIMITS);
    let greedy = |id| Arc::new(Item { payer: 0, ..item(id) });
    let taken = (1..=20).filter(|id| pool.insert(greedy(*id), 0).is_ok()).count();
    assert_eq!(taken, LIMITS.payer_entries_max);
    assert_eq!(pool.insert(greedy(50), 0), Err(InsertError::Share));
    assert_eq!(pool.insert(Arc::new(Item { payer: 1, ..item(60) }), 0), Ok(Inserted::New));
    let large = Arc::new(Item { payer: 2, size_bytes: 501, ..item(70) });
    assert_eq!(pool.insert(large, 0), Err(InsertError::Share));
}

#[test]
fn a_full_pool_says_so_before_anything_is_checked() {
    let pool = Mempool::new(LIMITS);
    for number in 1..=12 {
        assert!(pool.has_room(10));
        pool.insert(Arc::new(item(number)), 0).unwrap();
    }
    assert!(!pool.has_room(1));
    assert_eq!(pool.insert(Arc::new(item(13)), 0), Err(InsertError::Full));
    pool.finalized(&[id(1)], 1);
    assert!(pool.has_room(890) && !pool.has_room(891));
}

#[test]
fn clients_bring_in_no_more_than_what_is_final_in_a_while() {
    let pool = pool_of(&[item(1), item(2), item(3)]);
    assert!(pool.has_room_for_client(10));
    pool.insert(Arc::new(item(4)), 0).unwrap();
    assert!(!pool.has_room_for_client(10), "nothing was finalized yet");
    assert!(pool.has_room(10), "what other validators took in is taken still");
    // Six in the last while: so many may wait.
    pool.finalized(&[id(101), id(102), id(103), id(104), id(105), id(106)], 1_000);
    assert!(pool.has_room_for_client(10));
    pool.insert(Arc::new(item(5)), 1_000).unwrap();
    pool.insert(Arc::new(item(6)), 1_000).unwrap();
    assert!(!pool.has_room_for_client(10));
    // The network stands still, but for its heartbeats, and as few as four may wait all the same.
    pool.finalized(&[id(5), id(6)], 2_000);
    pool.finalized(&[], 9_000);
    assert!(!pool.has_room_for_client(10));
    pool.finalized(&[id(1)], 9_900);
    assert!(pool.has_room_for_client(10));
}

#[tokio::test]
async fn who_waits_is_woken_by_the_next_new_arrival() {
    let pool = Mempool::new(LIMITS);
    let waiting = pool.notified();
    let mut waiting = std::pin::pin!(waiting);
    assert!(!waiting.as_mut().enable());
    pool.insert(Arc::new(item(1)), 0).unwrap();
    waiting.await;
}

/// Something that is done to a pool.
#[derive(Debug, Clone)]
enum Step {
    Insert(Item),
    Finalize(Vec<u8>),
    Refuse(u8),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let item = (0u8..12, 0u8..6, 0u8..4, 1usize..300, 1u64..4000).prop_map(
        |(id, copy, payer, size_bytes, expires_ms)| Item { id, copy, payer, size_bytes, expires_ms },
    );
    let step = prop_oneof![
        8 => item.prop_map(Step::Insert),
        1 => proptest::collection::vec(0u8..12, 0..4).prop_map(Step::Finalize),
        1 => (0u8..12).prop_map(Step::Refuse),
        1 => (1u64..400).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn every_bound_holds_and_every_count_is_right_whatever_happens(steps in steps()) {
        let pool = Mempool::new(LIMITS);
        let mut now_ms = 0;
        for step in steps {
            match step {
                Step::Insert(item) => {
                    let inserted = pool.insert(Arc::new(item), now_ms);
                    if inserted.is_ok() {
                        prop_assert!(pool.checked(&item.key()).is_some());
                        prop_assert_eq!(pool.status(&item.id(), now_ms), PoolStatus::Pending);
                    }
                }
                Step::Finalize(ids) => {
                    let ids: Vec<_> = ids.into_iter().map(id).collect();
                    pool.finalized(&ids, now_ms);
                    for id in &ids {
                        prop_assert_eq!(pool.status(id, now_ms), PoolStatus::Unknown);
                    }
                }
                Step::Refuse(number) => {
                    let was_final = pool.lock().statuses.is_finalized(&id(number), now_ms);
                    pool.refuse(id(number), Reject::GrantRequired, now_ms);
                    let expected =
                        if was_final { PoolStatus::Unknown } else { PoolStatus::Refused(Reject::GrantRequired) };
                    prop_assert_eq!(pool.status(&id(number), now_ms), expected);
                }
                Step::Pass(elapsed_ms) => {
                    now_ms += elapsed_ms;
                    pool.finalized(&[], now_ms);
                }
            }
            check(&pool, now_ms)?;
        }
    }
}

fn check(pool: &Mempool<Item>, now_ms: u64) -> Result<(), TestCaseError> {
    let inside = pool.lock();
    let mut payers: BTreeMap<Hash, Usage> = BTreeMap::new();
    let mut copies: BTreeMap<TransactionId, usize> = BTreeMap::new();
    for entry in inside.entries.values() {
        let share = payers.entry(entry.payer).or_default();
        share.entries += 1;
        share.bytes += entry.size_bytes;
        *copies.entry(entry.id).or_default() += 1;
        prop_assert!(entry.expires_ms > now_ms);
    }
    let bytes: usize = payers.values().map(|share| share.bytes).sum();
    prop_assert_eq!(inside.bytes, bytes);
    prop_assert!(bytes <= LIMITS.bytes_max && inside.entries.len() <= LIMITS.entries_max);
    for (payer, share) in &payers {
        prop_assert!(share.bytes <= LIMITS.payer_bytes_max && share.entries <= LIMITS.payer_entries_max);
        prop_assert_eq!(inside.by_payer.get(payer), Some(share));
    }
    prop_assert_eq!(inside.by_payer.len(), payers.len());
    prop_assert!(copies.values().all(|count| *count <= COPIES_MAX));
    prop_assert_eq!(inside.by_id.len(), copies.len());
    prop_assert_eq!(inside.by_key.len(), inside.entries.len());
    prop_assert_eq!(inside.by_expiry.len(), inside.entries.len());
    prop_assert!(inside.statuses.len() <= LIMITS.statuses_max);
    drop(inside);
    let candidates = pool.candidates(usize::MAX, usize::MAX);
    prop_assert_eq!(candidates.len(), copies.len());
    Ok(())
}
