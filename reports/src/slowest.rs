//! Where the time of operations went: per operation on the whole, and for the slowest ones.

use wavetank_vocabulary::{
    InstanceId, OperationId, OperationKind, ServerPhase, ServerTime, Span, Time,
};

/// How many slow operations are kept.
const KEPT: usize = 20;

/// The parts of an operation's latency; they add up to it but for roundings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Earlier attempts and the waits after them.
    pub earlier: Span,
    /// On the way of the last attempt, the balancer included.
    pub network: Span,
    /// Waiting for an answer that did not come.
    pub unanswered: Span,
    /// At the instance.
    pub server: ServerTime,
}

impl Breakdown {
    /// How many parts there are.
    pub const PARTS: usize = 3 + ServerPhase::ALL.len();

    /// The names of the parts, in the order of [`Self::spans`].
    pub fn names() -> [&'static str; Self::PARTS] {
        let mut names = [""; Self::PARTS];
        names[..3].copy_from_slice(&["earlier attempts and back-off", "network", "no answer"]);
        for (name, phase) in names[3..].iter_mut().zip(ServerPhase::ALL) {
            *name = phase.name();
        }
        names
    }

    /// The parts.
    pub fn spans(&self) -> [Span; Self::PARTS] {
        let mut spans = [Span::ZERO; Self::PARTS];
        (spans[0], spans[1], spans[2]) = (self.earlier, self.network, self.unanswered);
        for (span, phase) in spans[3..].iter_mut().zip(ServerPhase::ALL) {
            *span = self.server.of(phase);
        }
        spans
    }
}

/// A successful operation that took long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowOperation {
    /// Which.
    pub operation: OperationId,
    /// Its kind.
    pub kind: OperationKind,
    /// When it was due.
    pub intended: Time,
    /// From then to its success.
    pub latency: Span,
    /// Attempts made.
    pub attempts: u16,
    /// Who answered.
    pub instance: Option<InstanceId>,
    /// Where the time went.
    pub breakdown: Breakdown,
}

/// The slowest operations, slowest first, in bounded memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slowest(Vec<SlowOperation>);

impl Slowest {
    pub(crate) fn note(&mut self, operation: SlowOperation) {
        if self.0.len() == KEPT && self.0[KEPT - 1].latency >= operation.latency {
            return;
        }
        // Of equals the earlier one stays in front.
        let place = self.0.partition_point(|known| known.latency >= operation.latency);
        self.0.insert(place, operation);
        self.0.truncate(KEPT);
    }

    pub(crate) fn all(&self) -> &[SlowOperation] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_are_kept_in_order() {
        let mut slowest = Slowest::default();
        for n in 0..1_000u32 {
            slowest.note(SlowOperation {
                operation: OperationId { index: n, ..OperationId::default() },
                kind: OperationKind(0),
                intended: Time::ZERO,
                latency: Span::from_micros(u64::from(n * 7_919 % 1_000)),
                attempts: 1,
                instance: None,
                breakdown: Breakdown::default(),
            });
        }
        let micros: Vec<u64> =
            slowest.all().iter().map(|slow| slow.latency.as_nanos() / 1_000).collect();
        assert_eq!(micros, (980..1_000).rev().collect::<Vec<u64>>());
    }

    #[test]
    fn every_part_has_a_name() {
        let names = Breakdown::names();
        assert_eq!(
            names[..4],
            ["earlier attempts and back-off", "network", "no answer", "machine paused"]
        );
        let mut known = names.to_vec();
        known.sort_unstable();
        known.dedup();
        assert_eq!(known.len(), Breakdown::PARTS);
    }
}
