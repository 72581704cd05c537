//! `wavetank test`: many seeds of many scenarios.

use std::io::IsTerminal;
use std::ops::Range;

use super::play_once::quoted;
use super::{Failure, TestArgs, find, say, tell, warn};
use crate::campaign::{CampaignError, CampaignResult, campaign};
use crate::exit::Exit;
use crate::interrupt;

/// A range of seeds as people write it.
pub(super) fn seed_range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("`{text}` is not a seed: expected a number"))
    };
    let range = match text.split_once("..") {
        Some((from, to)) => number(from)?..number(to)?,
        None => {
            let seed = number(text)?;
            let end = seed.checked_add(1).ok_or("the seed is too large for a range")?;
            seed..end
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

/// More would not fit a campaign's memory: every seed's Plan is drawn before the first runs.
const MOST_SEEDS: u64 = 1_000_000;

pub(super) fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let entries = find::all(&args.paths, &args.set)?;
    for entry in &entries {
        warn(&entry.scenario);
    }
    let jobs = match args.jobs {
        Some(jobs) => usize::from(jobs.get()),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let total = entries.len() as u64 * (args.seeds.end - args.seeds.start);
    let bar = campaign_bar(total, args.json);
    interrupt::watch();
    let result = campaign(
        &entries,
        args.seeds.clone(),
        jobs,
        |scenario, seed| find::draw(scenario, seed).map_err(|failure| failure.message),
        |done| bar.set_position(done),
    );
    bar.finish_and_clear();
    let result = result.map_err(|error| match error {
        CampaignError::Input(message) => Failure::input(message),
        CampaignError::Threads(message) => Failure { exit: Exit::Surroundings, message },
    })?;
    if args.json {
        let json = serde_json::to_string_pretty(&result)
            .map_err(|e| Failure { exit: Exit::Internal, message: e.to_string() })?;
        say(&json);
    } else {
        say(&campaign_text(&result, &args.set));
    }
    if result.interrupted {
        tell("interrupted: the runs that were over are counted, the others were not played");
    }
    Ok(result.exit())
}

fn campaign_bar(total: u64, quiet: bool) -> indicatif::ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let bar = indicatif::ProgressBar::new(total);
    if let Ok(style) =
        indicatif::ProgressStyle::with_template("  {bar:30} {pos} of {len} runs, {per_sec}")
    {
        bar.set_style(style);
    }
    bar
}

fn campaign_text(result: &CampaignResult, set: &[String]) -> String {
    let mut text = String::new();
    for failure in &result.failures {
        text.push_str(&format!("{} seed {}\n", failure.scenario, failure.seed));
        for expectation in &failure.failures {
            text.push_str(&format!(
                "  {} {}: {}\n",
                expectation.check,
                expectation.verdict.name(),
                expectation.why
            ));
        }
        if let Some(waiting) = &failure.waiting {
            text.push_str(&format!("  did not recover: {waiting}\n"));
        }
        let set: String = set.iter().map(|a| format!(" --set {}", quoted(a))).collect();
        text.push_str(&format!(
            "  again: wavetank run {} --seed {}{set}\n",
            quoted(&failure.scenario),
            failure.seed
        ));
    }
    for rule in &result.rules {
        text.push_str(&format!(
            "{} {}: held for {} of {} seeds, {} asked for: {}\n",
            rule.scenario,
            rule.check,
            rule.held,
            rule.runs,
            rule.seeds,
            if rule.satisfied { "enough" } else { "not enough" }
        ));
    }
    let unsatisfied = result.rules.iter().filter(|rule| !rule.satisfied).count();
    let rules = match (result.rules.len(), unsatisfied) {
        (0, _) => String::new(),
        (total, 0) => format!(" All {total} expectations over seeds are met."),
        (total, n) => format!(" {n} of {total} expectations over seeds are not met."),
    };
    text.push_str(&format!(
        "{} of {} runs held{}.{rules} Digest of all: {}\n",
        result.held,
        result.runs,
        if result.rules.is_empty() { "" } else { " what every seed must" },
        result.digest
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_ranges_are_half_open_and_wrong_ones_say_why() {
        assert_eq!(seed_range("0..3"), Ok(0..3));
        assert_eq!(seed_range("7"), Ok(7..8));
        for wrong in ["", "a..b", "3..3", "9..2", "0..9999999999", "-1..4", "1..x"] {
            assert!(seed_range(wrong).is_err(), "{wrong}");
        }
    }
}
