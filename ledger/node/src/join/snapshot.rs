//! Installing the state of a certified height from nodes that are not trusted.
//!
//! The way of trust: the genesis file names the first validators; the trust chain leads to the set that certifies the
//! snapshot's header; the header's state root verifies every chunk, and its digest every block below it, by the hash
//! links. So each answer is verified when it arrives, and kept then. A source that lies, or gives no further answer, is
//! replaced by the next one, which goes on where the first ended, as long as it has the same height; after a break the
//! node goes on likewise.

use std::path::Path;
use std::time::{Duration, Instant};

use aval_codec::Hash;
use aval_proof::snapshot::{CHUNK_BYTES_MAX, SnapshotChunk};
use aval_proof::{
    Claim, LEDGER_PROOF_BYTES_MAX, LedgerProof, TRUST_CHAIN_BYTES_MAX, TrustAnchor, TrustChain, TrustLink,
    ValidatorSet,
};
use aval_store::{InstallStep, InstalledChange, Ledger, MemoryStorage, StoreConfig};
use aval_types::{Header, ValidatorEntry};
use serde_json::Value;

use super::{Failure, Source, SourceError, Sources, note};
use crate::block_run;
use crate::core::Network;
use crate::executor::install_genesis;
use crate::fault::Fault;

/// Bytes of the list of snapshots.
const LIST_BYTES_MAX: usize = 64 * 1024;
/// Chunks after which a source must have sent so many bytes for each on average: none cuts the state that small.
const CHUNKS_TRIED: u64 = 512;
const CHUNK_BYTES_MIN: u64 = 4 * 1024;
/// Bytes of genesis that a trust chain is followed over: changes of the set at most.
const LINKS_MAX: usize = 100_000;

/// A snapshot that was verified, with what leads to it.
struct Offer {
    header: Header,
    anchor: TrustAnchor,
    links: Vec<TrustLink>,
}

/// Installs a snapshot, or goes on with it. `false` if no source offers any: then the blocks are the way.
pub fn install(
    ledger: &Ledger,
    network: &Network,
    genesis_bytes: &[u8],
    sources: &mut Sources,
    engine_folder: &Path,
    is_stopping: impl Fn() -> bool,
) -> Result<bool, Fault> {
    let mut begun = ledger.installation()?.map(|installation| installation.header);
    loop {
        if is_stopping() {
            return Ok(true);
        }
        let source = sources.current()?;
        let offered = offer(network, genesis_bytes, &source, begun.as_ref());
        let result = match offered {
            Ok(Some(offer)) => {
                note(engine_folder, offer.header.height)?;
                run(ledger, network, &source, &offer, &is_stopping)
            }
            Ok(None) if sources.left().len() > 1 => Err(SourceError::Refuses(404).into()),
            // Nobody has the one that was begun any more: the next round takes another one.
            Ok(None) if begun.take().is_some() => continue,
            Ok(None) => return Ok(false),
            Err(failure) => Err(failure),
        };
        match result {
            Ok(()) => return Ok(true),
            Err(Failure::Own(fault)) => return Err(fault),
            Err(Failure::Source(error)) => sources.drop_source(&source, &error),
        }
        if sources.is_empty() && sources.dropped().iter().all(|reason| reason.ends_with("answers 404")) {
            return Ok(false);
        }
    }
}

/// The newest snapshot that a source offers, or the one that was begun. Verified from genesis on.
fn offer(
    network: &Network,
    genesis_bytes: &[u8],
    source: &Source,
    begun: Option<&Header>,
) -> Result<Option<Offer>, Failure> {
    let list = match source.get("/v1/snapshots", LIST_BYTES_MAX) {
        Err(SourceError::Refuses(404)) => return Ok(None),
        list => list?,
    };
    let list: Value = serde_json::from_slice(&list).unwrap_or_default();
    let offered = list.get("snapshots").and_then(Value::as_array).cloned().unwrap_or_default();
    let heights = offered.iter().filter_map(|one| one.get("height").and_then(Value::as_u64));
    let height = match begun {
        Some(begun) => heights.filter(|height| *height == begun.height).max(),
        None => heights.max(),
    };
    let Some(height) = height else { return Ok(None) };
    let (anchor, links) = trust(genesis_bytes, source, height)?;
    let proof = source.get(&format!("/v1/blocks/{height}/header"), LEDGER_PROOF_BYTES_MAX)?;
    let proof = LedgerProof::from_json(&proof).map_err(|error| SourceError::lies(error.code(), &error))?;
    proof.verify_past(&anchor).map_err(|error| SourceError::lies(error.code(), &error))?;
    let header = proof.header;
    let ends_epoch = (header.height + 1).is_multiple_of(network.epoch_blocks().get());
    if header.height != height || !ends_epoch || !matches!(proof.claim, Claim::Header) {
        return Err(SourceError::lies("join.snapshot_height", &"another header was asked for").into());
    }
    if begun.is_some_and(|begun| *begun != header) {
        return Err(SourceError::lies("join.snapshot_height", &"it has another block at this height").into());
    }
    Ok(Some(Offer { header, anchor, links }))
}

/// The changes of the validator set up to a height.
fn trust(
    genesis_bytes: &[u8],
    source: &Source,
    height: u64,
) -> Result<(TrustAnchor, Vec<TrustLink>), Failure> {
    let mut anchor = TrustAnchor::from_genesis(genesis_bytes)
        .map_err(|error| Fault::invalid(format!("the genesis file: {error}")))?;
    let mut links: Vec<TrustLink> = Vec::new();
    loop {
        let from = anchor.last_change();
        let bytes = source.get(&format!("/v1/trust-chain?from={from}"), TRUST_CHAIN_BYTES_MAX)?;
        let mut chain =
            TrustChain::from_json(&bytes).map_err(|error| SourceError::lies(error.code(), &error))?;
        let more = chain.more;
        let before = chain.links.len();
        chain.links.retain(|link| link.header.height <= height);
        anchor.extend(&chain).map_err(|error| SourceError::lies(error.code(), &error))?;
        let is_all = !more || chain.links.len() < before;
        if !is_all && chain.links.is_empty() || links.len() > LINKS_MAX {
            return Err(SourceError::lies("join.trust_chain", &"its trust chain does not end").into());
        }
        links.append(&mut chain.links);
        if is_all {
            return Ok((anchor, links));
        }
    }
}

fn run(
    ledger: &Ledger,
    network: &Network,
    source: &Source,
    offer: &Offer,
    is_stopping: &impl Fn() -> bool,
) -> Result<(), Failure> {
    let header = &offer.header;
    let installation = ledger.begin_install(header)?;
    tracing::info!(height = header.height, source = %source.url, "installing a snapshot");
    let mut progress = Progress::default();
    let mut next = installation.next;
    while let InstallStep::Chunk(from) = next {
        if is_stopping() {
            return Ok(());
        }
        let path = format!("/v1/snapshots/{}/chunks?from={from}", header.height);
        let bytes = source.get(&path, CHUNK_BYTES_MAX)?;
        progress.count(&from, bytes.len())?;
        let chunk = SnapshotChunk::decode(&bytes).map_err(|error| SourceError::lies(error.code(), &error))?;
        if chunk.from != from || chunk.height != header.height {
            return Err(SourceError::lies("join.snapshot_chunk", &"another chunk was asked for").into());
        }
        let chunk =
            chunk.verify(&header.state_root).map_err(|error| SourceError::lies(error.code(), &error))?;
        next = ledger.install_chunk(&chunk)?;
    }
    while let Some(missing) = ledger.install_lacks()? {
        if is_stopping() {
            return Ok(());
        }
        let path = format!("/v1/snapshots/{}/blocks?below={}", header.height, missing + 1);
        let bytes = source.get(&path, block_run::RUN_BYTES_MAX)?;
        take_blocks(ledger, network, offer, &bytes)?;
    }
    ledger.finish_install(&genesis_header(network)?, &changes(network, &offer.links))?;
    tracing::info!(
        height = header.height,
        from = ledger.base(),
        "the snapshot is installed: every chunk verified against the certified state root"
    );
    Ok(())
}

/// What a source has sent so far.
#[derive(Default)]
struct Progress {
    chunks: u64,
    bytes: u64,
    told: Option<Instant>,
}

impl Progress {
    /// Refuses a source that cuts the state so small that it would never end.
    fn count(&mut self, from: &Hash, bytes: usize) -> Result<(), Failure> {
        self.chunks += 1;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.chunks > CHUNKS_TRIED && self.bytes / self.chunks < CHUNK_BYTES_MIN {
            return Err(
                SourceError::lies("join.snapshot_chunk", &"its chunks are too small to be honest").into()
            );
        }
        if self.told.is_none_or(|told| told.elapsed() > Duration::from_secs(2)) {
            let part = from.as_bytes().first_chunk::<2>().map_or(0, |start| u16::from_be_bytes(*start));
            tracing::info!(
                percent = u32::from(part) * 100 / 65_536,
                chunks = self.chunks,
                mebibytes = self.bytes >> 20,
                "installing a snapshot"
            );
            self.told = Some(Instant::now());
        }
        Ok(())
    }
}

fn take_blocks(ledger: &Ledger, network: &Network, offer: &Offer, bytes: &[u8]) -> Result<(), Failure> {
    let run = block_run::decode_downwards(bytes)
        .map_err(|reason| SourceError::lies("join.snapshot_blocks", &reason))?;
    if run.is_empty() {
        return Err(SourceError::lies("join.snapshot_blocks", &"it sends no block").into());
    }
    for (block, certificate, receipts) in run {
        if ledger.install_lacks()?.is_none() {
            break;
        }
        if let Some(certificate) = &certificate {
            let proof = LedgerProof {
                network: network.id.clone(),
                header: block.header.clone(),
                path: Vec::new(),
                certificate: certificate.clone(),
                claim: Claim::Header,
            };
            proof.verify_past(&offer.anchor).map_err(|error| SourceError::lies(error.code(), &error))?;
        }
        match ledger.install_block(&block, &receipts, certificate.as_ref()) {
            Ok(_) => {}
            Err(error @ aval_store::StoreError::Foreigner(_)) => {
                return Err(SourceError::lies(error.code(), &error).into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The header of block 0, from executing the genesis file.
fn genesis_header(network: &Network) -> Result<Header, Fault> {
    let memory = Ledger::open_memory(&MemoryStorage::new(), &network.hash, StoreConfig::default())?;
    let block = install_genesis(&memory, &network.genesis, network.hash)
        .map_err(|error| Fault::invalid(error.to_string()))?;
    Ok(block.block().header.clone())
}

/// The changes with the state entry that each replaced. When the members of old sets came in is not known from a trust
/// chain, and nobody asks: the keys are what certificates are verified with.
fn changes(network: &Network, links: &[TrustLink]) -> Vec<InstalledChange> {
    let mut before = ValidatorSet::of_genesis(&network.genesis);
    let mut since = 0;
    let mut changes = Vec::with_capacity(links.len());
    for link in links {
        let entry =
            |key: &[u8; 32]| ValidatorEntry { key: aval_did::PublicKey::Ed25519(*key), since, leaving: None };
        let entries: Vec<ValidatorEntry> = before.keys().iter().map(entry).collect();
        changes.push(InstalledChange {
            header: link.header.clone(),
            certificate: link.certificate.clone(),
            // Strings and numbers alone: serde_json has no way to fail on them.
            before: serde_json::to_vec(&entries).unwrap_or_default(),
        });
        before = link.next.clone();
        since = link.header.epoch + 1;
    }
    changes
}
