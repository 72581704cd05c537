//! The faults that wait for a trigger, and where triggers happened.

use alloc::vec::Vec;

use wavetank_vocabulary::{Classes, Fact, Observer};

use crate::event::Event;
use crate::fault_plan::FaultPlan;
use crate::world::World;

/// The faults that wait.
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

    /// Where the trigger of a fault happened.
    pub(super) fn place(&self, fault: u16) -> Option<u16> {
        self.at[usize::from(fault)]
    }

    pub(super) fn has_come(&self, fault: u16) -> bool {
        self.place(fault).is_some()
    }

    pub(super) fn wait(&mut self, fault: u16, plan: &FaultPlan) {
        if let Some((trigger, _)) = plan.when {
            self.waiting.push(fault);
            self.classes = self.classes | trigger.class();
        }
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
}
