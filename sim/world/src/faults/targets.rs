//! Who is hit, and which links: resolved when a fault begins, from its own stream.

use alloc::vec::Vec;

use wavetank_kernel::Stream;
use wavetank_vocabulary::{FaultFamily, FaultKind, InstanceId, Observer, Role};

use super::ActiveFault;
use crate::fault_plan::{FaultPlan, Target};
use crate::world::World;

impl<O: Observer> World<O> {
    /// Whom a fault hits; none when nobody fits at this moment.
    pub(super) fn resolve(&self, fault: u16, plan: &FaultPlan) -> Option<ActiveFault> {
        let mut stream = self.streams.stream("fault", [u64::from(plan.id.0), 0, 0]);
        let place = self.triggers.place(fault);
        let mut on = self.targets(plan.target, place, &mut stream);
        let mut active = ActiveFault::default();
        match plan.kind.family() {
            FaultFamily::Balancer => {
                active.told = alloc::vec![(InstanceId::NOBODY, None)];
            }
            FaultFamily::Network => {
                let peers = match plan.peer {
                    None => (0..self.machines.len() as u16).collect(),
                    Some(peer) => self.targets(peer, place, &mut stream),
                };
                self.links(plan.kind, &on, &peers, &mut active);
                if active.links.is_empty() {
                    return None;
                }
            }
            _ => {
                // What does not run cannot be killed or stopped, nor does it use its disk.
                on.retain(|index| self.runs(usize::from(*index)));
                active.told = on.iter().map(|index| (self.id(*index), None)).collect();
            }
        }
        active.on = on;
        if plan.spares_copy && !self.copy_survives(plan.kind, &active.on) {
            return None;
        }
        (!active.on.is_empty()).then_some(active)
    }

    /// Whether no more than a minority has its storage hurt, and someone else has all that
    /// those hold who would lose it.
    fn copy_survives(&self, kind: FaultKind, on: &[u16]) -> bool {
        if !kind.hurts_storage() {
            return true;
        }
        let hurt = |index: u16| {
            on.contains(&index)
                || self.faults.iter().zip(&self.plan.faults).any(|(active, plan)| {
                    let hit = active.as_ref().is_some_and(|active| active.on.contains(&index));
                    hit && plan.kind.hurts_storage()
                })
        };
        // Who does not serve may have lost its store and be copying another one.
        let mark = |index: u16| {
            let serves = matches!(self.role_of(usize::from(index)), Role::Master | Role::Slave);
            self.mark_of(usize::from(index)).filter(|_| serves)
        };
        let all = 0..self.machines.len() as u16;
        let good: Vec<_> = all.filter(|index| !hurt(*index)).filter_map(mark).collect();
        if good.len() < self.machines.len() / 2 + 1 {
            return false;
        }
        // What was synced survives the loss of power.
        if kind == FaultKind::PowerLoss {
            return true;
        }
        // A slave's log is the beginning of its master's. Any other log may be a branch, which
        // higher numbers elsewhere do not make up for.
        on.iter().map(|index| usize::from(*index)).all(|index| {
            let slave = self.role_of(index) == Role::Slave;
            self.mark_of(index).is_none_or(|mark| {
                good.iter().any(|other| *other == mark || slave && other.tx >= mark.tx)
            })
        })
    }

    pub(super) fn id(&self, index: u16) -> InstanceId {
        self.plan.instances[usize::from(index)].id
    }

    fn links(&self, kind: FaultKind, on: &[u16], peers: &[u16], active: &mut ActiveFault) {
        match kind {
            FaultKind::Bridge => {
                let Some(bridge) = on.first() else { return };
                let rest: Vec<u16> = peers.iter().copied().filter(|i| i != bridge).collect();
                let (left, right) = rest.split_at(rest.len() / 2);
                for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
                    active.links.extend([(a, b), (b, a)]);
                    active.told.push((self.id(a), Some(self.id(b))));
                }
            }
            FaultKind::Ring => {
                for (at, a) in on.iter().enumerate() {
                    for (gap, b) in (1..).zip(&on[at + 1..]) {
                        if gap > 1 && gap != on.len() - 1 {
                            active.links.extend([(*a, *b), (*b, *a)]);
                            active.told.push((self.id(*a), Some(self.id(*b))));
                        }
                    }
                }
            }
            _ => {
                for a in on {
                    for b in peers.iter().filter(|b| !on.contains(b)) {
                        active.links.push((*a, *b));
                        if kind != FaultKind::PartitionOneWay {
                            active.links.push((*b, *a));
                        }
                        active.told.push((self.id(*a), Some(self.id(*b))));
                    }
                }
                // All of them among each other, where no one else is left.
                if active.links.is_empty() && on.len() > 1 && !is_cut(kind) {
                    for a in on {
                        for b in on.iter().filter(|b| *b != a) {
                            active.links.push((*a, *b));
                        }
                        active.told.push((self.id(*a), None));
                    }
                }
            }
        }
    }

    /// Who is meant at this moment; `place` is where the fault's trigger happened.
    fn targets(&self, target: Target, place: Option<u16>, stream: &mut Stream) -> Vec<u16> {
        let everybody = 0..self.machines.len() as u16;
        let role_is = |wanted: fn(Role) -> bool| -> Vec<u16> {
            everybody.clone().filter(|index| wanted(self.role_of(usize::from(*index)))).collect()
        };
        let one = |index: Option<u16>| index.into_iter().collect::<Vec<u16>>();
        let mut some = |count: usize| {
            let mut all: Vec<u16> = everybody.clone().collect();
            stream.shuffle(&mut all);
            all.truncate(count);
            all.sort_unstable();
            all
        };
        let quorum = self.machines.len() / 2 + 1;
        match target {
            Target::Instance(id) => one(self.index_of(id)),
            Target::Several(members) => {
                everybody.filter(|index| members.contains(self.id(*index))).collect()
            }
            Target::Trigger => one(place),
            Target::Master => one(stream.pick(&role_is(|role| role == Role::Master)).copied()),
            Target::Slave => one(stream.pick(&role_is(|role| role == Role::Slave)).copied()),
            Target::Any => one(stream.pick(&role_is(|role| role != Role::Down)).copied()),
            Target::Minority => some(self.machines.len() - quorum),
            Target::Majority => some(quorum),
            Target::All => everybody.collect(),
            Target::Datacentre(wanted) => everybody
                .filter(|i| self.plan.instances[usize::from(*i)].datacentre == wanted)
                .collect(),
            Target::Balancer(index) => alloc::vec![index],
        }
    }
}

/// Whether it cuts links and does not only make them worse.
const fn is_cut(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Partition | FaultKind::PartitionOneWay)
}
