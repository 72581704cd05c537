//! Reads the stream of facts and keeps what results and reports need, in memory that is
//! bounded by the number of instances, operations and buckets, not by the length of a run.

use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, InstanceId, LogMark, Metric, Monitored, Observer,
    OperationKind, OperationOutcome, Role, Seq, Span, Status, Time,
};
use wavetank_world::Plan;

use crate::instance_stats::{Counters, FinalState, InstanceStats, busy, part_of};
use crate::kept::{Event, Kept};
use crate::locks::LockBook;
use crate::metrics;
use crate::operations::OperationStats;
use crate::series::Series;
use crate::slowest::{Breakdown, SlowOperation, Slowest};
use crate::visibility::Visibility;

/// Role changes kept per instance, from the start of the run.
const ROLES_KEPT: usize = 4_000;
/// Faults kept, from the start of the run.
const FAULTS_KEPT: usize = 4_000;

/// A fault that took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultSpan {
    /// Which.
    pub fault: FaultId,
    /// Its kind.
    pub kind: FaultKind,
    /// Who was hit.
    pub on: InstanceId,
    /// The other end of a link.
    pub peer: Option<InstanceId>,
    /// When it began.
    pub began: Time,
    /// When it was healed; none if it never was.
    pub ended: Option<Time>,
}

/// A fault that found nobody to hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultMiss {
    /// Which.
    pub fault: FaultId,
    /// Its kind.
    pub kind: FaultKind,
    /// When it should have begun.
    pub at: Time,
}

/// Observes a run for its result and report.
#[derive(Clone, Debug)]
pub struct Recorder {
    window: (Time, Time),
    kinds: usize,
    /// By client, then by kind; kinds that a client never asked for have none.
    operations: Vec<Vec<Option<OperationStats>>>,
    clients: Vec<OperationStats>,
    all: OperationStats,
    slowest: Slowest,
    /// The operation that ended last, if it succeeded in the measured window: what is told
    /// next says where its time went.
    ended: Option<SlowOperation>,
    sample_every: Span,
    instances: Vec<InstanceStats>,
    series: Series,
    faults: Vec<FaultSpan>,
    missed: Vec<FaultMiss>,
    events: Kept,
    log: Kept,
    elections: u64,
    healed: Option<Time>,
    visibility: Visibility,
    locks: LockBook,
    now: Time,
}

impl Recorder {
    /// A recorder for a run of this Plan.
    pub fn new(plan: &Plan) -> Self {
        let kinds = plan.operations.len();
        let instance = |id| InstanceStats {
            id,
            role: Role::Down,
            roles: vec![(Time::ZERO, Role::Down)],
            role_changes: 0,
            last_tx: 0,
            hits: 0,
            faults: 0,
            evictions: 0,
            flushes: 0,
            log_bytes: 0,
            committed: 0,
            applied: 0,
            pushed: 0,
            pushes_failed: 0,
            branches: 0,
            store_copies: 0,
            checkpoints: 0,
            recoveries: 0,
            replayed: 0,
            store_failures: 0,
            monitor_asked: 0,
            monitor_available: 0,
            end: None,
            counters: Counters::default(),
        };
        Recorder {
            window: (Time::ZERO + plan.warm_up, Time::ZERO + plan.duration),
            kinds,
            operations: plan.clients.iter().map(|_| vec![None; kinds]).collect(),
            clients: plan.clients.iter().map(|_| OperationStats::default()).collect(),
            all: OperationStats::default(),
            slowest: Slowest::default(),
            ended: None,
            sample_every: plan.sample_every,
            instances: plan.instances.iter().map(|planned| instance(planned.id)).collect(),
            series: Series::new(plan.duration + plan.longest_within(), plan.instances.len()),
            faults: Vec::new(),
            missed: Vec::new(),
            events: Kept::default(),
            log: Kept::default(),
            elections: 0,
            healed: None,
            visibility: Visibility::new(plan),
            locks: LockBook::default(),
            now: Time::ZERO,
        }
    }

    /// What became of a client's operations of one kind (indexes of the Plan); none if none
    /// was due in the measured window.
    pub fn operation(&self, client: usize, kind: OperationKind) -> Option<&OperationStats> {
        self.operations.get(client)?.get(kind.index())?.as_ref()
    }

    /// What became of all operations of a client.
    pub fn client(&self, client: usize) -> Option<&OperationStats> {
        self.clients.get(client)
    }

    /// What became of all operations of all clients.
    pub fn all(&self) -> &OperationStats {
        &self.all
    }

    /// The slowest of the successful operations that were due in the measured window, with
    /// where their time went; slowest first, at most 20.
    pub fn slowest(&self) -> &[SlowOperation] {
        self.slowest.all()
    }

    /// The instances, in the order of the Plan.
    pub fn instances(&self) -> &[InstanceStats] {
        &self.instances
    }

    /// What happened over time; the last bucket holds what is known so far.
    pub fn series(&self) -> Series {
        let mut series = self.series.clone();
        series.finish(self.now);
        series
    }

    /// Faults that took effect, in the order in which they began.
    pub fn faults(&self) -> &[FaultSpan] {
        &self.faults
    }

    /// Faults that found nobody to hit.
    pub fn missed_faults(&self) -> &[FaultMiss] {
        &self.missed
    }

    /// What happened to the cluster, its stores and the faults: all of it up to 2,000 facts,
    /// else the first and the last thousand.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// How many of these facts were not kept.
    pub fn events_left_out(&self) -> u64 {
        self.events.left_out()
    }

    /// What the user logs are made of, kept likewise.
    pub(crate) fn log(&self) -> &Kept {
        &self.log
    }

    /// Elections that ended with a winner.
    pub fn elections(&self) -> u64 {
        self.elections
    }

    /// When the clients stopped and every fault was healed.
    pub fn healed(&self) -> Option<Time> {
        self.healed
    }

    /// When the last fact happened.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How stale reads were, by the age of what they should have seen.
    pub fn visibility(&self) -> &Visibility {
        &self.visibility
    }

    /// What was waited for at the locks.
    pub fn locks(&self) -> &LockBook {
        &self.locks
    }

    fn measured(&self, intended: Time) -> bool {
        self.window.0 <= intended && intended < self.window.1
    }

    /// The place of an instance; none for one that the Plan does not have.
    fn slot(&self, id: InstanceId) -> Option<usize> {
        // Ids are nearly always 1, 2, 3, ...
        let guess = id.index().wrapping_sub(1);
        match self.instances.get(guess) {
            Some(instance) if instance.id == id => Some(guess),
            _ => self.instances.binary_search_by_key(&id, |instance| instance.id).ok(),
        }
    }

    fn instance(&mut self, id: InstanceId) -> Option<&mut InstanceStats> {
        let slot = self.slot(id)?;
        self.instances.get_mut(slot)
    }

    /// The counts that an operation of this client and kind belongs to.
    fn each_count(
        &mut self,
        client: usize,
        kind: OperationKind,
        mut change: impl FnMut(&mut OperationStats),
    ) {
        if client >= self.clients.len() || kind.index() >= self.kinds {
            return;
        }
        change(self.operations[client][kind.index()].get_or_insert_default());
        change(&mut self.clients[client]);
        change(&mut self.all);
    }

    fn change_role(&mut self, at: Time, id: InstanceId, role: Role, log: LogMark) {
        let Some(slot) = self.slot(id) else { return };
        let instance = &mut self.instances[slot];
        instance.role = role;
        instance.role_changes += 1;
        instance.last_tx = log.tx.0;
        if matches!(role, Role::Down | Role::Starting) {
            // Counters of the process begin anew.
            instance.counters.process = Default::default();
        }
        if instance.roles.len() < ROLES_KEPT {
            instance.roles.push((at, role));
        }
        self.series.role(at, slot, role);
    }

    fn sample(&mut self, at: Time, id: InstanceId, metric: Metric, value: u64) {
        let Some(slot) = self.slot(id) else { return };
        if metrics::is_read(metric) {
            self.series.sample(at, slot, |bucket| bucket.readings.note(metric, value));
        }
        let instance = &mut self.instances[slot];
        let series = &mut self.series;
        let every = self.sample_every;
        let running = instance.role != Role::Down;
        let counters = &mut instance.counters;
        match metric {
            Metric::DiskQueue => {
                series.sample(at, slot, |bucket| {
                    bucket.disk_queue = bucket.disk_queue.max(Some(value));
                });
            }
            Metric::DiskBusy => {
                let (spent, of) = busy(&mut counters.disk, at, value);
                series.sample(at, slot, |bucket| {
                    bucket.disk_busy += spent;
                    bucket.disk_time += of;
                    bucket.disk_parts.note(part_of(spent, of));
                });
            }
            Metric::CoreBusy => {
                let (spent, of) = busy(&mut counters.core, at, value);
                series.sample(at, slot, |bucket| {
                    bucket.core_busy += spent;
                    bucket.core_time += of;
                    bucket.core_parts.note(part_of(spent, of));
                });
            }
            Metric::Paused => {
                let growth = value.saturating_sub(counters.paused);
                counters.paused = value;
                series.sample(at, slot, |bucket| bucket.paused += Span::from_nanos(growth));
            }
            _ if !running => {}
            Metric::HeartbeatGap => {
                let gap = Some(Span::from_nanos(value));
                series.sample(at, slot, |bucket| {
                    bucket.heartbeat_gap = bucket.heartbeat_gap.max(gap);
                });
            }
            Metric::PageCacheHits => {
                let growth = counters.growth(0, value);
                instance.hits += growth;
                counters.hits = growth;
                series.sample(at, slot, |bucket| bucket.hits += growth);
            }
            Metric::PageCacheFaults => {
                let growth = counters.growth(1, value);
                instance.faults += growth;
                let pins = growth + counters.hits;
                series.sample(at, slot, |bucket| {
                    bucket.faults += growth;
                    bucket.page_time += every;
                    bucket.fault_rates.note(growth as f64 / every.as_secs_f64().max(1e-9));
                    if pins > 0 {
                        bucket.hit_rates.note((pins - growth) as f64 / pins as f64);
                    }
                });
            }
            Metric::PageCacheEvictions => instance.evictions += counters.growth(2, value),
            Metric::PageCacheFlushes => instance.flushes += counters.growth(3, value),
            Metric::LogBytes => instance.log_bytes += counters.growth(4, value),
            Metric::LastCommittedTx => {
                instance.last_tx = value;
                series.log_end(at, slot, value);
            }
            // Checks watch open transactions; the rest is for metrics files. No figure shows it.
            _ => {}
        }
    }

    fn monitored(&mut self, at: Time, id: InstanceId, bean: Option<Monitored>) {
        let Some(slot) = self.slot(id) else { return };
        let instance = &mut self.instances[slot];
        instance.monitor_asked += 1;
        if let Some(bean) = bean {
            instance.monitor_available += u64::from(bean.available);
            self.series.monitored(at, slot, bean.last_committed.0);
        }
    }

    fn end_fault(&mut self, at: Time, ended: (FaultId, InstanceId, Option<InstanceId>)) {
        let open = self
            .faults
            .iter_mut()
            .rev()
            .find(|span| span.ended.is_none() && (span.fault, span.on, span.peer) == ended);
        if let Some(span) = open {
            span.ended = Some(at);
        }
    }
}

impl Observer for Recorder {
    fn interests(&self) -> Classes {
        Classes::ALL
    }

    fn observe(&mut self, at: Time, seq: Seq, fact: &Fact) {
        self.now = at;
        if self.visibility.interests().intersects(fact.class()) {
            self.visibility.observe(at, seq, fact);
        }
        match *fact {
            Fact::Invoked { operation, kind } => {
                self.series.offered(at);
                if self.measured(at) {
                    self.each_count(operation.client.index(), kind, |stats| stats.offered += 1);
                }
            }
            Fact::Completed {
                operation,
                kind,
                outcome,
                status,
                attempts,
                intended,
                instance,
                ..
            } => {
                self.series.completed(at, outcome, status, intended);
                let counts = outcome == OperationOutcome::Ok && self.measured(intended);
                self.ended = counts.then(|| SlowOperation {
                    operation,
                    kind,
                    intended,
                    latency: at.since(intended),
                    attempts,
                    instance,
                    breakdown: Breakdown::default(),
                });
                if self.measured(intended) {
                    self.each_count(operation.client.index(), kind, |stats| {
                        stats.complete(outcome, attempts, intended, at);
                    });
                }
            }
            Fact::Served { status, time, .. } => {
                if status == Status::Ok {
                    self.series.served(at, time.total());
                }
            }
            Fact::Spent { operation, earlier, server, outside, answered } => {
                let ended = self.ended.take().filter(|ended| ended.operation == operation);
                if let Some(mut ended) = ended {
                    let (earlier, outside) = (Span::from(earlier), Span::from(outside));
                    let (network, unanswered) =
                        if answered { (outside, Span::ZERO) } else { (Span::ZERO, outside) };
                    ended.breakdown = Breakdown { earlier, network, unanswered, server };
                    self.each_count(operation.client.index(), ended.kind, |stats| {
                        stats.spend(&ended.breakdown);
                    });
                    self.slowest.note(ended);
                }
            }
            // Counted from `attempts` when the operation ends.
            Fact::Retried { .. } => {}
            Fact::Sample { instance, metric, value } => self.sample(at, instance, metric, value),
            Fact::RoleChanged { instance, to, log, .. } => {
                self.change_role(at, instance, to, log);
            }
            Fact::Committed { instance, log, .. } => {
                if let Some(instance) = self.instance(instance) {
                    instance.committed += 1;
                    instance.last_tx = log.tx.0;
                }
            }
            Fact::Applied { instance, log, transactions } => {
                if let Some(instance) = self.instance(instance) {
                    instance.applied += u64::from(transactions);
                    instance.last_tx = log.tx.0;
                }
            }
            Fact::Pushed { instance, ok, .. } => {
                if let Some(instance) = self.instance(instance) {
                    let count = if ok { &mut instance.pushed } else { &mut instance.pushes_failed };
                    *count += 1;
                }
            }
            Fact::ElectionEnded { winner, .. } => self.elections += u64::from(winner.is_some()),
            Fact::Branched { instance, .. } => {
                if let Some(instance) = self.instance(instance) {
                    instance.branches += 1;
                }
            }
            Fact::StoreCopy { instance, done, .. } => {
                if let Some(instance) = self.instance(instance) {
                    instance.store_copies += u64::from(done);
                }
            }
            Fact::Recovered { instance, log, replayed, .. } => {
                if let Some(instance) = self.instance(instance) {
                    instance.recoveries += 1;
                    instance.replayed += replayed;
                    instance.last_tx = log.tx.0;
                }
            }
            Fact::Checkpoint { instance, .. } => {
                if let Some(instance) = self.instance(instance) {
                    instance.checkpoints += 1;
                }
            }
            Fact::StoreFailed { instance } => {
                if let Some(instance) = self.instance(instance) {
                    instance.store_failures += 1;
                }
            }
            Fact::FaultBegan { fault, kind, on, peer } => {
                if self.faults.len() < FAULTS_KEPT {
                    let span = FaultSpan { fault, kind, on, peer, began: at, ended: None };
                    self.faults.push(span);
                }
            }
            Fact::FaultEnded { fault, on, peer, .. } => self.end_fault(at, (fault, on, peer)),
            Fact::FaultSkipped { fault, kind } => {
                if self.missed.len() < FAULTS_KEPT {
                    self.missed.push(FaultMiss { fault, kind, at });
                }
            }
            Fact::Monitored { instance, bean } => self.monitored(at, instance, bean),
            Fact::Healed => self.healed = Some(at),
            Fact::Final { instance, role, log, contents, open_transactions } => {
                if let Some(instance) = self.instance(instance) {
                    instance.last_tx = log.tx.0;
                    instance.end = Some(FinalState { role, log, contents, open_transactions });
                }
            }
            Fact::LockWaited { .. } | Fact::Deadlock { .. } | Fact::LockReleased { .. } => {
                self.locks.observe(at, fact);
            }
            Fact::Suspected { .. }
            | Fact::Cleared { .. }
            | Fact::MemberFailed { .. }
            | Fact::MemberAlive { .. }
            | Fact::JoinFailed { .. }
            | Fact::Left { .. }
            | Fact::ValuesDiffer { .. }
            | Fact::ElectionBegan { .. }
            | Fact::EpochBegan { .. }
            | Fact::BranchDiscarded { .. }
            | Fact::Converged
            | Fact::StruckIn { .. }
            | Fact::Told { .. }
            | Fact::LockSessionReaped { .. }
            | Fact::Logged { .. }
            | Fact::Session { .. }
            | Fact::Observed { .. }
            | Fact::SecondStore { .. }
            | Fact::Inconsistent { .. }
            | Fact::Found { .. }
            | Fact::FinalValue { .. }
            | Fact::FinalRelationship { .. } => {}
        }
        let told = Classes::CLUSTER | Classes::STORE | Classes::FAULTS;
        // Of a store copy, its progress would crowd out the rest.
        let progress = matches!(fact, Fact::StoreCopy { pages: 1.., done: false, .. });
        if fact.class().intersects(told) && !progress {
            self.events.keep(Event { at, seq, fact: *fact });
        }
        let logged = Classes::CLUSTER | Classes::STORE | Classes::USER_LOG;
        if fact.class().intersects(logged) && !progress {
            self.log.keep(Event { at, seq, fact: *fact });
        }
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
