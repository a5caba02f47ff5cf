//! Writers: members who replace their documents, each with at most one write under way.

use anyhow::{Context, Result, ensure};
use aval_client::NodeClient;
use aval_did::Did;
use aval_machine::testkit::{Kit, Party};
use aval_tests::network::Network;
use aval_types::TransactionId;
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Connections: each waits for the answer of one submission at a time.
const THREADS: usize = 48;
/// How long to wait for what is under way when a run ends.
const DRAIN: Duration = Duration::from_secs(30);

/// How fast to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// As fast as members are free.
    Saturation,
    /// So many a second, all threads together.
    PerSecond(f64),
}

/// What a run came to.
pub(crate) struct Outcome {
    /// Writes that became final within the run.
    pub(crate) finalized: u64,
    /// Writes that were refused or lost.
    pub(crate) failures: u64,
    seconds: f64,
    latencies_ms: Vec<f64>,
}

impl Outcome {
    /// Final writes per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.finalized as f64 / self.seconds
    }

    /// Latency from submission to final, as seen by a client.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let last = self.latencies_ms.len().saturating_sub(1);
        self.latencies_ms.get(last * percent / 100).copied().unwrap_or(f64::NAN)
    }
}

/// The members, between runs.
pub(crate) struct Load {
    members: Vec<Party>,
    /// How many nodes are written to, from the first on. Those that come later may not answer yet.
    nodes: usize,
    revision: AtomicU64,
    height: u64,
}

struct Sent {
    member: Party,
    at: Instant,
    thread: usize,
}

type UnderWay = Mutex<HashMap<TransactionId, Sent>>;

#[derive(Deserialize)]
struct BlockView {
    transactions: Vec<TransactionView>,
}

#[derive(Deserialize)]
struct TransactionView {
    id: TransactionId,
    #[serde(default)]
    outcome: Option<String>,
}

impl Load {
    /// Puts members on the ledger, each with a credential. The first of all makes the registry.
    pub(crate) fn join(network: &Network, numbers: Range<u64>) -> Result<Self> {
        let kit = &network.kit;
        if numbers.start == 0 {
            network.finalize(0, &kit.create_registry())?;
        }
        let members: Vec<Party> = numbers.map(|number| kit.company(number)).collect();
        let client = network.client(0)?;
        for chunk in members.chunks(500) {
            let mut last = None;
            for member in chunk {
                last = Some(client.submit(&member.create_with(kit, &kit.membership(member)))?);
            }
            if let Some(id) = last {
                client.wait(id, Duration::from_secs(60))?;
            }
        }
        Self::of(members, network)
    }

    /// Members that are on the ledger already.
    pub(crate) fn of(members: Vec<Party>, network: &Network) -> Result<Self> {
        Ok(Self { members, nodes: network.size(), revision: AtomicU64::new(10), height: network.head(0)?.0 })
    }

    /// Takes the members out, for good.
    pub(crate) fn into_members(self) -> (Vec<Party>, u64) {
        (self.members, self.height)
    }

    /// Everybody's DID.
    pub(crate) fn dids(&self) -> Vec<Did> {
        self.members.iter().map(|member| member.did.clone()).collect()
    }

    /// Writes for a while at a pace.
    pub(crate) fn run(&mut self, network: &Network, pace: Pace, length: Duration) -> Result<Outcome> {
        let mut kit_time = network.kit.now_s;
        let now_s = aval_tests::network::now_s();
        ensure!(now_s >= kit_time, "the clock went back");
        kit_time = now_s;
        let under_way: UnderWay = Mutex::default();
        let (stop, failures) = (AtomicBool::new(false), AtomicU64::new(0));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| mpsc::channel::<Party>()).unzip();
        let total = self.members.len();
        for (index, member) in self.members.drain(..).enumerate() {
            let _ = senders[index % THREADS].send(member);
        }
        let started = Instant::now();
        let mut latencies_ms = Vec::new();
        let mut finalized = 0;
        let mut back: Vec<Party> = Vec::with_capacity(total);
        let revision = &self.revision;
        let height = &mut self.height;
        std::thread::scope(|scope| -> Result<()> {
            let mut writers = Vec::new();
            for (thread, receiver) in receivers.into_iter().enumerate() {
                let client = network.client(thread % self.nodes)?;
                let writer = Writer { kit: &network.kit, kit_time, client, thread, pace, revision };
                let (under_way, stop, failures) = (&under_way, &stop, &failures);
                writers.push(scope.spawn(move || writer.write(receiver, under_way, stop, failures)));
            }
            let deadline = started + length;
            while Instant::now() < deadline {
                for (sent, at) in finals(network, height, &under_way, &failures)? {
                    finalized += 1;
                    latencies_ms.push(at.duration_since(sent.at).as_secs_f64() * 1000.0);
                    let _ = senders[sent.thread].send(sent.member);
                }
            }
            stop.store(true, Ordering::SeqCst);
            drop(senders);
            for writer in writers {
                back.extend(writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?);
            }
            let drained = Instant::now() + DRAIN;
            while Instant::now() < drained && !lock(&under_way).is_empty() {
                back.extend(
                    finals(network, height, &under_way, &failures)?.into_iter().map(|(sent, _)| sent.member),
                );
            }
            Ok(())
        })?;
        let lost = lock(&under_way).len() as u64;
        self.members = back;
        latencies_ms.sort_by(f64::total_cmp);
        let failures = failures.into_inner() + lost;
        Ok(Outcome { finalized, failures, seconds: length.as_secs_f64(), latencies_ms })
    }
}

fn lock(under_way: &UnderWay) -> std::sync::MutexGuard<'_, HashMap<TransactionId, Sent>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The writes that became final since the last call, as node 0 shows its blocks.
fn finals(
    network: &Network,
    height: &mut u64,
    under_way: &UnderWay,
    failures: &AtomicU64,
) -> Result<Vec<(Sent, Instant)>> {
    let transactions = next_block(network, height)?;
    let at = Instant::now();
    let mut under_way = lock(under_way);
    let mut done = Vec::new();
    for (id, is_applied) in transactions {
        if !is_applied {
            failures.fetch_add(1, Ordering::Relaxed);
        }
        done.extend(under_way.remove(&id).map(|sent| (sent, at)));
    }
    Ok(done)
}

/// The transactions of node 0's next block above `height`, if there is one, and whether each was applied.
pub(crate) fn next_block(network: &Network, height: &mut u64) -> Result<Vec<(TransactionId, bool)>> {
    let url = format!("{}/v1/blocks/{}", network.url(0), *height + 1);
    let Ok(mut response) = ureq::get(&url).call() else {
        std::thread::sleep(Duration::from_millis(4));
        return Ok(Vec::new());
    };
    let text = response.body_mut().with_config().limit(256 << 20).read_to_string()?;
    let block: BlockView = serde_json::from_str(&text).context("a block")?;
    *height += 1;
    let is_applied = |outcome: &Option<String>| outcome.as_deref().is_none_or(|outcome| outcome == "applied");
    let transactions = block.transactions.into_iter();
    Ok(transactions.map(|transaction| (transaction.id, is_applied(&transaction.outcome))).collect())
}

struct Writer<'load> {
    kit: &'load Kit,
    kit_time: u64,
    client: NodeClient,
    thread: usize,
    pace: Pace,
    revision: &'load AtomicU64,
}

impl Writer<'_> {
    /// Writes until told to stop; gives back the members that are free then.
    fn write(
        self,
        free: mpsc::Receiver<Party>,
        under_way: &UnderWay,
        stop: &AtomicBool,
        failures: &AtomicU64,
    ) -> Vec<Party> {
        let started = Instant::now();
        let mut written = 0u32;
        let mut idle = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            if let Pace::PerSecond(rate) = self.pace {
                let due = started + Duration::from_secs_f64(f64::from(written) * THREADS as f64 / rate);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let Ok(member) = free.recv_timeout(Duration::from_millis(250)) else { continue };
            written += 1;
            let mut after = member.clone();
            let document = self.kit.document(&after, self.revision.fetch_add(1, Ordering::Relaxed));
            let begin = self.kit_time + started.elapsed().as_secs() - 5;
            let submitted = after.update_draft(self.kit, document).window(begin, begin + 300).submit();
            let id = submitted.transaction.id();
            lock(under_way).insert(id, Sent { member: after, at: Instant::now(), thread: self.thread });
            if let Err(error) = self.client.submit(&submitted) {
                if failures.fetch_add(1, Ordering::Relaxed) < 3 {
                    eprintln!("bench: a write failed: {error}");
                }
                lock(under_way).remove(&id);
                idle.push(member);
            }
        }
        idle.extend(free.try_iter());
        idle
    }
}
