//! Connections follow the sets that are tracked: a node that is left out is cut off and stays out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::testkit::Kit;
use aval_proof::Certificate;
use aval_types::Block;
use bytes::Bytes;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{
    Clock as _, Handle, Metrics as _, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::epochs::{key, seed_of};
use crate::engine::adapter::ErasedApplication;
use crate::engine::peers::{Connections as _, SharedKeys, Tracked};
use crate::engine::production::{LookupConnections, connect};
use crate::engine::{Ancestry, Fatal, Links, Peer, ProductionOptions, SealedBlock, Settings, Slot, stack};
use crate::gossip::{Gossip, TransactionSink};
use crate::runtime::ManualRuntime;

/// How often a node was heard, by listener and sender.
type Heard = Arc<Mutex<BTreeMap<(usize, usize), u64>>>;

const NODES: usize = 3;

fn options(index: usize, port: u16) -> ProductionOptions {
    let kit = Kit::new(1);
    let header = kit.genesis().header(kit.network().genesis(), Hash::ZERO);
    ProductionOptions {
        settings: Settings {
            network: header.genesis,
            genesis: SealedBlock::new(Block { header, transactions: Vec::new() }),
            epoch_blocks: NonZeroU64::MIN,
            key_seed: seed_of(index),
            joined_height: None,
            doubt: None,
            block_bytes_max: 64 * 1024,
            partition_prefix: String::new(),
        },
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        connections_max: NonZeroUsize::new(8).unwrap(),
        journal_folder: PathBuf::new(),
        worker_threads: 1,
    }
}

/// The nodes of a set, each at its usual port.
fn tracked(nodes: &[usize]) -> Tracked {
    let peer = |node: &usize| {
        let port = 5000 + u16::try_from(*node).unwrap();
        let address = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        (stack::public_key(&key(*node)).unwrap(), Peer { key: key(*node), address })
    };
    Tracked { validators: nodes.iter().map(peer).collect(), observers: Vec::new() }
}

/// Starts a node that says something ten times a second and counts what it hears.
fn start(
    context: &deterministic::Context,
    index: usize,
    port: u16,
    heard: &Heard,
) -> (LookupConnections, Handle<()>) {
    let heard = heard.clone();
    let context = context.child("node").with_attribute("port", port);
    let (channels, oracle) = connect(&context, &options(index, port)).unwrap();
    let handle = context.spawn(move |context| async move {
        let (mut outgoing, mut incoming) = channels.messages;
        let _ = context.child("listening").spawn(move |_| async move {
            while let Ok((sender, _)) = incoming.recv().await {
                let from = (0..NODES).find(|node| sender.as_ref() == key(*node)).unwrap();
                *heard.lock().unwrap().entry((index, from)).or_default() += 1;
            }
        });
        loop {
            let _ = outgoing.send(Recipients::<PublicKey>::All, bytes::Bytes::from_static(b"here"), false);
            context.sleep(Duration::from_millis(100)).await;
        }
    });
    (LookupConnections { oracle, maximum: 8 }, handle)
}

#[test]
fn a_node_that_is_left_out_is_disconnected_and_cannot_come_back_from_another_address() {
    deterministic::Runner::timed(Duration::from_secs(300)).start(|context| async move {
        let heard = Heard::default();
        let mut nodes: Vec<_> = (0..NODES)
            .map(|index| start(&context, index, 5000 + u16::try_from(index).unwrap(), &heard))
            .collect();
        for (connections, _) in &mut nodes {
            connections.track(1, tracked(&[0, 1, 2]));
        }
        context.sleep(Duration::from_secs(10)).await;
        let everybody: Vec<(usize, usize)> = (0..NODES)
            .flat_map(|to| (0..NODES).filter(move |from| *from != to).map(move |from| (to, from)))
            .collect();
        assert!(everybody.iter().all(|pair| heard.lock().unwrap().get(pair) > Some(&50)), "{heard:?}");

        // Nodes 0 and 2 learn that node 1 is revoked; node 1 does not want to know.
        nodes[0].0.track(2, tracked(&[0, 2]));
        nodes[2].0.track(2, tracked(&[0, 2]));
        context.sleep(Duration::from_millis(300)).await;
        heard.lock().unwrap().clear();
        context.sleep(Duration::from_secs(30)).await;
        let pairs: Vec<_> = heard.lock().unwrap().keys().copied().collect();
        assert_eq!(pairs, [(0, 2), (2, 0)], "only those who are left hear each other");

        // It comes from another address.
        let (_, running) = nodes.remove(1);
        running.abort();
        heard.lock().unwrap().clear();
        let (mut moved, _running) = start(&context, 1, 6001, &heard);
        moved.track(1, tracked(&[0, 1, 2]));
        context.sleep(Duration::from_secs(30)).await;
        let pairs: Vec<_> = heard.lock().unwrap().keys().copied().collect();
        assert_eq!(pairs, [(0, 2), (2, 0)], "the key is refused, wherever it comes from");

        // Admitted again, it is heard again: what kept it out was the set and nothing else.
        for index in [0, 1] {
            nodes[index].0.track(3, tracked(&[0, 1, 2]));
        }
        context.sleep(Duration::from_secs(30)).await;
        assert!(everybody.iter().all(|pair| heard.lock().unwrap().contains_key(pair)), "{heard:?}");
    });
}

/// A node that does nothing but listen to messages, by the rules of the gossip.
struct Listener {
    clock: Arc<ManualRuntime>,
    gossip: Arc<Gossip>,
    heard: Mutex<BTreeMap<[u8; 32], u64>>,
}

impl TransactionSink for Listener {
    fn receive(&self, _: [u8; 32], _: Vec<aval_types::BlockTransaction>) {}
}

impl ErasedApplication for Listener {
    fn propose(&self, _: Slot, _: Ancestry) -> BoxFuture<'_, Option<Arc<SealedBlock>>> {
        async { None }.boxed()
    }

    fn verify(&self, _: Arc<SealedBlock>, _: Ancestry) -> BoxFuture<'_, bool> {
        async { false }.boxed()
    }

    fn finalized(&self, _: Arc<SealedBlock>, _: Option<Certificate>) -> BoxFuture<'_, Result<(), Fatal>> {
        async { Ok(()) }.boxed()
    }

    fn observe_tip(&self, _: u64) {}

    fn message(&self, sender: [u8; 32], message: Bytes) {
        *self.heard.lock().unwrap().entry(sender).or_default() += 1;
        self.gossip.receive(sender, &message, self);
    }

    fn is_fed_up_with(&self, sender: [u8; 32]) -> bool {
        self.gossip.is_fed_up_with(sender)
    }

    fn fault(&self, _: aval_types::action::NodeEvidence) {}
}

/// The sum of a metric of the network over a peer.
fn metric(text: &str, name: &str, peer: &PublicKey) -> f64 {
    let lines = text.lines().filter(|line| line.contains(name) && line.contains(&peer.to_string()));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn a_node_that_floods_is_slowed_down_then_cut_off_and_both_are_counted() {
    deterministic::Runner::timed(Duration::from_secs(120)).start(|context| async move {
        let all = tracked(&[0, 1, 2]);
        let listening = context.child("listening");
        let (channels, oracle) = connect(&listening, &options(0, 5000)).unwrap();
        let clock = ManualRuntime::at(0);
        let (links, _nothing) = Links::disconnected();
        let listener = Arc::new(Listener {
            clock: clock.clone(),
            gossip: Gossip::new(clock, links),
            heard: Mutex::default(),
        });
        let ends = stack::MessageEnds { application: listener.clone(), blocker: oracle.clone() };
        let (_quiet, outgoing) = Links::new(String::new);
        stack::spawn_messages(&listening, channels.messages, ends, outgoing, SharedKeys::default());
        LookupConnections { oracle, maximum: 8 }.track(1, all);

        // Node 1 sends what a working node sends, node 2 twenty times as much as the network lets through.
        let mut nodes = Vec::new();
        for (index, pause_ms) in [(1, 100), (2, 2)] {
            let sending = context.child("sending").with_attribute("node", index);
            let port = 5000 + u16::try_from(index).unwrap();
            let (channels, oracle) = connect(&sending, &options(index, port)).unwrap();
            let mut connections = LookupConnections { oracle, maximum: 8 };
            connections.track(1, tracked(&[0, 1, 2]));
            let (mut sender, receiver) = channels.messages;
            let handle = sending.spawn(move |context| async move {
                let status = Bytes::from_static(&[2, 0, 0, 0, 0, 0, 0, 0, 7]);
                loop {
                    for _ in 0..if pause_ms < 10 { 10 } else { 1 } {
                        let _ = sender.send(Recipients::<PublicKey>::All, status.clone(), false);
                    }
                    context.sleep(Duration::from_millis(pause_ms)).await;
                }
            });
            nodes.push((connections, receiver, handle));
        }
        let flooder = stack::public_key(&key(2)).unwrap();
        let mut worked = 0;
        for second in 1..=30 {
            context.sleep(Duration::from_secs(1)).await;
            listener.clock.set_now_ms(second * 1000);
            worked = listener.heard.lock().unwrap().get(&key(1)).copied().unwrap_or_default();
        }
        let text = context.encode();
        let heard = listener.heard.lock().unwrap().get(&key(2)).copied().unwrap_or_default();
        assert!(heard > 1_000, "it was heard at first: {heard}");
        assert!(heard < 30 * 256, "and not to the end: {heard}");
        assert!(worked > 200, "who behaves is heard all along: {worked}");
        assert!(metric(&text, "rate_limited", &flooder) > 0.0, "slowed down");
        assert!(metric(&text, "blocked", &flooder) > 0.0, "cut off");
        let reason = crate::metrics::ReasonLabel { reason: "flood" };
        assert!(listener.gossip.blocked().get_or_create(&reason).get() >= 1);
    });
}
