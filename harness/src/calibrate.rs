//! What this machine does: the store's work on a core, the disk, the loopback network. The
//! figures become a profile, which a scenario names in place of assumed ones, and by which a
//! real run and its simulation can be set side by side.
//!
//! Everything is bounded: each measurement has its part of the time, files are short and lie in
//! a folder of their own that is gone afterwards.

mod disk;
mod fit;
mod loopback;
mod node;
mod part;
#[cfg(test)]
mod tests;
mod work;

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use part::{Quantiles, part};
use thiserror::Error;
use wavetank_kernel::QUANTILES;
use wavetank_real::WorkFolder;
use wavetank_reports::CALIBRATED;
use wavetank_store::GraphError;
use wavetank_vocabulary::Span;

pub use fit::Costs;
pub use work::Workload;

/// The first line of a profile that this wrote; by it a file is known as replaceable.
pub const MARK: &str = "# Written by `wavetank calibrate`";

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum CalibrateError {
    /// A file or a socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The node that requests were measured with failed.
    #[error("a node: {0}")]
    Node(#[from] wavetank_real::SoakError),
    /// The store failed.
    #[error("the store: {0}")]
    Store(#[from] GraphError),
    /// Somebody asked for an end.
    #[error("interrupted: nothing was written")]
    Interrupted,
    /// The time was too short for a single sample of this.
    #[error("the time was too short to measure {0}: give it more --seconds")]
    TooShort(&'static str),
}

impl CalibrateError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> CalibrateError {
        let what = what.into();
        |source| CalibrateError::Io { what, source }
    }
}

/// How long something took, over many times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How many.
    pub samples: usize,
    /// The median.
    pub p50: Span,
    /// The 99th percentile.
    pub p99: Span,
    /// At [`QUANTILES`].
    pub quantiles: [Span; QUANTILES.len()],
}

impl Times {
    fn of(mut nanos: Vec<u64>, what: &'static str) -> Result<Times, CalibrateError> {
        nanos.sort_unstable();
        let last = nanos.len().checked_sub(1).ok_or(CalibrateError::TooShort(what))?;
        let at = |thousandths: u64| Span::from_nanos(nanos[last * thousandths as usize / 1_000]);
        let quantiles = QUANTILES.map(at);
        Ok(Times { samples: nanos.len(), p50: at(500), p99: at(990), quantiles })
    }
}

/// Where [`QUANTILES`] has the median.
const MEDIAN: usize = 3;

/// What is left of times when so much is told apart, but a nanosecond at the least.
fn without(quantiles: Quantiles, part: Span) -> Quantiles {
    quantiles.map(|time| Span::from_nanos(time.saturating_sub(part).as_nanos().max(1)))
}

/// Times moved by as much as `from` is away from `to`.
fn shifted(quantiles: Quantiles, from: Span, to: Span) -> Quantiles {
    let longer = to.saturating_sub(from);
    without(quantiles, from.saturating_sub(to)).map(|time| time + longer)
}

/// A distribution, as scenarios write it.
fn written(quantiles: &Quantiles) -> String {
    let quoted = quantiles.map(|value| format!("\"{value}\""));
    format!("{{ quantiles = [{}] }}", quoted.join(", "))
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Processors that this process may use.
    pub cores: usize,
    /// Nodes that shared the machine while requests were measured.
    pub nodes: u16,
    /// What the store did on a core, and how long it took.
    pub workloads: Vec<Workload>,
    /// What each unit of that work costs.
    pub costs: Costs,
    /// A sync of an appended KiB by a thread of its own, now and then, with the disk to itself.
    pub sync: Times,
    /// Syncs per second by several threads, each with a file of its own.
    pub syncs_per_second: u64,
    /// Writing a KiB to the end of a file, without a sync.
    pub append_kib: Span,
    /// Bytes per second written in one go, the sync included.
    pub throughput: u64,
    /// A page read past the system's cache; none where the file system does not offer that.
    pub read: Option<Times>,
    /// A page read from the system's cache.
    pub read_cached: Times,
    /// A transaction of the store on this disk, from its first step to its sync.
    pub commit: Times,
    /// 64 bytes there and back over loopback.
    pub round_trip: Times,
    /// A request and its answer by HTTP over an open connection, one after the other.
    pub http: Times,
    /// A read of a node, as its client sees it, a hundred and fifty requests a second.
    pub request: Times,
    /// A write between these: committed, and pushed to one slave if there are any.
    pub write: Times,
    /// Bytes per second over loopback.
    pub bandwidth: u64,
    /// Whether this is a build without optimisation, whose costs are not those of a release.
    pub unoptimised: bool,
    model: Model,
}

/// Says when to stop: the end of a measurement's time, or an interrupt.
struct Clock<'a> {
    until: Instant,
    go_on: &'a dyn Fn() -> bool,
}

impl Clock<'_> {
    fn runs(&self) -> bool {
        Instant::now() < self.until && (self.go_on)()
    }
}

/// Measures for about that long, with files in a new folder below `place`; `program` is the command
/// that runs a node, and requests are those of a cluster of so many `nodes`. `tell` is called with
/// what is measured next, and `go_on` says whether to.
///
/// # Errors
/// When the folder cannot be used, loopback or a node cannot, the time is too short, or `go_on`
/// says no.
pub fn calibrate(
    program: &Path,
    place: &Path,
    nodes: u16,
    time: Duration,
    tell: &mut dyn FnMut(&str),
    go_on: &dyn Fn() -> bool,
) -> Result<Calibration, CalibrateError> {
    // A folder that is misspelt is not made.
    std::fs::metadata(place).map_err(CalibrateError::io(place.display().to_string()))?;
    let made = WorkFolder::new(place, "calibrate");
    let (folder, _) = made.map_err(CalibrateError::io(place.display().to_string()))?;
    let folder = folder.path();
    // Parts of the time, in hundredths.
    let clock = |hundredths: u32| Clock { until: Instant::now() + time * hundredths / 100, go_on };
    tell("the store's work on a core");
    let workloads = work::measure(&|| clock(2))?;
    let costs = fit::costs(&workloads);
    tell("writes and syncs of the disk");
    let (append_kib, throughput) = disk::appends(folder, &clock(4))?;
    // At three times: what others do to the disk just then is not all that there is.
    let mut syncs = disk::syncs(folder, &clock(4))?;
    let syncs_per_second = disk::syncs_at_once(folder, &clock(5))?;
    tell("reads of the disk");
    let read = disk::reads(folder, true, &clock(5))?;
    let cached = disk::reads(folder, false, &clock(2))?;
    let read_cached = cached.ok_or(CalibrateError::TooShort("reads"))?;
    tell("transactions on the disk");
    let commit = disk::commits(folder, &clock(4))?;
    syncs.extend(disk::syncs(folder, &clock(4))?);
    tell("the loopback network");
    let round_trip = loopback::round_trips(&clock(2))?;
    let http = loopback::http(&clock(2))?;
    tell("requests to nodes");
    let (request, write) = node::requests(program, folder, nodes, time * 45 / 100, go_on)?;
    syncs.extend(disk::syncs(folder, &clock(4))?);
    let sync = Times::of(syncs, "syncs")?;
    let bandwidth = loopback::bandwidth(&clock(2))?;
    if !go_on() {
        return Err(CalibrateError::Interrupted);
    }
    let mut calibration = Calibration {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        nodes,
        workloads,
        costs,
        sync,
        syncs_per_second,
        append_kib,
        throughput,
        read,
        read_cached,
        commit,
        round_trip,
        http,
        request,
        write,
        bandwidth,
        unoptimised: cfg!(debug_assertions),
        model: Model::default(),
    };
    calibration.fit()?;
    Ok(calibration)
}

/// What a simulated cluster draws from, so that its requests take what those of the real one did.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// One way of a message: the four of a request, between client, balancer and instance, are one
    /// real request together. A message between instances takes one way.
    way: Quantiles,
    /// What a node waits for a sync: what is left of a write beside its request and its push.
    sync: Quantiles,
}

/// Ways that a simulated request crosses: from client to balancer to instance, and back.
const WAYS: usize = 4;
/// Ways that a write crosses besides when it is pushed: to a slave, and back.
const PUSH_WAYS: usize = 2;
/// Bytes that go with each sync that was measured.
const KIB: u64 = 1 << 10;

impl Calibration {
    /// The most operations in a second that the disk was seen to do: syncs by several threads, or
    /// reads one after the other.
    fn operations_per_second(&self) -> u64 {
        let access = self.read.unwrap_or(self.read_cached);
        let reads = 1_000_000_000 / access.p50.as_nanos().max(1);
        self.syncs_per_second.max(reads).clamp(1, 10_000_000)
    }

    /// Syncs that a write waits for: the master's, and that of the slave that it is pushed to.
    fn syncs(&self) -> usize {
        if self.nodes > 1 { 2 } else { 1 }
    }

    /// Finds what a simulated cluster is to draw from. What cores and queues add to it is seen by
    /// playing the simulated cluster, and taken off before all is found once more.
    fn fit(&mut self) -> Result<(), CalibrateError> {
        self.model = self.found(self.request.quantiles, self.write.quantiles);
        let (request, write) = node::simulated(&self.to_toml(), self.nodes)?;
        self.model = self.found(
            shifted(self.request.quantiles, request.p50, self.request.p50),
            shifted(self.write.quantiles, write.p50, self.write.p50),
        );
        Ok(())
    }

    fn found(&self, request: Quantiles, write: Quantiles) -> Model {
        let way = part(&request, WAYS, &[]);
        let ways = if self.nodes > 1 { PUSH_WAYS } else { 0 };
        let sync = part(&write, self.syncs(), &[(request, 1), (way, ways)]);
        Model { way, sync }
    }

    /// What is to be said when a write of a node does not take what its parts do.
    fn uneven(&self) -> Option<String> {
        let syncs = self.sync.p50 * self.syncs() as u64;
        let (parts, whole) = (self.request.p50 + syncs, self.write.p50);
        (whole > parts * 3 || parts > whole * 2).then(|| {
            format!(
                "a write took {whole} where a read and {} alone on the disk take {parts}: something \
                 else used it; measure again",
                if self.nodes > 1 { "two syncs" } else { "a sync" }
            )
        })
    }

    /// The profile, as a scenario takes it.
    pub fn to_toml(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let Costs { step, record, hit, fault, logged_kib } = self.costs;
        let mut text = format!("{MARK} {version}: what one machine did.\n");
        for line in self.to_text().lines() {
            let _ = writeln!(text, "#   {line}");
        }
        let access = self.read.unwrap_or(self.read_cached);
        // An operation occupies a simulated volume for as long as its rate says, and its latency
        // comes on top; what was measured is both together.
        let iops = self.operations_per_second();
        let occupies = Span::from_nanos(1_000_000_000 / iops);
        let transfer = Span::from_nanos(KIB * 1_000_000_000 / self.throughput.max(1));
        let _ = write!(
            text,
            "\nabout = \"Calibrated by wavetank {version}.\"\n\n\
             [machine]\nname  = \"calibrated\"\ncores = {}\n\n\
             [costs]\nname       = \"{CALIBRATED}\"\nstep       = \"{step}\"\n\
             record     = \"{record}\"\nhit        = \"{hit}\"\nfault      = \"{fault}\"\n\
             logged_kib = \"{}\"\n\n\
             [volume]\niops       = {}\nthroughput = \"{}B/s\"\naccess     = {}\nsync       = {}\n\n\
             [network]\nlatency   = {}\nbandwidth = \"{}B/s\"\n",
            self.cores.clamp(1, 1024),
            logged_kib + self.append_kib,
            iops,
            self.throughput.max(1),
            written(&without(access.quantiles, occupies)),
            written(&without(self.model.sync, occupies.max(transfer))),
            written(&self.model.way),
            self.bandwidth.max(1),
        );
        text
    }

    /// The figures, for people.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "{what:<34} {value}");
        };
        let times = |times: &Times| {
            format!("p50 {}, p99 {} ({} times)", times.p50, times.p99, times.samples)
        };
        line("cores", self.cores.to_string());
        for workload in &self.workloads {
            let fitted = self.costs.of(&workload.each) / workload.nanos * 100.0 - 100.0;
            let nanos = Span::from_nanos(workload.nanos as u64);
            line(workload.name, format!("{nanos}, by the fitted costs {fitted:+.0} %"));
        }
        line("append of a KiB", self.append_kib.to_string());
        line("written in one go", format!("{} MB/s", self.throughput / 1_000_000));
        line("sync", times(&self.sync));
        line("syncs at once", format!("{}/s", self.syncs_per_second));
        match &self.read {
            Some(read) => line("page from disk", times(read)),
            None => line("page from disk", "not offered here: the cached figure is used".into()),
        }
        line("page from the system's cache", times(&self.read_cached));
        line("transaction with its sync", times(&self.commit));
        line("loopback round trip", times(&self.round_trip));
        line("HTTP request", times(&self.http));
        line("nodes that share the machine", self.nodes.to_string());
        line("read of a node", times(&self.request));
        line("write of a node", times(&self.write));
        line("sync, as a write waits for it", format!("p50 {}", self.model.sync[MEDIAN]));
        line("loopback bandwidth", format!("{} MB/s", self.bandwidth / 1_000_000));
        if let Some(note) = self.uneven() {
            line("note", note);
        }
        if self.unoptimised {
            line("note", "built without optimisation: a release is faster".into());
        }
        text
    }
}
