//! A node that joins by a snapshot, from nodes that lie: each lie is refused with its code, and nothing of it is kept.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aval_codec::Hash;
use aval_proof::snapshot::SnapshotChunk;
use aval_store::{Ledger, MemoryStorage, StoreConfig};
use aval_types::NetworkId;

use super::lab::Lab;
use crate::block_run;
use crate::core::Network;
use crate::join::{self, Joined, Source, Sources};

/// The last height of the first epoch, as the kit has them.
const HEIGHT: u64 = 299;

type Answering = dyn Fn(&str) -> (u16, Vec<u8>) + Send + Sync;

/// A node that answers whatever it likes.
struct Node {
    url: String,
    asked: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
}

impl Node {
    fn start(answer: Arc<Answering>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (count, over) = (asked.clone(), is_over.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                if over.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                let mut request = Vec::new();
                let mut byte = [0; 1];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    request.push(byte[0]);
                }
                let text = String::from_utf8(request).unwrap();
                let Some(path) = text.split(' ').nth(1) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let (status, body) = answer(path);
                let head = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Self { url, asked, is_over }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

/// What an honest node answers.
fn honest(ledger: &Ledger, network: &NetworkId, path: &str) -> (u16, Vec<u8>) {
    let after = |mark: &str| path.split(mark).nth(1).unwrap_or_default().to_owned();
    let height = || path.split('/').nth(3).unwrap().parse::<u64>().unwrap();
    let body = match path {
        "/v1/snapshots" => format!(r#"{{"snapshots":[{{"height":{HEIGHT}}}]}}"#).into_bytes(),
        "/v1/status" => format!(r#"{{"height":{}}}"#, ledger.head().unwrap().height()).into_bytes(),
        path if path.starts_with("/v1/trust-chain") => {
            ledger.trust_chain(network, after("from=").parse().unwrap()).unwrap().to_json()
        }
        path if path.contains("/chunks") => {
            let from: Hash = after("from=").parse().unwrap();
            ledger.snapshot_chunk(height(), &from).unwrap().unwrap().encode().unwrap()
        }
        path if path.contains("/snapshots/") => {
            block_run::encode_downwards(ledger, after("below=").parse().unwrap(), 64).unwrap()
        }
        path if path.ends_with("/header") => ledger.header_proof(network, height()).unwrap().to_json(),
        path if path.starts_with("/v1/blocks?") => {
            let from = after("from=").split('&').next().unwrap().parse().unwrap();
            block_run::encode(ledger, from, 512).unwrap()
        }
        _ => return (404, Vec::new()),
    };
    (200, body)
}

/// A chain that is longer than its first epoch, with a few members.
struct Chain {
    lab: Lab,
    network: Network,
}

impl Chain {
    async fn grow() -> Self {
        let mut lab = Lab::ready(41).await;
        for number in 0..6 {
            lab.member(number).await;
        }
        while lab.core.ledger.head().unwrap().height() < HEIGHT {
            lab.make_block(true).await;
        }
        let network = Network::parse(lab.kit.genesis_bytes()).unwrap();
        Self { lab, network }
    }

    fn honest(&self) -> Arc<Answering> {
        let (ledger, network) = (self.lab.core.ledger.clone(), self.network.id.clone());
        Arc::new(move |path| honest(&ledger, &network, path))
    }

    /// A node that answers all but the paths with `mark` honestly.
    fn liar(&self, mark: &'static str, lie: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Node {
        let honest = self.honest();
        Node::start(Arc::new(move |path| {
            let (status, body) = honest(path);
            if path.contains(mark) { (status, lie(body)) } else { (status, body) }
        }))
    }

    fn empty(&self) -> (MemoryStorage, Ledger) {
        let storage = MemoryStorage::new();
        let ledger = Ledger::open_memory(&storage, &self.network.hash, StoreConfig::default()).unwrap();
        (storage, ledger)
    }

    fn install(&self, ledger: &Ledger, sources: &mut Sources) -> Result<bool, crate::fault::Fault> {
        let folder = tempfile::tempdir().unwrap();
        let result = join::install(
            ledger,
            &self.network,
            self.lab.kit.genesis_bytes(),
            sources,
            folder.path(),
            || false,
        );
        if result == Ok(true) {
            assert_eq!(Joined::read(folder.path()).unwrap().unwrap().height, HEIGHT);
        }
        result
    }

    fn assert_same(&self, ledger: &Ledger) {
        let own = &self.lab.core.ledger;
        assert_eq!(ledger.head().unwrap().digest(), own.header(HEIGHT).unwrap().digest());
        let state = |ledger: &Ledger| ledger.state_after(b"", None, 100_000);
        assert_eq!(state(ledger).unwrap(), state(own).unwrap());
        for height in 0..=HEIGHT {
            assert_eq!(ledger.stripped_block(height).unwrap(), own.stripped_block(height).unwrap());
            assert_eq!(ledger.receipts(height).unwrap(), own.receipts(height).unwrap());
        }
    }
}

fn sources(nodes: &[&Node]) -> Sources {
    Sources::new(nodes.iter().map(|node| Source::parse(&node.url).unwrap()).collect())
}

/// A chunk with something changed in it.
fn chunk(lie: impl Fn(&mut SnapshotChunk) + Send + Sync + 'static) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let mut chunk = SnapshotChunk::decode(&bytes).unwrap();
        lie(&mut chunk);
        chunk.encode().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_joins_by_a_snapshot_and_every_lie_costs_time_only() {
    let chain = Chain::grow().await;
    let good = Node::start(chain.honest());
    let network = chain.network.id.clone();
    let old = chain.lab.core.ledger.snapshot_chunk(100, &Hash::ZERO).unwrap().unwrap();
    let lies: Vec<(&str, &str, Node)> = vec![
        ("a changed value", "proof.state", chain.liar("/chunks", chunk(|lie| lie.entries[2].1.push(b'x')))),
        ("a key left out", "proof.state", chain.liar("/chunks", chunk(|lie| drop(lie.entries.remove(3))))),
        (
            "a key added",
            "proof.state",
            chain.liar("/chunks", chunk(|lie| lie.entries.push((b"did/mine".to_vec(), b"{}".to_vec())))),
        ),
        (
            "a chunk of another height",
            "proof.state",
            chain.liar("/chunks", move |_| SnapshotChunk { height: HEIGHT, ..old.clone() }.encode().unwrap()),
        ),
        (
            "a chunk of a height that was not asked for",
            "join.snapshot_chunk",
            chain.liar("/chunks", chunk(|lie| lie.height = 100)),
        ),
        ("a chunk that does not end", "does not answer", chain.liar("/chunks", |_| vec![1; 40 << 20])),
        ("no chunk", "proof.malformed", chain.liar("/chunks", |_| b"<html>".to_vec())),
        (
            "a body that is not its header's",
            "join.snapshot_blocks",
            chain.liar("below=", |mut run| {
                // The first block's number of transactions.
                run[4 + 337 + 3] ^= 1;
                run
            }),
        ),
        ("other blocks", "store.not_of_snapshot", {
            let ledger = chain.lab.core.ledger.clone();
            chain.liar("below=", move |_| block_run::encode_downwards(&ledger, 200, 10).unwrap())
        }),
        ("no blocks", "join.snapshot_blocks", chain.liar("below=", |_| Vec::new())),
        ("a header without a quorum", "proof.certificate", {
            let ledger = chain.lab.core.ledger.clone();
            chain.liar("/header", move |_| {
                let mut proof = ledger.header_proof(&network, HEIGHT).unwrap();
                proof.certificate.signatures[0][5] ^= 1;
                proof.to_json()
            })
        }),
        ("a header of another height", "join.snapshot_height", {
            let (ledger, network) = (chain.lab.core.ledger.clone(), chain.network.id.clone());
            chain.liar("/header", move |_| ledger.header_proof(&network, 100).unwrap().to_json())
        }),
    ];
    for (what, code, liar) in &lies {
        let (storage, ledger) = chain.empty();
        let mut alone = sources(&[liar]);
        let fault = tokio::task::block_in_place(|| chain.install(&ledger, &mut alone)).unwrap_err();
        assert!(fault.to_string().contains(code), "{what}: {fault}");
        assert_eq!(fault.exit_code(), 6, "{what}");
        assert!(ledger.head().is_none(), "{what}");
        drop(ledger);
        // The next start asks somebody honest after the liar, and goes on where it was.
        let ledger = Ledger::open_memory(&storage, &chain.network.hash, StoreConfig::default()).unwrap();
        let mut both = sources(&[liar, &good]);
        assert!(tokio::task::block_in_place(|| chain.install(&ledger, &mut both)).unwrap(), "{what}");
        assert_eq!(both.dropped().len(), 1, "{what}");
        chain.assert_same(&ledger);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_fetched_is_not_fetched_again_after_a_break() {
    let chain = Chain::grow().await;
    let good = Node::start(chain.honest());
    let (storage, ledger) = chain.empty();
    // Stops after some requests, again and again.
    let requests = Arc::new(Mutex::new(Vec::<String>::new()));
    let (noted, honest) = (requests.clone(), chain.honest());
    let counted = Node::start(Arc::new(move |path| {
        noted.lock().unwrap().push(path.to_owned());
        honest(path)
    }));
    drop(ledger);
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..50 {
        let ledger = Ledger::open_memory(&storage, &chain.network.hash, StoreConfig::default()).unwrap();
        if ledger.head().is_some() {
            break;
        }
        let until = counted.asked.load(Ordering::SeqCst) + 4;
        let stops = || counted.asked.load(Ordering::SeqCst) >= until;
        let bytes = chain.lab.kit.genesis_bytes();
        let mut one = sources(&[&counted]);
        tokio::task::block_in_place(|| {
            join::install(&ledger, &chain.network, bytes, &mut one, folder.path(), stops).unwrap()
        });
    }
    let ledger = Ledger::open_memory(&storage, &chain.network.hash, StoreConfig::default()).unwrap();
    chain.assert_same(&ledger);
    let mut data: Vec<String> = requests.lock().unwrap().clone();
    data.retain(|path| path.contains("from=0000") || path.contains("below="));
    let count = data.len();
    data.sort();
    data.dedup();
    assert_eq!(data.len(), count, "something was asked for twice");
    // Nobody is asked if there is nothing to offer.
    let none = Node::start(Arc::new(|_| (404, Vec::new())));
    let (_, fresh) = chain.empty();
    assert!(!tokio::task::block_in_place(|| chain.install(&fresh, &mut sources(&[&none]))).unwrap());
    let mut second = sources(&[&none, &good]);
    assert!(tokio::task::block_in_place(|| chain.install(&fresh, &mut second)).unwrap());
}

#[tokio::test]
async fn only_offered_heights_are_handed_out_and_only_to_a_few_at_a_time() {
    let chain = Chain::grow().await;
    // Two epochs are from one snapshot to the next by default: none is offered yet.
    let list = chain.lab.get("/v1/snapshots").await;
    assert_eq!(list.json()["snapshots"].as_array().unwrap().len(), 0);
    let zeros = Hash::ZERO;
    let refused = chain.lab.get(&format!("/v1/snapshots/{HEIGHT}/chunks?from={zeros}")).await;
    assert_eq!(refused.problem(), (404, "snapshot.not_offered".to_owned()));
    let refused = chain.lab.get(&format!("/v1/snapshots/{HEIGHT}/blocks?below=300")).await;
    assert_eq!(refused.problem(), (404, "snapshot.not_offered".to_owned()));
    let refused = chain.lab.get(&format!("/v1/snapshots/{HEIGHT}/chunks?from=zz")).await;
    assert_eq!(refused.problem(), (400, "request.malformed".to_owned()));
}
