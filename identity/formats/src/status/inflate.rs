//! Decompression that cannot be made to use more memory than was agreed before: output grows in pieces up to the limit
//! and stops there, whatever a header promises and however small the input is.

use super::StatusError;
use flate2::Compression;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::{Read, Write};

/// How much is asked of the decoder at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Unpacks one gzip member (RFC 1952) of at most `bytes_max` bytes. Nothing may follow it.
pub fn gunzip(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, StatusError> {
    let mut decoder = GzDecoder::new(packed);
    let unpacked = drain(&mut decoder, bytes_max, "the list is not gzip")?;
    if decoder.into_inner().is_empty() {
        Ok(unpacked)
    } else {
        Err(StatusError::Malformed("something follows the gzip of the list"))
    }
}

/// Unpacks one zlib stream (RFC 1950) of at most `bytes_max` bytes. Nothing may follow it.
pub fn unzlib(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, StatusError> {
    let mut decoder = ZlibDecoder::new(packed);
    let unpacked = drain(&mut decoder, bytes_max, "the list is not zlib")?;
    if decoder.into_inner().is_empty() {
        Ok(unpacked)
    } else {
        Err(StatusError::Malformed("something follows the zlib of the list"))
    }
}

/// Packs as gzip, the same bytes for the same input.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>, StatusError> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.map_err(|_| StatusError::Unsupported("the list could not be compressed"))
}

/// Packs as zlib, the same bytes for the same input.
pub fn zlib(bytes: &[u8]) -> Result<Vec<u8>, StatusError> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(bytes).and_then(|()| encoder.finish());
    packed.map_err(|_| StatusError::Unsupported("the list could not be compressed"))
}

fn drain(decoder: &mut impl Read, bytes_max: usize, broken: &'static str) -> Result<Vec<u8>, StatusError> {
    let mut unpacked = Vec::new();
    let mut piece = [0; PIECE_BYTES];
    loop {
        let count = decoder.read(&mut piece).map_err(|_| StatusError::Malformed(broken))?;
        let Some(read) = piece.get(..count).filter(|read| !read.is_empty()) else { return Ok(unpacked) };
        if unpacked.len() + read.len() > bytes_max {
            return Err(StatusError::Oversized);
        }
        unpacked.extend_from_slice(read);
    }
}
