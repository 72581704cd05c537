//! Atomic broadcast state machine: the door to Paxos for results and availability.
//!
//! A value is proposed by the coordinator if there is one, else by whoever has it, and only
//! while a majority of the members is alive; else it is dropped (HA specification 2.3).
//!
//! The original's `broadcastTimeout` does nothing, for its connections are TCP, which sends
//! again what a short break swallowed. Here a broken link loses messages, so a member that
//! has not learned what it said of itself says it again after that time, or once a majority
//! is back.

use crate::configuration::MemberSet;
use crate::message::Availability;

/// Whether values can be broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    /// Values are received, none is sent.
    Joining,
    Broadcasting,
}

/// What this member broadcasts about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broadcast {
    state: State,
    announced: Availability,
    /// Announced, but not yet learned.
    untold: Option<Availability>,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Nowhere: there is no majority.
    Dropped,
    /// To this member's proposer.
    To(usize),
}

impl Broadcast {
    /// `join`, while the cluster has not let this member in.
    pub(crate) fn join(&mut self) {
        self.state = State::Joining;
    }

    /// `entered`.
    pub(crate) fn enter(&mut self) {
        self.state = State::Broadcasting;
    }

    /// `leave`.
    pub(crate) fn leave(&mut self) {
        *self = Broadcast::default();
    }

    /// Where a value of `me` goes, of `alive` members with a majority or without.
    pub(crate) fn route(
        &self,
        me: usize,
        coordinator: Option<usize>,
        alive: MemberSet,
        majority: bool,
    ) -> Route {
        if self.state != State::Broadcasting || !majority {
            return Route::Dropped;
        }
        Route::To(coordinator.filter(|whom| alive.contains(*whom)).unwrap_or(me))
    }

    /// What I last said of myself.
    pub fn announced(&self) -> Availability {
        self.announced
    }

    /// I say this of myself now.
    pub(crate) fn announce(&mut self, availability: Availability) {
        self.announced = availability;
        self.untold = Some(availability);
    }

    /// What I said of myself and have not learned yet.
    pub(crate) fn untold(&self) -> Option<Availability> {
        self.untold
    }

    /// A word of mine was delivered. False when it is not my last one, which then is not
    /// learned yet, or must be said again.
    pub(crate) fn learned(&mut self, availability: Availability) -> bool {
        let last = availability == self.announced;
        self.untold = if last { None } else { Some(self.announced) };
        last
    }

    /// My role changed: what I had to say no longer holds.
    pub(crate) fn void(&mut self) {
        self.untold = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coordinator_proposes_while_it_is_alive() {
        let mut b = Broadcast::default();
        let three = MemberSet::first(3);
        assert_eq!(b.route(0, Some(1), three, true), Route::Dropped, "not entered");
        b.join();
        assert_eq!(b.route(0, Some(1), three, true), Route::Dropped);
        b.enter();
        assert_eq!(b.route(0, Some(1), three, true), Route::To(1));
        assert_eq!(b.route(0, None, three, true), Route::To(0));
        assert_eq!(b.route(0, Some(1), three.without(1), true), Route::To(0));
        assert_eq!(b.route(0, Some(1), three, false), Route::Dropped);
    }

    #[test]
    fn what_was_not_learned_is_remembered() {
        let mut b = Broadcast::default();
        b.announce(Availability::Slave);
        assert!(!b.learned(Availability::Unavailable), "an echo");
        assert_eq!(b.untold(), Some(Availability::Slave));
        assert!(b.learned(Availability::Slave));
        assert_eq!((b.untold(), b.announced()), (None, Availability::Slave));
        b.announce(Availability::Slave);
        b.void();
        assert_eq!(b.untold(), None);
    }
}
