//! Tests of real processes on a machine that does other things, too.

#![expect(clippy::print_stderr, reason = "that a test needed two tries is told")]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tries once more what failed, and says so: there is no virtual time to wait in, so a process that
/// other work starved for a second may have failed for no fault of its own. A fault of its own
/// shows both times.
pub(crate) fn patiently(test: impl Fn()) {
    if catch_unwind(AssertUnwindSafe(&test)).is_err() {
        eprintln!("failed on real processes; tried once more, as other work may have starved them");
        test();
    }
}
