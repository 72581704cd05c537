//! What happened over time, in buckets of equal width, each closed when the clock leaves
//! it: the memory does not grow with the number of operations.

use hdrhistogram::Histogram;
use wavetank_vocabulary::{OperationOutcome, Role, Span, Status, Time};

use crate::metrics::Readings;

/// Bucket widths that read well on an axis, in seconds.
const WIDTHS: [u64; 19] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200,
    86_400,
];
/// As many buckets a run should have at the most.
const BUCKETS: u64 = 600;
/// What happens later than this many buckets is not charted: a run that goes on for twice
/// as long as planned.
const MOST_BUCKETS: usize = 2 * BUCKETS as usize;
/// Successful operations that a bucket needs for its median.
const MEDIAN_NEEDS: u64 = 10;
/// And for its 90th percentile.
const P90_NEEDS: u64 = 30;
/// And for its 99th percentile: fewer than the tables ask for, because a curve of many
/// points shows its own scatter.
const P99_NEEDS: u64 = 100;

/// The smallest and the largest of what was measured within a bucket: what its mean hides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent(Option<(f64, f64)>);

impl Extent {
    /// Takes a measurement in.
    pub(crate) fn note(&mut self, value: f64) {
        let (low, high) = self.0.unwrap_or((value, value));
        self.0 = Some((low.min(value), high.max(value)));
    }

    /// Smallest and largest; none when nothing was measured.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.0
    }
}

/// One instance in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct InstanceBucket {
    /// Its role when the bucket ended.
    pub role: Role,
    /// The most transactions by which a sample of its log was behind the longest log sampled
    /// at the same moment; none when it was not sampled or not running.
    pub lag: Option<u64>,
    /// The most that the operators' monitoring, which asks seldom, saw of it: by how much
    /// its last committed transaction was behind the largest one read at the same moment.
    /// None when it did not ask within the bucket, or got no answer.
    pub monitored_lag: Option<u64>,
    /// The last readings of what Neo4j's metrics are made of.
    pub readings: Readings,
    /// Page pins that found the page resident.
    pub hits: u64,
    /// Page pins that had to load the page.
    pub faults: u64,
    /// The time over which hits and faults were counted.
    pub page_time: Span,
    /// Hit rates between one sample and the next.
    pub hit_rates: Extent,
    /// Faults per second, likewise.
    pub fault_rates: Extent,
    /// The longest silence of a peer that counted as alive.
    pub heartbeat_gap: Option<Span>,
    /// For how long the machine stood still.
    pub paused: Span,
    /// The longest disk queue sampled.
    pub disk_queue: Option<u64>,
    /// Disk-busy time between the samples of this bucket and those before.
    pub disk_busy: Span,
    /// The time that `disk_busy` is a part of.
    pub disk_time: Span,
    /// Its parts between one sample and the next.
    pub disk_parts: Extent,
    /// Core time spent, over all cores.
    pub core_busy: Span,
    /// The time that `core_busy` is to be compared with, for one core.
    pub core_time: Span,
    /// Its parts between one sample and the next, for one core.
    pub core_parts: Extent,
}

impl InstanceBucket {
    /// Hits as a part of all pins; none when there were none.
    pub fn hit_rate(&self) -> Option<f64> {
        part(self.hits, self.hits + self.faults)
    }

    /// Page faults per second; none when they were not counted.
    pub fn fault_rate(&self) -> Option<f64> {
        (!self.page_time.is_zero()).then(|| self.faults as f64 / self.page_time.as_secs_f64())
    }

    /// The part of the time in which the machine stood still.
    pub fn paused_part(&self) -> Option<f64> {
        part(self.paused.as_nanos(), self.core_time.as_nanos())
    }

    /// The part of the time in which the disk was busy.
    pub fn disk_utilisation(&self) -> Option<f64> {
        part(self.disk_busy.as_nanos(), self.disk_time.as_nanos())
    }

    /// The part of the time in which `cores` cores were busy.
    pub fn core_utilisation(&self, cores: u32) -> Option<f64> {
        part(self.core_busy.as_nanos(), self.core_time.as_nanos().saturating_mul(cores.into()))
    }
}

fn part(of: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| of as f64 / whole as f64)
}

/// What happened within one bucket, warm-up included. Operations count where they ended,
/// those that were offered where they were due.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Operations that were due.
    pub offered: u64,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that certainly did nothing.
    pub failed: u64,
    /// Operations of which it is not known.
    pub unknown: u64,
    /// Operations of one second each: due, succeeded, failed, unknown.
    pub per_second: [Extent; 4],
    /// Unsuccessful ends by the last status, in the order of [`Status::ALL`].
    pub errors: [u64; Status::ALL.len()],
    /// Median latency of those that succeeded, to two digits; none for fewer than 10.
    pub p50: Option<Span>,
    /// Their 90th percentile, to two digits; none for fewer than 30.
    pub p90: Option<Span>,
    /// Their 99th percentile, to two digits; none for fewer than 100.
    pub p99: Option<Span>,
    /// The longest.
    pub longest: Option<Span>,
    /// Median time at an instance of the requests that it answered with success: the view
    /// from inside. None for fewer than 10.
    pub server_p50: Option<Span>,
    /// Their 99th percentile; none for fewer than 100.
    pub server_p99: Option<Span>,
    /// The longest.
    pub server_longest: Option<Span>,
    /// The instances, in the order of the Plan.
    pub instances: Vec<InstanceBucket>,
}

/// Buckets from the start of the run on, without gaps.
#[derive(Clone, Debug)]
pub struct Series {
    width: Span,
    buckets: Vec<Bucket>,
    /// Latencies of the last bucket in microseconds.
    open: Histogram<u32>,
    /// Times at instances of the last bucket, likewise.
    inside: Histogram<u32>,
    /// The present second and its operations: due, succeeded, failed, unknown.
    second: (u64, [u64; 4]),
    /// Ends of logs that were sampled at one moment.
    logs: Moment,
    /// The same of what the monitoring read.
    monitored: Moment,
}

/// Readings of one moment, by instance.
#[derive(Clone, Debug)]
struct Moment {
    at: Time,
    last: Vec<Option<u64>>,
}

impl Moment {
    /// By how much each is behind the largest; none that was not read.
    fn take_lags(&mut self) -> impl Iterator<Item = Option<u64>> + '_ {
        let longest = self.last.iter().flatten().max().copied();
        self.last.iter_mut().map(move |tx| Some(longest? - tx.take()?))
    }
}

impl Series {
    /// A series for a run that is planned to last `length`, with so many instances.
    pub(crate) fn new(length: Span, instances: usize) -> Self {
        let seconds = length.as_nanos().div_ceil(1_000_000_000 * BUCKETS);
        let width = WIDTHS
            .into_iter()
            .find(|&width| width >= seconds)
            .unwrap_or_else(|| seconds.next_multiple_of(86_400));
        let open = Histogram::new_with_bounds(1, 3_600_000_000, 2)
            .expect("an hour in microseconds with two digits can be kept");
        Series {
            width: Span::from_secs(width),
            buckets: vec![Bucket {
                instances: vec![InstanceBucket::default(); instances],
                ..Bucket::default()
            }],
            inside: open.clone(),
            open,
            second: (0, [0; 4]),
            logs: Moment { at: Time::ZERO, last: vec![None; instances] },
            monitored: Moment { at: Time::ZERO, last: vec![None; instances] },
        }
    }

    /// How long a bucket is.
    pub fn width(&self) -> Span {
        self.width
    }

    /// The buckets; the first begins at zero.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// When the bucket of this index begins.
    pub fn start(&self, index: usize) -> Time {
        Time::ZERO + self.width * index as u64
    }

    /// The bucket of this moment. Time never runs backwards here.
    fn at(&mut self, at: Time) -> Option<&mut Bucket> {
        let index = at.as_nanos() / self.width.as_nanos();
        if index >= MOST_BUCKETS as u64 {
            return None;
        }
        while (self.buckets.len() as u64) <= index {
            self.close();
            let last = self.buckets.last().expect("a series begins with one bucket");
            let instances = last
                .instances
                .iter()
                .map(|was| InstanceBucket { role: was.role, ..InstanceBucket::default() })
                .collect();
            self.buckets.push(Bucket { instances, ..Bucket::default() });
        }
        self.buckets.last_mut()
    }

    /// Works out what the last bucket needs all its facts for.
    fn close(&mut self) {
        self.close_samples();
        let bucket = self.buckets.last_mut().expect("a series begins with one bucket");
        let quantile = |of: &Histogram<u32>, longest: Option<Span>, q: f64, needs: u64| {
            let micros = of.value_at_quantile(q);
            longest
                .filter(|_| of.len() >= needs)
                .map(|longest| longest.min(Span::from_micros(micros)))
        };
        let outside = |q, needs| quantile(&self.open, bucket.longest, q, needs);
        let (p50, p90) = (outside(0.5, MEDIAN_NEEDS), outside(0.9, P90_NEEDS));
        let p99 = outside(0.99, P99_NEEDS);
        let inside = |q, needs| quantile(&self.inside, bucket.server_longest, q, needs);
        let (server_p50, server_p99) = (inside(0.5, MEDIAN_NEEDS), inside(0.99, P99_NEEDS));
        (bucket.p50, bucket.p90, bucket.p99) = (p50, p90, p99);
        (bucket.server_p50, bucket.server_p99) = (server_p50, server_p99);
        self.open.reset();
        self.inside.reset();
    }

    /// Counts an operation of the present second: due 0, succeeded 1, failed 2, unknown 3.
    fn count(&mut self, at: Time, what: usize) {
        let second = at.as_nanos() / 1_000_000_000;
        if second != self.second.0 {
            self.close_second(second);
        }
        self.second.1[what] += 1;
    }

    /// The clock has left a second; those without any operation count too.
    fn close_second(&mut self, next: u64) {
        let (second, counts) = std::mem::replace(&mut self.second, (next, [0; 4]));
        let per_bucket = (self.width.as_nanos() / 1_000_000_000).max(1);
        let mut note = |second: u64, counts: [u64; 4]| {
            let bucket = usize::try_from(second / per_bucket).ok();
            if let Some(bucket) = bucket.and_then(|index| self.buckets.get_mut(index)) {
                for (extent, count) in bucket.per_second.iter_mut().zip(counts) {
                    extent.note(count as f64);
                }
            }
        };
        note(second, counts);
        // Of a gap, its two ends: the buckets between hold nothing but zeros anyway.
        if next > second + 1 {
            note(second + 1, [0; 4]);
            note(next - 1, [0; 4]);
        }
    }

    /// An operation was due.
    pub(crate) fn offered(&mut self, at: Time) {
        if let Some(bucket) = self.at(at) {
            bucket.offered += 1;
            self.count(at, 0);
        }
    }

    /// An instance answered a request with success.
    pub(crate) fn served(&mut self, at: Time, took: Span) {
        if let Some(bucket) = self.at(at) {
            bucket.server_longest = bucket.server_longest.max(Some(took));
            self.inside.saturating_record(took.as_nanos().div_ceil(1_000));
        }
    }

    /// Makes the series reach to `end` and closes its last bucket.
    pub(crate) fn finish(&mut self, end: Time) {
        self.at(end);
        self.close_second(end.as_nanos() / 1_000_000_000);
        self.close();
    }

    pub(crate) fn completed(
        &mut self,
        at: Time,
        outcome: OperationOutcome,
        status: Status,
        intended: Time,
    ) {
        if self.at(at).is_none() {
            return;
        }
        self.count(at, 1 + outcome as usize);
        let Some(bucket) = self.buckets.last_mut() else { return };
        match outcome {
            OperationOutcome::Ok => {
                bucket.ok += 1;
                let latency = at.since(intended);
                bucket.longest = bucket.longest.max(Some(latency));
                self.open.saturating_record(latency.as_nanos().div_ceil(1_000));
                return;
            }
            OperationOutcome::Failed => bucket.failed += 1,
            OperationOutcome::Unknown => bucket.unknown += 1,
        }
        if let Some(slot) = Status::ALL.iter().position(|&known| known == status) {
            bucket.errors[slot] += 1;
        }
    }

    pub(crate) fn role(&mut self, at: Time, slot: usize, role: Role) {
        if let Some(bucket) = self.at(at) {
            bucket.instances[slot].role = role;
        }
    }

    /// Changes what is kept of an instance in the bucket of this moment.
    pub(crate) fn sample(
        &mut self,
        at: Time,
        slot: usize,
        change: impl FnOnce(&mut InstanceBucket),
    ) {
        if let Some(bucket) = self.at(at) {
            change(&mut bucket.instances[slot]);
        }
    }

    /// Takes a sample of the end of a log. Lag compares samples of one moment only: the
    /// longest log seen earlier may be a branch that is gone.
    pub(crate) fn log_end(&mut self, at: Time, slot: usize, tx: u64) {
        if self.at(at).is_none() {
            return;
        }
        if at != self.logs.at {
            self.close_samples();
            self.logs.at = at;
        }
        self.logs.last[slot] = Some(tx);
    }

    /// Takes what the monitoring read of an instance.
    pub(crate) fn monitored(&mut self, at: Time, slot: usize, tx: u64) {
        if self.at(at).is_none() {
            return;
        }
        if at != self.monitored.at {
            self.close_samples();
            self.monitored.at = at;
        }
        self.monitored.last[slot] = Some(tx);
    }

    fn close_samples(&mut self) {
        let bucket = self.buckets.last_mut().expect("a series begins with one bucket");
        for (lag, instance) in self.logs.take_lags().zip(&mut bucket.instances) {
            instance.lag = instance.lag.max(lag);
        }
        for (lag, instance) in self.monitored.take_lags().zip(&mut bucket.instances) {
            instance.monitored_lag = instance.monitored_lag.max(lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(n: u64) -> Time {
        Time::ZERO + Span::from_secs(n)
    }

    #[test]
    fn buckets_widen_with_the_run() {
        for (length, width) in [
            (Span::ZERO, 1),
            (Span::from_secs(420), 1),
            (Span::from_secs(601), 2),
            (Span::from_secs(86_400), 300),
            (Span::from_secs(86_400 * 2_000), 345_600),
        ] {
            let series = Series::new(length, 0);
            assert_eq!(series.width(), Span::from_secs(width), "{length}");
        }
    }

    #[test]
    fn lag_compares_samples_of_one_moment() {
        let mut series = Series::new(Span::from_secs(60), 3);
        // The longest log is sampled last, and in the next second no longer exists.
        for (at, slot, tx) in [(1, 0, 90), (1, 1, 100), (2, 0, 95)] {
            series.log_end(second(at), slot, tx);
        }
        series.close();
        let lags = |index: usize| -> Vec<_> {
            series.buckets()[index].instances.iter().map(|i| i.lag).collect()
        };
        assert_eq!(lags(1), [Some(10), Some(0), None]);
        assert_eq!(lags(2), [Some(0), None, None]);
    }

    #[test]
    fn a_bucket_keeps_the_largest_lag() {
        let mut series = Series::new(Span::from_secs(1_000), 2);
        for (at, master, slave) in [(0, 50, 50), (1, 80, 50), (2, 80, 80)] {
            series.log_end(second(at), 0, master);
            series.log_end(second(at), 1, slave);
        }
        series.close();
        assert_eq!(series.buckets()[0].instances[1].lag, Some(30));
        assert_eq!(series.buckets()[1].instances[1].lag, Some(0));
    }

    #[test]
    fn an_endless_run_does_not_grow_without_bound() {
        let mut series = Series::new(Span::from_secs(10), 1);
        series.role(second(1_000_000), 0, Role::Master);
        series.completed(second(5_000), OperationOutcome::Ok, Status::Ok, second(4_999));
        assert!(series.buckets().len() <= MOST_BUCKETS);
    }

    #[test]
    fn percentiles_of_a_bucket_follow_an_exact_sort() {
        let mut series = Series::new(Span::from_secs(10), 0);
        let mut exact = Vec::new();
        for i in 0..500u64 {
            let micros = 100 + i * i * 7 % 90_001;
            exact.push(micros);
            let at = second(1) + Span::from_nanos(i);
            series.completed(at, OperationOutcome::Ok, Status::Ok, at - Span::from_micros(micros));
        }
        series.close();
        exact.sort_unstable();
        let bucket = &series.buckets()[1];
        for (got, want) in [(bucket.p50, exact[249]), (bucket.p99, exact[494])] {
            let got = got.map_or(0.0, |span| span.as_nanos() as f64 / 1e3);
            assert!((got / want as f64 - 1.0).abs() < 0.01, "{got} is not {want}");
        }
        assert_eq!(bucket.longest, Some(Span::from_micros(exact[499])));
    }

    #[test]
    fn a_second_of_extremes_survives_a_bucket_of_minutes() {
        let mut series = Series::new(Span::from_secs(86_400), 0);
        assert_eq!(series.width(), Span::from_secs(300));
        let done = |series: &mut Series, at| {
            series.completed(at, OperationOutcome::Ok, Status::Ok, at);
        };
        for n in 0..600 {
            // Ten a second, but for one second of silence and one of a hundred.
            let count = [(400, 0), (500, 100)].iter().find(|known| known.0 == n);
            for _ in 0..count.map_or(10, |known| known.1) {
                done(&mut series, second(n));
            }
        }
        series.finish(second(600));
        let bounds = |index: usize| series.buckets()[index].per_second[1].bounds();
        assert_eq!(bounds(0), Some((10.0, 10.0)));
        assert_eq!(bounds(1), Some((0.0, 100.0)));
    }

    #[test]
    fn a_monitor_misses_what_happens_between_its_questions() {
        let mut series = Series::new(Span::from_secs(60), 2);
        for n in 1..=40 {
            series.log_end(second(n), 0, 1_000 * n);
            // Far behind from 12 to 18 s, a little at 20 s.
            let lag = if (12..=18).contains(&n) { 500 } else { u64::from(n == 20) };
            series.log_end(second(n), 1, 1_000 * n - lag);
            if n % 10 == 0 {
                series.monitored(second(n), 0, 1_000 * n);
                series.monitored(second(n), 1, 1_000 * n - lag);
            }
        }
        series.finish(second(41));
        let seen = |n: usize| series.buckets()[n].instances[1].monitored_lag;
        let asked: Vec<_> = (0..=40).filter_map(|n| Some((n, seen(n)?))).collect();
        assert_eq!(asked, [(10, 0), (20, 1), (30, 0), (40, 0)]);
    }
}
