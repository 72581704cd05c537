//! The report's account of the set-up: graph, load, machines, settings, costs.

use maud::{Markup, html};
use wavetank_vocabulary::Status;
use wavetank_world::{
    ClientPlan, Deployment, InstancePlan, Plan, Popularity, RetryPlan, VolumePlan,
};

use crate::provenance::{LoadLine, Provenance, distribution, settings_of};
use crate::result::RunResult;
use crate::words::{counted, grouped, listed};

/// What `wavetank calibrate` calls its cost table.
pub const CALIBRATED: &str = "calibrated";

/// Graph, machines, settings and load.
pub(crate) fn setup(plan: &Plan, result: &RunResult, provenance: &Provenance) -> Markup {
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
        (derived(&provenance.load))
        h3 { "Machines" }
        (machines(plan))
        h3 { "Network and disks" }
        (distributions(plan))
        h3 #settings { "Settings" }
        (settings(plan, provenance))
        h3 { "Cost of work" }
        p {
            "Work takes core time after the cost table " b { (costs.name) } ": "
            (costs.step) " a step, " (costs.record) " a record, " (costs.hit) " a page found in memory, "
            (costs.fault) " a page loaded, " (costs.logged_kib) " a KiB of log. "
            @if costs.name == "assumed" {
                "These figures are assumed, not measured: latencies and the load that the cluster can carry are no better than they are."
            } @else if costs.name == CALIBRATED {
                "These figures were calibrated: measured on a machine with the store itself, by `wavetank calibrate`."
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
            b { (client.name) } ": "
            @match &client.users {
                None if let Some(recorded) = &client.recorded => {
                    (recorded.arrivals.len()) " operations as recorded in " (recorded.path) ", " (recorded.speed) " times as fast"
                }
                None => { (client.rate) " in Poisson arrivals" }
                Some(users) => { (users.count) " users who wait for each answer and think" }
            }
            ": " (listed(&parts))
            @match client.deployment {
                Deployment::Extension => {}
                Deployment::Embedded => { "; in the database's own process" }
                Deployment::Server => { "; a round trip for each statement" }
            }
            "; routed " (client.routing.name())
            @if let Some(balancer) = balancer {
                " by " (balancer.name) ", which asks the instances every " (balancer.poll)
            }
            "; "
            @match &client.popularity {
                Popularity::Zipf(exponent) if exponent.numerator == 0 => { "users equally likely" }
                Popularity::Zipf(exponent) => { "users by Zipf's law with exponent " (exponent.as_f64()) }
                Popularity::Degree => { "users by how many relationships they have" }
                Popularity::Table(table) => { "users as often as " (table.path) " says" }
            }
            @if client.auth_lookup { "; each request begins with a look-up at the master" }
            @if !client.credentials { "; without credentials" }
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
    for status in Status::ALL {
        if retry.codes.contains(status) && !on.contains(&status.seen_as()) {
            on.push(status.seen_as());
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
                    td { (ids.join(", ")) @if machine.arbiter { " (arbiter)" } @else if machine.slave_only { " (slave only)" } }
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

/// What an operator would regret about the scenario, and a load too soft or too hard.
pub(crate) fn regrets(provenance: &Provenance) -> Markup {
    let said = |what: &str| ["soft", "served"].contains(&what);
    let loads = provenance.load.iter().filter(|line| said(&line.what));
    let loads: Vec<String> = loads.map(|l| format!("{}: {}", l.what, l.note)).collect();
    html! {
        @if !provenance.warnings.is_empty() || !loads.is_empty() {
            h3 #regrets { "To know about this scenario" }
            ul { @for line in provenance.warnings.iter().chain(&loads) { li { (line) } } }
        }
    }
}

/// What the load amounts to, as the caller worked it out.
fn derived(lines: &[LoadLine]) -> Markup {
    html! {
        @if !lines.is_empty() {
            h3 #derived-load { "What it amounts to" }
            div.scroll { table {
                tbody { @for line in lines {
                    tr { td { (line.what) } td.n { (line.value) } td.why { (line.note) } }
                } }
            } }
        }
    }
}

fn distributions(plan: &Plan) -> Markup {
    let network = &plan.network;
    let mut volumes: Vec<(String, &VolumePlan)> = Vec::new();
    for instance in &plan.instances {
        let alike = |known: &&mut (String, &VolumePlan)| {
            known.1.access == instance.volume.access && known.1.sync == instance.volume.sync
        };
        match volumes.iter_mut().find(alike) {
            Some((ids, _)) => *ids += &format!(", {}", instance.id),
            None => volumes.push((instance.id.to_string(), &instance.volume)),
        }
    }
    let place = |index: u16| plan.datacentres.get(usize::from(index)).map_or("?", String::as_str);
    html! {
        dl {
            dt { "One way within a data centre" }
            dd { (distribution(&network.local)) "; " (network.bandwidth) "/s" }
            @for link in &network.links {
                dt { (place(link.between[0])) " and " (place(link.between[1])) }
                dd { (distribution(&link.latency)) "; " (link.bandwidth) "/s" }
            }
            @for (ids, volume) in &volumes {
                dt { "Disk access of " (ids) } dd { (distribution(&volume.access)) }
                dt { "Sync of " (ids) } dd { (distribution(&volume.sync)) }
            }
        }
    }
}

fn settings(plan: &Plan, provenance: &Provenance) -> Markup {
    let rows = if provenance.settings.is_empty() {
        settings_of(plan)
    } else {
        provenance.settings.clone()
    };
    let bugs = plan.bugs.to_string();
    html! {
        div.scroll { table {
            thead { tr { th { "Setting" } th { "Value" } th { "From" } } }
            tbody { @for row in &rows {
                tr {
                    td { code { (row.name) } }
                    td { (row.value) }
                    td class=[row.origin.starts_with("default").then_some("soft")] { (row.origin) }
                }
            } }
        } }
        @if !bugs.is_empty() { p { b { "Bugs were planted in this run: " (bugs) "." } } }
    }
}
