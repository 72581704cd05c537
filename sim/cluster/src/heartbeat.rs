//! Heartbeat state machine: suspicions, and the quorum that turns them into failure.
//!
//! Each member suspects on its own whom it has not heard for `ha.heartbeat_timeout`, tells
//! all others, and counts a member as *failed* once enough members suspect it (HA
//! specification 2.2; the arithmetic differs between 2.3.0 and 2.3.6).

use alloc::vec::Vec;

use wavetank_vocabulary::PlantedBugs;

use crate::configuration::MemberSet;
use crate::settings::Compat;

/// Whether this member takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum State {
    #[default]
    Start,
    Heartbeat,
}

/// One member's view of who is alive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    state: State,
    /// Per member, by index: whom it suspects. My own row among them.
    suspicions: Vec<MemberSet>,
    failed: MemberSet,
    /// Who left and is counted among the failed still ([`Flaws::LEAVERS_STAY_FAILED`]).
    ///
    /// [`Flaws::LEAVERS_STAY_FAILED`]: crate::Flaws::LEAVERS_STAY_FAILED
    leavers: MemberSet,
}

/// What changed in the set of failed members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    pub(crate) failed: MemberSet,
    pub(crate) alive: MemberSet,
}

/// Who is judged, and by which version's rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) compat: Compat,
    pub(crate) members: MemberSet,
    pub(crate) me: usize,
    pub(crate) bugs: PlantedBugs,
}

impl Rules {
    fn others(self) -> MemberSet {
        self.members.without(self.me)
    }
}

impl Heartbeat {
    /// `join`: everybody counts as alive; room for `total` members.
    pub(crate) fn join(&mut self, total: usize) {
        *self = Heartbeat {
            state: State::Heartbeat,
            suspicions: alloc::vec![MemberSet::EMPTY; total],
            failed: MemberSet::EMPTY,
            leavers: MemberSet::EMPTY,
        };
    }

    /// `leave`: everything is forgotten.
    pub(crate) fn leave(&mut self) {
        *self = Heartbeat::default();
    }

    /// A member joined or left: nothing said of it, nor by it, holds any more.
    pub(crate) fn forget(&mut self, whom: usize) {
        for row in &mut self.suspicions {
            *row = row.without(whom);
        }
        if let Some(row) = self.suspicions.get_mut(whom) {
            *row = MemberSet::EMPTY;
        }
        self.failed = self.failed.without(whom);
        self.leavers = self.leavers.without(whom);
    }

    /// A member left, and the flaw keeps it among the failed until it joins again.
    pub(crate) fn keep_failed(&mut self, whom: usize) {
        self.leavers = self.leavers.with(whom);
    }

    /// How many that left are counted among the failed.
    pub(crate) fn leavers(&self) -> usize {
        self.leavers.len()
    }

    /// Members that count as failed.
    #[inline]
    pub fn failed(&self) -> MemberSet {
        self.failed
    }

    /// Whether one suspects the other.
    #[inline]
    pub(crate) fn suspects(&self, index: usize, whom: usize) -> bool {
        self.suspicions.get(index).is_some_and(|row| row.contains(whom))
    }

    /// Members that this one suspects.
    pub fn suspected_by(&self, index: usize) -> MemberSet {
        self.suspicions.get(index).copied().unwrap_or_default()
    }

    /// `ha.heartbeat_timeout` passed without a sign of `whom`. True when the suspicion is new.
    pub(crate) fn timed_out(&mut self, me: usize, whom: usize) -> bool {
        let Some(row) = self.suspicions.get_mut(me) else { return false };
        let new = !row.contains(whom);
        *row = row.with(whom);
        new
    }

    /// A sign of life of `whom`. True when I had suspected it.
    #[inline]
    pub(crate) fn heard(&mut self, me: usize, whom: usize) -> bool {
        let Some(row) = self.suspicions.get_mut(me) else { return false };
        let suspected = row.contains(whom);
        *row = row.without(whom);
        suspected
    }

    /// A member asks for the configuration: it has restarted, and suspects nobody yet.
    /// True when it had suspected somebody.
    pub(crate) fn restarted(&mut self, whom: usize) -> bool {
        let Some(row) = self.suspicions.get_mut(whom) else { return false };
        !core::mem::take(row).is_empty()
    }

    /// `from` told whom it suspects. It is never one that a quorum suspects and that is not yet
    /// among the failed, whom 2.3.13 would not listen to: [`Self::judge`] follows each change.
    pub(crate) fn told(&mut self, rules: Rules, from: usize, suspected: MemberSet) {
        if self.state == State::Heartbeat {
            let valid = suspected.intersection(rules.members);
            self.suspicions[from] = valid.without(rules.me).without(from);
        }
    }

    /// Recomputes who is failed, and says what changed.
    pub(crate) fn judge(&mut self, rules: Rules) -> Verdicts {
        let before = self.failed;
        let others = rules.others();
        if rules.compat.detaches()
            && !others.is_empty()
            && others.difference(self.suspected_by(rules.me)).is_empty()
        {
            // Whom everyone else is silent to is the one that is cut off.
            self.failed = others;
        } else {
            // A failed member's own suspicions do not count, so one verdict may change the
            // next: more fail until nothing changes; then who has no quorum against it any more
            // is alive, and its suspicions count again.
            self.grow(rules);
            self.failed = self.failed.intersection(self.suspected_by_quorum(rules));
            self.grow(rules);
        }
        Verdicts { failed: self.failed.difference(before), alive: before.difference(self.failed) }
    }

    /// Who counts as failed although I hear it, by the word of nobody but members that count
    /// as failed themselves. In 2.2 and 2.3.0 that lasts: whoever takes a suspicion back tells
    /// the alive only. Later rules give the failed no voice.
    pub(crate) fn held_by_the_failed(&self) -> MemberSet {
        let by_the_alive = self.suspicions.iter().enumerate();
        let by_the_alive = by_the_alive.filter(|(by, _)| !self.failed.contains(*by));
        by_the_alive.fold(self.failed, |held, (_, row)| held.difference(*row))
    }

    fn suspected_by_quorum(&self, rules: Rules) -> MemberSet {
        let suspected = rules.others().iter().filter(|s| self.is_suspected_by_quorum(rules, *s));
        suspected.fold(MemberSet::EMPTY, MemberSet::with)
    }

    /// Lets more members fail until no further one is suspected by a quorum.
    fn grow(&mut self, rules: Rules) {
        loop {
            let grown = self.failed.union(self.suspected_by_quorum(rules));
            if grown == self.failed {
                return;
            }
            self.failed = grown;
        }
    }

    fn is_suspected_by_quorum(&self, rules: Rules, whom: usize) -> bool {
        let off_by_one = rules.bugs.contains(PlantedBugs::SUSPICION_QUORUM_OFF_BY_ONE);
        let members = rules.members.len() + 2 * usize::from(off_by_one);
        if rules.compat.detaches() {
            let count = self
                .suspicions
                .iter()
                .enumerate()
                .filter(|(by, row)| !self.failed.contains(*by) && row.contains(whom))
                .count();
            count > members.saturating_sub(self.suspected_by(rules.me).len()) / 2
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
    use proptest::prelude::*;

    fn cluster(n: usize) -> (impl Fn(Compat) -> Rules, Heartbeat) {
        let mut heartbeat = Heartbeat::default();
        heartbeat.join(n);
        (
            move |compat| Rules {
                compat,
                members: MemberSet::first(n),
                me: 0,
                bugs: PlantedBugs::NONE,
            },
            heartbeat,
        )
    }

    fn set(members: &[usize]) -> MemberSet {
        members.iter().fold(MemberSet::EMPTY, |set, m| set.with(*m))
    }

    #[test]
    fn of_three_two_must_suspect() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        assert_eq!(h.judge(c(Compat::V2_3_6)), Verdicts::default());
        h.told(c(Compat::V2_3_6), 1, set(&[2]));
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[2]));
    }

    #[test]
    fn of_five_three_must_suspect_one_and_two_must_suspect_two() {
        let (c, mut h) = cluster(5);
        h.timed_out(0, 4);
        h.told(c(Compat::V2_3_6), 1, set(&[4]));
        assert!(h.judge(c(Compat::V2_3_6)).failed.is_empty());
        h.timed_out(0, 3);
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[4]));
        let (c, mut h) = cluster(5);
        h.timed_out(0, 4);
        h.told(c(Compat::V2_3_6), 1, set(&[4]));
        h.told(c(Compat::V2_3_6), 2, set(&[4]));
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[4]));
    }

    #[test]
    fn of_two_one_is_enough() {
        let (c, mut h) = cluster(2);
        h.timed_out(0, 1);
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[1]));
    }

    #[test]
    fn who_suspects_everybody_is_cut_off_but_not_in_2_3_0() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 1);
        h.timed_out(0, 2);
        let mut old = h.clone();
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[1, 2]));
        assert!(old.judge(c(Compat::V2_3_0)).failed.is_empty(), "the flaw of 2.3.0");
    }

    #[test]
    fn a_sign_of_life_brings_a_member_back() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        h.told(c(Compat::V2_3_6), 1, set(&[2]));
        h.judge(c(Compat::V2_3_6));
        assert!(h.heard(0, 2));
        assert_eq!(h.judge(c(Compat::V2_3_6)).alive, set(&[2]));
    }

    #[test]
    fn what_a_member_said_before_its_silence_holds_until_it_restarts() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        h.told(c(Compat::V2_3_6), 1, set(&[2]));
        h.judge(c(Compat::V2_3_6));
        h.timed_out(0, 1);
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[1]), "now I am alone");
        assert!(h.heard(0, 1));
        assert_eq!(h.judge(c(Compat::V2_3_6)).alive, set(&[1]), "the third stays failed");
        h.restarted(1);
        assert_eq!(h.judge(c(Compat::V2_3_6)).alive, set(&[2]));
    }

    #[test]
    fn nobody_can_make_me_suspect_myself() {
        let (c, mut h) = cluster(3);
        h.told(c(Compat::V2_3_6), 1, MemberSet::first(64));
        h.told(c(Compat::V2_3_6), 2, MemberSet::first(64));
        assert!(!h.judge(c(Compat::V2_3_6)).failed.contains(0));
    }

    #[test]
    fn who_joins_again_is_no_longer_suspected() {
        let (c, mut h) = cluster(3);
        h.timed_out(0, 2);
        h.told(c(Compat::V2_3_6), 1, set(&[2]));
        assert_eq!(h.judge(c(Compat::V2_3_6)).failed, set(&[2]));
        h.forget(2);
        assert_eq!(h.judge(c(Compat::V2_3_6)), Verdicts::default());
        assert!(h.failed().is_empty());
    }

    /// Something that changes what is known, or who is a member.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        TimedOut(usize),
        Heard(usize),
        Restarted(usize),
        Told(usize, u64),
        /// It leaves, or is back.
        Moves(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let other = 1..6usize;
        prop_oneof![
            other.clone().prop_map(Change::TimedOut),
            other.clone().prop_map(Change::Heard),
            other.clone().prop_map(Change::Restarted),
            (other.clone(), 0..64u64).prop_map(|(from, whom)| Change::Told(from, whom)),
            other.prop_map(Change::Moves),
        ]
    }

    proptest! {
        #[test]
        fn whom_a_quorum_suspects_is_noted_as_failed_at_once(
            changes in prop::collection::vec(change(), 0..40),
            version in 0..4usize,
        ) {
            let (c, mut h) = cluster(6);
            let mut rules = c(Compat::ALL[version]);
            for change in changes {
                match change {
                    Change::TimedOut(whom) if rules.members.contains(whom) => {
                        h.timed_out(0, whom);
                    }
                    Change::Heard(whom) => {
                        h.heard(0, whom);
                    }
                    Change::Restarted(whom) => {
                        h.restarted(whom);
                    }
                    Change::Told(from, whom) if rules.members.contains(from) => {
                        let whom = (0..6).filter(|index| whom & 1 << index != 0);
                        h.told(rules, from, whom.fold(MemberSet::EMPTY, MemberSet::with));
                    }
                    Change::Moves(whom) => {
                        rules.members = match rules.members.contains(whom) {
                            true => rules.members.without(whom),
                            false => rules.members.with(whom),
                        };
                        h.forget(whom);
                    }
                    Change::TimedOut(_) | Change::Told(..) => {}
                }
                h.judge(rules);
                let left = h.suspected_by_quorum(rules).difference(h.failed());
                prop_assert!(left.is_empty(), "{:?}: {:?}", change, left);
            }
        }
    }

    #[test]
    fn before_joining_nothing_is_believed() {
        let mut h = Heartbeat::default();
        let members = MemberSet::first(3);
        let rules = Rules { compat: Compat::V2_3_0, members, me: 0, bugs: PlantedBugs::NONE };
        h.told(rules, 1, set(&[2]));
        assert!(!h.timed_out(0, 1) && !h.heard(0, 1));
        assert_eq!(h.judge(rules), Verdicts::default());
    }
}
