//! Hands submitted transactions to the other validators and tells them how far this node is.
//!
//! A transaction that one validator took in is sent once to all others, in small batches, so that whoever
//! leads next can propose it and everybody has its signatures verified before the block with it arrives.
//! Gossip is advice: nothing is acknowledged or repeated, and what is lost waits in the pool of the node that
//! took it in until that node leads.
//!
//! A message is one kind byte and its content:
//!
//! | kind | content |
//! |---|---|
//! | 1 transactions | the encoding of a block's body, full witnesses only |
//! | 2 status | height of the newest committed block, u64 big-endian |
//!
//! Everything is bounded: the queue to the network, the size of a message, how often one is sent, and what the
//! [`TransactionSink`] keeps of what comes in. Messages that cannot be read are dropped, and so, for a while, is a node
//! that sends many of them or too many of any kind ([`conduct`]).

mod conduct;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aval_types::block::{BlockTransaction, Mode, decode_body, encode_body, transaction_length};
use bytes::{BufMut as _, Bytes, BytesMut};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::Notify;

use crate::engine::{Audience, Links, MESSAGE_BYTES_MAX};
use crate::metrics::ReasonLabel;
use crate::runtime::SharedRuntime;
use conduct::Conduct;

const KIND_TRANSACTIONS: u8 = 1;
const KIND_STATUS: u8 = 2;

/// Transactions that wait to be sent; further ones stay where they are.
const QUEUE_TRANSACTIONS_MAX: usize = 8192;
/// Bytes of a batch at most; a single larger transaction goes alone.
const BATCH_BYTES: usize = MESSAGE_BYTES_MAX / 4;
/// How long a first transaction waits for others to share its message, and the time between two messages.
const BATCH_DELAY: Duration = Duration::from_millis(8);
/// How often a node tells its height.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);

/// Where transactions from other validators go. Must not wait; drops what it has no room for.
pub trait TransactionSink: Send + Sync + 'static {
    /// Takes transactions that a node sent, of which nothing is checked but their bounds.
    fn receive(&self, sender: [u8; 32], transactions: Vec<BlockTransaction>);
}

/// What is known of another validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The Ed25519 key that its connection proved.
    pub key: [u8; 32],
    /// The height of its newest committed block, as it last said.
    pub height: u64,
    /// When it was last heard, by this node's clock.
    pub heard_ms: u64,
}

/// The node's end of the messages between validators.
pub struct Gossip {
    runtime: SharedRuntime,
    links: Links,
    queue: Mutex<Vec<BlockTransaction>>,
    queued: Notify,
    peers: Mutex<BTreeMap<[u8; 32], PeerStatus>>,
    conduct: Mutex<Conduct>,
    blocked: Family<ReasonLabel, Counter>,
}

impl Gossip {
    /// Makes an end on the links. Nothing is sent before [`Self::start`].
    pub fn new(runtime: SharedRuntime, links: Links) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            links,
            queue: Mutex::default(),
            queued: Notify::new(),
            peers: Mutex::default(),
            conduct: Mutex::default(),
            blocked: Family::default(),
        })
    }

    /// Starts to send: transactions as they come, and the height that `height` gives every few seconds.
    pub fn start(self: &Arc<Self>, height: impl Fn() -> u64 + Send + Sync + 'static) {
        let gossip = self.clone();
        self.runtime.spawn(
            "gossip_transactions",
            Box::pin(async move {
                loop {
                    gossip.queued.notified().await;
                    gossip.runtime.sleep(BATCH_DELAY).await;
                    if gossip.flush() {
                        gossip.queued.notify_one();
                    }
                }
            }),
        );
        let gossip = self.clone();
        self.runtime.spawn(
            "gossip_status",
            Box::pin(async move {
                loop {
                    gossip.tell_height(height());
                    gossip.runtime.sleep(STATUS_INTERVAL).await;
                }
            }),
        );
    }

    /// Queues a transaction for all other validators. False if the queue is full.
    pub fn publish(&self, transaction: BlockTransaction) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= QUEUE_TRANSACTIONS_MAX {
            return false;
        }
        queue.push(transaction);
        drop(queue);
        self.queued.notify_one();
        true
    }

    /// Takes a message of another validator apart.
    pub fn receive(&self, sender: [u8; 32], message: &[u8], sink: &dyn TransactionSink) {
        let is_readable = match message.split_first() {
            Some((&KIND_TRANSACTIONS, body)) => {
                let transactions = decode_body(body, Mode::Full);
                transactions.is_ok_and(|transactions| {
                    self.heard(sender, None);
                    sink.receive(sender, transactions);
                    true
                })
            }
            Some((&KIND_STATUS, height)) => height.try_into().is_ok_and(|height| {
                self.heard(sender, Some(u64::from_be_bytes(height)));
                true
            }),
            // A kind of a newer version is not this node's business.
            Some(_) => true,
            None => false,
        };
        self.conduct().message(sender, is_readable, self.runtime.now_ms());
    }

    /// Takes note of transactions of a node that no working node would have sent.
    pub fn complain(&self, sender: [u8; 32], forged: u32) {
        self.conduct().forged(sender, forged, self.runtime.now_ms());
    }

    /// Whether a node is to be shut out for a while, by all that was heard of it. Counts it.
    pub fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        let fault = self.conduct().judge(sender);
        if let Some(fault) = fault {
            self.blocked.get_or_create(&ReasonLabel { reason: fault.name() }).inc();
        }
        fault.is_some()
    }

    /// Nodes that were shut out for a while, by what they did.
    pub fn blocked(&self) -> Family<ReasonLabel, Counter> {
        self.blocked.clone()
    }

    fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other validators that were heard, by key.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }

    /// The engine's own measurements in the Prometheus text format.
    pub fn engine_metrics(&self) -> String {
        self.links.engine_metrics()
    }

    // The sender has proved its key and is a validator, so the map is bounded by the validator set.
    fn heard(&self, key: [u8; 32], height: Option<u64>) {
        let heard_ms = self.runtime.now_ms();
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = peers.entry(key).or_insert(PeerStatus { key, height: 0, heard_ms });
        peer.heard_ms = heard_ms;
        peer.height = height.unwrap_or(peer.height);
    }

    fn tell_height(&self, height: u64) {
        let mut message = BytesMut::with_capacity(9);
        message.put_u8(KIND_STATUS);
        message.put_u64(height);
        let _ = self.links.broadcast(Audience::Everybody, message.freeze());
    }

    /// Sends one batch; says whether there is more.
    fn flush(&self) -> bool {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch_bytes = 0;
        let fits = |transaction: &BlockTransaction| {
            batch_bytes += transaction_length(transaction);
            batch_bytes <= BATCH_BYTES
        };
        // A single larger transaction goes alone.
        let count = queue.iter().map(fits).take_while(|fits| *fits).count().max(1).min(queue.len());
        let batch: Vec<BlockTransaction> = queue.drain(..count).collect();
        let is_more = !queue.is_empty();
        drop(queue);
        if !batch.is_empty() {
            self.send(&batch);
        }
        is_more
    }

    fn send(&self, batch: &[BlockTransaction]) {
        let body = encode_body(batch);
        let mut message = BytesMut::with_capacity(body.len() + 1);
        message.put_u8(KIND_TRANSACTIONS);
        message.put_slice(&body);
        // Dropped if the network is slower than the clients: the transactions stay in this node's pool.
        let _ = self.links.broadcast(Audience::Validators, Bytes::from(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ManualRuntime;
    use aval_types::Witness;

    #[derive(Default)]
    struct Sink(Mutex<Vec<BlockTransaction>>);

    impl TransactionSink for Sink {
        fn receive(&self, _: [u8; 32], transactions: Vec<BlockTransaction>) {
            self.0.lock().unwrap().extend(transactions);
        }
    }

    fn transaction(fill: u8, length: usize) -> BlockTransaction {
        BlockTransaction { envelope: vec![fill; length], witness: Witness::None }
    }

    #[test]
    fn what_one_end_publishes_the_other_receives_in_bounded_messages() {
        let (links, mut outgoing) = Links::disconnected();
        let runtime: SharedRuntime = ManualRuntime::at(1_000);
        let gossip = Gossip::new(runtime, links);
        let sent: Vec<_> = (0..40).map(|fill| transaction(fill, 10_000)).collect();
        for transaction in &sent {
            assert!(gossip.publish(transaction.clone()));
        }
        while gossip.flush() {}
        gossip.tell_height(7);
        let sink = Sink::default();
        while let Ok((_, message)) = outgoing.try_recv() {
            assert!(message.len() <= MESSAGE_BYTES_MAX);
            gossip.receive([9; 32], &message, &sink);
        }
        assert_eq!(*sink.0.lock().unwrap(), sent);
        assert_eq!(gossip.peers(), [PeerStatus { key: [9; 32], height: 7, heard_ms: 1_000 }]);
    }

    #[test]
    fn unreadable_messages_and_stripped_witnesses_are_dropped() {
        let (links, _outgoing) = Links::disconnected();
        let gossip = Gossip::new(ManualRuntime::at(0), links);
        let sink = Sink::default();
        let stripped =
            BlockTransaction { witness: Witness::Stripped(aval_codec::Hash::ZERO), ..transaction(1, 8) };
        let mut message = vec![KIND_TRANSACTIONS];
        message.extend(encode_body(&[stripped]));
        for message in
            [message.as_slice(), &[], &[9], &[KIND_STATUS, 1], &[KIND_TRANSACTIONS, 0xff, 0xff, 0xff, 0xff]]
        {
            gossip.receive([1; 32], message, &sink);
        }
        assert!(sink.0.lock().unwrap().is_empty());
        assert!(gossip.peers().is_empty());
        assert!(!gossip.is_fed_up_with([1; 32]), "a few are dropped and no more");
        for _ in 0..conduct::UNREADABLE_MAX {
            gossip.receive([1; 32], &message, &sink);
        }
        assert!(gossip.is_fed_up_with([1; 32]));
        assert!(!gossip.is_fed_up_with([2; 32]));
        assert_eq!(gossip.blocked().get_or_create(&ReasonLabel { reason: "unreadable" }).get(), 1);
    }

    #[test]
    fn the_queue_is_bounded() {
        let (links, _outgoing) = Links::disconnected();
        let gossip = Gossip::new(ManualRuntime::at(0), links);
        let accepted = (0..QUEUE_TRANSACTIONS_MAX + 10).filter(|_| gossip.publish(transaction(0, 1))).count();
        assert_eq!(accepted, QUEUE_TRANSACTIONS_MAX);
    }
}
