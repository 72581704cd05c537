//! The steps by which a Plan gets smaller. Each gives a changed copy; whether that still fails
//! is for others to find out.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wavetank_vocabulary::{Bytes, ClientId, FaultId, InstanceId, OperationId, Ratio, Span, Time};
use wavetank_world::{
    CostTable, FaultPlan, GraphSource, Members, Plan, RetryPlan, Settings, Target,
};

/// The Plan with one expectation, or none.
pub(super) fn only_expectation(plan: &Plan, index: Option<usize>) -> Plan {
    let kept = index.and_then(|index| plan.expectations.get(index)).cloned();
    Plan { expectations: kept.into_iter().collect(), ..plan.clone() }
}

/// The Plan without one expectation.
pub(super) fn without_expectation(plan: &Plan, at: usize) -> Plan {
    let mut plan = plan.clone();
    plan.expectations.remove(at);
    plan
}

/// The Plan as if it had ended sooner: what would begin later is gone, what would last longer
/// lasts to the end.
pub(super) fn shortened(plan: &Plan, duration: Span) -> Plan {
    let end = Time::ZERO + duration;
    let mut plan = Plan { duration, ..plan.clone() };
    plan.faults.retain(|fault| fault.at < end);
    for fault in &mut plan.faults {
        if fault.lasts.is_some_and(|lasts| fault.at + lasts > end) {
            fault.lasts = None;
        }
    }
    plan.warm_up = plan.warm_up.min(duration.saturating_sub(Span::from_secs(1)));
    plan
}

/// The Plan with all faults, and the end, so much earlier.
pub(super) fn earlier(plan: &Plan, by: Span) -> Plan {
    let mut plan = plan.clone();
    plan.duration = plan.duration.saturating_sub(by);
    for fault in &mut plan.faults {
        fault.at = Time::ZERO + fault.at.since(Time::ZERO).saturating_sub(by);
    }
    plan
}

/// When the first fault begins, or is waited for.
pub(super) fn first_fault(plan: &Plan) -> Span {
    plan.faults.iter().map(|fault| fault.at.since(Time::ZERO)).min().unwrap_or_default()
}

/// The Plan with these faults of its own.
pub(super) fn with_faults(plan: &Plan, faults: &[FaultPlan]) -> Plan {
    Plan { faults: faults.to_vec(), ..plan.clone() }
}

/// The Plan with a fault on the instance that it was seen to hit.
pub(super) fn pinned(
    plan: &Plan,
    fault: FaultId,
    hit: &BTreeMap<FaultId, BTreeSet<InstanceId>>,
) -> Option<Plan> {
    let hit = hit.get(&fault).filter(|hit| hit.len() == 1)?.first().copied()?;
    let mut plan = plan.clone();
    let fault = plan.faults.iter_mut().find(|planned| planned.id == fault)?;
    let target = Target::Instance(hit);
    if fault.target == target {
        return None;
    }
    fault.target = target;
    Some(plan)
}

/// The Plan with a change to one fault; none when that changes nothing.
pub(super) fn with_fault(
    plan: &Plan,
    index: usize,
    change: impl FnOnce(&mut FaultPlan),
) -> Option<Plan> {
    let mut changed = plan.clone();
    change(changed.faults.get_mut(index)?);
    (changed != *plan).then_some(changed)
}

/// The Plan without the instance at that place; those after it move up, for ids have no gaps.
/// None when a fault names it, or nobody would be left.
pub(super) fn without_instance(plan: &Plan, index: usize) -> Option<Plan> {
    let mut plan = plan.clone();
    if index >= plan.instances.len() || plan.instances.len() == 1 {
        return None;
    }
    let gone = plan.instances.remove(index).id;
    let moved = |id: InstanceId| match id.0.cmp(&gone.0) {
        Ordering::Less => Some(id),
        Ordering::Equal => None,
        Ordering::Greater => Some(InstanceId(id.0 - 1)),
    };
    for instance in &mut plan.instances {
        instance.id = moved(instance.id)?;
    }
    let members = |of: Members| of.iter().filter_map(moved).fold(Members::default(), Members::with);
    let target = |target: Target| match target {
        Target::Instance(id) => moved(id).map(Target::Instance),
        Target::Several(all) => {
            Some(members(all)).filter(|some| !some.is_empty()).map(Target::Several)
        }
        other => Some(other),
    };
    for fault in &mut plan.faults {
        fault.target = target(fault.target)?;
        fault.peer = match fault.peer {
            Some(peer) => Some(target(peer)?),
            None => None,
        };
        fault.strength.hosts = fault.strength.hosts.map(members);
    }
    Some(plan)
}

/// The Plan without a population of clients. The others keep their names but not their
/// numbers, from which their streams come.
pub(super) fn without_client(plan: &Plan, index: usize) -> Plan {
    let mut plan = plan.clone();
    plan.clients.remove(index);
    plan
}

/// The Plan with these operations only.
pub(super) fn with_operations(plan: &Plan, operations: &[OperationId]) -> Plan {
    let mut plan = plan.clone();
    for (number, client) in plan.clients.iter_mut().enumerate() {
        let own = operations.iter().filter(|id| id.client == ClientId(number as u16));
        let mut only: Vec<u32> = own.map(|id| id.index).collect();
        only.sort_unstable();
        only.dedup();
        client.only = Some(only);
        client.skip.clear();
    }
    plan
}

/// The Plan with all operations that its clients draw.
pub(super) fn with_all_operations(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.clients.iter_mut().for_each(|client| client.only = None);
    plan
}

/// How many operations a Plan names; none when it does not name all of them.
pub(super) fn operations(plan: &Plan) -> Option<usize> {
    plan.clients.iter().map(|client| client.only.as_ref().map(Vec::len)).sum()
}

/// A step towards what is usual.
pub(super) type Plainer = fn(&mut Plan);

/// Steps towards what is usual, each to be tried on its own.
pub(super) const PLAINER: [Plainer; 8] = [
    |plan| plan.settings = Settings::defaults(plan.settings.compat()),
    |plan| plan.instances.iter_mut().for_each(|instance| instance.settings = None),
    |plan| plan.instances.iter_mut().for_each(|instance| instance.slave_only = false),
    |plan| plan.instances.iter_mut().for_each(|instance| instance.datacentre = 0),
    |plan| plan.costs = CostTable::assumed(),
    |plan| plan.clients.iter_mut().for_each(|client| client.retry = RetryPlan::NONE),
    |plan| fewer_users(plan, 100),
    |plan| fewer_users(plan, 10),
];

/// Thresholds that it takes many operations to reach, as low as they go: those can then be fewer.
pub(super) const LOWER: [Plainer; 3] = [
    |plan| every_settings(plan, |settings| settings.checkpoint_interval_tx = 10),
    |plan| every_settings(plan, |settings| settings.checkpoint_interval_tx = 1),
    |plan| every_settings(plan, |settings| settings.log_rotation_threshold = Bytes::mib(1)),
];

fn every_settings(plan: &mut Plan, change: fn(&mut Settings)) {
    change(&mut plan.settings);
    let own = plan.instances.iter_mut().filter_map(|instance| instance.settings.as_mut());
    own.for_each(|settings| change(Arc::make_mut(settings)));
}

fn fewer_users(plan: &mut Plan, fewer: u32) {
    if let GraphSource::Social { users, mean_follows } = &mut plan.graph.source
        && *users > fewer
    {
        *users = fewer;
        *mean_follows = Ratio::new(2, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plan;
    use wavetank_vocabulary::FaultKind;
    use wavetank_world::Strength;

    fn fault(target: Target) -> FaultPlan {
        FaultPlan {
            id: FaultId(1),
            kind: FaultKind::Crash,
            target,
            peer: None,
            at: Time::ZERO,
            when: None,
            lasts: None,
            strength: Strength::default(),
            spares_copy: false,
        }
    }

    #[test]
    fn any_instance_can_go_and_faults_follow_those_that_stay() {
        let with = |target| Plan { faults: vec![fault(target)], ..plan() };
        let (one, three) = (InstanceId(1), InstanceId(3));
        let smaller = without_instance(&with(Target::Instance(three)), 0).expect("two are left");
        assert_eq!(smaller.instances.iter().map(|i| i.id.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(smaller.faults[0].target, Target::Instance(InstanceId(2)));
        let both = Members::default().with(one).with(three);
        let smaller = without_instance(&with(Target::Several(both)), 0).expect("two are left");
        let left = Members::default().with(InstanceId(2));
        assert_eq!(smaller.faults[0].target, Target::Several(left));
        assert_eq!(without_instance(&with(Target::Instance(one)), 0), None);
        let alone = Plan { instances: plan().instances[..1].to_vec(), ..plan() };
        assert_eq!(without_instance(&alone, 0), None);
    }
}
