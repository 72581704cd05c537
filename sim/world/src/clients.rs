//! Clients: open-loop arrivals and closed-loop users, the operations that they draw, and the
//! retry loop.
//!
//! Each operation draws from a generator of its own, keyed by client and index, and its
//! retries from another; so a fault or a setting that changes how one operation fares does
//! not change what the others ask for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{Reply, Request};
use wavetank_kernel::distribution::{self, Zipf};
use wavetank_kernel::{Stream, Streams};
use wavetank_vocabulary::{
    ClientId, Fact, NodeId, OperationId, OperationKind, OperationOutcome, ServerPhase, ServerTime,
    Span, Status, Time,
};

use crate::client_plan::{
    AccessTable, ClientPlan, Deployment, Popularity, RetryPlan, UsersPlan, percentile,
};
use crate::plan::EdgeList;
use crate::workload::{Driven, Ended, Turn};

/// A population of clients.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    id: ClientId,
    arrivals: Stream,
    weights: Vec<u32>,
    users: u64,
    choice: Choice,
    next_index: u32,
    /// How many operations each user of a closed loop has begun.
    begun: Vec<u32>,
    /// What decides in place of the mix, if something does.
    driven: Option<Driven>,
}

/// How users are drawn.
#[derive(Clone, Debug)]
enum Choice {
    Uniform,
    Zipf(Zipf),
    /// An end of any relationship.
    Degree(Arc<EdgeList>),
    /// By rank: how often it and those before it are asked for.
    Table(Arc<[u64]>),
}

impl Choice {
    fn new(plan: &ClientPlan, users: u64, edges: &Arc<EdgeList>) -> Choice {
        match &plan.popularity {
            Popularity::Zipf(exponent) if exponent.numerator == 0 => Choice::Uniform,
            Popularity::Zipf(exponent) => Choice::Zipf(Zipf::new(users, exponent.as_f64())),
            Popularity::Degree if edges.edges.is_empty() => Choice::Uniform,
            Popularity::Degree => Choice::Degree(edges.clone()),
            Popularity::Table(table) => {
                let sums = by_rank(table, users);
                if sums.last().is_none_or(|sum| *sum == 0) {
                    return Choice::Uniform;
                }
                Choice::Table(sums.into())
            }
        }
    }
}

/// What the table says of each of so many users, the least asked for first, added up.
fn by_rank(table: &AccessTable, users: u64) -> Vec<u64> {
    let mut steps = table.steps.iter().peekable();
    let mut sum = 0u64;
    let count = |rank: u64| {
        let part = percentile(rank, users);
        while steps.peek().is_some_and(|(_, up_to)| *up_to < part) && steps.len() > 1 {
            steps.next();
        }
        sum = sum.saturating_add(steps.peek().map_or(0, |(count, _)| *count));
        sum
    };
    (0..users).map(count).collect()
}

/// An operation under way.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// Tells a reused place, and an earlier attempt, from this one.
    pub(crate) generation: u32,
    pub(crate) client: u16,
    pub(crate) request: Request,
    pub(crate) intended: Time,
    /// When the present attempt left the client.
    pub(crate) attempted: Time,
    /// Where the attempt's time at an instance went, once that has answered.
    pub(crate) served: Option<ServerTime>,
    /// What the attempt has come to at the instance, once that has answered.
    pub(crate) reply: Reply,
    /// Who of a closed loop waits for it.
    pub(crate) user: Option<u32>,
    /// What the attempt has written into second stores: which, where, and what was there.
    pub(crate) called: Vec<(u8, NodeId, Option<i64>)>,
    /// How long the attempt waited for a machine that stood still.
    pub(crate) held_up: Span,
    /// Where the attempt is now, once it was sent to an instance.
    pub(crate) at: Option<u16>,
    /// An attempt, or a part of one, may have been done although it did not succeed.
    pub(crate) ambiguous: bool,
    /// The present attempt has committed an earlier transaction of several.
    pub(crate) committed: bool,
    /// The look-up of its user before the attempt is under way.
    pub(crate) looks_up: bool,
    /// When its user last wrote, in milliseconds of the application server's clock, as the
    /// look-up said.
    pub(crate) last_write: Option<i64>,
    /// Waits before its next attempt, for how the last one ended.
    pub(crate) waits: Option<Status>,
    pub(crate) live: bool,
}

impl Flight {
    /// Where the time of the operation went, if it ends now with this status.
    pub(crate) fn spent(&self, now: Time, status: Status) -> Fact {
        let server = self.served.map_or_else(ServerTime::default, |served| {
            served.with(ServerPhase::Paused, self.held_up)
        });
        let outside = now.since(self.attempted).saturating_sub(server.total());
        let silent = self.served.is_none()
            && matches!(status, Status::ClientTimeout | Status::ConnectionReset);
        // Who gives up between two attempts has no last one under way: all was earlier.
        let waiting = self.waits.is_some();
        let (earlier, outside) = if waiting {
            (now.since(self.intended), Span::ZERO)
        } else {
            (self.attempted.since(self.intended), outside)
        };
        Fact::Spent {
            operation: self.request.operation,
            earlier: earlier.into(),
            server: if waiting { ServerTime::default() } else { server },
            outside: outside.into(),
            answered: !silent,
        }
    }
}

/// All operations under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights {
    flights: Vec<Flight>,
    free: Vec<u32>,
    live: usize,
}

impl Flights {
    pub(crate) fn add(
        &mut self,
        client: u16,
        user: Option<u32>,
        request: Request,
        intended: Time,
    ) -> (u32, u32) {
        self.live += 1;
        let flight = Flight {
            generation: 0,
            client,
            request,
            intended,
            attempted: intended,
            served: None,
            reply: Reply::default(),
            user,
            called: Vec::new(),
            held_up: Span::ZERO,
            at: None,
            ambiguous: false,
            committed: false,
            looks_up: false,
            last_write: None,
            waits: None,
            live: true,
        };
        if let Some(slot) = self.free.pop() {
            let place = &mut self.flights[slot as usize];
            let generation = place.generation.wrapping_add(1);
            *place = Flight { generation, ..flight };
            return (slot, generation);
        }
        self.flights.push(flight);
        (self.flights.len() as u32 - 1, 0)
    }

    /// The operation, if that attempt of it is still the present one.
    #[inline]
    pub(crate) fn get_mut(&mut self, flight: u32, generation: u32) -> Option<&mut Flight> {
        self.flights
            .get_mut(flight as usize)
            .filter(|place| place.live && place.generation == generation)
    }

    pub(crate) fn remove(&mut self, flight: u32) {
        let place = &mut self.flights[flight as usize];
        if place.live {
            place.live = false;
            place.generation = place.generation.wrapping_add(1);
            self.free.push(flight);
            self.live -= 1;
        }
    }

    /// Operations that wait before their next attempt, in the order of their places.
    pub(crate) fn waiting(&self) -> Vec<(u32, u32, Status)> {
        self.flights
            .iter()
            .enumerate()
            .filter(|(_, flight)| flight.live)
            .filter_map(|(index, flight)| {
                flight.waits.map(|status| (index as u32, flight.generation, status))
            })
            .collect()
    }

    /// Operations at an instance, in the order of their places.
    pub(crate) fn at_instance(&self, instance: u16) -> Vec<(u32, u32)> {
        self.flights
            .iter()
            .enumerate()
            .filter(|(_, flight)| flight.live && flight.at == Some(instance))
            .map(|(index, flight)| (index as u32, flight.generation))
            .collect()
    }

    /// The operations under way, in the order of their places.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter().filter(|flight| flight.live)
    }

    /// Operations under way.
    pub(crate) fn live(&self) -> usize {
        self.live
    }
}

impl Client {
    pub(crate) fn new(
        index: usize,
        plan: &ClientPlan,
        users: u32,
        edges: &Arc<EdgeList>,
        streams: Streams,
    ) -> Self {
        Client {
            id: ClientId(index as u16),
            arrivals: streams.stream("arrivals", [index as u64, 0, 0]),
            weights: plan.mix.iter().map(|(_, weight)| *weight).collect(),
            users: u64::from(users.max(1)),
            choice: Choice::new(plan, u64::from(users.max(1)), edges),
            next_index: 0,
            begun: alloc::vec![0; plan.users.map_or(0, |users| users.count as usize)],
            driven: None,
        }
    }

    /// From here on that workload decides what is asked for.
    pub(crate) fn drive(&mut self, driven: Driven) {
        self.driven = Some(driven);
    }

    /// Tells the workload, if there is one, how an operation ended.
    #[inline]
    pub(crate) fn ended(&mut self, ended: &Ended) {
        if let Some(driven) = &mut self.driven {
            driven.ended(ended);
        }
    }

    /// How long a user thinks before the operation that comes next.
    pub(crate) fn think(&self, user: u32, plan: &UsersPlan, streams: Streams) -> Span {
        let begun = self.begun[user as usize];
        let key = [u64::from(self.id.0), u64::from(user), u64::from(begun)];
        // Never nothing at all: where an answer takes no time, time would stand still.
        plan.think.sample(&mut streams.stream("think", key)).max(Span::from_micros(1))
    }

    /// Draws the next operation of a user; none when the Plan leaves it out. The `n`-th
    /// operation of a user has the same number whatever the others do.
    pub(crate) fn next_of_user(
        &mut self,
        user: u32,
        plan: &ClientPlan,
        streams: Streams,
        now: Time,
    ) -> Option<Request> {
        let count = self.begun.len() as u32;
        let begun = self.begun.get_mut(user as usize)?;
        let index = begun.checked_mul(count)?.checked_add(user)?;
        *begun += 1;
        let me = NodeId(u64::from(user) % self.users);
        self.request(index, Some(me), plan, streams, now)
    }

    /// The time to the first arrival from the start; none if there is none.
    pub(crate) fn first_gap(&mut self, plan: &ClientPlan) -> Option<Span> {
        match &plan.recorded {
            Some(recorded) => recorded.arrivals.first().map(|_| recorded.start),
            None => Some(self.drawn_gap(plan)),
        }
    }

    /// The time to the next arrival, when one is due now; none if it is the last.
    pub(crate) fn next_gap(&mut self, plan: &ClientPlan) -> Option<Span> {
        let Some(recorded) = &plan.recorded else { return Some(self.drawn_gap(plan)) };
        let at = |index: u32| recorded.arrivals.get(index as usize).map(|(at, ..)| *at);
        let (now, next) = (at(self.next_index)?, at(self.next_index + 1)?);
        Some(next.saturating_sub(now))
    }

    /// Poisson arrivals.
    fn drawn_gap(&mut self, plan: &ClientPlan) -> Span {
        let unit = distribution::exponential(&mut self.arrivals);
        Span::from_secs_f64(unit / plan.rate.as_f64())
    }

    /// Draws the next operation; none when the Plan leaves it out.
    pub(crate) fn next_request(
        &mut self,
        plan: &ClientPlan,
        streams: Streams,
        now: Time,
    ) -> Option<Request> {
        let index = self.next_index;
        self.next_index += 1;
        self.request(index, None, plan, streams, now)
    }

    fn request(
        &mut self,
        index: u32,
        user: Option<NodeId>,
        plan: &ClientPlan,
        streams: Streams,
        now: Time,
    ) -> Option<Request> {
        let among = |list: &Vec<u32>| list.binary_search(&index).is_ok();
        let left_out = among(&plan.skip) || plan.only.as_ref().is_some_and(|only| !among(only));
        if left_out && self.driven.is_none() {
            return None;
        }
        let key = [u64::from(self.id.0), u64::from(index), 0];
        let mut stream = streams.stream("operation", key);
        let (kind, me, other) = match &mut self.driven {
            Some(driven) => {
                let user = user.map(|user| user.0);
                let turn = Turn { index, at: now, user, users: self.users };
                let (kind, me, other) = driven.next(&turn, &mut stream)?;
                (kind, NodeId(me), NodeId(other))
            }
            None => {
                let (kind, me, other) = self.mixed(user, plan, &mut stream)?;
                match plan.recorded.as_ref().and_then(|r| r.arrivals.get(index as usize)) {
                    None => (kind, me, other),
                    Some((_, me, other)) => {
                        let node = |user: &u32| NodeId(u64::from(*user) % self.users);
                        (kind, node(me), node(other))
                    }
                }
            }
        };
        if left_out {
            return None;
        }
        let operation = OperationId { client: self.id, index };
        let by_statement = plan.deployment == Deployment::Server;
        let attempt = 1;
        Some(Request {
            operation,
            attempt,
            kind,
            me,
            other,
            now_ms: 0,
            by_statement,
            open: None,
            looks_up: false,
            reply_to: 0,
        })
    }

    /// An operation as the mix and the popularity of users have it.
    fn mixed(
        &self,
        user: Option<NodeId>,
        plan: &ClientPlan,
        stream: &mut Stream,
    ) -> Option<(OperationKind, NodeId, NodeId)> {
        let chosen = stream.pick_weighted(&self.weights)?;
        let kind = plan.mix.get(chosen).map_or(OperationKind(0), |(kind, _)| *kind);
        let me = match user {
            Some(user) => user,
            None => self.user(stream),
        };
        let mut other = self.user(stream);
        if other == me {
            other = NodeId((me.0 + 1) % self.users);
        }
        Some((kind, me, other))
    }

    fn user(&self, stream: &mut Stream) -> NodeId {
        match &self.choice {
            Choice::Zipf(zipf) => self.of_rank(zipf.sample(stream).saturating_sub(1)),
            Choice::Uniform => NodeId(stream.below(self.users)),
            Choice::Degree(list) => {
                let end = stream.below(2 * list.edges.len() as u64);
                let edge = list.edges[(end / 2) as usize];
                NodeId(u64::from(if end.is_multiple_of(2) { edge.0 } else { edge.1 }))
            }
            Choice::Table(sums) => {
                let all = sums.last().copied().unwrap_or(1);
                let drawn = stream.below(all.max(1));
                self.of_rank(sums.partition_point(|sum| *sum <= drawn) as u64)
            }
        }
    }

    /// Spreads the popular ones over the ids: a multiplier prime to most sizes.
    fn of_rank(&self, rank: u64) -> NodeId {
        NodeId(rank.wrapping_mul(2_654_435_761) % self.users)
    }
}

/// How long a client waits before the next attempt: exponential, the `jitter` part of it
/// drawn anew.
pub(crate) fn backoff(retry: &RetryPlan, request: &Request, streams: Streams) -> Span {
    let exponent = i32::from(request.attempt) - 1;
    let full = retry.backoff.as_secs_f64() * libm::pow(retry.factor.as_f64(), f64::from(exponent));
    let id = request.operation;
    let key = [u64::from(id.client.0), u64::from(id.index), u64::from(request.attempt)];
    let mut stream = streams.stream("retry", key);
    let jitter = retry.jitter.as_f64();
    Span::from_secs_f64(full * (1.0 - jitter + jitter * stream.unit()))
}

/// How an operation ended that was not tried again.
pub(crate) fn outcome(status: Status, ambiguous: bool, writes: bool) -> OperationOutcome {
    match status {
        Status::Ok => OperationOutcome::Ok,
        _ if writes && (ambiguous || status.is_ambiguous()) => OperationOutcome::Unknown,
        _ => OperationOutcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use wavetank_vocabulary::Ratio;

    fn request(attempt: u16) -> Request {
        Request {
            operation: OperationId::default(),
            attempt,
            kind: OperationKind(0),
            me: NodeId(1),
            other: NodeId(2),
            now_ms: 0,
            by_statement: false,
            open: None,
            looks_up: false,
            reply_to: 0,
        }
    }

    #[test]
    fn a_table_of_accesses_gives_each_rank_its_share() {
        let steps = alloc::vec![(0, 50.0), (1, 75.0), (10, 100.0)];
        let table = AccessTable { path: String::new(), section: None, steps };
        // Of eight users four are never asked for, two once, two ten times.
        assert_eq!(by_rank(&table, 8), [0, 0, 0, 0, 1, 2, 12, 22]);
        assert_eq!((table.most(8), table.most(2), table.most(0)), (10, 1, 0));
        // Of one user the half is asked for, and that is nobody.
        assert_eq!((by_rank(&table, 1), table.most(1)), (alloc::vec![0], 0));
        // A table that ends short of the last user goes on as it ended.
        let table = AccessTable { steps: alloc::vec![(3, 10.0)], ..table };
        assert_eq!(by_rank(&table, 3), [3, 6, 9]);
        assert_eq!(table.most(3), 3);
    }

    #[test]
    fn back_off_grows_by_its_factor_and_jitter_takes_a_part() {
        let retry = RetryPlan {
            backoff: Span::from_millis(50),
            factor: Ratio::new(2, 1),
            jitter: Ratio::ZERO,
            ..RetryPlan::NONE
        };
        let streams = Streams::new(1);
        let waits: Vec<_> = (1..4).map(|n| backoff(&retry, &request(n), streams)).collect();
        assert_eq!(waits, [50, 100, 200].map(Span::from_millis));
        let jittered = RetryPlan { jitter: Ratio::new(1, 2), ..retry };
        let wait = backoff(&jittered, &request(1), streams);
        assert!(wait >= Span::from_millis(25) && wait <= Span::from_millis(50));
    }

    #[test]
    fn a_reused_place_is_not_mistaken() {
        let mut flights = Flights::default();
        let (slot, first) = flights.add(0, None, request(1), Time::ZERO);
        flights.remove(slot);
        let (again, second) = flights.add(0, None, request(1), Time::ZERO);
        assert_eq!(slot, again);
        assert!(flights.get_mut(slot, first).is_none());
        assert!(flights.get_mut(slot, second).is_some());
        assert_eq!(flights.live(), 1);
    }

    #[test]
    fn only_a_write_can_end_unknown() {
        assert_eq!(outcome(Status::ClientTimeout, false, true), OperationOutcome::Unknown);
        assert_eq!(outcome(Status::ClientTimeout, false, false), OperationOutcome::Failed);
        assert_eq!(outcome(Status::NoMaster, true, true), OperationOutcome::Unknown);
        assert_eq!(outcome(Status::NoMaster, false, true), OperationOutcome::Failed);
        assert_eq!(outcome(Status::Ok, true, true), OperationOutcome::Ok);
    }
}
