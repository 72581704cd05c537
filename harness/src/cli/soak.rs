//! `wavetank soak`: one scenario on real processes, a report; several times and beside its simulation
//! if that is asked for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use wavetank_real::{Death, SoakConfig, SoakError, Soaked, WorkFolder, usual_limit};
use wavetank_reports::{
    Comparison, Ending, ExpectationResult, GraphResult, Overall, ProcessSize, RunResult, Verdict,
};
use wavetank_scenario::{Scenario, to_text};
use wavetank_vocabulary::Bytes;
use wavetank_world::{BaseGraph, Plan};

use super::leave::leave;
use super::{Failure, Subject, find, own_program, say, tell, warn};
use crate::exit::Exit;
use crate::flatness::flat;
use crate::interrupt;
use crate::load::Load;
use crate::output::{Background, Output};
use crate::play::{Judges, Played, play};
use crate::predict::as_soaked;
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
    /// How many times it is played, with seeds one after the other; the folders of all but the
    /// first end with a number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    runs: u64,
    /// Simulates the scenario, too, with this profile of the machine (`wavetank calibrate` writes
    /// one), and sets the real runs beside the simulated ones.
    #[arg(long, value_name = "PROFILE")]
    beside: Option<PathBuf>,
    /// How many seeds are simulated.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "beside", value_parser = clap::value_parser!(u64).range(1..=100))]
    simulated: u64,
    /// Prints result.json of the first run instead of the summaries.
    #[arg(long)]
    json: bool,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.01..=100.0).contains(&scale) => Ok(scale),
        _ => Err("expected a number from 0.01 to 100".to_owned()),
    }
}

/// A real run that is over, and not yet in its folder.
struct Real {
    plan: Arc<Plan>,
    played: Played,
    output: Output,
    background: Background,
}

pub(super) fn soak(args: &SoakArgs) -> Result<Exit, Failure> {
    let scenario = args.subject.scenario()?;
    warn(&scenario);
    let first = args.subject.seed(&scenario)?;
    if scenario.copies() > 1 {
        return Err(Failure::input("a soak plays one cluster: this scenario has several copies"));
    }
    // What is wrong with the profile is told before anything is played.
    let simulated = args.beside.as_ref().map(|profile| {
        let mut set = args.subject.set.clone();
        set.push(format!("profile={}", profile.display()));
        find::one(&args.subject.file, &set)
    });
    let simulated = simulated.transpose()?;
    interrupt::watch();
    let (mut runs, mut failed) = (Vec::new(), None);
    for number in 0..args.runs {
        match one(args, &scenario, (number, first.wrapping_add(number))) {
            Ok(run) => runs.push(run),
            // What was played before is not lost with it.
            Err(failure) => failed = Some(failure),
        }
        if failed.is_some() || interrupt::asked() {
            break;
        }
    }
    let mut compared = None;
    if let Some(simulated) = simulated.filter(|_| failed.is_none() && !interrupt::asked()) {
        let real: Vec<RunResult> = runs.iter().map(|run| run.played.result.clone()).collect();
        let simulated = predict(args, &simulated, first)?;
        let found = Comparison::new(&real, &simulated);
        runs.iter_mut().for_each(|run| run.played.result.comparison = Some(found.clone()));
        compared = Some(found);
    }
    let mut exit = Exit::Held;
    for (number, run) in runs.into_iter().enumerate() {
        if exit == Exit::Held {
            exit = run.played.exit;
        }
        let Real { plan, played, output, background } = run;
        if args.json && number > 0 {
            output
                .commit(&plan, &played, &background)
                .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
        } else {
            leave(output, &plan, &played, &background, args.json)?;
        }
    }
    if let Some(compared) = compared.filter(|_| !args.json) {
        say(&format!("\n{}", compared.to_text()));
    }
    failed.map_or(Ok(exit), Err)
}

/// The same scenario, simulated as it is soaked.
fn predict(args: &SoakArgs, scenario: &Scenario, first: u64) -> Result<Vec<RunResult>, Failure> {
    let mut results = Vec::new();
    for number in 0..args.simulated {
        tell(&format!("simulating {} of {}", number + 1, args.simulated));
        let mut plan = find::draw(scenario, first.wrapping_add(number))?;
        as_soaked(&mut plan, args.time_scale);
        let plan = Arc::new(plan);
        let base = Arc::new(BaseGraph::build(&plan.graph));
        let mut played = play(&plan, &base, |_, _| !interrupt::asked());
        played.result.set_settings(&provenance(scenario, &Load::of(&plan, &base)));
        // Its hardware was as slow as the clock of the soak is fast.
        played.result.time_scale = Some(args.time_scale);
        results.push(played.result);
        if interrupt::asked() {
            break;
        }
    }
    Ok(results)
}

/// One real run.
fn one(args: &SoakArgs, scenario: &Scenario, (number, seed): (u64, u64)) -> Result<Real, Failure> {
    let surroundings = |message: String| Failure { exit: Exit::Surroundings, message };
    let plan = Arc::new(find::draw(scenario, seed)?);
    let mut place = match &args.out {
        Some(place) => place.clone().into_os_string(),
        None => default_place(&plan).into_os_string(),
    };
    // Without --out the seeds tell the folders apart.
    if number > 0 && args.out.is_some() {
        place.push(format!("-{}", number + 1));
    }
    let output = Output::prepare(&PathBuf::from(place))
        .map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?;
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let load = Load::of(&plan, &base);
    let parent = args.work.clone().unwrap_or_else(std::env::temp_dir);
    let (folder, removed) = WorkFolder::new(&parent, "soak")
        .map_err(|error| surroundings(format!("cannot make a folder for the nodes: {error}")))?;
    for stale in removed {
        tell(&format!("removed {}, which a soak that was killed had left", stale.display()));
    }
    let program = own_program()?;
    let time_scale = (args.time_scale * 1_000.0) as u32;
    let limit = args.limit.map_or_else(|| usual_limit(&plan, time_scale), Duration::from_secs);
    let config = SoakConfig {
        plan: plan.clone(),
        base: base.clone(),
        scenario: to_text(&plan),
        program,
        time_scale,
        folder: folder.path().to_owned(),
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
            SoakError::System { .. } | SoakError::NodeFailed { .. } => Exit::Surroundings,
        };
        Failure { exit, message: error.to_string() }
    })?;
    let mut played = judge(&plan, &base, soaked, args.time_scale, started);
    let provenance = provenance(scenario, &load);
    played.result.set_settings(&provenance);
    let background = Background { command: command(args, seed), provenance, notes: Vec::new() };
    Ok(Real { plan, played, output, background })
}

/// What every soak expects beside what its scenario does: that no node ends without anything done
/// to it. None when none has.
fn ended_by_themselves(deaths: &[Death]) -> Option<ExpectationResult> {
    let told: Vec<String> = deaths.iter().map(ToString::to_string).collect();
    (!deaths.is_empty()).then(|| ExpectationResult {
        check: "processes-ended-by-themselves".to_owned(),
        verdict: Verdict::Broke,
        measured: deaths.len().into(),
        limit: 0.into(),
        why: format!("{}.", told.join("; ")),
    })
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
    let mut expectations = judges.verdicts(interrupted.then_some(ended));
    expectations.extend(ended_by_themselves(&soaked.deaths));
    expectations.extend(flat(&soaked.sizes));
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
        memory_mib: size.kibibytes >> 10,
        page_cache_mib: size.page_cache_kib >> 10,
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
