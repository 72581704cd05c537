//! Tests of real processes on a machine that does other things, too.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

/// What no want of processor time excuses.
const SAFETY: [&str; 3] = ["acknowledged-writes-lost", "replicas-equal", "two-masters"];

/// Something was lost, or two were master: the end of a test that is not tried again.
struct Unsafe;

/// Ends the test at once if that expectation is one of safety and did not hold.
pub(crate) fn no_excuse(check: &str, verdict: &str, why: &str) {
    if SAFETY.contains(&check) && verdict != "held" {
        tell(&format!("{check}: {why}"));
        panic_any(Unsafe);
    }
}

/// Tries once more what failed, and says so: there is no virtual time to wait in, so a process that
/// other work starved for a second may have failed for no fault of its own. What is lost is lost the
/// first time.
pub(crate) fn patiently(test: impl Fn()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(&test)) {
        if panic.is::<Unsafe>() {
            resume_unwind(panic);
        }
        tell("failed on real processes, and is tried once more: other work may have starved them");
        test();
    }
}

/// Past what the test harness withholds of tests that pass.
fn tell(what: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Nobody is there to be told that nobody can be told.
    let _ = writeln!(std::io::stderr(), "{test}: {what}");
}
