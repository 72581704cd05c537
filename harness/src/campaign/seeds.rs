//! Which seeds a campaign plays: a range, or a shard of it.

use std::fmt;
use std::ops::Range;

use wavetank_scenario::parse_seed;

/// Results of so many seeds are still kept in memory.
const MOST_SEEDS: u64 = 10_000_000;

/// In more parts nobody cuts a campaign.
const MOST_SHARDS: u64 = 100_000;

/// One of `of` equal parts of the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

impl Shard {
    /// Whether there can be such a one.
    pub fn is_one(self) -> bool {
        (1..=self.of).contains(&self.number) && self.of <= MOST_SHARDS
    }
}

/// Reads `i/n`.
///
/// # Errors
/// In words, when it is nothing of the kind.
pub fn parse_shard(text: &str) -> Result<Shard, String> {
    let wrong = || {
        format!(
            "`{text}` is no shard: expected I/N with I from 1 to N, such as 2/8, and N not above \
             {MOST_SHARDS}"
        )
    };
    let (number, of) = text.split_once('/').ok_or_else(wrong)?;
    let shard = Shard {
        number: number.parse().map_err(|_| wrong())?,
        of: of.parse().map_err(|_| wrong())?,
    };
    if shard.is_one() { Ok(shard) } else { Err(wrong()) }
}

/// Seeds one after the other. Unlike a [`Range`], it can hold the greatest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeedRange {
    /// The first of them.
    pub first: u64,
    /// How many there are.
    pub count: u64,
}

impl SeedRange {
    /// This seed only.
    pub fn one(seed: u64) -> Self {
        SeedRange { first: seed, count: 1 }
    }

    /// Up to but not including the seed `to`; 0 stands for the one after the greatest.
    pub fn between(first: u64, to: u64) -> Self {
        SeedRange { first, count: to.wrapping_sub(first) }
    }

    /// The seed after the last one; 0 after the greatest that there is.
    pub fn to(self) -> u64 {
        self.first.wrapping_add(self.count)
    }
}

impl From<Range<u64>> for SeedRange {
    fn from(range: Range<u64>) -> Self {
        SeedRange { first: range.start, count: range.end.saturating_sub(range.start) }
    }
}

/// As [`parse_seeds`] reads it.
impl fmt::Display for SeedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first.checked_add(self.count) {
            Some(end) => write!(f, "{}..{end}", self.first),
            None => write!(f, "{}..+{}", self.first, self.count),
        }
    }
}

/// Seeds in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    range: SeedRange,
    shard: Shard,
}

impl Seeds {
    /// The part of a range that a shard plays: every `of`-th seed, so that shards are alike.
    pub fn new(range: impl Into<SeedRange>, shard: Option<Shard>) -> Self {
        let range = range.into();
        Seeds { range, shard: shard.unwrap_or(Shard { number: 1, of: 1 }) }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.range.count.saturating_sub(self.shard.number - 1).div_ceil(self.shard.of)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed at that place.
    pub fn at(&self, index: u64) -> u64 {
        self.range.first + (self.shard.number - 1) + index * self.shard.of
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.len()).map(|index| self.at(index))
    }
}

/// Seeds as people write them: `A..B` (without B), `A..+N` (N of them), or one alone. Each may
/// be a git commit hash.
///
/// # Errors
/// In words, when it is nothing of the kind.
pub fn parse_seeds(text: &str) -> Result<SeedRange, String> {
    let seed = |text: &str| parse_seed(text).map_err(|error| error.to_string());
    let range = match text.split_once("..") {
        Some((from, count)) if count.starts_with('+') => {
            let count = count[1..].parse::<u64>();
            let count = count.map_err(|_| format!("`{text}`: how many? expected A..+N"))?;
            SeedRange { first: seed(from)?, count }
        }
        Some((from, to)) => (seed(from)?..seed(to)?).into(),
        None => SeedRange::one(seed(text)?),
    };
    if range.count == 0 {
        return Err(format!("no seed lies in {text}: the end is not included"));
    }
    if range.first.checked_add(range.count - 1).is_none() {
        return Err("the last seed would be beyond 18446744073709551615".to_owned());
    }
    if range.count > MOST_SEEDS {
        return Err(format!("at most {MOST_SEEDS} seeds at once"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_ranges_are_half_open_and_wrong_ones_say_why() {
        let range = |range: Range<u64>| Ok(SeedRange::from(range));
        assert_eq!(parse_seeds("0..3"), range(0..3));
        assert_eq!(parse_seeds("7"), range(7..8));
        assert_eq!(parse_seeds("7..+200"), range(7..207));
        assert_eq!(parse_seeds("deadbeef"), range(0xdead_beef..0xdead_bef0));
        assert_eq!(parse_seeds("deadbeef..+2"), range(0xdead_beef..0xdead_bef1));
        for wrong in
            ["", "a..b", "3..3", "9..2", "0..9999999999", "-1..4", "1..x", "1..+", "1..+0", "1..+x"]
        {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_greatest_seed_is_one_like_any_other() {
        let greatest = parse_seeds("18446744073709551615").unwrap();
        assert_eq!(Seeds::new(greatest, None).iter().collect::<Vec<_>>(), [u64::MAX]);
        assert_eq!(greatest.to_string(), "18446744073709551615..+1");
        assert_eq!(SeedRange::between(u64::MAX, greatest.to()), greatest);
        assert_eq!(parse_seeds(&greatest.to_string()), Ok(greatest));
        let two = parse_seeds("18446744073709551614..+2").unwrap();
        assert_eq!(Seeds::new(two, None).iter().max(), Some(u64::MAX));
        assert!(parse_seeds("18446744073709551615..+2").unwrap_err().contains("beyond"));
    }

    #[test]
    fn shards_share_the_seeds_without_overlap_or_gap() {
        for of in 1..6 {
            let mut all: Vec<u64> = (1..=of)
                .flat_map(|number| {
                    let seeds = Seeds::new(10..23, Some(Shard { number, of }));
                    assert_eq!(seeds.iter().count() as u64, seeds.len());
                    seeds.iter().collect::<Vec<_>>()
                })
                .collect();
            all.sort_unstable();
            assert_eq!(all, (10..23).collect::<Vec<_>>(), "{of} shards");
        }
        assert!(Seeds::new(0..2, Some(Shard { number: 3, of: 3 })).is_empty());
    }

    #[test]
    fn a_shard_is_two_numbers() {
        assert_eq!(parse_shard("2/8"), Ok(Shard { number: 2, of: 8 }));
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2", "1/4000000000"] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
    }
}
