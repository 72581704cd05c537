//! Metrics by Neo4j's names (HA specification 8), and the file that its CSV reporter would
//! have written for an instance: so that the charts of a real cluster can be laid beside it.

use std::fmt::Write;

use wavetank_vocabulary::{Metric, Role, WALL_START_MS};
use wavetank_world::{Compat, Plan};

use crate::recorder::Recorder;

/// The last reading of each metric, by its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readings([Option<u64>; Metric::COUNT]);

impl Default for Readings {
    fn default() -> Self {
        Readings([None; Metric::COUNT])
    }
}

impl Readings {
    /// Takes a sample in.
    pub(crate) fn note(&mut self, metric: Metric, value: u64) {
        self.0[metric as usize] = Some(value);
    }

    /// The last reading.
    fn of(&self, metric: Metric) -> Option<u64> {
        self.0[metric as usize]
    }

    fn are_none(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// How a column comes about.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// The sum of these.
    Sum(&'static [Metric]),
    /// The first as a part of the sum of these.
    Part(Metric, &'static [Metric]),
    /// Milliseconds.
    Millis(Metric),
    /// 1 in that role, else 0.
    In(&'static [Role]),
}

/// Neo4j's name without the prefix, the first version that has it, and how it comes about.
type Column = (&'static str, Compat, Of);

/// All columns. Of 2.2 the specification names none: it gets those of 2.3.0.
const COLUMNS: [Column; 41] = {
    use Compat::{V2_2, V2_3_6, V3_2};
    use Metric::*;
    use Of::{In, Millis, Part, Sum};
    const PINS: &[Metric] = &[PageCacheHits, PageCacheFaults];
    [
        ("transaction.peak_concurrent", V2_2, Sum(&[PeakTransactions])),
        ("transaction.started", V2_2, Sum(&[TransactionsStarted])),
        ("transaction.terminated", V2_2, Sum(&[TerminatedReads, TerminatedWrites])),
        ("transaction.rollbacks", V2_2, Sum(&[RolledBackReads, RolledBackWrites])),
        ("transaction.committed", V2_2, Sum(&[CommittedReads, CommittedWrites])),
        ("transaction.active", V2_2, Sum(&[ActiveReads, ActiveWrites])),
        ("page_cache.flushes", V2_2, Sum(&[PageCacheFlushes])),
        // No pin outlives the step that made it, so that samples find as many unpins.
        ("page_cache.unpins", V2_2, Sum(PINS)),
        ("page_cache.pins", V2_2, Sum(PINS)),
        ("page_cache.evictions", V2_2, Sum(&[PageCacheEvictions])),
        ("page_cache.page_faults", V2_2, Sum(&[PageCacheFaults])),
        ("ids_in_use.relationship_type", V2_2, Sum(&[RelationshipTypeIds])),
        ("ids_in_use.property", V2_2, Sum(&[PropertyIds])),
        ("ids_in_use.relationship", V2_2, Sum(&[RelationshipIds])),
        ("ids_in_use.node", V2_2, Sum(&[NodeIds])),
        ("network.slave_network_tx_writes", V2_2, Sum(&[SlaveTxWrites])),
        ("network.master_network_store_writes", V2_2, Sum(&[MasterStoreWrites])),
        ("network.master_network_tx_writes", V2_2, Sum(&[MasterTxWrites])),
        ("check_point.events", V2_3_6, Sum(&[Checkpoints])),
        ("check_point.total_time", V2_3_6, Millis(CheckpointTime)),
        ("log_rotation.events", V2_3_6, Sum(&[LogRotations])),
        ("log_rotation.total_time", V2_3_6, Millis(LogRotationTime)),
        ("cluster.slave_pull_updates", V2_3_6, Sum(&[PullUpdates])),
        ("cluster.slave_pull_update_up_to_tx", V2_3_6, Sum(&[PulledUpTo])),
        ("cluster.is_master", V3_2, In(&[Role::Master])),
        ("cluster.is_available", V3_2, In(&[Role::Master, Role::Slave])),
        ("page_cache.hits", V3_2, Sum(&[PageCacheHits])),
        ("page_cache.hit_ratio", V3_2, Part(PageCacheHits, PINS)),
        ("page_cache.usage_ratio", V3_2, Part(ResidentPages, &[PageCacheFrames])),
        ("transaction.active_read", V3_2, Sum(&[ActiveReads])),
        ("transaction.active_write", V3_2, Sum(&[ActiveWrites])),
        ("transaction.committed_read", V3_2, Sum(&[CommittedReads])),
        ("transaction.committed_write", V3_2, Sum(&[CommittedWrites])),
        ("transaction.rollbacks_read", V3_2, Sum(&[RolledBackReads])),
        ("transaction.rollbacks_write", V3_2, Sum(&[RolledBackWrites])),
        ("transaction.terminated_read", V3_2, Sum(&[TerminatedReads])),
        ("transaction.terminated_write", V3_2, Sum(&[TerminatedWrites])),
        ("transaction.last_committed_tx_id", V3_2, Sum(&[LastCommittedTx])),
        ("transaction.last_closed_tx_id", V3_2, Sum(&[LastClosedTx])),
        ("check_point.check_point_duration", V3_2, Millis(LastCheckpointTime)),
        ("log_rotation.log_rotation_duration", V3_2, Millis(LastLogRotationTime)),
    ]
};

/// The prefix where nobody set it.
const PREFIX: &str = "neo4j";

/// Neo4j's name of a metric, with its prefix, in any version; none for what Neo4j does not
/// measure as such, as disk queues and pauses of the machine.
pub fn neo4j_name(metric: Metric) -> Option<String> {
    let alone = |of: &Of| matches!(of, Of::Sum([only]) if *only == metric);
    let (name, ..) = COLUMNS.iter().find(|(_, _, of)| alone(of))?;
    Some(format!("{PREFIX}.{name}"))
}

/// Which metrics the columns are made of, by number.
const NEEDED: [bool; Metric::COUNT] = {
    let mut needed = [false; Metric::COUNT];
    let mut column = 0;
    while column < COLUMNS.len() {
        let (one, more): (Option<Metric>, &[Metric]) = match COLUMNS[column].2 {
            Of::Sum(parts) => (None, parts),
            Of::Part(part, whole) => (Some(part), whole),
            Of::Millis(nanos) => (Some(nanos), &[]),
            Of::In(_) => (None, &[]),
        };
        if let Some(metric) = one {
            needed[metric as usize] = true;
        }
        let mut place = 0;
        while place < more.len() {
            needed[more[place] as usize] = true;
            place += 1;
        }
        column += 1;
    }
    needed
};

/// Whether a column needs it.
pub(crate) fn is_read(metric: Metric) -> bool {
    NEEDED[metric as usize]
}

/// The value of a column; none before all that it is made of was read.
fn value(of: Of, role: Role, readings: &Readings) -> Option<String> {
    let read = |metric: Metric| readings.of(metric);
    let sum = |parts: &[Metric]| parts.iter().map(|part| read(*part)).sum::<Option<u64>>();
    match of {
        Of::Sum(parts) => sum(parts).map(|sum| sum.to_string()),
        Of::Part(part, whole) => {
            let (part, whole) = (read(part)?, sum(whole)?);
            (whole > 0).then(|| format!("{:.6}", part as f64 / whole as f64))
        }
        Of::Millis(nanos) => read(nanos).map(|nanos| (nanos / 1_000_000).to_string()),
        Of::In(roles) => Some(u8::from(roles.contains(&role)).to_string()),
    }
}

/// What the instance at that place of the Plan would have reported (`metrics.csv.file =
/// single`): a row per bucket of the series, with its last readings; the time in seconds
/// since 1970. Which columns there are is a matter of `compat`. A process that is down reports
/// nothing.
pub(crate) fn metrics_csv(plan: &Plan, recorder: &Recorder, instance: usize) -> String {
    let settings = plan.instances.get(instance).map_or(&plan.settings, |of| plan.settings_of(of));
    let compat = settings.cluster.compat;
    let columns = || COLUMNS.iter().filter(|(_, since, _)| *since <= compat);
    let mut text = String::from("timestamp");
    for (name, ..) in columns() {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{PREFIX}.{name}");
    }
    text.push('\n');
    let series = recorder.series();
    let every = plan.sample_every;
    for (index, bucket) in series.buckets().iter().enumerate() {
        let Some(bucket) = bucket.instances.get(instance) else { continue };
        if bucket.readings.are_none() {
            continue;
        }
        let end = series.start(index) + series.width().max(every);
        let _ = write!(text, "{}", WALL_START_MS / 1_000 + end.as_nanos() / 1_000_000_000);
        for (_, _, of) in columns() {
            text.push(',');
            text.push_str(&value(*of, bucket.role, &bucket.readings).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn names_are_those_of_the_metrics_library() {
        let name = |metric| neo4j_name(metric);
        assert_eq!(
            name(Metric::LastCommittedTx).as_deref(),
            Some("neo4j.transaction.last_committed_tx_id")
        );
        assert_eq!(name(Metric::PageCacheFaults).as_deref(), Some("neo4j.page_cache.page_faults"));
        assert_eq!(name(Metric::DiskQueue), None);
        assert_eq!(name(Metric::CheckpointTime), None, "in other units");
    }

    fn head(compat: Compat) -> String {
        let mut plan = synthetic::plan(60);
        plan.settings.cluster.compat = compat;
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        metrics_csv(&plan, &recorder, 0).lines().next().expect("there is a head").to_owned()
    }

    #[test]
    fn each_version_has_its_own_columns() {
        let counts = Compat::ALL.map(|compat| head(compat).split(',').count() - 1);
        assert_eq!(counts, [18, 18, 24, 41]);
        assert!(!head(Compat::V2_3_0).contains("check_point"));
        assert!(!head(Compat::V2_3_6).contains("page_cache.hits"));
        let all = head(Compat::V3_2);
        for column in COLUMNS {
            assert!(all.contains(&format!(",neo4j.{}", column.0)), "{}", column.0);
        }
    }

    #[test]
    fn the_book_has_every_column() {
        let book = include_str!("../../docs/neo4j-files.md");
        let rows = book.lines().filter(|line| line.starts_with("| `") && line.contains('.'));
        let mut rows = rows.filter(|row| !row.contains("Instance") && !row.contains("master. "));
        for (name, since, _) in COLUMNS {
            let since = if since == Compat::V2_2 { "2.3.0" } else { since.name() };
            let expected = format!("| `{name}` | {since} |");
            assert!(rows.any(|row| row.starts_with(&expected)), "not in its place: {expected}");
        }
    }

    #[test]
    fn columns_are_worked_out_of_what_was_read() {
        let mut readings = Readings::default();
        readings.note(Metric::PageCacheHits, 30);
        readings.note(Metric::PageCacheFaults, 10);
        readings.note(Metric::CheckpointTime, 12_345_678);
        readings.note(Metric::DiskBusy, 1);
        let of = |name| {
            let (.., of) = COLUMNS.iter().find(|(of, ..)| *of == name).expect("known");
            value(*of, Role::Slave, &readings)
        };
        assert_eq!(of("page_cache.pins").as_deref(), Some("40"));
        assert_eq!(of("page_cache.hit_ratio").as_deref(), Some("0.750000"));
        assert_eq!(of("check_point.total_time").as_deref(), Some("12"));
        assert_eq!(of("cluster.is_available").as_deref(), Some("1"));
        assert_eq!(of("cluster.is_master").as_deref(), Some("0"));
        assert_eq!(of("transaction.committed"), None, "nothing of it was read");
    }

    #[test]
    fn a_file_has_a_row_per_bucket_in_which_the_process_ran() {
        let plan = synthetic::plan(60);
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        let text = metrics_csv(&plan, &recorder, 0);
        let mut lines = text.lines();
        let head = lines.next().expect("there is a head");
        assert!(head.starts_with("timestamp,neo4j.transaction.peak_concurrent,"), "{head}");
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert!(!rows.is_empty() && rows.len() < recorder.series().buckets().len());
        let columns = head.split(',').count();
        for row in &rows {
            assert_eq!(row.len(), columns);
            assert!(row[0].parse::<u64>().expect("seconds") > 1_445_385_600);
        }
    }
}
