//! A Plan as a scenario file: every quantity written out with its unit, so that reading and
//! drawing it gives the same Plan. Operations are written out unless they are those of the
//! library in their default patterns.

use std::fmt::Write;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{FaultKind, PlantedBugs, Span, Status};
use wavetank_world::{
    AcceptorMemory, BalancerPlan, Bounds, ClientPlan, Expectation, Expected, FaultPlan, GraphModel,
    GraphSource, InstancePlan, Members, Plan, Popularity, Program, Quorum, RetryPlan, Routing,
    SeedRule, Settings, Strength, Target,
};

use crate::read::{PERCENTILES, anomaly_keys};
use crate::settings::SETTINGS;
use crate::units::{bytes_text, decimal_bytes_text, rate_text, ratio_text};
use crate::workloads;

/// Writes a Plan as a scenario.
pub fn to_text(plan: &Plan) -> String {
    let mut text = Text(String::new());
    text.head(plan);
    text.cluster(plan);
    text.groups(plan);
    text.graph(plan);
    text.network(plan);
    for balancer in &plan.balancers {
        text.balancer(plan, balancer);
    }
    for program in &plan.operations {
        let library = workloads::operation(&program.name, None, plan.graph.model);
        if library.is_none_or(|library| library.program != *program) {
            text.operation(program);
        }
    }
    for client in &plan.clients {
        text.client(plan, client);
    }
    for fault in &plan.faults {
        text.fault(plan, fault);
    }
    for expectation in &plan.expectations {
        text.expectation(expectation);
    }
    text.table("[monitor]");
    text.line("every", quoted(plan.monitor_every));
    text.line("sample", quoted(plan.sample_every));
    let costs = &plan.costs;
    text.table("[costs]");
    text.line("name", quoted(&costs.name));
    text.line("step", quoted(costs.step));
    text.line("record", quoted(costs.record));
    text.line("hit", quoted(costs.hit));
    text.line("fault", quoted(costs.fault));
    text.line("logged_kib", quoted(costs.logged_kib));
    text.0
}

struct Text(String);

/// A TOML string.
fn quoted(value: impl std::fmt::Display) -> String {
    let mut text = String::from("\"");
    for c in value.to_string().chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn distribution(of: &Distribution) -> String {
    match *of {
        Distribution::Constant(span) => quoted(span),
        Distribution::Uniform { low, high } => {
            format!("{{ uniform = [{}, {}] }}", quoted(low), quoted(high))
        }
        Distribution::Exponential { mean } => format!("{{ exponential = {} }}", quoted(mean)),
        Distribution::Normal { mean, deviation } => {
            format!("{{ normal = {}, deviation = {} }}", quoted(mean), quoted(deviation))
        }
        // `{:?}` of a float is the shortest text that reads back as the same.
        Distribution::LogNormal { median, sigma } => {
            format!("{{ lognormal = {}, sigma = {sigma:?} }}", quoted(median))
        }
        Distribution::Pareto { scale, shape } => {
            format!("{{ pareto = {}, shape = {shape:?} }}", quoted(scale))
        }
        Distribution::Quantiles(values) => {
            format!("{{ quantiles = [{}] }}", values.map(quoted).join(", "))
        }
    }
}

fn target(target: Target, plan: &Plan) -> String {
    match target {
        Target::Instance(id) => id.0.to_string(),
        Target::Several(members) => numbers(members),
        Target::Master => quoted("master"),
        Target::Slave => quoted("slave"),
        Target::Any => quoted("any"),
        Target::Trigger => quoted("trigger"),
        Target::Minority => quoted("minority"),
        Target::Majority => quoted("majority"),
        Target::All => quoted("all"),
        Target::Datacentre(index) => {
            format!("{{ datacentre = {} }}", quoted(&plan.datacentres[usize::from(index)]))
        }
        Target::Balancer(index) => quoted(&plan.balancers[usize::from(index)].name),
    }
}

fn numbers(members: Members) -> String {
    let ids: Vec<String> = members.iter().map(|id| id.0.to_string()).collect();
    format!("[{}]", ids.join(", "))
}

/// The workload that a client's operations belong to: that of the first which the library has.
fn workload(plan: &Plan, client: &ClientPlan) -> &'static str {
    let names = client.mix.iter().map(|(kind, _)| plan.operations[kind.index()].name.as_str());
    let of = |name: &str| workloads::OPERATIONS.iter().find(|known| known.program.name == name);
    names.filter_map(of).map(|operation| operation.workload).next().unwrap_or("social")
}

/// A seed; TOML's whole numbers end at 63 bits.
fn seed(seed: u64) -> String {
    if i64::try_from(seed).is_ok() { seed.to_string() } else { quoted(seed) }
}

fn bandwidth(bytes: wavetank_vocabulary::Bytes) -> String {
    quoted(format!("{}/s", decimal_bytes_text(bytes)))
}

impl Text {
    fn table(&mut self, head: &str) {
        let _ = write!(self.0, "\n{head}\n");
    }

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn head(&mut self, plan: &Plan) {
        self.line("format", 1);
        self.line("about", quoted(&plan.about));
        self.line("duration", quoted(plan.duration));
        self.line("warm_up", quoted(plan.warm_up));
        self.line("seed", seed(plan.seed));
    }

    fn cluster(&mut self, plan: &Plan) {
        self.table("[cluster]");
        self.line("compat", quoted(plan.settings.compat().name()));
        let flaws: Vec<String> = plan.settings.cluster.flaws.names().map(quoted).collect();
        if !flaws.is_empty() {
            self.line("flaws", format!("[{}]", flaws.join(", ")));
        }
        if plan.settings.cluster.quorum != Quorum::default() {
            self.line("quorum", quoted(plan.settings.cluster.quorum.name()));
        }
        if plan.settings.cluster.acceptor_memory != AcceptorMemory::default() {
            self.line("acceptors", quoted(plan.settings.cluster.acceptor_memory.name()));
        }
        if plan.bugs != PlantedBugs::NONE {
            let names: Vec<String> = PlantedBugs::ALL
                .iter()
                .filter(|(bug, _)| plan.bugs.contains(*bug))
                .map(|(_, name)| quoted(name))
                .collect();
            self.line("planted_bugs", format!("[{}]", names.join(", ")));
        }
        self.table("[cluster.settings]");
        for setting in SETTINGS {
            if let Some(value) = setting.text(&plan.settings) {
                self.line(&quoted(setting.name), value);
            }
        }
    }

    /// Instances that are alike and stand side by side become one group again.
    fn groups(&mut self, plan: &Plan) {
        let like =
            |a: &InstancePlan, b: &InstancePlan| *a == InstancePlan { id: a.id, ..b.clone() };
        for group in plan.instances.chunk_by(like) {
            let Some(one) = group.first() else { continue };
            self.table("[[group]]");
            self.line("count", group.len());
            self.line(
                "machine",
                format!(
                    "{{ name = {}, cores = {}, memory = {} }}",
                    quoted(&one.machine),
                    one.cores,
                    quoted(bytes_text(one.memory))
                ),
            );
            if let Some(settings) = &one.settings {
                self.line("settings", own_settings(settings, &plan.settings));
            }
            self.line("cache_policy", quoted(one.cache_policy.name()));
            self.line("heap", quoted(bytes_text(one.heap)));
            self.line("page_cache", quoted(bytes_text(one.page_cache)));
            self.line("datacentre", quoted(&plan.datacentres[usize::from(one.datacentre)]));
            self.line("slave_only", one.slave_only);
            self.line("arbiter", one.arbiter);
            self.line("new_address", one.new_address);
            let volume = &one.volume;
            self.table("[group.volume]");
            self.line("size", quoted(decimal_bytes_text(volume.size)));
            self.line("iops", volume.iops);
            self.line("throughput", bandwidth(volume.throughput));
            self.line("access", distribution(&volume.access));
            self.line("sync", distribution(&volume.sync));
        }
    }

    fn graph(&mut self, plan: &Plan) {
        self.table("[graph]");
        self.line("seed", seed(plan.graph.seed));
        if plan.graph.model != GraphModel::MonolithicNode {
            self.line("model", quoted(plan.graph.model.name()));
        }
        if !plan.graph.properties.is_empty() {
            let numbers: Vec<String> = plan
                .graph
                .properties
                .iter()
                .map(|(key, number)| format!("{} = {number}", quoted(key)))
                .collect();
            self.line("properties", format!("{{ {} }}", numbers.join(", ")));
        }
        if !plan.graph.unique.is_empty() {
            let unique = plan.graph.unique.iter();
            let unique: Vec<String> =
                unique.map(|(label, key)| quoted(format!("{label}.{key}"))).collect();
            self.line("unique", format!("[{}]", unique.join(", ")));
        }
        match &plan.graph.source {
            GraphSource::Edges { path, .. } => self.line("edges", quoted(path)),
            GraphSource::Social { users, mean_follows } => {
                let follows = ratio_text(*mean_follows);
                self.line(
                    "generate",
                    format!("{{ kind = \"social\", users = {users}, mean_follows = {follows} }}"),
                );
            }
        }
    }

    fn network(&mut self, plan: &Plan) {
        self.table("[network]");
        self.line("latency", distribution(&plan.network.local));
        self.line("bandwidth", bandwidth(plan.network.bandwidth));
        for link in &plan.network.links {
            let [a, b] = link.between.map(|end| quoted(&plan.datacentres[usize::from(end)]));
            self.table("[[link]]");
            self.line("between", format!("[{a}, {b}]"));
            self.line("latency", distribution(&link.latency));
            self.line("bandwidth", bandwidth(link.bandwidth));
        }
    }

    fn balancer(&mut self, plan: &Plan, balancer: &BalancerPlan) {
        self.table("[[balancer]]");
        self.line("name", quoted(&balancer.name));
        self.line("poll", quoted(balancer.poll));
        self.line("rise", balancer.rise);
        self.line("fall", balancer.fall);
        self.line("credentials", balancer.credentials);
        self.line("datacentre", quoted(&plan.datacentres[usize::from(balancer.datacentre)]));
    }

    fn operation(&mut self, program: &Program) {
        self.table("[[operation]]");
        self.line("name", quoted(&program.name));
        if !program.about.is_empty() {
            self.line("about", quoted(&program.about));
        }
        let steps: Vec<String> = program.source.iter().map(quoted).collect();
        self.line("steps", format!("[{}]", steps.join(", ")));
    }

    fn client(&mut self, plan: &Plan, client: &ClientPlan) {
        self.table("[[clients]]");
        self.line("name", quoted(&client.name));
        match &client.users {
            None if let Some(recorded) = &client.recorded => {
                let (path, start) = (quoted(&recorded.path), quoted(recorded.start));
                let speed = recorded.speed;
                self.line(
                    "arrivals",
                    format!("{{ recorded = {path}, speed = {speed}, start = {start} }}"),
                );
            }
            None => {
                self.line(
                    "arrivals",
                    format!("{{ poisson = {} }}", quoted(rate_text(client.rate))),
                );
            }
            Some(users) => {
                self.line("users", users.count);
                self.line("think", distribution(&users.think));
            }
        }
        self.line("workload", quoted(workload(plan, client)));
        self.line("deployment", quoted(client.deployment.name()));
        match client.clock_ahead_ms {
            0 => {}
            ahead @ 1.. => self.line("clock_ahead", quoted(Span::from_millis(ahead as u64))),
            behind => self.line("clock_behind", quoted(Span::from_millis(behind.unsigned_abs()))),
        }
        let mix: Vec<String> = client
            .mix
            .iter()
            .map(|(kind, weight)| format!("{} = {weight}", plan.operations[kind.index()].name))
            .collect();
        self.line("mix", format!("{{ {} }}", mix.join(", ")));
        let by = quoted(client.routing.name());
        let window = match client.routing {
            Routing::Consistency(window) => format!(", read_after_write = {}", quoted(window)),
            _ => String::new(),
        };
        let window = if client.auth_lookup { window + ", auth_lookup = true" } else { window };
        self.line("routing", format!("{{ by = {by}{window} }}"));
        let balancer = &plan.balancers[usize::from(client.balancer)];
        self.line("balancer", quoted(&balancer.name));
        self.line(
            "popularity",
            match &client.popularity {
                Popularity::Zipf(exponent) => format!("{{ zipf = {} }}", ratio_text(*exponent)),
                Popularity::Degree => String::from("{ degree = true }"),
                Popularity::Table(table) => {
                    let section = table.section.as_ref();
                    let section =
                        section.map_or_else(String::new, |s| format!(", section = {}", quoted(s)));
                    format!("{{ table = {}{section} }}", quoted(&table.path))
                }
            },
        );
        if !client.credentials {
            self.line("credentials", false);
        }
        self.line("timeout", quoted(client.timeout));
        self.line("retry", retry(&client.retry));
        if !client.skip.is_empty() {
            let skip: Vec<String> = client.skip.iter().map(u32::to_string).collect();
            self.line("skip", format!("[{}]", skip.join(", ")));
        }
        if let Some(only) = &client.only {
            let only: Vec<String> = only.iter().map(u32::to_string).collect();
            self.line("only", format!("[{}]", only.join(", ")));
        }
    }

    fn fault(&mut self, plan: &Plan, fault: &FaultPlan) {
        self.table("[[faults]]");
        self.line("id", fault.id.0);
        self.line("at", quoted(Span::from_nanos(fault.at.as_nanos())));
        if let Some((trigger, after)) = fault.when {
            self.line("when", quoted(trigger.name()));
            self.line("after", quoted(after));
        }
        let action = match fault.kind {
            FaultKind::PartitionOneWay => FaultKind::Partition.name(),
            kind => kind.name(),
        };
        self.line(action, target(fault.target, plan));
        if let Some(peer) = fault.peer {
            self.line("from", target(peer, plan));
        }
        if fault.kind == FaultKind::PartitionOneWay {
            self.line("one_way", true);
        }
        if let Some(lasts) = fault.lasts {
            self.line("for", quoted(lasts));
        }
        self.strength(plan, &fault.strength);
        if fault.spares_copy {
            self.line("budget", quoted("keep-one-copy"));
        }
    }

    fn strength(&mut self, plan: &Plan, strength: &Strength) {
        let mut line = |key, value: Option<String>| {
            if let Some(value) = value {
                self.line(key, value);
            }
        };
        line("factor", strength.factor.map(ratio_text));
        line("part", strength.part.map(ratio_text));
        line("by", strength.by.map(quoted));
        line("every", strength.every.map(quoted));
        line("iops", strength.iops.map(|iops| iops.to_string()));
        line("bandwidth", strength.bandwidth.map(bandwidth));
        line("backwards", strength.backwards.map(|backwards| backwards.to_string()));
        line("hosts", strength.hosts.map(numbers));
        if let Some(changed) = &strength.settings {
            let differs = SETTINGS.iter().filter_map(|setting| {
                let value = setting.text(changed)?;
                (setting.text(&plan.settings).as_ref() != Some(&value))
                    .then(|| format!("{} = {value}", quoted(setting.name)))
            });
            let differs: Vec<String> = differs.collect();
            self.line("settings", format!("{{ {} }}", differs.join(", ")));
        }
    }

    fn expectation(&mut self, expected: &Expected) {
        self.table("[[expect]]");
        match &expected.check {
            Expectation::AcknowledgedWritesLost { explained } => {
                self.line("check", quoted("acknowledged-writes-lost"));
                self.line("explained", bounds(explained, u64::to_string));
            }
            Expectation::ReplicasEqual => self.line("check", quoted("replicas-equal")),
            Expectation::Latency { client, operation, limits } => {
                self.line("check", quoted("latency"));
                let of = match operation {
                    Some(operation) => format!("{client}.{operation}"),
                    None => client.clone(),
                };
                self.line("of", quoted(of));
                for (key, percentile) in PERCENTILES {
                    for (_, limit) in limits.iter().filter(|(limited, _)| *limited == percentile) {
                        self.line(key, bounds(limit, |span| quoted(span)));
                    }
                }
            }
            Expectation::Sessions { guarantee, client, stale } => {
                self.line("check", quoted(guarantee.name()));
                if let Some(client) = client {
                    self.line("of", quoted(client));
                }
                self.line("stale", bounds(stale, |ratio| ratio_text(*ratio)));
            }
            Expectation::TwoMasters { lasts } => {
                self.line("check", quoted("two-masters"));
                self.line("lasts", bounds(lasts, |span| quoted(span)));
            }
            Expectation::Happens { event, count } => {
                self.line("check", quoted("happens"));
                self.line("event", quoted(event.name()));
                self.line("count", bounds(count, u64::to_string));
            }
            Expectation::Availability { client, operation, outage } => {
                self.line("check", quoted("availability"));
                let of = match operation {
                    Some(operation) => format!("{client}.{operation}"),
                    None => client.clone(),
                };
                self.line("of", quoted(of));
                self.line("outage", bounds(outage, |span| quoted(span)));
            }
            Expectation::SlaveLag { lag } => {
                self.line("check", quoted("slave-lag"));
                self.line("lag", bounds(lag, |span| quoted(span)));
            }
            Expectation::DoesNotRecover => self.line("check", quoted("does-not-recover")),
            Expectation::Recovers { within } => {
                self.line("check", quoted("recovers"));
                self.line("within", quoted(within));
            }
            Expectation::Anomalies { of, found } => {
                self.line("check", quoted(of.name()));
                for (key, value) in anomaly_keys(of) {
                    self.line(key, quoted(value));
                }
                self.line("found", bounds(found, u64::to_string));
            }
        }
        if expected.seeds != SeedRule::Every {
            self.line("seeds", quoted(seed_rule_text(expected.seeds)));
        }
    }
}

/// The settings of a group that differ from those of the cluster, as a table in a line.
fn own_settings(own: &Settings, cluster: &Settings) -> String {
    let differing = SETTINGS.iter().filter_map(|setting| {
        let text = setting.text(own).filter(|text| setting.text(cluster).as_ref() != Some(text))?;
        Some(format!("{} = {text}", quoted(setting.name)))
    });
    format!("{{ {} }}", differing.collect::<Vec<_>>().join(", "))
}

/// How many seeds an expectation must hold for, as a scenario writes it.
pub fn seed_rule_text(rule: SeedRule) -> String {
    match rule {
        SeedRule::Every => "every".into(),
        SeedRule::Any => "any".into(),
        SeedRule::AtLeast(part) => {
            let hundredths = u64::from(part.numerator) * 100;
            let below = u64::from(part.denominator);
            if hundredths.is_multiple_of(below) {
                return format!(">= {}%", hundredths / below);
            }
            format!(">= {}", ratio_text(part).trim_matches('"'))
        }
    }
}

/// Limits as a table in a line.
fn bounds<T>(of: &Bounds<T>, show: impl Fn(&T) -> String) -> String {
    let one = |key: &str, value: &Option<T>| {
        value.as_ref().map(|value| format!("{key} = {}", show(value)))
    };
    let limits: Vec<String> =
        [one("min", &of.min), one("max", &of.max)].into_iter().flatten().collect();
    format!("{{ {} }}", limits.join(", "))
}

fn retry(retry: &RetryPlan) -> String {
    let mut on: Vec<String> = [
        ("transient", retry.transient),
        ("connection", retry.connection),
        ("timeout", retry.timeout),
    ]
    .iter()
    .filter(|(_, retried)| *retried)
    .map(|(name, _)| quoted(name))
    .collect();
    let named = Status::ALL.into_iter().filter(|status| retry.codes.contains(*status));
    on.extend(named.map(|status| quoted(status.seen_as())));
    on.dedup();
    let deadline = match retry.deadline {
        Span::ZERO => String::new(),
        deadline => format!(", deadline = {}", quoted(deadline)),
    };
    format!(
        "{{ on = [{}], attempts = {}, backoff = {}, factor = {}, jitter = {}{deadline} }}",
        on.join(", "),
        retry.attempts,
        quoted(retry.backoff),
        ratio_text(retry.factor),
        ratio_text(retry.jitter),
    )
}
