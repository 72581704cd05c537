//! How large the processes of a real run were, over time: what grows there without end is a leak
//! that no simulated world can show.

use std::collections::BTreeMap;

use crate::axis::Scale;
use crate::chart::{Line, LineChart};
use crate::figures::Figure;
use crate::ink::Ink;
use crate::result::{ProcessSize, RunResult};

/// Sizes are taken about once a second of real time; where so many are missing, no process ran.
const GAP: f64 = 3.5;

/// The figures of a real run; none of a simulated one.
pub(crate) fn figures(result: &RunResult) -> Vec<Figure> {
    let gap = GAP * result.time_scale.unwrap_or(1.0).max(1.0);
    let chart = |value: fn(&ProcessSize) -> u64| {
        let mut points: BTreeMap<u16, Vec<(f64, Option<f64>)>> = BTreeMap::new();
        for size in &result.processes {
            points.entry(size.instance).or_default().push((size.at, Some(value(size) as f64)));
        }
        let line = |(slot, (instance, points)): (usize, (u16, Vec<_>))| Line {
            name: format!("i{instance}"),
            ink: Ink::Nth(slot),
            points,
            spread: Vec::new(),
            dots: false,
        };
        LineChart {
            scale: Scale::Linear,
            lines: points.into_iter().enumerate().map(line).collect(),
            limit: None,
            holds: vec![0.0],
            longest_gap: gap,
        }
    };
    if result.processes.is_empty() {
        return Vec::new();
    }
    let figure = |id, title, unit, note: &str, value| Figure {
        id,
        title,
        note: note.to_owned(),
        unit,
        chart: chart(value),
    };
    vec![
        figure(
            "process-memory",
            "Memory of each process, MiB",
            "MiB",
            "Resident memory as the system counts it. A process that was killed begins anew.",
            |size| size.memory_mib,
        ),
        figure(
            "process-page-cache",
            "Page cache of each process, MiB",
            "MiB",
            "Its part of that memory: pages of the store. It grows with the graph, up to its \
             configured size.",
            |size| size.page_cache_mib,
        ),
        figure(
            "process-files",
            "Open files and sockets of each process",
            "",
            "Files of the store, and connections to peers, clients and balancers.",
            |size| size.open_files,
        ),
    ]
}
