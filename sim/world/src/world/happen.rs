//! Events as they happen: into the digest, and to whom they are delivered.

use wavetank_instance::{Input, Instance, PeerMessage, Timer};
use wavetank_kernel::Fired;
use wavetank_vocabulary::{Classes, InstanceId, Observer, Span};

use super::World;
use crate::event::Event;

impl<O: Observer> World<O> {
    /// Takes a delivered event into the digest.
    #[inline]
    fn record(&mut self, words: [u64; 3]) {
        if let Some(window) = &mut self.window {
            window.note(self.kernel.events(), self.kernel.now(), &words);
        }
        self.kernel.record(&words);
        if self.kernel.checkpoint_due() {
            let state = self.fingerprint();
            self.kernel.checkpoint(state);
        }
    }

    /// A hash of the world's state.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut state = self.flights.live() as u64;
        for machine in &self.machines {
            let instance = machine.instance.as_ref().map_or(0, Instance::fingerprint);
            state = state.rotate_left(9).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ instance;
            state ^= u64::from(machine.life) << 32 ^ machine.disk.queue();
        }
        state
    }

    /// The instance that an event is delivered to, when a pause of its machine holds it up.
    #[inline]
    fn delivered_to(event: &Event) -> Option<u16> {
        match event {
            Event::Deliver { to, .. } => Some(*to),
            Event::Timer { instance, .. }
            | Event::CoreDone { instance, .. }
            | Event::CoreIdle { instance, .. }
            | Event::DiskDone { instance, .. }
            | Event::PeerLost { instance, .. }
            | Event::AtInstance { instance, .. }
            | Event::PollArrives { instance, .. }
            | Event::Called { instance, .. }
            | Event::Start { instance } => Some(*instance),
            _ => None,
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        if let Some(instance) = Self::delivered_to(&event) {
            let until = self.machines[usize::from(instance)].paused_until;
            if until > self.kernel.now() {
                if let Event::AtInstance { flight, generation, .. } = event
                    && let Some(operation) = self.flights.get_mut(flight, generation)
                {
                    operation.held_up += until.since(self.kernel.now());
                }
                self.kernel.schedule(until, event);
                return;
            }
        }
        let words = event.words();
        match event {
            Event::Deliver { from, to, sent, message } => {
                let now = self.kernel.now();
                self.network.ends(now, usize::from(from), sent);
                if self.network.is_open(now, usize::from(from), usize::from(to)) {
                    self.record(words);
                    self.deliver(from, to, message);
                }
            }
            Event::Timer { instance, slot, generation } => {
                let now = self.kernel.now();
                let machine = &mut self.machines[usize::from(instance)];
                match machine.timers.fire(slot, generation, now) {
                    Fired::Stale => {}
                    Fired::Rearm(at) => self.kernel.schedule(at, event),
                    Fired::Due => {
                        self.record(words);
                        let total = self.ids.len();
                        if let Some(timer) = Timer::at_slot(slot as usize, total) {
                            self.timer_due(instance, timer);
                        }
                    }
                }
            }
            Event::CoreDone { instance, life, task, stolen } => {
                let machine = &mut self.machines[usize::from(instance)];
                if machine.life != life {
                    return;
                }
                // A pause in between: the rest of the work still has to be done.
                let extra = machine.stolen - stolen;
                if extra > 0 {
                    let stolen = machine.stolen;
                    let event = Event::CoreDone { instance, life, task, stolen };
                    self.kernel.schedule_in(Span::from_nanos(extra), event);
                    return;
                }
                machine.cores.free(machine.at(self.kernel.now()), task);
                self.record(words);
                self.input(instance, Input::Ran(task));
            }
            Event::CoreIdle { instance, life } => {
                let now = self.kernel.now();
                let machine = &mut self.machines[usize::from(instance)];
                // An earlier one may have come in between: then nobody waits for this one.
                if machine.life == life && machine.woken.is_some_and(|at| at <= now) {
                    machine.woken = None;
                    self.record(words);
                    self.go_on(instance);
                }
            }
            Event::DiskDone { instance, life, op } => {
                let machine = &mut self.machines[usize::from(instance)];
                if machine.life != life {
                    return;
                }
                if let Some(result) = machine.disk.complete(self.kernel.now(), op) {
                    self.record(words);
                    if self.machines[usize::from(instance)].disk.is_ill() {
                        self.disk_struck(instance);
                    }
                    self.input(instance, Input::Disk { op, result });
                }
            }
            Event::Start { instance } => {
                self.record(words);
                self.start(instance);
            }
            Event::PeerLost { instance, peer } => {
                self.record(words);
                let peer = self.ids[usize::from(peer)];
                self.input(instance, Input::PeerLost(peer));
            }
            Event::Called { instance, life, task } => {
                if self.machines[usize::from(instance)].life == life {
                    self.record(words);
                    self.input(instance, Input::Called(task));
                }
            }
            Event::Sample => {
                self.record(words);
                self.sample();
            }
            Event::Monitor => {
                self.record(words);
                self.monitor();
            }
            Event::Heal => {
                self.record(words);
                self.heal();
            }
            Event::Look => {
                self.record(words);
                self.look();
            }
            Event::FaultBegins { fault } => {
                self.record(words);
                self.fault_begins(fault);
            }
            Event::FaultEnds { fault } => {
                self.record(words);
                self.fault_ends(fault);
            }
            Event::FaultTurns { fault } => {
                self.record(words);
                self.fault_turns(fault);
            }
            traffic => {
                if self.is_current(&traffic) {
                    self.record(words);
                    self.traffic(&traffic);
                }
            }
        }
    }

    fn deliver(&mut self, from: u16, to: u16, message: PeerMessage) {
        let watched = self.wants(Classes::SAMPLES);
        let machine = &mut self.machines[usize::from(to)];
        let listens = !message.is_data() || !self.plan.instances[usize::from(to)].arbiter;
        if machine.instance.is_some() && listens {
            if watched && message.is_sign_of_life() {
                machine.heard(usize::from(from), self.kernel.now());
            }
            let from = self.ids[usize::from(from)];
            let process = machine.instance.as_ref();
            if let Some((timer, after)) =
                process.and_then(|process| process.merely_heard(from, &message))
            {
                self.arm(to, timer, after);
                return;
            }
            if self.is_at_rest(to, from, &message) {
                return;
            }
            self.input(to, Input::Peer { from, message });
        } else if machine.powered && message.is_data() {
            // Nobody listens: the machine's kernel resets the connection.
            if let Some(at) =
                self.network.send(self.kernel.now(), usize::from(to), usize::from(from), 64)
            {
                self.kernel.schedule(at, Event::PeerLost { instance: from, peer: to });
            }
        }
    }

    /// Delivers what belongs to a pull that finds nothing new, without the ado of
    /// [`Self::input`]. False if it is anything else.
    #[inline]
    fn is_at_rest(&mut self, to: u16, from: InstanceId, message: &PeerMessage) -> bool {
        let now = self.kernel.now();
        let machine = &mut self.machines[usize::from(to)];
        let at = machine.at(now);
        let Some(process) = &mut machine.instance else { return false };
        match *message {
            PeerMessage::Pull { attempt, mark } => {
                if !machine.cores.is_idle(at) {
                    return false;
                }
                let Some((task, answer, ledger)) = process.answers_pull(attempt, mark) else {
                    return false;
                };
                self.send(to, from, answer);
                let machine = &mut self.machines[usize::from(to)];
                let end = now + machine.spend(&self.plan.costs, &ledger);
                machine.cores.pass(at, task, end);
                true
            }
            PeerMessage::UpToDate { attempt, target } => {
                let quiet = process.merely_up_to_date(from, attempt, target);
                if quiet {
                    let slot = Timer::PullTimeout.slot(self.ids.len()) as u32;
                    machine.timers.cancel(slot);
                }
                quiet
            }
            _ => false,
        }
    }

    fn timer_due(&mut self, instance: u16, timer: Timer) {
        let process = self.machines[usize::from(instance)].instance.as_ref();
        let heartbeat = process.and_then(|process| process.heartbeat_due(timer));
        if let Some((to, message, after)) = heartbeat {
            self.send(instance, to, message);
            self.arm(instance, timer, after);
            return;
        }
        let now = self.clocks(instance);
        let process = self.machines[usize::from(instance)].instance.as_mut();
        if let Some(due) = process.and_then(|process| process.pull_due(now, timer)) {
            self.arm(instance, timer, due.again);
            self.arm(instance, Timer::PullTimeout, due.timeout);
            self.send(instance, due.master, due.message);
            return;
        }
        self.input(instance, Input::Timer(timer));
    }
}
