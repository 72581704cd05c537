//! What was waited for at the locks of the databases: the hottest ones, who waited behind
//! whom, and the victims of deadlocks. Streaming: a bounded number of locks is kept, those
//! with the least waiting make room.

use wavetank_vocabulary::{
    Classes, Fact, InstanceId, Locked, LookupMap, OperationId, OperationKind, Span, Time,
};

/// How many locks are kept.
const KEPT: usize = 16_384;
/// How many of them are reported.
const HOTTEST: usize = 10;
/// How many victims of deadlocks are kept, from the start of the run.
const VICTIMS_KEPT: usize = 20;

/// What became of one lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockStats {
    /// Where.
    pub instance: InstanceId,
    /// What.
    pub lock: Locked,
    /// How often it was held and released.
    pub acquisitions: u64,
    /// How long it was held, by all together.
    pub held: Span,
    /// The longest time that one held it.
    pub longest_hold: Span,
    /// The waits for it.
    pub waits: Waits,
}

/// Waits for locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// How many there were.
    pub count: u64,
    /// How long they took together.
    pub total: Span,
    /// The longest.
    pub longest: Span,
    /// How many were given up: the transaction ended before it got the lock.
    pub given_up: u64,
    /// How many requests were refused because they would have closed a cycle of waits.
    pub deadlocks: u64,
}

impl Waits {
    fn note(&mut self, waited: Span, granted: bool) {
        self.count += 1;
        self.total += waited;
        self.longest = self.longest.max(waited);
        self.given_up += u64::from(!granted);
    }

    const fn is_none(&self) -> bool {
        self.count == 0 && self.deadlocks == 0
    }
}

/// Who waited behind whom: kinds of operations; none is what no client asked for.
pub type Pair = (Option<OperationKind>, Option<OperationKind>);

/// The victim of a deadlock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// When.
    pub at: Time,
    /// Where.
    pub instance: InstanceId,
    /// The lock that would have closed the cycle.
    pub lock: Locked,
    /// Which operation.
    pub operation: Option<OperationId>,
    /// Its kind, and that of who held the lock.
    pub pair: Pair,
}

/// Observes what becomes of locks.
#[derive(Clone, Debug)]
pub struct LockBook {
    places: LookupMap<(InstanceId, Locked), u32>,
    locks: Vec<LockStats>,
    /// Where a lock that may make room was last looked for.
    hand: usize,
    left_out: u64,
    all: Waits,
    pairs: Vec<(Pair, Waits)>,
    victims: Vec<Victim>,
}

impl Default for LockBook {
    fn default() -> Self {
        LockBook {
            places: LookupMap::new(),
            locks: Vec::new(),
            hand: 0,
            left_out: 0,
            all: Waits::default(),
            pairs: Vec::new(),
            victims: Vec::new(),
        }
    }
}

impl LockBook {
    /// What it reads.
    pub const INTERESTS: Classes = Classes::LOCKS;

    /// All waits together.
    pub fn all(&self) -> &Waits {
        &self.all
    }

    /// How many locks made room for others: 0 means that the account is complete.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The locks that were waited for longest, at most ten, hottest first.
    pub fn hottest(&self) -> Vec<LockStats> {
        let mut waited: Vec<_> = self.locks.iter().filter(|l| !l.waits.is_none()).collect();
        waited.sort_by_key(|lock| {
            let Waits { total, count, deadlocks, .. } = lock.waits;
            (std::cmp::Reverse((total, count, deadlocks)), lock.instance, lock.lock)
        });
        waited.into_iter().take(HOTTEST).copied().collect()
    }

    /// Who waited behind whom, longest first.
    pub fn pairs(&self) -> Vec<(Pair, Waits)> {
        let mut pairs = self.pairs.clone();
        pairs.sort_by_key(|(pair, waits)| {
            (std::cmp::Reverse((waits.total, waits.count, waits.deadlocks)), *pair)
        });
        pairs
    }

    /// The victims of deadlocks, the first twenty.
    pub fn victims(&self) -> &[Victim] {
        &self.victims
    }

    /// Takes a fact.
    pub fn observe(&mut self, at: Time, fact: &Fact) {
        match *fact {
            Fact::LockReleased { instance, lock, held, .. } => {
                if let Some(stats) = self.stats(instance, lock, false) {
                    stats.acquisitions += 1;
                    stats.held += held;
                    stats.longest_hold = stats.longest_hold.max(held);
                }
            }
            // A victim's wait was over before it began.
            Fact::LockWaited { waited, granted: false, .. } if waited.is_zero() => {}
            Fact::LockWaited { instance, lock, kind, behind, waited, granted, .. } => {
                self.all.note(waited, granted);
                self.pair((kind, behind)).note(waited, granted);
                if let Some(stats) = self.stats(instance, lock, true) {
                    stats.waits.note(waited, granted);
                }
            }
            Fact::Deadlock { instance, lock, operation, kind, behind } => {
                self.all.deadlocks += 1;
                self.pair((kind, behind)).deadlocks += 1;
                if let Some(stats) = self.stats(instance, lock, true) {
                    stats.waits.deadlocks += 1;
                }
                if self.victims.len() < VICTIMS_KEPT {
                    let pair = (kind, behind);
                    self.victims.push(Victim { at, instance, lock, operation, pair });
                }
            }
            _ => {}
        }
    }

    /// At most the square of the number of operations.
    fn pair(&mut self, pair: Pair) -> &mut Waits {
        let at = match self.pairs.iter().position(|(known, _)| *known == pair) {
            Some(at) => at,
            None => {
                self.pairs.push((pair, Waits::default()));
                self.pairs.len() - 1
            }
        };
        &mut self.pairs[at].1
    }

    /// The account of a lock; where there is no room, only one that was waited for gets it.
    fn stats(
        &mut self,
        instance: InstanceId,
        lock: Locked,
        waited: bool,
    ) -> Option<&mut LockStats> {
        if let Some(place) = self.places.get(&(instance, lock)) {
            return self.locks.get_mut(*place as usize);
        }
        let fresh = LockStats {
            instance,
            lock,
            acquisitions: 0,
            held: Span::ZERO,
            longest_hold: Span::ZERO,
            waits: Waits::default(),
        };
        let place = if self.locks.len() < KEPT {
            self.locks.push(fresh);
            self.locks.len() - 1
        } else {
            self.left_out += 1;
            if !waited {
                return None;
            }
            let place = self.coldest();
            let old = std::mem::replace(&mut self.locks[place], fresh);
            self.places.remove(&(old.instance, old.lock));
            place
        };
        self.places.insert((instance, lock), place as u32);
        self.locks.get_mut(place)
    }

    /// A lock that nobody waited for, else the one with the least waiting.
    fn coldest(&mut self) -> usize {
        for _ in 0..self.locks.len() {
            self.hand = (self.hand + 1) % self.locks.len();
            if self.locks[self.hand].waits.is_none() {
                return self.hand;
            }
        }
        let waiting = self.locks.iter().enumerate();
        waiting.min_by_key(|(_, lock)| lock.waits.total).map_or(0, |(place, _)| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: InstanceId = InstanceId(1);

    fn node(id: u64) -> Locked {
        Locked::Node(wavetank_vocabulary::NodeId(id))
    }

    fn waited(lock: Locked, kinds: [u16; 2], ms: u64, granted: bool) -> Fact {
        let [kind, behind] = kinds.map(|kind| Some(OperationKind(kind)));
        let waited = Span::from_millis(ms);
        let operation = None;
        Fact::LockWaited { instance: HERE, lock, operation, kind, behind, waited, granted }
    }

    fn released(lock: Locked, ms: u64) -> Fact {
        let held = Span::from_millis(ms);
        Fact::LockReleased { instance: HERE, lock, kind: Some(OperationKind(0)), held }
    }

    #[test]
    fn the_hottest_lock_is_the_one_that_was_waited_for_longest() {
        let mut book = LockBook::default();
        let facts = [
            released(node(1), 5),
            released(node(1), 9),
            waited(node(1), [0, 1], 4, true),
            waited(node(2), [0, 1], 30, true),
            waited(node(2), [1, 1], 10, false),
            released(node(3), 100),
        ];
        facts.iter().for_each(|fact| book.observe(Time::ZERO, fact));
        let hottest = book.hottest();
        assert_eq!(hottest.iter().map(|l| l.lock).collect::<Vec<_>>(), [node(2), node(1)]);
        let [second, first] = [&hottest[1], &hottest[0]];
        assert_eq!((first.waits.count, first.waits.given_up), (2, 1));
        assert_eq!(first.waits.longest, Span::from_millis(30));
        assert_eq!((second.acquisitions, second.held), (2, Span::from_millis(14)));
        assert_eq!(second.longest_hold, Span::from_millis(9));
        let pairs = book.pairs();
        assert_eq!(pairs[0].0, (Some(OperationKind(0)), Some(OperationKind(1))));
        assert_eq!((pairs[0].1.count, pairs[0].1.total), (2, Span::from_millis(34)));
        assert_eq!((book.all().count, book.left_out()), (3, 0));
    }

    #[test]
    fn what_is_hot_stays_when_there_is_no_room() {
        let mut book = LockBook::default();
        book.observe(Time::ZERO, &waited(node(0), [0, 0], 1_000, true));
        for id in 1..3 * KEPT as u64 {
            book.observe(Time::ZERO, &released(node(id), 1));
            book.observe(Time::ZERO, &waited(node(id), [0, 0], 1 + id % 2, true));
        }
        assert_eq!(book.locks.len(), KEPT);
        assert_eq!(book.hottest()[0].lock, node(0));
        assert!(book.left_out() > 0);
        assert_eq!(book.all().count, 3 * KEPT as u64);
    }

    #[test]
    fn victims_are_told_and_their_refused_request_is_no_wait() {
        let mut book = LockBook::default();
        let refused = Fact::Deadlock {
            instance: HERE,
            lock: node(7),
            operation: None,
            kind: Some(OperationKind(2)),
            behind: None,
        };
        for _ in 0..30 {
            book.observe(Time::ZERO, &refused);
            book.observe(Time::ZERO, &waited(node(7), [2, 0], 0, false));
        }
        assert_eq!((book.all().deadlocks, book.all().count), (30, 0));
        assert_eq!(book.victims().len(), VICTIMS_KEPT);
        assert_eq!(book.hottest()[0].waits.deadlocks, 30);
    }
}
