//! Readers: resolutions of random DIDs.

use anyhow::Result;
use aval_did::Did;
use aval_tests::network::Network;
use rand::RngExt as _;
use std::time::{Duration, Instant};

const THREADS: usize = 16;

/// With or without proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The document alone.
    Plain,
    /// The resolution result with state proof and certificate.
    Proved,
}

/// What a run came to.
pub(crate) struct Reads {
    /// Answers per second.
    pub(crate) per_second: f64,
    /// Bytes of an answer beyond the DID document.
    pub(crate) proof_bytes: f64,
}

/// Resolves for a while, spread over all nodes.
pub(crate) fn resolve(network: &Network, dids: &[Did], kind: Kind, length: Duration) -> Result<Reads> {
    let accept = match kind {
        Kind::Plain => "application/did",
        Kind::Proved => "application/did-resolution",
    };
    let totals: Vec<Result<(u64, u64)>> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let base = network.url(thread % network.size());
                scope.spawn(move || read(&base, dids, accept, length))
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap_or(Ok((0, 0)))).collect()
    });
    let (mut count, mut bytes) = (0, 0);
    for total in totals {
        let (read, size) = total?;
        count += read;
        bytes += size;
    }
    let plain = if kind == Kind::Plain { 0.0 } else { document_bytes(network, dids)? };
    let proof_bytes = bytes as f64 / count.max(1) as f64 - plain;
    Ok(Reads { per_second: count as f64 / length.as_secs_f64(), proof_bytes })
}

fn read(base: &str, dids: &[Did], accept: &str, length: Duration) -> Result<(u64, u64)> {
    let agent = ureq::Agent::new_with_defaults();
    let deadline = Instant::now() + length;
    let (mut count, mut bytes) = (0, 0);
    while Instant::now() < deadline {
        let did = &dids[rand::rng().random_range(0..dids.len())];
        let mut response =
            agent.get(format!("{base}/1.0/identifiers/{did}")).header("Accept", accept).call()?;
        bytes += response.body_mut().read_to_vec()?.len() as u64;
        count += 1;
    }
    Ok((count, bytes))
}

fn document_bytes(network: &Network, dids: &[Did]) -> Result<f64> {
    let url = format!("{}/1.0/identifiers/{}", network.url(0), dids[0]);
    let mut response = ureq::get(url).header("Accept", "application/did").call()?;
    Ok(response.body_mut().read_to_vec()?.len() as f64)
}
