//! Ctrl-C: a run ends with what it has so far, instead of with nothing.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// From now on the first interrupt (Ctrl-C, SIGTERM, a closed terminal) is noted, and the second
/// one ends the process as it would have before.
pub fn watch() {
    #[cfg(unix)]
    install();
}

/// Whether somebody asked for an end.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

#[cfg(unix)]
extern "C" fn note(signal: libc::c_int) {
    ASKED.store(true, Ordering::Relaxed);
    // The next one is for those who do not want to wait.
    default(signal);
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn default(signal: libc::c_int) {
    // SAFETY: signal(2) is async-signal-safe, and SIG_DFL is a valid disposition.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn install() {
    let handler = note as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic and calls signal(2), both of which are
        // async-signal-safe; it lives as long as the program.
        unsafe {
            libc::signal(signal, handler as libc::sighandler_t);
        }
    }
}
