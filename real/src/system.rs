//! What only the system knows: its monotonic clock, and which process is which.
//!
//! All calls into the C library of this crate are here.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

/// Nanoseconds on the system's monotonic clock: the same for every process of a machine.
#[allow(unsafe_code)]
pub(crate) fn monotonic_nanos() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer, and the clock always exists.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
    }
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Has this process killed when the one that started it ends, however that ends, and even
/// while this one stands still.
#[allow(unsafe_code)]
pub(crate) fn end_with_parent() -> io::Result<()> {
    // SAFETY: prctl(2) with this option reads one number and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the timers of this thread, and of those that it starts, run out when they should, and not up
/// to 50 us later, as Linux else does to save power.
#[allow(unsafe_code)]
pub(crate) fn exact_timers() -> io::Result<()> {
    // SAFETY: prctl(2) with this option reads one number and touches no memory.
    match unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A process, told from a later one with the same number by when it was started. As text, in the
/// names of folders that are to be known as a process's, it is `PID-START`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was.
    pub started: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.pid, self.started)
    }
}

/// A text is not `PID-START`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a process and its start, such as 4711-123456")]
pub struct NoProcess;

impl FromStr for Process {
    type Err = NoProcess;

    fn from_str(text: &str) -> Result<Process, NoProcess> {
        let (pid, started) = text.split_once('-').ok_or(NoProcess)?;
        let pid = pid.parse().map_err(|_| NoProcess)?;
        Ok(Process { pid, started: started.parse().map_err(|_| NoProcess)? })
    }
}

/// What can be done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It ends at once.
    Kill,
    /// It stands still.
    Stop,
    /// It goes on.
    Continue,
}

impl Process {
    /// The process with that number; none when there is none.
    pub(crate) fn find(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = parse_stat(&stat)?;
        // A zombie runs no more.
        (state != 'Z').then_some(Process { pid, started })
    }

    /// This process itself; none where the system has no `/proc`.
    pub fn me() -> Option<Process> {
        Process::find(std::process::id())
    }

    /// Whether it still runs.
    pub fn runs(self) -> bool {
        Process::find(self.pid) == Some(self)
    }

    /// Sends it a signal; to nobody, when it has ended. The process must be a child that was
    /// not waited for, so that its number cannot have been given away.
    #[allow(unsafe_code)]
    pub(crate) fn signal(self, signal: Signal) -> io::Result<()> {
        if !self.runs() {
            return Ok(());
        }
        let pid = i32::try_from(self.pid).map_err(|_| io::ErrorKind::InvalidInput)?;
        let number = match signal {
            Signal::Kill => libc::SIGKILL,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        // SAFETY: kill(2) touches no memory of ours; the number is that of one process.
        match unsafe { libc::kill(pid, number) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// State and start time (in clock ticks since boot) of `/proc/PID/stat`. The name before them
/// can hold anything, brackets and blanks too.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let me = Process::me().unwrap();
        assert!(me.runs());
        assert!(!Process { started: me.started + 1, ..me }.runs());
        let stat = "7 (a) name) Z) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 99";
        assert_eq!(parse_stat(stat), Some(('S', 12345)));
        assert_eq!(me.to_string().parse(), Ok(me));
        for text in ["", "7", "7-", "-7", "7-8-9", "seven-8"] {
            assert_eq!(text.parse::<Process>(), Err(NoProcess), "{text}");
        }
    }

    #[test]
    fn nobody_is_killed_for_another() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(child.id()).unwrap();
        let other = Process { started: process.started + 1, ..process };
        other.signal(Signal::Kill).unwrap();
        assert!(process.runs());
        process.signal(Signal::Kill).unwrap();
        child.wait().unwrap();
        assert!(!process.runs());
    }
}
