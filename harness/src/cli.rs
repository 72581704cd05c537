//! The command line: what people type, and what they are told.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use wavetank_scenario::{Scenario, parse_seed, to_text};
use wavetank_world::{BaseGraph, Plan, World};

use crate::campaign::{CampaignError, CampaignResult, Entry, campaign, scenario_files};
use crate::determinism::{Comparison, Nobody, compare};
use crate::exit::Exit;
use crate::output::{Output, default_place};
use crate::play::play;
use crate::progress::Progress;

#[derive(Parser, Debug)]
#[command(
    name = "wavetank",
    version,
    about = "Tries graph-database clusters in seas made to order.",
    long_about = "wavetank plays a scenario (machines, disks, network, a master/slave \
                  graph-database cluster, clients, faults) in virtual time and says what \
                  held, what broke, how fast it was, and why. The same scenario and seed \
                  give the same run, to the last bit.",
    after_help = "Exit codes: 0 held; 1 an expectation broke; 2 the input was wrong; 3 did \
                  not recover; 4 internal error or not deterministic; 75 the surroundings \
                  failed."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Plays a scenario once and leaves results and a report.
    Run(RunArgs),
    /// Plays many seeds of many scenarios.
    Test(TestArgs),
    /// Prints a scenario with everything random drawn from the seed.
    Plan(PlanArgs),
}

#[derive(Args, Debug)]
struct RunArgs {
    /// The scenario file.
    file: PathBuf,
    /// A number, or a git commit hash. Without it, the scenario's own seed, or 1.
    #[arg(long)]
    seed: Option<String>,
    /// Where results go [default: wavetank-out/NAME-SEED].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Changes one value of the scenario, e.g. ha.pull_interval=500ms.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints result.json instead of the summary.
    #[arg(long)]
    json: bool,
    /// Plays the scenario twice first, and names the first event that differs.
    #[arg(long)]
    check_determinism: bool,
}

#[derive(Args, Debug)]
struct TestArgs {
    /// Scenario files, or folders of them.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Seeds from A up to but not including B.
    #[arg(long, value_name = "A..B", default_value = "0..20", value_parser = seed_range)]
    seeds: std::ops::Range<u64>,
    /// Worker threads [default: one per processor].
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroU16>,
    /// Changes one value of every scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct PlanArgs {
    /// The scenario file.
    file: PathBuf,
    /// A number, or a git commit hash.
    #[arg(long)]
    seed: Option<String>,
    /// Changes one value of the scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

fn seed_range(text: &str) -> Result<std::ops::Range<u64>, String> {
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

/// What a command could not do, and how it ends.
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn input(message: impl Into<String>) -> Self {
        Failure { exit: Exit::Input, message: message.into() }
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap prints each where it belongs.
            let exit = if error.use_stderr() { Exit::Input } else { Exit::Held };
            let _ = error.print();
            return exit.into();
        }
    };
    // A panic is a bug of ours, and has an exit code of its own; its message was printed.
    let done = std::panic::catch_unwind(|| match &cli.command {
        Command::Run(args) => run(args),
        Command::Test(args) => test(args),
        Command::Plan(args) => plan(args),
    });
    let Ok(done) = done else { return Exit::Internal.into() };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell_error(&failure.message);
            failure.exit.into()
        }
    }
}

fn tell_error(message: &str) {
    let text =
        if message.starts_with("error") { message.to_owned() } else { format!("error: {message}") };
    // Nothing can be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// Prints on standard output; a closed pipe is not an error of ours.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
}

/// Whether output to that stream may be coloured.
fn colour(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn read(file: &Path, set: &[String]) -> Result<Scenario, Failure> {
    if file.is_dir() {
        let text = format!("{} is a folder: expected a scenario file", file.display());
        return Err(Failure::input(text));
    }
    let source = fs::read(file)
        .map_err(|error| Failure::input(format!("cannot read {}: {error}", file.display())))?;
    wavetank_scenario::parse_with(&file.to_string_lossy(), &source, set, &mut |path| fs::read(path))
        .map_err(|e| errors(&e))
}

fn errors(errors: &wavetank_scenario::Errors) -> Failure {
    Failure::input(errors.render(colour(std::io::stderr().is_terminal())))
}

fn draw(scenario: &Scenario, seed: u64) -> Result<Plan, wavetank_scenario::Errors> {
    scenario.draw(seed, &mut |path| fs::read(path))
}

fn seed_of(scenario: &Scenario, text: Option<&str>) -> Result<u64, Failure> {
    match text {
        Some(text) => parse_seed(text).map_err(|error| Failure::input(error.to_string())),
        None => Ok(scenario.seed().unwrap_or(1)),
    }
}

fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let scenario = read(&args.file, &args.set)?;
    let seed = seed_of(&scenario, args.seed.as_deref())?;
    let plan = Arc::new(draw(&scenario, seed).map_err(|e| errors(&e))?);
    let place = args.out.clone().unwrap_or_else(|| default_place(&plan));
    let output = Output::prepare(&place)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    let base = Arc::new(BaseGraph::build(&plan.graph));

    if args.check_determinism {
        let make = || World::new(crate::determinism::disturbed(&plan), base.clone(), Nobody);
        match compare(make) {
            Comparison::Same { digest, events } => {
                let _ = writeln!(
                    std::io::stderr(),
                    "deterministic: two runs of {events} events, digest {digest:032x}"
                );
            }
            Comparison::Parted(parting) => {
                return Err(Failure { exit: Exit::Internal, message: parting.to_string() });
            }
        }
    }

    let mut progress = Progress::new(plan.duration, args.json);
    let played = play(&plan, &base, |at, events| progress.update(at, events));
    progress.finish();
    let json = played.result.to_json();
    let command = command(args, seed);
    let place = output
        .commit(&plan, &played, &command)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    if args.json {
        say(&json);
    } else {
        let coloured = colour(std::io::stdout().is_terminal());
        say(&wavetank_reports::summary(&played.result, coloured));
        say(&format!("report: {}", place.join("report.html").display()));
        if played.exit != Exit::Held {
            say(&format!("again:  {command}"));
        }
    }
    Ok(played.exit)
}

/// The command that plays the same run again.
fn command(args: &RunArgs, seed: u64) -> String {
    let mut command = format!("wavetank run {} --seed {seed}", args.file.display());
    for assignment in &args.set {
        command.push_str(&format!(" --set {assignment}"));
    }
    command
}

fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let scenario = read(&args.file, &args.set)?;
    let seed = seed_of(&scenario, args.seed.as_deref())?;
    say(&to_text(&draw(&scenario, seed).map_err(|e| errors(&e))?));
    Ok(Exit::Held)
}

fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let files = scenario_files(&args.paths).map_err(|error| Failure::input(error.to_string()))?;
    let entries = files
        .iter()
        .map(|file| {
            let scenario = read(file, &args.set)?;
            Ok(Entry { name: file.display().to_string(), scenario })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let jobs = match args.jobs {
        Some(jobs) => usize::from(jobs.get()),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let total = entries.len() as u64 * (args.seeds.end - args.seeds.start);
    let bar = campaign_bar(total, args.json);
    let result = campaign(
        &entries,
        args.seeds.clone(),
        jobs,
        |scenario, seed| draw(scenario, seed).map_err(|e| errors(&e).message),
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
        let set: String = set.iter().map(|a| format!(" --set {a}")).collect();
        text.push_str(&format!(
            "  again: wavetank run {} --seed {}{set}\n",
            failure.scenario, failure.seed
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
    text.push_str(&format!(
        "{} of {} runs held. Digest of all: {}\n",
        result.held, result.runs, result.digest
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn seed_ranges_are_half_open_and_wrong_ones_say_why() {
        assert_eq!(seed_range("0..3"), Ok(0..3));
        assert_eq!(seed_range("7"), Ok(7..8));
        for wrong in ["", "a..b", "3..3", "9..2", "0..9999999999", "-1..4", "1..x"] {
            assert!(seed_range(wrong).is_err(), "{wrong}");
        }
    }
}
