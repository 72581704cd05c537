//! `wavetank soak`: one scenario on real processes, a report.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use wavetank_real::{SoakConfig, SoakError, Soaked, usual_limit};
use wavetank_reports::{Ending, GraphResult, Overall, ProcessSize, RunResult};
use wavetank_scenario::to_text;
use wavetank_vocabulary::Bytes;
use wavetank_world::{BaseGraph, Plan};

use super::{Failure, Subject, colour, find, say, tell, warn};
use crate::exit::Exit;
use crate::interrupt;
use crate::load::Load;
use crate::output::{Background, Output};
use crate::play::{Judges, Played};
use crate::progress::Progress;
use crate::provenance::provenance;
use crate::words::quoted;

#[derive(Args, Debug)]
pub(super) struct SoakArgs {
    #[command(flatten)]
    subject: Subject,
    /// Where results go [default: wavetank-out/NAME-SEED-real].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many times faster than the real one the clock runs: timeouts, arrivals and faults
    /// come so many times as fast; processors, disks and sockets do not.
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = scale)]
    time_scale: f64,
    /// Seconds that it may take [default: the scenario's, and two minutes].
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    /// MiB that the nodes' stores and logs may take.
    #[arg(long, value_name = "MIB", default_value_t = 4_096)]
    disk: u64,
    /// Where the nodes' files are while it runs [default: the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Prints result.json instead of the summary.
    #[arg(long)]
    json: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.01..=100.0).contains(&scale) => Ok(scale),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}

/// A folder that is gone when this is dropped, with what is in it.
struct WorkFolder(PathBuf);

impl WorkFolder {
    fn new(parent: Option<&Path>) -> std::io::Result<WorkFolder> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&parent)?;
        let parent = fs::canonicalize(parent)?;
        let mut number = 0;
        loop {
            let path = parent.join(format!("wavetank-soak-{}-{number}", std::process::id()));
            // Made anew, or not ours.
            match fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                made => return made.map(|()| WorkFolder(path)),
            }
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // It was made by this process and holds what its nodes wrote.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn soak(args: &SoakArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.scenario()?;
    warn(&scenario);
    let seed = args.subject.seed(&scenario)?;
    if scenario.copies() > 1 {
        return Err(Failure::input("a soak plays one cluster: this scenario has several copies"));
    }
    interrupt::watch();
    let surroundings = |message: String| Failure { exit: Exit::Surroundings, message };
    let plan = Arc::new(find::draw(&scenario, seed)?);
    let place = args.out.clone().unwrap_or_else(|| default_place(&plan));
    let output = Output::prepare(&place)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let load = Load::of(&plan, &base);
    let folder = WorkFolder::new(args.work.as_deref())
        .map_err(|error| surroundings(format!("cannot make a folder for the nodes: {error}")))?;
    let program = std::env::current_exe()
        .map_err(|error| surroundings(format!("cannot find the command itself: {error}")))?;
    let time_scale = (args.time_scale * 1_000.0) as u32;
    let limit = args.limit.map_or_else(|| usual_limit(&plan, time_scale), Duration::from_secs);
    let config = SoakConfig {
        plan: plan.clone(),
        base: base.clone(),
        scenario: to_text(&plan),
        program,
        time_scale,
        folder: folder.0.clone(),
        limit,
        disk: Bytes::mib(args.disk),
    };
    let started = Instant::now();
    let mut progress = Progress::new(plan.duration, args.json);
    let soaked = wavetank_real::soak(&config, Judges::new(&plan), |at, facts| {
        progress.update(at, facts);
        !interrupt::asked()
    });
    progress.finish();
    let soaked = soaked.map_err(|error| {
        let exit = match error {
            SoakError::NotForReal(_) => Exit::Input,
            SoakError::System { .. } | SoakError::Limit(_) | SoakError::NodeFailed { .. } => {
                Exit::Surroundings
            }
        };
        Failure { exit, message: error.to_string() }
    })?;
    let mut played = judge(&plan, &base, soaked, args.time_scale, started);
    let provenance = provenance(&scenario, &load);
    played.result.set_settings(&provenance);
    let json = played.result.to_json();
    let background = Background { command: command(args, seed), provenance, notes: Vec::new() };
    let place = output
        .commit(&plan, &played, &background)
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    if args.json {
        say(&json);
    } else {
        let coloured = colour(std::io::stdout().is_terminal());
        say(&wavetank_reports::summary(&played.result, coloured));
        say(&format!("report: {}", place.join("report.html").display()));
    }
    if played.exit == Exit::Surroundings {
        tell("interrupted: the result and the report say how far it came");
    }
    Ok(played.exit)
}

/// The verdicts on a soak.
fn judge(
    plan: &Plan,
    base: &BaseGraph,
    soaked: Soaked<Judges>,
    time_scale: f64,
    started: Instant,
) -> Played {
    let Soaked { observer: judges, recovered, waiting, ended, interrupted, facts, .. } = soaked;
    let expectations = judges.verdicts(interrupted.then_some(ended));
    let mut result = RunResult::new(
        plan,
        &judges.recorder,
        Ending {
            // There is none: no two real runs are the same.
            digest: 0,
            expectations,
            graph: GraphResult::new(plan, u64::from(base.nodes), base.relationships),
            queues: Vec::new(),
            recovered: recovered || interrupted,
            waiting,
            simulated: ended,
            wall_seconds: started.elapsed().as_secs_f64(),
            events: facts,
        },
    );
    result.real = true;
    result.time_scale = Some(time_scale);
    result.notes = soaked.notes;
    let size = |size: wavetank_real::NodeSize| ProcessSize {
        at: size.at.as_secs_f64(),
        instance: size.instance.0,
        memory_mib: size.mebibytes,
        open_files: size.files,
    };
    result.processes = soaked.sizes.into_iter().map(size).collect();
    let result = if interrupted { result.interrupted() } else { result };
    let exit = match result.verdict {
        _ if interrupted => Exit::Surroundings,
        Overall::Held => Exit::Held,
        Overall::Broke => Exit::Broke,
        Overall::NotRecovered => Exit::NotRecovered,
    };
    Played { result, recorder: judges.recorder, exit }
}

fn default_place(plan: &Plan) -> PathBuf {
    let mut place = crate::output::default_place(plan).into_os_string();
    place.push("-real");
    PathBuf::from(place)
}

/// The command that plays the same scenario again.
fn command(args: &SoakArgs, seed: u64) -> String {
    let file = args.subject.file.to_string_lossy();
    let mut command = format!("wavetank soak {} --seed {seed}", quoted(&file));
    if args.time_scale != 1.0 {
        command.push_str(&format!(" --time-scale {}", args.time_scale));
    }
    for assignment in &args.subject.set {
        command.push_str(&format!(" --set {}", quoted(assignment)));
    }
    command
}
