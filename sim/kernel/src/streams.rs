//! Random streams, each known by what it is for and not by when it was made.
//!
//! A stream is a ChaCha8 generator whose 256-bit key is a hash of (seed, branch, name,
//! key). One draw more in one stream moves nothing in another, and a stream that is never
//! asked costs nothing: the workload stays the same while a fault or a setting changes.
//!
//! The key is derived so: `n` = XXH3-128 of the name; `m` = the 56 bytes of seed, branch,
//! the three key numbers and `n`, little-endian; the key is XXH3-128 of `m` with seed 0,
//! then XXH3-128 of `m` with seed 1. The generator is ChaCha (Bernstein 2008) with eight
//! rounds, a 64-bit block counter and a nonce of zero, word for word the output of
//! `rand_chacha`'s `ChaCha8Rng`. It is our own because it computes one block at a time: a
//! stream that serves a single client operation draws a few numbers, and four blocks at
//! once would be thrown away; and it is a third of their size, which counts where every link
//! of a network has several. Numbers in `docs/kernel-queue.md`.

use core::fmt;

use wavetank_vocabulary::Ratio;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

/// What all streams of a run are derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    seed: u64,
    branch: u64,
}

impl Streams {
    /// The streams of a seed.
    pub const fn new(seed: u64) -> Self {
        Streams { seed, branch: 0 }
    }

    /// The stream of a name and three numbers, such as client, operation and attempt.
    pub fn stream(self, name: &str, key: [u64; 3]) -> Stream {
        let mut material = [0; 56];
        let numbers = [self.seed, self.branch, key[0], key[1], key[2]];
        for (bytes, number) in material.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        material[40..].copy_from_slice(&xxh3_128(name.as_bytes()).to_le_bytes());
        let halves = [xxh3_128_with_seed(&material, 0), xxh3_128_with_seed(&material, 1)];
        let mut words = [0; 8];
        for (word, at) in words.iter_mut().zip(0..) {
            *word = (halves[at / 4] >> (at % 4 * 32)) as u32;
        }
        Stream::from_key(words)
    }

    /// The streams of the `n`-th branch of a cloned world: others than those here, for
    /// every `n`. Streams already made have to be made anew from these.
    #[must_use]
    pub fn branch(self, n: u64) -> Streams {
        let mut material = [0; 16];
        material[..8].copy_from_slice(&self.branch.to_le_bytes());
        material[8..].copy_from_slice(&n.to_le_bytes());
        // Zero is the root: the low bit keeps every branch apart from it.
        Streams { seed: self.seed, branch: xxh3_128(&material) as u64 | 1 }
    }
}

/// 64-bit numbers of one ChaCha block.
const BLOCK: usize = 8;

/// One random stream.
#[derive(Clone)]
pub struct Stream {
    key: [u32; 8],
    counter: u64,
    block: [u64; BLOCK],
    /// How many numbers of `block` are drawn.
    drawn: usize,
}

impl fmt::Debug for Stream {
    /// Its position only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let drawn = (self.counter * BLOCK as u64).wrapping_sub((BLOCK - self.drawn) as u64);
        write!(f, "Stream(at {drawn})")
    }
}

impl Stream {
    fn from_key(key: [u32; 8]) -> Self {
        Stream { key, counter: 0, block: [0; BLOCK], drawn: BLOCK }
    }

    /// 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        if self.drawn >= BLOCK {
            self.block = chacha8(&self.key, self.counter);
            self.counter += 1;
            self.drawn = 0;
        }
        let number = self.block[self.drawn];
        self.drawn += 1;
        number
    }

    /// A number from `0..bound`, all equally likely (Lemire, "Fast random integer
    /// generation in an interval", 2019). For a bound of zero or one: zero, and nothing is
    /// drawn.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound <= 1 {
            return 0;
        }
        let mut product = u128::from(self.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// A number from `0..=last`, all equally likely.
    #[inline]
    pub fn up_to(&mut self, last: u64) -> u64 {
        match last.checked_add(1) {
            Some(bound) => self.below(bound),
            None => self.next_u64(),
        }
    }

    /// A multiple of 2⁻⁵³ from `[0, 1)`.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * UNIT
    }

    /// A multiple of 2⁻⁵³ from `(0, 1]`: it has a logarithm.
    #[inline]
    pub fn open_unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 * UNIT
    }

    /// True with the given probability. Where there is no doubt, nothing is drawn.
    #[inline]
    pub fn chance(&mut self, probability: Ratio) -> bool {
        if probability.numerator == 0 {
            return false;
        }
        probability.numerator >= probability.denominator
            || self.below(u64::from(probability.denominator)) < u64::from(probability.numerator)
    }

    /// One of the items, all equally likely; none of none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// One of the indexes of `weights`, each with a probability in proportion to its
    /// weight; none when all are zero.
    pub fn pick_weighted(&mut self, weights: &[u32]) -> Option<usize> {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        let mut rest = self.below(total);
        weights.iter().position(|&weight| match rest.checked_sub(u64::from(weight)) {
            Some(less) => {
                rest = less;
                false
            }
            None => true,
        })
    }

    /// Brings the items into a random order, all equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

/// 2⁻⁵³.
const UNIT: f64 = 1.0 / (1u64 << 53) as f64;

/// "expand 32-byte k".
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// A block of ChaCha with eight rounds, as eight numbers.
#[inline(never)]
fn chacha8(key: &[u32; 8], counter: u64) -> [u64; BLOCK] {
    let [c0, c1, c2, c3] = CONSTANTS;
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let (low, high) = (counter as u32, (counter >> 32) as u32);
    let start = [c0, c1, c2, c3, k0, k1, k2, k3, k4, k5, k6, k7, low, high, 0, 0];
    let mut state = start;
    for _ in 0..4 {
        quarter_round(&mut state, 0, 4, 8, 12);
        quarter_round(&mut state, 1, 5, 9, 13);
        quarter_round(&mut state, 2, 6, 10, 14);
        quarter_round(&mut state, 3, 7, 11, 15);
        quarter_round(&mut state, 0, 5, 10, 15);
        quarter_round(&mut state, 1, 6, 11, 12);
        quarter_round(&mut state, 2, 7, 8, 13);
        quarter_round(&mut state, 3, 4, 9, 14);
    }
    let word = |at: usize| u64::from(state[at].wrapping_add(start[at]));
    core::array::from_fn(|at| word(2 * at) | word(2 * at + 1) << 32)
}

#[inline(always)]
fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(16);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(12);
    state[a] = state[a].wrapping_add(state[b]);
    state[d] = (state[d] ^ state[a]).rotate_left(8);
    state[c] = state[c].wrapping_add(state[d]);
    state[b] = (state[b] ^ state[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use rand_core::{Rng, SeedableRng};

    #[test]
    fn the_generator_is_that_of_rand_chacha() {
        for seed in 0..20u8 {
            let bytes: Vec<u8> = (0..32).map(|n| n * 7 + seed).collect();
            let mut key = [0; 8];
            for (word, bytes) in key.iter_mut().zip(bytes.chunks_exact(4)) {
                *word = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
            }
            let mut ours = Stream::from_key(key);
            let seed = bytes.try_into().expect("32 bytes");
            let mut theirs = rand_chacha::ChaCha8Rng::from_seed(seed);
            for _ in 0..1000 {
                assert_eq!(ours.next_u64(), theirs.next_u64());
            }
            // Past 2^32 blocks the counter carries into its second word.
            ours.counter = 1 << 32;
            ours.drawn = BLOCK;
            theirs.set_word_pos(1 << 36);
            assert_eq!(ours.next_u64(), theirs.next_u64());
        }
    }

    fn first(stream: &Stream) -> u64 {
        stream.clone().next_u64()
    }

    /// Golden values: they change only in a commit that says why.
    #[test]
    fn streams_are_the_same_on_every_machine() {
        let streams = Streams::new(0x5eed);
        let firsts = [
            first(&streams.stream("", [0; 3])),
            first(&streams.stream("link", [1, 2, 3])),
            first(&streams.branch(1).stream("link", [1, 2, 3])),
        ];
        assert_eq!(firsts, [0x6d70_e35f_d8bd_db09, 0x85fc_b01f_ce43_0f19, 0xb17f_0925_83aa_018c]);
    }

    #[test]
    fn streams_depend_on_every_part_of_their_name() {
        let streams = Streams::new(1);
        let mut all = Vec::new();
        for streams in [streams, Streams::new(2), streams.branch(0), streams.branch(1)] {
            for name in ["link", "client", ""] {
                for key in [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]] {
                    all.push(first(&streams.stream(name, key)));
                }
            }
        }
        all.push(first(&streams.branch(0).branch(0).stream("link", [0; 3])));
        let made = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), made);
        let again = Streams::new(1).stream("link", [1, 2, 3]);
        assert_eq!(first(&again), first(&streams.stream("link", [1, 2, 3])));
    }

    #[test]
    fn below_is_in_range_and_even() {
        let mut stream = Streams::new(3).stream("below", [0; 3]);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Six degrees of freedom: beyond 22.5 once in a thousand seeds.
        let squares = counts.iter().map(|&n| (f64::from(n) - 1e4) * (f64::from(n) - 1e4));
        assert!(squares.sum::<f64>() / 1e4 < 22.5, "{counts:?}");
        let huge = u64::MAX / 3 * 2;
        let over = (0..10_000).filter(|_| stream.below(huge) >= huge / 2).count();
        assert!(over.abs_diff(5000) < 200, "{over}");
        assert_eq!(stream.below(0), 0);
    }

    #[test]
    fn what_is_certain_draws_nothing() {
        let mut stream = Streams::new(4).stream("chance", [0; 3]);
        let before = first(&stream);
        assert!(!stream.chance(Ratio::ZERO));
        assert!(stream.chance(Ratio::new(1, 1)));
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.pick::<u8>(&[]), None);
        assert_eq!(stream.pick_weighted(&[0, 0]), None);
        assert_eq!(first(&stream), before);
        let hits = (0..30_000).filter(|_| stream.chance(Ratio::new(1, 3))).count();
        assert!(hits.abs_diff(10_000) < 330, "{hits}");
    }

    #[test]
    fn weights_and_shuffles_are_even() {
        let mut stream = Streams::new(5).stream("pick", [0; 3]);
        let mut counts = [0u32; 4];
        for _ in 0..40_000 {
            counts[stream.pick_weighted(&[1, 0, 2, 1]).expect("weights")] += 1;
        }
        for (count, expected) in counts.iter().zip([10_000, 0, 20_000, 10_000u32]) {
            assert!(count.abs_diff(expected) < 400, "{counts:?}");
        }
        let mut orders = alloc::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            stream.shuffle(&mut items);
            *orders.entry(items).or_insert(0u32) += 1;
        }
        assert_eq!(orders.len(), 24);
        assert!(orders.values().all(|n| n.abs_diff(1000) < 150), "{orders:?}");
    }

    #[test]
    fn units_cover_their_interval() {
        let mut stream = Streams::new(6).stream("unit", [0; 3]);
        let mut sum = 0.0;
        for _ in 0..10_000 {
            let (unit, open) = (stream.unit(), stream.open_unit());
            assert!((0.0..1.0).contains(&unit) && open > 0.0 && open <= 1.0);
            sum += unit + open;
        }
        assert!((sum / 20_000.0 - 0.5).abs() < 0.01, "{sum}");
    }
}
