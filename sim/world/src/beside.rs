//! The second stores that operations write beside the graph, and what is known of each kind
//! of operation.
//!
//! A second store is a search index, a cache or a mail queue of the application: it takes
//! every write at once and knows nothing of the graph's transactions. Its clients take back
//! what they wrote before they try again, and when they have failed for good.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wavetank_instance::Request;
use wavetank_vocabulary::{
    ClientId, Fact, LookupMap, NodeId, Observer, OperationKind, PlantedBugs, SecondWrite, Time,
};

use crate::client_plan::Routing;
use crate::event::Event;
use crate::plan::Plan;
use crate::world::World;

/// The operation that looks a user up before a request.
const AUTH: &str = "auth";

/// What is known of a kind of operation.
#[derive(Clone, Debug)]
struct Kind {
    writes: bool,
    marks_stay: bool,
    /// Whether it is about the user that it is asked for.
    names_user: bool,
    /// Whether it is the look-up of a user before a request.
    looks_up: bool,
    /// The number of each of its second stores among all.
    stores: Vec<u8>,
}

/// The second stores.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    kinds: Vec<Kind>,
    values: BTreeMap<(u8, NodeId), i64>,
    /// When each user's last write was asked for, as its session says, where the routing goes
    /// by it.
    last_writes: LookupMap<(ClientId, NodeId), Time>,
}

impl Beside {
    pub(crate) fn new(plan: &Plan) -> Self {
        let all = plan.second_stores();
        let number = |name: &str| all.iter().position(|store| *store == name).unwrap_or(0) as u8;
        let kinds = plan.operations.iter().map(|program| Kind {
            writes: program.writes(),
            marks_stay: program.marks_stay(&plan.operations),
            names_user: program.names_user(),
            looks_up: program.name == AUTH,
            stores: program.stores.iter().map(|store| number(store)).collect(),
        });
        Beside {
            kinds: kinds.collect(),
            values: BTreeMap::new(),
            last_writes: LookupMap::default(),
        }
    }

    /// The application notes in a user's session that it wrote.
    pub(crate) fn wrote(&mut self, request: &Request, at: Time) {
        if self.writes(request.kind) && self.names_user(request.kind) {
            self.last_writes.insert((request.operation.client, request.me), at);
        }
    }

    /// The operation that looks users up, if there is one.
    pub(crate) fn auth(&self) -> Option<OperationKind> {
        let place = self.kinds.iter().position(|kind| kind.looks_up)?;
        Some(OperationKind(place as u16))
    }

    /// Whether a request must see the latest: it looks a user up, or its user wrote lately.
    pub(crate) fn wants_latest(&self, routing: Routing, request: &Request, now: Time) -> bool {
        let Routing::Consistency(window) = routing else { return false };
        let looks_up = self.kinds.get(request.kind.index()).is_some_and(|kind| kind.looks_up);
        let last = self.last_writes.get(&(request.operation.client, request.me));
        looks_up || last.is_some_and(|at| now.since(*at) < window)
    }

    /// Whether the operation is part of a user's session: who signs up is nobody yet.
    pub(crate) fn names_user(&self, kind: OperationKind) -> bool {
        self.kinds.get(kind.index()).is_some_and(|kind| kind.names_user)
    }

    /// Whether the operation needs the master.
    #[inline]
    pub(crate) fn writes(&self, kind: OperationKind) -> bool {
        self.kinds.get(kind.index()).is_some_and(|kind| kind.writes)
    }

    /// Whether what the operation marks can be looked for at the end.
    pub(crate) fn marks_stay(&self, kind: OperationKind) -> bool {
        self.kinds.get(kind.index()).is_some_and(|kind| kind.marks_stay)
    }

    /// Puts a value, or takes it away; gives what was there.
    fn put(&mut self, store: u8, node: NodeId, value: Option<i64>) -> Option<i64> {
        match value {
            Some(value) => self.values.insert((store, node), value),
            None => self.values.remove(&(store, node)),
        }
    }
}

impl<O: Observer> World<O> {
    /// An instance writes into a second store on behalf of a request.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        (store, node, value): (u8, NodeId, Option<i64>),
        done: Event,
    ) {
        let id = request.operation;
        let known = self.beside.kinds.get(request.kind.index());
        let store = known.and_then(|kind| kind.stores.get(usize::from(store))).copied();
        let Some(store) = store else { return };
        let before = self.beside.put(store, node, value);
        let (flight, generation) = ((request.reply_to >> 32) as u32, request.reply_to as u32);
        // Nobody is left to take it back if the client has given the attempt up.
        if let Some(flight) = self.flights.get_mut(flight, generation) {
            flight.called.push((store, node, before));
        }
        let (attempt, what) = (request.attempt, SecondWrite::Written);
        self.tell(Fact::SecondStore { operation: id, attempt, store, what, node, value });
        let key = [u64::from(id.client.0), u64::from(id.index), u64::from(attempt)];
        let mut stream = self.streams.stream("second-store", key);
        let there = self.plan.network.local.sample(&mut stream);
        let back = self.plan.network.local.sample(&mut stream);
        self.kernel.schedule_in(there + back, done);
    }

    /// The client takes back what its last attempt wrote into second stores.
    pub(crate) fn take_back(&mut self, flight: u32, generation: u32) {
        let Some(operation) = self.flights.get_mut(flight, generation) else { return };
        if operation.called.is_empty() {
            return;
        }
        let called = core::mem::take(&mut operation.called);
        let (id, attempt) = (operation.request.operation, operation.request.attempt);
        if self.plan.bugs.contains(PlantedBugs::NO_COMPENSATION) {
            return;
        }
        for (store, node, before) in called.into_iter().rev() {
            self.beside.put(store, node, before);
            let (what, value) = (SecondWrite::TakenBack, before);
            self.tell(Fact::SecondStore { operation: id, attempt, store, what, node, value });
        }
    }
}
