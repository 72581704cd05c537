//! One instance as a process: what makes it, and how it starts and ends. `driver` runs it.

use std::fmt::{self, Write};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use wavetank_cluster::Configuration;
use wavetank_instance::{Input, Instance, InstanceConfig};
use wavetank_store::PAGE_SIZE;
use wavetank_vocabulary::InstanceId;
use wavetank_world::{AcceptorMemory, BaseGraph, GraphPlan, GraphSource, Plan, Program};
use xxhash_rust::xxh3::Xxh3;

use crate::clock::Clock;
use crate::disk::Disk;
use crate::driver::{Incoming, Node, Parts};
use crate::home::{Home, HomeError};
use crate::http;
use crate::link::Link;
use crate::log::Log;
use crate::peers::{Membership, Peers, listen};
use crate::statements::Compile;
use crate::system::{end_with_parent, exact_timers};
use crate::web::Web;
use crate::wire::HERE;

/// What makes a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The scenario: settings, members, graph, operations.
    pub plan: Arc<Plan>,
    /// `ha.server_id`: which of its instances this is.
    pub id: InstanceId,
    /// Where its store is, or is to be.
    pub directory: PathBuf,
    /// `ha.cluster_server`: where it listens to the other members.
    pub cluster_server: SocketAddr,
    /// Where its web server listens.
    pub web_server: SocketAddr,
    /// Where each member is to be reached.
    pub members: Vec<(InstanceId, SocketAddr)>,
    /// Who started it and wants to know everything.
    pub control: Option<SocketAddr>,
    /// Compiles the statements that clients have written themselves.
    pub compile: Compile,
}

/// The exit code of a node whose database stopped itself: that of an error of input or output
/// (`EX_IOERR` of sysexits.h). A soak tells by it what a failing disk explains from what it does not.
pub const STORE_STOPPED: u8 = 74;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// It is not part of its own cluster.
    #[error("server id {0} is none of the scenario's instances")]
    NotAMember(u16),
    /// It would never find this member.
    #[error(
        "`[members]` does not say where server id {0} is to be reached, which the scenario has"
    )]
    MemberMissing(u16),
    /// Nobody would ever be there.
    #[error("`[members]` has server id {0}, which is none of the scenario's instances")]
    MemberUnknown(u16),
    /// A node keeps no promises of its acceptor.
    #[error(
        "`acceptors = \"durable\"` is for simulated instances: a node forgets what it promised"
    )]
    DurableAcceptors,
    /// Somebody else listens there, or nobody may.
    #[error("cannot listen at {address} ({what}): {source}")]
    Port {
        /// For what.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The one who started it cannot be reached.
    #[error("cannot reach the one who started this node at {address}: {source}")]
    Control {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
    /// The database stopped itself.
    #[error("the store stopped: {0}")]
    Store(String),
    /// The cluster does not let it in.
    #[error("the cluster does not let server id {0} in: another instance has it")]
    NotLetIn(u16),
}

/// Runs a node until it was stopped. `asked_to_stop` is asked now and then whether somebody
/// wants it to leave the cluster and end.
///
/// # Errors
/// When it cannot start, its store stopped itself, or the cluster does not let it in.
pub fn run(config: &NodeConfig, asked_to_stop: impl Fn() -> bool) -> Result<(), NodeError> {
    let plan = &config.plan;
    let instance = plan.instances.iter().find(|instance| instance.id == config.id);
    let instance = instance.ok_or(NodeError::NotAMember(config.id.0))?;
    if plan.settings.cluster.acceptor_memory != AcceptorMemory::default() {
        return Err(NodeError::DurableAcceptors);
    }
    let members: Vec<InstanceId> = plan.instances.iter().map(|it| it.id).collect();
    let listed: Vec<InstanceId> = config.members.iter().map(|(id, _)| *id).collect();
    if let Some(id) = members.iter().find(|id| !listed.contains(id)) {
        return Err(NodeError::MemberMissing(id.0));
    }
    if let Some(id) = listed.iter().find(|id| !members.contains(id)) {
        return Err(NodeError::MemberUnknown(id.0));
    }
    let configuration =
        Configuration::new(config.id, &members).map_err(|_| NodeError::NotAMember(config.id.0))?;
    let log = Log::new(&format!("wavetank node {}", config.id.0));
    let cluster = cluster_of(&members, &plan.graph, &plan.operations);

    let bind = |what, address| {
        TcpListener::bind(address).map_err(|source| NodeError::Port { what, address, source })
    };
    let cluster_port = bind("ha.cluster_server", config.cluster_server)?;
    let web_port = bind("web server", config.web_server)?;
    let mut home = Home::open(&config.directory, config.id, cluster)?;
    let system = |what| move |source| NodeError::System { what, source };

    let (tell, incoming) = channel();
    let synced = tell.clone();
    let done = move |op, result| {
        // Without the main thread the process is ending.
        let _ = synced.send(Incoming::Synced(op, result));
    };
    home.claim().map_err(system("cannot note whose directory it is"))?;
    let store = home.store();
    let mut disk = Disk::new(&store, done).map_err(system("cannot use the store's directory"))?;
    if home.is_new() && !instance.arbiter {
        let base = BaseGraph::build(&plan.graph);
        disk.directory().lay_down(&base.image).map_err(system("cannot write the start graph"))?;
    }
    home.settle().map_err(system("cannot note whose directory it is"))?;

    exact_timers().map_err(system("cannot have exact timers"))?;
    let (link, clock) = match config.control {
        None => (None, Clock::starting(1_000)),
        Some(address) => {
            end_with_parent().map_err(system("cannot be tied to who started it"))?;
            let orders = tell.clone();
            let tell = move |order| {
                let _ = orders.send(Incoming::Control(order));
            };
            let called = Link::call(address, config.id, tell);
            let (link, clock) = called.map_err(|source| NodeError::Control { address, source })?;
            (Some(link), clock)
        }
    };
    let membership = Membership { cluster, me: config.id, members: members.as_slice().into() };
    let peer_tell = tell.clone();
    let from_peer = move |what| {
        let _ = peer_tell.send(Incoming::Peer(what));
    };
    let peers = Peers::new(&membership, &config.members, &log, &from_peer)
        .map_err(system("cannot start a thread"))?;

    let settings = Arc::new(plan.settings_of(instance).clone());
    let node_instance = Instance::new(InstanceConfig {
        configuration,
        settings,
        slave_only: instance.slave_only,
        arbiter: instance.arbiter,
        address: HERE,
        frames: (instance.page_cache.0 / PAGE_SIZE as u64).max(LEAST_FRAMES) as usize,
        cache_policy: instance.cache_policy,
        programs: plan.operations.clone().into(),
        bugs: plan.bugs,
        watch_locks: true,
    });
    let web = Web {
        id: config.id,
        address: web_port.local_addr().unwrap_or(config.web_server),
        programs: plan.operations.clone().into(),
        compile: config.compile,
        idle: plan.settings_of(instance).transaction_timeout,
        tell: move |what| tell.send(Incoming::Web(what)).is_ok(),
    };
    let parts = Parts { instance: node_instance, clock, disk, peers, link, log: log.clone() };
    let mut node = Node::new(plan.clone(), parts);
    node.input(Input::Start);
    // Only now: who asks is answered.
    let listening = listen(cluster_port, membership, log.clone(), from_peer);
    listening.map_err(system("cannot start a thread"))?;
    http::serve(web_port, &log, move |request| web.answer(request))
        .map_err(system("cannot start a thread"))?;
    node.work(&incoming, asked_to_stop);
    let ended = node.end();
    home.leave();
    ended
}

/// The page cache is never smaller (HA specification 6.3: 30 pages at the least).
const LEAST_FRAMES: u64 = 30;

/// What tells one cluster from another: its members, the whole graph that they start with, and what
/// their operations do. Where a file of edges lies, and words for people, do not.
fn cluster_of(members: &[InstanceId], graph: &GraphPlan, operations: &[Program]) -> u64 {
    let mut sum = Sum(Xxh3::new());
    let GraphPlan { seed, source, model, properties, unique, names } = graph;
    // A sum takes any text: none of these can fail.
    let _ = match source {
        GraphSource::Social { users, mean_follows } => write!(sum, "{users} {mean_follows:?}"),
        GraphSource::Edges { edges, .. } => write!(sum, "{edges:?}"),
    };
    let _ = write!(sum, " {seed} {model:?} {properties:?} {unique:?} {names:?}");
    for member in members {
        let _ = write!(sum, " {}", member.0);
    }
    for Program { name, steps, names, stores, about: _, source: _ } in operations {
        let _ = write!(sum, " {name:?} {steps:?} {names:?} {stores:?}");
    }
    sum.0.digest()
}

/// A text that is summed up as it is written.
struct Sum(Xxh3);

impl fmt::Write for Sum {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// The folder of a node's store in its directory.
pub(crate) fn store_folder(directory: &Path) -> PathBuf {
    directory.join("store")
}

/// Takes the store of a node that does not run away.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn wipe(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(store_folder(directory)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Ratio;
    use wavetank_world::GraphModel;
    use wavetank_world::operation::OperationStep;

    #[test]
    fn clusters_differ_by_all_that_their_nodes_start_with() {
        let social = |users| GraphSource::Social { users, mean_follows: Ratio::new(5, 1) };
        let graph = GraphPlan {
            seed: 1,
            source: social(200),
            model: GraphModel::MonolithicNode,
            properties: Vec::new(),
            unique: Vec::new(),
            names: Vec::new(),
        };
        let members = [InstanceId(1), InstanceId(2)];
        let program = Program { name: "follow".to_owned(), ..Program::default() };
        let of = |graph: &GraphPlan, program: &Program| {
            cluster_of(&members, graph, std::slice::from_ref(program))
        };
        let one = of(&graph, &program);
        assert_eq!(one, of(&graph, &Program { about: "x".to_owned(), ..program.clone() }));
        let others = [
            GraphPlan { seed: 2, ..graph.clone() },
            GraphPlan { source: social(201), ..graph.clone() },
            GraphPlan { model: GraphModel::SplitNodes, ..graph.clone() },
            GraphPlan { properties: vec![("count".to_owned(), 0)], ..graph.clone() },
            GraphPlan { unique: vec![("User".to_owned(), "name".to_owned())], ..graph.clone() },
        ];
        for other in others {
            assert_ne!(one, of(&other, &program), "{other:?}");
        }
        let steps = vec![OperationStep::Commit];
        assert_ne!(one, of(&graph, &Program { steps, ..program.clone() }));
        assert_ne!(one, cluster_of(&members[..1], &graph, &[program]));
    }
}
