//! Which page leaves the cache: one small interface, and the choice among its policies.
//!
//! A policy sees frame numbers and, because some remember pages that have left, the pages'
//! names. It decides nothing about dirty or pinned pages: `may_go` does. A choice is only a
//! proposal: a dirty page that is chosen is written first and stays until it is chosen again.

use super::arc::AdaptiveReplacement;
use super::clock::Clock;
use super::clock_sweep::ClockSweep;
use super::fifo::Fifo;
use super::lru::Lru;
use super::s3_fifo::S3Fifo;
use super::sieve::Sieve;
use super::two_queues::TwoQueues;
use super::w_tiny_lfu::WTinyLfu;

/// Decides which frame is given up. Frames are numbered from 0 and appear when first used;
/// tables grow with them, and nothing else allocates. The same calls give the same choices.
pub(crate) trait Policy {
    /// A page came into a free frame and was used once.
    fn loaded(&mut self, frame: u32, page: u64);
    /// The page in the frame was used again: a hit.
    fn used(&mut self, frame: u32);
    /// The next frame to give up among those that `may_go`; none if none may. What a policy
    /// forgets on its way (a bit cleared, a page moved between its queues) stays forgotten.
    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32>;
    /// The page has left the frame, which is free now.
    fn removed(&mut self, frame: u32, page: u64);
}

/// How the page cache chooses the page that it gives up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CachePolicy {
    /// Neo4j's: a hand halves usage stamps of 0, 1, 3 or 7.
    #[default]
    ClockSweep,
    /// Second chance with one bit (Corbató, 1968).
    Clock,
    /// The least recently used page goes.
    Lru,
    /// The page that came first goes.
    Fifo,
    /// A hand over a queue that never moves its pages (Zhang et al., NSDI 2024).
    Sieve,
    /// Three FIFO queues, one of them of ghosts (Yang et al., SOSP 2023).
    S3Fifo,
    /// Two queues and ghosts (Johnson and Shasha, VLDB 1994).
    TwoQueues,
    /// Recency and frequency in a balance that ghosts adjust (Megiddo and Modha, FAST 2003).
    Arc,
    /// A window, and a sketch of frequencies at the gate (Einziger et al., TOS 2017).
    WTinyLfu,
}

impl CachePolicy {
    /// All of them, the default first.
    pub const ALL: [CachePolicy; 9] = [
        CachePolicy::ClockSweep,
        CachePolicy::Clock,
        CachePolicy::Lru,
        CachePolicy::Fifo,
        CachePolicy::Sieve,
        CachePolicy::S3Fifo,
        CachePolicy::TwoQueues,
        CachePolicy::Arc,
        CachePolicy::WTinyLfu,
    ];

    /// Its name in scenarios and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            CachePolicy::ClockSweep => "clock-sweep",
            CachePolicy::Clock => "clock",
            CachePolicy::Lru => "lru",
            CachePolicy::Fifo => "fifo",
            CachePolicy::Sieve => "sieve",
            CachePolicy::S3Fifo => "s3-fifo",
            CachePolicy::TwoQueues => "2q",
            CachePolicy::Arc => "arc",
            CachePolicy::WTinyLfu => "w-tinylfu",
        }
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<CachePolicy> {
        CachePolicy::ALL.into_iter().find(|policy| policy.name() == name)
    }
}

/// The policy that was chosen, with its tables.
#[derive(Clone, Debug)]
pub(crate) enum Chosen {
    ClockSweep(ClockSweep),
    Clock(Clock),
    Lru(Lru),
    Fifo(Fifo),
    Sieve(Sieve),
    S3Fifo(S3Fifo),
    TwoQueues(TwoQueues),
    Arc(AdaptiveReplacement),
    WTinyLfu(WTinyLfu),
}

/// The same call to whichever it is, without a table of functions.
macro_rules! dispatch {
    ($chosen:expr, $policy:ident => $call:expr) => {
        match $chosen {
            Chosen::ClockSweep($policy) => $call,
            Chosen::Clock($policy) => $call,
            Chosen::Lru($policy) => $call,
            Chosen::Fifo($policy) => $call,
            Chosen::Sieve($policy) => $call,
            Chosen::S3Fifo($policy) => $call,
            Chosen::TwoQueues($policy) => $call,
            Chosen::Arc($policy) => $call,
            Chosen::WTinyLfu($policy) => $call,
        }
    };
}

impl Chosen {
    /// For a cache of `frames` frames. Those with shares for their queues divide that.
    pub(crate) fn new(policy: CachePolicy, frames: usize) -> Chosen {
        match policy {
            CachePolicy::ClockSweep => Chosen::ClockSweep(ClockSweep::default()),
            CachePolicy::Clock => Chosen::Clock(Clock::default()),
            CachePolicy::Lru => Chosen::Lru(Lru::default()),
            CachePolicy::Fifo => Chosen::Fifo(Fifo::default()),
            CachePolicy::Sieve => Chosen::Sieve(Sieve::default()),
            CachePolicy::S3Fifo => Chosen::S3Fifo(S3Fifo::new(frames)),
            CachePolicy::TwoQueues => Chosen::TwoQueues(TwoQueues::new(frames)),
            CachePolicy::Arc => Chosen::Arc(AdaptiveReplacement::new(frames)),
            CachePolicy::WTinyLfu => Chosen::WTinyLfu(WTinyLfu::new(frames)),
        }
    }
}

impl Chosen {
    fn used_otherwise(&mut self, frame: u32) {
        dispatch!(self, policy => policy.used(frame));
    }
}

impl Policy for Chosen {
    fn loaded(&mut self, frame: u32, page: u64) {
        dispatch!(self, policy => policy.loaded(frame, page));
    }

    #[inline(always)]
    fn used(&mut self, frame: u32) {
        // On the way of every record that is read: the usual policy goes by no table.
        match self {
            Chosen::ClockSweep(policy) => policy.used(frame),
            other => other.used_otherwise(frame),
        }
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        dispatch!(self, policy => policy.victim(may_go))
    }

    fn removed(&mut self, frame: u32, page: u64) {
        dispatch!(self, policy => policy.removed(frame, page));
    }
}
