//! Faults take effect here and nowhere else.
//!
//! A fault begins at its time or after its trigger, is told as a fact for everyone that it
//! hits, and ends in order or when everything heals. What it does is undone by its own number,
//! so that faults of one kind may overlap. By what they work on:
//!
//! * `process`: processes, cores, operators
//! * `links`: what passes between instances
//! * `machines`: disks, clocks, page caches
//! * `targets`: who is hit
//! * `triggers`: what faults wait for

mod links;
mod machines;
mod process;
mod targets;
mod triggers;

use alloc::vec::Vec;

use wavetank_vocabulary::{
    Classes, Fact, FaultFamily, FaultKind, InstanceId, Observer, ProtocolState, ProtocolStates,
    Span, Time,
};

use crate::event::Event;
use crate::fault_plan::FaultPlan;
use crate::world::{Phase, World};

pub(crate) use triggers::Triggers;

/// A fault that took effect: whom it hit, and which links.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActiveFault {
    /// Instances by index; for the balancers' faults, balancers.
    on: Vec<u16>,
    /// From, to.
    links: Vec<(u16, u16)>,
    /// Whom the facts name.
    told: Vec<(InstanceId, Option<InstanceId>)>,
    began: Time,
    /// How many turns it has had.
    turns: u32,
    /// It lay in wait and has struck.
    struck: bool,
    /// Of a rolling restart: whose turn it is.
    rolling: process::Rolling,
}

impl<O: Observer> World<O> {
    pub(crate) fn fault_begins(&mut self, fault: u16) {
        let plan = self.plan.clone();
        let plan = &plan.faults[usize::from(fault)];
        if plan.when.is_some() && !self.triggers.has_come(fault) {
            if self.phase() == Phase::Running {
                self.triggers.wait(fault, plan);
            }
            return;
        }
        let active = match self.phase() {
            Phase::Running => self.resolve(fault, plan),
            _ => None,
        };
        let Some(mut active) = active else {
            self.tell(Fact::FaultSkipped { fault: plan.id, kind: plan.kind });
            return;
        };
        active.began = self.kernel.now();
        if let Some(lasts) = plan.lasts.or_else(|| process::usual_length(plan.kind)) {
            self.kernel.schedule_in(lasts, Event::FaultEnds { fault });
        }
        if !plan.kind.lies_in_wait() {
            self.tell_states(fault, plan, &active);
            for (on, peer) in active.told.clone() {
                self.tell(Fact::FaultBegan { fault: plan.id, kind: plan.kind, on, peer });
            }
        }
        if let Some(after) = turn_after(plan) {
            self.kernel.schedule_in(after, Event::FaultTurns { fault });
        }
        match plan.kind.family() {
            FaultFamily::Process | FaultFamily::Operator => {
                self.process_fault_begins(fault, plan, &active);
            }
            FaultFamily::Network => self.link_fault_begins(fault, plan, &active),
            FaultFamily::Disk => self.disk_fault_begins(fault, plan, &active),
            FaultFamily::Clock => self.clock_fault_begins(fault, plan, &active),
            FaultFamily::Memory => self.cache_fault_changes(fault, &active, plan.strength.part),
            FaultFamily::Balancer => self.balancer_fault_changes(plan.kind, &active, true),
        }
        self.faults[usize::from(fault)] = Some(active);
    }

    pub(crate) fn fault_ends(&mut self, fault: u16) {
        let Some(active) = self.faults[usize::from(fault)].take() else { return };
        let plan = self.plan.clone();
        let plan = &plan.faults[usize::from(fault)];
        if plan.kind == FaultKind::Restart
            && self.phase() == Phase::Running
            && self.waits_for_exit(&active)
        {
            // It is patient: a turn that finds the process gone, or kills it, ends it.
            self.faults[usize::from(fault)] = Some(active);
            return;
        }
        if plan.kind.lies_in_wait() && !active.struck {
            self.tell(Fact::FaultSkipped { fault: plan.id, kind: plan.kind });
        } else {
            for (on, peer) in active.told.clone() {
                self.tell(Fact::FaultEnded { fault: plan.id, kind: plan.kind, on, peer });
            }
        }
        match plan.kind.family() {
            FaultFamily::Process | FaultFamily::Operator => {
                self.process_fault_ends(fault, plan, &active);
            }
            FaultFamily::Network => self.link_fault_ends(fault, plan, &active),
            FaultFamily::Disk => self.disk_fault_ends(fault, &active),
            FaultFamily::Clock => self.clock_fault_ends(fault, &active),
            FaultFamily::Memory => self.cache_fault_changes(fault, &active, None),
            FaultFamily::Balancer => self.balancer_fault_changes(plan.kind, &active, false),
        }
    }

    /// A fault that is under way goes on.
    pub(crate) fn fault_turns(&mut self, fault: u16) {
        let Some(mut active) = self.faults[usize::from(fault)].take() else { return };
        let plan = self.plan.clone();
        let plan = &plan.faults[usize::from(fault)];
        active.turns += 1;
        let goes_on = match plan.kind.family() {
            FaultFamily::Network => self.link_fault_turns(plan, &active),
            FaultFamily::Clock => self.clock_fault_turns(fault, plan, &active),
            _ => self.process_fault_turns(plan, &mut active),
        };
        let is_over = !goes_on
            && match plan.kind {
                FaultKind::RollingRestart => true,
                // Its time was over before the process was gone.
                FaultKind::Restart => plan
                    .lasts
                    .or_else(|| process::usual_length(plan.kind))
                    .is_some_and(|lasts| self.kernel.now() >= active.began + lasts),
                _ => false,
            };
        self.faults[usize::from(fault)] = Some(active);
        if is_over {
            self.fault_ends(fault);
        } else if let Some(after) = turn_after(plan).filter(|_| goes_on) {
            self.kernel.schedule_in(after, Event::FaultTurns { fault });
        }
    }

    /// A fault that lay in wait on a disk has struck.
    pub(crate) fn disk_fault_strikes(&mut self, on: u16, fault: u16) {
        let plan = &self.plan.faults[usize::from(fault)];
        let (id, kind) = (plan.id, plan.kind);
        let Some(active) = &mut self.faults[usize::from(fault)] else { return };
        let on = self.plan.instances[usize::from(on)].id;
        if !core::mem::replace(&mut active.struck, true) {
            // Of those that it lay in wait for, it has struck this one.
            active.told = alloc::vec![(on, None)];
        } else if active.told.iter().any(|(told, _)| *told == on) {
            return;
        } else {
            active.told.push((on, None));
        }
        // Nobody looks into instances that run elsewhere.
        if !self.is_outside() {
            let states = self.states_of(fault, on);
            self.tell(Fact::StruckIn { fault: id, kind, on, states });
        }
        self.tell(Fact::FaultBegan { fault: id, kind, on, peer: None });
    }

    /// Tells what those were in the middle of that a fault hits.
    fn tell_states(&mut self, fault: u16, plan: &FaultPlan, active: &ActiveFault) {
        // Nobody looks into instances that run elsewhere.
        if !self.wants(Classes::COVERAGE) || self.is_outside() {
            return;
        }
        let mut told: Vec<InstanceId> = active.told.iter().map(|(on, _)| *on).collect();
        told.dedup();
        for on in told {
            let states = self.states_of(fault, on);
            self.tell(Fact::StruckIn { fault: plan.id, kind: plan.kind, on, states });
        }
    }

    /// What an instance is in the middle of, and the cluster around it. Of nobody, what any
    /// instance is.
    fn states_of(&self, fault: u16, on: InstanceId) -> ProtocolStates {
        let mut states = ProtocolStates::NONE;
        for (index, machine) in (0..).zip(&self.machines) {
            let Some(process) = &machine.instance else { continue };
            let its = process.states();
            if on == self.id(index) || on == InstanceId::NOBODY {
                states = states | its;
            }
            states = states.with_if(ProtocolState::Election, its.contains(ProtocolState::Election));
        }
        let others = self.faults.iter().enumerate().any(|(other, active)| {
            let names_it =
                |active: &ActiveFault| active.told.iter().any(|(a, b)| *a == on || *b == Some(on));
            other != usize::from(fault) && active.as_ref().is_some_and(names_it)
        });
        states.with_if(ProtocolState::OtherFault, others).or_quiet()
    }

    fn balancer_fault_changes(&mut self, kind: FaultKind, active: &ActiveFault, begins: bool) {
        for index in &active.on {
            let balancer = &mut self.balancers[usize::from(*index)];
            let count = match kind {
                FaultKind::BalancerStale => &mut balancer.stale,
                _ => &mut balancer.down,
            };
            *count = if begins { *count + 1 } else { count.saturating_sub(1) };
        }
    }
}

/// How long after its beginning, and after each turn, a fault has a turn.
fn turn_after(plan: &FaultPlan) -> Option<Span> {
    match plan.kind {
        FaultKind::Stop
        | FaultKind::Restart
        | FaultKind::RollingRestart
        | FaultKind::ChangeSetting
        | FaultKind::WrongHosts => Some(process::LOOK_EVERY),
        FaultKind::Flap | FaultKind::Reset | FaultKind::ClockJump => {
            plan.strength.every.filter(|every| !every.is_zero())
        }
        _ => None,
    }
}
