//! What a node tells people, on standard error: bounded, so that nobody can fill a disk by
//! making it complain.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines of one process at the most.
const MOST: u64 = 10_000;

/// The log of a node.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    who: Arc<str>,
    lines: Arc<AtomicU64>,
}

impl Log {
    pub(crate) fn new(who: &str) -> Log {
        Log { who: who.into(), lines: Arc::default() }
    }

    /// Says something, unless too much was said already.
    pub(crate) fn say(&self, what: &str) {
        let more = match self.lines.fetch_add(1, Ordering::Relaxed) {
            line if line + 1 == MOST => " (nothing more will be said)",
            line if line >= MOST => return,
            _ => "",
        };
        // Nothing can be told when standard error is closed.
        let _ = writeln!(std::io::stderr(), "{}: {what}{more}", self.who);
    }
}
