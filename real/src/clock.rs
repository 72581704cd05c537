//! Time: the monotonic clock of the system from a zero that all processes of a run share, and
//! faster than it if that is asked for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wavetank_instance::Now;
use wavetank_vocabulary::{Span, Time};

use crate::system::monotonic_nanos;

/// The clock of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Where on the system's clock its zero is, in nanoseconds.
    pub(crate) origin: u64,
    /// How many times faster it runs, in thousandths; never zero.
    pub(crate) scale: u32,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn starting(scale: u32) -> Clock {
        Clock { origin: monotonic_nanos(), scale: scale.max(1) }
    }

    pub(crate) fn time(self) -> Time {
        let passed = u128::from(monotonic_nanos().saturating_sub(self.origin));
        Time::from_nanos((passed * u128::from(self.scale) / 1_000) as u64)
    }

    /// The clocks that an instance sees.
    pub(crate) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono: self.time(), wall_ms: wall.as_millis() as u64 }
    }

    /// How much of its time passes meanwhile.
    pub(crate) fn span(self, real: Duration) -> Span {
        let nanos = real.as_nanos().saturating_mul(u128::from(self.scale)) / 1_000;
        Span::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long so much of its time takes.
    pub(crate) fn real(self, span: Span) -> Duration {
        let nanos = u128::from(span.as_nanos()) * 1_000 / u128::from(self.scale);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faster_clock_makes_times_shorter() {
        let clock = Clock { origin: 0, scale: 4_000 };
        assert_eq!(clock.real(Span::from_secs(4)), Duration::from_secs(1));
        assert_eq!(clock.span(Duration::from_millis(500)), Span::from_secs(2));
        let (before, after) = (clock.time(), clock.time());
        assert!(before <= after);
    }
}
