//! Plays one Plan and has its facts judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use wavetank_reports::{
    Capsule, Coverage, Ending, ExpectationResult, FaultCount, GraphResult, Overall, QueueResult,
    Recorder, RunResult, Verdict,
};
use wavetank_vocabulary::{Classes, Fact, FaultId, Observer, Seq, Time};
use wavetank_world::{
    BaseGraph, Driven, Expected, Plan, QueueTotals, SeedRule, Workload, WorkloadError, World,
};

use crate::checks::Check;
use crate::exit::Exit;
use crate::suite;

/// The checks that a Plan asks for.
#[derive(Clone, Debug)]
pub struct Checks(Vec<(Check, Classes)>);

impl Checks {
    /// The checks of the Plan's expectations, in its order.
    pub fn new(plan: &Plan) -> Self {
        let check = |expected: &Expected| {
            let check = Check::new(plan, &expected.check);
            let interests = check.interests();
            (check, interests)
        };
        Checks(plan.expectations.iter().map(check).collect())
    }

    /// The same, and those of a caller after them.
    fn with(plan: &Plan, own: &[Box<dyn suite::Check>]) -> Self {
        let mut checks = Checks::new(plan);
        for check in own {
            let mut check = check.clone();
            check.begin(plan);
            let interests = check.interests();
            checks.0.push((Check::Own(check), interests));
        }
        checks
    }

    /// The verdict of every expectation, in the Plan's order.
    pub fn finish(&self) -> Vec<ExpectationResult> {
        self.0.iter().map(|(check, _)| check.finish()).collect()
    }

    /// The checks themselves, in the Plan's order.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().map(|(check, _)| check)
    }
}

impl Observer for Checks {
    fn interests(&self) -> Classes {
        self.0.iter().fold(Classes::NONE, |all, (_, more)| all | *more)
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        let class = fact.class();
        for (check, interests) in &mut self.0 {
            if interests.intersects(class) {
                check.observe(at, seq, fact);
            }
        }
    }
}

/// What a caller's code adds to what the Plan says.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// What decides for which clients.
    pub workloads: Vec<(String, Box<dyn Workload>)>,
    /// Further checks.
    pub checks: Vec<Box<dyn suite::Check>>,
}

/// The place of the first expectation with that verdict: of those that must hold for every seed,
/// and of the others only if there is none among them.
pub(crate) fn first_with(
    plan: &Plan,
    results: &[ExpectationResult],
    verdict: Verdict,
) -> Option<usize> {
    let mut found = (0..results.len()).filter(|at| results[*at].verdict == verdict);
    found.clone().find(|at| must_hold(plan, *at)).or_else(|| found.next())
}

/// A capsule about what its seed fails by.
pub(crate) fn about_first(capsule: Capsule, plan: &Plan, result: &RunResult) -> Capsule {
    let all = &result.expectations;
    let first = |verdict| first_with(plan, all, verdict);
    match first(Verdict::Broke).or_else(|| first(Verdict::NotExercised)) {
        Some(at) => capsule.about(all[at].clone()),
        None => capsule,
    }
}

/// Whether the expectation at that place must hold for every seed. What a caller brought comes
/// after the Plan's own, and must.
pub(crate) fn must_hold(plan: &Plan, at: usize) -> bool {
    plan.expectations.get(at).is_none_or(|expected| expected.seeds == SeedRule::Every)
}

impl Own {
    /// The workloads, as they drive the clients of a Plan.
    ///
    /// # Errors
    /// When one of them does not fit the Plan.
    pub fn driven(&self, plan: &Plan) -> Result<Vec<Driven>, WorkloadError> {
        self.workloads.iter().map(|(name, work)| Driven::new(plan, name, &**work)).collect()
    }
}

/// Everything that reads the facts of a run that is reported.
#[derive(Clone, Debug)]
pub(crate) struct Judges {
    pub(crate) recorder: Recorder,
    pub(crate) checks: Checks,
}

impl Judges {
    /// Those of a Plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        Judges { recorder: Recorder::new(plan), checks: Checks::new(plan) }
    }

    /// Their verdicts; of a run that was broken off, that there are none.
    pub(crate) fn verdicts(&self, interrupted: Option<Time>) -> Vec<ExpectationResult> {
        let mut expectations = self.checks.finish();
        if let Some(ended) = interrupted {
            // Most checks need the end, and no fault has had its time: nothing is judged.
            for expectation in &mut expectations {
                expectation.verdict = Verdict::NotExercised;
                expectation.why = format!("The run was interrupted at {ended}: not judged.");
            }
        }
        expectations
    }
}

impl Observer for Judges {
    fn interests(&self) -> Classes {
        self.recorder.interests() | self.checks.interests()
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        self.recorder.observe(at, seq, fact);
        self.checks.observe(at, seq, fact);
    }
}

/// Everything that reads the facts of a run of a campaign: no series, no percentiles but those
/// of the checks.
#[derive(Clone, Debug)]
struct Tally {
    checks: Checks,
    coverage: Coverage,
    took_effect: BTreeSet<FaultId>,
}

impl Observer for Tally {
    fn interests(&self) -> Classes {
        self.checks.interests() | self.coverage.interests()
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        if let Fact::FaultBegan { fault, .. } = *fact {
            self.took_effect.insert(fault);
        }
        self.coverage.observe(at, seq, fact);
        self.checks.observe(at, seq, fact);
    }
}

/// A run that is over.
#[derive(Debug)]
pub struct Played {
    /// What `result.json` holds.
    pub result: RunResult,
    /// What the report is drawn from.
    pub recorder: Recorder,
    /// How the command ends.
    pub exit: Exit,
}

/// Why a run ends with [`Exit::Internal`].
pub const UNLAWFUL: &str = "Little's law does not hold on a queue (`queues` in result.json): \
     work was lost, and nothing that was measured can be believed";

/// Events between two looks at the wall clock.
const STRIDE: u64 = 50_000;

/// Plays a Plan to its end. `progress` is told, now and then, the virtual time and the
/// events so far; if it answers false, the run ends there.
pub fn play(
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    progress: impl FnMut(Time, u64) -> bool,
) -> Played {
    to_the_end(World::new(plan.clone(), base.clone(), Judges::new(plan)), progress)
}

/// Plays a Plan to its end, with what a caller adds.
///
/// # Errors
/// When a workload does not fit the Plan.
pub fn play_with(
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    own: &Own,
    progress: impl FnMut(Time, u64) -> bool,
) -> Result<Played, WorkloadError> {
    let driven = own.driven(plan)?;
    let checks = Checks::with(plan, &own.checks);
    let judges = Judges { recorder: Recorder::new(plan), checks };
    let mut world = World::new(plan.clone(), base.clone(), judges);
    world.drive(&driven);
    Ok(to_the_end(world, progress))
}

fn to_the_end(mut world: World<Judges>, mut progress: impl FnMut(Time, u64) -> bool) -> Played {
    let started = Instant::now();
    let mut interrupted = false;
    while world.advance(STRIDE) {
        if !progress(world.now(), world.events()) {
            interrupted = true;
            break;
        }
    }
    judge(world, started, interrupted)
}

/// A run of a campaign that is over: its verdicts, without what a report is drawn from.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict of every expectation, in the Plan's order.
    pub expectations: Vec<ExpectationResult>,
    /// What the cluster was waiting for, if it did not recover.
    pub waiting: Option<String>,
    /// By kind, how many faults the Plan has, and how many took effect.
    pub faults: BTreeMap<String, FaultCount>,
    /// What the run has covered.
    pub coverage: Coverage,
    /// Where the virtual clock stopped.
    pub simulated: Time,
    /// Events delivered.
    pub events: u64,
    /// The digest of the run.
    pub digest: u128,
    /// How `wavetank run` ends.
    pub exit: Exit,
}

/// Plays a Plan for its verdicts only; none when `go_on` said no on the way. `driven` and
/// `checks` are what a caller adds: see [`Own`].
pub fn judge_only(
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    driven: &[Driven],
    checks: &[Box<dyn suite::Check>],
    go_on: impl Fn() -> bool,
) -> Option<Judged> {
    let tally = Tally {
        checks: Checks::with(plan, checks),
        coverage: Coverage::new(),
        took_effect: BTreeSet::new(),
    };
    let mut world = World::new(plan.clone(), base.clone(), tally);
    world.drive(driven);
    while world.advance(STRIDE) {
        if !go_on() {
            return None;
        }
    }
    let waiting = if world.converged() { None } else { world.waits_for() };
    let (digest, events, simulated) = (world.digest(), world.events(), world.now());
    let lawful = world.queues().iter().all(QueueTotals::little_holds);
    let recovered = world.converged();
    let tally = world.into_observer();
    let expectations = tally.checks.finish();
    let exit = match Overall::of(recovered, &expectations) {
        _ if !lawful => Exit::Internal,
        Overall::Held => Exit::Held,
        Overall::Broke => Exit::Broke,
        Overall::NotRecovered => Exit::NotRecovered,
    };
    let mut faults: BTreeMap<String, FaultCount> = BTreeMap::new();
    for fault in &plan.faults {
        let count = faults.entry(fault.kind.name().to_owned()).or_default();
        count.planned += 1;
        count.took_effect += u64::from(tally.took_effect.contains(&fault.id));
    }
    let coverage = tally.coverage.settled();
    Some(Judged { expectations, waiting, faults, coverage, simulated, events, digest, exit })
}

fn judge(world: World<Judges>, started: Instant, interrupted: bool) -> Played {
    let recovered = world.converged() || interrupted;
    let waiting = if recovered { None } else { world.waits_for() };
    let (digest, events, ended) = (world.digest(), world.events(), world.now());
    let plan = world.plan().clone();
    let graph = world.graph_counts();
    let queues = world.queues();
    let lawful = queues.iter().all(QueueTotals::little_holds);
    let judges = world.into_observer();
    let expectations = judges.verdicts(interrupted.then_some(ended));
    let result = RunResult::new(
        &plan,
        &judges.recorder,
        Ending {
            digest,
            expectations,
            graph: GraphResult::new(&plan, u64::from(graph.0), graph.1),
            queues: queues
                .iter()
                .map(|totals| QueueResult::new(totals, ended.since(Time::ZERO)))
                .collect(),
            recovered,
            waiting,
            simulated: ended,
            wall_seconds: started.elapsed().as_secs_f64(),
            events,
        },
    );
    let result = if interrupted { result.interrupted() } else { result };
    let exit = match result.verdict {
        // Work that was lost or done twice: nothing that was measured can be believed.
        _ if !lawful => Exit::Internal,
        _ if interrupted => Exit::Surroundings,
        Overall::Held => Exit::Held,
        Overall::Broke => Exit::Broke,
        Overall::NotRecovered => Exit::NotRecovered,
    };
    Played { result, recorder: judges.recorder, exit }
}
