//! The named points that a campaign should reach *sometimes*.

macro_rules! points {
    ($($(#[$doc:meta])+ $point:ident, $name:literal;)+) => {
        /// Something that should happen in some seed of a campaign.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $($(#[$doc])+ $point,)+
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Point] = &[$(Point::$point),+];

            /// Its name in tables and files.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// An election had a winner.
    ElectionWon, "election won";
    /// An election ended and nobody could win.
    ElectionLost, "election without a winner";
    /// Two members counted votes at the same time.
    TwoElections, "two elections at once";
    /// Somebody else became master.
    MasterReplaced, "master replaced";
    /// Two instances were master at the same time.
    TwoMasters, "two masters at once";
    /// No instance was master for a while, after there had been one.
    NoMaster, "no master";
    /// A member counted as failed though its process ran.
    WronglyFailed, "running member counted as failed";
    /// A suspicion was taken back.
    Cleared, "suspicion taken back";
    /// A log differed from the master's.
    Branched, "branch found";
    /// A branch was set aside.
    Discarded, "branch set aside";
    /// A store copy was completed.
    Copied, "store copy complete";
    /// A store copy began anew before it was complete.
    CopyAgain, "store copy begun again";
    /// A transaction was pushed to a slave.
    Pushed, "push arrived";
    /// A push was given up.
    PushFailed, "push given up";
    /// Recovery replayed transactions.
    Replayed, "recovery replayed";
    /// Recovery cut a torn tail off the log.
    TornTail, "torn log tail cut";
    /// A store stopped itself.
    StoreFailed, "store stopped itself";
    /// A checkpoint was taken while a fault was at work.
    CheckpointInFault, "checkpoint during a fault";
    /// An operation succeeded after it had failed.
    RetrySucceeded, "retry succeeded";
    /// A client does not know whether its write was done.
    Unknown, "outcome unknown";
    /// Two faults were at work at once.
    FaultsOverlap, "two faults at once";
    /// A fault found nobody to hit.
    FaultMissed, "fault not exercised";
}
