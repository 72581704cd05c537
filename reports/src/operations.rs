//! Counts and latencies of one kind of operation, or of several together.

use hdrhistogram::Histogram;
use wavetank_vocabulary::{OperationOutcome, Span, Time};

use crate::slowest::Breakdown;

/// Latencies are kept up to a day; a longer one counts as a day.
const LONGEST_NANOS: u64 = 86_400_000_000_000;

/// What became of operations. Only those that were due within the measured window (from
/// the end of the warm-up to the end of the duration) are counted, all by the same rule,
/// so that `offered` is `ok + failed + unknown` and what was still open at the end.
#[derive(Clone, Debug)]
pub struct OperationStats {
    /// Operations that were due.
    pub offered: u64,
    /// Answered with success.
    pub ok: u64,
    /// Certainly not done.
    pub failed: u64,
    /// May or may not have been done.
    pub unknown: u64,
    /// Attempts after the first, of operations that ended.
    pub retries: u64,
    /// Where the time of the successful ones went, in nanoseconds, by
    /// [`Breakdown::names`].
    spent: [u64; Breakdown::PARTS],
    latency: Histogram<u64>,
    longest: u64,
}

impl Default for OperationStats {
    fn default() -> Self {
        let latency = Histogram::new(3).expect("three digits are within what the crate allows");
        OperationStats {
            offered: 0,
            ok: 0,
            failed: 0,
            unknown: 0,
            retries: 0,
            spent: [0; Breakdown::PARTS],
            latency,
            longest: 0,
        }
    }
}

/// The fewest samples from which a percentile is given: ten must lie beyond it. So the
/// median needs 20, p90 100, p99 1,000 and p99.9 10,000. `thousandths` are thousandths of
/// a percent, as in the Plan: 99 % is 99,000.
pub fn samples_needed(thousandths: u32) -> u64 {
    let beyond = 100_000u64.saturating_sub(u64::from(thousandths)).max(1);
    1_000_000u64.div_ceil(beyond)
}

impl OperationStats {
    pub(crate) fn complete(
        &mut self,
        outcome: OperationOutcome,
        attempts: u16,
        intended: Time,
        at: Time,
    ) {
        self.retries += u64::from(attempts.saturating_sub(1));
        match outcome {
            OperationOutcome::Ok => {
                self.ok += 1;
                let nanos = at.since(intended).as_nanos().min(LONGEST_NANOS);
                self.longest = self.longest.max(nanos);
                self.latency.record(nanos).expect("the index of a day fits a usize");
            }
            OperationOutcome::Failed => self.failed += 1,
            OperationOutcome::Unknown => self.unknown += 1,
        }
    }

    /// Takes in where the time of a successful operation went.
    pub(crate) fn spend(&mut self, breakdown: &Breakdown) {
        for (sum, span) in self.spent.iter_mut().zip(breakdown.spans()) {
            *sum += span.as_nanos();
        }
    }

    /// Where the time of a successful operation went on average, by [`Breakdown::names`];
    /// none when nothing succeeded or nobody was told.
    pub fn mean_spent(&self) -> Option<[Span; Breakdown::PARTS]> {
        let told = self.ok > 0 && self.spent.iter().any(|nanos| *nanos > 0);
        told.then(|| self.spent.map(|nanos| Span::from_nanos(nanos / self.ok)))
    }

    /// Latencies of successful operations in nanoseconds, from the intended start, to three
    /// significant digits.
    pub fn latency(&self) -> &Histogram<u64> {
        &self.latency
    }

    /// A percentile of the latency, in thousandths of a percent; none when there are fewer
    /// samples than [`samples_needed`].
    pub fn percentile(&self, thousandths: u32) -> Option<Span> {
        (self.latency.len() >= samples_needed(thousandths)).then(|| {
            let value = self.latency.value_at_quantile(f64::from(thousandths) / 100_000.0);
            // A histogram answers with the upper end of the slot.
            Span::from_nanos(value.min(self.longest))
        })
    }

    /// The 95 % confidence interval of a percentile, from order statistics: the ranks at
    /// 1.96 standard deviations of the binomial around it (Conover, "Practical Nonparametric
    /// Statistics", 3.2). It takes the latencies for independent; in a queue they are not
    /// quite, and the interval is somewhat too narrow. None where [`Self::percentile`] is.
    pub fn interval(&self, thousandths: u32) -> Option<[Span; 2]> {
        self.percentile(thousandths)?;
        let (n, p) = (self.latency.len() as f64, f64::from(thousandths) / 100_000.0);
        let spread = 1.96 * (n * p * (1.0 - p)).sqrt();
        let at = |rank: f64| {
            let value = self.latency.value_at_quantile((rank / n).clamp(0.0, 1.0));
            Span::from_nanos(value.min(self.longest))
        };
        Some([at(n * p - spread), at(n * p + spread + 1.0)])
    }

    /// The longest latency, exactly; none when nothing succeeded.
    pub fn longest(&self) -> Option<Span> {
        (self.ok > 0).then(|| Span::from_nanos(self.longest))
    }

    /// Operations that had not ended when the run did.
    pub fn open(&self) -> u64 {
        self.offered.saturating_sub(self.ok + self.failed + self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        for (percentile, needed) in
            [(50_000, 20), (90_000, 100), (99_000, 1_000), (99_900, 10_000), (99_990, 100_000)]
        {
            assert_eq!(samples_needed(percentile), needed, "{percentile}");
        }
    }

    #[test]
    fn an_interval_holds_its_percentile_and_narrows_with_samples() {
        let of = |samples: u64| {
            let mut stats = OperationStats::default();
            for n in 0..samples {
                let end = Time::ZERO + Span::from_millis(1 + n * 7919 % 1_000);
                stats.complete(OperationOutcome::Ok, 1, Time::ZERO, end);
            }
            let [low, high] = stats.interval(50_000).expect("enough samples");
            let median = stats.percentile(50_000).expect("enough samples");
            assert!(low <= median && median <= high);
            high.as_millis_f64() - low.as_millis_f64()
        };
        // 1.96 times the standard deviation of the rank, both ways: 62 of 1,000.
        assert!((55.0..70.0).contains(&of(1_000)), "{}", of(1_000));
        assert!(of(100_000) < of(1_000) / 5.0);
        assert_eq!(OperationStats::default().interval(50_000), None);
    }

    #[test]
    fn too_few_samples_give_no_percentile_but_a_maximum() {
        let mut stats = OperationStats::default();
        for millis in 1..=99 {
            let end = Time::ZERO + Span::from_millis(millis);
            stats.complete(OperationOutcome::Ok, 1, Time::ZERO, end);
        }
        assert!(stats.percentile(50_000).is_some());
        assert_eq!(stats.percentile(90_000), None);
        assert_eq!(stats.longest(), Some(Span::from_millis(99)));
        let end = Time::ZERO + Span::from_millis(100);
        stats.complete(OperationOutcome::Ok, 1, Time::ZERO, end);
        assert!(stats.percentile(90_000).is_some());
    }
}
