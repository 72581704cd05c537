//! When the runs of a campaign end: at its time limit, or, once one of them has failed, so long
//! before it that the failure can be shrunk within the limit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The end of a campaign's runs.
#[derive(Debug, Default)]
pub struct Deadline {
    limit: Option<Instant>,
    /// How long before the limit runs end once one has failed.
    reserve: Duration,
    failed: AtomicBool,
}

impl Deadline {
    /// No end but that of the seeds.
    pub fn none() -> Self {
        Deadline::default()
    }

    /// Runs end at that moment.
    pub fn at(limit: Instant) -> Self {
        Deadline { limit: Some(limit), ..Deadline::default() }
    }

    /// The same; once one has failed, runs end so much earlier.
    #[must_use]
    pub fn with_reserve(self, reserve: Duration) -> Self {
        Deadline { reserve, ..self }
    }

    /// A run has failed.
    pub fn failed(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Whether no run goes on.
    pub fn over(&self) -> bool {
        let Some(limit) = self.limit else { return false };
        let reserve =
            if self.failed.load(Ordering::Relaxed) { self.reserve } else { Duration::ZERO };
        Instant::now() + reserve >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_time_to_shrink_it() {
        let soon = Deadline::at(Instant::now() + Duration::from_secs(60));
        let soon = soon.with_reserve(Duration::from_secs(100));
        assert!(!soon.over());
        soon.failed();
        assert!(soon.over());
        assert!(Deadline::at(Instant::now()).over());
        let none = Deadline::none().with_reserve(Duration::from_secs(1));
        none.failed();
        assert!(!none.over());
    }
}
