//! What this machine does: the store's work on a core, the disk, the loopback network. The
//! figures become a profile, which a scenario names in place of assumed ones, and by which a
//! real run and its simulation can be set side by side.
//!
//! Everything is bounded: each measurement has its part of the time, files are short and lie in
//! a folder of their own that is gone afterwards.

mod disk;
mod fit;
mod loopback;
#[cfg(test)]
mod tests;
mod work;

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;
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
}

impl Times {
    fn of(mut nanos: Vec<u64>, what: &'static str) -> Result<Times, CalibrateError> {
        nanos.sort_unstable();
        let last = nanos.len().checked_sub(1).ok_or(CalibrateError::TooShort(what))?;
        let at = |hundredths: usize| Span::from_nanos(nanos[last * hundredths / 100]);
        Ok(Times { samples: nanos.len(), p50: at(50), p99: at(99) })
    }

    /// The sigma of the log-normal distribution with these percentiles.
    fn sigma(&self) -> f64 {
        /// The 99th percentile of the standard normal distribution.
        const Z99: f64 = 2.326_347_874;
        let ratio = self.p99.as_nanos() as f64 / self.p50.as_nanos().max(1) as f64;
        (ratio.ln() / Z99 * 1e3).round().clamp(0.0, 5e3) / 1e3
    }

    /// The distribution, as scenarios write it; each time divided by a number.
    fn lognormal(&self, by: u64) -> String {
        let median = Span::from_nanos((self.p50.as_nanos() / by).max(1));
        format!("{{ lognormal = \"{median}\", sigma = {:?} }}", self.sigma())
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
    /// A sync of an appended KiB.
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
    /// A request and its answer by HTTP over an open connection.
    pub http: Times,
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

/// A folder that goes with all that is in it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Whoever took it away before did what was to be done.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Measures for about that long, with files in a new folder below `place`. `tell` is called with
/// what is measured next, and `go_on` says whether to.
///
/// # Errors
/// When the folder cannot be used, loopback cannot, the time is too short, or `go_on` says no.
pub fn calibrate(
    place: &Path,
    time: Duration,
    tell: &mut dyn FnMut(&str),
    go_on: &dyn Fn() -> bool,
) -> Result<Calibration, CalibrateError> {
    let folder = place.join(format!(".wavetank-calibrate-{}", std::process::id()));
    fs::create_dir(&folder).map_err(CalibrateError::io(folder.display().to_string()))?;
    let folder = Folder(folder);
    // Parts of the time, in hundredths.
    let clock = |hundredths: u32| Clock { until: Instant::now() + time * hundredths / 100, go_on };
    tell("the store's work on a core");
    let workloads = work::measure(&|| clock(5))?;
    let costs = fit::costs(&workloads);
    tell("writes and syncs of the disk");
    let (append_kib, throughput) = disk::appends(&folder.0, &clock(5))?;
    let sync = disk::syncs(&folder.0, &clock(15))?;
    let syncs_per_second = disk::syncs_at_once(&folder.0, &clock(8))?;
    tell("reads of the disk");
    let read = disk::reads(&folder.0, true, &clock(10))?;
    let cached = disk::reads(&folder.0, false, &clock(3))?;
    let read_cached = cached.ok_or(CalibrateError::TooShort("reads"))?;
    tell("transactions on the disk");
    let commit = disk::commits(&folder.0, &clock(10))?;
    tell("the loopback network");
    let round_trip = loopback::round_trips(&clock(6))?;
    let http = loopback::http(&clock(6))?;
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
        bandwidth,
        unoptimised: cfg!(debug_assertions),
    })
}

impl Calibration {
    /// The profile, as a scenario takes it.
    pub fn to_toml(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let Costs { step, record, hit, fault, logged_kib } = self.costs;
        let mut text = format!("{MARK} {version}: what one machine did.\n");
        for line in self.to_text().lines() {
            let _ = writeln!(text, "#   {line}");
        }
        let access = self.read.unwrap_or(self.read_cached);
        // The four ways of a request, between client, balancer and instance, are one real
        // request together; a message between instances takes one way.
        let (round_trip, ways) = match self.http.p50 > self.round_trip.p50 * 2 {
            true => (self.http, 4),
            false => (self.round_trip, 2),
        };
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
            self.syncs_per_second.clamp(1, 10_000_000),
            self.throughput.max(1),
            access.lognormal(1),
            self.sync.lognormal(1),
            round_trip.lognormal(ways),
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
        line("loopback bandwidth", format!("{} MB/s", self.bandwidth / 1_000_000));
        if self.unoptimised {
            line("note", "built without optimisation: a release is faster".into());
        }
        text
    }
}
