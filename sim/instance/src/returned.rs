//! What a program tells about its return steps, read from its text alone: which property a
//! returned value is of, and by how much the program changes it. Checks interpret
//! [`wavetank_vocabulary::Fact::Observed`] by it.

use alloc::vec::Vec;

use wavetank_store::Direction;

use crate::program::{Exit, Expression, Operand, OperationStep as Step, Program, Slot};

/// A return step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned<'p> {
    /// Its number among the program's return steps.
    pub place: u8,
    /// Whether it reports what was written.
    pub wrote: bool,
    /// The variable of the node that it is about.
    pub of: Slot,
    /// The property whose value it reports, where the value was read from one.
    pub key: Option<&'p str>,
    /// The whole number that the program adds to that property of that node, if it does.
    pub adds: Option<i64>,
}

/// By what a merge that found its relationship is told: the bit of the relationship's variable.
pub(crate) fn merge_bit(relationship: Slot) -> u32 {
    const { assert!(crate::program::SLOTS <= 32) };
    1 << relationship
}

/// How a program tells that it appends to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appends {
    /// The return step that reports the element as written, under the node that has the list.
    pub wrote: u8,
    /// The one that reports how many there were before, if it counts them.
    pub counted: Option<u8>,
}

/// How a program tells what it reads of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lists {
    /// The step that lists the elements.
    pub place: u8,
    /// How many it lists at the most.
    pub limit: u32,
}

impl Program {
    /// Whether it appends: sets the property of a new node, and returns the same as written.
    pub fn appends(&self, property: &str) -> Option<Appends> {
        let of_new = |slot: Slot| {
            self.steps.iter().any(|step| matches!(step, Step::Create { into, .. } if *into == slot))
        };
        let element = self.steps.iter().find_map(|step| match step {
            Step::Set { of, key, value } if self.name_of(*key) == property && of_new(*of) => {
                Some(value)
            }
            _ => None,
        })?;
        let returned = |is: &dyn Fn(&Expression, bool) -> bool| {
            self.steps.iter().find_map(|step| match step {
                Step::Return { place, value, wrote, .. } if is(value, *wrote) => Some(*place),
                _ => None,
            })
        };
        let counts = |value: &Expression| {
            self.steps.iter().any(|step| {
                matches!(step, Step::Count { into, .. }
                    if *value == Operand::Variable(*into).into())
            })
        };
        Some(Appends {
            wrote: returned(&|value, wrote| wrote && value == element)?,
            counted: returned(&|value, wrote| !wrote && counts(value)),
        })
    }

    /// Whether it reads a list: returns the property of each node.
    pub fn lists(&self, property: &str) -> Option<Lists> {
        self.steps.iter().find_map(|step| match step {
            Step::Expand { each: Some(key), limit, place, .. }
            | Step::Walk { each: Some(key), limit, place, .. }
                if self.name_of(*key) == property =>
            {
                Some(Lists { place: *place, limit: *limit })
            }
            _ => None,
        })
    }

    /// Its return steps of single values, in order.
    pub fn returned(&self) -> impl Iterator<Item = Returned<'_>> {
        self.steps.iter().enumerate().filter_map(|(at, step)| {
            let Step::Return { of, place, value, wrote } = step else { return None };
            let key = match (&value.first, &value.second) {
                (Operand::Variable(variable), None) => {
                    self.loaded(at, *variable).map(|(_, key)| key)
                }
                _ => None,
            };
            let adds = key.and_then(|key| self.adds(*of, key));
            Some(Returned { place: *place, wrote: *wrote, of: *of, key, adds })
        })
    }

    /// Whether each step that writes the property of a node, and the one that reports it, depend on
    /// the same tests: either both happen or neither.
    pub fn tells_each_write(&self, property: &str) -> bool {
        let mut written = self.steps.iter().enumerate().filter_map(|(at, step)| match step {
            Step::Set { of, key, .. } | Step::Unset { of, key, .. }
                if self.name_of(*key) == property =>
            {
                Some((at, *of))
            }
            _ => None,
        });
        let told = |slot: Slot| {
            self.steps.iter().enumerate().filter_map(move |(at, step)| match step {
                Step::Return { of, wrote: true, .. } if *of == slot => Some(at),
                _ => None,
            })
        };
        let ends = |from: usize, to: usize| {
            self.steps[from.min(to)..from.max(to)]
                .iter()
                .any(|step| matches!(step, Step::Leave { exit: Exit::Done, .. }))
        };
        written.all(|(at, slot)| {
            told(slot).any(|to| self.skips(at).eq(self.skips(to)) && !ends(at, to))
        })
    }

    /// The steps before this one by which it may be left out.
    fn skips(&self, at: usize) -> impl Iterator<Item = usize> {
        self.steps[..at].iter().enumerate().filter_map(move |(from, step)| {
            let left_out = match step {
                Step::Leave { exit: Exit::Skip(steps), .. } => *steps,
                Step::Merge { new_only, .. } => *new_only,
                _ => return None,
            };
            (from + usize::from(left_out) >= at).then_some(from)
        })
    }

    /// The variables of the nodes at which relationships of this type end that the program
    /// creates.
    pub fn leads_to<'p>(&'p self, kind: &'p str) -> impl Iterator<Item = Slot> + 'p {
        self.leads(kind).map(|(to, _)| to)
    }

    /// Where only merges lead to that node by relationships of this type: the bits of those merges,
    /// of which [`wavetank_vocabulary::Fact::Observed`] has the ones that found theirs.
    pub fn merges_to(&self, kind: &str, node: Slot) -> Option<u32> {
        let mut to_it = self.leads(kind).filter(|(to, _)| *to == node);
        to_it.try_fold(0, |bits, (_, merged)| Some(bits | merge_bit(merged?)))
    }

    /// The nodes at which relationships of this type end that the program creates, and the
    /// relationship's own variable where that is merged.
    fn leads<'p>(&'p self, kind: &'p str) -> impl Iterator<Item = (Slot, Option<Slot>)> + 'p {
        self.steps.iter().filter_map(move |step| match step {
            Step::Connect { to, kind: of, .. } if self.name_of(*of) == kind => Some((*to, None)),
            Step::Merge { into, path, .. }
                if path.kind.is_some_and(|of| self.name_of(of) == kind) =>
            {
                let to = match path.direction {
                    Direction::Incoming => path.to.map(|_| path.from),
                    Direction::Outgoing | Direction::Both => path.to,
                };
                Some((to?, Some(*into)))
            }
            _ => None,
        })
    }

    /// The return steps that report each node that the program deletes before it does, whatever
    /// became of its tests; none if there is one of which it reports nothing.
    pub fn returned_before_deleted(&self) -> Option<Vec<u8>> {
        let deleted = self.steps.iter().enumerate().filter_map(|(at, step)| match step {
            Step::DetachDelete(slot) => Some((at, *slot)),
            Step::Delete(slot) if self.holds_node(*slot) => Some((at, *slot)),
            _ => None,
        });
        let told = |(before, slot): (usize, Slot)| {
            self.steps[..before].iter().enumerate().find_map(|(at, step)| match step {
                Step::Return { of, place, .. }
                    if *of == slot && self.skips(at).next().is_none() =>
                {
                    Some(*place)
                }
                _ => None,
            })
        };
        deleted.map(told).collect()
    }

    /// The variables of the nodes to which the program gives this label.
    pub fn labelled<'p>(&'p self, label: &'p str) -> impl Iterator<Item = Slot> + 'p {
        self.steps.iter().filter_map(move |step| match step {
            Step::Label { of, label: given, given: true } if self.name_of(*given) == label => {
                Some(*of)
            }
            _ => None,
        })
    }

    /// Where the value of a variable was last read from before a step.
    fn loaded(&self, before: usize, variable: Slot) -> Option<(Slot, &str)> {
        self.steps[..before].iter().rev().find_map(|step| match step {
            Step::Load { into, of, key } if *into == variable => Some((*of, self.name_of(*key))),
            _ => None,
        })
    }

    fn adds(&self, node: Slot, name: &str) -> Option<i64> {
        self.steps.iter().enumerate().find_map(|(at, step)| {
            let Step::Set { of, key, value } = step else { return None };
            let (Operand::Variable(variable), Some((minus, Operand::Int(number)))) =
                (&value.first, &value.second)
            else {
                return None;
            };
            let of_itself = *of == node
                && self.name_of(*key) == name
                && self.loaded(at, *variable) == Some((node, name));
            of_itself.then(|| if *minus { number.wrapping_neg() } else { *number })
        })
    }
}
