//! The one fair schedule: from a state on, nothing fails any more, and time passes.
//!
//! Whoever is cut off is back at once, whoever is down starts a second later; messages take a
//! millisecond, switches of roles 50. Every armed timer runs its whole span from the beginning
//! on. Within [`LIMIT_MS`] the members have to agree.

use std::collections::BTreeMap;

use wavetank_cluster::{ClusterState, Settings, Timer};
use wavetank_vocabulary::{Role, Span};

use crate::model::{Model, State, Violation, route};
use crate::nodes::{Happening, N, Outcome, TIMERS};

/// How long the members have to agree, in milliseconds: twice the longest way that the
/// settings allow (a heartbeat timeout, a join, a broadcast said again, several elections).
const LIMIT_MS: u64 = 240_000;
/// How often it is looked whether they do; twice in a row is enough.
const LOOK_MS: u64 = 10_000;

enum Event {
    Arrive(usize, usize, u32),
    Fire(usize, u8, u32),
    Finish(usize, u32),
    Start(usize),
}

struct Run<'a> {
    model: &'a mut Model,
    state: State,
    now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Event>,
    /// Per member and timer: which arming of it counts.
    armed: [[u32; TIMERS]; N],
    work: [u32; N],
}

fn millis(span: Span) -> u64 {
    span.as_nanos() / 1_000_000
}

/// The span of a timer, by Neo4j's defaults.
fn span_of(timer: Timer, settings: &Settings) -> u64 {
    millis(match timer {
        Timer::SendHeartbeat(_) => settings.heartbeat_interval,
        Timer::IAmAlive(_) => settings.heartbeat_timeout,
        Timer::Election => settings.election_timeout,
        Timer::Configuration => settings.configuration_timeout,
        Timer::Join => settings.join_timeout,
        Timer::Leave => settings.leave_timeout,
        Timer::Broadcast => settings.broadcast_timeout,
        Timer::Learn => settings.learn_timeout,
        Timer::Paxos(_) => settings.phase1_timeout,
    })
}

/// Whether all agree: one coordinator, who is master, and the others are its slaves.
pub fn converged(model: &Model, state: &State) -> bool {
    let members: Vec<_> =
        state.nodes.iter().filter_map(|n| model.library.node(*n).member.as_ref()).collect();
    let Some(coordinator) = members.first().and_then(|member| member.coordinator()) else {
        return false;
    };
    members.len() == N
        && members.iter().all(|member| {
            let id = member.configuration().id(member.configuration().me());
            let role = if id == coordinator { Role::Master } else { Role::Slave };
            member.cluster_state() == ClusterState::Entered
                && member.coordinator() == Some(coordinator)
                && member.role() == role
                && (role == Role::Master || member.master().is_some_and(|(m, _)| m == coordinator))
                && member.alive().len() == N
                && member.delivered() == members[0].delivered()
        })
}

/// Lets time pass without faults. Returns the state in which all agree, with nothing in
/// flight, or what is violated.
///
/// # Errors
/// When they do not agree in the end, or on the way a value is chosen a second time.
pub fn heal(model: &mut Model, settings: &Settings, state: &State) -> Result<State, Violation> {
    let mut run = Run {
        model,
        state: State { cut: 0, net: Vec::new(), spent: 0, ..state.clone() },
        now: 0,
        sequence: 0,
        queue: BTreeMap::new(),
        armed: [[0; TIMERS]; N],
        work: [0; N],
    };
    for flight in &state.net {
        let (from, to, message) = route(*flight);
        run.at(1, Event::Arrive(from, to, message));
    }
    for member in 0..N {
        let node = run.model.library.node(run.state.nodes[member]);
        let (up, busy, armed) = (node.member.is_some(), node.work.is_some(), node.armed);
        if !up {
            run.at(1000, Event::Start(member));
        }
        if busy {
            run.at(50, Event::Finish(member, 0));
        }
        for slot in (0..TIMERS).filter(|slot| armed >> slot & 1 == 1) {
            if let Some(timer) = Timer::at_slot(slot, N) {
                run.at(span_of(timer, settings), Event::Fire(member, slot as u8, 0));
            }
        }
    }
    let mut agreed = 0;
    for look in 1..=LIMIT_MS / LOOK_MS {
        // A little later than anything that repeats on whole seconds.
        run.until(look * LOOK_MS + 500)?;
        agreed = if converged(run.model, &run.state) { agreed + 1 } else { 0 };
        if agreed == 2 {
            return Ok(run.state);
        }
    }
    Err(Violation::NeverConverges)
}

impl Run<'_> {
    fn at(&mut self, after: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    fn until(&mut self, end: u64) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= end
        {
            let ((now, _), event) = entry.remove_entry();
            self.now = now;
            self.happen(&event)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: &Event) -> Result<(), Violation> {
        let (member, what) = match *event {
            Event::Arrive(from, to, message) => (to, Happening::Receive(from as u8, message)),
            Event::Fire(member, slot, arming) => {
                let node = self.model.library.node(self.state.nodes[member]);
                let due = self.armed[member][usize::from(slot)] == arming;
                if !due || node.armed >> slot & 1 == 0 {
                    return Ok(());
                }
                (member, Happening::Fire(slot))
            }
            Event::Finish(member, work) => {
                if self.work[member] != work {
                    return Ok(());
                }
                (member, Happening::Finish)
            }
            Event::Start(member) => (member, Happening::Start),
        };
        let number = self.state.nodes[member];
        let outcome = self.model.library.step(member, number, what);
        self.take(member, &outcome)
    }

    fn take(&mut self, member: usize, outcome: &Outcome) -> Result<(), Violation> {
        if let Some(violation) = self.model.take(&mut self.state, member, outcome) {
            return Err(violation);
        }
        // In flight is what the queue holds.
        self.state.net.clear();
        for (to, message) in &outcome.sent {
            self.at(1, Event::Arrive(member, usize::from(*to), *message));
        }
        for (slot, after) in &outcome.timers {
            self.armed[member][usize::from(*slot)] += 1;
            if let Some(after) = after {
                let arming = self.armed[member][usize::from(*slot)];
                self.at(millis(*after), Event::Fire(member, *slot, arming));
            }
        }
        if outcome.began_work {
            self.work[member] += 1;
            self.at(50, Event::Finish(member, self.work[member]));
        }
        Ok(())
    }
}
