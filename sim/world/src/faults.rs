//! Faults take effect here and nowhere else.

use alloc::vec::Vec;

use wavetank_instance::Instance;
use wavetank_vocabulary::{Classes, Fact, FaultKind, InstanceId, Observer, Role, Span, Time};

use crate::event::Event;
use crate::plan::{FaultPlan, Target};
use crate::world::{Phase, World};

/// A fault that took effect: whom it hit, and from whom it cut them off.
#[derive(Clone, Debug)]
pub(crate) struct ActiveFault {
    on: u16,
    peers: Vec<u16>,
}

/// The faults that wait for a trigger, and where triggers happened.
#[derive(Clone, Debug)]
pub(crate) struct Triggers {
    waiting: Vec<u16>,
    /// The classes of facts in which any of them could be seen.
    classes: Classes,
    /// By fault: where its trigger happened, once it did.
    at: Vec<Option<u16>>,
}

impl Triggers {
    pub(crate) fn new(faults: usize) -> Self {
        Triggers { waiting: Vec::new(), classes: Classes::NONE, at: alloc::vec![None; faults] }
    }

    #[inline]
    pub(crate) fn wait_for(&self, classes: Classes) -> bool {
        self.classes.intersects(classes)
    }
}

impl<O: Observer> World<O> {
    /// Lets the faults begin that waited for this.
    pub(crate) fn pull_triggers(&mut self, fact: &Fact) {
        let plan = self.plan.clone();
        let waiting = core::mem::take(&mut self.triggers.waiting);
        let mut classes = Classes::NONE;
        for fault in waiting {
            let Some((trigger, after)) = plan.faults[usize::from(fault)].when else { continue };
            match trigger.seen_in(fact).and_then(|id| self.index_of(id)) {
                Some(instance) => {
                    self.triggers.at[usize::from(fault)] = Some(instance);
                    self.kernel.schedule_in(after, Event::FaultBegins { fault });
                }
                None => {
                    self.triggers.waiting.push(fault);
                    classes = classes | trigger.class();
                }
            }
        }
        self.triggers.classes = classes;
    }

    /// The faults whose trigger never came are told to have hit nobody.
    pub(crate) fn drop_triggers(&mut self) {
        let plan = self.plan.clone();
        self.triggers.classes = Classes::NONE;
        for fault in core::mem::take(&mut self.triggers.waiting) {
            let plan = &plan.faults[usize::from(fault)];
            self.tell(Fact::FaultSkipped { fault: plan.id, kind: plan.kind });
        }
    }

    pub(crate) fn fault_begins(&mut self, fault: u16) {
        let plan = self.plan.clone();
        let plan = &plan.faults[usize::from(fault)];
        if let Some((trigger, _)) = plan.when
            && self.triggers.at[usize::from(fault)].is_none()
        {
            if self.phase() == Phase::Running {
                self.triggers.waiting.push(fault);
                self.triggers.classes = self.triggers.classes | trigger.class();
            }
            return;
        }
        let active = match self.phase() {
            Phase::Running => self.resolve(fault, plan),
            _ => None,
        };
        let Some(active) = active else {
            self.tell(Fact::FaultSkipped { fault: plan.id, kind: plan.kind });
            return;
        };
        if let Some(lasts) = plan.lasts {
            self.kernel.schedule_in(lasts, Event::FaultEnds { fault });
        }
        for (on, peer) in self.pairs(&active) {
            self.tell(Fact::FaultBegan { fault: plan.id, kind: plan.kind, on, peer });
        }
        let on = active.on;
        match plan.kind {
            FaultKind::Crash => self.crash(on),
            FaultKind::PowerLoss => self.power_loss(on, plan),
            FaultKind::Pause => self.pause(on, plan),
            FaultKind::Partition => {
                for peer in &active.peers {
                    self.network.cut(usize::from(on), usize::from(*peer));
                    self.network.cut(usize::from(*peer), usize::from(on));
                }
            }
            FaultKind::PartitionOneWay => {
                for peer in &active.peers {
                    self.network.cut(usize::from(on), usize::from(*peer));
                }
            }
        }
        self.faults[usize::from(fault)] = Some(active);
    }

    pub(crate) fn fault_ends(&mut self, fault: u16) {
        let Some(active) = self.faults[usize::from(fault)].take() else { return };
        let plan = self.plan.clone();
        let plan = &plan.faults[usize::from(fault)];
        for (on, peer) in self.pairs(&active) {
            self.tell(Fact::FaultEnded { fault: plan.id, kind: plan.kind, on, peer });
        }
        let on = active.on;
        match plan.kind {
            FaultKind::Crash | FaultKind::PowerLoss => {
                self.machines[usize::from(on)].held_down = false;
                self.kernel.schedule_in(Span::ZERO, Event::Start { instance: on });
            }
            FaultKind::Pause => self.resume(on),
            FaultKind::Partition => {
                for peer in &active.peers {
                    self.network.join(usize::from(on), usize::from(*peer));
                    self.network.join(usize::from(*peer), usize::from(on));
                }
            }
            FaultKind::PartitionOneWay => {
                for peer in &active.peers {
                    self.network.join(usize::from(on), usize::from(*peer));
                }
            }
        }
    }

    /// Whom the facts of a fault name.
    fn pairs(&self, active: &ActiveFault) -> Vec<(InstanceId, Option<InstanceId>)> {
        let id = |index: u16| self.plan.instances[usize::from(index)].id;
        if active.peers.is_empty() {
            return alloc::vec![(id(active.on), None)];
        }
        active.peers.iter().map(|peer| (id(active.on), Some(id(*peer)))).collect()
    }

    /// Who is hit; none when nobody fits at this moment.
    fn resolve(&self, fault: u16, plan: &FaultPlan) -> Option<ActiveFault> {
        let mut stream = self.streams.stream("fault", [u64::from(plan.id.0), 0, 0]);
        let place = self.triggers.at[usize::from(fault)];
        let on = self.target(plan.target, place, &mut stream)?;
        let is_link = matches!(plan.kind, FaultKind::Partition | FaultKind::PartitionOneWay);
        let peers: Vec<u16> = match (is_link, plan.peer) {
            (false, _) => Vec::new(),
            (true, None) => (0..self.machines.len() as u16).filter(|index| *index != on).collect(),
            (true, Some(peer)) => {
                let peer = self.target(peer, place, &mut stream).filter(|peer| *peer != on)?;
                alloc::vec![peer]
            }
        };
        if is_link && peers.is_empty() {
            return None;
        }
        // What does not run cannot be killed or stopped.
        if !is_link && self.machines[usize::from(on)].instance.is_none() {
            return None;
        }
        Some(ActiveFault { on, peers })
    }

    /// Who is meant at this moment; `place` is where the fault's trigger happened.
    fn target(
        &self,
        target: Target,
        place: Option<u16>,
        stream: &mut wavetank_kernel::Stream,
    ) -> Option<u16> {
        let all = |wanted: fn(Role) -> bool| -> Vec<u16> {
            (0..self.machines.len() as u16)
                .filter(|index| {
                    let process = &self.machines[usize::from(*index)].instance;
                    wanted(process.as_ref().map_or(Role::Down, Instance::role))
                })
                .collect()
        };
        match target {
            Target::Instance(id) => self.index_of(id),
            Target::Trigger => place,
            Target::Master => stream.pick(&all(|role| role == Role::Master)).copied(),
            Target::Slave => stream.pick(&all(|role| role == Role::Slave)).copied(),
            Target::Any => stream.pick(&all(|role| role != Role::Down)).copied(),
        }
    }

    /// The process is killed; the machine's kernel closes its connections.
    fn crash(&mut self, on: u16) {
        self.machines[usize::from(on)].held_down = true;
        self.process_exits(on);
    }

    /// The machine is dead. Nobody is told: their connections just fall silent.
    fn power_loss(&mut self, on: u16, plan: &FaultPlan) {
        self.process_ends(on);
        let machine = &mut self.machines[usize::from(on)];
        machine.held_down = true;
        machine.powered = false;
        let mut stream = self.streams.stream("fault-disk", [u64::from(plan.id.0), 0, 0]);
        machine.disk.power_loss(&mut stream);
    }

    fn pause(&mut self, on: u16, plan: &FaultPlan) {
        let now = self.kernel.now();
        let end = match plan.lasts {
            Some(lasts) => now + lasts,
            None => Time::ZERO + self.plan.duration,
        };
        let machine = &mut self.machines[usize::from(on)];
        // A pause within a pause only lengthens it.
        let end = end.max(machine.paused_until);
        let from = now.max(machine.paused_until);
        machine.stolen += end.since(from).as_nanos();
        machine.paused_until = end;
    }

    /// A pause is healed before its time.
    fn resume(&mut self, on: u16) {
        let now = self.kernel.now();
        let machine = &mut self.machines[usize::from(on)];
        if machine.paused_until > now {
            machine.stolen -= machine.paused_until.since(now).as_nanos();
            machine.paused_until = now;
        }
    }
}
