//! The state of the cluster at one moment, as text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use wavetank_vocabulary::{
    Classes, Fact, FaultId, FaultKind, InstanceId, Observer, Role, Seq, Time,
};
use wavetank_world::{BaseGraph, Phase, Plan, World};

/// More operations under way than this are counted only.
const MOST_TOLD: usize = 20;

/// Suspicions and faults, as they come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    suspects: BTreeMap<InstanceId, Vec<InstanceId>>,
    faults: BTreeMap<(FaultId, InstanceId, Option<InstanceId>), (FaultKind, Time)>,
}

impl Observer for Now {
    fn interests(&self) -> Classes {
        Classes::CLUSTER | Classes::FAULTS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Suspected { by, whom } => self.suspects.entry(by).or_default().push(whom),
            Fact::Cleared { by, whom } => {
                self.suspects.entry(by).or_default().retain(|other| *other != whom);
            }
            Fact::RoleChanged { instance, to: Role::Down, .. } => {
                self.suspects.remove(&instance);
            }
            Fact::FaultBegan { fault, kind, on, peer } => {
                self.faults.insert((fault, on, peer), (kind, at));
            }
            Fact::FaultEnded { fault, on, peer, .. } => {
                self.faults.remove(&(fault, on, peer));
            }
            _ => {}
        }
    }
}

fn ids(ids: &[InstanceId]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
    if ids.is_empty() { "-".to_owned() } else { ids.join(", ") }
}

/// Plays a Plan up to a moment: everything of that moment has happened, and nothing after it.
pub(super) fn played(plan: &Arc<Plan>, base: &Arc<BaseGraph>, at: Time) -> World<Now> {
    let mut world = World::new(plan.clone(), base.clone(), Now::default());
    while world.next_at().is_some_and(|next| next <= at) && world.advance(1) {}
    world
}

/// Plays a Plan up to a moment and tells how things stand: roles, logs, beliefs, faults and
/// operations under way.
pub fn moment(plan: &Arc<Plan>, base: &Arc<BaseGraph>, at: Time) -> String {
    let world = played(plan, base, at);
    let phase = match world.phase() {
        Phase::Running => "clients and faults are at work",
        Phase::Healing => "everything is healed, and has to recover",
        Phase::Done => "the run is over",
    };
    let mut text = format!("{} seed {} at {at}: {phase}\n\n", plan.name, plan.seed);
    let now = world.observer();
    let head =
        ["instance", "role", "last tx", "master", "suspects", "failed", "open tx", "waits for"];
    let mut rows = vec![head.map(str::to_owned)];
    for member in world.members() {
        let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let suspects = now.suspects.get(&member.id).map_or(&[][..], Vec::as_slice);
        rows.push([
            member.id.0.to_string(),
            member.role.name().to_owned(),
            dash(member.last_tx.map(|tx| tx.0.to_string())),
            dash(member.master.map(|master| master.0.to_string())),
            ids(suspects),
            ids(&member.failed),
            member.open_transactions.to_string(),
            dash(member.waits_for.map(str::to_owned)),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text += "\nfaults active:\n";
    for ((fault, on, peer), (kind, since)) in &now.faults {
        let peer = peer.map_or_else(String::new, |peer| format!(" from {}", peer.0));
        let _ = writeln!(text, "  {} {} on {}{peer} since {since}", fault.0, kind.name(), on.0);
    }
    if now.faults.is_empty() {
        text += "  none\n";
    }
    let under_way = world.operations_under_way();
    let _ = writeln!(text, "\noperations under way: {}", under_way.len());
    for view in under_way.iter().take(MOST_TOLD) {
        let client = plan.clients.get(usize::from(view.operation.client.0));
        let name = plan.operations.get(view.kind.index()).map_or("", |program| &program.name);
        let place = view.at.map_or_else(|| "on its way".to_owned(), |id| format!("at {}", id.0));
        let _ = writeln!(
            text,
            "  {}.{name} {}: due at {}, attempt {}, {place}",
            client.map_or("", |client| &client.name),
            view.operation.index,
            view.intended,
            view.attempt
        );
    }
    text
}
