//! `wavetank shrink`: from a seed that fails to a scenario of a few lines that still does.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use wavetank_scenario::{Plan, to_brief_text};
use wavetank_world::{GraphSource, Popularity};

use super::test::wall_time;
use super::{Failure, Subject, find, say, tell, warn};
use crate::campaign::folder::write_whole;
use crate::exit::Exit;
use crate::interrupt;
use crate::shrink::{Shrunk, shrink as shrink_plan};

#[derive(Args, Debug)]
pub(super) struct ShrinkArgs {
    #[command(flatten)]
    subject: Subject,
    /// Gives the smallest that was found by then, e.g. 2m; 0s tries everything.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = wall_time)]
    time_limit: Duration,
    /// Where the small scenario goes; never over a file that is there [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn shrink(args: &ShrinkArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.scenario()?;
    warn(&scenario);
    let seed = args.subject.seed(&scenario)?;
    let plan = find::draw(&scenario, seed)?;
    if let Some(out) = args.out.as_deref().filter(|out| out.exists()) {
        return Err(Failure::input(format!("{} is there already", out.display())));
    }
    interrupt::watch();
    let until = (!args.time_limit.is_zero()).then(|| Instant::now() + args.time_limit);
    let name = args.subject.file.display().to_string();
    let Some(shrunk) = shrink_plan(&plan, until, progress) else {
        clear();
        let why = match interrupt::asked() {
            true => "interrupted before anything was found".to_owned(),
            false => format!(
                "nothing to shrink: no expectation of {name} breaks with seed {seed} in this time"
            ),
        };
        return Err(Failure::input(why));
    };
    clear();
    let text = small_text(&shrunk, &name, args.subject.file.parent());
    tell(&figures(&shrunk));
    match &args.out {
        Some(out) => {
            write_whole(out, &text)?;
            tell(&format!("again: wavetank run {}", crate::words::quoted(&out.to_string_lossy())));
        }
        None => say(&text),
    }
    Ok(Exit::Held)
}

/// What is left, in a line.
pub(super) fn figures(shrunk: &Shrunk) -> String {
    format!(
        "{}: {}, {} runs{}",
        shrunk.reason,
        size(&shrunk.plan, Some(shrunk.operations)),
        shrunk.runs,
        if shrunk.whole { "" } else { ", and the time was over" }
    )
}

fn size(plan: &Plan, operations: Option<usize>) -> String {
    let operations = operations.map_or_else(|| "all".to_owned(), |n| n.to_string());
    format!(
        "{} faults, {} instances, {operations} operations, {} of virtual time",
        plan.faults.len(),
        plan.instances.len(),
        plan.duration
    )
}

/// The small Plan as a scenario that says what it shows and where it came from. `beside` is the
/// folder from which the scenario named its files.
pub(super) fn small_text(shrunk: &Shrunk, scenario: &str, beside: Option<&Path>) -> String {
    let mut plan = shrunk.plan.clone();
    plan.about = format!(
        "Shrunk from {scenario} seed {}, which shows: {}. {}",
        plan.seed, shrunk.reason, shrunk.why
    );
    if let GraphSource::Edges { path, .. } = &mut plan.graph.source
        && let Ok(whole) = fs::canonicalize(beside.unwrap_or(Path::new(".")).join(&*path))
    {
        // The small one may lie anywhere.
        *path = whole.to_string_lossy().into_owned();
    }
    for client in &mut plan.clients {
        let whole = |path: &str| {
            let whole = fs::canonicalize(beside.unwrap_or(Path::new(".")).join(path));
            whole.map_or_else(|_| path.to_owned(), |whole| whole.to_string_lossy().into_owned())
        };
        if let Some(recorded) = &mut client.recorded {
            let path = whole(&recorded.path);
            std::sync::Arc::make_mut(recorded).path = path;
        }
        if let Popularity::Table(table) = &mut client.popularity {
            let path = whole(&table.path);
            std::sync::Arc::make_mut(table).path = path;
        }
    }
    to_brief_text(&plan)
}

/// A line on standard error that is written over, where it can be.
pub(super) fn progress(what: &str, plan: &Plan, runs: u64) {
    if std::io::stderr().is_terminal() {
        let operations = plan.clients.iter().map(|c| c.only.as_ref().map(Vec::len)).sum();
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K  {runs} runs, now {what}: {}",
            size(plan, operations)
        );
    }
}

pub(super) fn clear() {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
