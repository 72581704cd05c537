//! t-visibility: the probability that a read at age t after the user's last own write does not
//! see it (Bailis et al., "Probabilistically bounded staleness", 2012), per client and so per
//! routing policy, and the windows that an application should wait for.
//!
//! Ages are counted in bins of equal ratio, so memory is bounded. The probability can only fall
//! with age: neighbouring bins where chance says otherwise are pooled (isotonic regression by
//! pool-adjacent-violators). A window is read off the pooled curve, and only where enough reads
//! are older: zero stale ones among n leave a probability of up to 3/n.

use std::collections::HashMap;

use wavetank_vocabulary::{Classes, Fact, Observer, Seq, Span, Time, TxId};
use wavetank_world::Plan;

/// Bins per tenfold of age: each is 2.3 % wide.
const PER_DECADE: i32 = 100;
/// Ages from a millisecond to a thousand seconds; the first bin holds what is younger, the last
/// what is older.
const DECADES: i32 = 6;
const BINS: usize = (PER_DECADE * DECADES) as usize + 2;

/// Reads of some ages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AgeBin {
    /// The youngest age, in milliseconds.
    pub from_ms: f64,
    /// The age where the next begins; infinite for the last.
    pub to_ms: f64,
    /// Reads that had something to see.
    pub reads: u64,
    /// Those that did not see it.
    pub stale: u64,
}

impl AgeBin {
    /// The part that was stale.
    pub fn part(&self) -> f64 {
        self.stale as f64 / self.reads.max(1) as f64
    }
}

/// The curve of one client.
#[derive(Clone, Debug)]
pub struct Curve {
    counts: Vec<(u64, u64)>,
}

impl Default for Curve {
    fn default() -> Self {
        Curve { counts: vec![(0, 0); BINS] }
    }
}

/// Where a bin begins, in milliseconds.
fn edge(bin: usize) -> f64 {
    match bin {
        0 => 0.0,
        BINS.. => f64::INFINITY,
        bin => 10f64.powf((bin as f64 - 1.0) / f64::from(PER_DECADE)),
    }
}

impl Curve {
    fn add(&mut self, age: Span, stale: bool) {
        let ms = age.as_nanos() as f64 / 1e6;
        let bin = if ms < 1.0 {
            0
        } else {
            (1 + (ms.log10() * f64::from(PER_DECADE)) as usize).min(BINS - 1)
        };
        self.counts[bin].0 += 1;
        self.counts[bin].1 += u64::from(stale);
    }

    /// The bins with reads, youngest first.
    pub fn bins(&self) -> impl Iterator<Item = AgeBin> + '_ {
        let counts = self.counts.iter().enumerate().filter(|(_, (reads, _))| *reads > 0);
        counts.map(|(bin, &(reads, stale))| AgeBin {
            from_ms: edge(bin),
            to_ms: edge(bin + 1),
            reads,
            stale,
        })
    }

    /// All reads that had something to see, and how many did not.
    pub fn totals(&self) -> (u64, u64) {
        self.counts.iter().fold((0, 0), |all, bin| (all.0 + bin.0, all.1 + bin.1))
    }

    /// The curve, never rising: neighbours are pooled where it would.
    pub fn fitted(&self) -> Vec<AgeBin> {
        let mut pools: Vec<AgeBin> = Vec::new();
        for bin in self.bins() {
            pools.push(bin);
            while let [.., before, last] = &pools[..] {
                if before.part() > last.part() {
                    break;
                }
                let pooled = AgeBin {
                    from_ms: before.from_ms,
                    to_ms: last.to_ms,
                    reads: before.reads + last.reads,
                    stale: before.stale + last.stale,
                };
                pools.truncate(pools.len() - 2);
                pools.push(pooled);
            }
        }
        pools
    }

    /// The age in milliseconds from which on at most `limit` of the reads are stale; none when
    /// no age is enough, or too few reads are older to say so.
    pub fn window(&self, limit: f64) -> Option<f64> {
        let fitted = self.fitted();
        let first = fitted.iter().position(|pool| pool.part() <= limit)?;
        let older: u64 = fitted[first..].iter().map(|pool| pool.reads).sum();
        // The first bin that is fresh enough as a whole may be stale where it begins.
        let mut bins = self.bins().skip_while(|bin| bin.from_ms < fitted[first].from_ms);
        let safe = if first == 0 { fitted[0].from_ms } else { bins.next()?.to_ms };
        (older as f64 * limit >= 3.0 && safe.is_finite()).then_some(safe)
    }
}

/// Reads sessions and keeps the curves.
#[derive(Clone, Debug)]
pub struct Visibility {
    from: Time,
    until: Time,
    /// What each user of each client wrote last, and when it knew. Only looked up.
    wrote: HashMap<(u16, u64), (TxId, Time)>,
    curves: Vec<Curve>,
    /// The last transaction that an epoch began with: what is beyond is gone.
    floor: Vec<(Time, TxId)>,
}

impl Visibility {
    /// For the clients of a Plan.
    pub fn new(plan: &Plan) -> Self {
        Visibility {
            from: Time::ZERO + plan.warm_up,
            until: Time::ZERO + plan.duration,
            wrote: HashMap::new(),
            curves: vec![Curve::default(); plan.clients.len()],
            floor: Vec::new(),
        }
    }

    /// The curves, in the order of the Plan's clients.
    pub fn curves(&self) -> &[Curve] {
        &self.curves
    }
}

/// What can be seen of a write that was known at that time: what a new master did not have
/// nobody can see.
fn visible(floor: &[(Time, TxId)], (tx, known): (TxId, Time)) -> TxId {
    let later = floor.iter().filter(|(began, _)| *began >= known);
    later.fold(tx, |tx, (_, last)| tx.min(*last))
}

impl Observer for Visibility {
    fn interests(&self) -> Classes {
        Classes::SESSIONS | Classes::CLUSTER
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Session { operation, user, seen, wrote, intended, .. } => {
                let client = operation.client.0;
                if wrote.0 != 0 {
                    let entry = self.wrote.entry((client, user.0)).or_insert((wrote, at));
                    if wrote >= visible(&self.floor, *entry) {
                        *entry = (wrote, at);
                    }
                    return;
                }
                let Some(&(tx, known)) = self.wrote.get(&(client, user.0)) else { return };
                if known > intended || intended < self.from || intended >= self.until {
                    return;
                }
                let tx = visible(&self.floor, (tx, known));
                if let Some(curve) = self.curves.get_mut(usize::from(client)) {
                    curve.add(intended.since(known), seen < tx);
                }
            }
            Fact::EpochBegan { log, .. } => self.floor.push((at, log.tx)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_curve_gives_its_windows() {
        let mut curve = Curve::default();
        // Stale up to two seconds, one in a thousand up to four, none after.
        for n in 0..200_000u64 {
            let age = Span::from_micros(50 * n + 1);
            let ms = 50 * n / 1_000;
            curve.add(age, ms < 2_000 || (ms < 4_000 && n % 1_000 == 0));
        }
        let (one, two) = (curve.window(0.01).unwrap(), curve.window(0.000_1).unwrap());
        assert!((1_990.0..2_200.0).contains(&one), "{one}");
        assert!((3_700.0..4_250.0).contains(&two), "{two}");
        assert_eq!(curve.window(0.000_01), None, "160,000 reads cannot tell");
        let parts: Vec<f64> = curve.fitted().iter().map(AgeBin::part).collect();
        assert!(parts.windows(2).all(|pair| pair[0] > pair[1]), "{parts:?}");
    }

    #[test]
    fn too_few_reads_give_no_window() {
        let mut curve = Curve::default();
        (0..299).for_each(|n| curve.add(Span::from_millis(n), false));
        assert_eq!(curve.window(0.01), None);
        curve.add(Span::from_secs(5_000), false);
        assert_eq!(curve.window(0.01), Some(0.0));
        assert_eq!(curve.totals(), (300, 0));
    }
}
