//! Samples and monitoring while a run goes on, and how it ends: healing, looking, the audit.

use wavetank_instance::Instance;
use wavetank_vocabulary::{Classes, Fact, Metric, Observer, Span, Time};

use crate::event::Event;
use crate::world::{Phase, World};

/// How often a healed world looks whether it has recovered.
const LOOK_EVERY: Span = Span::from_millis(100);

/// How long a healed world is given when no expectation says so.
const PATIENCE: Span = Span::from_secs(60);

impl<O: Observer> World<O> {
    /// Tells the sampled quantities of every machine.
    pub(crate) fn sample(&mut self) {
        self.kernel.schedule_in(self.plan.sample_every, Event::Sample);
        // Instances that run elsewhere tell theirs themselves.
        if !self.wants(Classes::SAMPLES) || self.is_outside() {
            return;
        }
        let (now, reports) = (self.kernel.now(), self.wants(Classes::METRICS));
        for index in 0..self.machines.len() {
            let machine = &mut self.machines[index];
            let silence = machine.take_silence(now);
            let id = self.plan.instances[index].id;
            let disk = [
                (Metric::DiskQueue, machine.disk.queue()),
                (Metric::DiskBusy, machine.disk.busy().as_nanos()),
                (Metric::CoreBusy, machine.core_busy.as_nanos()),
                (Metric::Paused, machine.paused(now).as_nanos()),
            ];
            let with_store =
                machine.instance.as_ref().filter(|_| !self.plan.instances[index].arbiter);
            let store = with_store.map(|instance| {
                let store = instance.store();
                let counters = store.counters();
                [
                    (Metric::PageCacheHits, counters.hits),
                    (Metric::PageCacheFaults, counters.faults),
                    (Metric::PageCacheEvictions, counters.evictions),
                    (Metric::PageCacheFlushes, counters.flushes),
                    (Metric::LastCommittedTx, store.mark().tx.0),
                    (Metric::OpenTransactions, store.open_transactions() as u64),
                    (Metric::LogBytes, counters.log_bytes),
                ]
            });
            let silence = silence.map(|silence| (Metric::HeartbeatGap, silence.as_nanos()));
            let reported = with_store.filter(|_| reports).map(Instance::reported);
            for (metric, value) in
                disk.into_iter().chain(store.into_iter().flatten()).chain(silence)
            {
                self.tell(Fact::Sample { instance: id, metric, value });
            }
            for (metric, value) in reported.into_iter().flatten() {
                self.tell(Fact::Sample { instance: id, metric, value });
            }
        }
    }

    /// The operators' monitoring reads every instance's bean. A process that is down or
    /// stands still gives no answer.
    pub(crate) fn monitor(&mut self) {
        self.kernel.schedule_in(self.plan.monitor_every, Event::Monitor);
        if !self.wants(Classes::SAMPLES) {
            return;
        }
        let now = self.kernel.now();
        for index in 0..self.machines.len() {
            let machine = &self.machines[index];
            let answers = machine.instance.as_ref().filter(|_| machine.paused_until <= now);
            let bean = match self.is_outside() {
                true => self.monitored_outside(index),
                false => answers.and_then(Instance::monitored),
            };
            self.tell(Fact::Monitored { instance: self.plan.instances[index].id, bean });
        }
    }

    /// The clients stop, and everything heals.
    pub(crate) fn heal(&mut self) {
        self.drop_triggers();
        self.phase = Phase::Healing;
        for fault in 0..self.faults.len() as u16 {
            self.fault_ends(fault);
        }
        for instance in 0..self.machines.len() as u16 {
            self.start(instance);
        }
        self.tell(Fact::Healed);
        self.stop_clients();
        self.kernel.schedule_in(LOOK_EVERY, Event::Look);
    }

    /// Has the cluster recovered, or is its time over?
    pub(crate) fn look(&mut self) {
        let patience = match self.plan.longest_within() {
            Span::ZERO => PATIENCE,
            within => within,
        };
        let seems = self.waits_for().is_none();
        if self.confirms(seems) {
            self.converged = true;
            self.tell(Fact::Converged);
            self.finish();
        } else if self.kernel.now() >= Time::ZERO + self.plan.duration + patience {
            self.finish();
        } else {
            self.kernel.schedule_in(LOOK_EVERY, Event::Look);
        }
    }

    /// The run is over: reads every store and closes the trail.
    pub(crate) fn finish(&mut self) {
        self.phase = Phase::Done;
        if self.is_outside() {
            // Who owns the instances looks into their stores.
            return;
        }
        self.audit();
        let state = self.fingerprint();
        self.kernel.close(state);
    }
}
