//! The quantities that are sampled on an interval.

/// A quantity that is sampled on an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Page pins that found the page resident, since the process started.
    PageCacheHits,
    /// Page pins that had to load the page, since the process started.
    PageCacheFaults,
    /// Pages evicted since the process started.
    PageCacheEvictions,
    /// Pages written back since the process started.
    PageCacheFlushes,
    /// The last transaction in the log.
    LastCommittedTx,
    /// Disk operations waiting or in service now.
    DiskQueue,
    /// Nanoseconds in which the disk was busy, since the run began.
    DiskBusy,
    /// Nanoseconds of core time spent, since the run began.
    CoreBusy,
    /// Transactions open now.
    OpenTransactions,
    /// Bytes written to the transaction log since the process started.
    LogBytes,
    /// Nanoseconds for which the machine stood still, since the run began.
    Paused,
    /// The longest silence, in nanoseconds since the last sample, of a peer that counted as
    /// alive for this instance: between two signs of life, or until now. Suspicions are no
    /// sign of life, as for the heartbeat itself.
    HeartbeatGap,
}
