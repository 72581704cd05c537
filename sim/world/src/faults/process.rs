//! What faults do to processes and cores, and what operators do to them.

use wavetank_vocabulary::{FaultKind, Observer, Ratio, Role, Span, Time};

use super::{ActiveFault, FaultPlan};
use crate::event::Event;
use crate::outside::Order;
use crate::world::World;

/// How often it is looked whether a process that is to stop is gone.
pub(super) const LOOK_EVERY: Span = Span::from_millis(100);

/// For how many looks a process that is to stop is waited for: 60 s, as ClusterJoin.stop
/// waits to leave (HA specification 1.1).
const PATIENCE: u64 = 600;

/// How long an operator takes to start a process again.
const DOWN: Span = Span::from_secs(2);

/// How long an operator waits for an instance to serve before taking the next one.
const RISES: Span = Span::from_secs(60);

/// Where a rolling restart is: at which instance, and since when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rolling {
    at: usize,
    step: Step,
    since: Time,
    looks: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Next,
    Stopping,
    Down,
    Rising,
}

/// How long a fault lasts that is short by its nature.
pub(super) fn usual_length(kind: FaultKind) -> Option<Span> {
    (kind == FaultKind::Restart).then_some(DOWN)
}

impl<O: Observer> World<O> {
    pub(super) fn process_fault_begins(
        &mut self,
        fault: u16,
        plan: &FaultPlan,
        active: &ActiveFault,
    ) {
        for (place, on) in (0..).zip(active.on.iter().copied()) {
            let index = usize::from(on);
            match plan.kind {
                FaultKind::Crash => {
                    self.machines[index].held += 1;
                    self.process_exits(on);
                }
                FaultKind::PowerLoss => self.power_loss(on, [u64::from(plan.id.0), place, 0]),
                FaultKind::Stop | FaultKind::Restart => self.ask_to_stop(on),
                FaultKind::Wipe => {
                    self.machines[index].held += 1;
                    self.process_exits(on);
                    let now = self.kernel.now();
                    self.machines[index].disk.wipe(now);
                    self.order(Order::Wipe(self.id(on)));
                }
                FaultKind::Pause => self.pause(on, plan),
                FaultKind::SlowCpu => {
                    let factor = plan.strength.factor.unwrap_or(Ratio::new(1, 1));
                    self.machines[index].slow.push((fault, factor));
                }
                FaultKind::ChangeSetting => {
                    if let Some(settings) = &plan.strength.settings {
                        self.machines[index].changed.push((fault, settings.clone()));
                    }
                    self.machines[index].held += 1;
                    self.process_exits(on);
                }
                FaultKind::WrongHosts => {
                    let hosts = plan.strength.hosts.unwrap_or_default();
                    self.machines[index].hosts.push((fault, hosts));
                    self.machines[index].held += 1;
                    self.process_exits(on);
                }
                // A rolling restart takes one after the other, in its turns.
                _ => {}
            }
        }
    }

    pub(super) fn process_fault_ends(
        &mut self,
        fault: u16,
        plan: &FaultPlan,
        active: &ActiveFault,
    ) {
        for on in active.on.iter().copied() {
            let machine = &mut self.machines[usize::from(on)];
            match plan.kind {
                FaultKind::Pause => self.resume(on),
                FaultKind::SlowCpu => machine.slow.retain(|(of, _)| *of != fault),
                FaultKind::ChangeSetting | FaultKind::WrongHosts => {
                    machine.changed.retain(|(of, _)| *of != fault);
                    machine.hosts.retain(|(of, _)| *of != fault);
                    if u64::from(active.turns) < BACK_UP {
                        machine.held = machine.held.saturating_sub(1);
                    }
                    self.process_exits(on);
                    self.kernel.schedule_in(DOWN, Event::Start { instance: on });
                }
                FaultKind::RollingRestart => {}
                _ => self.release(on),
            }
        }
        if plan.kind == FaultKind::RollingRestart
            && matches!(active.rolling.step, Step::Stopping | Step::Down)
            && let Some(on) = rolled(plan, active)
        {
            self.release(on);
        }
    }

    /// Whether there is more to do.
    pub(super) fn process_fault_turns(
        &mut self,
        plan: &FaultPlan,
        active: &mut ActiveFault,
    ) -> bool {
        let turns = u64::from(active.turns);
        match plan.kind {
            FaultKind::ChangeSetting | FaultKind::WrongHosts => {
                if turns == BACK_UP {
                    for on in active.on.iter().copied() {
                        self.release(on);
                    }
                }
                turns < BACK_UP
            }
            FaultKind::RollingRestart => self.roll(plan, active),
            _ => {
                let mut stopping = false;
                for on in active.on.iter().copied() {
                    stopping |= !self.has_stopped(on, turns);
                }
                stopping
            }
        }
    }

    /// One look of the operator at a rolling restart; true while there is more to do.
    fn roll(&mut self, plan: &FaultPlan, active: &mut ActiveFault) -> bool {
        let now = self.kernel.now();
        let Some(on) = rolled(plan, active) else { return false };
        let rolling = &mut active.rolling;
        let next = match rolling.step {
            Step::Next => {
                self.ask_to_stop(on);
                Some(Step::Stopping)
            }
            Step::Stopping => {
                rolling.looks += 1;
                self.has_stopped(on, rolling.looks).then_some(Step::Down)
            }
            Step::Down if now.since(rolling.since) >= DOWN => {
                self.release(on);
                Some(Step::Rising)
            }
            Step::Down => None,
            Step::Rising => {
                let role = self.role_of(usize::from(on));
                let serves = matches!(role, Role::Master | Role::Slave);
                (serves || now.since(rolling.since) >= RISES).then_some(Step::Next)
            }
        };
        if let Some(step) = next {
            let at = rolling.at + usize::from(step == Step::Next);
            *rolling = Rolling { at, step, since: now, looks: 0 };
        }
        rolled(plan, active).is_some()
    }

    /// The process takes no more requests, leaves the cluster, and stays down once it is
    /// gone.
    fn ask_to_stop(&mut self, on: u16) {
        let runs = self.runs(usize::from(on));
        let machine = &mut self.machines[usize::from(on)];
        machine.held += 1;
        machine.stopping = runs;
        self.stop_process(on);
    }

    /// Whether a process that was told to stop is still there, and its time is not over.
    pub(super) fn waits_for_exit(&self, active: &ActiveFault) -> bool {
        u64::from(active.turns) < PATIENCE
            && active.on.iter().any(|on| self.machines[usize::from(*on)].stopping)
    }

    /// Whether a process that was to stop is gone. One that was waited for long enough is
    /// killed.
    fn has_stopped(&mut self, on: u16, looks: u64) -> bool {
        let stopping = self.machines[usize::from(on)].stopping;
        if stopping && looks >= PATIENCE {
            self.process_exits(on);
        }
        !stopping || looks >= PATIENCE
    }

    /// One reason less to be down; without any left, the process starts.
    fn release(&mut self, on: u16) {
        if self.machines[usize::from(on)].stopping {
            self.process_exits(on);
        }
        let machine = &mut self.machines[usize::from(on)];
        machine.held = machine.held.saturating_sub(1);
        self.kernel.schedule_in(Span::ZERO, Event::Start { instance: on });
    }

    /// The machine is dead. Nobody is told: their connections just fall silent.
    fn power_loss(&mut self, on: u16, key: [u64; 3]) {
        if self.is_outside() {
            // Nobody can take the power from one process: it is killed, and what the system
            // has cached survives.
            self.machines[usize::from(on)].held += 1;
            return self.process_exits(on);
        }
        self.process_ends(on);
        let machine = &mut self.machines[usize::from(on)];
        machine.held += 1;
        machine.powered = false;
        let mut stream = self.streams.stream("fault-disk", key);
        machine.disk.power_loss(self.kernel.now(), &mut stream);
    }

    fn pause(&mut self, on: u16, plan: &FaultPlan) {
        if self.is_outside() {
            return self.hold_outside(on, true);
        }
        let now = self.kernel.now();
        let end = match plan.lasts {
            Some(lasts) => now + lasts,
            None => Time::ZERO + self.plan.duration,
        };
        let machine = &mut self.machines[usize::from(on)];
        machine.cores.settle(machine.at(now));
        // A pause within a pause only lengthens it.
        let end = end.max(machine.paused_until);
        let from = now.max(machine.paused_until);
        machine.stolen += end.since(from).as_nanos();
        machine.paused_until = end;
    }

    /// A pause is healed before its time. Another one may still go on.
    fn resume(&mut self, on: u16) {
        if self.is_outside() {
            return self.hold_outside(on, false);
        }
        let now = self.kernel.now();
        let running = self.phase() == crate::world::Phase::Running;
        let machine = &mut self.machines[usize::from(on)];
        if machine.paused_until > now && !running {
            machine.stolen -= machine.paused_until.since(now).as_nanos();
            machine.paused_until = now;
        }
    }
}

/// After how many looks an instance comes back that was restarted differently.
const BACK_UP: u64 = DOWN.as_nanos() / LOOK_EVERY.as_nanos();

/// Whose turn it is in a rolling restart.
fn rolled(plan: &FaultPlan, active: &ActiveFault) -> Option<u16> {
    let at = active.rolling.at;
    let at = match plan.strength.backwards {
        Some(true) => active.on.len().checked_sub(at + 1)?,
        _ => at,
    };
    active.on.get(at).copied()
}
