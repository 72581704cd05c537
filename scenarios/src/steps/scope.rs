//! The names that the steps of an operation have given, and those that they use.

use std::ops::Range;

use wavetank_world::operation::{Name, Program, SLOTS, Slot, TokenKind};

use super::parser::Slip;
use crate::section::nearest;

/// What a variable stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Node,
    Relationship,
    Value,
}

impl Thing {
    pub(super) fn name(self) -> &'static str {
        match self {
            Thing::Node => "a node",
            Thing::Relationship => "a relationship",
            Thing::Value => "a value",
        }
    }
}

/// The variables of a program, by slot.
#[derive(Default)]
pub(super) struct Scope {
    variables: Vec<(String, Thing, Slot)>,
    /// The first slot that no variable has.
    next: usize,
    /// How many from there on the present step uses for itself.
    hidden: usize,
}

impl Scope {
    pub(super) fn find(&self, name: &str) -> Option<(Slot, Thing)> {
        let found = self.variables.iter().find(|(known, _, _)| known == name)?;
        Some((found.2, found.1))
    }

    /// Gives a new variable its slot.
    pub(super) fn give(
        &mut self,
        name: &str,
        thing: Thing,
        at: &Range<usize>,
    ) -> Result<Slot, Slip> {
        if self.find(name).is_some() {
            return Err(Slip::new(at.clone(), format!("`{name}` has a meaning already"))
                .help("give the new one another name"));
        }
        // What this step has read for itself may be needed after the variable is bound.
        let slot = self.next + self.hidden;
        if slot >= SLOTS {
            return Err(full(at.clone()));
        }
        self.variables.push((name.into(), thing, slot as Slot));
        (self.next, self.hidden) = (slot + 1, 0);
        Ok(slot as Slot)
    }

    /// A variable without a name that stays.
    pub(super) fn give_unnamed(&mut self, thing: Thing, at: &Range<usize>) -> Result<Slot, Slip> {
        let name = format!("#{}", self.variables.len());
        self.give(&name, thing, at)
    }

    /// A slot for the rest of this step.
    pub(super) fn hide(&mut self, at: &Range<usize>) -> Result<Slot, Slip> {
        let slot = self.next + self.hidden;
        if slot >= SLOTS {
            return Err(full(at.clone()));
        }
        self.hidden += 1;
        Ok(slot as Slot)
    }

    pub(super) fn end_step(&mut self) {
        self.hidden = 0;
    }

    /// Help for a name that stands for nothing.
    pub(super) fn unknown(&self, name: &str, at: Range<usize>) -> Slip {
        let known: Vec<&str> = self
            .variables
            .iter()
            .map(|(name, _, _)| name.as_str())
            .filter(|name| !name.starts_with('#'))
            .collect();
        let slip = Slip::new(at, format!("nothing is called `{name}` here"));
        match nearest(name, known.iter().copied()) {
            Some(near) => slip.help(format!("a similar name is `{near}`")),
            None if known.is_empty() => slip.help("`match` or `create` gives names"),
            None => slip.help(format!("known here: {}", known.join(", "))),
        }
    }
}

fn full(at: Range<usize>) -> Slip {
    Slip::new(at, format!("an operation has at most {SLOTS} variables at a time"))
        .help("each `u.key` within a step counts as one for that step")
}

/// The number of a name in a program.
pub(super) fn intern(program: &mut Program, kind: TokenKind, text: &str) -> Name {
    let known = program.names.iter().position(|(of, name)| *of == kind && name == text);
    let index = known.unwrap_or_else(|| {
        program.names.push((kind, text.into()));
        program.names.len() - 1
    });
    Name(index as u16)
}
