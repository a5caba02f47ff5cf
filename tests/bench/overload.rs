//! Ten times of what the network can take: what is still done, how long it takes, and what is refused.
//!
//! Every client offers its members' writes again and again, without waiting when it is refused, from an address of its
//! own and over hundreds of connections, so that a node always has thousands of requests before it. The clients share
//! the machine with the nodes, and what they take of it the nodes do not have.

use anyhow::{Context, Result, ensure};
use aval_machine::testkit::Party;
use aval_tests::network::{Network, connect};
use aval_types::TransactionId;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::load::{self, Load};

/// The first revision of a document: above all that other runs made.
const REVISION: u64 = 1 << 40;

/// Clients, spread over the nodes.
const CLIENTS: usize = 32;
/// Connections of a client: a node lets one address have no more than 512.
const CONNECTIONS: usize = 340;

/// What a run came to.
pub(crate) struct Overload {
    /// Submissions per second, refused ones among them.
    pub(crate) offered_per_second: f64,
    /// Final writes per second.
    pub(crate) finalized_per_second: f64,
    /// Share of the submissions that were refused with 429 or 503.
    pub(crate) refused: f64,
    /// From being taken in to being final, ascending.
    pub(crate) latencies_ms: Vec<f64>,
    /// From asking a node how it is to its answer, ascending.
    pub(crate) health_ms: Vec<f64>,
}

#[derive(Default)]
struct Counts {
    offered: AtomicU64,
    refused: AtomicU64,
}

/// Writes between being taken in and being final.
#[derive(Default)]
struct UnderWay {
    since: HashMap<TransactionId, Instant>,
    /// Those that were final before their client had read that they were taken in.
    early: HashSet<TransactionId>,
}

type Accepted = Mutex<UnderWay>;

/// Offers for a while.
pub(crate) fn run(network: &Network, load: Load, length: Duration) -> Result<Overload> {
    let (counts, stop, accepted) = (Counts::default(), AtomicBool::new(false), Accepted::default());
    let revision = AtomicU64::new(REVISION);
    let (members, mut height) = load.into_members();
    let (mut latencies_ms, mut finalized) = (Vec::new(), 0_u64);
    let (ready, mut started) = (Barrier::new(CLIENTS + 1), Instant::now());
    let health_ms = std::thread::scope(|scope| -> Result<Vec<f64>> {
        let per_client = members.len().div_ceil(CLIENTS);
        let mut members = members.into_iter();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let own: Vec<Party> = members.by_ref().take(per_client).collect();
                let client = Client {
                    network,
                    revision: &revision,
                    stop: &stop,
                    counts: &counts,
                    accepted: &accepted,
                    ready: &ready,
                };
                scope.spawn(move || client.offer(index, own))
            })
            .collect();
        let watching = scope.spawn(|| watch(network, &stop));
        ready.wait();
        started = Instant::now();
        while started.elapsed() < length {
            for (id, _) in load::next_block(network, &mut height)? {
                let mut accepted = lock(&accepted);
                match accepted.since.remove(&id) {
                    Some(since) => latencies_ms.push(since.elapsed().as_secs_f64() * 1000.0),
                    None => drop(accepted.early.insert(id)),
                }
                finalized += 1;
            }
        }
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        watching.join().map_err(|_| anyhow::anyhow!("the watcher panicked"))?
    })?;
    let seconds = started.elapsed().as_secs_f64();
    latencies_ms.sort_by(f64::total_cmp);
    let (offered, refused) = (counts.offered.into_inner() as f64, counts.refused.into_inner() as f64);
    Ok(Overload {
        offered_per_second: offered / seconds,
        finalized_per_second: finalized as f64 / seconds,
        refused: refused / offered.max(1.0),
        latencies_ms,
        health_ms,
    })
}

fn lock(accepted: &Accepted) -> MutexGuard<'_, UnderWay> {
    accepted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks the nodes in turn how they are.
fn watch(network: &Network, stop: &AtomicBool) -> Result<Vec<f64>> {
    let mut taken = Vec::new();
    for index in (0..network.size()).cycle() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let started = Instant::now();
        ureq::get(format!("{}/health", network.url(index)))
            .call()
            .context("a node says nothing of its health")?;
        taken.push(started.elapsed().as_secs_f64() * 1000.0);
        std::thread::sleep(Duration::from_millis(50));
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken)
}

/// A write that is offered until it is taken in, and then the next one.
struct Offer {
    member: Party,
    id: TransactionId,
    request: Vec<u8>,
    is_taken: bool,
}

#[derive(Clone, Copy)]
struct Client<'run> {
    network: &'run Network,
    revision: &'run AtomicU64,
    stop: &'run AtomicBool,
    counts: &'run Counts,
    accepted: &'run Accepted,
    /// Passed when every client has made its connections and its first writes.
    ready: &'run Barrier,
}

impl Client<'_> {
    fn offer(self, index: usize, members: Vec<Party>) -> Result<()> {
        let mut offers: Vec<Offer> = members.into_iter().map(|member| self.next(member)).collect();
        let address = self.network.api_address(index % self.network.size());
        let own = u8::try_from(2 + index)?;
        let open = |_| connect(address, own).map(BufReader::new);
        let streams = (0..CONNECTIONS).map(open).collect::<Result<Vec<_>>>();
        // One that failed must not keep the others waiting.
        self.ready.wait();
        let mut streams = streams?;
        while !self.stop.load(Ordering::SeqCst) {
            self.renew(&mut offers);
            let mut open = offers.iter_mut().filter(|offer| !offer.is_taken);
            loop {
                let mut round: Vec<&mut Offer> = open.by_ref().take(CONNECTIONS).collect();
                if round.is_empty() || self.stop.load(Ordering::SeqCst) {
                    break;
                }
                self.send(&mut streams, &mut round)?;
            }
        }
        Ok(())
    }

    /// Sends a request over each connection, and then reads the answers.
    fn send(self, streams: &mut [BufReader<TcpStream>], round: &mut [&mut Offer]) -> Result<()> {
        for (stream, offer) in streams.iter_mut().zip(round.iter()) {
            stream.get_mut().write_all(&offer.request)?;
        }
        for (stream, offer) in streams.iter_mut().zip(round.iter_mut()) {
            self.read_answer(stream, offer)?;
        }
        // All take their turn: a node closes connections that say nothing.
        streams.rotate_left(round.len());
        Ok(())
    }

    fn read_answer(self, stream: &mut BufReader<TcpStream>, offer: &mut Offer) -> Result<()> {
        self.counts.offered.fetch_add(1, Ordering::Relaxed);
        match status(stream)? {
            202 => {
                offer.is_taken = true;
                let mut accepted = lock(self.accepted);
                if !accepted.early.remove(&offer.id) {
                    accepted.since.insert(offer.id, Instant::now());
                }
            }
            429 | 503 => drop(self.counts.refused.fetch_add(1, Ordering::Relaxed)),
            // This node has not executed the member's write before this one yet: offered again in the next round.
            409 => {}
            other => anyhow::bail!("a write was answered with {other}"),
        }
        Ok(())
    }

    /// Whose write is final has another one.
    fn renew(self, offers: &mut [Offer]) {
        let under_way = lock(self.accepted);
        let is_done = |offer: &&mut Offer| offer.is_taken && !under_way.since.contains_key(&offer.id);
        let done: Vec<&mut Offer> = offers.iter_mut().filter(is_done).collect();
        drop(under_way);
        for offer in done {
            *offer = self.next(offer.member.clone());
        }
        if offers.iter().all(|offer| offer.is_taken) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn next(self, mut member: Party) -> Offer {
        let now_s = aval_tests::network::now_s();
        let kit = &self.network.kit;
        let document = kit.document(&member, self.revision.fetch_add(1, Ordering::Relaxed));
        let submitted = member.update_draft(kit, document).window(now_s - 5, now_s + 590).submit();
        let body = submitted.to_body();
        let head = format!(
            "POST /v1/transactions HTTP/1.1\r\nHost: n\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        Offer { member, id: submitted.transaction.id(), request, is_taken: false }
    }
}

/// Reads one answer to its end.
fn status(stream: &mut BufReader<TcpStream>) -> Result<u16> {
    let (mut line, mut status, mut length) = (String::new(), None, 0);
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "the node closed the connection");
        if status.is_none() {
            status = line.split(' ').nth(1).and_then(|text| text.parse().ok());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    status.context("an answer without a status")
}
