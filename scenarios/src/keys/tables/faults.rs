//! What goes wrong: the keys of `[[faults]]`.

use super::{Key, Kind, MILLISECOND, Need, Table, YEAR, key};
use Kind::{
    Bandwidth, Choice, Choices, Count, Counts, Flag, Name, Ratio, Settings, Target, Time, Weights,
    Window, Windows,
};
use Need::{Optional, Required};
use wavetank_vocabulary::{FaultKind, Span};
use wavetank_world::Trigger;

/// A key that says what happens to whom.
const fn action(kind: FaultKind, about: &'static str) -> Key {
    key(kind.name(), Target, Optional, about)
}

/// The same for load balancers.
const fn of_balancer(kind: FaultKind, about: &'static str) -> Key {
    key(kind.name(), Name, Optional, about)
}

const DAY: Span = Span::from_secs(86_400);

pub(super) static FAULTS: Table = Table {
    name: "[[faults]]",
    about: "Something that goes wrong.",
    keys: &[
        key(
            "id",
            Count(1, u16::MAX as u64),
            Optional,
            "Its number, by which its dice are known; its place in the file unless told.",
        ),
        key(
            "at",
            Window(YEAR),
            Optional,
            "When it begins: a time, or a range that the seed draws from. With `when`, from when on the trigger is waited for; from the beginning unless told.",
        ),
        key("when", Choice(TRIGGERS, &[]), Optional, "A trigger instead of a time: its first."),
        key(
            "after",
            Window(YEAR),
            Optional,
            "How long after the trigger it begins; at once unless told.",
        ),
        key(
            "for",
            Window(YEAR),
            Optional,
            "How long it lasts; to the end of the duration unless told (a restart: 2 s).",
        ),
        action(FaultKind::Crash, "The process is killed."),
        action(FaultKind::PowerLoss, "The machine dies; what was not synced may be lost or torn."),
        action(
            FaultKind::Stop,
            "The process is told to stop: it takes no more requests, leaves the cluster, and is gone once the others know; after 60 s it is killed.",
        ),
        action(
            FaultKind::Restart,
            "The same, to start again after `for`, or once it is gone if that takes longer.",
        ),
        action(FaultKind::Wipe, "The process is killed and its store deleted."),
        action(FaultKind::Pause, "The machine stands still but for its clock."),
        action(FaultKind::SlowCpu, "The cores take `factor` times as long (20 unless told)."),
        action(
            FaultKind::Partition,
            "No message passes to or from the instances that `from` names; without it, to or from all others.",
        ),
        key("isolate", Target, Optional, "No message passes to or from any other instance."),
        action(
            FaultKind::Bridge,
            "The others fall into two halves that do not see each other; this instance sees both.",
        ),
        action(FaultKind::Ring, "Each of these instances sees its two neighbours only."),
        action(
            FaultKind::Loss,
            "This `part` of the packets is lost (0.2 unless told): TCP sends them again after 200 ms, twice that and so on, and after six losses in a row the connection breaks.",
        ),
        action(FaultKind::Delay, "Every message takes longer, `by` so much (200ms unless told)."),
        action(
            FaultKind::Jitter,
            "Every message takes longer, by a time up to `by` (100ms unless told).",
        ),
        action(
            FaultKind::Throttle,
            "The links carry no more than `bandwidth` (1Mbit/s unless told).",
        ),
        action(
            FaultKind::Flap,
            "The links go down and come up again, each for `every` (2s unless told).",
        ),
        action(
            FaultKind::Reset,
            "All connections are reset and what was under way is lost: once, or `every` so often.",
        ),
        action(
            FaultKind::Grey,
            "Heartbeats and votes pass as ever; data and answers to clients are late `by` so much (2s unless told).",
        ),
        action(FaultKind::SlowDisk, "The disk takes `factor` times as long (20 unless told)."),
        action(FaultKind::StallDisk, "No read and no sync of the disk completes."),
        action(FaultKind::IopsCap, "The disk does `iops` operations a second (50 unless told)."),
        action(FaultKind::FullDisk, "Nothing that makes a file longer can be written."),
        action(
            FaultKind::BitFlip,
            "A bit reads wrong in some pages that lie side by side, each until it is written again.",
        ),
        action(FaultKind::LogDamage, "A byte of the last log file reads wrong."),
        action(
            FaultKind::ReadError,
            "Some pages that lie side by side cannot be read, each until it is written again.",
        ),
        action(FaultKind::WriteError, "The next write fails."),
        action(
            FaultKind::SyncError,
            "The next sync fails, and what it was to make durable is forgotten.",
        ),
        action(
            FaultKind::LostWrite,
            "The next page written is acknowledged and stays as it was. No store can answer for such a disk alone.",
        ),
        action(
            FaultKind::MisdirectedWrite,
            "The next page written ends in the place of another. No store can answer for such a disk alone.",
        ),
        action(FaultKind::TornWrite, "Of the next page written, only some sectors arrive."),
        action(FaultKind::BadTransfer, "The next page read comes back with a bit wrong, once."),
        action(FaultKind::MisdirectedRead, "The next page read is another one."),
        action(
            FaultKind::LyingSync,
            "Syncs are acknowledged and do nothing. No store can answer for such a disk alone.",
        ),
        action(FaultKind::ReadOnly, "Every write to the disk fails."),
        action(FaultKind::DiskGone, "Every operation of the disk fails."),
        action(
            FaultKind::ClockOffset,
            "The clock is ahead `by` so much (1h unless told), or behind (`backwards`).",
        ),
        action(
            FaultKind::ClockDrift,
            "The clock gains this `part` of the time that passes (0.01 unless told), or loses it (`backwards`).",
        ),
        action(
            FaultKind::ClockJump,
            "The clock jumps ahead `by` so much (10s unless told), or back (`backwards`), and returns, each after `every` (5s unless told).",
        ),
        action(
            FaultKind::ShrinkCache,
            "The page cache is left with this `part` of its frames (0.1 unless told).",
        ),
        of_balancer(FaultKind::BalancerStale, "The load balancer does not notice any change."),
        of_balancer(FaultKind::BalancerDown, "The load balancer refuses connections."),
        action(
            FaultKind::WrongHosts,
            "The operator restarts it with only `hosts` as initial hosts, and with all of them afterwards.",
        ),
        action(
            FaultKind::ChangeSetting,
            "The operator restarts it with other `settings`, and with its own afterwards.",
        ),
        action(
            FaultKind::RollingRestart,
            "The operator restarts these instances one after the other, from the first or from the last (`backwards`), each once the one before serves.",
        ),
        key("from", Target, Optional, "The other side of what happens to links."),
        key(
            "one_way",
            Flag,
            Need::Default("false"),
            "Of a partition: whether only messages that the instance sends are lost.",
        ),
        key("factor", Ratio(1, 1_000_000), Optional, "How many times slower."),
        key("part", Ratio(0, 1), Optional, "Which part is lost, is left, or is gained."),
        key("by", Time(MILLISECOND, YEAR), Optional, "How much later; how far a clock is off."),
        key("every", Time(Span::ZERO, DAY), Optional, "How often it changes or comes again."),
        key("iops", Count(1, 10_000_000), Optional, "Disk operations a second."),
        key("bandwidth", Bandwidth, Optional, "What a link carries in a second."),
        key("backwards", Flag, Optional, "The other way."),
        key(
            "budget",
            Choice(BUDGETS, &[]),
            Need::Default("none"),
            "\"keep-one-copy\": it does not strike if it would hurt the storage of more than a minority, or leave no other good copy of what was acknowledged.",
        ),
        key("hosts", Counts(64), Optional, "Instances by number."),
        key("settings", Settings, Optional, "Settings by Neo4j's names."),
    ],
};

/// What faults may not do.
const BUDGETS: &[&str] = &["none", "keep-one-copy"];

pub(super) static NEMESIS: Table = Table {
    name: "[[nemesis]]",
    about: "Faults drawn at random: they stand in the Plan.",
    keys: &[
        key("faults", Weights, Required, "The weight of each kind of fault."),
        key(
            "every",
            Window(YEAR),
            Required,
            "The time between two beginnings: exponential with this mean, or anywhere in a range.",
        ),
        key("for", Window(YEAR), Required, "How long each lasts."),
        key("rest", Window(YEAR), Optional, "The time without faults after `most` of them."),
        key("quiet", Windows(YEAR), Optional, "When there are no faults at all."),
        key(
            "on",
            Choices(&["any", "master", "slave", "minority", "majority", "all", "trigger"]),
            Optional,
            "Who may be hit; \"any\" instance unless told.",
        ),
        key(
            "when",
            Choices(TRIGGERS),
            Optional,
            "Each fault waits, from its time on, for one of these; \"trigger\" is the instance at which it happens.",
        ),
        key("most", Count(1, 1000), Need::Default("1"), "How many at once."),
        key(
            "swarm",
            Flag,
            Need::Default("false"),
            "Whether each seed leaves out every kind with probability one half.",
        ),
        key("budget", Choice(BUDGETS, &[]), Need::Default("none"), "As for [[faults]]."),
    ],
};

/// The names of the triggers.
pub(super) const TRIGGERS: &[&str] = &names::<{ Trigger::ALL.len() }>(&Trigger::ALL);

/// The names of those that can be counted.
pub(super) const EVENTS: &[&str] = &names::<{ Trigger::TOLD.len() }>(Trigger::TOLD);

const fn names<const N: usize>(of: &[(Trigger, &'static str)]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut i = 0;
    while i < N {
        names[i] = of[i].1;
        i += 1;
    }
    names
}

/// The keys of [`FAULTS`] that say what happens, one of which each fault has.
pub(crate) const ACTIONS: [&str; FaultKind::ALL.len()] = {
    let mut names = [""; FaultKind::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = match FaultKind::ALL[i] {
            // A partition may be one-way, and one from everybody has a word of its own.
            FaultKind::PartitionOneWay => "isolate",
            kind => kind.name(),
        };
        i += 1;
    }
    names
};

/// The same, each with its sentence.
pub(in crate::keys) fn actions() -> Vec<(&'static str, &'static str)> {
    let about = |name: &'static str| Some((name, FAULTS.key(name)?.about));
    ACTIONS.into_iter().filter_map(about).collect()
}
