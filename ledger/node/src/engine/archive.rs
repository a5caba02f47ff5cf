//! Where the engine keeps finalized blocks: a short journal of its own before what the node has committed.
//!
//! The engine must have a finalized block on disk before it delivers it, possibly long before the blocks
//! below it have arrived. So there is a journal, but only for what is not committed yet: everything at or
//! below the committed height is read from the node's [`History`], and the journal is pruned behind it.
//! Bodies with witnesses thus live in one place, and when the node erases witnesses after their retention
//! (D7) nothing of them stays behind here.
//!
//! What holds: a finalized block's bytes leave this journal once [`KEPT_HEIGHTS`] to twice as many further blocks are
//! committed, at most `2 * KEPT_HEIGHTS` heartbeats on an idle network.

use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use commonware_consensus::marshal::store::{Blocks, Certificates};
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::types::Height;
use commonware_cryptography::Digestible as _;
use commonware_cryptography::certificate::Verifier as _;
use commonware_cryptography::sha256::Digest;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, Handle, Metrics, Storage};
use commonware_storage::archive::{self, Archive, Identifier, prunable};
use commonware_storage::translator::EightCap;

use super::block::{EngineBlock, digest, hash};
use super::certificate::{BlockFinalization, to_engine};
use super::{Fatal, History, Membership, SealedBlock};

/// Heights that one file of the journal holds, and that it keeps below the committed one.
pub(super) const KEPT_HEIGHTS: NonZeroU64 = NonZeroU64::new(64).expect("64 is not zero");

/// Why finalized blocks could not be read or written. The engine stops on any of these.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] archive::Error),
    /// The node's store.
    #[error(transparent)]
    History(#[from] Fatal),
}

/// How the journals are opened.
#[derive(Clone)]
pub(super) struct JournalOptions {
    pub(super) prefix: String,
    pub(super) page_cache: CacheRef,
    pub(super) write_buffer: NonZeroUsize,
    pub(super) replay_buffer: NonZeroUsize,
}

impl JournalOptions {
    fn config<C>(&self, name: &str, codec_config: C) -> prunable::Config<EightCap, C> {
        let prefix = &self.prefix;
        prunable::Config {
            translator: EightCap,
            metadata_partition: format!("{prefix}{name}-metadata"),
            key_partition: format!("{prefix}{name}-keys"),
            value_partition: format!("{prefix}{name}-values"),
            key_page_cache: self.page_cache.clone(),
            compression: None,
            codec_config,
            items_per_section: KEPT_HEIGHTS,
            key_write_buffer: self.write_buffer,
            value_write_buffer: self.write_buffer,
            replay_buffer: self.replay_buffer,
        }
    }
}

type Journal<E, V> = prunable::Archive<EightCap, E, Digest, V>;

/// Finalized blocks.
pub(super) struct BlockArchive<E: Storage + Metrics + Clock> {
    journal: Journal<E, Arc<EngineBlock>>,
    history: Arc<dyn History>,
    genesis: Arc<SealedBlock>,
    pruned: u64,
}

impl<E: Storage + Metrics + Clock> BlockArchive<E> {
    pub(super) async fn open(
        context: E,
        options: &JournalOptions,
        block_bytes_max: usize,
        genesis: Arc<SealedBlock>,
        history: Arc<dyn History>,
    ) -> Result<Self, archive::Error> {
        let journal = Journal::init(context, options.config("finalized-blocks", block_bytes_max)).await?;
        Ok(Self { journal, history, genesis, pruned: 0 })
    }

    fn committed(&self, height: u64) -> Result<Option<Arc<EngineBlock>>, ArchiveError> {
        if height == 0 {
            return Ok(EngineBlock::new(self.genesis.clone()).ok().map(Arc::new));
        }
        if height > self.history.height() {
            return Ok(None);
        }
        let sealed = self.history.block(height)?;
        Ok(sealed.and_then(|sealed| EngineBlock::new(Arc::new(sealed)).ok()).map(Arc::new))
    }
}

impl<E: Storage + Metrics + Clock> Blocks for BlockArchive<E> {
    type Block = Arc<EngineBlock>;
    type Error = ArchiveError;

    async fn put(mut self, digest: Digest, block: &Arc<EngineBlock>) -> Result<Self, ArchiveError> {
        let committed = self.history.height();
        // The store may have the block without its witnesses, if it came that way: then it is of no use to the engine.
        if block.sealed().height() <= committed && self.committed(block.sealed().height())?.is_some() {
            return Ok(self);
        }
        self.journal = Archive::put(self.journal, block.sealed().height(), digest, block).await?;
        // Pruning goes by whole files, so asking more often than once a file would do nothing.
        let floor = committed.saturating_sub(KEPT_HEIGHTS.get()) / KEPT_HEIGHTS * KEPT_HEIGHTS.get();
        if floor > self.pruned {
            self.journal = prunable::Archive::prune(self.journal, floor).await?;
            self.pruned = floor;
        }
        Ok(self)
    }

    async fn sync(mut self) -> Result<Self, ArchiveError> {
        self.journal = Archive::sync(self.journal).await?;
        Ok(self)
    }

    async fn start_sync(mut self) -> Result<(Self, Handle<()>), ArchiveError> {
        let handle;
        (self.journal, handle) = Archive::start_sync(self.journal).await?;
        Ok((self, handle))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<Arc<EngineBlock>>, ArchiveError> {
        match id {
            Identifier::Index(height) if height <= self.history.height() => match self.committed(height)? {
                Some(block) => Ok(Some(block)),
                // Erased, or an incomplete answer of the store: the journal may still have it.
                None => Ok(Archive::get(&self.journal, id).await?),
            },
            Identifier::Index(_) => Ok(Archive::get(&self.journal, id).await?),
            Identifier::Key(key) => {
                if *key == digest(&self.genesis.digest()) {
                    return self.committed(0);
                }
                if let Some(block) = Archive::get(&self.journal, Identifier::Key(key)).await? {
                    return Ok(Some(block));
                }
                match self.history.height_of(&hash(key))? {
                    Some(height) => Ok(self.committed(height)?.filter(|block| block.digest() == *key)),
                    None => Ok(None),
                }
            }
        }
    }

    async fn prune(self, _: Height) -> Result<Self, ArchiveError> {
        // The journal prunes itself behind the committed height, and the store answers for what it erases.
        Ok(self)
    }

    fn missing_items(&self, start: Height, max: usize) -> Vec<Height> {
        let start = start.get().max(self.history.height().saturating_add(1));
        Archive::missing_items(&self.journal, start, max).into_iter().map(Height::new).collect()
    }

    fn next_gap(&self, value: Height) -> (Option<Height>, Option<Height>) {
        let committed = self.history.height();
        let (end, next) = if value.get() <= committed {
            // Everything up to the committed height is there; the journal may continue it without a gap.
            let (end, next) = Archive::next_gap(&self.journal, committed.saturating_add(1));
            (Some(end.unwrap_or(committed)), next)
        } else {
            Archive::next_gap(&self.journal, value.get())
        };
        (end.map(Height::new), next.map(Height::new))
    }

    fn last_index(&self) -> Option<Height> {
        Some(Height::new(self.history.height().max(Archive::last_index(&self.journal).unwrap_or(0))))
    }
}

/// Finality certificates.
pub(super) struct CertificateArchive<E: Storage + Metrics + Clock> {
    journal: Journal<E, BlockFinalization>,
    history: Arc<dyn History>,
    membership: Arc<dyn Membership>,
    pruned: u64,
}

impl<E: Storage + Metrics + Clock> CertificateArchive<E> {
    pub(super) async fn open(
        context: E,
        options: &JournalOptions,
        history: Arc<dyn History>,
        membership: Arc<dyn Membership>,
    ) -> Result<Self, archive::Error> {
        let config = options.config("finalizations", Scheme::certificate_codec_config_unbounded());
        let journal = Journal::init(context, config).await?;
        Ok(Self { journal, history, membership, pruned: 0 })
    }

    fn committed(&self, height: u64) -> Result<Option<BlockFinalization>, ArchiveError> {
        if height == 0 || height > self.history.height() {
            return Ok(None);
        }
        let Some(certificate) = self.history.certificate(height)? else { return Ok(None) };
        // A certificate says which places of its set signed, so its engine form depends on the size of that set.
        let Some(validators) = self.membership.validators(certificate.epoch)? else { return Ok(None) };
        let validators = u32::try_from(validators.len()).unwrap_or(u32::MAX);
        Ok(to_engine(&certificate, &self.history.digest(height)?, validators))
    }
}

impl<E: Storage + Metrics + Clock> Certificates for CertificateArchive<E> {
    type BlockDigest = Digest;
    type Commitment = Digest;
    type Scheme = Scheme;
    type Error = ArchiveError;

    async fn put(
        mut self,
        height: Height,
        digest: Digest,
        finalization: &BlockFinalization,
    ) -> Result<Self, ArchiveError> {
        self.journal = Archive::put(self.journal, height.get(), digest, finalization).await?;
        // The newest certificate at or below the committed height must stay: the engine reads its round at the start.
        let committed = self.history.height();
        let newest = Archive::ranges_from(&self.journal, 0)
            .filter_map(|(start, end)| (start <= committed).then(|| end.min(committed)))
            .max()
            .unwrap_or(0);
        let floor = newest.saturating_sub(KEPT_HEIGHTS.get()) / KEPT_HEIGHTS * KEPT_HEIGHTS.get();
        if floor > self.pruned {
            self.journal = prunable::Archive::prune(self.journal, floor).await?;
            self.pruned = floor;
        }
        Ok(self)
    }

    async fn sync(mut self) -> Result<Self, ArchiveError> {
        self.journal = Archive::sync(self.journal).await?;
        Ok(self)
    }

    async fn start_sync(mut self) -> Result<(Self, Handle<()>), ArchiveError> {
        let handle;
        (self.journal, handle) = Archive::start_sync(self.journal).await?;
        Ok((self, handle))
    }

    async fn get(&self, id: Identifier<'_, Digest>) -> Result<Option<BlockFinalization>, ArchiveError> {
        let height = match id {
            Identifier::Index(height) => Some(height),
            Identifier::Key(key) => self.history.height_of(&hash(key))?,
        };
        match (Archive::get(&self.journal, id).await?, height) {
            (Some(finalization), _) => Ok(Some(finalization)),
            (None, Some(height)) => self.committed(height),
            (None, None) => Ok(None),
        }
    }

    async fn has(&self, height: Height) -> Result<bool, ArchiveError> {
        if Archive::has(&self.journal, Identifier::Index(height.get())).await? {
            return Ok(true);
        }
        Ok(self.committed(height.get())?.is_some())
    }

    async fn prune(self, _: Height) -> Result<Self, ArchiveError> {
        Ok(self)
    }

    fn last_index(&self) -> Option<Height> {
        Archive::last_index(&self.journal).map(Height::new)
    }

    fn ranges_from(&self, from: Height) -> impl Iterator<Item = (Height, Height)> {
        Archive::ranges_from(&self.journal, from.get())
            .map(|(start, end)| (Height::new(start), Height::new(end)))
    }
}
