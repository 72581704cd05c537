//! Election state machine: who is to be coordinator, that is, master.
//!
//! The alive member with the lowest server id is the *elector*: it asks everybody alive for
//! credentials and broadcasts the result (HA specification 2.5). All others only forward
//! the wish for an election.

use alloc::vec::Vec;

use wavetank_vocabulary::{InstanceId, PlantedBugs, TxId};

use crate::configuration::{Configuration, MemberSet};

/// How fit a member is to be master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// slave_only, switching to slave (its store may be in copying), or without a whole store.
    NotElectable,
    /// A candidate.
    Electable(Candidate),
}

/// What decides between candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The last committed transaction: the highest wins.
    pub tx: TxId,
    /// Whether it is master, or becoming it: wins a tie.
    pub master: bool,
}

/// What an election that runs is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Running {
    version: u64,
    /// The member whose failure caused it; elected again only if there is nobody else.
    demoted: Option<usize>,
    votes: Vec<Option<Credentials>>,
    /// The present holder is asked last, so that its transaction id is the freshest.
    holder_asked: bool,
}

/// Whether this member takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    Election,
}

/// The elections that this member holds as elector, and the last result that it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Election {
    state: State,
    coordinator: Option<usize>,
    /// Who counted the last result accepted, and its version. Versions start from the
    /// elector's wall clock, so that they ascend over restarts, unless that was set back:
    /// therefore who asks for the configuration, having restarted, begins anew.
    accepted: Option<(usize, u64)>,
    next_version: u64,
    running: Option<Running>,
    /// The result of the last election held here, until it is learned.
    unlearned: Option<u64>,
}

/// What follows from a step of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    /// Ask these members for their vote.
    Ask(MemberSet, u64),
    /// The election is over.
    Ended {
        version: u64,
        winner: Option<usize>,
    },
}

impl Election {
    pub(crate) fn new(wall_ms: u64) -> Self {
        Election {
            state: State::Start,
            coordinator: None,
            accepted: None,
            next_version: wall_ms << 10,
            running: None,
            unlearned: None,
        }
    }

    /// What the cluster that is about to be joined says about the coordinator.
    pub(crate) fn set_coordinator(&mut self, coordinator: Option<usize>) {
        self.coordinator = coordinator;
    }

    /// `join` and `created`.
    pub(crate) fn join(&mut self) {
        self.state = State::Election;
    }

    /// `leave`: everything is forgotten but the versions given.
    pub(crate) fn leave(&mut self) {
        *self = Election { next_version: self.next_version, ..Election::new(0) };
    }

    /// Whether votes are given here.
    pub(crate) fn votes(&self) -> bool {
        self.state == State::Election
    }

    /// Whether an election was held here whose result has not been learned.
    pub(crate) fn is_unlearned(&self) -> bool {
        self.unlearned.is_some()
    }

    /// The member elected last, unless it failed since.
    pub fn coordinator(&self) -> Option<usize> {
        self.coordinator
    }

    /// The version of the election that runs here, if one does.
    pub fn running(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.version)
    }

    /// The elector's side of `performRoleElections` and `demote`: begins an election, if
    /// none runs.
    pub(crate) fn begin(&mut self, alive: MemberSet, demoted: Option<usize>) -> Next {
        if self.running.is_some() || self.state == State::Start {
            return Next::Nothing;
        }
        self.next_version = self.next_version.saturating_add(1);
        let version = self.next_version;
        self.running = Some(Running { version, demoted, votes: Vec::new(), holder_asked: false });
        let ask = match self.coordinator {
            Some(holder) if alive.len() > 1 => alive.without(holder),
            _ => alive,
        };
        Next::Ask(ask, version)
    }

    /// A vote came in.
    pub(crate) fn voted(
        &mut self,
        configuration: &Configuration,
        alive: MemberSet,
        from: usize,
        (version, credentials): (u64, Credentials),
        bugs: PlantedBugs,
    ) -> Next {
        match &mut self.running {
            Some(running) if running.version == version => {
                running.votes.resize(configuration.total(), None);
                running.votes[from] = Some(credentials);
            }
            _ => return Next::Nothing,
        }
        self.count(configuration, alive, bugs)
    }

    /// Looks whether all that are alive have voted. Called again when a member fails: its
    /// vote goes, and is no longer waited for.
    pub(crate) fn count(
        &mut self,
        configuration: &Configuration,
        alive: MemberSet,
        bugs: PlantedBugs,
    ) -> Next {
        let Some(running) = &mut self.running else { return Next::Nothing };
        let voted = |index: &usize| running.votes.get(*index).is_some_and(Option::is_some);
        let missing: MemberSet =
            alive.iter().filter(|m| !voted(m)).fold(MemberSet::EMPTY, MemberSet::with);
        if let Some(holder) = self.coordinator
            && missing == MemberSet::EMPTY.with(holder)
            && !running.holder_asked
        {
            running.holder_asked = true;
            return Next::Ask(missing, running.version);
        }
        if !missing.is_empty() {
            return Next::Nothing;
        }
        let (version, winner) = (running.version, winner(configuration, alive, running, bugs));
        self.running = None;
        self.unlearned = Some(version);
        Next::Ended { version, winner }
    }

    /// The votes did not all come in time: forgotten. Returns who had been demoted.
    pub(crate) fn timed_out(&mut self) -> Option<Option<usize>> {
        self.running.take().map(|running| running.demoted)
    }

    /// A result was learned, that of an election held at `elector`: `mine` if that is this
    /// member. False when the same elector gave a later one before.
    pub(crate) fn learned(
        &mut self,
        winner: Option<usize>,
        (elector, mine): (usize, bool),
        version: u64,
    ) -> bool {
        // The word of another elector says nothing of what became of my own result.
        if mine && self.unlearned.is_some_and(|held| held <= version) {
            self.unlearned = None;
        }
        if self.accepted.is_some_and(|(by, last)| by == elector && version < last) {
            return false;
        }
        self.accepted = Some((elector, version));
        self.coordinator = winner;
        true
    }

    /// Somebody with a lower id is elector now: what is not learned of my elections is of no
    /// use any more. True when there was something.
    pub(crate) fn give_way(&mut self) -> bool {
        self.unlearned.take().is_some()
    }

    /// An elector failed, joined, left or restarted: its versions begin anew.
    pub(crate) fn forget_elector(&mut self, whom: usize) {
        if self.accepted.is_some_and(|(elector, _)| elector == whom) {
            self.accepted = None;
        }
    }

    /// The member failed: it holds no role any more. True when it was coordinator.
    pub(crate) fn demote(&mut self, whom: usize) -> bool {
        let was = self.coordinator == Some(whom);
        if was {
            self.coordinator = None;
        }
        was
    }
}

/// Highest transaction id, then who is master already, then the lowest server id.
fn winner(
    configuration: &Configuration,
    alive: MemberSet,
    running: &Running,
    bugs: PlantedBugs,
) -> Option<usize> {
    let best = |skip: Option<usize>| {
        alive
            .iter()
            .filter(|m| Some(*m) != skip)
            .filter_map(|m| match running.votes.get(m).copied().flatten() {
                Some(Credentials::Electable(candidate)) => Some((m, candidate)),
                _ => None,
            })
            .max_by_key(|(m, candidate)| {
                let tx = if bugs.contains(PlantedBugs::LOWEST_TX_WINS) {
                    u64::MAX - candidate.tx.0
                } else {
                    candidate.tx.0
                };
                (tx, candidate.master, core::cmp::Reverse(configuration.id(*m)))
            })
            .map(|(m, _)| m)
    };
    best(running.demoted).or_else(|| best(None))
}

/// The server id of a winner.
pub(crate) fn winner_id(
    configuration: &Configuration,
    winner: Option<usize>,
) -> Option<InstanceId> {
    winner.map(|index| configuration.id(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(n: u16) -> Configuration {
        let ids: Vec<_> = (1..=n).map(InstanceId).collect();
        Configuration::new(InstanceId(1), &ids).unwrap()
    }

    fn election() -> Election {
        let mut election = Election::new(7);
        election.join();
        election
    }

    fn candidate(tx: u64, master: bool) -> Credentials {
        Credentials::Electable(Candidate { tx: TxId(tx), master })
    }

    fn elect(votes: &[Credentials], demoted: Option<usize>) -> Option<usize> {
        let c = cluster(votes.len() as u16);
        let mut election = election();
        let Next::Ask(_, version) = election.begin(c.everyone(), demoted) else {
            panic!("no election began")
        };
        let mut last = Next::Nothing;
        for (from, credentials) in votes.iter().enumerate() {
            assert_eq!(last, Next::Nothing, "ended before all had voted");
            let vote = (version, *credentials);
            last = election.voted(&c, c.everyone(), from, vote, PlantedBugs::NONE);
        }
        let Next::Ended { winner, .. } = last else { panic!("did not end: {last:?}") };
        winner
    }

    #[test]
    fn the_highest_transaction_wins() {
        assert_eq!(
            elect(&[candidate(5, true), candidate(6, false), candidate(4, false)], None),
            Some(1)
        );
    }

    #[test]
    fn a_tie_goes_to_the_master_then_to_the_lowest_id() {
        assert_eq!(elect(&[candidate(5, false), candidate(5, true)], None), Some(1));
        assert_eq!(elect(&[candidate(5, false), candidate(5, false)], None), Some(0));
    }

    #[test]
    fn the_demoted_member_wins_only_alone() {
        assert_eq!(elect(&[candidate(9, true), candidate(5, false)], Some(0)), Some(1));
        assert_eq!(elect(&[candidate(9, true), Credentials::NotElectable], Some(0)), Some(0));
        assert_eq!(elect(&[Credentials::NotElectable, Credentials::NotElectable], None), None);
    }

    #[test]
    fn the_holder_is_asked_last() {
        let c = cluster(3);
        let mut election = election();
        assert!(election.learned(Some(1), (0, true), 3));
        let Next::Ask(first, version) = election.begin(c.everyone(), None) else { panic!() };
        assert!(!first.contains(1));
        assert!(version > 3);
        let none = PlantedBugs::NONE;
        let vote = (version, candidate(2, false));
        assert_eq!(election.voted(&c, c.everyone(), 0, vote, none), Next::Nothing);
        assert_eq!(
            election.voted(&c, c.everyone(), 2, vote, none),
            Next::Ask(MemberSet::EMPTY.with(1), version)
        );
    }

    #[test]
    fn a_vote_of_another_version_does_not_count() {
        let c = cluster(1);
        let mut election = election();
        let Next::Ask(_, version) = election.begin(c.everyone(), None) else { panic!() };
        let vote = |version| (version, candidate(2, false));
        let none = PlantedBugs::NONE;
        assert_eq!(election.voted(&c, c.everyone(), 0, vote(version - 1), none), Next::Nothing);
        assert!(matches!(
            election.voted(&c, c.everyone(), 0, vote(version), none),
            Next::Ended { winner: Some(0), .. }
        ));
    }

    #[test]
    fn an_older_result_of_the_same_elector_is_ignored() {
        let mut election = election();
        assert!(election.learned(Some(1), (0, false), 5));
        assert!(!election.learned(Some(0), (0, false), 4));
        assert_eq!(election.coordinator(), Some(1));
        assert!(election.learned(Some(2), (1, false), 4), "another elector counts for itself");
        election.forget_elector(1);
        assert!(election.learned(Some(0), (1, false), 3), "and anew when it comes again");
    }

    #[test]
    fn only_its_own_result_ends_the_wait_for_it() {
        let c = cluster(1);
        let mut election = election();
        let Next::Ask(_, version) = election.begin(c.everyone(), None) else { panic!() };
        let vote = (version, candidate(2, false));
        election.voted(&c, c.everyone(), 0, vote, PlantedBugs::NONE);
        assert!(election.is_unlearned());
        assert!(election.learned(Some(0), (1, false), version + 7));
        assert!(election.is_unlearned(), "that was another elector's");
        assert!(election.learned(Some(0), (0, true), version - 1));
        assert!(election.is_unlearned(), "that was an earlier one");
        assert!(election.learned(Some(0), (0, true), version));
        assert!(!election.is_unlearned() && !election.give_way());
    }

    #[test]
    fn who_has_not_joined_holds_no_election() {
        let mut election = Election::new(0);
        assert_eq!(election.begin(MemberSet::first(3), None), Next::Nothing);
        assert!(!election.votes());
    }
}
