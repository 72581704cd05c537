//! What a program tells about its return steps, read from its text alone: which property a
//! returned value is of, and by how much the program changes it. Checks interpret
//! [`wavetank_vocabulary::Fact::Observed`] by it.

use alloc::vec::Vec;

use wavetank_store::Direction;

use crate::program::{Exit, Expression, Name, Operand, OperationStep as Step, Program, Slot};

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

/// How a program tells of something that it does to nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tells {
    /// The return steps that report such a node whenever it is done, in the same transaction: for
    /// each step that does it the first. Where only merges do it, with their bits: if
    /// [`wavetank_vocabulary::Fact::Observed`] has all of them, each found its relationship, and
    /// nothing was done; else with 0.
    pub places: Vec<(u8, u32)>,
    /// Whether there is one for each step that does it.
    pub always: bool,
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

    /// Whether each step that writes the property of a node, and the one that reports it, are in one
    /// transaction and depend on the same tests: either both happen or neither.
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
        written.all(|(at, slot)| told(slot).any(|to| self.goes_with(at, to)))
    }

    /// Whether it has several transactions.
    pub fn commits_between(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Commit))
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
        self.leads(kind).map(|(_, to, _)| to)
    }

    /// How it tells of the nodes to which it leads relationships of this type.
    pub fn tells_led(&self, kind: &str) -> Tells {
        self.tells(self.leads(kind))
    }

    /// How it tells of the nodes to which it gives this label.
    pub fn tells_labelled(&self, label: &str) -> Tells {
        let is_it = |name: &Name| self.name_of(*name) == label;
        let given = self.steps.iter().enumerate().filter_map(|(at, step)| match step {
            Step::Label { of, label, given: true } if is_it(label) => Some((at, *of, None)),
            Step::Create { into, labels } if labels.iter().any(is_it) => Some((at, *into, None)),
            _ => None,
        });
        self.tells(given)
    }

    /// How it tells of these steps: where each is, about which node, and the relationship's
    /// variable where the step is a merge.
    fn tells(&self, steps: impl Iterator<Item = (usize, Slot, Option<Slot>)>) -> Tells {
        let mut tells = Tells { places: Vec::new(), always: true };
        for (at, node, merged) in steps {
            // What a merge found is known after it.
            let first = merged.map_or(0, |_| at);
            let told =
                self.steps.iter().enumerate().skip(first).find_map(|(to, step)| match step {
                    Step::Return { of, place, .. } if *of == node && self.goes_with(at, to) => {
                        Some(*place)
                    }
                    _ => None,
                });
            tells.always &= told.is_some();
            let bit = merged.map_or(0, merge_bit);
            match told.and_then(|to| tells.places.iter_mut().find(|(known, _)| *known == to)) {
                Some((_, bits)) if *bits == 0 || bit == 0 => *bits = 0,
                Some((_, bits)) => *bits |= bit,
                None => tells.places.extend(told.map(|place| (place, bit))),
            }
        }
        tells
    }

    /// Whether two steps are in one transaction and depend on the same tests, of which one that
    /// tells of a merge may also depend on whether that created something.
    fn goes_with(&self, step: usize, report: usize) -> bool {
        let between = &self.steps[step.min(report)..step.max(report)];
        let parts =
            |step: &Step| matches!(step, Step::Commit | Step::Leave { exit: Exit::Done, .. });
        let skips = self.skips(report).filter(|from| *from != step);
        self.skips(step).eq(skips) && !between.iter().any(parts)
    }

    /// The nodes at which relationships of this type end that the program creates, and the
    /// relationship's own variable where that is merged; with where the step is.
    fn leads<'p>(
        &'p self,
        kind: &'p str,
    ) -> impl Iterator<Item = (usize, Slot, Option<Slot>)> + 'p {
        self.steps.iter().enumerate().filter_map(move |(at, step)| match step {
            Step::Connect { to, kind: of, .. } if self.name_of(*of) == kind => {
                Some((at, *to, None))
            }
            Step::Merge { into, path, .. }
                if path.kind.is_some_and(|of| self.name_of(of) == kind) =>
            {
                let to = match path.direction {
                    Direction::Incoming => path.to.map(|_| path.from),
                    Direction::Outgoing | Direction::Both => path.to,
                };
                Some((at, to?, Some(*into)))
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
