//! A campaign as a page of Markdown, as a pull request or a CI job shows it.

use std::fmt::Write;

use super::{CampaignResult, Ended, effects};
use crate::words::grouped;

/// More failures than this are counted, not told.
const MOST_TOLD: usize = 20;

pub(super) fn text(result: &CampaignResult) -> String {
    let failed = result.failures.len();
    let unmet = result.unmet();
    let lacking = result.lacking();
    let mut text = String::from("# wavetank: ");
    text += &match (result.runs, failed, unmet) {
        (0, _, _) => "nothing was played".to_owned(),
        (runs, 0, 0) => format!("all {} runs held", grouped(runs)),
        (runs, 0, unmet) => {
            format!("{} runs, {unmet} expectations over seeds not met", grouped(runs))
        }
        (runs, failed, _) => format!("{failed} of {} runs failed", grouped(runs)),
    };
    if result.runs > 0 && !result.missing.is_empty() {
        text += ", but not all that was asked for was played";
    }
    if !lacking.is_empty() {
        text += ", required coverage not reached";
    }
    text += "\n\n";
    match result.ended {
        Ended::Whole => {}
        Ended::TimeLimit => text += "The time was over before every seed was played.\n\n",
        Ended::Interrupted => text += "Interrupted: not every seed was played.\n\n",
        Ended::Incomplete => text += "Not every part of the campaign is there.\n\n",
    }
    text += "| scenario | seeds | held | faults that took effect |\n|---|--:|--:|---|\n";
    for tally in &result.scenarios {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            cell(&tally.scenario),
            grouped(tally.runs),
            grouped(tally.held),
            cell(&effects(&tally.faults))
        );
    }
    if !result.coverage.never.is_empty() {
        let _ = write!(
            text,
            "\nPlanned, but never took effect: {}.\n",
            result.coverage.never.join(", ")
        );
    }
    if !result.missing.is_empty() {
        text += "\n## Not played, though asked for\n\n";
        result.missing.iter().for_each(|what| text += &format!("- {}\n", cell(what)));
    }
    if !lacking.is_empty() {
        text += "\n## Not covered, though required\n\n";
        lacking.iter().for_each(|what| text += &format!("- {}\n", cell(what)));
    }
    if failed > 0 {
        text += "\n## Failures\n";
    }
    for failure in result.failures.iter().take(MOST_TOLD) {
        let seed = &failure.result;
        let _ = write!(text, "\n### {} seed {}\n\n", cell(&seed.scenario), seed.seed);
        for broken in &seed.failures {
            let _ = writeln!(
                text,
                "- **{}** {}: {}",
                cell(&broken.check),
                broken.verdict.name(),
                cell(&broken.why)
            );
        }
        if let Some(waiting) = &seed.waiting {
            let _ = writeln!(text, "- **did not recover**: {}", cell(waiting));
        }
        if let Some(error) = &seed.error {
            let _ = writeln!(text, "- **internal error**: {}", cell(error));
        }
        if let Some(small) = &failure.smallest {
            let _ = writeln!(
                text,
                "- shrunk to {} faults, {} instances, {} operations, {} s: `{}`",
                small.faults, small.instances, small.operations, small.seconds, small.file
            );
        }
        write_again(&mut text, failure.folder.as_deref(), &failure.command);
    }
    if failed > MOST_TOLD {
        let _ = write!(text, "\n{} more failed.\n", failed - MOST_TOLD);
    }
    if !result.rules.is_empty() {
        text += "\n## Over all seeds\n\n| scenario | check | held | asked for | |\n";
        text += "|---|---|--:|---|---|\n";
    }
    for rule in &result.rules {
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} |",
            cell(&rule.scenario),
            cell(&rule.check),
            rule.held,
            rule.runs,
            cell(&rule.seeds),
            match (rule.satisfied, result.one_shard) {
                (_, true) => "judged when merged",
                (true, false) => "met",
                (false, false) => "**not met**",
            }
        );
    }
    // What is not judged yet is no finding yet.
    for rule in result.rules.iter().filter(|_| !result.one_shard) {
        let Some(one) = &rule.failing else { continue };
        let (scenario, check) = (cell(&rule.scenario), cell(&rule.check));
        let _ = write!(text, "\n### {scenario}: {check} did not hold for seed {}\n\n", one.seed);
        if let Some(copy) = one.copy_seed {
            let _ = writeln!(text, "- in the cluster with seed {copy}");
        }
        write_again(&mut text, one.folder.as_deref(), &one.command);
    }
    if !result.found.is_empty() {
        text += "\n## Anomalies\n\n| scenario | check | seeds with any | in all | most in one |\n";
        text += "|---|---|--:|--:|--:|\n";
    }
    for found in &result.found {
        let _ = writeln!(
            text,
            "| {} | {} | {} of {} | {} | {} |",
            cell(&found.scenario),
            cell(&found.check),
            found.runs_with,
            found.runs,
            grouped(found.total),
            grouped(found.most)
        );
    }
    let _ = write!(
        text,
        "\n<details><summary>Coverage: {}</summary>\n\n```text\n{}```\n\n</details>\n",
        result.coverage.reached.headline(),
        result.coverage.reached.table()
    );
    let simulated: f64 = result.scenarios.iter().map(|tally| tally.simulated_seconds).sum();
    let _ = write!(
        text,
        "\n{} virtual seconds in {:.1} s. Version {}, digest `{}`.\n",
        grouped(simulated as u64),
        result.wall_seconds,
        result.version,
        result.digest
    );
    text
}

/// Where a run is kept, if it is, and what plays it again.
fn write_again(text: &mut String, folder: Option<&str>, command: &str) {
    if let Some(folder) = folder {
        let _ = writeln!(text, "- kept: `{folder}`");
    }
    let _ = write!(text, "\n```sh\n{}\n```\n", command.replace("```", ""));
}

/// Text in a table or a list, where it must not begin something of Markdown's own.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '*' | '`' | '[' | ']' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
