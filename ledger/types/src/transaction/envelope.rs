//! The canonical binary envelope: how a block carries a transaction (specs/wire.md, "Envelope").
//!
//! One transaction with given signatures has one envelope: lengths are of fixed width, nothing is optional, nothing may
//! follow.

use aval_codec::{BinaryError, Reader, Writer};

use super::{SignedTransaction, jws::Parts};
use crate::{limits, reject::Reject};

pub(super) fn encode(transaction: &SignedTransaction) -> Vec<u8> {
    let signatures = &transaction.signatures;
    let length =
        5 + transaction.payload_bytes.len() + signatures.iter().map(|s| 66 + s.header.len()).sum::<usize>();
    let mut writer = Writer::with_capacity(length);
    // The bounds of a signed transaction keep every length far below what its prefix holds.
    writer
        .u32(u32::try_from(transaction.payload_bytes.len()).unwrap_or(u32::MAX))
        .put(&transaction.payload_bytes);
    writer.u8(u8::try_from(signatures.len()).unwrap_or(u8::MAX));
    for signature in signatures {
        writer.u16(u16::try_from(signature.header.len()).unwrap_or(u16::MAX)).put(&signature.header);
        writer.put(signature.bytes);
    }
    writer.into_vec()
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parts, Reject> {
    if bytes.len() > limits::TRANSACTION_BYTES_MAX {
        return Err(Reject::TransactionOversized);
    }
    read(bytes).map_err(|error| match error {
        BinaryError::TooLong { .. } => Reject::TransactionOversized,
        _ => Reject::TransactionMalformed("the envelope's lengths do not fit its bytes".into()),
    })
}

fn read(bytes: &[u8]) -> Result<Parts, BinaryError> {
    let mut reader = Reader::new(bytes);
    let payload = reader.bytes_u32(limits::PAYLOAD_BYTES_MAX)?.to_vec();
    let count = usize::from(reader.u8()?);
    if count > limits::SIGNERS_MAX {
        return Err(BinaryError::TooLong { length: count, limit: limits::SIGNERS_MAX });
    }
    let mut signatures = Vec::with_capacity(count);
    for _ in 0..count {
        let header = reader.bytes_u16(limits::HEADER_BYTES_MAX)?.to_vec();
        signatures.push((header, reader.array()?));
    }
    reader.finish()?;
    Ok(Parts { payload, signatures })
}
