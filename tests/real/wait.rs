//! Waiting for what processes do in their own time.

use std::time::{Duration, Instant};

/// Waits until something is so.
pub(crate) fn eventually(what: &str, patience: Duration, mut come: impl FnMut() -> bool) {
    let began = Instant::now();
    while !come() {
        assert!(began.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
