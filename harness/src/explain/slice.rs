//! Which of the rows matter: read backwards from the violation, a row matters if it touches an
//! operation that proves it or an instance that is involved, and what it touches besides is
//! involved from there on.

use std::collections::BTreeSet;

use wavetank_vocabulary::{Fact, InstanceId, Role, Time};
use wavetank_world::Plan;

use super::Finding;
use super::story::Row;

/// The rows that matter, in order. They begin with the last calm moment before the first trouble.
pub(super) fn matters(plan: &Plan, finding: &Finding, rows: Vec<Row>) -> Vec<Row> {
    let end = finding.evidence.at.unwrap_or(Time::from_nanos(u64::MAX));
    let begin = calm_before(plan, &rows);
    let mut involved: BTreeSet<InstanceId> = finding.evidence.instances.iter().copied().collect();
    let everybody = involved.is_empty() && finding.evidence.operations.is_empty();
    if everybody {
        involved.extend(plan.instances.iter().map(|instance| instance.id));
    }
    if finding.evidence.at.is_none() {
        // What only the end shows is about those that had it, and about who decides then.
        let had = rows.iter().filter(|row| row.is_evidence).flat_map(|row| touched(&row.fact));
        involved.extend(had.flatten());
        let last = rows.last().into_iter().flat_map(|row| &row.members);
        involved.extend(last.filter(|member| member.role == Role::Master).map(|member| member.id));
    }
    let mut kept: Vec<Row> = Vec::new();
    for row in rows.into_iter().skip(begin).rev() {
        if row.at > end {
            continue;
        }
        let touched = touched(&row.fact);
        let matters = match row.fact {
            Fact::Healed | Fact::Converged => true,
            // Facts of operations are only there when they are evidence.
            _ if row.is_evidence => true,
            _ => touched.iter().flatten().any(|id| involved.contains(id)),
        };
        if matters {
            involved.extend(touched.into_iter().flatten());
            kept.push(row);
        }
    }
    kept.reverse();
    kept
}

/// The place of the last row at which the cluster was whole and nothing was wrong, before the
/// first fault or operation that is told. Where neither is, the trouble may have begun anywhere.
fn calm_before(plan: &Plan, rows: &[Row]) -> usize {
    let trouble =
        rows.iter().position(|row| row.is_evidence || matches!(row.fact, Fact::FaultBegan { .. }));
    let Some(trouble) = trouble else { return 0 };
    let whole = |row: &Row| {
        let count = |role| row.members.iter().filter(|member| member.role == role).count();
        count(Role::Master) == 1 && count(Role::Slave) + 1 == plan.total()
    };
    rows[..trouble].iter().rposition(whole).unwrap_or(0)
}

/// Whom a fact is about.
fn touched(fact: &Fact) -> [Option<InstanceId>; 2] {
    match *fact {
        Fact::Suspected { by, whom }
        | Fact::Cleared { by, whom }
        | Fact::MemberFailed { by, whom }
        | Fact::MemberAlive { by, whom } => [Some(by), Some(whom)],
        Fact::ElectionBegan { elector, .. } => [Some(elector), None],
        Fact::ElectionEnded { elector, winner, .. } => [Some(elector), winner],
        Fact::Branched { instance, master, .. } | Fact::StoreCopy { instance, master, .. } => {
            [Some(instance), Some(master)]
        }
        Fact::Pushed { instance, to, .. } => [Some(instance), Some(to)],
        Fact::FaultBegan { on, peer, .. } | Fact::FaultEnded { on, peer, .. } => [Some(on), peer],
        Fact::RoleChanged { instance, .. }
        | Fact::EpochBegan { instance, .. }
        | Fact::ValuesDiffer { instance, .. }
        | Fact::BranchDiscarded { instance, .. }
        | Fact::Recovered { instance, .. }
        | Fact::Checkpoint { instance, .. }
        | Fact::StoreFailed { instance }
        | Fact::Logged { instance, .. }
        | Fact::Committed { instance, .. }
        | Fact::Applied { instance, .. }
        | Fact::Served { instance, .. } => [Some(instance), None],
        Fact::Completed { instance, .. } => [instance, None],
        _ => [None, None],
    }
}
