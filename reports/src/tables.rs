//! The tables of the report, and its account of the set-up.

use maud::{Markup, html};
use wavetank_vocabulary::Status;
use wavetank_world::Plan;

use crate::instance_result::InstanceResult;
use crate::recorder::Recorder;
use crate::result::{FaultEffect, OperationResult, RunResult};
use crate::words::{counted, grouped, millis};

/// Percentiles and counts per operation.
pub(crate) fn operations(plan: &Plan, result: &RunResult) -> Markup {
    let none = result.operations.is_empty();
    html! {
        h2 #operations { "Operations" }
        @if none {
            p { "The scenario has no clients." }
        } @else {
            p.soft {
                "Operations that were due between " (plan.warm_up) " and " (plan.duration)
                ". Latency in milliseconds, from the moment at which an operation was due to its success, retries included. "
                "A dash: fewer than ten operations were slower than that percentile would be, so it is not given."
            }
            div.scroll { table {
                thead { tr {
                    th { "Operation" }
                    @for name in ["offered", "ok", "failed", "unknown", "retries", "p50", "p90", "p99", "p99.9", "max"] {
                        th.n { (name) }
                    }
                } }
                tbody { @for (name, operation) in &result.operations {
                    @let total = plan.clients.iter().any(|client| client.name == *name);
                    tr class=[total.then_some("total")] {
                        th { (name) @if total { ", all" } }
                        (counts_and_latencies(operation))
                    }
                } }
            } }
        }
    }
}

fn counts_and_latencies(operation: &OperationResult) -> Markup {
    let OperationResult { offered, ok, failed, unknown, retries, .. } = *operation;
    let OperationResult { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = *operation;
    html! {
        @for count in [offered, ok, failed, unknown, retries] { td.n { (grouped(count)) } }
        @for latency in [p50_ms, p90_ms, p99_ms, p999_ms, max_ms] { td.n { (millis(latency)) } }
    }
}

/// What unsuccessful operations ended with, over the whole run.
pub(crate) fn errors(recorder: &Recorder) -> Markup {
    let mut totals = [0u64; Status::ALL.len()];
    for bucket in recorder.series().buckets() {
        for (total, count) in totals.iter_mut().zip(bucket.errors) {
            *total += count;
        }
    }
    let mut ends: Vec<_> = Status::ALL.into_iter().zip(totals).filter(|end| end.1 > 0).collect();
    ends.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    html! {
        @if !ends.is_empty() {
            h3 { "Unsuccessful ends, over the whole run" }
            div.scroll { table {
                thead { tr { th { "Last status" } th.n { "operations" } th { "Neo4j's code" } } }
                tbody { @for (status, count) in ends {
                    tr {
                        td { (status.name()) }
                        td.n { (grouped(count)) }
                        td { @if let Some(code) = status.code() { code { (code) } } @else { "none is sent" } }
                    }
                } }
            } }
        }
    }
}

/// What took effect, when, on whom.
pub(crate) fn faults(result: &RunResult) -> Markup {
    html! {
        h2 #faults { "Faults" }
        @if result.faults.is_empty() {
            p { "The scenario has no faults." }
        } @else {
            div.scroll { table {
                thead { tr { th { "Fault" } th { "Kind" } th { "Hit" } th.n { "From, s" } th.n { "To, s" } th { "Effect" } } }
                tbody { @for fault in &result.faults {
                    tr {
                        td { "f" (fault.fault) }
                        td { (fault.kind) }
                        td {
                            @if let Some(on) = fault.on { "i" (on) }
                            @if let Some(peer) = fault.peer { " from i" (peer) }
                        }
                        td.n { (format!("{:.3}", fault.began_s)) }
                        td.n { @if let Some(end) = fault.ended_s { (format!("{end:.3}")) } }
                        td { (match fault.effect {
                            FaultEffect::TookEffect if fault.ended_s.is_none() => "took effect, never healed",
                            FaultEffect::TookEffect => "took effect",
                            FaultEffect::Skipped => "not exercised: nobody to hit, or its trigger never came",
                            FaultEffect::NotReached => "not reached",
                        }) }
                    }
                } }
            } }
        }
    }
}

/// The counters of the instances.
pub(crate) fn instances(result: &RunResult) -> Markup {
    let rate = |rate: Option<f64>| {
        rate.map_or_else(|| String::from("–"), |rate| format!("{:.2} %", rate * 100.0))
    };
    type Cell<'a> = &'a dyn Fn(&InstanceResult) -> String;
    let rows: [(&str, Cell<'_>); 18] = [
        ("role at the end", &|i| i.role.clone()),
        ("role changes", &|i| grouped(i.role_changes)),
        ("last transaction", &|i| grouped(i.last_tx)),
        ("largest lag, transactions", &|i| i.largest_lag_tx.map_or("–".into(), grouped)),
        ("largest lag that monitoring saw", &|i| {
            i.largest_monitored_lag_tx.map_or("–".into(), grouped)
        }),
        ("available / asked, by monitoring", &|i| {
            format!("{} / {}", grouped(i.monitor_available), grouped(i.monitor_asked))
        }),
        ("committed as master", &|i| grouped(i.committed)),
        ("applied as slave", &|i| grouped(i.applied)),
        ("pushes that arrived / were given up", &|i| {
            format!("{} / {}", grouped(i.pushed), grouped(i.pushes_failed))
        }),
        ("page cache hit rate", &|i| rate(i.hit_rate)),
        ("pages loaded", &|i| grouped(i.page_cache_faults)),
        ("pages evicted / written back", &|i| {
            format!("{} / {}", grouped(i.page_cache_evictions), grouped(i.page_cache_flushes))
        }),
        ("log written, bytes", &|i| grouped(i.log_bytes)),
        ("checkpoints", &|i| grouped(i.checkpoints)),
        ("times opened / transactions replayed", &|i| {
            format!("{} / {}", grouped(i.recoveries), grouped(i.replayed))
        }),
        ("branches found / store copies", &|i| {
            format!("{} / {}", grouped(i.branches), grouped(i.store_copies))
        }),
        ("store failures", &|i| grouped(i.store_failures)),
        ("contents at the end, first digits of a digest", &|i| {
            i.contents.as_ref().map_or("–".into(), |text| text.chars().take(8).collect())
        }),
    ];
    html! {
        h2 #instances { "Instances" }
        div.scroll { table {
            caption { "Counted over the whole run, warm-up included. What a process counted between its last sample and a crash is lost with it." }
            thead { tr { th {} @for i in &result.instances { th.n { "i" (i.instance) } } } }
            tbody { @for (name, value) in rows {
                tr { td { (name) } @for i in &result.instances { td.n { (value(i)) } } }
            } }
        } }
    }
}

/// What happened to the cluster, in order.
pub(crate) fn events(recorder: &Recorder) -> Markup {
    let kept: Vec<_> = recorder.events().collect();
    html! {
        h2 #events { "Events" }
        details {
            summary {
                (counted(kept.len() as u64, "event")) " of the cluster, its stores and the faults"
                @if recorder.events_left_out() > 0 {
                    "; " (grouped(recorder.events_left_out())) " more between the first and the last thousand are left out"
                }
            }
            div.scroll { table {
                thead { tr { th.n { "Time" } th { "What happened" } } }
                tbody { @for event in kept {
                    tr { td.n { (event.at) } td { (crate::sentence(&event.fact)) } }
                } }
            } }
        }
    }
}
