//! Entries of 1, 2, 4 or 8 bits in chunks of 1024 bytes (specs/rules.md, section 6).
//!
//! Entry 0 lies in the most significant bits of the first byte, as in a W3C Bitstring Status List; an entry never
//! straddles two bytes. A chunk that was never written is all zeros and is not stored.

/// Bytes of one chunk. A change of one entry writes one chunk, so this bounds what a change costs.
pub const CHUNK_BYTES: usize = 1024;

/// Where an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the chunk within its list.
    pub chunk: u64,
    byte: usize,
    shift: u8,
    mask: u8,
}

impl Place {
    /// The place of entry `index` in a list of entries of `bits` bits; `None` unless `bits` is 1, 2, 4 or 8.
    pub fn of(index: u64, bits: u8) -> Option<Self> {
        if !matches!(bits, 1 | 2 | 4 | 8) {
            return None;
        }
        let per_byte = u64::from(8 / bits);
        let byte = index / per_byte;
        let within = u8::try_from(index % per_byte).ok()?;
        Some(Self {
            chunk: byte / CHUNK_BYTES as u64,
            byte: usize::try_from(byte % CHUNK_BYTES as u64).ok()?,
            shift: 8 - bits - within * bits,
            mask: value_max(bits),
        })
    }

    /// The entry's value in its chunk; bytes that the chunk does not have are zero.
    pub fn value(self, chunk: &[u8]) -> u8 {
        chunk.get(self.byte).map_or(0, |byte| (byte >> self.shift) & self.mask)
    }

    /// Writes the entry into its chunk. Bits of `value` beyond the entry's width are dropped.
    pub fn set(self, chunk: &mut [u8; CHUNK_BYTES], value: u8) {
        if let Some(byte) = chunk.get_mut(self.byte) {
            *byte = (*byte & !(self.mask << self.shift)) | ((value & self.mask) << self.shift);
        }
    }
}

/// The largest value of an entry of `bits` bits.
pub const fn value_max(bits: u8) -> u8 {
    if bits >= 8 { u8::MAX } else { (1 << bits) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_zero_is_the_most_significant_bit_of_the_first_byte() {
        let mut chunk = [0; CHUNK_BYTES];
        Place::of(0, 1).unwrap().set(&mut chunk, 1);
        assert_eq!(chunk[0], 0b1000_0000);
        Place::of(9, 1).unwrap().set(&mut chunk, 1);
        assert_eq!(chunk[1], 0b0100_0000);
        Place::of(4, 2).unwrap().set(&mut chunk, 0b10);
        assert_eq!(chunk[1], 0b1000_0000);
    }

    #[test]
    fn every_entry_has_a_place_of_its_own() {
        for bits in [1u8, 2, 4, 8] {
            let mut chunks = vec![[0u8; CHUNK_BYTES]; 2];
            let entries = 2 * CHUNK_BYTES as u64 * 8 / u64::from(bits);
            let wanted = |index: u64| (index % (u64::from(value_max(bits)) + 1)) as u8;
            for index in 0..entries {
                let place = Place::of(index, bits).unwrap();
                place.set(&mut chunks[place.chunk as usize], wanted(index));
            }
            for index in 0..entries {
                let place = Place::of(index, bits).unwrap();
                assert_eq!(
                    place.value(&chunks[place.chunk as usize]),
                    wanted(index),
                    "{bits} bits, entry {index}"
                );
            }
        }
    }

    #[test]
    fn an_absent_or_short_chunk_reads_as_zero_and_odd_widths_have_no_place() {
        let place = Place::of(u64::MAX, 8).unwrap();
        assert_eq!(place.value(&[]), 0);
        assert_eq!(place.value(&[0xff]), 0);
        assert_eq!(Place::of(0, 3), None);
        assert_eq!(Place::of(0, 0), None);
    }
}
