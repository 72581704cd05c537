//! `wavetank cache`: what people type, and what they are told.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wavetank_reports::grouped;

use super::reader::{Column, TraceError, TraceFormat, TraceReader};
use super::{Replay, TracePolicy, replay};

/// The most frames of a cache that is tried: 8 TiB of pages, 8 GiB of tables.
const MOST_FRAMES: usize = 1 << 30;

/// The command's arguments.
#[derive(Args, Debug)]
pub struct CacheArgs {
    /// The requests: a file, plain or gzip, or - for standard input.
    trace: PathBuf,
    /// Policies, separated by commas, or all.
    #[arg(long, value_name = "NAME", default_value = "all", value_delimiter = ',',
          value_parser = policies)]
    policy: Vec<Policies>,
    /// Frames of the cache, one page each; several numbers separated by commas.
    #[arg(long, value_name = "N", required = true, value_delimiter = ',', value_parser = frames)]
    frames: Vec<usize>,
    /// How the trace is written [default: told by its first bytes].
    #[arg(long, value_enum)]
    format: Option<TraceFormat>,
    /// The column of a CSV trace that has the key: its number from 1, or its name in the
    /// header [default: the one with a known name, else the second].
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    column: Option<Column>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What one name stands for.
#[derive(Clone, Debug)]
struct Policies(Vec<TracePolicy>);

fn policies(name: &str) -> Result<Policies, String> {
    if name == "all" {
        return Ok(Policies(TracePolicy::all()));
    }
    TracePolicy::from_name(name).map(|policy| Policies(vec![policy])).ok_or_else(|| {
        let names: Vec<_> = TracePolicy::all().into_iter().map(TracePolicy::name).collect();
        format!("there is no such policy: expected all, {}", names.join(", "))
    })
}

fn frames(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST_FRAMES).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from 1 to {MOST_FRAMES}")),
    }
}

fn column(text: &str) -> Result<Column, String> {
    match text.parse() {
        Ok(0) => Err("columns are counted from 1".to_owned()),
        Ok(number) => Ok(Column::Number(number)),
        Err(_) => Ok(Column::Name(text.to_owned())),
    }
}

#[derive(Serialize)]
struct Json<'a> {
    trace: String,
    format: &'static str,
    #[serde(flatten)]
    replay: &'a Replay,
}

/// Plays the trace and gives the text to print.
///
/// # Errors
/// Whatever is wrong with the trace: wrong input all.
pub fn run_cache(args: &CacheArgs) -> Result<String, TraceError> {
    let mut tried: Vec<TracePolicy> = Vec::new();
    for policy in args.policy.iter().flat_map(|policies| &policies.0) {
        if !tried.contains(policy) {
            tried.push(*policy);
        }
    }
    let mut trace = TraceReader::open(&args.trace, args.format, args.column.as_ref())?;
    let replay = replay(&mut trace, &tried, &args.frames)?;
    let (name, format) = (args.trace.display().to_string(), trace.format().name());
    if args.json {
        let json = Json { trace: name, format, replay: &replay };
        return Ok(serde_json::to_string_pretty(&json).expect("numbers and texts become JSON"));
    }
    Ok(format!("{name} ({format}): {}", text(&replay)))
}

fn text(replay: &Replay) -> String {
    let (requests, distinct) = (grouped(replay.requests), grouped(replay.distinct));
    let mut text = format!("{requests} requests for {distinct} different keys\n\n");
    text += &format!("{:<12} {:>13} {:>15} {:>11}\n", "policy", "frames", "misses", "miss ratio");
    for outcome in &replay.outcomes {
        let (frames, misses) = (grouped(outcome.frames as u64), grouped(outcome.misses));
        let ratio = outcome.miss_ratio;
        text += &format!("{:<12} {frames:>13} {misses:>15} {ratio:>11.4}\n", outcome.policy);
    }
    text
}
