//! Joining a running network with nothing but a genesis file and the addresses of some nodes.
//!
//! Two ways lead to the newest block. [`install`](fn@install) takes the state of a certified height in chunks, and the
//! blocks of the replay window with it; [`catch_up`] fetches all further blocks, or all since genesis, and executes
//! them. The nodes asked may be anybody, and lie: whatever they send is verified by certificates of sets that are
//! known here, so that the worst they can do is to cost time. The connection needs no encryption for that, and has
//! none. What becomes final after this comes from the network between nodes.

mod journal;
mod snapshot;
mod source;

use std::path::Path;
use std::time::Duration;

use aval_store::Ledger;

use crate::block_run;
use crate::core::Network;
use crate::executor::{Replay, ReplayError};
use crate::fault::Fault;

pub use journal::{Doubt, Joined};
pub use snapshot::install;
pub use source::{Source, SourceError, Sources};

/// Fetches, verifies and commits blocks until the ledger is as far as a source, or `is_stopping` says to stop.
pub fn catch_up(
    ledger: &Ledger,
    network: &Network,
    sources: &mut Sources,
    engine_folder: &Path,
    is_stopping: impl Fn() -> bool,
) -> Result<(), Fault> {
    loop {
        let source = sources.current()?;
        match catch_up_from(ledger, network, &source, engine_folder, &is_stopping) {
            Ok(()) => return Ok(()),
            Err(Failure::Own(fault)) => return Err(fault),
            Err(Failure::Source(error)) => sources.drop_source(&source, &error),
        }
    }
}

/// Whose fault it is that joining does not go on.
enum Failure {
    /// The source's.
    Source(SourceError),
    /// This node's.
    Own(Fault),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Own(fault)
    }
}

impl From<aval_store::StoreError> for Failure {
    fn from(error: aval_store::StoreError) -> Self {
        Self::Own(error.into())
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Untrusted { .. } => SourceError::lies("join.untrusted_block", &error).into(),
            ReplayError::Fault(_) => Fault::failed(error.to_string()).into(),
        }
    }
}

fn catch_up_from(
    ledger: &Ledger,
    network: &Network,
    source: &Source,
    engine_folder: &Path,
    is_stopping: &impl Fn() -> bool,
) -> Result<(), Failure> {
    let mut replay =
        Replay::new(ledger.clone(), network.epoch_blocks(), network.executor_options(Duration::ZERO));
    let mut target = source.height()?;
    let mut told = std::time::Instant::now();
    let start = replay.next_height()?;
    if start > target {
        return Ok(());
    }
    tracing::info!(from = start, to = target, source = %source.url, "catching up");
    while !is_stopping() {
        let next = replay.next_height()?;
        note(engine_folder, target.max(next + block_run::BLOCKS_MAX))?;
        let path = format!("/v1/blocks?from={next}&count={}", block_run::BLOCKS_MAX);
        let bytes = source.get(&path, block_run::RUN_BYTES_MAX)?;
        let run = block_run::decode(&bytes).map_err(|reason| SourceError::lies("join.run", &reason))?;
        let is_empty = run.is_empty();
        let height = replay.take(run)?;
        if told.elapsed() > Duration::from_secs(2) {
            tracing::info!(height, to = target, "catching up");
            told = std::time::Instant::now();
        }
        if is_empty || height >= target {
            // Blocks were made meanwhile; the last few come from the network between nodes.
            let newest = source.height()?;
            if is_empty || newest.saturating_sub(height) < block_run::BLOCKS_MAX / 8 {
                break;
            }
            target = newest;
        }
    }
    let height = ledger.require_head()?.height();
    let doubt = Joined::read(engine_folder)?.map_or(Doubt::Joined, |joined| joined.doubt);
    Joined { height, doubt }.write(engine_folder)?;
    tracing::info!(height, "caught up: every block and every set of validators verified");
    Ok(())
}

/// Writes down, before it is so, how far the ledger gets without the engine. What is in doubt stays in doubt.
fn note(engine_folder: &Path, height: u64) -> Result<(), Fault> {
    let doubt = match Joined::read(engine_folder)? {
        Some(Joined { doubt: Doubt::Restored, .. }) => Doubt::Restored,
        _ => Doubt::Joined,
    };
    Joined { height, doubt }.write(engine_folder)
}
