//! How much memory the store may take and how far back it answers.

/// Settings of a store. None of them changes a result, only memory, disk and how far back questions are answered.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Block cache shared by all columns.
    pub cache_bytes: usize,
    /// Newest values of state entries that are kept in memory.
    pub state_cache_bytes: usize,
    /// Memtables of all columns together, before they are flushed.
    pub memtable_bytes: usize,
    /// Files that RocksDB may hold open.
    pub open_files_max: i32,
    /// Heights for which state and proofs are answered; older ones are pruned. `None` keeps everything.
    pub history_heights: Option<u64>,
    /// Heights for which blocks and past versions of DIDs are kept; older ones are pruned, as far as nothing needs
    /// them any more. `None` keeps everything.
    pub block_heights: Option<u64>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            cache_bytes: 48 * 1024 * 1024,
            state_cache_bytes: 32 * 1024 * 1024,
            memtable_bytes: 48 * 1024 * 1024,
            open_files_max: 256,
            history_heights: None,
            block_heights: None,
        }
    }
}
