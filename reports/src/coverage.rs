//! Did it test anything? The matrix of faults by what they struck in the middle of, and the
//! named points that a campaign should reach *sometimes*: folded from facts, merged over
//! seeds, printed as a table and as JSON.

mod json;
mod points;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, InstanceId, Observer, OperationOutcome, ProtocolState, Role,
    Seq, Time,
};

pub use json::NotUnderstood;
pub use points::Point;

/// What a run, or many, have covered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coverage {
    /// Runs that were merged into it, the present one included.
    runs: u64,
    matrix: BTreeMap<(FaultKind, ProtocolState), u64>,
    took_effect: BTreeMap<FaultKind, u64>,
    skipped: BTreeMap<FaultKind, u64>,
    points: BTreeMap<Point, u64>,
    // Of the present run.
    roles: BTreeMap<InstanceId, Role>,
    counting: BTreeSet<InstanceId>,
    copying: BTreeSet<InstanceId>,
    active: BTreeSet<FaultId>,
    last_fault: Option<(FaultId, Time)>,
    last_master: Option<InstanceId>,
}

impl Coverage {
    /// That of a run that begins.
    pub fn new() -> Self {
        Coverage { runs: 1, ..Coverage::default() }
    }

    /// The same without what only matters while the run goes on.
    #[must_use]
    pub fn settled(self) -> Self {
        let Coverage { runs, matrix, took_effect, skipped, points, .. } = self;
        Coverage { runs, matrix, took_effect, skipped, points, ..Coverage::default() }
    }

    /// Kinds of fault that took effect, in the order of their kinds.
    pub fn kinds(&self) -> impl Iterator<Item = FaultKind> + '_ {
        FaultKind::ALL.iter().copied().filter(|kind| self.took_effect.contains_key(kind))
    }

    /// How often a fault of the kind struck in that state.
    pub fn struck(&self, kind: FaultKind, state: ProtocolState) -> u64 {
        self.matrix.get(&(kind, state)).copied().unwrap_or(0)
    }

    /// How often a point was reached.
    pub fn reached(&self, point: Point) -> u64 {
        self.points.get(&point).copied().unwrap_or(0)
    }

    /// How many cells of the matrix were reached.
    pub fn cells(&self) -> usize {
        self.matrix.len()
    }

    /// How many points were reached.
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// In a line: cells and points.
    pub fn headline(&self) -> String {
        format!(
            "{} cells of fault by protocol state, {} of {} points that should be reached sometimes",
            self.cells(),
            self.points.len(),
            Point::ALL.len()
        )
    }

    /// Adds what another run, or many, have covered. The order does not matter.
    pub fn merge(&mut self, other: &Coverage) {
        fn add<K: Ord + Copy>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
            for (key, count) in from {
                *to.entry(*key).or_default() += count;
            }
        }
        self.runs += other.runs;
        add(&mut self.matrix, &other.matrix);
        add(&mut self.took_effect, &other.took_effect);
        add(&mut self.skipped, &other.skipped);
        add(&mut self.points, &other.points);
    }

    /// Only what was reached at least so often: the rest is luck, and no test should rely on it.
    #[must_use]
    pub fn at_least(&self, least: u64) -> Coverage {
        let mut often = self.clone().settled();
        often.matrix.retain(|_, count| *count >= least);
        often.points.retain(|_, count| *count >= least);
        often.took_effect.retain(|_, count| *count >= least);
        often
    }

    /// What `required` has and this lacks: kinds that took effect, cells as `KIND in STATE`, and
    /// points.
    pub fn lacks(&self, required: &Coverage) -> Vec<String> {
        let cell = |(kind, state): &(FaultKind, ProtocolState)| {
            format!("{} in {}", kind.name(), state.name())
        };
        let kinds = required.took_effect.keys().filter(|kind| !self.took_effect.contains_key(kind));
        let kinds = kinds.map(|kind| format!("{} that took effect", kind.name()));
        let cells = required.matrix.keys().filter(|key| !self.matrix.contains_key(key)).map(cell);
        let points = required.points.keys().filter(|key| !self.points.contains_key(key));
        kinds.chain(cells).chain(points.map(|point| point.name().to_owned())).collect()
    }

    /// Points, and cells of all kinds, which were never reached.
    pub fn never_reached(&self) -> Vec<String> {
        let points = Point::ALL.iter().filter(|point| self.reached(**point) == 0);
        let mut never: Vec<String> = points.map(|point| point.name().to_owned()).collect();
        for kind in FaultKind::ALL {
            for state in ProtocolState::ALL {
                if self.struck(*kind, *state) == 0 {
                    never.push(format!("{} in {}", kind.name(), state.name()));
                }
            }
        }
        never
    }

    /// For people: a row for each kind that was drawn, a column for each state.
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Faults by what they struck in the middle of ({} runs)", self.runs);
        let _ = write!(text, "{:<18} {:>7} {:>7}", "", "effect", "missed");
        for number in 1..=ProtocolState::ALL.len() {
            let _ = write!(text, " {number:>6}");
        }
        text.push('\n');
        for kind in FaultKind::ALL {
            let (hits, misses) = (self.took_effect.get(kind), self.skipped.get(kind));
            if hits.is_none() && misses.is_none() {
                continue;
            }
            let count = |of: Option<&u64>| of.copied().unwrap_or(0);
            let _ = write!(text, "{:<18} {:>7} {:>7}", kind.name(), count(hits), count(misses));
            for state in ProtocolState::ALL {
                match self.struck(*kind, *state) {
                    0 => text.push_str("      ."),
                    count => {
                        let _ = write!(text, " {count:>6}");
                    }
                }
            }
            text.push('\n');
        }
        let names: Vec<String> = ProtocolState::ALL
            .iter()
            .enumerate()
            .map(|(index, state)| format!("{} {}", index + 1, state.name()))
            .collect();
        let _ = writeln!(text, "{}", names.join(", "));
        let _ = writeln!(text, "\nSometimes");
        for point in Point::ALL {
            let _ = match self.reached(*point) {
                0 => writeln!(text, "{:<34} never", point.name()),
                count => writeln!(text, "{:<34} {count:>7}", point.name()),
            };
        }
        text
    }

    fn reach(&mut self, point: Point) {
        *self.points.entry(point).or_default() += 1;
    }

    fn role_changed(&mut self, instance: InstanceId, to: Role) {
        let was = self.roles.insert(instance, to);
        let masters = self.roles.values().filter(|role| **role == Role::Master).count();
        if to == Role::Master {
            if self.last_master.replace(instance).is_some_and(|before| before != instance) {
                self.reach(Point::MasterReplaced);
            }
            if masters > 1 {
                self.reach(Point::TwoMasters);
            }
        } else if was == Some(Role::Master) && masters == 0 {
            self.reach(Point::NoMaster);
        }
        if to == Role::Down {
            self.counting.remove(&instance);
            self.copying.remove(&instance);
        }
    }
}

impl Observer for Coverage {
    fn interests(&self) -> Classes {
        Classes::CLUSTER
            | Classes::FAULTS
            | Classes::COVERAGE
            | Classes::STORE
            | Classes::TRANSACTIONS
            | Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::RoleChanged { instance, to, .. } => self.role_changed(instance, to),
            Fact::ElectionBegan { elector, .. } => {
                self.counting.insert(elector);
                if self.counting.len() > 1 {
                    self.reach(Point::TwoElections);
                }
            }
            Fact::ElectionEnded { elector, winner, .. } => {
                self.counting.remove(&elector);
                self.reach(match winner {
                    Some(_) => Point::ElectionWon,
                    None => Point::ElectionLost,
                });
            }
            Fact::MemberFailed { whom, .. } => {
                let role = self.roles.get(&whom).copied().unwrap_or(Role::Down);
                if role != Role::Down {
                    self.reach(Point::WronglyFailed);
                }
            }
            Fact::Cleared { .. } => self.reach(Point::Cleared),
            Fact::Branched { .. } => self.reach(Point::Branched),
            Fact::BranchDiscarded { .. } => self.reach(Point::Discarded),
            Fact::StoreCopy { instance, done: true, .. } => {
                self.copying.remove(&instance);
                self.reach(Point::Copied);
            }
            Fact::StoreCopy { instance, pages: 0, .. } if !self.copying.insert(instance) => {
                self.reach(Point::CopyAgain);
            }
            Fact::Pushed { ok, .. } => {
                self.reach(if ok { Point::Pushed } else { Point::PushFailed });
            }
            Fact::Recovered { replayed, cut, .. } => {
                if replayed > 0 {
                    self.reach(Point::Replayed);
                }
                if cut > 0 {
                    self.reach(Point::TornTail);
                }
            }
            Fact::Checkpoint { .. } if !self.active.is_empty() => {
                self.reach(Point::CheckpointInFault);
            }
            Fact::StoreFailed { .. } => self.reach(Point::StoreFailed),
            Fact::Completed { outcome, attempts, .. } => match outcome {
                OperationOutcome::Ok if attempts > 1 => self.reach(Point::RetrySucceeded),
                OperationOutcome::Unknown => self.reach(Point::Unknown),
                _ => {}
            },
            Fact::StruckIn { kind, states, .. } => {
                for state in states.iter() {
                    *self.matrix.entry((kind, state)).or_default() += 1;
                }
            }
            // A fault with several links is told for each of them.
            Fact::FaultBegan { fault, kind, .. }
                if self.last_fault.replace((fault, at)) != Some((fault, at)) =>
            {
                *self.took_effect.entry(kind).or_default() += 1;
                self.active.insert(fault);
                if self.active.len() > 1 {
                    self.reach(Point::FaultsOverlap);
                }
            }
            Fact::FaultEnded { fault, .. } => {
                self.active.remove(&fault);
            }
            Fact::FaultSkipped { kind, .. } => {
                *self.skipped.entry(kind).or_default() += 1;
                self.reach(Point::FaultMissed);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use wavetank_vocabulary::ProtocolStates;

    fn told(facts: &[Fact]) -> Coverage {
        let mut coverage = Coverage::new();
        for (seq, fact) in facts.iter().enumerate() {
            coverage.observe(Time::ZERO, seq as u64, fact);
        }
        coverage
    }

    fn strike(id: u16, kind: FaultKind, state: ProtocolState) -> [Fact; 2] {
        let (fault, on) = (FaultId(id), InstanceId(1));
        let states = ProtocolStates::NONE.with_if(state, true);
        [
            Fact::StruckIn { fault, kind, on, states },
            Fact::FaultBegan { fault, kind, on, peer: None },
        ]
    }

    #[test]
    fn runs_add_up_and_survive_their_file() {
        let mut all = told(&strike(1, FaultKind::Crash, ProtocolState::Checkpoint));
        let other = told(
            &[
                strike(1, FaultKind::Crash, ProtocolState::Quiet),
                strike(2, FaultKind::Pause, ProtocolState::Push),
            ]
            .concat(),
        );
        all.merge(&other);
        assert_eq!(all.struck(FaultKind::Crash, ProtocolState::Checkpoint), 1);
        assert_eq!(all.struck(FaultKind::Pause, ProtocolState::Push), 1);
        assert_eq!((all.cells(), all.reached(Point::FaultsOverlap)), (3, 1));
        let again = Coverage::from_json(&all.to_json()).expect("it is coverage");
        assert_eq!(again.to_json(), all.to_json());
        assert!(all.lacks(&again).is_empty());
        let less = Coverage::new();
        assert!(less.lacks(&all).contains(&"pause in push".to_owned()));
        assert!(less.lacks(&all).contains(&"pause that took effect".to_owned()));
        let never = all.never_reached();
        assert!(never.contains(&"crash in push".to_owned()));
        assert!(!never.contains(&"pause in push".to_owned()));
        assert!(never.contains(&"lost-write in push".to_owned()), "no such fault took effect");
        let often = all.at_least(2);
        assert_eq!((often.cells(), often.reached(Point::FaultsOverlap)), (0, 0));
        assert_eq!(all.at_least(1), all.clone().settled());
        assert_eq!(Coverage::from_json(&json!({ "runs": "many" })).map(|c| c.runs), None);
    }

    #[test]
    fn the_table_names_what_was_reached_and_what_was_not() {
        let mut facts = strike(1, FaultKind::Crash, ProtocolState::Election).to_vec();
        facts.push(Fact::FaultSkipped { fault: FaultId(2), kind: FaultKind::LostWrite });
        let table = told(&facts).table();
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name));
            line.expect("it has a row").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("crash "), "crash 1 0 . . . 1 . . . . . . . . . . .");
        assert_eq!(row("lost-write "), "lost-write 0 1 . . . . . . . . . . . . . . .");
        assert_eq!(row("fault not exercised"), "fault not exercised 1");
        assert_eq!(row("election won"), "election won never");
    }
}
