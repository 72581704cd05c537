//! Which seeds a campaign plays: a range, or a shard of it.

use std::ops::Range;

use wavetank_scenario::parse_seed;

/// Results of so many seeds are still kept in memory.
const MOST_SEEDS: u64 = 10_000_000;

/// One of `of` equal parts of the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub number: u64,
    /// Of how many.
    pub of: u64,
}

/// Reads `i/n`.
///
/// # Errors
/// In words, when it is nothing of the kind.
pub fn parse_shard(text: &str) -> Result<Shard, String> {
    let wrong = || format!("`{text}` is no shard: expected I/N with I from 1 to N, such as 2/8");
    let (number, of) = text.split_once('/').ok_or_else(wrong)?;
    let shard = Shard {
        number: number.parse().map_err(|_| wrong())?,
        of: of.parse().map_err(|_| wrong())?,
    };
    if shard.number == 0 || shard.number > shard.of { Err(wrong()) } else { Ok(shard) }
}

/// Seeds in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds {
    range: Range<u64>,
    shard: Shard,
}

impl Seeds {
    /// The part of a range that a shard plays: every `of`-th seed, so that shards are alike.
    pub fn new(range: Range<u64>, shard: Option<Shard>) -> Self {
        Seeds { range, shard: shard.unwrap_or(Shard { number: 1, of: 1 }) }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        let total = self.range.end.saturating_sub(self.range.start);
        total.saturating_sub(self.shard.number - 1).div_ceil(self.shard.of)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The seed at that place.
    pub fn at(&self, index: u64) -> u64 {
        self.range.start + (self.shard.number - 1) + index * self.shard.of
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
pub fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let seed = |text: &str| parse_seed(text).map_err(|error| error.to_string());
    let beyond = || "the last seed would be beyond 18446744073709551615".to_owned();
    let range = match text.split_once("..") {
        Some((from, count)) if count.starts_with('+') => {
            let from = seed(from)?;
            let count = count[1..].parse::<u64>();
            let count = count.map_err(|_| format!("`{text}`: how many? expected A..+N"))?;
            from..from.checked_add(count).ok_or_else(beyond)?
        }
        Some((from, to)) => seed(from)?..seed(to)?,
        None => {
            let seed = seed(text)?;
            seed..seed.checked_add(1).ok_or_else(beyond)?
        }
    };
    if range.is_empty() {
        return Err(format!("no seed lies in {text}: the end is not included"));
    }
    if range.end - range.start > MOST_SEEDS {
        return Err(format!("at most {MOST_SEEDS} seeds at once"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_ranges_are_half_open_and_wrong_ones_say_why() {
        assert_eq!(parse_seeds("0..3"), Ok(0..3));
        assert_eq!(parse_seeds("7"), Ok(7..8));
        assert_eq!(parse_seeds("7..+200"), Ok(7..207));
        assert_eq!(parse_seeds("deadbeef"), Ok(0xdead_beef..0xdead_bef0));
        assert_eq!(parse_seeds("deadbeef..+2"), Ok(0xdead_beef..0xdead_bef1));
        for wrong in
            ["", "a..b", "3..3", "9..2", "0..9999999999", "-1..4", "1..x", "1..+", "1..+0", "1..+x"]
        {
            assert!(parse_seeds(wrong).is_err(), "{wrong}");
        }
        assert!(parse_seeds("18446744073709551615").is_err());
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
        for wrong in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
    }
}
