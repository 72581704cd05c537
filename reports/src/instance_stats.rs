//! What the recorder counts at one instance.

use wavetank_vocabulary::{InstanceId, LogMark, Role, Span, Time};

/// Where an instance stood at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalState {
    /// Its role.
    pub role: Role,
    /// The end of its log.
    pub log: LogMark,
    /// Digest of its contents; none when the store could not be read.
    pub contents: Option<[u64; 2]>,
    /// Transactions still open.
    pub open_transactions: u32,
}

/// What was counted at one instance over the whole run, warm-up included.
#[derive(Clone, Debug)]
pub struct InstanceStats {
    /// Who.
    pub id: InstanceId,
    /// Its role now.
    pub role: Role,
    /// When it took which role, beginning with down at zero. The first 4,000.
    pub roles: Vec<(Time, Role)>,
    /// How often its role changed.
    pub role_changes: u64,
    /// The last transaction known to be in its log.
    pub last_tx: u64,
    /// Page pins that found the page resident, up to the last sample before each stop.
    pub hits: u64,
    /// Page pins that had to load it, likewise.
    pub faults: u64,
    /// Pages evicted, likewise.
    pub evictions: u64,
    /// Pages written back, likewise.
    pub flushes: u64,
    /// Bytes written to the transaction log, likewise.
    pub log_bytes: u64,
    /// Transactions committed as master.
    pub committed: u64,
    /// Transactions applied as slave.
    pub applied: u64,
    /// Pushes as master that the slave answered.
    pub pushed: u64,
    /// Pushes as master that were given up.
    pub pushes_failed: u64,
    /// Times that its log was found to differ from the master's.
    pub branches: u64,
    /// Complete copies of the master's store received.
    pub store_copies: u64,
    /// Checkpoints taken.
    pub checkpoints: u64,
    /// Times that its store opened.
    pub recoveries: u64,
    /// Transactions replayed at those times.
    pub replayed: u64,
    /// Times that its store stopped itself or refused to open.
    pub store_failures: u64,
    /// How often the operators' monitoring asked it.
    pub monitor_asked: u64,
    /// How often it answered that it was available.
    pub monitor_available: u64,
    /// Where it stood at the end; none while the run goes on.
    pub end: Option<FinalState>,
    pub(crate) counters: Counters,
}

/// Last readings of what only grows: since the process started, or since the run began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) process: [u64; 5],
    pub(crate) disk: (Time, u64),
    pub(crate) core: (Time, u64),
    pub(crate) paused: u64,
    /// Page pins since the last sample that found their page.
    pub(crate) hits: u64,
}

impl Counters {
    /// The growth of a counter of the process since its last reading. A reading below the
    /// last comes from a process that started since.
    pub(crate) fn growth(&mut self, counter: usize, reading: u64) -> u64 {
        let last = std::mem::replace(&mut self.process[counter], reading);
        if reading >= last { reading - last } else { reading }
    }
}

/// The growth of a counter of the run, and the time that it took.
pub(crate) fn busy(last: &mut (Time, u64), at: Time, reading: u64) -> (Span, Span) {
    let (from, was) = std::mem::replace(last, (at, reading));
    (Span::from_nanos(reading.saturating_sub(was)), at.since(from))
}

pub(crate) fn part_of(spent: Span, of: Span) -> f64 {
    if of.is_zero() { 0.0 } else { spent.as_nanos() as f64 / of.as_nanos() as f64 }
}
