//! Cluster state machine: how an instance finds, joins and leaves the cluster.
//!
//! A starting instance asks every initial host for the configuration. One answer of a
//! running cluster is enough to join it, through the atomic broadcast. At a cold start nobody
//! answers: then the lowest id that has heard *as many* ask as initial hosts are listed
//! creates the cluster, and the others find it there (HA specification 2.1: the askers are
//! counted, not compared with the list). Who crashed stays a member.
//!
//! A server id that comes from another address than the one it is known by is denied while
//! it counts as alive there; two addresses of one id among the joiners end the start.

use alloc::vec::Vec;

use crate::configuration::{Configuration, MemberSet};
use crate::interface::{JoinFailure, Timer};
use crate::message::{Address, FIRST, Message};
use crate::out::Out;
use crate::settings::Settings;

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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    state: ClusterState,
    /// `ha.initial_hosts`, those that exist, and how many are listed.
    hosts: MemberSet,
    listed: usize,
    /// My own address.
    address: Address,
    /// Failed ones included; empty unless there is a cluster.
    members: MemberSet,
    /// By member: where it is. None while that is not known: the word of it was lost.
    addresses: Vec<Option<Address>>,
    /// By member: from where it was let in to join, until it has.
    joining: Vec<Option<Address>>,
    /// Who else is asking, in this round.
    discovered: MemberSet,
    /// A member denied the entry, in this round.
    denied: bool,
    pings: u8,
}

/// How a question for the configuration is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Not at all: there is no cluster here, or the asker is alive I do not know where.
    Nothing,
    /// With `joinDenied`.
    Denied,
    /// With the configuration; `known` when it lists the asker at that address.
    Configuration {
        /// Whether the asker is a member at the address that it asks from.
        known: bool,
    },
    /// The same server id asked from two addresses while I look for a cluster myself.
    SameId,
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

/// What follows when the initial hosts were silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// They are asked again.
    AskAgain,
    /// This instance creates the cluster.
    Create,
    /// The start is over.
    Failed(JoinFailure),
}

impl Cluster {
    /// In no cluster yet, at that address.
    pub(crate) fn new(configuration: &Configuration, settings: &Settings, at: Address) -> Self {
        let listed = &settings.initial_hosts;
        let known = listed.iter().filter_map(|id| configuration.index_of(*id));
        let (hosts, listed) = if listed.is_empty() {
            (configuration.everyone(), configuration.total())
        } else {
            (known.fold(MemberSet::EMPTY, MemberSet::with), listed.len())
        };
        let nowhere = || alloc::vec![None; configuration.total()];
        Cluster {
            state: ClusterState::Start,
            hosts,
            listed,
            address: at,
            members: MemberSet::EMPTY,
            addresses: nowhere(),
            joining: nowhere(),
            discovered: MemberSet::EMPTY,
            denied: false,
            pings: 0,
        }
    }

    /// Where this instance stands.
    pub fn state(&self) -> ClusterState {
        self.state
    }

    /// Who is a member, failed ones included.
    #[inline]
    pub fn members(&self) -> MemberSet {
        self.members
    }

    /// My own address.
    pub(crate) fn address(&self) -> Address {
        self.address
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
        self.forget();
        self.state = ClusterState::Discovery;
        // Whoever lists itself hears itself.
        let me = MemberSet::EMPTY.with(out.configuration.me());
        self.discovered = me.intersection(self.hosts);
        self.pings = pings;
        self.ping(out);
    }

    /// Nothing is known of any cluster.
    fn forget(&mut self) {
        self.state = ClusterState::Start;
        self.members = MemberSet::EMPTY;
        self.addresses.fill(None);
        self.joining.fill(None);
        self.discovered = MemberSet::EMPTY;
        self.denied = false;
        self.pings = 0;
    }

    fn ping(&self, out: &mut Out<'_>) {
        let others = self.hosts.without(out.configuration.me());
        out.send_all(others, Message::ConfigurationRequest { address: self.address });
        out.arm(Timer::Configuration, out.settings.configuration_timeout);
    }

    /// `configurationRequest`: somebody, who counts as `alive` or not, looks for a cluster.
    pub(crate) fn requested(&mut self, from: usize, address: Address, alive: bool) -> Answer {
        let before = self.addresses[from];
        if self.state == ClusterState::Discovery {
            if before.is_some_and(|known| known != address) {
                self.forget();
                return Answer::SameId;
            }
            self.addresses[from] = Some(address);
            self.discovered = self.discovered.with(from);
        }
        if !self.takes_part() {
            return Answer::Nothing;
        }
        let member = self.members.contains(from);
        let joins_elsewhere = self.joining[from].is_some_and(|known| known != address);
        let known = member && before == Some(address);
        let in_use = member && alive && !known;
        if in_use && before.is_none() {
            return Answer::Nothing;
        }
        if in_use || joins_elsewhere {
            return Answer::Denied;
        }
        if !known {
            self.joining[from] = Some(address);
        }
        Answer::Configuration { known }
    }

    /// The members, but me, that are not at their first address, as far as is known.
    pub(crate) fn moved(&self, me: usize) -> MemberSet {
        let others = self.members.without(me).iter();
        let moved = others.filter(|whom| self.addresses[*whom] != Some(FIRST));
        moved.fold(MemberSet::EMPTY, MemberSet::with)
    }

    /// Where a member is, if that is known.
    pub(crate) fn address_of(&self, whom: usize) -> Option<Address> {
        self.addresses[whom]
    }

    /// `MemberAt`: a member tells where another one is. What was learned since holds.
    pub(crate) fn told_address(&mut self, from: usize, whom: usize, address: Address) {
        let joins = self.takes_part() || self.state == ClusterState::Joining;
        if joins && self.members.contains(from) && self.members.contains(whom) {
            self.addresses[whom] = self.addresses[whom].or(Some(address));
        }
    }

    /// `configurationResponse`: there is a cluster of these members, and it knows me at my
    /// address, or it does not.
    pub(crate) fn found(
        &mut self,
        (from, address): (usize, Address),
        (members, moved): (MemberSet, MemberSet),
        known: bool,
        out: &mut Out<'_>,
    ) -> Found {
        let members = members.intersection(out.configuration.everyone());
        if !members.contains(from) || self.state == ClusterState::Start {
            return Found::Nothing;
        }
        if self.state != ClusterState::Discovery {
            // Later answers tell at least where their senders are.
            self.addresses[from] = Some(address);
            return Found::Nothing;
        }
        self.members = members;
        for other in members.without(out.configuration.me()).iter() {
            self.addresses[other] = (!moved.contains(other)).then_some(FIRST);
        }
        self.addresses[from] = Some(address);
        out.cancel(Timer::Configuration);
        if known && members.contains(out.configuration.me()) {
            return Found::Member;
        }
        self.state = ClusterState::Joining;
        out.arm(Timer::Join, out.settings.join_timeout);
        Found::Stranger
    }

    /// `joinDenied`: remembered until the next timeout.
    pub(crate) fn denied(&mut self) {
        self.denied |= self.state == ClusterState::Discovery;
    }

    /// `configurationTimeout`.
    pub(crate) fn configuration_timed_out(&mut self, out: &mut Out<'_>) -> Silence {
        if self.state != ClusterState::Discovery {
            return Silence::AskAgain;
        }
        if self.denied {
            self.forget();
            return Silence::Failed(JoinFailure::Denied);
        }
        if self.pings > 0 {
            self.pings -= 1;
            self.ping(out);
            return Silence::AskAgain;
        }
        let all = self.discovered.len() >= self.listed;
        let lowest = self.discovered.lowest().is_some_and(|id| id >= out.configuration.me());
        if all && lowest && out.settings.allow_init_cluster {
            self.members = MemberSet::EMPTY.with(out.configuration.me());
            return Silence::Create;
        }
        self.discover(LATER_PINGS, out);
        Silence::AskAgain
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

    /// A member joined, at that address. True when it was none before, or is waited for: I
    /// may be a member at an address of old.
    pub(crate) fn joined(&mut self, me: usize, whom: usize, address: Address) -> bool {
        let moved = self.addresses[whom].is_some_and(|known| known != address);
        let new = !self.members.contains(whom) || moved;
        self.members = self.members.with(whom);
        self.addresses[whom] = Some(address);
        self.joining[whom] = None;
        new || whom == me && self.state == ClusterState::Joining
    }

    /// A member left. True when it was one.
    pub(crate) fn left(&mut self, whom: usize) -> bool {
        let was = self.members.contains(whom);
        self.members = self.members.without(whom);
        self.addresses[whom] = None;
        self.joining[whom] = None;
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
        self.forget();
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
    use wavetank_vocabulary::InstanceId;

    const NOBODY: MemberSet = MemberSet::EMPTY;

    fn joining(bench: &mut Bench) -> Cluster {
        let mut cluster = Cluster::new(&bench.configuration, &bench.settings, 0);
        cluster.join(&mut bench.out());
        let request = Message::ConfigurationRequest { address: 0 };
        let others: Vec<_> = bench.configuration.others().iter().map(|i| i as u16 + 1).collect();
        assert_eq!(bench.take_sent(), others.iter().map(|to| (*to, request)).collect::<Vec<_>>());
        cluster
    }

    /// The only member of a cluster.
    fn alone(bench: &mut Bench) -> Cluster {
        let mut cluster = Cluster::new(&bench.configuration, &bench.settings, 0);
        let me = bench.configuration.me();
        cluster.joined(me, me, 0);
        cluster.enter(&mut bench.out());
        cluster
    }

    #[test]
    fn the_lowest_id_creates_when_all_have_asked() {
        for (me, outcome) in [(1, Silence::Create), (2, Silence::AskAgain)] {
            let mut bench = Bench::new(me, 3);
            let mut cluster = joining(&mut bench);
            for from in bench.configuration.others().iter() {
                assert_eq!(cluster.requested(from, 0, true), Answer::Nothing, "no cluster yet");
            }
            let first = cluster.configuration_timed_out(&mut bench.out());
            assert_eq!(first, Silence::AskAgain, "one more ping");
            assert_eq!(cluster.configuration_timed_out(&mut bench.out()), outcome);
        }
    }

    #[test]
    fn nobody_creates_while_a_host_is_missing_or_when_it_is_not_allowed() {
        let mut bench = Bench::new(1, 3);
        let mut cluster = joining(&mut bench);
        for _ in 0..20 {
            cluster.requested(1, 0, true);
            assert_eq!(cluster.configuration_timed_out(&mut bench.out()), Silence::AskAgain);
        }
        assert_eq!(cluster.state(), ClusterState::Discovery);
        bench.settings.allow_init_cluster = false;
        for _ in 0..20 {
            cluster.requested(1, 0, true);
            cluster.requested(2, 0, true);
            assert_eq!(cluster.configuration_timed_out(&mut bench.out()), Silence::AskAgain);
        }
    }

    #[test]
    fn who_is_alone_in_the_list_creates() {
        let mut bench = Bench::new(1, 1);
        let mut cluster = joining(&mut bench);
        cluster.configuration_timed_out(&mut bench.out());
        assert_eq!(cluster.configuration_timed_out(&mut bench.out()), Silence::Create);
        let mut bench = Bench::new(2, 3);
        bench.settings.initial_hosts = [InstanceId(2)].into();
        let mut cluster = Cluster::new(&bench.configuration, &bench.settings, 0);
        cluster.join(&mut bench.out());
        assert_eq!(bench.take_sent(), [], "nobody else is asked");
        cluster.configuration_timed_out(&mut bench.out());
        assert_eq!(cluster.configuration_timed_out(&mut bench.out()), Silence::Create);
    }

    #[test]
    fn a_listed_host_that_does_not_exist_is_waited_for_unless_another_one_asks() {
        for (asking, outcome) in [(2, Silence::AskAgain), (3, Silence::Create)] {
            let mut bench = Bench::new(1, asking);
            bench.settings.initial_hosts = [1, 2, 9].map(InstanceId).into();
            let mut cluster = Cluster::new(&bench.configuration, &bench.settings, 0);
            cluster.join(&mut bench.out());
            // The two pings of the first round are heard, and the five of the second.
            for ping in 1..=7 {
                for from in bench.configuration.others().iter() {
                    cluster.requested(from, 0, true);
                }
                let drawn = cluster.configuration_timed_out(&mut bench.out());
                let expected = if ping == 2 { outcome } else { Silence::AskAgain };
                assert_eq!(drawn, expected, "{asking} ask, ping {ping}");
                if drawn == Silence::Create {
                    break;
                }
            }
        }
    }

    #[test]
    fn one_answer_is_enough_to_join() {
        let mut bench = Bench::new(3, 3);
        let mut cluster = joining(&mut bench);
        let two = MemberSet::first(2);
        let out = &mut bench.out();
        assert_eq!(cluster.found((1, 0), (MemberSet::EMPTY, NOBODY), true, out), Found::Nothing);
        assert_eq!(cluster.found((1, 0), (two, NOBODY), false, out), Found::Stranger);
        assert_eq!(
            cluster.found((0, 0), (two, NOBODY), false, out),
            Found::Nothing,
            "asked already"
        );
        assert!(cluster.join_timed_out(out));
        assert_eq!(cluster.state(), ClusterState::Discovery);
        let three = MemberSet::first(64);
        assert_eq!(cluster.found((1, 0), (three, NOBODY), true, out), Found::Member);
        assert_eq!(cluster.members(), MemberSet::first(3));
    }

    #[test]
    fn an_id_that_is_alive_elsewhere_is_denied() {
        let mut bench = Bench::new(1, 3);
        let mut cluster = alone(&mut bench);
        assert!(cluster.joined(0, 1, 7));
        assert_eq!(cluster.requested(1, 7, true), Answer::Configuration { known: true });
        assert_eq!(cluster.requested(1, 8, true), Answer::Denied);
        let failed = cluster.requested(1, 8, false);
        assert_eq!(failed, Answer::Configuration { known: false }, "it may move");
        assert_eq!(cluster.requested(1, 9, false), Answer::Denied, "it moves to 8 already");
        assert!(cluster.joined(0, 1, 8) && !cluster.joined(0, 1, 8));
        assert_eq!(cluster.requested(1, 8, true), Answer::Configuration { known: true });
    }

    /// It has joined nobody that it heard ask: where they are it knows from the configuration.
    #[test]
    fn who_came_in_later_denies_an_id_that_is_alive_elsewhere() {
        let mut bench = Bench::new(1, 4);
        let mut cluster = joining(&mut bench);
        let (all, moved) = (MemberSet::first(4), NOBODY.with(2).with(3));
        let found = cluster.found((1, 0), (all, moved), true, &mut bench.out());
        assert_eq!(found, Found::Member);
        cluster.enter(&mut bench.out());
        cluster.told_address(1, 3, 7);

        let known = Answer::Configuration { known: true };
        assert_eq!(cluster.requested(3, 8, true), Answer::Denied);
        assert_eq!(cluster.requested(3, 7, true), known);
        assert_eq!(cluster.requested(1, 1, true), Answer::Denied);
        assert_eq!(cluster.requested(1, 0, true), known);
        assert_eq!(cluster.moved(0), moved, "others are told so");

        // The word of where 2 is was lost.
        assert_eq!(cluster.requested(2, 5, true), Answer::Nothing);
        let failed = cluster.requested(2, 5, false);
        assert_eq!(failed, Answer::Configuration { known: false }, "it may move");
        assert!(!cluster.joined(0, 2, 5) && cluster.address_of(2) == Some(5));
        cluster.told_address(1, 2, 4);
        assert_eq!(cluster.address_of(2), Some(5), "an older word");
    }

    #[test]
    fn a_denial_ends_the_start_at_the_next_timeout() {
        let mut bench = Bench::new(3, 3);
        let mut cluster = joining(&mut bench);
        cluster.denied();
        let outcome = cluster.configuration_timed_out(&mut bench.out());
        assert_eq!(outcome, Silence::Failed(JoinFailure::Denied));
        assert_eq!(cluster.state(), ClusterState::Start);
        cluster.denied();
        assert_eq!(cluster.configuration_timed_out(&mut bench.out()), Silence::AskAgain);
    }

    #[test]
    fn one_id_at_two_addresses_ends_the_start() {
        let mut bench = Bench::new(3, 3);
        let mut cluster = joining(&mut bench);
        assert_eq!(cluster.requested(0, 1, true), Answer::Nothing);
        assert_eq!(cluster.requested(0, 1, true), Answer::Nothing);
        assert_eq!(cluster.requested(0, 2, true), Answer::SameId);
        assert_eq!(cluster.state(), ClusterState::Start);
    }

    #[test]
    fn a_member_that_moved_has_to_ask_to_be_let_in() {
        let mut bench = Bench::new(3, 3);
        let mut cluster = Cluster::new(&bench.configuration, &bench.settings, 2);
        cluster.join(&mut bench.out());
        let three = (MemberSet::first(3), NOBODY);
        assert_eq!(cluster.found((0, 0), three, false, &mut bench.out()), Found::Stranger);
        assert!(cluster.joined(2, 2, 2), "a member at its new address");
    }

    #[test]
    fn the_last_member_need_not_tell_anyone_that_it_leaves() {
        let mut bench = Bench::new(1, 2);
        let fresh = Cluster::new(&bench.configuration, &bench.settings, 0);
        let mut cluster = alone(&mut bench);
        assert!(!cluster.leave(&mut bench.out()));
        assert!(cluster.joined(0, 1, 0));
        assert!(!cluster.joined(0, 1, 0));
        assert!(cluster.leave(&mut bench.out()));
        let known = Answer::Configuration { known: true };
        assert_eq!(cluster.requested(1, 0, true), known, "still a member");
        assert!(cluster.left(1) && !cluster.left(1));
        cluster.gone(&mut bench.out());
        assert_eq!(cluster, fresh);
    }
}
