//! How a soak ends: every store is looked into, and every process ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wavetank_vocabulary::{Fact, InstanceId, LogMark, Observer, Role, Time};

use super::merge::HOLD;
use super::{Event, Field, SoakConfig, SoakError, Soaked, TICK};
use crate::wire::control::Down;

/// How long the nodes may take to look into their stores.
const AUDIT_MOST: Duration = Duration::from_secs(120);

impl<O: Observer> Field<O> {
    /// Has every store looked into; false when it was broken off.
    pub(super) fn audit(
        &mut self,
        config: &SoakConfig,
        go_on: &mut impl FnMut(Time, u64) -> bool,
    ) -> Result<bool, SoakError> {
        let asked: BTreeSet<InstanceId> = self
            .nodes
            .iter()
            .filter(|node| self.world.outside_runs(node.id) && node.tell(Down::Audit))
            .map(|node| node.id)
            .collect();
        for instance in &self.plan.clone().instances {
            if !instance.arbiter && !asked.contains(&instance.id) {
                let fact = Fact::Final {
                    instance: instance.id,
                    role: Role::Down,
                    log: LogMark::default(),
                    contents: None,
                    open_transactions: 0,
                };
                let now = self.clock.time();
                self.world.observer_mut().take(now, fact);
            }
        }
        let began = Instant::now();
        while !asked.is_subset(&self.audited) {
            if began.elapsed() > AUDIT_MOST {
                let missing: Vec<String> =
                    asked.difference(&self.audited).map(ToString::to_string).collect();
                self.notes.push(format!("no word of its store came from {}.", missing.join(", ")));
                break;
            }
            if !go_on(self.clock.time(), self.world.observer().told()) || self.over(config) {
                return Ok(false);
            }
            self.children()?;
            let gone = |id: &InstanceId| self.audited.contains(id) || !self.world.outside_runs(*id);
            if asked.iter().all(gone) {
                break;
            }
            let Ok(event) = self.events.recv_timeout(TICK) else { continue };
            if let Event::Told { id, pid, what } = event {
                self.told(id, pid, what);
            }
        }
        Ok(true)
    }

    pub(super) fn finish(mut self, interrupted: bool) -> Soaked<O> {
        let recovered = self.world.converged();
        let waiting = if recovered || interrupted { None } else { self.world.waits_for() };
        let ended = self.world.now();
        for node in &mut self.nodes {
            if let Err(error) = node.kill() {
                self.notes.push(format!("node {} could not be killed: {error}", node.id.0));
            }
        }
        let Field { world, mut notes, sizes, deaths, .. } = self;
        let merge = world.into_observer();
        let facts = merge.told();
        let (observer, late) = merge.finish();
        if late > 0 {
            notes.push(format!(
                "{late} facts came more than {} ms late and were told out of their order; a verdict that \
                 hangs on what happened first may be wrong.",
                HOLD.as_millis()
            ));
        }
        Soaked { observer, recovered, waiting, ended, interrupted, facts, notes, sizes, deaths }
    }
}
