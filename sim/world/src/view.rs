//! What each member is and believes at this moment, and what is under way: for people who ask
//! why. Looking changes nothing.

use alloc::vec::Vec;

use wavetank_instance::Instance;
use wavetank_vocabulary::{
    ClientId, InstanceId, Observer, OperationId, OperationKind, Role, Time, TxId,
};

use crate::world::World;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Which.
    pub id: InstanceId,
    /// What it is.
    pub role: Role,
    /// Whom it takes for master.
    pub master: Option<InstanceId>,
    /// Who counts as failed for it.
    pub failed: Vec<InstanceId>,
    /// The last transaction in its log; none when the process does not run.
    pub last_tx: Option<TxId>,
    /// Transactions open in it.
    pub open_transactions: u32,
    /// What it waits for before it could count as recovered.
    pub waits_for: Option<&'static str>,
}

/// A client operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationView {
    /// Which.
    pub operation: OperationId,
    /// Its kind.
    pub kind: OperationKind,
    /// When it was due.
    pub intended: Time,
    /// In which attempt it is, from 1.
    pub attempt: u16,
    /// At which instance it is, once it was sent to one.
    pub at: Option<InstanceId>,
}

impl<O: Observer> World<O> {
    /// When the next event is due, if there is one.
    pub fn next_at(&self) -> Option<Time> {
        self.kernel.peek_time()
    }

    /// What each member is and believes now, in the order of the Plan.
    pub fn members(&self) -> Vec<MemberView> {
        let ids = || self.plan.instances.iter().map(|instance| instance.id);
        let machines = self.machines.iter().zip(ids());
        let view = |(machine, id): (&crate::machine::Machine, InstanceId)| {
            let process = machine.instance.as_ref();
            let member = process.and_then(Instance::member);
            MemberView {
                id,
                role: process.map_or(Role::Down, Instance::role),
                master: member.and_then(|member| member.master()).map(|(master, _)| master),
                failed: ids()
                    .filter(|id| member.is_some_and(|member| member.has_failed(*id)))
                    .collect(),
                last_tx: process.map(|process| process.store().mark().tx),
                open_transactions: process.map_or(0, |p| p.store().open_transactions() as u32),
                waits_for: process.and_then(Instance::waits_for),
            }
        };
        machines.map(view).collect()
    }

    /// The stores on the disk of an instance and the bytes of each, whoever set them aside: 0 is the
    /// one in use, N the one in `branched/N`. Nothing for an arbiter, or where there is no such
    /// instance.
    pub fn stores_on_disk(&self, id: InstanceId) -> Vec<(u16, u64)> {
        let place = self.plan.instances.iter().position(|instance| instance.id == id);
        let machine = place.and_then(|place| self.machines.get(place));
        machine.map_or_else(Vec::new, |machine| machine.disk.stores().into_iter().collect())
    }

    /// The client operations under way, the oldest first.
    pub fn operations_under_way(&self) -> Vec<OperationView> {
        let id = |index: u16| self.plan.instances.get(usize::from(index)).map(|i| i.id);
        let mut all: Vec<OperationView> = self
            .flights
            .all()
            .map(|flight| OperationView {
                operation: flight.request.operation,
                kind: flight.request.kind,
                intended: flight.intended,
                attempt: flight.request.attempt,
                at: flight.at.and_then(id),
            })
            .collect();
        all.sort_by_key(|view| {
            let ClientId(client) = view.operation.client;
            (view.intended, client, view.operation.index)
        });
        all
    }
}
