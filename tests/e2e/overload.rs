//! More than a node can take: work, connections, bytes. It refuses early, with a time to come back, and goes on for
//! everybody else.

use anyhow::{Context, Result, bail, ensure};
use aval_client::TransactionStatus;
use aval_tests::network::{Network, PATIENCE, connect};
use aval_types::SubmittedTransaction;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Longest time in which an answer about the node itself must come while others do their worst, on a loaded machine.
const RESPONSIVE: Duration = Duration::from_secs(10);

/// How long a refusal for want of room takes at least.
const REFUSED_PAUSE: Duration = Duration::from_millis(900);

/// Sends bytes on a fresh connection and gives what comes back until it is closed or silent.
fn exchange(to: SocketAddr, bytes: &[u8]) -> Result<String> {
    let mut stream = connect(to, 1)?;
    // The node may have had enough before all of it is sent.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Asks a node how it is, as its operator's monitoring would.
fn ensure_healthy(to: SocketAddr) -> Result<()> {
    for path in ["/health", "/v1/status", "/metrics"] {
        let started = Instant::now();
        let answer =
            exchange(to, format!("GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n").as_bytes())?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        ensure!(started.elapsed() < RESPONSIVE, "{path} took {:?}", started.elapsed());
    }
    Ok(())
}

/// A network whose first node has the interface that `change` makes.
fn network(seed: u64, change: impl Fn(&mut serde_json::Value)) -> Result<Network> {
    let mut network = Network::prepare(seed, |_| {})?;
    network.configure(0, change)?;
    for index in 0..network.size() {
        network.start_node(index)?;
    }
    network.wait_ready()?;
    Ok(network)
}

#[test]
fn connections_that_say_nothing_keep_nobody_out() -> Result<()> {
    let network = network(401, |config| {
        config["api"]["connectionsMax"] = json!(120);
        config["api"]["connectionsPerAddressMax"] = json!(50);
    })?;
    let node = network.api_address(0);
    let (mut held, mut turned_away) = (Vec::new(), 0);
    // Five addresses: each opens more than it may, begins a head on each, and never ends it.
    for last in 2..=6 {
        for _ in 0..80 {
            let Ok(mut stream) = connect(node, last) else { continue };
            let _ = stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: n\r\nX-Slow: ");
            held.push(stream);
        }
        ensure_healthy(node)?;
    }
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut answer = [0; 512];
        let read = stream.read(&mut answer).unwrap_or(0);
        let text = String::from_utf8_lossy(&answer[..read]);
        if text.starts_with("HTTP/1.1 429") {
            ensure!(text.contains("retry-after:") && text.contains("request.connections"), "{text}");
            turned_away += 1;
        }
    }
    ensure!(turned_away > 0, "nobody was told to come back later");
    ensure!(network.counter(0, "aval_http_connections_refused_total", "address")? >= 5.0 * 20.0);
    ensure!(network.counter(0, "aval_http_connections_evicted_total", "")? > 0.0);
    // All the while the network does its work, through this node too.
    network.finalize(0, &network.kit.create_registry())?;
    ensure_healthy(node)?;
    drop(held);
    network.ensure_agreement(network.head(0)?.0)
}

/// Requests that no client needs: what is sent, and the statuses that are right (0 if the connection may just end).
fn absurd() -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let post = |further: &str, body: &[u8]| {
        let head = format!(
            "POST /v1/transactions HTTP/1.1\r\nHost: n\r\nContent-Type: application/json\r\nConnection: close\r\n{further}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let deep = format!("{{\"transaction\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let numbers = format!("{{\"transaction\":[{}1]}}", "1,".repeat(30_000));
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = packer.write_all(&vec![b' '; 64 << 20]);
    let bomb = packer.finish().unwrap_or_default();
    let chunks = [
        b"POST /v1/transactions HTTP/1.1\r\nHost: n\r\nContent-Type: application/json\r\n\
          Transfer-Encoding: chunked\r\n\r\n"
            .as_slice(),
        &b"400\r\n".iter().chain(&[b' '; 1024]).chain(b"\r\n").copied().collect::<Vec<u8>>().repeat(4_000),
    ]
    .concat();
    let get = |middle: String| format!("GET {middle}\r\n\r\n").into_bytes();
    vec![
        (
            "a head of a megabyte",
            get(format!("/health HTTP/1.1\r\nX: {}", "a".repeat(1 << 20))),
            &[431, 400, 0],
        ),
        (
            "ten thousand headers",
            get(format!("/health HTTP/1.1\r\n{}Host: n", "A: b\r\n".repeat(10_000))),
            &[431, 400, 0],
        ),
        (
            "a path of a megabyte",
            get(format!("/{} HTTP/1.1\r\nHost: n", "a".repeat(1 << 20))),
            &[414, 431, 400, 0],
        ),
        ("a body of a megabyte", post("", &vec![b' '; 1 << 20]), &[413, 0]),
        ("a body without an end", chunks, &[413, 400, 0]),
        ("JSON thirty thousand deep", post("", deep.as_bytes()), &[400]),
        ("JSON of thirty thousand numbers", post("", numbers.as_bytes()), &[400]),
        ("a packed body", post("Content-Encoding: gzip\r\n", &bomb), &[400, 415]),
        (
            "a length that is none",
            b"POST /v1/transactions HTTP/1.1\r\nHost: n\r\nContent-Length: -1\r\n\r\n".to_vec(),
            &[400, 0],
        ),
        (
            "two lengths",
            b"POST /v1/transactions HTTP/1.1\r\nHost: n\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}"
                .to_vec(),
            &[400, 0],
        ),
        ("no HTTP at all", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".to_vec(), &[400, 0]),
    ]
}

#[test]
fn requests_without_measure_are_refused_and_cost_the_node_nothing() -> Result<()> {
    let network = network(402, |config| config["api"]["timeoutMs"] = json!(2_000))?;
    let node = network.api_address(0);
    ensure_healthy(node)?;
    let before = network.resident_mib(0)?;
    for round in 0..3 {
        for (what, bytes, statuses) in absurd() {
            let answer = exchange(node, &bytes).with_context(|| what.to_owned())?;
            let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            ensure!(statuses.contains(&status), "{what}, round {round}: {answer}");
        }
        ensure_healthy(node)?;
    }
    let grown = network.resident_mib(0)? - before;
    ensure!(grown < 64.0, "the node grew by {grown:.0} MiB");
    network.finalize(0, &network.kit.create_registry())?;
    network.ensure_agreement(network.head(0)?.0)
}

/// What became of offering transactions as fast as it goes.
#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    full: AtomicU64,
    share: AtomicU64,
}

/// Offers a transaction until it is taken in; counts how often it was not.
fn offer(agent: &ureq::Agent, url: &str, submitted: &SubmittedTransaction, tally: &Tally) -> Result<()> {
    let body = submitted.to_body();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let asked = Instant::now();
        let mut response = agent.post(url).header("Content-Type", "application/json").send(&body[..])?;
        let status = response.status().as_u16();
        let may_come_back = response.headers().contains_key("retry-after");
        let text = response.body_mut().read_to_string()?;
        match status {
            202 => {
                tally.accepted.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            503 if text.contains("node.overloaded") => tally.full.fetch_add(1, Ordering::Relaxed),
            429 if text.contains("sender.share") => tally.share.fetch_add(1, Ordering::Relaxed),
            _ => bail!("{status}: {text}"),
        };
        ensure!(may_come_back, "{status} without Retry-After");
        // Who asks again at once has been made to wait already.
        ensure!(asked.elapsed() >= REFUSED_PAUSE, "{status} after {:?}", asked.elapsed());
    }
    bail!("never taken in")
}

#[test]
fn work_beyond_what_fits_is_refused_early_and_what_is_accepted_becomes_final() -> Result<()> {
    // A pool so small that a few clients offer ten times of what fits.
    let mut network = network(403, |config| {
        config["mempool"] = json!({ "entriesMax": 24, "bytesMax": 1 << 20 });
    })?;
    network.finalize(0, &network.kit.create_registry())?;
    let bank = network.kit.company(9_000);
    let credential = network.kit.credential(&bank, &["endorser", "member"]);
    network.finalize(0, &bank.create_with(&network.kit, &credential))?;
    network.kit.now_s = aval_tests::network::now_s();
    let kit = &network.kit;
    // From many: companies with credentials of their own. From one: whatever the bank endorses is the bank's.
    let many: Vec<_> =
        (0..240).map(|n| kit.company(n)).map(|one| one.create_with(kit, &kit.membership(&one))).collect();
    let one: Vec<_> = (1_000..1_080).map(|n| kit.company(n).create_endorsed(kit, &bank)).collect();
    let (tally, is_done) = (Tally::default(), AtomicBool::new(false));
    let url = format!("{}/v1/transactions", network.url(0));
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let node = network.api_address(0);
    std::thread::scope(|scope| -> Result<()> {
        let watching = scope.spawn(|| -> Result<u32> {
            let mut asked = 0;
            while !is_done.load(Ordering::Relaxed) {
                ensure_healthy(node)?;
                asked += 1;
            }
            Ok(asked)
        });
        let parts = many.chunks(20).chain(one.chunks(20));
        let clients: Vec<_> = parts
            .map(|part| {
                let (agent, url, tally) = (&agent, &url, &tally);
                scope.spawn(move || part.iter().try_for_each(|submitted| offer(agent, url, submitted, tally)))
            })
            .collect();
        let offered: Vec<Result<()>> = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| bail!("a client panicked")))
            .collect();
        is_done.store(true, Ordering::Relaxed);
        let asked = watching.join().unwrap_or_else(|_| bail!("the watcher panicked"))?;
        ensure!(asked > 0, "nobody asked how the node is");
        offered.into_iter().collect()
    })?;
    let (full, share) = (tally.full.into_inner(), tally.share.into_inner());
    println!(
        "{} accepted, {full} refused for want of room, {share} for the share of one",
        tally.accepted.into_inner()
    );
    ensure!(full > 0, "the pool was never full, so nothing was tried");
    ensure!(share > 0, "one sender was never refused its share, so nothing was tried");
    let client = network.client(1)?;
    for submitted in many.iter().chain(&one) {
        let status = client.wait(submitted.transaction.id(), PATIENCE)?;
        ensure!(matches!(status, TransactionStatus::Final { .. }), "accepted, and then {status:?}");
    }
    ensure!(network.resident_mib(0)? < 400.0, "{} MiB", network.resident_mib(0)?);
    network.ensure_agreement(network.head(0)?.0)
}
