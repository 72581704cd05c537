//! Faults for tests, told in one line.

use wavetank_vocabulary::{FaultId, FaultKind, Span, Time};
use wavetank_world::{Compat, FaultPlan, Settings, Strength, Target};

/// A fault of that kind on that target.
pub(crate) fn fault(kind: FaultKind, target: Target, at: u64, lasts: u64) -> FaultPlan {
    FaultPlan {
        id: FaultId(1),
        kind,
        target,
        peer: None,
        at: Time::ZERO + Span::from_secs(at),
        when: None,
        lasts: Some(Span::from_secs(lasts)),
        spares_copy: false,
        strength: Strength::of(kind, &Settings::defaults(Compat::V2_3_6)),
    }
}
