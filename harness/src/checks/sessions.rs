//! `read-your-writes` and `monotonic-reads`: what a user may expect of one read after another
//! (Terry et al., "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994).
//!
//! A read can see what its instance had when the read's transaction began there. It misses the
//! user's own write if that is a later transaction, acknowledged before the read was due; it
//! runs backwards if an earlier read of that user, over before this one was due, had seen more.
//! Users of two clients are two, although they have one node. Of each the last eight writes or reads that went further than all before them are kept:
//! a read that was due before all of these is not judged.
//! When a new master begins its reign, what lies beyond its log is gone for everybody: lost
//! writes are the business of `acknowledged-writes-lost`, not of this check.
//!
//! Exercised: some read had something to miss.

use std::collections::{BTreeMap, VecDeque};

use serde_json::json;
use wavetank_reports::{ExpectationResult, Verdict, grouped};
use wavetank_vocabulary::{
    Classes, ClientId, Fact, InstanceId, NodeId, Observer, OperationId, OperationKind, Ratio, Seq,
    Span, Time, TxId,
};
use wavetank_world::{Bounds, Plan, SessionGuarantee};

use super::{LESS, limit_json};
use crate::explain::Evidence;

/// Writes or reads that are kept of each user.
const KEPT: usize = 8;

/// What a user did, of the kind that reads are held against.
#[derive(Clone, Copy, Debug)]
struct Known {
    tx: TxId,
    /// When the client was told.
    at: Time,
    by: InstanceId,
    /// By which kind of operation, if that is known.
    kind: Option<OperationKind>,
}

/// The check.
#[derive(Clone, Debug)]
pub struct Sessions {
    guarantee: SessionGuarantee,
    client: Option<ClientId>,
    stale: Bounds<Ratio>,
    from: Time,
    until: Time,
    /// Of each user of each client; each further than those before it.
    users: BTreeMap<(ClientId, NodeId), VecDeque<Known>>,
    reads: u64,
    misses: u64,
    furthest: Option<(u64, String)>,
    /// The furthest miss: when, which read, at whom, and who had what it missed.
    proof: Option<(Time, OperationId, [InstanceId; 2])>,
    /// The names of the kinds of operations, and which was told of last: a session follows it.
    names: Vec<String>,
    last: Option<(OperationId, OperationKind)>,
}

impl Sessions {
    /// A check of the users of one client population, or of all.
    pub fn new(
        plan: &Plan,
        guarantee: SessionGuarantee,
        client: Option<&str>,
        stale: Bounds<Ratio>,
    ) -> Self {
        let index = client.and_then(|name| plan.clients.iter().position(|c| c.name == name));
        Sessions {
            guarantee,
            client: index.map(|index| ClientId(index as u16)),
            stale,
            from: Time::ZERO + plan.warm_up,
            until: Time::ZERO + plan.duration,
            users: BTreeMap::new(),
            reads: 0,
            misses: 0,
            furthest: None,
            proof: None,
            names: plan.operations.iter().map(|program| program.name.clone()).collect(),
            last: None,
        }
    }

    fn kind_of(&self, operation: OperationId) -> Option<OperationKind> {
        self.last.filter(|(last, _)| *last == operation).map(|(_, kind)| kind)
    }

    /// Words for a kind of operation.
    fn name(&self, kind: Option<OperationKind>) -> String {
        let name = kind.and_then(|kind| self.names.get(kind.index()));
        name.map_or_else(|| "an operation".into(), |name| format!("`{name}`"))
    }

    /// `told` is when the client was told of the read, and which operation it was.
    fn read(
        &mut self,
        told: (Time, OperationId),
        user: NodeId,
        seen: TxId,
        instance: InstanceId,
        due: Time,
    ) {
        let known = self.users.get(&(told.1.client, user)).into_iter().flatten();
        let Some(known) = known.rev().find(|known| known.at <= due) else { return };
        if due < self.from || due >= self.until {
            return;
        }
        self.reads += 1;
        if seen >= known.tx {
            return;
        }
        self.misses += 1;
        let by = known.tx.0 - seen.0;
        if self.furthest.as_ref().is_none_or(|(furthest, _)| by > *furthest) {
            let did = match self.guarantee {
                SessionGuarantee::ReadYourWrites => "wrote",
                SessionGuarantee::MonotonicReads => "saw",
            };
            let story = format!(
                "User {} {did} transaction {} by {} at instance {} and knew it at {}; the read {} by {}, due {} later at {due}, went to instance {}, which had {}: {by} behind.",
                user.0,
                known.tx.0,
                self.name(known.kind),
                known.by.0,
                known.at,
                told.1,
                self.name(self.kind_of(told.1)),
                coarse(due.since(known.at)),
                instance.0,
                seen.0
            );
            self.furthest = Some((by, story));
            self.proof = Some((told.0, told.1, [instance, known.by]));
        }
    }

    fn know(
        &mut self,
        user: NodeId,
        tx: TxId,
        (at, operation): (Time, OperationId),
        by: InstanceId,
    ) {
        let known = Known { tx, at, by, kind: self.kind_of(operation) };
        let all = self.users.entry((operation.client, user)).or_default();
        if all.back().is_none_or(|last| tx > last.tx) {
            if all.len() == KEPT {
                all.pop_front();
            }
            all.push_back(known);
        }
    }

    /// The read that missed most.
    pub fn evidence(&self) -> Evidence {
        self.proof.map_or_else(Evidence::default, |(at, operation, instances)| Evidence {
            at: Some(at),
            operations: vec![operation],
            instances: instances.to_vec(),
        })
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let part = self.misses as f64 / self.reads.max(1) as f64;
        let percent = |part: f64| format!("{:.3}%", part * 100.0);
        let limit = limit_json(&self.stale, |ratio| percent(ratio.as_f64()).into());
        let holds = self.stale.min.is_none_or(|min| part >= min.as_f64())
            && self.stale.max.is_none_or(|max| part <= max.as_f64());
        let (verdict, why) = match (self.reads, holds, &self.furthest) {
            (0, _, _) => (Verdict::NotExercised, "No read had anything to miss.".to_owned()),
            (reads, true, None) => (Verdict::Held, format!("Over {} reads.", grouped(reads))),
            (reads, _, furthest) => {
                let verdict = if holds { Verdict::Held } else { Verdict::Broke };
                let story = furthest.as_ref().map_or("", |(_, story)| story);
                let of = grouped(reads);
                let missed = grouped(self.misses);
                let why = format!("{missed} of {of} reads that could. {story}");
                let least = self.stale.min.filter(|min| part < min.as_f64());
                let few = least.map(|min| format!(" {LESS} {}.", percent(min.as_f64())));
                (verdict, why.trim_end().to_owned() + &few.unwrap_or_default())
            }
        };
        ExpectationResult {
            check: self.guarantee.name().to_owned(),
            verdict,
            measured: json!({ "stale": percent(part), "missed": self.misses }),
            limit: json!({ "stale": limit }),
            why,
        }
    }
}

/// A time for people: in whole milliseconds, unless it is shorter than one.
fn coarse(time: Span) -> Span {
    let ms = time.as_nanos() / 1_000_000;
    if ms > 0 { Span::from_millis(ms) } else { time }
}

impl Observer for Sessions {
    fn interests(&self) -> Classes {
        Classes::SESSIONS | Classes::CLUSTER | Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Completed { operation, kind, .. } => self.last = Some((operation, kind)),
            Fact::Session { operation, user, seen, wrote, instance, intended }
                if self.client.is_none_or(|client| operation.client == client) =>
            {
                let is_read = wrote.0 == 0;
                if is_read {
                    self.read((at, operation), user, seen, instance, intended);
                }
                match self.guarantee {
                    SessionGuarantee::ReadYourWrites if !is_read => {
                        self.know(user, wrote, (at, operation), instance);
                    }
                    SessionGuarantee::MonotonicReads if is_read => {
                        self.know(user, seen, (at, operation), instance);
                    }
                    _ => {}
                }
            }
            Fact::EpochBegan { log, .. } => {
                for known in self.users.values_mut().flatten() {
                    known.tx = known.tx.min(log.tx);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::{Epoch, LogMark};

    fn second(n: u64) -> Time {
        Time::ZERO + Span::from_secs(n)
    }

    struct Told(Sessions, Seq);

    impl Told {
        fn new(guarantee: SessionGuarantee, max: Ratio) -> Told {
            let mut plan = crate::testing::plan();
            plan.warm_up = Span::ZERO;
            plan.duration = Span::from_secs(100);
            Told(Sessions::new(&plan, guarantee, None, Bounds::at_most(max)), 0)
        }

        /// An operation due at one moment, over at another.
        fn session(&mut self, user: u64, due: u64, over: u64, seen: u64, wrote: u64) -> &mut Told {
            self.session_of(0, (user, due, over, seen, wrote))
        }

        fn session_of(
            &mut self,
            client: u16,
            (user, due, over, seen, wrote): (u64, u64, u64, u64, u64),
        ) -> &mut Told {
            let fact = Fact::Session {
                operation: OperationId { client: ClientId(client), index: 0 },
                user: NodeId(user),
                seen: TxId(seen),
                wrote: TxId(wrote),
                instance: InstanceId(2),
                intended: second(due),
            };
            self.0.observe(second(over), self.1, &fact);
            self.1 += 1;
            self
        }
    }

    #[test]
    fn a_read_that_lacks_ones_own_write_is_a_miss() {
        let mut told = Told::new(SessionGuarantee::ReadYourWrites, Ratio::ZERO);
        told.session(7, 1, 2, 4, 5).session(8, 3, 4, 4, 0).session(7, 1, 4, 4, 0);
        let before = told.0.finish();
        assert_eq!(before.verdict, Verdict::NotExercised, "another's, and one under way");
        told.session(7, 3, 4, 5, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Held);
        let (operation, kind) = (OperationId::default(), OperationKind(0));
        told.0.names = vec!["profile".into()];
        told.0.last = Some((operation, kind));
        told.session(7, 5, 6, 4, 0);
        let broke = told.0.finish();
        let end =
            "by `profile`, due 3s later at 5.000s, went to instance 2, which had 4: 1 behind.";
        assert!(broke.why.ends_with(end), "{}", broke.why);
        assert_eq!(broke.verdict, Verdict::Broke);
        assert!(
            broke.why.starts_with("1 of 2 reads that could. User 7 wrote transaction 5"),
            "{}",
            broke.why
        );
    }

    #[test]
    fn users_of_two_clients_are_two() {
        let mut told = Told::new(SessionGuarantee::ReadYourWrites, Ratio::ZERO);
        told.session(7, 1, 2, 4, 5).session_of(1, (7, 3, 4, 4, 0));
        assert_eq!(told.0.finish().verdict, Verdict::NotExercised);
        told.session(7, 3, 4, 4, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Broke);
    }

    #[test]
    fn a_read_is_held_against_what_was_known_when_it_was_due() {
        let mut told = Told::new(SessionGuarantee::ReadYourWrites, Ratio::ZERO);
        told.session(7, 1, 2, 4, 5).session(7, 3, 5, 8, 9).session(7, 4, 6, 4, 0);
        assert_eq!((told.0.reads, told.0.misses), (1, 1), "5 was known at 4, 9 was not");
        told.session(7, 4, 6, 5, 0);
        assert_eq!((told.0.reads, told.0.misses), (2, 1));
        for n in 0..8 {
            told.session(7, 6, 7, 8, 10 + n);
        }
        told.session(7, 6, 9, 4, 0);
        assert_eq!(told.0.reads, 2, "due before all that is kept");
    }

    #[test]
    fn a_read_that_goes_back_in_time_is_a_miss() {
        let mut told = Told::new(SessionGuarantee::MonotonicReads, Ratio::ZERO);
        told.session(7, 1, 2, 9, 0).session(7, 3, 4, 9, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Held);
        told.session(7, 5, 6, 8, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Broke);
    }

    #[test]
    fn what_a_new_master_does_not_have_nobody_can_miss() {
        let mut told = Told::new(SessionGuarantee::ReadYourWrites, Ratio::ZERO);
        told.session(7, 1, 2, 4, 5);
        let log = LogMark { tx: TxId(4), checksum: 1 };
        let fact = Fact::EpochBegan { instance: InstanceId(3), epoch: Epoch::default(), log };
        told.0.observe(second(3), 99, &fact);
        told.session(7, 4, 5, 4, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Held);
    }

    #[test]
    fn a_part_of_the_reads_may_be_stale() {
        let mut told = Told::new(SessionGuarantee::ReadYourWrites, Ratio::new(1, 2));
        told.session(7, 1, 2, 4, 5).session(7, 3, 4, 5, 0).session(7, 5, 6, 4, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Held);
        told.session(7, 7, 8, 4, 0);
        assert_eq!(told.0.finish().verdict, Verdict::Broke);
    }
}
