//! The faults that wait for a trigger, and where triggers happened.

use alloc::vec::Vec;

use wavetank_vocabulary::{Classes, Fact, Observer, ProtocolStates};

use crate::event::Event;
use crate::fault_plan::FaultPlan;
use crate::trigger::Trigger;
use crate::world::World;

/// The faults that wait.
#[derive(Clone, Debug)]
pub(crate) struct Triggers {
    waiting: Vec<u16>,
    /// The classes of facts in which any of them could be seen.
    classes: Classes,
    /// The states that any of them waits for.
    states: ProtocolStates,
    /// By fault: where its trigger happened, once it did.
    at: Vec<Option<u16>>,
}

impl Triggers {
    pub(crate) fn new(faults: usize) -> Self {
        let at = alloc::vec![None; faults];
        Triggers { waiting: Vec::new(), classes: Classes::NONE, states: ProtocolStates::NONE, at }
    }

    #[inline]
    pub(crate) fn wait_for(&self, classes: Classes) -> bool {
        self.classes.intersects(classes)
    }

    /// Whether a fault waits for an instance to be in some state.
    #[inline]
    pub(crate) fn wait_for_states(&self) -> bool {
        !self.states.is_empty()
    }

    /// Where the trigger of a fault happened.
    pub(super) fn place(&self, fault: u16) -> Option<u16> {
        self.at[usize::from(fault)]
    }

    pub(super) fn has_come(&self, fault: u16) -> bool {
        self.place(fault).is_some()
    }

    pub(super) fn wait(&mut self, fault: u16, plan: &FaultPlan) {
        if let Some((trigger, _)) = plan.when {
            self.push(fault, trigger);
        }
    }

    fn push(&mut self, fault: u16, trigger: Trigger) {
        self.waiting.push(fault);
        self.classes = self.classes | trigger.class();
        if let Trigger::In(state) = trigger {
            self.states = self.states.with_if(state, true);
        }
    }
}

impl<O: Observer> World<O> {
    /// Lets the faults begin that waited for this.
    pub(crate) fn pull_triggers(&mut self, fact: &Fact) {
        self.pull(|world, trigger| trigger.seen_in(fact).and_then(|id| world.index_of(id)));
    }

    /// Lets the faults begin that waited for a state in which the instance is now. States may last
    /// microseconds, so this is asked after whatever an instance does while somebody waits.
    #[cold]
    pub(crate) fn pull_states(&mut self, instance: u16) {
        let Some(process) = &self.machines[usize::from(instance)].instance else { return };
        let states = process.states();
        self.pull(|_, trigger| match trigger {
            Trigger::In(state) => states.contains(state).then_some(instance),
            _ => None,
        });
    }

    /// Lets the faults begin whose trigger is `seen` at an instance.
    fn pull(&mut self, seen: impl Fn(&Self, Trigger) -> Option<u16>) {
        let plan = self.plan.clone();
        let waiting = core::mem::take(&mut self.triggers.waiting);
        (self.triggers.classes, self.triggers.states) = (Classes::NONE, ProtocolStates::NONE);
        for fault in waiting {
            let Some((trigger, after)) = plan.faults[usize::from(fault)].when else { continue };
            match seen(self, trigger) {
                Some(instance) => {
                    self.triggers.at[usize::from(fault)] = Some(instance);
                    self.kernel.schedule_in(after, Event::FaultBegins { fault });
                }
                None => self.triggers.push(fault, trigger),
            }
        }
    }

    /// The faults whose trigger never came are told to have hit nobody.
    pub(crate) fn drop_triggers(&mut self) {
        let plan = self.plan.clone();
        (self.triggers.classes, self.triggers.states) = (Classes::NONE, ProtocolStates::NONE);
        for fault in core::mem::take(&mut self.triggers.waiting) {
            let plan = &plan.faults[usize::from(fault)];
            self.tell(Fact::FaultSkipped { fault: plan.id, kind: plan.kind });
        }
    }
}
