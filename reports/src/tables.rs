//! The tables of the report, and its account of the set-up.

use maud::{Markup, html};
use wavetank_vocabulary::{Span, Status};
use wavetank_world::{ClientPlan, InstancePlan, Plan, RetryPlan};

use crate::recorder::Recorder;
use crate::result::{FaultEffect, InstanceResult, OperationResult, RunResult};
use crate::words::{counted, grouped, listed, millis};

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
                            FaultEffect::Skipped => "skipped: nobody to hit at that moment",
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
    let rows: [(&str, Cell<'_>); 16] = [
        ("role at the end", &|i| i.role.clone()),
        ("role changes", &|i| grouped(i.role_changes)),
        ("last transaction", &|i| grouped(i.last_tx)),
        ("largest lag, transactions", &|i| i.largest_lag_tx.map_or("–".into(), grouped)),
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

/// Graph, machines, settings and load.
pub(crate) fn setup(plan: &Plan, result: &RunResult) -> Markup {
    let graph = &result.graph;
    let costs = &plan.costs;
    html! {
        h2 #setup { "Set-up" }
        h3 { "Graph" }
        p {
            (counted(graph.nodes, "node")) ", " (counted(graph.relationships, "relationship"))
            " at the start: " (graph.source) "."
        }
        h3 { "Load" }
        @for client in &plan.clients { (load(plan, client)) }
        h3 { "Machines" }
        (machines(plan))
        h3 { "Settings" }
        (settings(plan))
        h3 { "Cost of work" }
        p {
            "Work takes core time after the cost table " b { (costs.name) } ": "
            (costs.step) " a step, " (costs.record) " a record, " (costs.hit) " a page found in memory, "
            (costs.fault) " a page loaded, " (costs.logged_kib) " a KiB of log. "
            @if costs.name == "assumed" {
                "These figures are assumed, not measured: latencies and the load that the cluster can carry are no better than they are."
            }
        }
    }
}

fn load(plan: &Plan, client: &ClientPlan) -> Markup {
    let weights: u64 = client.mix.iter().map(|&(_, weight)| u64::from(weight)).sum();
    let parts: Vec<String> = client
        .mix
        .iter()
        .filter_map(|&(kind, weight)| {
            let program = plan.operations.get(kind.index())?;
            let percent = 100.0 * f64::from(weight) / weights.max(1) as f64;
            let does = if program.writes() { "writes" } else { "reads" };
            Some(format!("{percent:.1} % {} ({does})", program.name))
        })
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let balancer = plan.balancers.get(usize::from(client.balancer));
    html! {
        p {
            b { (client.name) } ": " (client.rate) " in Poisson arrivals: " (listed(&parts))
            "; routed " (client.routing.name())
            @if let Some(balancer) = balancer {
                " by " (balancer.name) ", which asks the instances every " (balancer.poll)
            }
            "; "
            @if client.zipf.numerator == 0 { "users equally likely" } @else {
                "users by Zipf's law with exponent " (client.zipf.as_f64())
            }
            "; time-out " (client.timeout) "; " (retries(&client.retry)) "."
        }
    }
}

fn retries(retry: &RetryPlan) -> String {
    let mut on = Vec::new();
    for (covered, name) in [
        (retry.transient, "transient failures"),
        (retry.connection, "broken connections"),
        (retry.timeout, "time-outs"),
    ] {
        if covered {
            on.push(name);
        }
    }
    if retry.attempts <= 1 || on.is_empty() {
        return String::from("no retries");
    }
    format!(
        "up to {} attempts on {}, after {} growing by {}, of which {:.0} % is drawn",
        retry.attempts,
        listed(&on),
        retry.backoff,
        retry.factor.as_f64(),
        retry.jitter.as_f64() * 100.0
    )
}

/// One row for instances that are alike.
fn machines(plan: &Plan) -> Markup {
    let mut groups: Vec<(&InstancePlan, Vec<String>)> = Vec::new();
    for instance in &plan.instances {
        let alike = |group: &&mut (&InstancePlan, Vec<String>)| {
            *instance == InstancePlan { id: instance.id, ..group.0.clone() }
        };
        match groups.iter_mut().find(alike) {
            Some(group) => group.1.push(instance.id.to_string()),
            None => groups.push((instance, vec![instance.id.to_string()])),
        }
    }
    html! {
        div.scroll { table {
            thead { tr {
                th { "Instances" } th { "Machine" } th { "Where" } th.n { "Cores" } th.n { "Memory" }
                th.n { "Heap" } th.n { "Page cache" } th.n { "Volume" } th.n { "IOPS" } th.n { "Throughput" }
            } }
            tbody { @for (machine, ids) in groups {
                tr {
                    td { (ids.join(", ")) @if machine.slave_only { " (slave only)" } }
                    td { (machine.machine) }
                    td { (plan.datacentres.get(usize::from(machine.datacentre)).map_or("", String::as_str)) }
                    td.n { (machine.cores) }
                    td.n { (machine.memory) }
                    td.n { (machine.heap) }
                    td.n { (machine.page_cache) }
                    td.n { (machine.volume.size) }
                    td.n { (grouped(u64::from(machine.volume.iops))) }
                    td.n { (machine.volume.throughput) "/s" }
                }
            } }
        } }
    }
}

fn settings(plan: &Plan) -> Markup {
    let settings = &plan.settings;
    let or_off = |span: Span| if span.is_zero() { String::from("off") } else { span.to_string() };
    let rows = [
        ("compat", settings.compat().name().to_owned()),
        ("ha.heartbeat_interval", settings.cluster.heartbeat_interval.to_string()),
        ("ha.heartbeat_timeout", settings.cluster.heartbeat_timeout.to_string()),
        ("ha.election_timeout", settings.cluster.election_timeout.to_string()),
        ("ha.pull_interval", or_off(settings.pull_interval)),
        ("ha.tx_push_factor", settings.tx_push_factor.to_string()),
        ("ha.tx_push_strategy", settings.tx_push_strategy.name().to_owned()),
        ("ha.read_timeout", settings.read_timeout.to_string()),
        ("ha.state_switch_timeout", settings.state_switch_timeout.to_string()),
        ("dbms.checkpoint.interval.tx", grouped(settings.checkpoint_interval_tx)),
        ("dbms.checkpoint.interval.time", settings.checkpoint_interval_time.to_string()),
        ("quantities sampled every", plan.sample_every.to_string()),
    ];
    let bugs = plan.bugs.to_string();
    html! {
        dl { @for (name, value) in rows { dt { code { (name) } } dd { (value) } } }
        @if !bugs.is_empty() { p { b { "Bugs were planted in this run: " (bugs) "." } } }
    }
}
