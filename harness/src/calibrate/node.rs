//! How long requests to nodes take that are processes: a cluster, played as `wavetank soak` does.
//! What lies between client and instance is threads that hand over, wake up and block, sockets,
//! messages turned into bytes and back, and whatever else shares the cores and the disk; no part
//! of it alone tells how long all take together.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wavetank_real::{SoakConfig, soak, usual_limit};
use wavetank_scenario::{Scenario, parse, parse_with, to_text};
use wavetank_vocabulary::{
    Bytes, Classes, Fact, Observer, OperationKind, OperationOutcome, Seq, Span, Time,
};
use wavetank_world::{BaseGraph, Plan, World};

use super::{CalibrateError, Times};

/// A cluster at moderate load, whose writes are pushed to one slave, if there is any.
const CLUSTER: &str = r#"
format = 1
duration = "1s"
[cluster.settings]
"ha.configuration_timeout" = "100ms"
"ha.pull_interval" = "500ms"
"ha.tx_push_factor" = 1
[[group]]
count = NODES
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "64MiB"
[graph]
generate = { kind = "social", users = 1000, mean_follows = 5 }
[[balancer]]
name = "front"
poll = "500ms"
[[clients]]
name = "app"
arrivals = { poisson = "150/s" }
routing = { by = "reads-to-slaves" }
mix = { profile = 3, status = 1 }
"#;

/// Requests before this are left out: the nodes start, and one is elected.
const WARM_UP: Span = Span::from_secs(4);
/// Requests are measured for this long at least.
const LEAST: Duration = Duration::from_secs(2);

/// Latencies of the operations that ended well, in nanoseconds.
#[derive(Clone, Debug, Default)]
struct Seen {
    writes: Option<OperationKind>,
    reads: Vec<u64>,
    written: Vec<u64>,
}

impl Seen {
    fn of(plan: &Plan) -> Seen {
        let writes = plan.operations.iter().position(|operation| operation.writes());
        Seen { writes: writes.map(|kind| OperationKind(kind as u16)), ..Seen::default() }
    }

    /// Of reads and of writes.
    fn times(self) -> Result<(Times, Times), CalibrateError> {
        let reads = Times::of(self.reads, "reads of a node")?;
        Ok((reads, Times::of(self.written, "writes of a node")?))
    }
}

impl Observer for Seen {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _: Seq, fact: &Fact) {
        if let Fact::Completed {
            kind, outcome: OperationOutcome::Ok, intended, attempts: 1, ..
        } = *fact
            && intended >= Time::ZERO + WARM_UP
        {
            let times = if Some(kind) == self.writes { &mut self.written } else { &mut self.reads };
            times.push(at.since(intended).as_nanos());
        }
    }
}

/// How long the simulated cluster is played.
const SIMULATED: Span = Span::from_secs(60);

fn cluster(nodes: u16) -> String {
    CLUSTER.replace("NODES", &nodes.to_string())
}

fn drawn(scenario: &Scenario) -> Plan {
    let plan = scenario.draw(1, &mut |_| Err(std::io::ErrorKind::NotFound.into()));
    plan.expect("no file is needed")
}

/// Reads and writes of a cluster of so many nodes, as its client sees them, for about that long.
pub(super) fn requests(
    program: &Path,
    folder: &Path,
    nodes: u16,
    time: Duration,
    go_on: &dyn Fn() -> bool,
) -> Result<(Times, Times), CalibrateError> {
    let folder = folder.join("node");
    fs::create_dir(&folder).map_err(CalibrateError::io(folder.display().to_string()))?;
    let scenario = parse("calibrate.toml", &cluster(nodes)).expect("the scenario is sound");
    let mut plan = drawn(&scenario);
    plan.duration = WARM_UP + Span::from_nanos(time.max(LEAST).as_nanos() as u64);
    let seen = Seen::of(&plan);
    let plan = Arc::new(plan);
    let config = SoakConfig {
        base: Arc::new(BaseGraph::build(&plan.graph)),
        scenario: to_text(&plan),
        program: program.to_owned(),
        time_scale: 1_000,
        limit: usual_limit(&plan, 1_000),
        folder,
        disk: Bytes::mib(100),
        plan,
    };
    let soaked = soak(&config, seen, |_, _| go_on())?;
    if soaked.interrupted {
        return Err(CalibrateError::Interrupted);
    }
    soaked.observer.times()
}

/// The same of a simulated cluster with that profile. Each instance has a core, as one thread does
/// all of a node's work.
pub(super) fn simulated(profile: &str, nodes: u16) -> Result<(Times, Times), CalibrateError> {
    let text = format!("profile = \"found.toml\"\n{}", cluster(nodes));
    let mut read = |_: &Path| Ok(profile.as_bytes().to_vec());
    let scenario = parse_with("calibrate.toml", text.as_bytes(), &[], &mut read);
    let mut plan = drawn(&scenario.expect("what was written is sound"));
    plan.duration = SIMULATED;
    for instance in &mut plan.instances {
        instance.cores = 1;
    }
    let (base, seen) = (Arc::new(BaseGraph::build(&plan.graph)), Seen::of(&plan));
    let mut world = World::new(Arc::new(plan), base, seen);
    while world.advance(u64::MAX) {}
    world.into_observer().times()
}
