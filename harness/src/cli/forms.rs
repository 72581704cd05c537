//! The forms in which `wavetank test` and `wavetank merge` give their result, and the coverage that
//! they compare with.

use std::path::{Path, PathBuf};

use clap::Args;
use wavetank_reports::{CampaignResult, Coverage, NotUnderstood};
use wavetank_scenario::nearest;

use super::{Failure, say, tell};
use crate::campaign::folder::write_whole;
use crate::exit::Exit;
use crate::words::quoted;

/// The forms in which a campaign's result is given.
#[derive(Args, Debug)]
pub(super) struct Forms {
    /// Writes JUnit XML, for CI servers.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Writes a page of Markdown, for pull requests.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Writes what the campaign has covered: as JSON, or as a picture if FILE ends with .svg.
    #[arg(long, value_name = "FILE")]
    coverage: Option<PathBuf>,
    /// Leaves out of that what was reached less often than N times: it was luck.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "coverage")]
    coverage_least: u64,
    /// Fails (exit 1) when something is not covered that FILE, written by --coverage, has.
    #[arg(long, value_name = "FILE")]
    pub(super) require_coverage: Option<PathBuf>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

impl Forms {
    /// Whether every form has a place to go to: told before hours are played for it.
    pub(super) fn check_places(&self) -> Result<(), Failure> {
        for path in [&self.junit, &self.summary, &self.coverage].into_iter().flatten() {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let wrong = match folder {
                _ if path.is_dir() => "it is a folder",
                Some(folder) if !folder.is_dir() => "its folder is not there",
                _ => continue,
            };
            return Err(Failure::input(format!("cannot write {}: {wrong}", path.display())));
        }
        Ok(())
    }

    /// Writes those that were asked for; whatever happens to one, the others are tried.
    fn write(&self, result: &CampaignResult) -> Result<(), Failure> {
        let reached = &result.coverage.reached;
        let picture = |path: &Path| path.extension().is_some_and(|ending| ending == "svg");
        let written = [
            write_form(self.junit.as_deref(), || result.to_junit()),
            write_form(self.summary.as_deref(), || result.to_markdown()),
            write_form(self.coverage.as_deref(), || {
                let reached = reached.at_least(self.coverage_least);
                match self.coverage.as_deref().is_some_and(picture) {
                    true => reached.to_svg(),
                    false => format!("{:#}\n", reached.to_json()),
                }
            }),
        ];
        written.into_iter().collect()
    }
}

/// What a campaign must cover at least.
pub(super) fn required(path: &Path) -> Result<Coverage, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
    let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let read = value.and_then(|value| Some((Coverage::from_json(&value)?, value)));
    let (coverage, value) = read.ok_or_else(|| {
        let what = "is no coverage: expected a file that `wavetank test --coverage` wrote";
        Failure::input(format!("{} {what}", path.display()))
    })?;
    let wrong = Coverage::not_understood(&value);
    let wrong: Vec<String> = wrong.iter().map(|wrong| not_understood(path, wrong)).collect();
    if wrong.is_empty() { Ok(coverage) } else { Err(Failure::input(wrong.join("\n"))) }
}

fn not_understood(path: &Path, wrong: &NotUnderstood) -> String {
    let NotUnderstood { what, name, names, expected } = wrong;
    let place = path.display();
    if names.contains(&name.as_str()) {
        return format!("{place}: the {what} `{name}` has something else: expected {expected}");
    }
    let help = match nearest(name, names.iter().copied()) {
        Some(near) => format!("a similar name is `{near}`"),
        None => format!("known: {}", names.join(", ")),
    };
    format!("{place}: no {what} is called `{name}`: {help}")
}

/// Gives the result in all the forms that were asked for, and says how the command ends.
pub(super) fn conclude(result: &CampaignResult, forms: &Forms) -> Result<Exit, Failure> {
    if forms.json {
        say(&result.to_json());
    } else {
        say(&campaign_text(result));
    }
    let exits = result.failures.iter().map(|failed| match failed.result.exit {
        4 => Exit::Internal,
        3 => Exit::NotRecovered,
        _ => Exit::Broke,
    });
    let worst = exits.fold(Exit::Held, Exit::worst);
    let lacks = result.lacking();
    if !lacks.is_empty() {
        tell(&format!("not covered, though required: {}", lacks.join(", ")));
    }
    for missing in &result.missing {
        tell(&format!("not whole: {missing}"));
    }
    // What was played for hours is on the screen by now.
    forms.write(result)?;
    let broke = result.unmet() > 0 || !lacks.is_empty();
    let exit = if broke { worst.worst(Exit::Broke) } else { worst };
    // A seed that failed has failed however few there were; what all seeds together do not come up
    // to may be for want of them.
    let too_little = !result.missing.is_empty() && result.failures.is_empty();
    Ok(if too_little { exit.worst(Exit::Surroundings) } else { exit })
}

fn write_form(path: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    match path {
        Some(path) => Ok(write_whole(path, &text())?),
        None => Ok(()),
    }
}

fn campaign_text(result: &CampaignResult) -> String {
    let mut text = String::new();
    for failure in &result.failures {
        let seed = &failure.result;
        text.push_str(&format!("{} seed {}\n", seed.scenario, seed.seed));
        for expectation in &seed.failures {
            text.push_str(&format!(
                "  {} {}: {}\n",
                expectation.check,
                expectation.verdict.name(),
                expectation.why
            ));
        }
        if let Some(waiting) = &seed.waiting {
            text.push_str(&format!("  did not recover: {waiting}\n"));
        }
        if let Some(error) = &seed.error {
            text.push_str(&format!("  internal error: {error}\n"));
        }
        text.push_str(&format!("  again: {}\n", failure.command));
        if let Some(folder) = &failure.folder {
            text.push_str(&format!("  kept:  {folder}\n"));
        }
        if let Some(small) = &failure.smallest {
            text.push_str(&format!("  small: wavetank run {}\n", quoted(&small.file)));
        }
    }
    for rule in &result.rules {
        text.push_str(&format!(
            "{} {}: held for {} of {} seeds, {} asked for: {}\n",
            rule.scenario,
            rule.check,
            rule.held,
            rule.runs,
            rule.seeds,
            match (rule.satisfied, result.one_shard) {
                (_, true) => "judged when the shards are merged",
                (true, false) => "enough",
                (false, false) => "not enough",
            }
        ));
        if let Some(one) = &rule.failing {
            text.push_str(&format!("  again: {}\n", one.command));
            text.extend(one.folder.iter().map(|folder| format!("  kept:  {folder}\n")));
        }
    }
    if !result.coverage.never.is_empty() {
        let never = result.coverage.never.join(", ");
        text.push_str(&format!("planned, but never took effect: {never}\n"));
    }
    text.push_str(&format!("covered: {}\n", result.coverage.reached.headline()));
    let rules = match (result.rules.len(), result.unmet()) {
        (0, _) => String::new(),
        (n, _) if result.one_shard => format!(" {n} expectations over seeds are left to `merge`."),
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
