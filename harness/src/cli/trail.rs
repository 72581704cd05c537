//! `wavetank trail`, and asking another command for its own: by what two builds are compared.

use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::Args;
use wavetank_world::{BaseGraph, Plan, World};

use super::{Failure, Subject, find, say};
use crate::determinism::across::{Written, against, read, write};
use crate::determinism::{Comparison, Nobody, disturbed};
use crate::exit::Exit;
use crate::interrupt;

#[derive(Args, Debug)]
pub(super) struct TrailArgs {
    #[command(flatten)]
    subject: Subject,
    /// Prints these events, too, the last one not included; at most 262144 of them.
    #[arg(long, value_name = "A..B", value_parser = range)]
    events: Option<Range<u64>>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let numbers = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    numbers.ok_or_else(|| format!("`{text}` is no range: expected A..B, such as 4096..8192"))
}

pub(super) fn trail(args: &TrailArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.one_cluster()?;
    let plan = Arc::new(find::draw(&scenario, args.subject.seed(&scenario)?)?);
    interrupt::watch();
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let text = write(World::new(disturbed(&plan), base, Nobody), args.events.clone());
    let Some(text) = text else {
        let message = "interrupted before the run was over".to_owned();
        return Err(Failure { exit: Exit::Surroundings, message });
    };
    say(&text);
    Ok(Exit::Held)
}

/// Compares the run with the same one played by another command.
pub(super) fn compare_with(
    command: &Path,
    subject: &Subject,
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
) -> Result<Option<Comparison>, Failure> {
    let make = || World::new(disturbed(plan), base.clone(), Nobody);
    against(make, |events| ask(command, subject, plan.seed, events))
}

fn ask(
    command: &Path,
    subject: &Subject,
    seed: u64,
    events: Option<&Range<u64>>,
) -> Result<Written, Failure> {
    let mut other = Command::new(command);
    other.arg("trail").arg(&subject.file).arg("--seed").arg(seed.to_string());
    for assignment in &subject.set {
        other.arg("--set").arg(assignment);
    }
    if let Some(range) = events {
        other.arg("--events").arg(format!("{}..{}", range.start, range.end));
    }
    let done = other.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let done = done.map_err(|error| {
        Failure::input(format!("{} cannot be started: {error}", command.display()))
    })?;
    let text = String::from_utf8_lossy(&done.stdout);
    let written = if done.status.success() { read(&text) } else { None };
    written.ok_or_else(|| {
        let what = "wrote no trail of this run: expected another build of wavetank";
        Failure::input(format!("{} {what}", command.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_events_is_two_numbers() {
        assert_eq!(range("4096..8192"), Ok(4096..8192));
        for wrong in ["", "1", "1..", "..2", "a..b", "1..=2"] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }
}
