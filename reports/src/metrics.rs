//! Metrics by Neo4j's names (HA specification 8), and the file that its CSV reporter would
//! have written for an instance: so that the charts of a real cluster can be laid beside it.

use std::fmt::Write;

use wavetank_vocabulary::{HaRole, Metric, WALL_START_MS};
use wavetank_world::Plan;

use crate::recorder::Recorder;

/// The metrics that both know: ours, and Neo4j's name without the prefix.
pub const METRICS: [(Metric, &str); 6] = [
    (Metric::PageCacheHits, "page_cache.hits"),
    (Metric::PageCacheFaults, "page_cache.page_faults"),
    (Metric::PageCacheEvictions, "page_cache.evictions"),
    (Metric::PageCacheFlushes, "page_cache.flushes"),
    (Metric::OpenTransactions, "transaction.active"),
    (Metric::LastCommittedTx, "transaction.last_committed_tx_id"),
];

/// `metrics.prefix` where nobody set it.
const PREFIX: &str = "neo4j";

/// Neo4j's name of a metric, with its prefix; none for what Neo4j does not measure, as disk
/// queues and pauses of the machine.
pub fn neo4j_name(metric: Metric) -> Option<String> {
    let known = METRICS.iter().find(|(ours, _)| *ours == metric)?;
    Some(format!("{PREFIX}.{}", known.1))
}

/// The place of a metric in [`METRICS`].
pub(crate) fn place_of(metric: Metric) -> Option<usize> {
    METRICS.iter().position(|(known, _)| *known == metric)
}

/// What the instance at that place of the Plan would have reported (`metrics.csv.file =
/// single`): a row per bucket of the series, with its last readings; the time in seconds
/// since 1970. A process that is down reports nothing.
pub(crate) fn metrics_csv(plan: &Plan, recorder: &Recorder, instance: usize) -> String {
    let mut text = String::from("timestamp");
    for (_, name) in METRICS {
        // Writing to a string cannot fail.
        let _ = write!(text, ",{PREFIX}.{name}");
    }
    let _ = writeln!(text, ",{PREFIX}.cluster.is_master,{PREFIX}.cluster.is_available");
    let series = recorder.series();
    let every = plan.sample_every;
    for (index, bucket) in series.buckets().iter().enumerate() {
        let Some(of) = bucket.instances.get(instance) else { continue };
        if of.readings.iter().all(Option::is_none) {
            continue;
        }
        let end = series.start(index) + series.width().max(every);
        let _ = write!(text, "{}", WALL_START_MS / 1_000 + end.as_nanos() / 1_000_000_000);
        for reading in of.readings {
            text.push(',');
            if let Some(reading) = reading {
                let _ = write!(text, "{reading}");
            }
        }
        let role = HaRole::from(of.role);
        let flags = [role == HaRole::Master, role != HaRole::Unknown].map(u8::from);
        let _ = writeln!(text, ",{},{}", flags[0], flags[1]);
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
        for (place, (metric, _)) in METRICS.iter().enumerate() {
            assert_eq!(place_of(*metric), Some(place));
        }
    }

    #[test]
    fn a_file_has_a_row_per_bucket_in_which_the_process_ran() {
        let plan = synthetic::plan(60);
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        let text = metrics_csv(&plan, &recorder, 0);
        let mut lines = text.lines();
        let head = lines.next().expect("there is a head");
        assert!(head.starts_with("timestamp,neo4j.page_cache.hits,"), "{head}");
        assert!(head.ends_with(",neo4j.cluster.is_available"), "{head}");
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        assert!(!rows.is_empty() && rows.len() < recorder.series().buckets().len());
        let columns = head.split(',').count();
        for row in &rows {
            assert_eq!(row.len(), columns);
            assert!(row[0].parse::<u64>().expect("seconds") > 1_445_385_600);
            assert!(["0", "1"].contains(&row[columns - 1]));
        }
    }
}
