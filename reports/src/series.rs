//! What happened over time, in buckets of equal width, each closed when the clock leaves
//! it: the memory does not grow with the number of operations.

use hdrhistogram::Histogram;
use wavetank_vocabulary::{OperationOutcome, Role, Span, Status, Time};

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
/// And for its 99th percentile: fewer than the tables ask for, because a curve of many
/// points shows its own scatter.
const P99_NEEDS: u64 = 100;

/// One instance in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceBucket {
    /// Its role when the bucket ended.
    pub role: Role,
    /// The most transactions by which a sample of its log was behind the longest log sampled
    /// at the same moment; none when it was not sampled or not running.
    pub lag: Option<u64>,
    /// Page pins that found the page resident.
    pub hits: u64,
    /// Page pins that had to load the page.
    pub faults: u64,
    /// The longest disk queue sampled.
    pub disk_queue: Option<u64>,
    /// Disk-busy time between the samples of this bucket and those before.
    pub disk_busy: Span,
    /// The time that `disk_busy` is a part of.
    pub disk_time: Span,
    /// Core time spent, over all cores.
    pub core_busy: Span,
    /// The time that `core_busy` is to be compared with, for one core.
    pub core_time: Span,
}

impl InstanceBucket {
    /// Hits as a part of all pins; none when there were none.
    pub fn hit_rate(&self) -> Option<f64> {
        part(self.hits, self.hits + self.faults)
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

/// What happened within one bucket, warm-up included. Operations count where they ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that certainly did nothing.
    pub failed: u64,
    /// Operations of which it is not known.
    pub unknown: u64,
    /// Unsuccessful ends by the last status, in the order of [`Status::ALL`].
    pub errors: [u64; Status::ALL.len()],
    /// Median latency of those that succeeded, to two digits; none for fewer than 10.
    pub p50: Option<Span>,
    /// Their 99th percentile, to two digits; none for fewer than 100.
    pub p99: Option<Span>,
    /// The longest.
    pub longest: Option<Span>,
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
    /// Ends of logs that were sampled at one moment.
    sampled_at: Time,
    logs: Vec<Option<u64>>,
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
            open,
            sampled_at: Time::ZERO,
            logs: vec![None; instances],
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
        let quantile = |q: f64| {
            let micros = self.open.value_at_quantile(q);
            bucket.longest.map(|longest| longest.min(Span::from_micros(micros)))
        };
        if self.open.len() >= MEDIAN_NEEDS {
            bucket.p50 = quantile(0.5);
        }
        if self.open.len() >= P99_NEEDS {
            bucket.p99 = quantile(0.99);
        }
        self.open.reset();
    }

    /// Makes the series reach to `end` and closes its last bucket.
    pub(crate) fn finish(&mut self, end: Time) {
        self.at(end);
        self.close();
    }

    pub(crate) fn completed(
        &mut self,
        at: Time,
        outcome: OperationOutcome,
        status: Status,
        intended: Time,
    ) {
        let Some(bucket) = self.at(at) else { return };
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
        if at != self.sampled_at {
            self.close_samples();
            self.sampled_at = at;
        }
        self.logs[slot] = Some(tx);
    }

    fn close_samples(&mut self) {
        let longest = self.logs.iter().flatten().max().copied();
        let bucket = self.buckets.last_mut().expect("a series begins with one bucket");
        for (log, instance) in self.logs.iter_mut().zip(&mut bucket.instances) {
            if let (Some(tx), Some(longest)) = (log.take(), longest) {
                instance.lag = instance.lag.max(Some(longest - tx));
            }
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
}
