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
    /// Frames of the page cache that hold a page now.
    ResidentPages,
    /// Frames that the page cache may have.
    PageCacheFrames,
    /// Transactions begun since the process started: those of requests, as all of these.
    TransactionsStarted,
    /// The most of them that were open at once.
    PeakTransactions,
    /// Of those that are open now, the ones of operations that only read.
    ActiveReads,
    /// And of operations that write.
    ActiveWrites,
    /// Transactions that ended well and wrote nothing.
    CommittedReads,
    /// Transactions committed.
    CommittedWrites,
    /// Transactions of operations that only read, given up.
    RolledBackReads,
    /// Transactions of operations that write, rolled back.
    RolledBackWrites,
    /// Of those given up, the ones that the instance ended itself.
    TerminatedReads,
    /// Of those rolled back, likewise.
    TerminatedWrites,
    /// All transactions up to this one are applied.
    LastClosedTx,
    /// Node ids in use.
    NodeIds,
    /// Relationship ids in use.
    RelationshipIds,
    /// Property record ids in use.
    PropertyIds,
    /// Relationship types.
    RelationshipTypeIds,
    /// Bytes of transactions sent to the master, to be committed there.
    SlaveTxWrites,
    /// Bytes of transactions sent to slaves.
    MasterTxWrites,
    /// Bytes of store copies sent to slaves.
    MasterStoreWrites,
    /// Checkpoints taken since the process started.
    Checkpoints,
    /// Nanoseconds that they took.
    CheckpointTime,
    /// Nanoseconds that the last one took.
    LastCheckpointTime,
    /// Times that the transaction log went on in a new file.
    LogRotations,
    /// Nanoseconds that it took.
    LogRotationTime,
    /// Nanoseconds that it took the last time.
    LastLogRotationTime,
    /// Times that the master answered a pull.
    PullUpdates,
    /// The last transaction that a pull brought.
    PulledUpTo,
}

impl Metric {
    /// How many there are.
    pub const COUNT: usize = Metric::PulledUpTo as usize + 1;

    /// Whether nothing but Neo4j's own metrics files shows it.
    pub const fn is_only_reported(self) -> bool {
        // Those stand behind all that figures show.
        self as u8 > Metric::HeartbeatGap as u8
    }
}
