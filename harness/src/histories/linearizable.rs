//! Whether operations on one register could have happened one after the other, each at a moment
//! between its call and its return.
//!
//! The search is the just-in-time linearization of Lowe, "Testing for linearizability" (2017),
//! after Wing and Gong (1993): it keeps every configuration (what the register holds, which of
//! the operations under way have happened) that explains what has returned, and lets something
//! happen only when a return demands it. Calls and returns come in the order of time, so the
//! first return that no configuration explains ends the shortest prefix that is not
//! linearizable, and memory is bounded by what is under way at once.
//!
//! Four things keep the configurations few:
//! - a read, and a compare that failed, happens as soon as the value allows it;
//! - a write under way becomes *free* once another write happens: it may have happened just
//!   before, unseen, and may still happen later;
//! - so a write happens before the one that is demanded only if something under way could notice;
//! - an operation whose outcome nobody knows may never happen, so of two configurations that
//!   differ only in it, the one that still has it explains all that the other does. Equal ones
//!   are counted rather than told apart.

use std::collections::BTreeSet;

/// What a register can hold; the numbers are the caller's.
pub type Value = u64;

/// An operation with its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// It returned this value.
    Read(Value),
    /// Sets the value.
    Write(Value),
    /// Found the first value, and set the second.
    Cas(Value, Value),
    /// A compare-and-set that found something else than this.
    CasMiss(Value),
}

impl Op {
    /// The value afterwards, if it can happen.
    fn apply(self, state: Value) -> Option<Value> {
        match self {
            Op::Read(value) => (state == value).then_some(state),
            Op::Write(value) => Some(value),
            Op::Cas(from, to) => (state == from).then_some(to),
            Op::CasMiss(from) => (state != from).then_some(state),
        }
    }

    /// Whether it leaves every value as it is.
    const fn only_looks(self) -> bool {
        matches!(self, Op::Read(_) | Op::CasMiss(_))
    }
}

/// An operation under way that will return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    /// It has not happened.
    Must,
    /// It may have happened unseen, or not yet.
    Free,
    /// It has happened.
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Config {
    state: Value,
    slots: Vec<Slot>,
    /// How many of each kind of operation with an unknown outcome have happened.
    used: Vec<u16>,
}

impl Config {
    /// Whether every future that `other` explains, this explains too.
    fn covers(&self, other: &Config) -> bool {
        self.state == other.state
            && self.used.iter().zip(&other.used).all(|(mine, others)| mine <= others)
            && self
                .slots
                .iter()
                .zip(&other.slots)
                .all(|(mine, others)| mine == others || *mine == Slot::Free)
    }
}

/// What a return means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Everything up to it can be put in order.
    Explained,
    /// Nothing explains it; the search is over.
    Impossible,
    /// The budget is spent; the search is over.
    Spent,
}

/// The search over one register.
#[derive(Clone, Debug)]
pub struct Linearizer {
    configs: Vec<Config>,
    slots: Vec<Option<Op>>,
    /// Kinds of operations with an unknown outcome, and how many of each were called.
    open: Vec<(Op, u16)>,
    budget: u64,
}

/// Beyond so many configurations they are no longer compared with one another: it would cost
/// more than it saves.
const COMPARED: usize = 512;

impl Linearizer {
    /// A register that holds `initial`; at most `budget` configurations are looked at.
    pub fn new(initial: Value, budget: u64) -> Linearizer {
        let first = Config { state: initial, slots: Vec::new(), used: Vec::new() };
        Linearizer { configs: vec![first], slots: Vec::new(), open: Vec::new(), budget }
    }

    /// So many more configurations may be looked at, but not more than `most` in all.
    pub fn allow(&mut self, more: u64, most: u64) {
        self.budget = self.budget.max(self.budget.saturating_add(more).min(most));
    }

    /// An operation that will return was called. The ticket is for [`Linearizer::returned`].
    pub fn call(&mut self, op: Op) -> usize {
        let free = self.slots.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.slots.push(None);
            self.configs.iter_mut().for_each(|config| config.slots.push(Slot::Done));
            self.slots.len() - 1
        });
        self.slots[slot] = Some(op);
        for config in &mut self.configs {
            let now = op.only_looks() && op.apply(config.state).is_some();
            config.slots[slot] = if now { Slot::Done } else { Slot::Must };
        }
        slot
    }

    /// An operation was called of which nobody learns whether it happened.
    pub fn call_open(&mut self, op: Op) {
        if op.only_looks() {
            return;
        }
        if let Some((_, count)) = self.open.iter_mut().find(|(known, _)| *known == op) {
            *count = count.saturating_add(1);
            return;
        }
        self.open.push((op, 1));
        self.configs.iter_mut().for_each(|config| config.used.push(0));
    }

    /// The operation of that ticket returned.
    pub fn returned(&mut self, ticket: usize) -> Step {
        let mut kept: BTreeSet<Config> = BTreeSet::new();
        let mut seen: BTreeSet<Config> = BTreeSet::new();
        let mut work: Vec<Config> = Vec::new();
        let mut found = |config: Config, work: &mut Vec<Config>| {
            // A free one may have happened, or may still happen before it returns.
            let slot = config.slots[ticket];
            if slot != Slot::Must {
                let mut over = config.clone();
                over.slots[ticket] = Slot::Done;
                kept.insert(over);
            }
            if slot != Slot::Done && seen.insert(config.clone()) {
                work.push(config);
            }
        };
        for config in &self.configs {
            found(config.clone(), &mut work);
        }
        while let Some(config) = work.pop() {
            if self.budget == 0 {
                return Step::Spent;
            }
            self.budget -= 1;
            for (slot, op) in self.slots.iter().enumerate() {
                let Some(op) = *op else { continue };
                if config.slots[slot] == Slot::Done
                    || (slot != ticket && self.unseen(&config, slot, op))
                {
                    continue;
                }
                let Some(mut next) = self.happen(&config, op) else { continue };
                next.slots[slot] = Slot::Done;
                found(next, &mut work);
            }
            for (kind, (op, called)) in self.open.iter().enumerate() {
                if config.used[kind] >= *called
                    || op.apply(config.state) == Some(config.state)
                    || self.unseen(&config, usize::MAX, *op)
                {
                    continue;
                }
                let Some(mut next) = self.happen(&config, *op) else { continue };
                next.used[kind] += 1;
                found(next, &mut work);
            }
        }
        if kept.is_empty() {
            return Step::Impossible;
        }
        self.slots[ticket] = None;
        self.configs = fewest(kept.into_iter().collect());
        Step::Explained
    }

    /// What the register can hold now, as far as returned operations tell, in ascending order.
    pub fn possible(&self) -> Vec<Value> {
        let states: BTreeSet<Value> = self.configs.iter().map(|config| config.state).collect();
        states.into_iter().collect()
    }

    /// Whether it would be a write that nothing could notice before the next write: then leaving
    /// it out explains as much.
    fn unseen(&self, config: &Config, slot: usize, op: Op) -> bool {
        let Op::Write(value) = op else { return false };
        let notices = |other: &Op| match *other {
            Op::Read(seen) => seen == value,
            Op::Cas(from, _) => from == value,
            Op::CasMiss(from) => from != value,
            Op::Write(_) => false,
        };
        let mut under_way = self.slots.iter().zip(&config.slots).enumerate();
        let mut open = self.open.iter().zip(&config.used);
        !under_way.any(|(number, (other, status))| {
            number != slot && *status != Slot::Done && other.as_ref().is_some_and(notices)
        }) && !open.any(|((other, called), used)| used < called && notices(other))
    }

    /// Lets an operation happen, and whatever only looks and likes what it sees then.
    fn happen(&self, config: &Config, op: Op) -> Option<Config> {
        let mut next = config.clone();
        next.state = op.apply(config.state)?;
        for (slot, other) in next.slots.iter_mut().zip(&self.slots) {
            let Some(other) = other else { continue };
            if *slot != Slot::Must {
                continue;
            }
            if other.only_looks() {
                if other.apply(next.state).is_some() {
                    *slot = Slot::Done;
                }
            } else if matches!((op, other), (Op::Write(_), Op::Write(_))) {
                *slot = Slot::Free;
            }
        }
        Some(next)
    }
}

/// Without those that another covers.
fn fewest(configs: Vec<Config>) -> Vec<Config> {
    if configs.len() > COMPARED {
        return configs;
    }
    let mut kept: Vec<Config> = Vec::with_capacity(configs.len());
    for config in configs {
        if kept.iter().any(|other| other.covers(&config)) {
            continue;
        }
        kept.retain(|other| !config.covers(other));
        kept.push(config);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_of_what_was_overwritten_is_impossible() {
        let mut search = Linearizer::new(0, 1_000);
        let first = search.call(Op::Write(1));
        assert_eq!(search.returned(first), Step::Explained);
        let second = search.call(Op::Write(2));
        let read = search.call(Op::Read(1));
        assert_eq!(search.returned(read), Step::Explained, "the second is still under way");
        assert_eq!(search.returned(second), Step::Explained);
        let late = search.call(Op::Read(1));
        assert_eq!(search.possible(), [2]);
        assert_eq!(search.returned(late), Step::Impossible);
    }

    #[test]
    fn an_unknown_outcome_may_come_at_any_time_once() {
        let mut search = Linearizer::new(0, 1_000);
        search.call_open(Op::Write(1));
        for (value, step) in [(0, Step::Explained), (1, Step::Explained), (0, Step::Impossible)] {
            let read = search.call(Op::Read(value));
            assert_eq!(search.returned(read), step, "{value}");
        }
    }

    #[test]
    fn a_spent_budget_is_said() {
        let mut search = Linearizer::new(0, 1);
        let tickets: Vec<usize> = (1..5).map(|v| search.call(Op::Cas(v - 1, v))).collect();
        assert_eq!(search.clone().returned(tickets[3]), Step::Spent);
        search.allow(100, 0);
        assert_eq!(search.clone().returned(tickets[3]), Step::Spent, "no more than 0 in all");
        search.allow(100, 100);
        assert_eq!(search.returned(tickets[3]), Step::Explained);
    }

    #[test]
    fn many_writes_at_once_cost_little() {
        let mut search = Linearizer::new(0, 100_000);
        let tickets: Vec<usize> = (1..60).map(|v| search.call(Op::Write(v))).collect();
        for ticket in tickets {
            assert_eq!(search.returned(ticket), Step::Explained);
        }
    }
}
