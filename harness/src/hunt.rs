//! How good are the checks? Plants one bug at a time in product code, and plays the seeds of
//! scenarios in order until one fails that holds without the bug; then shrinks it.
//!
//! Only in builds with the feature `planted-bugs`. The seeds of a bug are played one after the
//! other, so how many it takes does not depend on the number of workers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use wavetank_reports::{SeedResult, Verdict};
use wavetank_scenario::{Plan, Scenario};
use wavetank_vocabulary::PlantedBugs;

use crate::campaign::{Bases, CampaignError, Deadline, Entry, Seeds, Work, one};
use crate::play::Own;
use crate::shrink::shrink;

/// How a bug was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The scenario, as the user named it.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The check that broke; or in words, that the cluster did not recover or an invariant broke.
    pub check: String,
    /// The smallest scenario that still fails; none when it could not be shrunk.
    pub small: Option<Small>,
}

/// What a failing run was shrunk to.
#[derive(Clone, Copy, Debug)]
pub struct Small {
    /// Faults.
    pub faults: usize,
    /// Operations of clients.
    pub operations: usize,
    /// Virtual time that it plays, in seconds.
    pub seconds: f64,
    /// Real time that shrinking took.
    pub wall: Duration,
}

/// What became of the hunt for one bug.
#[derive(Clone, Debug)]
pub struct Trail {
    /// The bug.
    pub bug: PlantedBugs,
    /// Its name.
    pub name: &'static str,
    /// How it was found, if it was.
    pub found: Option<Found>,
    /// Runs with the bug, the one that failed among them.
    pub runs: u64,
    /// Seeds that were left out, as they fail without the bug.
    pub unclean: u64,
    /// Real time until it was found, or given up.
    pub wall: Duration,
}

/// How long, and over what, a bug is hunted.
#[derive(Clone, Copy, Debug)]
pub struct Hunt<'a> {
    /// The scenarios, played folder by folder in turn.
    pub entries: &'a [Entry],
    /// At most so many runs.
    pub most_runs: u64,
    /// At most so long.
    pub limit: Duration,
    /// How long what was found is shrunk at most.
    pub shrink_limit: Duration,
}

impl Hunt<'_> {
    /// Hunts one bug. `draw` gives the Plan of a scenario and a seed.
    ///
    /// # Errors
    /// When a scenario cannot be drawn.
    pub fn hunt(
        &self,
        bug: PlantedBugs,
        name: &'static str,
        draw: &(impl Fn(&Scenario, u64) -> Result<Plan, String> + Sync),
    ) -> Result<Trail, CampaignError> {
        let started = Instant::now();
        let digests = vec![String::new(); self.entries.len()];
        let work = Work {
            entries: self.entries,
            digests: &digests,
            seeds: vec![Seeds::new(0..self.most_runs, None); self.entries.len()],
            jobs: 1,
            until: Deadline::at(started + self.limit),
            // Only playing again shows that a run is not the same each time.
            twice: bug == PlantedBugs::NONDETERMINISM,
            own: Own::default(),
            known: BTreeMap::new(),
        };
        let plant = |scenario: &Scenario, seed| {
            draw(scenario, seed).map(|plan| Plan { bugs: plan.bugs | bug, ..plan })
        };
        let bases = Mutex::new(Bases::default());
        let mut trail = Trail { bug, name, found: None, runs: 0, unclean: 0, wall: Duration::ZERO };
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.name.as_str()).collect();
        for (number, seed) in turns(&names) {
            if trail.runs == self.most_runs {
                break;
            }
            let Some(result) = one(&work, number, seed, &bases, &plant)? else { break };
            trail.runs += 1;
            if result.held() {
                continue;
            }
            trail.wall = started.elapsed();
            let Some(clean) = one(&work, number, seed, &bases, draw)? else { break };
            if !clean.held() {
                trail.unclean += 1;
                continue;
            }
            let plan = plant(&self.entries[number].scenario, seed).map_err(CampaignError::Input)?;
            let began = Instant::now();
            let until = began + self.shrink_limit;
            let small = shrink(&plan, Some(until), |_, _, _| {}).map(|shrunk| Small {
                faults: shrunk.plan.faults.len(),
                operations: shrunk.operations,
                seconds: shrunk.plan.duration.as_secs_f64(),
                wall: began.elapsed(),
            });
            let scenario = self.entries[number].name.clone();
            trail.found = Some(Found { scenario, seed, check: check_of(&result), small });
            return Ok(trail);
        }
        trail.wall = started.elapsed();
        Ok(trail)
    }
}

/// In which order scenarios and seeds are played, without end: the folders take turns, and each
/// plays its scenarios seed by seed. So a folder of many scenarios, each about one outage, does not
/// keep those of few waiting, in which more can go wrong.
fn turns(names: &[&str]) -> impl Iterator<Item = (usize, u64)> {
    let mut folders: Vec<(&str, Vec<usize>)> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        match folders.iter_mut().find(|(known, _)| *known == folder) {
            Some((_, numbers)) => numbers.push(number),
            None => folders.push((folder, vec![number])),
        }
    }
    let folders: Vec<Vec<usize>> = folders.into_iter().map(|(_, numbers)| numbers).collect();
    let rounds = if folders.is_empty() { 0..0 } else { 0..u64::MAX };
    rounds.flat_map(move |round| {
        let place = |numbers: &Vec<usize>| {
            let count = numbers.len() as u64;
            (numbers[(round % count) as usize], round / count)
        };
        folders.iter().map(place).collect::<Vec<_>>()
    })
}

/// By what a run failed.
fn check_of(result: &SeedResult) -> String {
    if let Some(error) = &result.error {
        let first = error.split(':').next().unwrap_or_default();
        let lines = first.lines().next().unwrap_or_default();
        return if first.starts_with("not deterministic") {
            first.to_owned()
        } else {
            format!("invariant: {lines}")
        };
    }
    let broke = result.failures.iter().find(|failure| failure.verdict == Verdict::Broke);
    match (broke, &result.waiting) {
        (Some(broke), _) => broke.check.clone(),
        (None, Some(_)) => "did not recover".to_owned(),
        (None, None) => {
            let first = result.failures.first().map_or("", |failure| &failure.check);
            format!("{first} (not exercised)")
        }
    }
}

/// The table of all trails, as Markdown.
pub fn table(trails: &[Trail]) -> String {
    let mut text = String::from(
        "| planted bug | what is wrong | found by | check | runs | seconds | shrunk in [s] | faults left | operations left | seconds left |\n\
         |---|---|---|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for trail in trails {
        let about = cell(trail.bug.about().trim());
        let wall = trail.wall.as_secs_f64();
        // Writing to a string cannot fail.
        let _ = write!(text, "| `{}` | {about} | ", trail.name);
        let _ = match &trail.found {
            None => writeln!(text, "**not found** | | {} | {wall:.1} | | | | |", trail.runs),
            Some(found) => {
                let name =
                    found.scenario.rsplit_once("scenarios/").map_or(&*found.scenario, |r| r.1);
                let _ = write!(
                    text,
                    "{} seed {} | {} | {} | {wall:.1} | ",
                    cell(name),
                    found.seed,
                    cell(&found.check),
                    trail.runs,
                );
                match found.small {
                    Some(Small { faults, operations, seconds, wall }) => {
                        let wall = wall.as_secs_f64();
                        writeln!(text, "{wall:.1} | {faults} | {operations} | {seconds:.0} |")
                    }
                    None => writeln!(text, "– | – | – | – |"),
                }
            }
        };
    }
    text
}

/// What the table comes to, in sentences.
pub fn summary(trails: &[Trail]) -> String {
    // Of an even number, the mean of the two in the middle.
    fn median(mut all: Vec<f64>) -> Option<f64> {
        all.sort_by(f64::total_cmp);
        let (low, high) = (all.get(all.len().saturating_sub(1) / 2)?, all.get(all.len() / 2)?);
        Some((low + high) / 2.0)
    }
    let found: Vec<&Found> = trails.iter().filter_map(|trail| trail.found.as_ref()).collect();
    let mut text = format!("{} of {} planted bugs were found.", found.len(), trails.len());
    let small = || found.iter().filter_map(|found| found.small);
    let middle = |of: fn(Small) -> f64| median(small().map(of).collect());
    if let (Some(faults), Some(operations), Some(seconds), Some(wall)) = (
        middle(|small| small.faults as f64),
        middle(|small| small.operations as f64),
        middle(|small| small.seconds),
        middle(|small| small.wall.as_secs_f64()),
    ) {
        let _ = write!(
            text,
            " The median of what was shrunk: {faults} faults, {operations} operations, \
             {seconds:.0} s of virtual time; that it took: {wall:.1} s."
        );
    }
    let unclean: u64 = trails.iter().map(|trail| trail.unclean).sum();
    if unclean > 0 {
        let _ = write!(text, " {unclean} runs were left out, as they fail without a bug.");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_take_turns_and_play_their_scenarios_seed_by_seed() {
        let order: Vec<_> = turns(&["a/x", "b/x", "a/y", "c"]).take(10).collect();
        let first = [(0, 0), (1, 0), (3, 0), (2, 0), (1, 1), (3, 1)];
        assert_eq!(order[..6], first);
        assert_eq!(order[6..], [(0, 1), (1, 2), (3, 2), (2, 1)]);
        assert_eq!(turns(&[]).next(), None);
    }

    #[test]
    fn a_row_says_how_a_bug_was_found_or_that_it_was_not() {
        let small = |faults, operations, seconds: u32| Small {
            faults,
            operations,
            seconds: seconds.into(),
            wall: Duration::from_secs(4),
        };
        let found = Found {
            scenario: "scenarios/quick/a.toml".into(),
            seed: 7,
            check: "recovers".into(),
            small: Some(small(1, 2, 30)),
        };
        let wall = Duration::from_millis(1500);
        let trail = |name, found| Trail {
            bug: PlantedBugs::SYNC_SKIPPED,
            name,
            found,
            runs: 9,
            unclean: 0,
            wall,
        };
        let trails = [trail("one", Some(found.clone())), trail("two", None)];
        let rows: Vec<String> = table(&trails).lines().skip(2).map(str::to_owned).collect();
        let about = "The store acknowledges a commit without syncing its log.";
        assert_eq!(
            rows[0],
            format!(
                "| `one` | {about} | quick/a.toml seed 7 | recovers | 9 | 1.5 | 4.0 | 1 | 2 | 30 |"
            )
        );
        assert_eq!(rows[1], format!("| `two` | {about} | **not found** | | 9 | 1.5 | | | | |"));
        assert!(summary(&trails).starts_with("1 of 2 planted bugs were found. The median"));
        let other = Found { small: Some(small(2, 5, 10)), ..found };
        let even = summary(&[trails[0].clone(), trail("three", Some(other))]);
        let median = "1.5 faults, 3.5 operations, 20 s of virtual time; that it took: 4.0 s";
        assert!(even.contains(median), "{even}");
    }
}
