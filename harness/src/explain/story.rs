//! Writing a run down, and telling what was written: one row for each thing that happened, one
//! column for each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use wavetank_reports::sentence;
use wavetank_vocabulary::{
    Classes, Fact, InstanceId, Observer, OperationId, Role, Seq, Time, TxId,
};
use wavetank_world::{MemberView, Plan};

use super::{Evidence, Finding};

/// What a member is and believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Belief {
    pub(super) id: InstanceId,
    pub(super) role: Role,
    pub(super) master: Option<InstanceId>,
    pub(super) suspects: BTreeSet<InstanceId>,
    pub(super) failed: Vec<InstanceId>,
}

/// Something that happened, and how things stood afterwards.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) at: Time,
    pub(super) fact: Fact,
    /// Whether it is about an operation that proves the violation.
    pub(super) is_evidence: bool,
    pub(super) members: Vec<Belief>,
}

/// Writes down what may matter.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    watched: BTreeSet<OperationId>,
    /// Transactions of the watched operations, and who was seen to have them.
    transactions: BTreeMap<TxId, BTreeSet<InstanceId>>,
    suspects: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    rows: Vec<Row>,
    /// How many rows have the beliefs of their moment.
    believed: usize,
}

impl Witness {
    pub(super) fn new(plan: &Plan, evidence: &Evidence) -> Self {
        Witness {
            watched: evidence.operations.iter().copied().collect(),
            transactions: BTreeMap::new(),
            suspects: plan.instances.iter().map(|i| (i.id, BTreeSet::new())).collect(),
            rows: Vec::new(),
            believed: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Notes what the members are and believe after the last event.
    pub(super) fn believe(&mut self, members: &[MemberView]) {
        let beliefs: Vec<Belief> = members
            .iter()
            .map(|member| Belief {
                id: member.id,
                role: member.role,
                master: member.master,
                suspects: match member.role {
                    Role::Down => BTreeSet::new(),
                    _ => self.suspects.get(&member.id).cloned().unwrap_or_default(),
                },
                failed: member.failed.clone(),
            })
            .collect();
        for row in &mut self.rows[self.believed..] {
            row.members.clone_from(&beliefs);
        }
        self.believed = self.rows.len();
    }

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// Whether a fact belongs to a watched operation.
    fn is_evidence(&mut self, fact: &Fact) -> bool {
        match *fact {
            Fact::Invoked { operation, .. }
            | Fact::Retried { operation, .. }
            | Fact::Served { operation, .. }
            | Fact::Completed { operation, .. } => self.watched.contains(&operation),
            Fact::Logged { instance, log, operation: Some(operation), .. } => {
                let watched = self.watched.contains(&operation);
                if watched {
                    self.transactions.entry(log.tx).or_default().insert(instance);
                }
                watched
            }
            Fact::Committed { operation: Some(operation), .. } => self.watched.contains(&operation),
            Fact::Applied { instance, log, .. } => {
                // The batch with which it came to this instance.
                let mut news = false;
                for (_, has) in self.transactions.range_mut(..=log.tx) {
                    news |= has.insert(instance);
                }
                news
            }
            Fact::Pushed { tx, .. } => self.transactions.contains_key(&tx),
            _ => false,
        }
    }
}

impl Observer for Witness {
    fn interests(&self) -> Classes {
        let all = Classes::CLUSTER | Classes::FAULTS | Classes::STORE;
        if self.watched.is_empty() {
            return all;
        }
        all | Classes::TRANSACTIONS | Classes::OPERATIONS | Classes::TIMES
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Suspected { by, whom } => {
                self.suspects.entry(by).or_default().insert(whom);
            }
            Fact::Cleared { by, whom } => {
                self.suspects.entry(by).or_default().remove(&whom);
            }
            Fact::RoleChanged { instance, to: Role::Down, .. } => {
                self.suspects.entry(instance).or_default().clear();
            }
            _ => {}
        }
        let is_evidence = self.is_evidence(fact);
        let told = match fact {
            Fact::Checkpoint { .. } => false,
            // Only the beginning and the end of a copy.
            Fact::StoreCopy { pages, done, .. } => *done || *pages == 0,
            _ => !matches!(
                fact.class(),
                Classes::TRANSACTIONS | Classes::OPERATIONS | Classes::TIMES
            ),
        };
        if told || is_evidence {
            self.rows.push(Row { at, fact: *fact, is_evidence, members: Vec::new() });
        }
    }
}

/// What a member is, whom it takes for master, whom it suspects (~) and holds for failed (!).
fn cell(belief: &Belief) -> String {
    let mut text = belief.role.name().to_owned();
    if let Some(master) = belief.master.filter(|master| *master != belief.id) {
        let _ = write!(text, " of {}", master.0);
    }
    for whom in belief.suspects.iter().filter(|whom| !belief.failed.contains(whom)) {
        let _ = write!(text, " ~{}", whom.0);
    }
    for whom in &belief.failed {
        let _ = write!(text, " !{}", whom.0);
    }
    text
}

/// A row of text: time, what changed at whom, what happened.
struct Line {
    at: String,
    cells: Vec<String>,
    text: String,
}

/// The story as text.
pub(super) fn render(plan: &Plan, finding: &Finding, rows: &[Row]) -> String {
    let mut text = format!("{} seed {}\n", plan.name, plan.seed);
    match &finding.result {
        Some(result) => {
            let _ = writeln!(text, "{} {}: {}", result.check, result.verdict.name(), result.why);
        }
        None => text += "every expectation held\n",
    }
    if let Some(waiting) = &finding.waiting {
        let _ = writeln!(text, "the cluster did not recover: {waiting}");
    }
    let lines = lines(rows);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.cells.get(column));
        cells.map(String::len).max().unwrap_or(0).max(4)
    };
    let widths: Vec<usize> = (0..plan.total()).map(width).collect();
    text += "\nA column for each instance: its role, of whom, ~ suspects, ! counts as failed; a\n\
             point where nothing changed.\n\n";
    let mut head = format!("{:>12}", "time");
    for (instance, width) in plan.instances.iter().zip(&widths) {
        let _ = write!(head, "  {:<width$}", instance.id.0);
    }
    let _ = writeln!(text, "{}", head.trim_end());
    for line in &lines {
        let mut row = format!("{:>12}", line.at);
        for (cell, width) in line.cells.iter().zip(&widths) {
            let _ = write!(row, "  {cell:<width$}");
        }
        let _ = writeln!(text, "{row}  {}", line.text);
    }
    text
}

fn lines(rows: &[Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut before: Vec<String> = Vec::new();
    for row in rows {
        let cells: Vec<String> = row.members.iter().map(cell).collect();
        let changed: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(column, cell)| match before.get(column) {
                Some(same) if same == cell => ".".to_owned(),
                _ => cell.clone(),
            })
            .collect();
        before = cells;
        let at = row.at.to_string();
        let text = sentence(&row.fact);
        match lines.last_mut() {
            // What happened in the same event stands together.
            Some(last) if last.at == at && changed.iter().all(|cell| cell == ".") => {
                let _ = write!(last.text, "; {text}");
            }
            _ => lines.push(Line { at, cells: changed, text }),
        }
    }
    lines
}
