//! What can go wrong in the store, each with a stable code and one sentence that says what to do.

use std::path::PathBuf;

use aval_codec::Hash;

/// An error of the store. None of them changes data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process, or another part of this one, has the folder open.
    #[error("{} is in use by another process: stop that node, or give this one a data folder of its own", .0.display())]
    Locked(PathBuf),
    /// The folder holds something, and it is not a store.
    #[error(
        "{} is not empty and is not a ledger store: choose an empty folder, or the one this node used before",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The store belongs to another network.
    #[error(
        "{} belongs to the network with genesis {found}, this node is set up for genesis {expected}: use the matching \
         genesis file, or another data folder",
        path.display()
    )]
    GenesisMismatch {
        /// The store's folder.
        path: PathBuf,
        /// Genesis hash the caller asked for.
        expected: Hash,
        /// Genesis hash in the folder.
        found: Hash,
    },
    /// The store was written by a newer release.
    #[error(
        "{} has store format {found}, this release reads up to {supported}: start the newer release that wrote it",
        path.display()
    )]
    FormatNewer {
        /// The store's folder.
        path: PathBuf,
        /// Format version in the folder.
        found: u32,
        /// Newest format version this release reads.
        supported: u32,
    },
    /// The store was written before the first release, in a form that is not read any more.
    #[error(
        "{} has store format {found}, this release reads {supported}: remove the folder and start with --join; the node \
         fetches everything again",
        path.display()
    )]
    FormatOlder {
        /// The store's folder.
        path: PathBuf,
        /// Format version in the folder.
        found: u32,
        /// The format version that this release reads.
        supported: u32,
    },
    /// The folder or a value in it is damaged.
    #[error(
        "the store is damaged ({what}): restore the data folder from a backup, or remove it and synchronize again"
    )]
    Corrupt {
        /// What was found damaged.
        what: String,
    },
    /// The disk or the operating system refused.
    #[error("the store could not {action}: {source}; check free space, permissions and the disk")]
    Io {
        /// What the store was about to do.
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// RocksDB refused for a reason that is not damage.
    #[error("the database refused to {action}: {message}; check free space, permissions and the disk")]
    Database {
        /// What the store was about to do.
        action: &'static str,
        /// RocksDB's message.
        message: String,
    },
    /// A block above the next height was to be committed.
    #[error("block {height} cannot be committed: the next height is {next}; commit the blocks between first")]
    Gap {
        /// Height of the refused block.
        height: u64,
        /// The next height to be committed.
        next: u64,
    },
    /// Another block is final at this height, or the block does not stand on the one below.
    #[error(
        "block {offered} conflicts at height {height} with the finalized {known}: this node must not go on"
    )]
    Conflict {
        /// Height of the conflict.
        height: u64,
        /// Digest of the refused block, or of the parent it names.
        offered: Hash,
        /// Digest of the finalized block it conflicts with.
        known: Hash,
    },
    /// The header's state root is not the one the changes lead to.
    #[error(
        "block {height} carries state root {header}, its changes lead to {computed}: the block is invalid"
    )]
    RootMismatch {
        /// Height of the block.
        height: u64,
        /// Root in the header.
        header: Hash,
        /// Root of the tree.
        computed: Hash,
    },
    /// The named block is neither pending nor on the finalized chain.
    #[error("block {0} is neither pending nor finalized here: synchronize it first")]
    UnknownBlock(Hash),
    /// The height is above the newest finalized block.
    #[error("height {height} is not finalized yet: the newest finalized height is {latest}")]
    NotYet {
        /// Height that was asked for.
        height: u64,
        /// Newest finalized height.
        latest: u64,
    },
    /// The store has no block at all, not even genesis.
    #[error("the ledger is empty: commit the genesis block first")]
    Empty,
    /// What was asked for has been pruned.
    #[error(
        "height {height} has been pruned here, the oldest kept is {oldest}: ask for a newer height, or an archive node"
    )]
    Pruned {
        /// Height that was asked for.
        height: u64,
        /// Oldest height that can be answered.
        oldest: u64,
    },
    /// A snapshot is being installed: there is no ledger yet.
    #[error(
        "the snapshot of height {0} is not installed whole yet: start the node with --join, or remove the ledger's folder"
    )]
    Installing(u64),
    /// The ledger has blocks, so no snapshot can be installed.
    #[error("the ledger has blocks already, and a snapshot is for an empty one: use another data folder")]
    NotEmpty,
    /// What was offered does not belong to the snapshot that is being installed.
    #[error("this does not belong to the snapshot that is being installed: {0}")]
    Foreigner(String),
    /// No finality certificate at or above the height is known.
    #[error("no finality certificate at or above height {0} is known yet: ask again after the next block")]
    NotCertified(u64),
}

impl StoreError {
    /// The stable code of this error, for logs and for the API.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Locked(_) => "store.locked",
            StoreError::Foreign(_) => "store.foreign",
            StoreError::GenesisMismatch { .. } => "store.genesis_mismatch",
            StoreError::FormatNewer { .. } => "store.format_newer",
            StoreError::FormatOlder { .. } => "store.format_older",
            StoreError::Corrupt { .. } => "store.corrupt",
            StoreError::Io { .. } => "store.io",
            StoreError::Database { .. } => "store.database",
            StoreError::Gap { .. } => "store.gap",
            StoreError::Conflict { .. } => "store.conflict",
            StoreError::RootMismatch { .. } => "store.root_mismatch",
            StoreError::UnknownBlock(_) => "store.unknown_block",
            StoreError::NotYet { .. } => "store.not_yet",
            StoreError::Empty => "store.empty",
            StoreError::Pruned { .. } => "store.pruned",
            StoreError::Installing(_) => "store.installing",
            StoreError::NotEmpty => "store.not_empty",
            StoreError::Foreigner(_) => "store.not_of_snapshot",
            StoreError::NotCertified(_) => "store.not_certified",
        }
    }

    /// True if the same call may succeed later without anyone repairing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::NotYet { .. } | StoreError::NotCertified(_) | StoreError::UnknownBlock(_))
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        StoreError::Corrupt { what: what.into() }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| StoreError::Io { action, source }
    }
}
