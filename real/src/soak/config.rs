//! What makes a soak, what it comes to, and which scenarios can be played for real.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wavetank_vocabulary::{Bytes, FaultKind, InstanceId, Observer, Span, Time};
use wavetank_world::{AcceptorMemory, BaseGraph, Plan, World};

use crate::clock::Clock;

/// What makes a soak.
#[derive(Clone, Debug)]
pub struct SoakConfig {
    /// What is played.
    pub plan: Arc<Plan>,
    /// Its start graph.
    pub base: Arc<BaseGraph>,
    /// The same Plan as a scenario file, for the nodes.
    pub scenario: String,
    /// The command that runs a node with `node --config FILE`.
    pub program: PathBuf,
    /// How many times faster than the real one the clock runs, in thousandths.
    pub time_scale: u32,
    /// An empty folder for the nodes' files.
    pub folder: PathBuf,
    /// How long it may take in all.
    pub limit: Duration,
    /// How much the folder may hold.
    pub disk: Bytes,
}

/// Why a soak could not be played.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// The scenario asks for what cannot be done to processes.
    #[error("{0}")]
    NotForReal(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What it said.
        source: io::Error,
    },
    /// A node could not be started.
    #[error("instance {id} does not come up: {why}")]
    NodeFailed {
        /// Which.
        id: u16,
        /// Why.
        why: String,
    },
}

/// What a soak came to.
#[derive(Debug)]
pub struct Soaked<O> {
    /// Who has seen its facts.
    pub observer: O,
    /// Whether the cluster recovered once everything was healed.
    pub recovered: bool,
    /// What it was still waiting for.
    pub waiting: Option<String>,
    /// Where the clock of the run stopped.
    pub ended: Time,
    /// Whether it was broken off.
    pub interrupted: bool,
    /// Facts told.
    pub facts: u64,
    /// What is to be known beside the results.
    pub notes: Vec<String>,
    /// Each node's memory and open files through the run.
    pub sizes: Vec<NodeSize>,
    /// Nodes that ended without anything done to them that explains it.
    pub deaths: Vec<Death>,
}

/// A node ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// On the clock of the run.
    pub at: Time,
    /// Which node.
    pub instance: InstanceId,
    /// How its process ended.
    pub how: String,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, seconds) = (self.instance.0, self.at.as_secs_f64());
        write!(f, "instance {id} ended by itself at {seconds:.3} s ({})", self.how)
    }
}

/// How large a node's process was at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSize {
    /// On the clock of the run.
    pub at: Time,
    /// Which node.
    pub instance: InstanceId,
    /// The number of its process: another one after each start.
    pub pid: u32,
    /// Resident memory in KiB.
    pub kibibytes: u64,
    /// Of these, pages in its page cache, as it said last.
    pub page_cache_kib: u64,
    /// Open files.
    pub files: u64,
}

/// What is to be known of a scenario that is played for real; an error when it cannot be.
pub(super) fn playable<O: Observer>(plan: &Plan) -> Result<Vec<String>, SoakError> {
    let mut refused = BTreeSet::new();
    let mut notes = Vec::new();
    for fault in &plan.faults {
        if !World::<O>::plays_outside(fault.kind) {
            refused.insert(fault.kind.name());
        }
    }
    if !refused.is_empty() {
        let names: Vec<&str> = refused.into_iter().collect();
        return Err(SoakError::NotForReal(format!(
            "these faults cannot be played on processes: {}\nprocesses can be killed, stopped, \
             restarted, wiped and paused; links can be cut, reset, slow, lossy and narrow; disks \
             can be slow, stalled, full, read-only or gone, and fail a write or a sync; clocks can \
             be wrong, page caches small; balancers can fail",
            names.join(", ")
        )));
    }
    let mut triggers = plan.faults.iter().filter_map(|fault| fault.when);
    if let Some((trigger, _)) = triggers.find(|(trigger, _)| !trigger.is_told()) {
        let name = trigger.name();
        let why = format!("nobody outside a process sees when it is in the state {name:?}");
        return Err(SoakError::NotForReal(why));
    }
    if plan.settings.cluster.acceptor_memory != AcceptorMemory::default() {
        let why = "processes forget what they promised: `acceptors = \"durable\"` is for simulated \
                   instances";
        return Err(SoakError::NotForReal(why.to_owned()));
    }
    if plan.instances.iter().any(|instance| instance.new_address) {
        let why = "instances that listen at another address after each start cannot be played \
                   on processes";
        return Err(SoakError::NotForReal(why.to_owned()));
    }
    if plan.faults.iter().any(|fault| fault.kind == FaultKind::PowerLoss) {
        notes.push(
            "power-loss was played as a kill: what the system had cached of a file survived."
                .to_owned(),
        );
    }
    if plan.datacentres.len() > 1 {
        notes.push("the way between data centres is loopback's, not the scenario's.".to_owned());
    }
    Ok(notes)
}

/// How long a soak may take at the most when nothing else is said: the scenario, the time
/// that recovery is given, and two minutes for everything around it.
pub fn usual_limit(plan: &Plan, time_scale: u32) -> Duration {
    let clock = Clock { origin: 0, scale: time_scale.max(1) };
    let patience = plan.longest_within().max(Span::from_secs(60));
    clock.real(plan.duration + patience) + Duration::from_secs(120)
}
