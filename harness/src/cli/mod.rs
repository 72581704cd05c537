//! The command line: what people type, and what they are told.

mod calibrate;
mod campaign_progress;
mod compare;
mod copies;
mod diff;
mod explain;
mod forms;
mod haproxy;
mod history;
#[cfg(feature = "planted-bugs")]
mod hunt;
mod keep_failures;
mod leave;
mod library;
mod list;
mod merge;
mod node;
mod play_once;
mod replace;
mod shell;
mod shrink;
mod soak;
mod store;
mod sweep;
mod test;
mod trail;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Parser, Subcommand, ValueEnum};
use wavetank_scenario::{Scenario, parse_seed, to_text};

use crate::cache_trace::command::{CacheArgs, run_cache};
use crate::exit::Exit;
use crate::find;
use crate::terminal::{colour, colour_on_stderr};

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
                  failed, or interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Plays a scenario once and leaves results and a report.
    Run(RunArgs),
    /// Plays many seeds of many scenarios.
    Test(test::TestArgs),
    /// Puts campaigns together that were played in shards.
    Merge(merge::MergeArgs),
    /// Prints the checkpoints of a run's digest, by which two builds are compared.
    Trail(trail::TrailArgs),
    /// Tells what happened around a failure, or how things stood at a time.
    Explain(explain::ExplainArgs),
    /// Shrinks a seed that fails to the smallest scenario that fails for the same reason.
    Shrink(shrink::ShrinkArgs),
    /// Plays a scenario with many values of its parameters, and says what changed and how surely.
    Sweep(sweep::SweepArgs),
    /// Prints a scenario with everything random drawn from the seed.
    Plan(PlanArgs),
    /// Writes a commented first scenario to NAME.toml.
    New(NewArgs),
    /// Reads scenarios, says what is wrong or to be regretted, and what they amount to.
    CheckScenario(CheckArgs),
    /// Lists what there is.
    List(ListArgs),
    /// Plants one bug after the other, and says by which seed and check each is found.
    #[cfg(feature = "planted-bugs")]
    Hunt(hunt::HuntArgs),
    /// Measures this machine (the store's work, disk, loopback), and writes a profile for scenarios.
    Calibrate(calibrate::CalibrateArgs),
    /// Writes the load balancing of a scenario as a configuration of the real HAProxy.
    Haproxy(haproxy::HaproxyArgs),
    /// Plays a scenario once on real processes: sockets, files, time, kills.
    Soak(soak::SoakArgs),
    /// Runs one instance as a process: real files, sockets and time.
    Node(node::NodeArgs),
    /// Compares two results: what changed from BASE to NEW.
    Diff(DiffArgs),
    /// Sets results of real runs beside simulated ones, and says how far the model is from life.
    Compare(compare::CompareArgs),
    /// Prints the JSON Schema of scenarios, of results or of campaigns.
    Schema(SchemaArgs),
    /// Makes, looks at, backs up and checks graphs in directories of their own.
    Store(store::StoreArgs),
    /// Counts the misses of page caches under a trace of requests.
    Cache(CacheArgs),
    /// Judges a history that something else recorded (exit 3: undecided).
    CheckHistory(history::HistoryArgs),
    /// Prints a script that completes commands in a shell.
    Completions(CompletionsArgs),
    /// Prints the manual page.
    Man,
}

/// One run: which scenario, by which seed, with what changed.
#[derive(Args, Debug)]
struct Subject {
    /// The scenario: a file, or a name of the library.
    #[arg(value_name = "SCENARIO")]
    file: PathBuf,
    /// A number, or a git commit hash. Without it, the scenario's own seed, or 1.
    #[arg(long)]
    seed: Option<String>,
    /// Changes one value of the scenario, e.g. ha.pull_interval=500ms.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Subject {
    fn scenario(&self) -> Result<Scenario, Failure> {
        Ok(find::one(&self.file, &self.set)?)
    }

    /// The scenario, where it is looked into as one run: each of several clusters is a run of its own.
    fn one_cluster(&self) -> Result<Scenario, Failure> {
        let scenario = self.scenario()?;
        match scenario.copies() {
            0 | 1 => Ok(scenario),
            copies => Err(Failure::input(format!(
                "the scenario has {copies} copies of its cluster, each a run of its own: \
                 `wavetank run` says with which seed the first that fails is played alone; add \
                 --set cluster.copies=1 to that"
            ))),
        }
    }

    fn seed(&self, scenario: &Scenario) -> Result<u64, Failure> {
        match &self.seed {
            Some(text) => parse_seed(text).map_err(|error| Failure::input(error.to_string())),
            None => Ok(scenario.seed().unwrap_or(1)),
        }
    }
}

#[derive(Args, Debug)]
struct RunArgs {
    #[command(flatten)]
    subject: Subject,
    /// Where results go [default: wavetank-out/NAME-SEED].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prints result.json instead of the summary.
    #[arg(long)]
    json: bool,
    /// Plays the scenario twice first, and names the first event that differs.
    #[arg(long)]
    check_determinism: bool,
    /// Compares with the run of another build of wavetank instead of a second one of this.
    #[arg(long, value_name = "COMMAND", requires = "check_determinism")]
    against: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct PlanArgs {
    #[command(flatten)]
    subject: Subject,
}

#[derive(Args, Debug)]
struct NewArgs {
    /// The scenario's name: letters, digits, `-` and `_`; folders may stand before it.
    name: PathBuf,
    /// Starts from this scenario of the library instead.
    #[arg(long, value_name = "SCENARIO")]
    from: Option<String>,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Scenarios: files, folders of them, or names of the library.
    #[arg(required = true, value_name = "SCENARIO")]
    paths: Vec<PathBuf>,
    /// Changes one value of every scenario.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Fails on warnings, too.
    #[arg(long)]
    strict: bool,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// What to list.
    what: Listed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Listed {
    /// Neo4j's settings that have an effect, and those that have none.
    Settings,
    /// What an [[expect]] can check.
    Checks,
    /// What can go wrong, and what a fault can wait for.
    Faults,
    /// Flaws of old releases that can be switched on.
    Flaws,
    /// Machines by name.
    Profiles,
    /// The operations of the workloads, in the step language.
    Operations,
    /// The scenarios of the library.
    Scenarios,
    /// Every key of the scenario language, as the Markdown of the reference.
    Reference,
}

#[derive(Args, Debug)]
struct DiffArgs {
    /// The result to compare with: a result.json, or the folder of a run.
    base: PathBuf,
    /// The new result.
    new: PathBuf,
    /// Fails (exit 1) if anything is worse by more than this, e.g. 5%.
    #[arg(long, value_name = "PART", value_parser = diff::gate)]
    gate: Option<f64>,
    /// Prints JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Writes a page, too; never over a file that is there.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct SchemaArgs {
    /// Of what.
    #[arg(default_value = "scenario")]
    of: SchemaOf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaOf {
    /// Scenario files.
    Scenario,
    /// result.json.
    Result,
    /// What `wavetank test --json` prints.
    Campaign,
}

#[derive(Args, Debug)]
struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

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

impl From<find::InputError> for Failure {
    fn from(error: find::InputError) -> Self {
        Failure::input(error.message)
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
        Command::Run(args) => play_once::run(args),
        Command::Test(args) => test::test(args),
        Command::Merge(args) => merge::merge(args),
        Command::Trail(args) => trail::trail(args),
        Command::Explain(args) => explain::explain(args),
        Command::Shrink(args) => shrink::shrink(args),
        Command::Sweep(args) => sweep::sweep(args),
        Command::Plan(args) => plan(args),
        Command::New(args) => library::new(args),
        Command::CheckScenario(args) => library::check_scenario(args),
        Command::List(args) => list::list(args.what),
        #[cfg(feature = "planted-bugs")]
        Command::Hunt(args) => hunt::hunt(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Haproxy(args) => haproxy::haproxy(args),
        Command::Compare(args) => compare::compare(args),
        Command::Soak(args) => soak::soak(args),
        Command::Node(args) => node::node(args),
        Command::Diff(args) => diff::diff(args),
        Command::Schema(args) => library::schema(args.of),
        Command::Store(args) => store::store(args),
        Command::Cache(args) => cache(args),
        Command::CheckHistory(args) => history::check_history(args),
        Command::Completions(args) => shell::completions(args.shell),
        Command::Man => shell::man(),
    });
    let Ok(done) = done else { return Exit::Internal.into() };
    match done {
        Ok(_) if UNHEARD.load(Ordering::Relaxed) => {
            tell_error("standard output cannot be written: is the disk full?");
            Exit::Surroundings.into()
        }
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell_error(&failure.message);
            failure.exit.into()
        }
    }
}

fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.scenario()?;
    warn(&scenario);
    let seed = args.subject.seed(&scenario)?;
    say(&to_text(&find::draw(&scenario, seed)?));
    Ok(Exit::Held)
}

fn cache(args: &CacheArgs) -> Result<Exit, Failure> {
    say(&run_cache(args).map_err(|error| Failure::input(error.to_string()))?);
    Ok(Exit::Held)
}

fn tell_error(message: &str) {
    let text =
        if message.starts_with("error") { message.to_owned() } else { format!("error: {message}") };
    tell(text.trim_end());
}

/// The command itself, to run nodes with. On Linux the file that was started, even if another
/// build lies in its place by now.
fn own_program() -> Result<std::path::PathBuf, Failure> {
    let started = std::path::PathBuf::from("/proc/self/exe");
    if cfg!(target_os = "linux") && started.exists() {
        return Ok(started);
    }
    std::env::current_exe().map_err(|error| Failure {
        exit: Exit::Surroundings,
        message: format!("cannot find the command itself: {error}"),
    })
}

/// Tells people something on standard error.
fn tell(text: &str) {
    // Nothing can be told when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether something that was said could not be written.
static UNHEARD: AtomicBool = AtomicBool::new(false);

/// Prints on standard output. A closed pipe is not an error of ours: whoever read it has seen
/// enough.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()))
        .and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe) {
        UNHEARD.store(true, Ordering::Relaxed);
    }
}

/// Tells what will be regretted about a scenario.
fn warn(scenario: &Scenario) {
    if scenario.warnings().count() > 0 {
        tell(&scenario.warnings().render(colour_on_stderr()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
