//! What of a result can be set side by side: latencies, throughput, lag, hit rate, and the times
//! that checks measured, among them that of a failover.

use serde_json::Value;

use crate::result::{OperationResult, RunResult};

/// The goals of a model that has been calibrated: a tenth at the median, a fifth at the 99th
/// percentile and for what checks time.
const MEDIAN: f64 = 0.1;
const TAIL: f64 = 0.2;

/// A quantity of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity {
    /// With the unit.
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) value: f64,
    /// How large an error may be, as a part.
    pub(super) goal: Option<f64>,
}

/// All of a run, in the order in which people ask for them.
pub(super) fn quantities(result: &RunResult) -> Vec<Quantity> {
    let mut found = Vec::new();
    let mut add = |name: String, unit: &'static str, value: Option<f64>, goal: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            let name = if unit.is_empty() { name } else { format!("{name} [{unit}]") };
            found.push(Quantity { name, unit, value, goal });
        }
    };
    for (operation, figures) in &result.operations {
        let OperationResult { p50_ms, p90_ms, p99_ms, p999_ms, .. } = figures;
        for (percentile, value, goal) in [
            ("p50", p50_ms, Some(MEDIAN)),
            ("p90", p90_ms, None),
            ("p99", p99_ms, Some(TAIL)),
            ("p99.9", p999_ms, None),
        ] {
            add(format!("{operation} {percentile}"), "ms", *value, goal);
        }
    }
    let per_second = |count: u64| Some(count as f64 / result.simulated_seconds);
    // All operations of a client together stand under its name.
    for (client, figures) in result.operations.iter().filter(|(name, _)| !name.contains('.')) {
        let part = |count: u64| Some(count as f64 / figures.offered as f64 * 100.0);
        add(format!("{client} throughput"), "/s", per_second(figures.ok), None);
        add(format!("{client} failed"), "%", part(figures.failed + figures.unknown), None);
        add(format!("{client} retries"), "%", part(figures.retries), None);
    }
    for expectation in &result.expectations {
        // Latencies are there already.
        if expectation.check.starts_with("latency") {
            continue;
        }
        timed(&expectation.check, &expectation.measured, &mut |name, seconds| {
            add(name, "s", Some(seconds), Some(TAIL));
        });
    }
    let most = |of: fn(&crate::instance_result::InstanceResult) -> Option<u64>| {
        result.instances.iter().filter_map(of).max().map(|most| most as f64)
    };
    add("largest lag".into(), "tx", most(|one| one.largest_lag_tx), None);
    for (client, seen) in &result.visibility {
        add(format!("{client} 99 % see writes after"), "ms", seen.window_99_ms, None);
    }
    let sum = |of: fn(&crate::instance_result::InstanceResult) -> u64| {
        result.instances.iter().map(of).sum::<u64>()
    };
    let (hits, faults) = (sum(|one| one.page_cache_hits), sum(|one| one.page_cache_faults));
    add(
        "page cache hit rate".into(),
        "%",
        Some(hits as f64 / (hits + faults) as f64 * 100.0),
        None,
    );
    add("commits".into(), "/s", per_second(sum(|one| one.committed)), None);
    let logged = sum(|one| one.committed + one.applied);
    add(
        "log of a transaction".into(),
        "B",
        Some(sum(|one| one.log_bytes) as f64 / logged as f64),
        None,
    );
    add("elections".into(), "", Some(result.elections as f64), None);
    found
}

/// The times among what a check measured, in seconds.
fn timed(name: &str, measured: &Value, add: &mut dyn FnMut(String, f64)) {
    match measured {
        Value::String(text) => {
            if let Some(seconds) = seconds(text) {
                add(name.to_owned(), seconds);
            }
        }
        Value::Object(parts) => {
            for (part, value) in parts {
                timed(&format!("{name} {part}"), value, add);
            }
        }
        _ => {}
    }
}

/// The seconds of a time as results write it: `14.000s`, `12.4ms`, `500us`.
fn seconds(text: &str) -> Option<f64> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let number: f64 = text[..unit].parse().ok()?;
    let factor = match &text[unit..] {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_told_from_other_words() {
        for (text, found) in [
            ("14.000s", Some(14.0)),
            ("12.5ms", Some(0.0125)),
            ("500us", Some(0.0005)),
            ("2m", Some(120.0)),
            ("never", None),
            ("3 MiB", None),
            ("99.2%", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), found, "{text}");
        }
    }
}
