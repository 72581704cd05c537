//! `wavetank shrink`: from a seed that fails to a scenario of a few lines that still does.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
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
    let scenario = args.subject.one_cluster()?;
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
    let to = args.out.as_deref().and_then(Path::parent);
    let text = small_text(&shrunk, &name, args.subject.file.parent(), to);
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
        match (shrunk.whole, interrupt::asked()) {
            (true, _) => "",
            (false, true) => ", and it was interrupted",
            (false, false) => ", and the time was over",
        }
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

/// The small Plan as a scenario that says what it shows and where it came from. The scenario named
/// its files from the folder `beside`; the small one goes `to` a folder, and names them from there.
/// Where that is not known, it names them as they were written.
pub(super) fn small_text(
    shrunk: &Shrunk,
    scenario: &str,
    beside: Option<&Path>,
    to: Option<&Path>,
) -> String {
    let mut plan = shrunk.plan.clone();
    plan.about = format!(
        "Shrunk from {scenario} seed {}, which shows: {}. {}",
        plan.seed, shrunk.reason, shrunk.why
    );
    let from_there = |path: &str| {
        let here = |folder: Option<&Path>| match folder {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        to.and_then(|to| relative(&here(beside).join(path), &here(Some(to))))
            .unwrap_or_else(|| path.to_owned())
    };
    if let GraphSource::Edges { path, .. } = &mut plan.graph.source {
        *path = from_there(path);
    }
    for client in &mut plan.clients {
        if let Some(recorded) = &mut client.recorded {
            let path = from_there(&recorded.path);
            Arc::make_mut(recorded).path = path;
        }
        if let Popularity::Table(table) = &mut client.popularity {
            let path = from_there(&table.path);
            Arc::make_mut(table).path = path;
        }
    }
    to_brief_text(&plan)
}

/// The path of a file that is there from a folder that need not be there yet.
fn relative(file: &Path, folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.as_os_str().is_empty() || path.exists())?;
    let rest = folder.strip_prefix(there).ok()?;
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    let (file, folder) = (fs::canonicalize(file).ok()?, fs::canonicalize(there).ok()?.join(rest));
    let common = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(common).map(|_| Component::ParentDir);
    let path: PathBuf = up.chain(file.components().skip(common)).collect();
    // Scenarios are read on other systems, too.
    Some(path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_from_where_the_small_scenario_lies() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir(at("graphs")).unwrap();
        fs::write(at("graphs/edges.txt"), "0 1").unwrap();
        let named = |to: &str| relative(&at("graphs/edges.txt"), &at(to));
        assert_eq!(named("out/failures/a-7").as_deref(), Some("../../../graphs/edges.txt"));
        assert_eq!(named("").as_deref(), Some("graphs/edges.txt"));
        assert_eq!(named("graphs").as_deref(), Some("edges.txt"));
        assert_eq!(relative(&at("none.txt"), &at("")), None);
    }
}
