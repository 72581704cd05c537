//! `check-history`: somebody else's history, judged.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, say};
use crate::exit::Exit;
use crate::histories::{self, Judged, Model, Options, Verdict};

#[derive(Args, Debug)]
pub(super) struct HistoryArgs {
    /// Jepsen's events (EDN, JSON lines, or as logged), registers in JSON lines, or lines of
    /// r(key,value,session,transaction) and w(..). What it is shows from the content.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the history is judged by.
    #[arg(long)]
    model: Model,
    /// States to look at before a history stays undecided (exit 3).
    #[arg(long, value_name = "STATES", default_value_t = 1_000_000)]
    budget: u64,
    /// What registers and the keys of sessions hold at first [default: 0; registers in logs: nil].
    #[arg(long, value_name = "VALUE")]
    initial: Option<String>,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Stories told of a file with many histories.
const TOLD: usize = 3;

pub(super) fn check_history(args: &HistoryArgs) -> Result<Exit, Failure> {
    let name = args.file.display().to_string();
    let bytes = std::fs::read(&args.file)
        .map_err(|error| Failure::input(format!("{name} cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::input(format!("{name} is not text: byte {at} is not UTF-8"))
    })?;
    let options = Options { model: args.model, budget: args.budget, initial: args.initial.clone() };
    let (format, judged) = histories::judge(&name, &text, &options)
        .map_err(|error| Failure::input(error.to_string()))?;
    let count = |verdict| judged.iter().filter(|one| one.verdict == verdict).count();
    let (held, violated, undecided) =
        (count(Verdict::Held), count(Verdict::Violated), count(Verdict::Undecided));
    let (verdict, exit) = match (violated, undecided) {
        (0, 0) => (Verdict::Held, Exit::Held),
        (0, _) => (Verdict::Undecided, Exit::NotRecovered),
        _ => (Verdict::Violated, Exit::Broke),
    };
    if args.json {
        let result = json!({
            "file": name, "format": format, "model": args.model.name(),
            "verdict": verdict, "histories": judged,
        });
        say(&format!("{result:#}"));
        return Ok(exit);
    }
    let mut out = String::new();
    if let [one] = &judged[..] {
        tell_one(&mut out, one);
    } else {
        let _ = writeln!(
            out,
            "{} histories: {held} held, {violated} violated, {undecided} undecided.",
            judged.len()
        );
        for one in judged.iter().filter(|one| one.verdict != Verdict::Held) {
            let word = word(one.verdict);
            let _ = writeln!(out, "line {}: {word}", one.line);
        }
        let worst = judged.iter().filter(|one| one.verdict != Verdict::Held).take(TOLD);
        for one in worst {
            let _ = write!(out, "\nThe history of line {}. ", one.line);
            tell_one(&mut out, one);
        }
    }
    say(&out);
    Ok(exit)
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Violated => "violated",
        Verdict::Undecided => "undecided",
    }
}

fn tell_one(out: &mut String, one: &Judged) {
    let _ = writeln!(out, "{} operations.", one.operations);
    for finding in &one.findings {
        let _ = writeln!(out, "{}: {}", finding.promise, word(finding.verdict));
        for line in finding.story.lines() {
            let _ = writeln!(out, "  {line}");
        }
    }
}
