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

/// The elections that this member holds as elector, and the last result that it knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Election {
    coordinator: Option<usize>,
    /// The version of the last result accepted. Versions start from the elector's wall
    /// clock, so that they ascend over restarts and from one elector to the next.
    accepted: u64,
    next_version: u64,
    running: Option<Running>,
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
        Election { coordinator: None, accepted: 0, next_version: wall_ms << 10, running: None }
    }

    /// The version of the last result accepted.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
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
        if self.running.is_some() {
            return Next::Nothing;
        }
        self.next_version = self.next_version.max(self.accepted) + 1;
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
        version: u64,
        ballot: (Credentials, u64),
        bugs: PlantedBugs,
    ) -> Next {
        let (credentials, accepted) = ballot;
        match &mut self.running {
            Some(running) if running.version == version => {
                self.next_version = self.next_version.max(accepted.saturating_add(1));
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
        let winner = winner(configuration, alive, running, bugs);
        self.running = None;
        Next::Ended { version: self.next_version, winner }
    }

    /// The votes did not all come in time: forgotten. Returns who had been demoted.
    pub(crate) fn timed_out(&mut self) -> Option<Option<usize>> {
        self.running.take().map(|running| running.demoted)
    }

    /// A result was learned. False when it is older than what is known.
    pub(crate) fn learned(&mut self, winner: Option<usize>, version: u64) -> bool {
        if version < self.accepted {
            return false;
        }
        self.accepted = version;
        self.coordinator = winner;
        true
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

    fn candidate(tx: u64, master: bool) -> Credentials {
        Credentials::Electable(Candidate { tx: TxId(tx), master })
    }

    fn elect(votes: &[Credentials], demoted: Option<usize>) -> Option<usize> {
        let c = cluster(votes.len() as u16);
        let mut election = Election::new(7);
        let Next::Ask(_, version) = election.begin(c.everyone(), demoted) else {
            panic!("no election began")
        };
        let mut last = Next::Nothing;
        for (from, credentials) in votes.iter().enumerate() {
            assert_eq!(last, Next::Nothing, "ended before all had voted");
            last = election.voted(
                &c,
                c.everyone(),
                from,
                version,
                (*credentials, 0),
                PlantedBugs::NONE,
            );
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
        let mut election = Election::new(0);
        assert!(election.learned(Some(1), 3));
        let Next::Ask(first, version) = election.begin(c.everyone(), None) else { panic!() };
        assert!(!first.contains(1));
        assert!(version > 3);
        let none = PlantedBugs::NONE;
        let vote = (candidate(2, false), 0);
        assert_eq!(election.voted(&c, c.everyone(), 0, version, vote, none), Next::Nothing);
        assert_eq!(
            election.voted(&c, c.everyone(), 2, version, vote, none),
            Next::Ask(MemberSet::EMPTY.with(1), version)
        );
    }

    #[test]
    fn a_vote_of_another_version_does_not_count() {
        let c = cluster(1);
        let mut election = Election::new(0);
        let Next::Ask(_, version) = election.begin(c.everyone(), None) else { panic!() };
        let vote = (candidate(2, false), 0);
        let none = PlantedBugs::NONE;
        assert_eq!(election.voted(&c, c.everyone(), 0, version - 1, vote, none), Next::Nothing);
        assert!(matches!(
            election.voted(&c, c.everyone(), 0, version, vote, none),
            Next::Ended { winner: Some(0), .. }
        ));
    }

    #[test]
    fn the_result_is_above_what_any_voter_accepted() {
        let c = cluster(1);
        let mut election = Election::new(0);
        let Next::Ask(_, version) = election.begin(c.everyone(), None) else { panic!() };
        let ballot = (candidate(2, false), 77);
        let next = election.voted(&c, c.everyone(), 0, version, ballot, PlantedBugs::NONE);
        assert_eq!(next, Next::Ended { version: 78, winner: Some(0) });
    }

    #[test]
    fn an_older_result_is_ignored() {
        let mut election = Election::new(0);
        assert!(election.learned(Some(1), 5));
        assert!(!election.learned(Some(0), 4));
        assert_eq!(election.coordinator(), Some(1));
    }
}
