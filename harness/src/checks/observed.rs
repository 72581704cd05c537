//! What operations under way have reported so far: it counts only once the operation has ended
//! well, and then only what its last attempt reported, and, for who asks, what earlier ones
//! committed. Which of an operation's transactions a report belongs to is known by the order of the
//! facts: it is the one that was committed next.

use std::collections::BTreeMap;

use wavetank_vocabulary::{
    Fact, InstanceId, NodeId, Observation, OperationId, OperationOutcome, Time, TxId,
};
use wavetank_world::operation::OperationStep;
use wavetank_world::{Plan, Program};

/// How many steps of a program write a property.
pub(super) fn sets(program: &Program, name: &str) -> usize {
    let sets = program.steps.iter().filter(|step| {
        use OperationStep::{Lower, Set, Unset};
        matches!(step, Set { key, .. } | Unset { key, .. } | Lower { key, .. }
            if program.name_of(*key) == name)
    });
    sets.count()
}

/// The return steps of a program that report an addition to a property, and how much.
pub(super) fn adds(program: &Program, name: &str) -> Vec<(u8, i64)> {
    let returned = program.returned().filter(|step| step.wrote && step.key == Some(name));
    returned.filter_map(|step| Some((step.place, step.adds?))).collect()
}

/// An operation that writes a property without reporting what it added, if there is one.
pub(super) fn silent<'p>(plan: &'p Plan, name: &str) -> Option<&'p str> {
    let mut all = plan.operations.iter();
    let found = all.find(|program| {
        sets(program, name) != adds(program, name).len() || !program.tells_each_write(name)
    });
    found.map(|program| program.name.as_str())
}

/// One report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Report {
    pub(super) attempt: u16,
    pub(super) at: Time,
    pub(super) instance: InstanceId,
    pub(super) wrote: bool,
    pub(super) place: u8,
    pub(super) node: NodeId,
    pub(super) value: Option<i64>,
    /// The merges that found what they would have created, as in [`Fact::Observed`].
    pub(super) found: u32,
    /// Its transaction, [`TxId`] 0 if that was not committed or wrote nothing; none where an earlier
    /// attempt may still have been under way, whose transaction it could be. Only checks that hear
    /// of transactions have it.
    pub(super) tx: Option<TxId>,
}

impl Report {
    /// The report of a fact, if it is one of a single value.
    pub(super) fn of(at: Time, fact: &Fact) -> Option<(OperationId, Report)> {
        let Fact::Observed { operation, attempt, instance, what, place, index: found, node, value } =
            *fact
        else {
            return None;
        };
        let wrote = match what {
            Observation::Wrote => true,
            Observation::Read => false,
            Observation::Listed | Observation::End => return None,
        };
        let tx = Some(TxId(0));
        Some((operation, Report { attempt, at, instance, wrote, place, node, value, found, tx }))
    }
}

/// A number that an operation reported as written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Write {
    pub(super) operation: OperationId,
    pub(super) value: Option<i64>,
    pub(super) at: Time,
    pub(super) instance: InstanceId,
}

/// Who wrote a number last, and the first two in a row that wrote the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Writes {
    last: Option<Write>,
    twice: Option<(Write, Write)>,
}

impl Writes {
    pub(super) fn add(&mut self, operation: OperationId, report: &Report) {
        let Report { value, at, instance, .. } = *report;
        let write = Write { operation, value, at, instance };
        if let Some(last) = self.last.filter(|last| last.value == value) {
            self.twice.get_or_insert((last, write));
        }
        self.last = Some(write);
    }

    /// When what was wrong became so, and who had part in it.
    pub(super) fn proof(&self) -> (Option<Time>, Vec<OperationId>, Vec<InstanceId>) {
        let writes: Vec<Write> = match self.twice {
            Some((one, other)) => vec![one, other],
            None => self.last.into_iter().collect(),
        };
        (
            self.twice.map(|(_, other)| other.at),
            writes.iter().map(|write| write.operation).collect(),
            writes.iter().map(|write| write.instance).collect(),
        )
    }

    /// A sentence, with a space before it; nothing if nobody is known to have written.
    pub(super) fn story(&self) -> String {
        let who = |write: &Write| {
            format!("{} (at {}, instance {})", write.operation, write.at, write.instance.0)
        };
        let number = |value: Option<i64>| value.map_or("nothing".into(), |value| value.to_string());
        match (&self.twice, &self.last) {
            (Some((one, other)), _) => {
                format!(" {} and {} both wrote {}.", who(one), who(other), number(one.value))
            }
            (None, Some(last)) => {
                format!(" The last to write it was {}: {}.", who(last), number(last.value))
            }
            (None, None) => String::new(),
        }
    }
}

/// The reports of operations that have not ended. One that comes after its operation's end, from
/// an instance that nobody waits for any more, is left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    open: BTreeMap<OperationId, Open>,
    spare: Vec<Vec<Report>>,
    /// What earlier attempts committed counts, too.
    of_every_attempt: bool,
}

#[derive(Clone, Debug)]
struct Open {
    reports: Vec<Report>,
    /// An earlier attempt may still be under way.
    blurred: bool,
}

impl Reports {
    /// Those that give what earlier attempts committed, too, where none of these was under way
    /// beside the last.
    pub(super) fn of_every_attempt() -> Reports {
        Reports { of_every_attempt: true, ..Reports::default() }
    }

    /// Reads a fact; at the end of an operation that ended well gives what it reported.
    pub(super) fn read(&mut self, at: Time, fact: &Fact) -> Option<Vec<Report>> {
        match *fact {
            Fact::Invoked { operation, .. } => {
                let reports = self.spare.pop().unwrap_or_default();
                self.open.insert(operation, Open { reports, blurred: false });
                None
            }
            Fact::Retried { operation, status, .. } => {
                let open = self.open.get_mut(&operation)?;
                open.blurred |= status.is_ambiguous();
                // What was not committed was rolled back.
                open.reports.retain(|report| report.tx != Some(TxId(0)));
                None
            }
            Fact::Committed { operation, log, .. } => {
                let open = self.open.get_mut(&operation?)?;
                for report in open.reports.iter_mut().filter(|of| of.tx == Some(TxId(0))) {
                    report.tx = Some(log.tx);
                }
                None
            }
            Fact::Observed { .. } => {
                let (operation, report) = Report::of(at, fact)?;
                self.open.get_mut(&operation)?.reports.push(report);
                None
            }
            Fact::Completed { operation, outcome, attempts, .. } => {
                let Open { mut reports, blurred } = self.open.remove(&operation)?;
                if outcome != OperationOutcome::Ok {
                    reports.clear();
                }
                let earlier = self.of_every_attempt && !blurred;
                reports.retain(|report| report.attempt == attempts || earlier);
                if blurred {
                    reports.iter_mut().for_each(|report| report.tx = None);
                }
                if reports.is_empty() {
                    self.spare.push(reports);
                    return None;
                }
                Some(reports)
            }
            _ => None,
        }
    }

    /// A new reign begins with that transaction as its last: what was done by later ones is gone.
    pub(super) fn cut(&mut self, last: TxId) {
        for open in self.open.values_mut() {
            open.reports.retain(|report| report.tx.is_none_or(|tx| tx <= last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether some operation of the scenario is silent when one of these steps is there.
    fn is_silent(steps: &str) -> bool {
        let plan = crate::testing::plan_with(&format!(
            "[[operation]]\nname = \"own\"\nsteps = [\"match u(id = $me); lock u; {steps}\"]\n\
             [[clients]]\nname = \"rest\"\narrivals = {{ poisson = \"1/s\" }}\n\
             workload = \"social\"\nmix = {{ own = 1 }}\n"
        ));
        silent(&plan, "n") == Some("own")
    }

    #[test]
    fn who_reports_under_other_tests_than_it_writes_under_is_silent() {
        assert!(!is_silent("set u.n = u.n + 1; return wrote u.n"));
        assert!(!is_silent("done if u:Gone; set u.n = u.n + 1; return wrote u.n"));
        assert!(is_silent("set u.n = u.n + 1"));
        assert!(is_silent("let n = u.n; if n < 3 then set u.n = n + 1; return wrote u.n"));
        assert!(is_silent("set u.n = u.n + 1; done if u:Gone; return wrote u.n"));
        assert!(is_silent("set u.n = u.n + 1\", \"commit\", \"return wrote u.n"));
    }

    #[test]
    fn what_is_merged_leads_to_where_its_arrow_ends() {
        for (path, ends) in [("(a)-[:PAIR]->(b)", 1), ("(a)<-[:PAIR]-(b)", 0)] {
            let plan = crate::testing::plan_with(&format!(
                "[[operation]]\nname = \"own\"\n\
                 steps = [\"match a(id = $me); match b(id = $other); merge {path}\"]\n\
                 [[clients]]\nname = \"rest\"\narrivals = {{ poisson = \"1/s\" }}\n\
                 workload = \"social\"\nmix = {{ own = 1 }}\n"
            ));
            let own =
                plan.operations.iter().find(|program| program.name == "own").expect("it is there");
            let nodes = own.steps.iter().filter_map(|step| match step {
                OperationStep::Node { into, .. } => Some(*into),
                _ => None,
            });
            let nodes: Vec<_> = nodes.collect();
            assert_eq!(own.leads_to("PAIR").collect::<Vec<_>>(), [nodes[ends]], "{path}");
        }
    }
}
