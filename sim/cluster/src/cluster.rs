//! Cluster state machine: how an instance finds, joins and leaves the cluster.
//!
//! A starting instance asks every initial host for the configuration. One answer of a
//! running cluster is enough to join it, through the atomic broadcast. At a cold start nobody
//! answers: then the lowest id that has heard *all* initial hosts ask creates the cluster,
//! and the others find it there (HA specification 2.1). Who crashed stays a member.
//!
//! Joins are denied for a server id that comes from two addresses. Here the id *is* the
//! address, and [`Configuration`](crate::Configuration) refuses one that is used twice, so
//! that no request is ever denied.

use crate::configuration::MemberSet;
use crate::interface::Timer;
use crate::message::Message;
use crate::out::Out;

/// Pings before a joiner draws its conclusion: at first, and in every later round.
const FIRST_PINGS: u8 = 1;
const LATER_PINGS: u8 = 4;

/// Where this instance stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClusterState {
    /// In no cluster.
    #[default]
    Start,
    /// Asking the initial hosts.
    Discovery,
    /// A cluster was found; its members decide on letting this one in.
    Joining,
    /// A member.
    Entered,
    /// A member until the others know that it goes.
    Leaving,
}

/// The membership as this instance knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cluster {
    state: ClusterState,
    /// Failed ones included; empty unless there is a cluster.
    members: MemberSet,
    /// Who else is asking, in this round.
    discovered: MemberSet,
    pings: u8,
}

/// What an answer to the joiner's question means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing: it was not asked for.
    Nothing,
    /// This instance is a member already: it had crashed.
    Member,
    /// It has to ask to be let in.
    Stranger,
}

impl Cluster {
    /// Where this instance stands.
    pub fn state(&self) -> ClusterState {
        self.state
    }

    /// Who is a member, failed ones included.
    #[inline]
    pub fn members(&self) -> MemberSet {
        self.members
    }

    /// Members needed for a majority.
    pub(crate) fn quorum(&self) -> usize {
        self.members.len() / 2 + 1
    }

    /// Whether this instance takes part in the cluster.
    #[inline]
    pub(crate) fn takes_part(&self) -> bool {
        matches!(self.state, ClusterState::Entered | ClusterState::Leaving)
    }

    /// `join`: begins to look for a cluster.
    pub(crate) fn join(&mut self, out: &mut Out<'_>) {
        if self.state == ClusterState::Start {
            self.discover(FIRST_PINGS, out);
        }
    }

    fn discover(&mut self, pings: u8, out: &mut Out<'_>) {
        *self = Cluster {
            state: ClusterState::Discovery,
            // Initial hosts include this instance: it hears itself.
            discovered: MemberSet::EMPTY.with(out.configuration.me()),
            pings,
            ..Self::default()
        };
        self.ping(out);
    }

    fn ping(&self, out: &mut Out<'_>) {
        out.send_all(out.configuration.others(), Message::ConfigurationRequest);
        out.arm(Timer::Configuration, out.settings.configuration_timeout);
    }

    /// `configurationRequest`: somebody looks for a cluster. True when it is to be answered.
    pub(crate) fn requested(&mut self, from: usize) -> bool {
        if self.state == ClusterState::Discovery {
            self.discovered = self.discovered.with(from);
        }
        self.takes_part()
    }

    /// `configurationResponse`: there is a cluster.
    pub(crate) fn found(&mut self, from: usize, members: MemberSet, out: &mut Out<'_>) -> Found {
        let members = members.intersection(out.configuration.everyone());
        if self.state != ClusterState::Discovery || !members.contains(from) {
            return Found::Nothing;
        }
        self.members = members;
        out.cancel(Timer::Configuration);
        if members.contains(out.configuration.me()) {
            return Found::Member;
        }
        self.state = ClusterState::Joining;
        out.arm(Timer::Join, out.settings.join_timeout);
        Found::Stranger
    }

    /// `configurationTimeout`. True when this instance is to create the cluster.
    pub(crate) fn configuration_timed_out(&mut self, out: &mut Out<'_>) -> bool {
        if self.state != ClusterState::Discovery {
            return false;
        }
        if self.pings > 0 {
            self.pings -= 1;
            self.ping(out);
            return false;
        }
        let all = self.discovered == out.configuration.everyone();
        if all && self.discovered.lowest() == Some(out.configuration.me()) {
            self.members = MemberSet::EMPTY.with(out.configuration.me());
            return true;
        }
        self.discover(LATER_PINGS, out);
        false
    }

    /// `joiningTimeout`: the cluster did not let this instance in. True when it was waiting
    /// for that, and looks anew now.
    pub(crate) fn join_timed_out(&mut self, out: &mut Out<'_>) -> bool {
        let waiting = self.state == ClusterState::Joining;
        if waiting {
            self.discover(LATER_PINGS, out);
        }
        waiting
    }

    /// This instance is a member now.
    pub(crate) fn enter(&mut self, out: &mut Out<'_>) {
        self.state = ClusterState::Entered;
        out.cancel(Timer::Configuration);
        out.cancel(Timer::Join);
    }

    /// A member joined. True when it was none before.
    pub(crate) fn joined(&mut self, whom: usize) -> bool {
        let new = !self.members.contains(whom);
        self.members = self.members.with(whom);
        new
    }

    /// A member left. True when it was one.
    pub(crate) fn left(&mut self, whom: usize) -> bool {
        let was = self.members.contains(whom);
        self.members = self.members.without(whom);
        was
    }

    /// `leave`. True when the others have to be told first.
    pub(crate) fn leave(&mut self, out: &mut Out<'_>) -> bool {
        let tell = self.state == ClusterState::Entered && self.members.len() > 1;
        if tell {
            self.state = ClusterState::Leaving;
            out.arm(Timer::Leave, out.settings.leave_timeout);
        }
        tell
    }

    /// This instance is out.
    pub(crate) fn gone(&mut self, out: &mut Out<'_>) {
        *self = Cluster::default();
        for timer in [Timer::Configuration, Timer::Join, Timer::Leave] {
            out.cancel(timer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use alloc::vec::Vec;

    fn joining(bench: &mut Bench) -> Cluster {
        let mut cluster = Cluster::default();
        cluster.join(&mut bench.out());
        let request = Message::ConfigurationRequest;
        let others: Vec<_> = bench.configuration.others().iter().map(|i| i as u16 + 1).collect();
        assert_eq!(bench.take_sent(), others.iter().map(|to| (*to, request)).collect::<Vec<_>>());
        cluster
    }

    #[test]
    fn the_lowest_id_creates_when_all_have_asked() {
        for (me, creates) in [(1, true), (2, false)] {
            let mut bench = Bench::new(me, 3);
            let mut cluster = joining(&mut bench);
            for from in bench.configuration.others().iter() {
                assert!(!cluster.requested(from), "there is nothing to answer yet");
            }
            assert!(!cluster.configuration_timed_out(&mut bench.out()), "one more ping");
            assert_eq!(cluster.configuration_timed_out(&mut bench.out()), creates);
        }
    }

    #[test]
    fn nobody_creates_while_a_host_is_missing() {
        let mut bench = Bench::new(1, 3);
        let mut cluster = joining(&mut bench);
        for _ in 0..20 {
            cluster.requested(1);
            assert!(!cluster.configuration_timed_out(&mut bench.out()));
        }
        assert_eq!(cluster.state(), ClusterState::Discovery);
    }

    #[test]
    fn who_is_alone_in_the_list_creates() {
        let mut bench = Bench::new(1, 1);
        let mut cluster = joining(&mut bench);
        cluster.configuration_timed_out(&mut bench.out());
        assert!(cluster.configuration_timed_out(&mut bench.out()));
    }

    #[test]
    fn one_answer_is_enough_to_join() {
        let mut bench = Bench::new(3, 3);
        let mut cluster = joining(&mut bench);
        let two = MemberSet::first(2);
        assert_eq!(cluster.found(1, MemberSet::EMPTY, &mut bench.out()), Found::Nothing);
        assert_eq!(cluster.found(1, two, &mut bench.out()), Found::Stranger);
        assert_eq!(cluster.found(0, two, &mut bench.out()), Found::Nothing, "asked already");
        assert!(cluster.join_timed_out(&mut bench.out()));
        assert_eq!(cluster.state(), ClusterState::Discovery);
        let three = MemberSet::first(64);
        assert_eq!(cluster.found(1, three, &mut bench.out()), Found::Member);
        assert_eq!(cluster.members(), MemberSet::first(3));
    }

    #[test]
    fn the_last_member_need_not_tell_anyone_that_it_leaves() {
        let mut bench = Bench::new(1, 2);
        let mut cluster = Cluster::default();
        cluster.joined(0);
        cluster.enter(&mut bench.out());
        assert!(!cluster.leave(&mut bench.out()));
        assert!(cluster.joined(1));
        assert!(!cluster.joined(1));
        assert!(cluster.leave(&mut bench.out()));
        assert!(cluster.requested(1), "still a member");
        assert!(cluster.left(1) && !cluster.left(1));
        cluster.gone(&mut bench.out());
        assert_eq!(cluster, Cluster::default());
    }
}
