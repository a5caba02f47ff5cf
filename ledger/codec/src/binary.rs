//! Fixed-width big-endian binary: what blocks, headers and envelopes are made of.
//!
//! [`Reader`] never reads past its end and never panics; every length is bounded by the caller before anything is
//! copied. [`varint`] is the unsigned LEB128 of the consensus engine's signed messages.

use crate::Hash;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// The input ends before the value does.
    #[error("the input ends too early")]
    Truncated,
    /// The value ends before the input does.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A length is above what this place allows.
    #[error("a length of {length} is above the limit of {limit}")]
    TooLong {
        /// The length found.
        length: usize,
        /// The length allowed.
        limit: usize,
    },
}

/// Reads from the front of a byte slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes exactly `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], BinaryError> {
        let (head, rest) = self.rest.split_at_checked(length).ok_or(BinaryError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BinaryError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(BinaryError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes a hash.
    pub fn hash(&mut self) -> Result<Hash, BinaryError> {
        self.array().map(Hash::new)
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, BinaryError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes a big-endian `u16`.
    pub fn u16(&mut self) -> Result<u16, BinaryError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian `u32`.
    pub fn u32(&mut self) -> Result<u32, BinaryError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a big-endian `u64`.
    pub fn u64(&mut self) -> Result<u64, BinaryError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes bytes behind a `u16` length of at most `limit`.
    pub fn bytes_u16(&mut self, limit: usize) -> Result<&'a [u8], BinaryError> {
        let length = usize::from(self.u16()?);
        self.bounded(length, limit)
    }

    /// Takes bytes behind a `u32` length of at most `limit`.
    pub fn bytes_u32(&mut self, limit: usize) -> Result<&'a [u8], BinaryError> {
        let length = usize::try_from(self.u32()?).map_err(|_| BinaryError::Truncated)?;
        self.bounded(length, limit)
    }

    /// Says that nothing may follow.
    pub fn finish(self) -> Result<(), BinaryError> {
        if self.rest.is_empty() { Ok(()) } else { Err(BinaryError::Trailing(self.rest.len())) }
    }

    fn bounded(&mut self, length: usize, limit: usize) -> Result<&'a [u8], BinaryError> {
        if length > limit {
            return Err(BinaryError::TooLong { length, limit });
        }
        self.take(length)
    }
}

/// Writes to the end of a growing buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Writer::default()
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Writer { bytes: Vec::with_capacity(capacity) }
    }

    /// Appends bytes without a length.
    pub fn put(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.put(value.to_be_bytes())
    }

    /// Appends a big-endian `u16`.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.put(value.to_be_bytes())
    }

    /// Appends a big-endian `u32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.put(value.to_be_bytes())
    }

    /// Appends a big-endian `u64`.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.put(value.to_be_bytes())
    }

    /// Appends a `u16` length and the bytes.
    pub fn bytes_u16(&mut self, bytes: &[u8]) -> Result<&mut Self, BinaryError> {
        let limit = usize::from(u16::MAX);
        let length =
            u16::try_from(bytes.len()).map_err(|_| BinaryError::TooLong { length: bytes.len(), limit })?;
        Ok(self.u16(length).put(bytes))
    }

    /// Appends a `u32` length and the bytes.
    pub fn bytes_u32(&mut self, bytes: &[u8]) -> Result<&mut Self, BinaryError> {
        let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        let length =
            u32::try_from(bytes.len()).map_err(|_| BinaryError::TooLong { length: bytes.len(), limit })?;
        Ok(self.u32(length).put(bytes))
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True before the first byte.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The finished bytes.
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }
}

/// Unsigned LEB128 in its shortest form: seven bits a byte, the lowest first, the high bit set on all bytes but the
/// last.
pub fn varint(value: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    let mut rest = value;
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        if rest == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_big_endian_and_fixed_width() {
        let mut writer = Writer::new();
        writer.u8(1).u16(2).u32(3).u64(4).put(Hash::ZERO);
        writer.bytes_u16(b"ab").unwrap().bytes_u32(b"c").unwrap();
        let bytes = writer.into_vec();
        assert_eq!(bytes.get(..15).unwrap(), [1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(2));
        assert_eq!(reader.u32(), Ok(3));
        assert_eq!(reader.u64(), Ok(4));
        assert_eq!(reader.hash(), Ok(Hash::ZERO));
        assert_eq!(reader.bytes_u16(2), Ok(&b"ab"[..]));
        assert_eq!(reader.clone().bytes_u32(0), Err(BinaryError::TooLong { length: 1, limit: 0 }));
        assert_eq!(reader.clone().finish(), Err(BinaryError::Trailing(5)));
        assert_eq!(reader.bytes_u32(1), Ok(&b"c"[..]));
        assert_eq!(reader.u8(), Err(BinaryError::Truncated));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_length_above_what_is_left_is_truncated_and_not_a_panic() {
        assert_eq!(Reader::new(&[0xff; 4]).bytes_u32(usize::MAX), Err(BinaryError::Truncated));
        assert_eq!(Reader::new(&[0xff; 3]).u32(), Err(BinaryError::Truncated));
        assert!(Writer::new().bytes_u16(&vec![0; 65_536]).is_err());
    }

    #[test]
    fn varint_is_leb128() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(128), [0x80, 1]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(varint(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    proptest! {
        #[test]
        fn no_input_makes_the_reader_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            limit in 0usize..80,
        ) {
            let mut reader = Reader::new(&bytes);
            while reader.bytes_u16(limit).is_ok() {}
            let _ = reader.bytes_u32(limit);
            let _ = reader.u64();
            let _ = reader.finish();
        }
    }
}
