//! Which index a new credential gets: drawn at random, uniformly among those that are free.
//!
//! An index says nothing then about when a credential was issued or how many there are (Bitstring Status List 1.0
//! section 2.1, Token Status List section 13.2). The randomness comes from the caller.

use super::{ENTRIES_MAX, StatusError};
use rand::{Rng, RngExt as _};

/// The indices of one list: which are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// One bit for each index, lowest first; the bits beyond the size are set.
    taken: Vec<u64>,
    size: u64,
    free: u64,
}

impl Allocation {
    /// A list of `size` indices, all of them free.
    pub fn new(size: u64) -> Result<Self, StatusError> {
        if size > ENTRIES_MAX {
            return Err(StatusError::Oversized);
        }
        let words = usize::try_from(size.div_ceil(64)).map_err(|_| StatusError::Oversized)?;
        let mut taken = vec![0; words];
        if let (Some(last), rest @ 1..) = (taken.last_mut(), size % 64) {
            *last = u64::MAX << rest;
        }
        Ok(Self { taken, size, free: size })
    }

    /// How many indices there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many of them are free.
    pub fn free(&self) -> u64 {
        self.free
    }

    /// Marks an index as taken. False if it was taken, or is none of the list's.
    pub fn take(&mut self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.taken.get_mut(word));
        match word {
            Some(word) if *word & (1 << (index % 64)) == 0 => {
                *word |= 1 << (index % 64);
                self.free -= 1;
                true
            }
            _ => false,
        }
    }

    /// Draws a free index, each with the same probability, and marks it as taken. `None` if there is none left.
    pub fn draw(&mut self, random: &mut impl Rng) -> Option<u64> {
        if self.free == 0 {
            return None;
        }
        let index = self.free_index(random.random_range(0..self.free))?;
        self.take(index).then_some(index)
    }

    /// The free index before which there are `rank` other free ones.
    fn free_index(&self, mut rank: u64) -> Option<u64> {
        for (position, word) in (0_u64..).zip(&self.taken) {
            let free = u64::from(word.count_zeros());
            if rank >= free {
                rank -= free;
                continue;
            }
            let mut left = !word;
            for _ in 0..rank {
                left &= left - 1;
            }
            return Some(position * 64 + u64::from(left.trailing_zeros()));
        }
        None
    }
}
