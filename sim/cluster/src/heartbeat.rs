//! Heartbeat state machine: suspicions, and the quorum that turns them into failure.
//!
//! Each member suspects on its own whom it has not heard for `ha.heartbeat_timeout`, tells
//! all others, and counts a member as *failed* once enough members suspect it (HA
//! specification 2.2; the arithmetic differs between 2.3.0 and 2.3.6).

use alloc::vec::Vec;

use crate::configuration::{Configuration, MemberSet};
use crate::settings::Compat;

/// One member's view of who is alive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// Per member, by index: whom it suspects. My own row among them.
    suspicions: Vec<MemberSet>,
    failed: MemberSet,
}

/// What changed in the set of failed members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) failed: MemberSet,
    pub(crate) alive: MemberSet,
}

impl Heartbeat {
    pub(crate) fn new(configuration: &Configuration) -> Self {
        Heartbeat {
            suspicions: alloc::vec![MemberSet::EMPTY; configuration.total()],
            failed: MemberSet::EMPTY,
        }
    }

    /// Members that count as failed.
    pub fn failed(&self) -> MemberSet {
        self.failed
    }

    /// Members that I suspect.
    pub fn suspected_by(&self, index: usize) -> MemberSet {
        self.suspicions[index]
    }

    /// `ha.heartbeat_timeout` passed without a sign of `whom`. True when the suspicion is new.
    pub(crate) fn timed_out(&mut self, me: usize, whom: usize) -> bool {
        let row = &mut self.suspicions[me];
        let new = !row.contains(whom);
        *row = row.with(whom);
        new
    }

    /// A sign of life of `whom`. True when I had suspected it; what it said before its
    /// silence is void then, for it may have restarted (and it repeats what still holds).
    #[inline]
    pub(crate) fn heard(&mut self, me: usize, whom: usize) -> bool {
        let row = &mut self.suspicions[me];
        let suspected = row.contains(whom);
        if suspected {
            *row = row.without(whom);
            self.suspicions[whom] = MemberSet::EMPTY;
        }
        suspected
    }

    /// `from` told whom it suspects.
    pub(crate) fn told(
        &mut self,
        configuration: &Configuration,
        compat: Compat,
        from: usize,
        suspected: MemberSet,
    ) {
        // From 2.3.6 on, a sender that a quorum suspects but that is not yet marked failed
        // is not listened to.
        if compat.detaches()
            && self.is_suspected_by_quorum(configuration, compat, from)
            && !self.failed.contains(from)
        {
            return;
        }
        let valid = suspected.intersection(configuration.everyone());
        self.suspicions[from] = valid.without(configuration.me()).without(from);
    }

    /// Recomputes who is failed, and says what changed.
    pub(crate) fn judge(&mut self, configuration: &Configuration, compat: Compat) -> Verdicts {
        let before = self.failed;
        let me = configuration.me();
        if compat.detaches()
            && configuration.total() > 1
            && self.suspicions[me] == configuration.others()
        {
            // Whom everyone else is silent to is the one that is cut off.
            self.failed = configuration.others();
        } else {
            // A failed member's own suspicions do not count, so one failure may change the
            // count of the next: go on until nothing changes.
            loop {
                let now = configuration
                    .others()
                    .iter()
                    .filter(|s| self.is_suspected_by_quorum(configuration, compat, *s))
                    .fold(MemberSet::EMPTY, MemberSet::with);
                if now == self.failed {
                    break;
                }
                // Only grow within one round; what shrinks is settled in the next call.
                let grown = self.failed.union(now);
                if grown == self.failed {
                    self.failed = now;
                    break;
                }
                self.failed = grown;
            }
        }
        Verdicts { failed: self.failed.difference(before), alive: before.difference(self.failed) }
    }

    fn is_suspected_by_quorum(
        &self,
        configuration: &Configuration,
        compat: Compat,
        whom: usize,
    ) -> bool {
        let members = configuration.total();
        if compat.detaches() {
            let count = self
                .suspicions
                .iter()
                .enumerate()
                .filter(|(by, row)| !self.failed.contains(*by) && row.contains(whom))
                .count();
            count > (members - self.suspicions[configuration.me()].len()) / 2
        } else {
            let count = self.suspicions.iter().filter(|row| row.contains(whom)).count();
            let adjust = usize::from(!self.failed.contains(whom));
            count > members.saturating_sub(self.failed.len() + adjust) / 2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::InstanceId;

    fn cluster(n: u16) -> (Configuration, Heartbeat) {
        let ids: Vec<_> = (1..=n).map(InstanceId).collect();
        let configuration = Configuration::new(InstanceId(1), &ids).unwrap();
        let heartbeat = Heartbeat::new(&configuration);
        (configuration, heartbeat)
    }

    fn set(members: &[usize]) -> MemberSet {
        members.iter().fold(MemberSet::EMPTY, |set, m| set.with(*m))
    }

    #[test]
    fn of_three_two_must_suspect() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        assert_eq!(h.judge(&c, Compat::V2_3_6), Verdicts::default());
        h.told(&c, Compat::V2_3_6, 1, set(&[2]));
        assert_eq!(h.judge(&c, Compat::V2_3_6).failed, set(&[2]));
    }

    #[test]
    fn of_five_three_must_suspect_one_and_two_must_suspect_two() {
        let (c, mut h) = cluster(5);
        h.timed_out(0, 4);
        h.told(&c, Compat::V2_3_6, 1, set(&[4]));
        assert!(h.judge(&c, Compat::V2_3_6).failed.is_empty());
        h.timed_out(0, 3);
        assert_eq!(h.judge(&c, Compat::V2_3_6).failed, set(&[4]));
        let (c, mut h) = cluster(5);
        h.timed_out(0, 4);
        h.told(&c, Compat::V2_3_6, 1, set(&[4]));
        h.told(&c, Compat::V2_3_6, 2, set(&[4]));
        assert_eq!(h.judge(&c, Compat::V2_3_6).failed, set(&[4]));
    }

    #[test]
    fn of_two_one_is_enough() {
        let (c, mut h) = cluster(2);
        h.timed_out(0, 1);
        assert_eq!(h.judge(&c, Compat::V2_3_6).failed, set(&[1]));
    }

    #[test]
    fn who_suspects_everybody_is_cut_off_but_not_in_2_3_0() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 1);
        h.timed_out(0, 2);
        let mut old = h.clone();
        assert_eq!(h.judge(&c, Compat::V2_3_6).failed, set(&[1, 2]));
        assert!(old.judge(&c, Compat::V2_3_0).failed.is_empty(), "the flaw of 2.3.0");
    }

    #[test]
    fn a_sign_of_life_brings_a_member_back() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        h.told(&c, Compat::V2_3_6, 1, set(&[2]));
        h.judge(&c, Compat::V2_3_6);
        assert!(h.heard(0, 2));
        assert_eq!(h.judge(&c, Compat::V2_3_6).alive, set(&[2]));
    }

    #[test]
    fn nobody_can_make_me_suspect_myself() {
        let (c, mut h) = cluster(3);
        h.told(&c, Compat::V2_3_6, 1, MemberSet::first(64));
        h.told(&c, Compat::V2_3_6, 2, MemberSet::first(64));
        assert!(!h.judge(&c, Compat::V2_3_6).failed.contains(0));
    }
}
