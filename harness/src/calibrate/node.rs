//! How long requests to a node take that is a process: a cluster of one, played as `wavetank soak`
//! does. What lies between client and instance is threads that hand over, wake up and block,
//! sockets, and messages turned into bytes and back, and no part of it alone tells how long all
//! take together.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wavetank_real::{SoakConfig, soak, usual_limit};
use wavetank_scenario::{parse, to_text};
use wavetank_vocabulary::{
    Bytes, Classes, Fact, Observer, OperationKind, OperationOutcome, Seq, Span, Time,
};
use wavetank_world::BaseGraph;

use super::{CalibrateError, Times};

/// A cluster of one at moderate load: no pulls, pushes or elections.
const ALONE: &str = r#"
format = 1
duration = "1s"
[cluster.settings]
"ha.configuration_timeout" = "100ms"
[[group]]
count = 1
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
mix = { profile = 5, status = 1 }
"#;

/// Requests before this are left out: the node starts and is elected.
const WARM_UP: Span = Span::from_secs(2);
/// Requests are measured for this long at least.
const LEAST: Duration = Duration::from_secs(1);

/// Latencies of the operations that ended well, in nanoseconds.
#[derive(Clone, Debug, Default)]
struct Seen {
    writes: Option<OperationKind>,
    reads: Vec<u64>,
    written: Vec<u64>,
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

/// Reads and writes of a node that is alone, as its client sees them, for about that long.
pub(super) fn requests(
    program: &Path,
    folder: &Path,
    time: Duration,
    go_on: &dyn Fn() -> bool,
) -> Result<(Times, Times), CalibrateError> {
    let folder = folder.join("node");
    fs::create_dir(&folder).map_err(CalibrateError::io(folder.display().to_string()))?;
    let scenario = parse("calibrate.toml", ALONE).expect("the scenario is sound");
    let plan = scenario.draw(1, &mut |_| Err(std::io::ErrorKind::NotFound.into()));
    let mut plan = plan.expect("no file is needed");
    plan.duration = WARM_UP + Span::from_nanos(time.max(LEAST).as_nanos() as u64);
    let writes = plan.operations.iter().position(|operation| operation.writes());
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
    let writes = writes.map(|kind| OperationKind(kind as u16));
    let soaked = soak(&config, Seen { writes, ..Seen::default() }, |_, _| go_on())?;
    if soaked.interrupted {
        return Err(CalibrateError::Interrupted);
    }
    let Seen { reads, written, .. } = soaked.observer;
    Ok((Times::of(reads, "reads of a node")?, Times::of(written, "writes of a node")?))
}
