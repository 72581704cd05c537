//! How often a page was asked for lately, roughly: counters of four bits, four per page, at
//! places that a hash of its name gives, close together; the least of the four counts. All are halved when as
//! many uses were counted as ten times the frames, so that the past fades.
//!
//! The count-min sketch of G. Cormode and S. Muthukrishnan (*J. Algorithms* 55, 2005), aged
//! as in G. Einziger, R. Friedman, B. Manes, *TinyLFU: A Highly Efficient Cache Admission
//! Policy*, ACM TOS 13(4), 2017.

use alloc::vec::Vec;

const ROWS: usize = 4;
/// Words in a cache line.
const LINE: usize = 8;
/// The highest bit of no counter: what is left of halved neighbours.
const HALVED: u64 = 0x7777_7777_7777_7777;

/// Sixteen counters of four bits per word.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    words: Vec<u64>,
    counted: usize,
    period: usize,
}

/// The hash of a page's name, from which all places follow: the finalizer of Steele, Lea and
/// Flood's SplitMix64 (OOPSLA 2014).
pub(super) fn mixed(page: u64) -> u64 {
    let mut z = page.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Sketch {
    /// A word, sixteen counters, for every frame, at least: 8 bytes.
    pub(super) fn new(frames: usize) -> Sketch {
        let words = frames.next_power_of_two().max(16);
        Sketch { words: alloc::vec![0; words], counted: 0, period: 10 * frames.max(1) }
    }

    /// The word and the shift of a page's counter in a row. All rows of a page lie in eight
    /// words, a cache line: each row has two of them.
    fn place(&self, hash: u64, row: usize) -> (usize, u32) {
        let line = hash as usize & (self.words.len() / LINE - 1);
        let bits = (hash >> (32 + 8 * row)) as usize;
        (line * LINE + 2 * row + (bits >> 4 & 1), (bits as u32 & 15) * 4)
    }

    /// Counts one more use.
    pub(super) fn count(&mut self, hash: u64) {
        let mut grew = false;
        for row in 0..ROWS {
            let (word, shift) = self.place(hash, row);
            if self.words[word] >> shift & 15 < 15 {
                self.words[word] += 1 << shift;
                grew = true;
            }
        }
        self.counted += usize::from(grew);
        if self.counted >= self.period {
            self.counted /= 2;
            for word in &mut self.words {
                *word = *word >> 1 & HALVED;
            }
        }
    }

    /// How often it was counted lately, or more: at most 15.
    pub(super) fn estimate(&self, hash: u64) -> u64 {
        let counter = |row| {
            let (word, shift) = self.place(hash, row);
            self.words[word] >> shift & 15
        };
        (0..ROWS).map(counter).fold(15, u64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_never_too_low_and_fades() {
        let mut sketch = Sketch::new(64);
        for page in 0..40 {
            for _ in 0..page % 8 {
                sketch.count(mixed(page));
            }
        }
        for page in 0..40 {
            assert!(sketch.estimate(mixed(page)) >= page % 8, "page {page}");
        }
        let exact = (0..40).filter(|page| sketch.estimate(mixed(*page)) == page % 8).count();
        assert!(exact >= 38, "{exact} of 40 are exact");
        let before = sketch.estimate(mixed(7));
        for page in 1000..1000 + 640 {
            sketch.count(mixed(page));
        }
        assert!(sketch.estimate(mixed(7)) < before, "what is past counts less");
        assert!(sketch.counted < sketch.period);
    }
}
