//! Whether the parts of a campaign are the whole of it: what each start of `wavetank test` was
//! asked for, kept in its folder, against the results that are there.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use wavetank_reports::{Ended, SeedResult};

use super::seeds::{SeedRange, Seeds, Shard};

/// What one start was asked to play, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The scenarios, as the user named them.
    pub scenarios: Vec<String>,
    /// The first seed.
    pub from: u64,
    /// The seed after the last one; 0 after the greatest that there is.
    pub to: u64,
    /// Which shard of the seeds.
    pub shard: u64,
    /// Of how many.
    pub of: u64,
    /// With fewer seeds than this the time was over too early.
    pub min_seeds: u64,
    /// How it ended; none while it is under way, or when it could not end.
    pub ended: Option<Ended>,
}

impl Asked {
    /// Whether the other start was asked for the same runs.
    pub(super) fn same_runs(&self, other: &Asked) -> bool {
        let runs = |a: &Asked| (a.from, a.to, a.shard, a.of);
        runs(self) == runs(other) && self.scenarios == other.scenarios
    }

    /// Whether it can have been asked: a file may have been changed by hand.
    pub(super) fn is_sound(&self) -> bool {
        Shard { number: self.shard, of: self.of }.is_one()
    }

    fn name(&self) -> String {
        format!("shard {}/{} of seeds {}", self.shard, self.of, self.range())
    }

    fn range(&self) -> SeedRange {
        SeedRange::between(self.from, self.to)
    }

    fn seeds(&self) -> Seeds {
        Seeds::new(self.range(), Some(Shard { number: self.shard, of: self.of }))
    }
}

/// How the campaign of these parts ended, and what keeps it from being one: a line each.
pub fn wholeness(
    scenarios: &[String],
    asked: &[Asked],
    results: &[SeedResult],
) -> (Ended, Vec<String>) {
    let there: BTreeSet<(&str, u64)> =
        results.iter().map(|result| (result.scenario.as_str(), result.seed)).collect();
    let (mut ended, mut lacks) = (Ended::Whole, Vec::new());
    let mut ends = |how: Ended| {
        let weight = |ended: Ended| match ended {
            Ended::Whole => 0,
            Ended::TimeLimit => 1,
            Ended::Incomplete => 2,
            Ended::Interrupted => 3,
        };
        if weight(how) > weight(ended) {
            ended = how;
        }
    };
    for scenario in scenarios {
        let of_this = || asked.iter().filter(|asked| asked.scenarios.contains(scenario));
        if of_this().next().is_none() {
            ends(Ended::Incomplete);
            lacks.push(format!("{scenario}: no part says which seeds it was asked for"));
        }
        let mut shards: BTreeMap<(u64, u64, u64), BTreeSet<u64>> = BTreeMap::new();
        for part in of_this() {
            shards.entry((part.from, part.to, part.of)).or_default().insert(part.shard);
            let seeds = part.seeds();
            let played =
                seeds.iter().filter(|seed| there.contains(&(scenario.as_str(), *seed))).count();
            let (played, total) = (played as u64, seeds.len());
            if played == total {
                continue;
            }
            match part.ended {
                Some(Ended::TimeLimit) => {
                    ends(Ended::TimeLimit);
                    if played >= part.min_seeds.clamp(1, total) {
                        continue;
                    }
                }
                Some(Ended::Interrupted) => ends(Ended::Interrupted),
                // It is under way, or was killed, or somebody took results away.
                _ => ends(Ended::Incomplete),
            }
            lacks.push(format!("{scenario}: {} has {played} of {total} runs", part.name()));
        }
        for ((from, to, of), numbers) in shards {
            let range = SeedRange::between(from, to);
            for shard in (1..=of).filter(|number| !numbers.contains(number)) {
                let seeds = Seeds::new(range, Some(Shard { number: shard, of }));
                // Somebody else may have played them, say with another number of shards.
                if seeds.iter().all(|seed| there.contains(&(scenario.as_str(), seed))) {
                    continue;
                }
                ends(Ended::Incomplete);
                lacks.push(format!("{scenario}: shard {shard}/{of} of seeds {range} is missing"));
            }
        }
    }
    (ended, lacks)
}
