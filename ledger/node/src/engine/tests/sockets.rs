//! Connections follow the sets that are tracked: a node that is left out is cut off and stays out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aval_codec::Hash;
use aval_machine::testkit::Kit;
use aval_types::Block;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::{Clock as _, Handle, Runner as _, Spawner as _, Supervisor as _, deterministic};

use super::epochs::{key, seed_of};
use crate::engine::peers::{Connections as _, Tracked};
use crate::engine::production::{LookupConnections, connect};
use crate::engine::{Peer, ProductionOptions, SealedBlock, Settings, stack};

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
