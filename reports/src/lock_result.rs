//! The locks of a run in `result.json`, in the report and in the summary.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use serde::{Deserialize, Serialize};
use wavetank_vocabulary::{Locked, OperationKind, Span};
use wavetank_world::{GraphSource, Plan};

use crate::locks::{LockBook, LockStats, Waits};
use crate::words::{counted, grouped, millis};

/// The width of the longest bar.
const WIDTH: f64 = 300.0;

/// What was waited for at the locks, over the whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LocksResult {
    /// Waits that are over.
    #[serde(flatten)]
    pub all: WaitsResult,
    /// Whether no lock was left out for want of room: else what is said about single locks may
    /// be too little.
    pub complete: bool,
    /// The ten locks that were waited for longest, hottest first.
    pub hottest: Vec<LockResult>,
    /// Who waited behind whom, longest first.
    pub pairs: Vec<PairResult>,
    /// The first twenty victims of deadlocks.
    pub victims: Vec<VictimResult>,
}

/// Waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitsResult {
    /// How many.
    pub waits: u64,
    /// How long they took together.
    pub waited_ms: f64,
    /// The longest.
    pub longest_wait_ms: f64,
    /// How many ended without the lock.
    pub given_up: u64,
    /// How many requests were refused because they would have closed a cycle of waits.
    pub deadlocks: u64,
}

/// One lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockResult {
    /// `ha.server_id` of whose lock it is.
    pub instance: u16,
    /// What is locked: `node`, `relationship`, `tokens`, `schema`, `index entry`.
    pub kind: String,
    /// Its number; null where there is one only.
    pub id: Option<u64>,
    /// The label that the node began with; null when that is not known.
    pub label: Option<String>,
    /// How often it was held and released.
    pub acquisitions: u64,
    /// How long it was held by all together.
    pub held_ms: f64,
    /// The longest time that one held it.
    pub longest_hold_ms: f64,
    /// The waits for it.
    #[serde(flatten)]
    pub waits: WaitsResult,
}

/// Operations that waited behind others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairResult {
    /// The operation that waited; null for what no client asked for.
    pub waiter: Option<String>,
    /// The one that held the lock, or stood last in its queue, when the wait began.
    pub behind: Option<String>,
    /// The waits.
    #[serde(flatten)]
    pub waits: WaitsResult,
}

/// The victim of a deadlock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VictimResult {
    /// When, in seconds from the start.
    pub at_s: f64,
    /// Where.
    pub instance: u16,
    /// The lock that would have closed the cycle.
    pub lock: String,
    /// The operation by its number, such as `c0#17`; null for what no client asked for.
    pub operation: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Who held the lock, or stood last in its queue.
    pub behind: Option<String>,
}

fn ms(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e6
}

impl From<&Waits> for WaitsResult {
    fn from(waits: &Waits) -> Self {
        WaitsResult {
            waits: waits.count,
            waited_ms: ms(waits.total),
            longest_wait_ms: ms(waits.longest),
            given_up: waits.given_up,
            deadlocks: waits.deadlocks,
        }
    }
}

impl LocksResult {
    /// What the book says, with the names of the Plan.
    pub fn new(plan: &Plan, book: &LockBook) -> Self {
        let name = |kind: Option<OperationKind>| {
            plan.operations.get(kind?.index()).map(|program| program.name.clone())
        };
        // The users come first in every graph.
        let users = match &plan.graph.source {
            GraphSource::Social { users, .. } => u64::from(*users),
            GraphSource::Edges { edges, .. } => u64::from(edges.nodes),
        };
        let lock = |stats: &LockStats| LockResult {
            instance: stats.instance.0,
            kind: stats.lock.kind().to_owned(),
            id: stats.lock.id(),
            label: match stats.lock {
                Locked::Node(node) if node.0 < users => Some(String::from("User")),
                _ => None,
            },
            acquisitions: stats.acquisitions,
            held_ms: ms(stats.held),
            longest_hold_ms: ms(stats.longest_hold),
            waits: (&stats.waits).into(),
        };
        LocksResult {
            all: book.all().into(),
            complete: book.left_out() == 0,
            hottest: book.hottest().iter().map(lock).collect(),
            pairs: book
                .pairs()
                .iter()
                .map(|((waiter, behind), waits)| PairResult {
                    waiter: name(*waiter),
                    behind: name(*behind),
                    waits: waits.into(),
                })
                .collect(),
            victims: book
                .victims()
                .iter()
                .map(|victim| VictimResult {
                    at_s: victim.at.as_secs_f64(),
                    instance: victim.instance.0,
                    lock: victim.lock.to_string(),
                    operation: victim.operation.map(|operation| operation.to_string()),
                    name: name(victim.pair.0),
                    behind: name(victim.pair.1),
                })
                .collect(),
        }
    }

    /// For the summary: only where waits took a thousandth of the time that was played, or
    /// there were deadlocks.
    pub(crate) fn sentence(&self, simulated_seconds: f64) -> Option<String> {
        let WaitsResult { waits, waited_ms, longest_wait_ms, deadlocks, .. } = &self.all;
        if *deadlocks == 0 && *waited_ms < simulated_seconds {
            return None;
        }
        let mut text = format!(
            "Locks: {}, {} ms in all, {} ms the longest; {}",
            counted(*waits, "wait"),
            millis(Some(*waited_ms)),
            millis(Some(*longest_wait_ms)),
            counted(*deadlocks, "deadlock"),
        );
        if let Some(hottest) = self.hottest.first() {
            let part = 100.0 * hottest.waits.waited_ms / waited_ms.max(1e-9);
            let _ = write!(text, ". Hottest: {}, {part:.0} % of the waiting", hottest.name());
        }
        if let Some(pair) = self.pairs.first() {
            let _ = write!(text, ", mostly {}", pair.in_words());
        }
        text.push('.');
        Some(text)
    }
}

impl LockResult {
    fn name(&self) -> String {
        let label = self.label.as_ref().map(|label| format!(":{label}")).unwrap_or_default();
        let id = self.id.map(|id| format!(" {id}")).unwrap_or_default();
        format!("{}{label}{id} at i{}", self.kind, self.instance)
    }
}

impl PairResult {
    fn in_words(&self) -> String {
        format!("{} behind {}", who(&self.waiter), who(&self.behind))
    }
}

fn who(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("what no client asked for")
}

/// The hottest locks, who waited behind whom, the victims.
pub(crate) fn locks(result: &LocksResult) -> Markup {
    let longest = result.hottest.iter().map(|l| l.waits.waited_ms).fold(1e-9, f64::max);
    let none = result.hottest.is_empty();
    html! {
        h2 #locks { "Locks" }
        @if none {
            p { "No transaction waited for a lock." }
        } @else {
            p.soft {
                (counted(result.all.waits, "wait")) " over the whole run, "
                (millis(Some(result.all.waited_ms))) " ms together, "
                (counted(result.all.given_up, "wait")) " given up, "
                (counted(result.all.deadlocks, "deadlock"))
                ". A lock is held to the end of its transaction. Who waits stands behind whoever holds the lock at that moment."
                @if !result.complete { " There were more locks than could be kept: those here may have been waited for, and held, somewhat longer." }
            }
            h3 { "The hottest" }
            div.scroll { table.spent {
                thead { tr {
                    th { "Lock" } th.n { "Waited, ms" } th.n { "waits" } th.n { "longest, ms" } th.n { "given up" }
                    th.n { "deadlocks" } th.n { "acquisitions" } th.n { "Held, ms" } th.n { "longest, ms" } th { "Waited" }
                } }
                tbody { @for lock in &result.hottest {
                    tr {
                        th { (lock.name()) }
                        td.n { (millis(Some(lock.waits.waited_ms))) }
                        (waits(&lock.waits))
                        td.n { (grouped(lock.acquisitions)) }
                        td.n { (millis(Some(lock.held_ms))) }
                        td.n { (millis(Some(lock.longest_hold_ms))) }
                        td { (bar(lock.waits.waited_ms / longest)) }
                    }
                } }
            } }
            h3 { "Who waited behind whom" }
            div.scroll { table {
                thead { tr {
                    th { "Waiting" } th { "Behind" } th.n { "Waited, ms" } th.n { "waits" } th.n { "longest, ms" }
                    th.n { "given up" } th.n { "deadlocks" }
                } }
                tbody { @for pair in &result.pairs {
                    tr {
                        td { (who(&pair.waiter)) }
                        td { (who(&pair.behind)) }
                        td.n { (millis(Some(pair.waits.waited_ms))) }
                        (waits(&pair.waits))
                    }
                } }
            } }
            @if !result.victims.is_empty() {
                h3 { "Victims of deadlocks" @if result.all.deadlocks > result.victims.len() as u64 { ", the first " (result.victims.len()) } }
                div.scroll { table {
                    thead { tr { th.n { "At, s" } th { "At" } th { "Operation" } th { "Wanted" } th { "Behind" } } }
                    tbody { @for victim in &result.victims {
                        tr {
                            td.n { (format!("{:.3}", victim.at_s)) }
                            td { "i" (victim.instance) }
                            td { (who(&victim.name)) @if let Some(operation) = &victim.operation { " " (operation) } }
                            td { (victim.lock) }
                            td { (who(&victim.behind)) }
                        }
                    } }
                } }
            }
        }
    }
}

fn waits(waits: &WaitsResult) -> Markup {
    html! {
        td.n { (grouped(waits.waits)) }
        td.n { (millis(Some(waits.longest_wait_ms))) }
        td.n { (grouped(waits.given_up)) }
        td.n { (grouped(waits.deadlocks)) }
    }
}

fn bar(part: f64) -> Markup {
    let width = WIDTH * part;
    PreEscaped(format!(
        "<svg class=\"bar\" viewBox=\"0 0 300 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect fill=\"var(--p4)\" x=\"0\" y=\"0\" width=\"{width:.1}\" height=\"12\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::{Fact, InstanceId, NodeId, RelationshipId, Time};

    use super::*;

    /// 30 ms for a user, 10 ms for a relationship, and a deadlock.
    fn result() -> LocksResult {
        let mut book = LockBook::default();
        let (instance, operation) = (InstanceId(2), None);
        let kinds = [OperationKind(0), OperationKind(1)].map(Some);
        let waited = |lock, ms| Fact::LockWaited {
            instance,
            lock,
            operation,
            kind: kinds[0],
            behind: kinds[1],
            waited: Span::from_millis(ms),
            granted: true,
        };
        let relationship = Locked::Relationship(RelationshipId(7));
        book.observe(Time::ZERO, &waited(Locked::Node(NodeId(3)), 30));
        book.observe(Time::ZERO, &waited(relationship, 10));
        let (kind, behind) = (kinds[1], None);
        let lock = relationship;
        book.observe(Time::ZERO, &Fact::Deadlock { instance, lock, operation, kind, behind });
        LocksResult::new(&crate::synthetic::plan(60), &book)
    }

    #[test]
    fn the_summary_speaks_of_locks_only_where_waits_matter() {
        let mut result = result();
        let sentence = result.sentence(60.0).expect("there was a deadlock");
        let names = ["node:User 3 at i2, 75 % of the waiting", "2 waits, 40.0 ms in all"];
        assert!(names.iter().all(|words| sentence.contains(words)), "{sentence}");
        result.all.deadlocks = 0;
        assert!(result.sentence(39.0).is_some());
        assert_eq!(result.sentence(41.0), None);
    }

    #[test]
    fn the_tables_name_locks_operations_and_victims() {
        let result = result();
        let page = locks(&result).into_string();
        let plan = crate::synthetic::plan(60);
        let names = [&plan.operations[0].name, &plan.operations[1].name];
        for words in ["node:User 3 at i2", "relationship 7 at i2", "Victims", names[0], names[1]] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(page.contains("what no client asked for"));
        assert!(locks(&LocksResult::default()).into_string().contains("No transaction waited"));
    }
}
