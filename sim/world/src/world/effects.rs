//! What instances want done, done: messages enter the network, disk operations the disk, tasks
//! the queue for a core, timers the table of timers.

use alloc::string::{String, ToString};

use wavetank_instance::{Effect, Input, Instance, Now, PeerMessage, Timer};
use wavetank_store::{DiskRequest, StoreState};
use wavetank_vocabulary::{InstanceId, Observer, PlantedBugs, Span, Time, WALL_START_MS};

use super::World;
use crate::disk::Submitted;
use crate::event::Event;
use crate::network::Sent;

impl<O: Observer> World<O> {
    /// Gives an instance an input, and goes on until nothing more follows at this moment.
    pub(crate) fn input(&mut self, instance: u16, input: Input) {
        if self.is_outside() {
            return self.order_input(instance, &input);
        }
        self.step(instance, input);
        self.go_on(instance);
    }

    /// Lets happen what follows at this moment: tasks get cores as long as there are any.
    pub(super) fn go_on(&mut self, instance: u16) {
        let now = self.kernel.now();
        loop {
            if let Some((instance, input)) = self.work.pop_front() {
                self.step(instance, input);
                continue;
            }
            let machine = &mut self.machines[usize::from(instance)];
            let at = machine.at(now);
            if let Some(task) = machine.cores.take(at) {
                self.spent = false;
                self.step(instance, Input::Run(task));
                if !self.spent {
                    self.machines[usize::from(instance)].cores.free(at, task);
                }
                continue;
            }
            if let Some(wake) = machine.cores.wakes(at.stolen)
                && machine.woken.is_none_or(|woken| wake < woken)
            {
                machine.woken = Some(wake);
                let life = machine.life;
                self.kernel.schedule(wake, Event::CoreIdle { instance, life });
            }
            break;
        }
    }

    fn step(&mut self, instance: u16, input: Input) {
        let now = self.clocks(instance);
        let Some(process) = &mut self.machines[usize::from(instance)].instance else { return };
        let mut effects = core::mem::take(&mut self.effects);
        process.step(now, input, &mut effects);
        // In place: taken out one by one, each would be copied once more.
        for effect in &mut effects {
            self.carry_out(instance, effect);
        }
        effects.clear();
        self.effects = effects;
        if self.triggers.wait_for_states() {
            self.pull_states(instance);
        }
    }

    /// The clocks of a machine.
    #[inline]
    pub(super) fn clocks(&self, instance: u16) -> Now {
        let mono = self.kernel.now();
        let wall_ms = WALL_START_MS + mono.as_nanos() / 1_000_000;
        Now { mono, wall_ms: self.machines[usize::from(instance)].wall_ms(mono, wall_ms) }
    }

    /// How many frames the page cache of an instance has now.
    pub(crate) fn frames(&self, instance: u16) -> usize {
        let index = usize::from(instance);
        self.machines[index].frames(self.plan.instances[index].page_cache)
    }

    /// A disk with a fault has done something: faults that lay in wait may have struck.
    #[cold]
    pub(super) fn disk_struck(&mut self, instance: u16) {
        for fault in self.machines[usize::from(instance)].disk.struck() {
            self.disk_fault_strikes(instance, fault);
        }
    }

    /// Both ends of a connection learn that it broke.
    #[cold]
    fn connection_breaks(&mut self, at: Time, from: u16, to: u16) {
        for (instance, peer) in [(from, to), (to, from)] {
            self.kernel.schedule(at, Event::PeerLost { instance, peer });
        }
    }

    #[inline]
    pub(super) fn send(&mut self, instance: u16, to: InstanceId, message: PeerMessage) {
        let Some(to) = self.index_of(to) else { return };
        let (now, from) = (self.kernel.now(), usize::from(instance));
        let (bytes, data) = (message.wire_bytes(), message.is_data());
        match self.network.send_message(now, from, usize::from(to), bytes, data) {
            Sent::Arrives(at) => {
                self.network.departs(now, from);
                if self.plan.bugs.contains(PlantedBugs::LINK_LOSES_MESSAGE)
                    && self.network.sent().is_multiple_of(LOST_EVERY)
                {
                    return;
                }
                let event = Event::Deliver { from: instance, to, sent: now, message };
                self.kernel.schedule(at, event);
            }
            Sent::Breaks(at) => self.connection_breaks(at, instance, to),
            Sent::Lost => {}
        }
    }

    #[inline]
    pub(super) fn arm(&mut self, instance: u16, timer: Timer, after: Span) {
        let slot = timer.slot(self.ids.len()) as u32;
        let deadline = self.kernel.now() + after;
        let timers = &mut self.machines[usize::from(instance)].timers;
        if let Some(armed) = timers.arm(slot, deadline) {
            let generation = armed.generation;
            self.kernel.schedule(armed.at, Event::Timer { instance, slot, generation });
        }
    }

    /// Does what an instance wants done; what an effect owns is taken out of it.
    #[inline]
    fn carry_out(&mut self, instance: u16, effect: &mut Effect) {
        let now = self.kernel.now();
        let index = usize::from(instance);
        let machine = &mut self.machines[index];
        match *effect {
            Effect::Send { to, ref mut message } => self.send(instance, to, message.take()),
            Effect::Arm { timer, after } => self.arm(instance, timer, after),
            Effect::Cancel(timer) => machine.timers.cancel(timer.slot(self.ids.len()) as u32),
            Effect::Disk { op, ref mut request } => {
                let request = core::mem::replace(request, DiskRequest::List);
                match machine.disk.submit(now, op, request, &mut machine.disk_stream) {
                    Submitted::Now(result) => {
                        if machine.disk.is_ill() {
                            self.disk_struck(instance);
                        }
                        self.work.push_back((instance, Input::Disk { op, result }));
                    }
                    Submitted::At(at) => {
                        let life = machine.life;
                        self.kernel.schedule(at, Event::DiskDone { instance, life, op });
                    }
                }
            }
            Effect::Ready(task) => {
                machine.cores.ready(machine.at(now), task);
                if self.plan.bugs.contains(PlantedBugs::CORE_FORGETS_WORK) {
                    machine.cores.forget(FORGOTTEN_BEYOND);
                }
            }
            Effect::SpendLast { task, ref ledger } => {
                let end = now + machine.spend(&self.plan.costs, ledger);
                machine.cores.ends(machine.at(now), task, end);
                self.spent = true;
            }
            Effect::Spend { task, ref ledger } => {
                let cost = machine.spend(&self.plan.costs, ledger);
                let (life, stolen) = (machine.life, machine.stolen);
                self.spent = true;
                let event = Event::CoreDone { instance, life, task, stolen };
                self.kernel.schedule_in(cost, event);
            }
            Effect::Respond { asked, status, reply, time } => {
                self.answered(instance, asked, status, reply, time);
            }
            Effect::Call { task, ref request, store, node, value } => {
                let life = machine.life;
                self.call(request, (store, node, value), Event::Called { instance, life, task });
            }
            Effect::LookedUp { reply_to, value } => self.looked_up(reply_to, value),
            Effect::Exit => {
                machine.failure = machine.instance.as_ref().and_then(failure);
                self.process_exits(instance);
            }
            Effect::Fact(fact) => self.tell(fact),
        }
    }
}

/// With the planted bug, one of so many messages is lost.
const LOST_EVERY: u64 = 101;

/// With the planted bug, tasks beyond so many that wait are forgotten.
const FORGOTTEN_BEYOND: usize = 4;

/// Why a process ended itself.
fn failure(process: &Instance) -> Option<String> {
    match process.store().state() {
        StoreState::Failed(error) => Some(error.to_string()),
        _ => None,
    }
}
