//! Consecutive final blocks as one node hands them to another that joins (specs/wire.md, "Run of blocks").
//!
//! Witnesses are stripped: whoever asks may be anybody, and what a block decides needs none. A reader believes nothing
//! of a run: [`crate::join`] verifies it.

use aval_codec::{Reader, Writer, json};
use aval_proof::Certificate;
use aval_store::{Ledger, StoreError};
use aval_types::block::{Block, Mode};
use aval_types::limits::{BLOCK_BYTES_MAX, VALIDATORS_MAX};

/// Blocks of a run at most.
pub const BLOCKS_MAX: u64 = 512;
/// Bytes after which a run takes no further block.
pub const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a whole run: one block may go above, with its receipts.
pub const RUN_BYTES_MAX: usize = BYTES_MAX + 2 * BLOCK_BYTES_MAX + CERTIFICATE_BYTES_MAX;
/// Bytes of a certificate: for every validator its place and its signature in base64url.
const CERTIFICATE_BYTES_MAX: usize = 1024 + VALIDATORS_MAX * 128;

/// A block with its certificate, if it has one of its own.
pub type Certified = (Block, Option<Certificate>);

/// The run of the final blocks from a height on; empty if that height is not final yet.
pub fn encode(ledger: &Ledger, from: u64, count: u64) -> Result<Vec<u8>, StoreError> {
    let head = ledger.require_head()?.height();
    let mut writer = Writer::new();
    let end = from.saturating_add(count.min(BLOCKS_MAX));
    for height in (from..end).take_while(|height| *height <= head) {
        let block = ledger.stripped_block(height)?.encode();
        let certificate = match ledger.certificate(height)? {
            Some(certificate) => serde_json::to_vec(&certificate).unwrap_or_default(),
            None => Vec::new(),
        };
        let too_long = |_| StoreError::Corrupt { what: format!("block {height} is too long to be sent") };
        writer.bytes_u32(&block).map_err(too_long)?;
        writer.bytes_u32(&certificate).map_err(too_long)?;
        if writer.len() >= BYTES_MAX {
            break;
        }
    }
    Ok(writer.into_vec())
}

/// A block with its certificate and its receipts.
pub type WithReceipts = (Block, Option<Certificate>, Vec<Vec<u8>>);

/// The run of the final blocks below a height, downwards, each with its receipts; for who has verified the block at
/// that height and wants what is below it.
pub fn encode_downwards(ledger: &Ledger, below: u64, count: u64) -> Result<Vec<u8>, StoreError> {
    let mut writer = Writer::new();
    let lowest = below.saturating_sub(count.min(BLOCKS_MAX));
    for height in (lowest..below).rev() {
        let block = ledger.stripped_block(height)?.encode();
        let certificate = match ledger.certificate(height)? {
            Some(certificate) => serde_json::to_vec(&certificate).unwrap_or_default(),
            None => Vec::new(),
        };
        let receipts = ledger.receipts(height)?;
        let too_long = |_| StoreError::Corrupt { what: format!("block {height} is too long to be sent") };
        writer.bytes_u32(&block).map_err(too_long)?;
        writer.bytes_u32(&certificate).map_err(too_long)?;
        writer.u32(u32::try_from(receipts.len()).unwrap_or(u32::MAX));
        for receipt in &receipts {
            writer.bytes_u32(receipt).map_err(too_long)?;
        }
        if writer.len() >= BYTES_MAX {
            break;
        }
    }
    Ok(writer.into_vec())
}

/// Reads a run with receipts. Bodies are those of their headers; nothing else is checked.
pub fn decode_downwards(bytes: &[u8]) -> Result<Vec<WithReceipts>, String> {
    let mut reader = Reader::new(bytes);
    let mut run = Vec::new();
    while !reader.is_empty() {
        let (block, certificate) = read_certified(&mut reader)?;
        let count = reader.u32().map_err(|error| error.to_string())?;
        let mut receipts = Vec::new();
        for _ in 0..count {
            let receipt = reader.bytes_u32(BLOCK_BYTES_MAX).map_err(|error| error.to_string())?;
            receipts.push(receipt.to_vec());
        }
        run.push((block, certificate, receipts));
    }
    Ok(run)
}

/// Reads a run. Bodies are those of their headers; nothing else is checked.
pub fn decode(bytes: &[u8]) -> Result<Vec<Certified>, String> {
    let mut reader = Reader::new(bytes);
    let mut run = Vec::new();
    while !reader.is_empty() {
        run.push(read_certified(&mut reader)?);
    }
    Ok(run)
}

fn read_certified(reader: &mut Reader<'_>) -> Result<Certified, String> {
    let block = reader.bytes_u32(BLOCK_BYTES_MAX).map_err(|error| error.to_string())?;
    let block = Block::decode(block, Mode::Any).map_err(|error| error.to_string())?;
    let certificate = reader.bytes_u32(CERTIFICATE_BYTES_MAX).map_err(|error| error.to_string())?;
    let limits = json::Limits { bytes_max: CERTIFICATE_BYTES_MAX, ..json::Limits::default() };
    let certificate = match certificate {
        [] => None,
        bytes => Some(json::from_slice(bytes, limits).map_err(|error| error.to_string())?),
    };
    Ok((block, certificate))
}
