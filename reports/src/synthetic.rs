//! A made-up run for tests and the sample report: a Plan, and facts such as a cluster that
//! loses its master might leave. Nothing here was simulated.

use std::collections::BTreeMap;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{
    Bytes, ClientId, Fact, FaultId, FaultKind, HaRole, InstanceId, LogMark, Metric, Monitored,
    Observer, OperationId, OperationKind, OperationOutcome, PlantedBugs, Rate, Ratio, Role,
    ServerPhase, ServerTime, Span, Status, Subject, Time, TxId,
};
use wavetank_world::{
    BalancerPlan, CachePolicy, ClientPlan, Compat, CostTable, Deployment, Expectation, FaultPlan,
    GraphModel, GraphPlan, GraphSource, InstancePlan, NetworkPlan, Plan, Popularity, RetryPlan,
    Routing, Settings, Strength, Target, VolumePlan,
};

/// The first five of the built-in operations, in their simplest pattern.
fn operations() -> impl Iterator<Item = &'static wavetank_world::Program> {
    wavetank_scenario::OPERATIONS
        .iter()
        .filter(|known| known.pattern.as_deref().is_none_or(|name| name == "unchecked"))
        .map(|known| &known.program)
        .take(5)
}

/// A cluster of three and two clients, for `seconds` with 10 s of warm-up. The master loses
/// power at two fifths of the time.
pub(crate) fn plan(seconds: u64) -> Plan {
    let instance = |id| InstancePlan {
        id: InstanceId(id),
        datacentre: 0,
        slave_only: false,
        arbiter: false,
        new_address: false,
        machine: String::from("aws:r3.xlarge"),
        cores: 4,
        memory: Bytes::mib(31_232),
        heap: Bytes::gib(8),
        page_cache: Bytes::gib(16),
        cache_policy: CachePolicy::ClockSweep,
        volume: VolumePlan {
            size: Bytes::gib(300),
            iops: 9_000,
            throughput: Bytes::mib(250),
            access: Distribution::Exponential { mean: Span::from_micros(600) },
            sync: Distribution::Exponential { mean: Span::from_millis(1) },
        },
        settings: None,
    };
    let client = |name: &str, rate, mix: &[(u16, u32)]| ClientPlan {
        name: String::from(name),
        rate: Rate::per_second(rate),
        users: None,
        deployment: Deployment::Extension,
        clock_ahead_ms: 0,
        mix: mix.iter().map(|&(kind, weight)| (OperationKind(kind), weight)).collect(),
        balancer: 0,
        routing: Routing::Split,
        recorded: None,
        popularity: Popularity::Zipf(Ratio::new(3, 4)),
        auth_lookup: false,
        credentials: true,
        timeout: Span::from_secs(10),
        retry: RetryPlan { transient: true, attempts: 5, ..RetryPlan::NONE },
        skip: Vec::new(),
        only: None,
    };
    Plan {
        name: String::from("master-loss"),
        about: String::from("The master dies under write load; a slave takes over."),
        seed: 7,
        duration: Span::from_secs(seconds),
        warm_up: Span::from_secs(10),
        settings: Settings::defaults(Compat::V2_3_6),
        instances: vec![instance(1), instance(2), instance(3)],
        datacentres: vec![String::from("us-east")],
        network: NetworkPlan {
            local: Distribution::Constant(Span::from_micros(250)),
            bandwidth: Bytes::mib(119),
            links: Vec::new(),
        },
        graph: GraphPlan {
            seed: 1,
            source: GraphSource::Social { users: 4_000, mean_follows: Ratio::new(22, 1) },
            model: GraphModel::MonolithicNode,
            properties: Vec::new(),
            unique: Vec::new(),
            names: operations().flat_map(|program| program.names.clone()).collect(),
        },
        balancers: vec![BalancerPlan {
            name: String::from("front"),
            datacentre: 0,
            poll: Span::from_secs(2),
            rise: 2,
            fall: 3,
            credentials: true,
        }],
        operations: operations().cloned().collect(),
        clients: vec![
            client("app", 190, &[(0, 80), (2, 15), (4, 5)]),
            client("batch", 10, &[(3, 1)]),
        ],
        faults: vec![FaultPlan {
            id: FaultId(0),
            kind: FaultKind::PowerLoss,
            target: Target::Master,
            peer: None,
            at: Time::ZERO + Span::from_secs(seconds * 2 / 5),
            when: None,
            lasts: Some(Span::from_secs(seconds / 5)),
            strength: Strength::default(),
            spares_copy: false,
        }],
        expectations: vec![Expectation::Recovers { within: Span::from_secs(60) }.into()],
        sample_every: Span::from_secs(1),
        monitor_every: Plan::MONITOR_EVERY,
        costs: CostTable::assumed(),
        bugs: PlantedBugs::NONE,
    }
}

/// Facts that are told in any order and played in the order of time.
#[derive(Default)]
pub(crate) struct Facts {
    told: Vec<(Time, Fact)>,
    roles: BTreeMap<InstanceId, Role>,
    started: [u32; 16],
}

impl Facts {
    pub(crate) fn tell(&mut self, at: Time, fact: Fact) {
        self.told.push((at, fact));
    }

    pub(crate) fn role(&mut self, at: Time, instance: InstanceId, to: Role, tx: u64) {
        let log = LogMark { tx: TxId(tx), checksum: tx };
        let from = self.roles.insert(instance, to).unwrap_or_default();
        self.tell(at, Fact::RoleChanged { instance, from, to, log });
    }

    pub(crate) fn sample(&mut self, at: Time, instance: InstanceId, metric: Metric, value: u64) {
        self.tell(at, Fact::Sample { instance, metric, value });
        if metric == Metric::LastCommittedTx && at.as_nanos().is_multiple_of(10_000_000_000) {
            let role = HaRole::from(self.roles.get(&instance).copied().unwrap_or_default());
            let available = role != HaRole::Unknown;
            let bean = Some(Monitored { available, role, last_committed: TxId(value) });
            self.tell(at, Fact::Monitored { instance, bean });
        }
    }

    /// An operation that was due at `due`; the client's next.
    pub(crate) fn invoked(&mut self, client: u16, kind: OperationKind, due: Time) -> OperationId {
        let started = &mut self.started[usize::from(client)];
        let operation = OperationId { client: ClientId(client), index: *started };
        *started += 1;
        self.tell(due, Fact::Invoked { operation, kind });
        operation
    }

    /// The same, and that it ended after `latency`.
    pub(crate) fn operation(
        &mut self,
        (client, kind): (u16, OperationKind),
        due: Time,
        latency: Span,
        (status, attempts): (Status, u16),
    ) {
        let operation = self.invoked(client, kind, due);
        let outcome = match status {
            Status::Ok => OperationOutcome::Ok,
            status if status.is_ambiguous() => OperationOutcome::Unknown,
            _ => OperationOutcome::Failed,
        };
        let completed = Fact::Completed {
            operation,
            kind,
            outcome,
            status,
            attempts,
            instance: None,
            tx: TxId(0),
            subject: Subject::Nothing,
            intended: due,
        };
        self.tell(due + latency, completed);
        // A quarter of the last attempt is the way, the rest a core and, a third of it, a sync.
        let answered = status == Status::Ok;
        let earlier = if attempts > 1 { Span::from_millis(60) } else { Span::ZERO };
        let last = latency.saturating_sub(earlier);
        let part = |n: u64| Span::from_nanos(last.as_nanos() * n / 12);
        let time =
            ServerTime::default().with(ServerPhase::Core, part(6)).with(ServerPhase::Sync, part(3));
        let server = if answered { time } else { ServerTime::default() };
        let spent = Fact::Spent {
            operation,
            earlier: earlier.into(),
            server,
            outside: (if answered { part(3) } else { last }).into(),
            answered,
        };
        self.tell(due + latency, spent);
        if answered {
            let instance = InstanceId(2);
            let served = Fact::Served { operation, kind, attempt: 1, instance, status, time };
            self.tell(due + latency, served);
        }
    }

    pub(crate) fn play<O: Observer>(mut self, mut observer: O) -> O {
        self.told.sort_by_key(|&(at, _)| at);
        for (seq, (at, fact)) in self.told.iter().enumerate() {
            observer.observe(*at, seq as u64, fact);
        }
        observer
    }
}

/// The facts of a run of [`plan`]: the first instance is master, loses power, the third is
/// elected, the first comes back with a branch.
pub(crate) fn voyage(plan: &Plan) -> Facts {
    let [one, two, three] = [InstanceId(1), InstanceId(2), InstanceId(3)];
    let fault = &plan.faults[0];
    let (lost, back) = (fault.at, fault.at + fault.lasts.unwrap_or(Span::ZERO));
    let after = |from: Time, millis| from + Span::from_millis(millis);
    let mut facts = Facts::default();

    for id in [one, two, three] {
        facts.role(after(Time::ZERO, 20), id, Role::Starting, 1);
        facts.role(after(Time::ZERO, 900 + 40 * u64::from(id.0)), id, Role::Pending, 1);
    }
    let version = 1;
    facts.tell(after(Time::ZERO, 1_200), Fact::ElectionBegan { elector: one, version });
    let winner = Some(one);
    facts.tell(after(Time::ZERO, 1_210), Fact::ElectionEnded { elector: one, version, winner });
    facts.role(after(Time::ZERO, 1_250), one, Role::ToMaster, 1);
    facts.role(after(Time::ZERO, 1_400), one, Role::Master, 1);
    for id in [two, three] {
        facts.role(after(Time::ZERO, 1_420), id, Role::ToSlave, 1);
        facts.role(after(Time::ZERO, 1_900), id, Role::Slave, 1);
    }

    let kind = fault.kind;
    facts.tell(lost, Fact::FaultBegan { fault: fault.id, kind, on: one, peer: None });
    facts.role(lost, one, Role::Down, 2_400);
    for by in [two, three] {
        facts.tell(after(lost, 11_000), Fact::Suspected { by, whom: one });
        facts.tell(after(lost, 11_200), Fact::MemberFailed { by, whom: one });
    }
    let version = 2;
    facts.tell(after(lost, 11_250), Fact::ElectionBegan { elector: two, version });
    let winner = Some(three);
    facts.tell(after(lost, 11_300), Fact::ElectionEnded { elector: two, version, winner });
    facts.role(after(lost, 11_350), three, Role::ToMaster, 2_398);
    facts.role(after(lost, 11_900), three, Role::Master, 2_398);
    facts.role(after(lost, 11_360), two, Role::ToSlave, 2_395);
    facts.role(after(lost, 13_000), two, Role::Slave, 2_398);
    facts.tell(back, Fact::FaultEnded { fault: fault.id, kind, on: one, peer: None });
    let log = LogMark { tx: TxId(2_400), checksum: 2_400 };
    let recovered = Fact::Recovered { instance: one, log, replayed: 212, cut: 331 };
    facts.role(after(back, 100), one, Role::Starting, 2_400);
    facts.tell(after(back, 3_000), recovered);
    facts.role(after(back, 3_050), one, Role::Pending, 2_400);
    facts.role(after(back, 4_000), one, Role::ToSlave, 2_400);
    facts.tell(after(back, 4_100), Fact::Branched { instance: one, master: three, log });
    facts.tell(after(back, 4_150), Fact::BranchDiscarded { instance: one, log });
    let copy = |pages, done| Fact::StoreCopy { instance: one, master: three, pages, done };
    facts.tell(after(back, 4_200), copy(0, false));
    facts.tell(after(back, 6_000), copy(900, false));
    facts.tell(after(back, 8_000), copy(1_700, true));
    facts.role(after(back, 8_200), one, Role::Slave, 3_100);

    load(plan, &mut facts, lost);
    samples(plan, &mut facts, lost, back);

    let end = Time::ZERO + plan.duration;
    facts.tell(end, Fact::Healed);
    for (instance, role) in [(one, Role::Slave), (two, Role::Slave), (three, Role::Master)] {
        let log = LogMark { tx: TxId(9_000), checksum: 9 };
        let contents = Some([0x0123_4567_89ab_cdef, 42]);
        let fact = Fact::Final { instance, role, log, contents, open_transactions: 0 };
        facts.tell(after(end, 6_000), fact);
    }
    facts
}

/// Operations: writes fail while there is no master, reads are slow for a moment after.
fn load(plan: &Plan, facts: &mut Facts, lost: Time) {
    let mut state = 1u64;
    // Knuth's MMIX generator: scatter enough for a picture.
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let end = Time::ZERO + plan.duration;
    for (client, planned) in (0u16..).zip(&plan.clients) {
        let mean = planned.rate.interval().as_nanos();
        let weights: u32 = planned.mix.iter().map(|(_, weight)| weight).sum();
        let mut due = Time::ZERO + Span::from_secs(2);
        loop {
            due += Span::from_nanos(draw(2 * mean));
            if due >= end {
                break;
            }
            let mut ticket = draw(u64::from(weights)) as u32;
            let kind = planned.mix.iter().find(|&&(_, weight)| {
                let found = ticket < weight;
                ticket = ticket.wrapping_sub(weight);
                found
            });
            let kind = kind.map_or(OperationKind(0), |&(kind, _)| kind);
            let writes = plan.operations[kind.index()].writes();
            let tail = draw(1_000);
            let micros = 900 + draw(2_200) + 40_000 / (tail + 1) + if writes { 3_000 } else { 0 };
            let gap = lost <= due && due < lost + Span::from_secs(12);
            let (latency, end) = match (gap, writes, draw(4)) {
                (true, true, 0) => (Span::from_secs(10), (Status::ClientTimeout, 1)),
                (true, true, _) => (Span::from_millis(800 + draw(300)), (Status::NoServer, 5)),
                (true, false, 0) => (Span::from_micros(60_000 + micros), (Status::Ok, 2)),
                _ => (Span::from_micros(micros), (Status::Ok, 1)),
            };
            facts.operation((client, kind), due, latency, end);
        }
    }
}

fn samples(plan: &Plan, facts: &mut Facts, lost: Time, back: Time) {
    let seconds = plan.duration.as_nanos() / 1_000_000_000;
    for second in 1..=seconds {
        let at = Time::ZERO + Span::from_secs(second);
        for (slot, instance) in (0u64..).zip(&plan.instances) {
            let id = instance.id;
            let down = slot == 0 && lost <= at && at <= back;
            let since_start =
                if slot == 0 && at > back { at.since(back) } else { at.since(Time::ZERO) };
            let running = since_start.as_nanos() / 1_000_000_000;
            if !down {
                let slave = slot != if at < lost { 0 } else { 2 };
                let lag = if slave { (second * 13 + slot * 7) % 23 } else { 0 };
                facts.sample(at, id, Metric::LastCommittedTx, second * 30 - lag);
                facts.sample(at, id, Metric::PageCacheHits, running * running * 900 + 100 * slot);
                facts.sample(at, id, Metric::PageCacheFaults, running * (2_500 + 400 * slot));
                facts.sample(at, id, Metric::PageCacheEvictions, running * 3);
                facts.sample(at, id, Metric::PageCacheFlushes, running * 40);
                facts.sample(at, id, Metric::LogBytes, running * 9_000);
                let silence = if at < lost || at > lost + Span::from_secs(11) {
                    Span::from_secs(1 + (second + slot) % 5)
                } else {
                    at.since(lost)
                };
                facts.sample(at, id, Metric::HeartbeatGap, silence.as_nanos());
            }
            let busy = second * (180_000_000 + 30_000_000 * slot) + (second % 5) * 40_000_000;
            facts.sample(at, id, Metric::DiskBusy, busy);
            facts.sample(at, id, Metric::Paused, 0);
            facts.sample(at, id, Metric::CoreBusy, busy * 3);
            facts.sample(at, id, Metric::DiskQueue, second % 7);
        }
    }
}
