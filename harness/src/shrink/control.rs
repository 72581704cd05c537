//! The control of a Plan: the same without what is to blame. A Plan that breaks an expectation
//! shows something only if its control holds. Without that, a search for the smallest Plan ends
//! where any cluster fails: in the seconds before it has formed, or where nobody asks.

use wavetank_vocabulary::PlantedBugs;
use wavetank_world::{Expectation, Plan};

/// The Plan without the bugs that are planted in it; if there are none, without its faults.
pub(super) fn control(plan: &Plan) -> Plan {
    if plan.bugs == PlantedBugs::NONE {
        Plan { faults: Vec::new(), ..plan.clone() }
    } else {
        Plan { bugs: PlantedBugs::NONE, ..plan.clone() }
    }
}

/// Whether a Plan breaks the expectation more easily the sooner it is measured: an instance that
/// is still joining answers nobody, or late.
pub(super) fn needs_warm_up(expectation: &Expectation) -> bool {
    matches!(
        expectation,
        Expectation::Latency { .. }
            | Expectation::Availability { .. }
            | Expectation::Happens { .. }
    )
}

/// Whether leaving operations out breaks the expectation by itself: where nobody asks there is no
/// success.
pub(super) fn needs_operations(expectation: &Expectation) -> bool {
    matches!(expectation, Expectation::Availability { .. })
}
