//! The RocksDB back end. The only file of the project that names RocksDB.
//!
//! Sized for small memory: all columns share one block cache and one memtable budget. Every finalized block is
//! one synced write; recovery tolerates only a torn tail of the log, which is a write that was never
//! acknowledged.

use std::path::Path;

use aval_codec::Hash;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily,
    ColumnFamilyDescriptor, CompactOptions, DB, DBCompressionType, DBRecoveryMode, DataBlockIndexType,
    Direction, Error, ErrorKind, FlushOptions, IteratorMode, LogLevel, LruCacheOptions, Options, ReadOptions,
    WriteBatch, WriteOptions, checkpoint::Checkpoint,
};

use super::folder::Folder;
use super::{Batch, Column, KeyValue, Row};
use crate::config::StoreConfig;
use crate::error::StoreError;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// Levels of a column's tree of files: what RocksDB has by default.
const LEVELS: usize = 7;

/// A RocksDB database in a locked folder.
pub(crate) struct RocksStorage {
    // The database closes before the lock on the folder goes.
    database: DB,
    folder: Folder,
}

impl RocksStorage {
    /// Opens the folder's database, or makes one in an empty folder.
    pub(crate) fn open(path: &Path, genesis: &Hash, config: &StoreConfig) -> Result<Self, StoreError> {
        let mut folder = Folder::open(path, genesis)?;
        let cache = cache(config);
        let columns = Column::ALL
            .map(|column| ColumnFamilyDescriptor::new(column.name(), column_options(column, &cache, config)));
        let database = DB::open_cf_descriptors(&options(folder.is_new(), config), folder.database(), columns)
            .map_err(failure("open"))?;
        folder.finish()?;
        Ok(RocksStorage { database, folder })
    }

    fn family(&self, column: Column) -> Result<&ColumnFamily, StoreError> {
        let missing = || StoreError::corrupt(format!("the column {} is missing", column.name()));
        self.database.cf_handle(column.name()).ok_or_else(missing)
    }
}

fn cache(config: &StoreConfig) -> Cache {
    let mut options = LruCacheOptions::default();
    options.set_capacity(config.cache_bytes);
    // Few shards: each must have room for blocks that are larger than most.
    options.set_num_shard_bits(2);
    Cache::new_lru_cache_opts(&options)
}

fn options(is_new: bool, config: &StoreConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(is_new);
    options.create_missing_column_families(is_new);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(config.memtable_bytes as u64 * 2);
    options.set_db_write_buffer_size(config.memtable_bytes);
    options.set_max_open_files(config.open_files_max);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(MIB as u64);
    options.set_log_level(LogLevel::Error);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(MIB);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_max_manifest_file_size(4 * MIB);
    options
}

fn column_options(column: Column, cache: &Cache, config: &StoreConfig) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    // Indexes and filters count as cache too. They are cut into small parts: a table's whole index would fill
    // the cache.
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4 * KIB);
    table.set_pin_top_level_index_and_filter(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(6);
    // Point reads of keys that may be absent: each transaction id and each new state key is looked for once.
    if matches!(column, Column::State | Column::Index) {
        table.set_bloom_filter(10.0, false);
        table.set_optimize_filters_for_memory(true);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    }
    table.set_block_size(if column == Column::Chain { 16 * KIB } else { 4 * KIB });

    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(config.memtable_bytes / 2);
    options.set_max_write_buffer_number(3);
    if matches!(column, Column::State | Column::Index) {
        // The same for what is not flushed yet: a new transaction's id is looked for in every memtable.
        options.set_memtable_prefix_bloom_ratio(0.05);
        options.set_memtable_whole_key_filtering(true);
    }
    options.set_target_file_size_base(32 * MIB as u64);
    options.set_level_compaction_dynamic_level_bytes(true);
    // JSON shrinks; hashes do not. Witnesses are erased early, and stay as they are until then. The uppermost level is
    // soon written again.
    match column {
        Column::Nodes | Column::Witness | Column::Meta => {
            options.set_compression_type(DBCompressionType::None)
        }
        _ => {
            let mut levels = [DBCompressionType::Lz4; LEVELS];
            levels[0] = DBCompressionType::None;
            options.set_compression_per_level(&levels);
        }
    }
    options
}

fn failure(action: &'static str) -> impl FnOnce(Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::Corruption | ErrorKind::NotSupported | ErrorKind::InvalidArgument => {
            StoreError::corrupt(format!("the database cannot {action}: {}", error.into_string()))
        }
        _ => StoreError::Database { action, message: error.into_string() },
    }
}

impl KeyValue for RocksStorage {
    fn read(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.get_cf(self.family(column)?, key).map_err(failure("read"))
    }

    fn scan(&self, column: Column, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let start = IteratorMode::From(from, Direction::Forward);
        let mut rows = Vec::new();
        for row in self.database.iterator_cf_opt(self.family(column)?, options, start).take(limit) {
            let (key, value) = row.map_err(failure("scan"))?;
            rows.push((key.into_vec(), value.into_vec()));
        }
        Ok(rows)
    }

    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        for operation in batch.into_operations() {
            let family = self.family(operation.column)?;
            match operation.value {
                Some(value) => writes.put_cf(family, &operation.key, &value),
                None => writes.delete_cf(family, &operation.key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durable);
        self.database.write_opt(writes, &options).map_err(failure("write"))
    }

    fn erase_deleted(&self, column: Column, to: &[u8]) -> Result<(), StoreError> {
        // The write-ahead log is shared: its files go once every column has flushed what it has in them.
        let families =
            Column::ALL.iter().map(|column| self.family(*column)).collect::<Result<Vec<_>, _>>()?;
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        self.database.flush_cfs_opt(&families, &flush).map_err(failure("flush"))?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.database.compact_range_cf_opt(self.family(column)?, None::<&[u8]>, Some(to), &options);
        Ok(())
    }

    fn files_below(&self, column: Column, to: &[u8]) -> Result<Vec<String>, StoreError> {
        let files = self.database.live_files().map_err(failure("list its files"))?;
        let is_below = |file: &rocksdb::LiveFile| {
            file.column_family_name == column.name()
                && file.start_key.as_ref().is_some_and(|start| start.as_slice() < to)
        };
        Ok(files.into_iter().filter(is_below).map(|file| file.name).collect())
    }

    fn copy_to(&self, folder: &Path) -> Result<(), StoreError> {
        // The memtables are flushed and the files linked: it takes no longer for more data.
        std::fs::create_dir_all(folder).map_err(StoreError::io("make the folder of its copy"))?;
        let database = folder.join(super::folder::DATABASE);
        let checkpoint = Checkpoint::new(&self.database).map_err(failure("begin a copy"))?;
        checkpoint.create_checkpoint(&database).map_err(failure("write a copy"))?;
        let config = StoreConfig::default();
        let cache = cache(&config);
        let columns = Column::ALL.map(|column| {
            ColumnFamilyDescriptor::new(column.name(), column_options(column, &cache, &config))
        });
        let mut copy = DB::open_cf_descriptors(&options(false, &config), &database, columns)
            .map_err(failure("open its copy"))?;
        // A column that is dropped takes its files along. Logs may still hold what was flushed from them.
        let witness = Column::Witness;
        copy.drop_cf(witness.name()).map_err(failure("leave witnesses out of its copy"))?;
        copy.create_cf(witness.name(), &column_options(witness, &cache, &config))
            .map_err(failure("leave witnesses out of its copy"))?;
        let mut flush = FlushOptions::default();
        flush.set_wait(true);
        for column in Column::ALL {
            let missing = || StoreError::corrupt(format!("the column {} is missing", column.name()));
            let family = copy.cf_handle(column.name()).ok_or_else(missing)?;
            copy.flush_cf_opt(family, &flush).map_err(failure("finish its copy"))?;
        }
        drop(copy);
        self.folder.mark_copy(folder)
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for column in Column::ALL {
            let family = self.family(column)?;
            for property in ["rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables"] {
                let value =
                    self.database.property_int_value_cf(family, property).map_err(failure("measure"))?;
                bytes += value.unwrap_or(0);
            }
        }
        Ok(bytes)
    }
}
