//! Whether the engine's journals still read.
//!
//! The engine checks its journals when it opens them, and mends what it can: it leaves out an end that does not read.
//! So they are opened and read here by the engine's own code, in a copy, and what that changed had not read as it
//! stood. Records are compared with their checksums; what they say is not looked at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};
use commonware_codec::varint::UInt;
use commonware_codec::{Codec, EncodeSize, Error as CodecError, Read, Write};
use commonware_consensus::types::Epoch;
use commonware_cryptography::sha256::Digest;
use commonware_runtime::{ReadOptions, Runner as _, Supervisor as _, tokio as engine_tokio};
use commonware_storage::archive::{Archive as _, MultiArchive as _, prunable};
use commonware_storage::journal::segmented::variable;
use commonware_storage::metadata::{self, Metadata};
use commonware_storage::translator::EightCap;
use commonware_utils::Span;
use commonware_utils::sequence::U64;

use super::archive::KEPT_HEIGHTS;
use super::stack::{JOURNAL_BUFFER, page_cache};

/// What was found in the engine's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journals {
    /// Records that were read.
    pub records: u64,
    /// Journals that the engine cannot open, files that do not read, and why.
    pub damaged: Vec<(PathBuf, String)>,
    /// Files among the newest of which the engine leaves something out when it starts, and the byte where that begins.
    /// A write that was interrupted leaves such an end, and so does damage: nothing tells them apart.
    pub unfinished: Vec<(PathBuf, u64)>,
}

impl Journals {
    /// Reads the journals in a copy of the engine's folder that was just made. The copy is of no use afterwards.
    pub fn read(folder: &Path, copy: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        let config = engine_tokio::Config::new().with_worker_threads(1).with_storage_directory(copy);
        let (journals, into) = (journals(folder)?, &mut found);
        engine_tokio::Runner::new(config).start(|context| async move {
            // Reading an archive may write its marks, so these are looked at before.
            let (marks, others): (Vec<_>, Vec<_>) =
                journals.into_iter().partition(|(_, journal)| journal.kind.is_metadata());
            for (name, journal) in marks.iter().chain(&others) {
                match journal.read(context.child("check"), name).await {
                    Ok(records) => {
                        into.records = into.records.saturating_add(records);
                        for partition in &journal.partitions {
                            let is_metadata = journal.kind.is_metadata();
                            into.compare(&folder.join(partition), &copy.join(partition), is_metadata)?;
                        }
                    }
                    Err(reason) => into.damaged.push((folder.join(journal.shown(name)), reason)),
                }
            }
            Ok::<(), io::Error>(())
        })?;
        Ok(found)
    }

    /// Notes where reading changed the files of a folder.
    fn compare(&mut self, folder: &Path, copy: &Path, is_metadata: bool) -> io::Result<()> {
        let files = names(folder)?;
        let newest = files.len().saturating_sub(NEWEST);
        for (index, file) in files.iter().enumerate() {
            let path = folder.join(file);
            let Some(at) = left_out(&path, &copy.join(file))? else { continue };
            if is_metadata || index >= newest {
                self.unfinished.push((path, at));
            } else {
                self.damaged.push((path, format!("it does not have its checksum from byte {at} on")));
            }
        }
        Ok(())
    }
}

/// Files of a journal that are written to at a time, more or less: a file is for a view or for 64 of them, and votes
/// and certificates come some views late.
const NEWEST: usize = 4;

/// A journal of the engine, which may lie in several folders.
struct Journal {
    kind: Kind,
    partitions: Vec<String>,
}

/// What the engine keeps a journal as. There are no others: a test starts nodes and finds them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What a validator signed and saw, a file for each view.
    Votes,
    /// Blocks or certificates, with an index.
    Archive,
    /// How far an archive was written for sure.
    Marks,
    /// The height that was delivered last.
    Delivered,
    /// The epochs that have archives.
    Epochs,
    Unknown,
}

impl Kind {
    /// Whether there are two files, of which the older one is written anew.
    const fn is_metadata(self) -> bool {
        matches!(self, Self::Marks | Self::Delivered | Self::Epochs)
    }
}

impl Journal {
    /// Opens it and reads it whole. Answers how many records there are.
    async fn read(&self, context: engine_tokio::Context, name: &str) -> Result<u64, String> {
        match self.kind {
            Kind::Votes => read_votes(context, name).await.map_err(|error| error.to_string()),
            Kind::Archive => read_archive(context, name, self).await.map_err(|error| error.to_string()),
            Kind::Marks => read_metadata::<U64, u64>(context, name, ()).await,
            Kind::Delivered => read_metadata::<U64, UInt<u64>>(context, name, ()).await,
            Kind::Epochs => read_metadata::<u8, (Epoch, Epoch)>(context, name, ((), ())).await,
            Kind::Unknown => Err("this version of the engine has no such journal".to_owned()),
        }
    }

    /// Its folders, in one name.
    fn shown(&self, name: &str) -> String {
        match &self.partitions[..] {
            [only] => only.clone(),
            _ => format!("{name}-*"),
        }
    }
}

async fn read_metadata<K: Span, V: Codec>(
    context: engine_tokio::Context,
    partition: &str,
    codec_config: V::Cfg,
) -> Result<u64, String> {
    let config = metadata::Config { partition: partition.to_owned(), codec_config };
    match Metadata::<_, K, V>::init(context, config).await {
        Ok(values) => Ok(values.keys().count() as u64),
        Err(error) => Err(error.to_string()),
    }
}

async fn read_votes(
    context: engine_tokio::Context,
    partition: &str,
) -> Result<u64, commonware_storage::journal::Error> {
    let config = variable::Config {
        partition: partition.to_owned(),
        compression: None,
        codec_config: (),
        page_cache: page_cache(),
        write_buffer: JOURNAL_BUFFER,
    };
    let journal = variable::Journal::<_, Record>::init(context, config).await?;
    let mut replay = journal.replay(0, 0, JOURNAL_BUFFER, ReadOptions::default()).await?;
    let mut records = 0_u64;
    while let Some(record) = replay.next().await {
        record?;
        records = records.saturating_add(1);
    }
    replay.finish()?;
    Ok(records)
}

async fn read_archive(
    context: engine_tokio::Context,
    name: &str,
    journal: &Journal,
) -> Result<u64, commonware_storage::archive::Error> {
    // The engine's own archives and ours end differently.
    let partition = |kind: &str| {
        let named = |partition: &&String| partition.trim_end_matches('s').ends_with(kind);
        journal.partitions.iter().find(named).cloned().unwrap_or_else(|| format!("{name}-{kind}"))
    };
    let config = prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{name}-metadata"),
        key_partition: partition("key"),
        value_partition: partition("value"),
        key_page_cache: page_cache(),
        compression: None,
        codec_config: (),
        items_per_section: KEPT_HEIGHTS,
        key_write_buffer: JOURNAL_BUFFER,
        value_write_buffer: JOURNAL_BUFFER,
        replay_buffer: JOURNAL_BUFFER,
    };
    let archive = prunable::Archive::<_, _, Digest, Record>::init(context, config).await?;
    let mut records = 0_u64;
    for (first, last) in archive.ranges() {
        for index in first..=last {
            let values = archive.get_all(index).await?.unwrap_or_default();
            records = records.saturating_add(values.len() as u64);
        }
    }
    Ok(records)
}

/// A record as the bytes that it is.
struct Record(Bytes);

impl Read for Record {
    type Cfg = ();

    fn read_cfg(buffer: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        Ok(Self(buffer.copy_to_bytes(buffer.remaining())))
    }
}

impl Write for Record {
    fn write(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }
}

impl EncodeSize for Record {
    fn encode_size(&self) -> usize {
        self.0.len()
    }
}

/// The journals of a folder.
fn journals(folder: &Path) -> io::Result<BTreeMap<String, Journal>> {
    let mut found = BTreeMap::new();
    for partition in names(folder)? {
        if !folder.join(&partition).is_dir() {
            continue;
        }
        let archive =
            ["-key", "-keys", "-value", "-values"].iter().find_map(|end| partition.strip_suffix(end));
        let (name, kind) = match (partition.as_str(), archive) {
            (_, Some(name)) => (name, Kind::Archive),
            (name @ "marshal-application-metadata", _) => (name, Kind::Delivered),
            (name @ "marshal-cache-metadata", _) => (name, Kind::Epochs),
            (name, _) if name.ends_with("-metadata") => (name, Kind::Marks),
            (name, _) if name.starts_with("consensus-") => (name, Kind::Votes),
            (name, _) => (name, Kind::Unknown),
        };
        let journal =
            found.entry(name.to_owned()).or_insert_with(|| Journal { kind, partitions: Vec::new() });
        journal.partitions.push(partition.clone());
    }
    Ok(found)
}

/// The names in a folder, in order.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// Where the engine's reading changed a file, if it did.
fn left_out(original: &Path, copy: &Path) -> io::Result<Option<u64>> {
    let original = File::open(original)?;
    if original.metadata()?.len() <= HEAD_BYTES {
        return Ok(None);
    }
    // A file that reads as empty may be removed.
    let copy: Box<dyn io::Read> = match File::open(copy) {
        Ok(copy) => Box::new(copy),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Box::new(io::empty()),
        Err(error) => return Err(error),
    };
    let mut copied = BufReader::new(copy).bytes();
    for (at, byte) in (0..).zip(BufReader::new(original).bytes()) {
        if copied.next().transpose()? != Some(byte?) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// What a file has before its first record.
const HEAD_BYTES: u64 = 4096;
