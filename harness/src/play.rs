//! Plays one Plan and has its facts judged.

use std::sync::Arc;
use std::time::Instant;

use wavetank_reports::{
    Ending, ExpectationResult, GraphResult, Overall, Recorder, RunResult, Verdict,
};
use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Time};
use wavetank_world::{BaseGraph, Plan, World};

use crate::checks::Check;
use crate::exit::Exit;

/// Everything that reads the facts of a run.
#[derive(Clone, Debug)]
pub struct Judges {
    recorder: Recorder,
    checks: Vec<(Check, Classes)>,
}

impl Judges {
    /// The recorder and the checks that a Plan asks for.
    pub fn new(plan: &Plan) -> Self {
        let checks = plan
            .expectations
            .iter()
            .map(|expectation| {
                let check = Check::new(plan, &expectation.check);
                let interests = check.interests();
                (check, interests)
            })
            .collect();
        Judges { recorder: Recorder::new(plan), checks }
    }

    /// The verdict of every expectation, in the Plan's order.
    pub fn finish(&self) -> Vec<ExpectationResult> {
        self.checks.iter().map(|(check, _)| check.finish()).collect()
    }
}

impl Observer for Judges {
    fn interests(&self) -> Classes {
        self.checks.iter().fold(self.recorder.interests(), |all, (_, more)| all | *more)
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        let class = fact.class();
        self.recorder.observe(at, seq, fact);
        for (check, interests) in &mut self.checks {
            if interests.intersects(class) {
                check.observe(at, seq, fact);
            }
        }
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

/// Events between two looks at the wall clock.
const STRIDE: u64 = 50_000;

/// Plays a Plan to its end. `progress` is told, now and then, the virtual time and the
/// events so far; if it answers false, the run ends there.
pub fn play(
    plan: &Arc<Plan>,
    base: &Arc<BaseGraph>,
    mut progress: impl FnMut(Time, u64) -> bool,
) -> Played {
    let started = Instant::now();
    let mut world = World::new(plan.clone(), base.clone(), Judges::new(plan));
    let mut interrupted = false;
    while world.advance(STRIDE) {
        if !progress(world.now(), world.events()) {
            interrupted = true;
            break;
        }
    }
    judge(world, started, interrupted)
}

fn judge(world: World<Judges>, started: Instant, interrupted: bool) -> Played {
    let recovered = world.converged() || interrupted;
    let waiting = if recovered { None } else { world.waits_for() };
    let (digest, events, ended) = (world.digest(), world.events(), world.now());
    let plan = world.plan().clone();
    let graph = world.graph_counts();
    let judges = world.into_observer();
    let mut expectations = judges.finish();
    if interrupted {
        // Most checks need the end, and no fault has had its time: nothing is judged.
        for expectation in &mut expectations {
            expectation.verdict = Verdict::NotExercised;
            expectation.why = format!("The run was interrupted at {ended}: not judged.");
        }
    }
    let result = RunResult::new(
        &plan,
        &judges.recorder,
        Ending {
            digest,
            expectations,
            graph: GraphResult::new(&plan, u64::from(graph.0), graph.1),
            recovered,
            waiting,
            simulated: ended,
            wall_seconds: started.elapsed().as_secs_f64(),
            events,
        },
    );
    let result = if interrupted { result.interrupted() } else { result };
    let exit = match result.verdict {
        _ if interrupted => Exit::Surroundings,
        Overall::Held => Exit::Held,
        Overall::Broke => Exit::Broke,
        Overall::NotRecovered => Exit::NotRecovered,
    };
    Played { result, recorder: judges.recorder, exit }
}
