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
#[cfg(test)]
mod tests;
mod work;

use std::fmt::Write;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use thiserror::Error;
use wavetank_kernel::{Distribution, QUANTILES, Streams};
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

    /// The sigma of the log-normal distribution with these percentiles.
    fn sigma(&self) -> f64 {
        /// The 99th percentile of the standard normal distribution.
        const Z99: f64 = 2.326_347_874;
        let ratio = self.p99.as_nanos() as f64 / self.p50.as_nanos().max(1) as f64;
        (ratio.ln() / Z99 * 1e3).round().clamp(0.0, 5e3) / 1e3
    }

    /// Median and sigma of a log-normal distribution so many independent draws of which take
    /// together as long as this, at the median and at the 99th percentile: found by halving, over
    /// sums that are drawn always alike. The tail of a sum is thinner than that of its parts.
    fn part(&self, of: usize) -> (Span, f64) {
        /// Sums that are drawn: the 99th percentile rests on a hundredth of them.
        const SUMS: usize = 8_192;
        /// Halvings: sigma to a thousandth.
        const HALVINGS: usize = 14;
        if of <= 1 {
            return (Span::from_nanos(self.p50.as_nanos().max(1)), self.sigma());
        }
        let sums = |sigma: f64| {
            let mut stream = Streams::new(1).stream("calibrate", [0; 3]);
            let one = Distribution::LogNormal { median: Span::from_millis(1), sigma };
            let sum = |_| (0..of).map(|_| one.sample(&mut stream).as_nanos()).sum::<u64>();
            let mut sums: Vec<u64> = (0..SUMS).map(sum).collect();
            sums.sort_unstable();
            (sums[SUMS / 2] as f64, sums[SUMS * 99 / 100] as f64)
        };
        let wanted = self.p99.as_nanos() as f64 / self.p50.as_nanos().max(1) as f64;
        let (mut low, mut high) = (0.0, 5.0);
        for _ in 0..HALVINGS {
            let sigma = (low + high) / 2.0;
            let (p50, p99) = sums(sigma);
            if p99 / p50 < wanted { low = sigma } else { high = sigma }
        }
        let sigma = (low * 1e3_f64).round() / 1e3;
        let median = self.p50.as_nanos() as f64 * 1e6 / sums(sigma).0;
        (Span::from_nanos((median.round() as u64).max(1)), sigma)
    }

    /// What is left of it when so much is told apart, but a nanosecond at the least.
    fn without(self, part: Span) -> Times {
        let rest = |time: Span| Span::from_nanos(time.saturating_sub(part).as_nanos().max(1));
        let (p50, p99) = (rest(self.p50), rest(self.p99));
        Times { p50, p99, quantiles: self.quantiles.map(rest), ..self }
    }

    /// All that was measured of it, as scenarios write it.
    fn measured(&self) -> String {
        let quoted = self.quantiles.map(|value| format!("\"{value}\""));
        format!("{{ quantiles = [{}] }}", quoted.join(", "))
    }

    /// The distribution, as scenarios write it, so many of which make up this.
    fn lognormal(&self, of: usize) -> String {
        let (median, sigma) = self.part(of);
        format!("{{ lognormal = \"{median}\", sigma = {sigma:?} }}")
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Processors that this process may use.
    pub cores: usize,
    /// What the store did on a core, and how long it took.
    pub workloads: Vec<Workload>,
    /// What each unit of that work costs.
    pub costs: Costs,
    /// A sync of an appended KiB by a thread of its own, now and then.
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
    /// A read of a node that is alone, as its client sees it, a hundred and fifty a second.
    pub request: Times,
    /// A write that a node that is alone commits, between these.
    pub write: Times,
    /// Bytes per second over loopback.
    pub bandwidth: u64,
    /// Whether this is a build without optimisation, whose costs are not those of a release.
    pub unoptimised: bool,
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
/// that runs a node. `tell` is called with what is measured next, and `go_on` says whether to.
///
/// # Errors
/// When the folder cannot be used, loopback or a node cannot, the time is too short, or `go_on`
/// says no.
pub fn calibrate(
    program: &Path,
    place: &Path,
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
    let workloads = work::measure(&|| clock(3))?;
    let costs = fit::costs(&workloads);
    tell("writes and syncs of the disk");
    let (append_kib, throughput) = disk::appends(folder, &clock(5))?;
    // At three times: what others do to the disk just then is not all that there is.
    let mut syncs = disk::syncs(folder, &clock(5))?;
    let syncs_per_second = disk::syncs_at_once(folder, &clock(8))?;
    tell("reads of the disk");
    let read = disk::reads(folder, true, &clock(7))?;
    let cached = disk::reads(folder, false, &clock(3))?;
    let read_cached = cached.ok_or(CalibrateError::TooShort("reads"))?;
    tell("transactions on the disk");
    let commit = disk::commits(folder, &clock(5))?;
    syncs.extend(disk::syncs(folder, &clock(5))?);
    tell("the loopback network");
    let round_trip = loopback::round_trips(&clock(3))?;
    let http = loopback::http(&clock(3))?;
    tell("requests to a node");
    let (request, write) = node::requests(program, folder, time * 27 / 100, go_on)?;
    syncs.extend(disk::syncs(folder, &clock(5))?);
    let sync = Times::of(syncs, "syncs")?;
    let bandwidth = loopback::bandwidth(&clock(3))?;
    if !go_on() {
        return Err(CalibrateError::Interrupted);
    }
    Ok(Calibration {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
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
    })
}

/// Ways that a simulated request crosses.
const WAYS: usize = 4;
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

    /// What is to be said when a write of a node does not take what its parts do.
    fn uneven(&self) -> Option<String> {
        let (parts, whole) = (self.request.p50 + self.sync.p50, self.write.p50);
        (whole > parts * 2 || parts > whole * 2).then(|| {
            format!(
                "a write of a node took {whole} where a read and a sync take {parts}: something \
                 else used the disk; measure again"
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
        let written = Span::from_nanos(KIB * 1_000_000_000 / self.throughput.max(1));
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
            access.without(occupies).measured(),
            self.sync.without(occupies.max(written)).measured(),
            // The ways of a request, between client, balancer and instance, are one real request
            // together; a message between instances takes one way.
            self.request.lognormal(WAYS),
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
        line("read of a node", times(&self.request));
        line("write of a node", times(&self.write));
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
