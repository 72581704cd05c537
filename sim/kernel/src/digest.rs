//! The rolling digest over delivered events.
//!
//! Words are gathered into a block of 1 KiB and hashed block by block with XXH3-128. Each
//! block begins with the hash of the one before it, so the value depends on every word and
//! its place. It detects accidents, not forgery.

use core::fmt;

use xxhash_rust::xxh3::xxh3_128;

/// Bytes of one block, the 16 of the chained hash included.
const BLOCK: usize = 1024;
const CHAINED: usize = 16;

/// A 128-bit hash of a sequence of words, which can be read at any time.
#[derive(Clone)]
pub struct Digest {
    block: [u8; BLOCK],
    used: usize,
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl Digest {
    /// The digest of nothing.
    pub const fn new() -> Self {
        Digest { block: [0; BLOCK], used: CHAINED }
    }

    /// Appends words.
    #[inline]
    pub fn absorb(&mut self, words: &[u64]) {
        // Nearly always the block has room for all of them and more.
        let end = self.used + 8 * words.len();
        if end < BLOCK {
            let places = self.block[self.used..end].chunks_exact_mut(8);
            for (place, word) in places.zip(words) {
                place.copy_from_slice(&word.to_le_bytes());
            }
            self.used = end;
        } else {
            self.absorb_one_by_one(words);
        }
    }

    #[inline(never)]
    fn absorb_one_by_one(&mut self, words: &[u64]) {
        for word in words {
            self.block[self.used..self.used + 8].copy_from_slice(&word.to_le_bytes());
            self.used += 8;
            if self.used == BLOCK {
                self.chain();
            }
        }
    }

    /// The hash of all words so far. Reading it changes nothing.
    pub fn value(&self) -> u128 {
        xxh3_128(&self.block[..self.used])
    }

    #[inline(never)]
    fn chain(&mut self) {
        let hash = xxh3_128(&self.block);
        self.block[..CHAINED].copy_from_slice(&hash.to_le_bytes());
        self.used = CHAINED;
    }
}

impl fmt::Display for Digest {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.value())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// Golden values: they change only in a commit that says why.
    #[test]
    fn the_value_is_the_same_on_every_machine() {
        let mut digest = Digest::new();
        assert_eq!(digest.to_string(), "e5189a9599e3f86205ea23ef06e28b2d");
        digest.absorb(&(0..1000).collect::<Vec<u64>>());
        assert_eq!(digest.to_string(), "4cf1153a583e3dd74dea85a4d6331c8a");
    }

    #[test]
    fn every_word_and_its_place_count() {
        let words: Vec<u64> = (0..1000).collect();
        let mut whole = Digest::new();
        whole.absorb(&words);
        for changed in [0, 125, 126, 127, 500, 999] {
            let mut other = words.clone();
            other[changed] ^= 1 << 40;
            let mut digest = Digest::new();
            digest.absorb(&other);
            assert_ne!(digest.value(), whole.value(), "word {changed}");
        }
        let mut swapped = words.clone();
        swapped.swap(3, 700);
        let mut digest = Digest::new();
        digest.absorb(&swapped);
        assert_ne!(digest.value(), whole.value());
    }

    #[test]
    fn reading_in_between_and_the_portions_do_not_matter() {
        let words: Vec<u64> = (0..777).map(|n| n * n).collect();
        let mut whole = Digest::new();
        whole.absorb(&words);
        let mut pieces = Digest::new();
        let mut seen = Vec::new();
        for piece in words.chunks(5) {
            pieces.absorb(piece);
            seen.push(pieces.value());
        }
        assert_eq!(pieces.value(), whole.value());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), words.chunks(5).count(), "every prefix has its own value");
    }
}
