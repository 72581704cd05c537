//! A machine: cores that serve tasks in turn, a disk, and the process that runs on it.

use alloc::string::String;
use alloc::vec::Vec;

use alloc::sync::Arc;
use wavetank_instance::{Instance, Promises, Settings, TaskId, Timer};

use wavetank_kernel::{Stream, TimerTable};
use wavetank_store::{Ledger, LockTotals, PAGE_SIZE};
use wavetank_vocabulary::{Bytes, InstanceId, Ratio, Span, Time};

use crate::cores::{At, Cores};
use crate::costs::CostTable;
use crate::disk::SimDisk;
use crate::fault_plan::Members;
use crate::meter::{QueueKind, QueueTotals};

/// The page cache is never smaller (HA specification 6.3: 30 pages at the least).
const MIN_FRAMES: usize = 30;

/// What is wrong with a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClockIll {
    Offset {
        by: Span,
        backwards: bool,
    },
    /// It gains or loses this part of the time that passes.
    Drift {
        part: Ratio,
        backwards: bool,
        since: Time,
    },
}

/// A machine and what runs on it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// None while the process does not run.
    pub(crate) instance: Option<Instance>,
    /// Counts the processes that ran here.
    pub(crate) life: u32,
    pub(crate) timers: TimerTable,
    pub(crate) disk: SimDisk,
    pub(crate) disk_stream: Stream,
    pub(crate) cores: Cores<TaskId>,
    /// When who waits for a core is woken, if a core in its last slice is the first to be idle.
    pub(crate) woken: Option<Time>,
    /// Draws the part of the cores' work that the cost table leaves to chance.
    pub(crate) core_stream: Stream,
    pub(crate) core_busy: Span,
    /// Until when the machine stands still.
    pub(crate) paused_until: Time,
    /// Nanoseconds that pauses have taken so far, the present one included.
    pub(crate) stolen: u64,
    /// When this process last had a sign of life of each peer; none before the first.
    last_heard: Vec<Option<Time>>,
    /// The longest silence between two of them since the last sample.
    longest_silence: Span,
    /// Why the last process ended itself, if it did.
    pub(crate) failure: Option<String>,
    /// How many faults keep the process down.
    pub(crate) held: u16,
    /// The process was told to stop: it takes no more requests.
    pub(crate) stopping: bool,
    /// By fault: how many times slower the cores are.
    pub(crate) slow: Vec<(u16, Ratio)>,
    /// By fault: what is wrong with the clock.
    pub(crate) clock: Vec<(u16, ClockIll)>,
    /// By fault: how much later answers to clients leave.
    pub(crate) grey: Vec<(u16, Span)>,
    /// By fault: the part of its frames that the page cache is left with.
    pub(crate) cache_parts: Vec<(u16, Ratio)>,
    /// By fault: the settings that the process starts with instead of its own.
    pub(crate) changed: Vec<(u16, Arc<Settings>)>,
    /// By fault: the initial hosts that it starts with instead of all.
    pub(crate) hosts: Vec<(u16, Members)>,
    /// What the acceptor of the last process left, if acceptors are durable.
    pub(crate) promises: Promises,
    /// What went through the queues for locks of the processes that are gone.
    past_locks: LockTotals,
    /// The machine has power: its kernel answers even when no process listens.
    pub(crate) powered: bool,
}

impl Machine {
    pub(crate) fn new(
        total: usize,
        cores: u32,
        disk: SimDisk,
        [disk_stream, core_stream]: [Stream; 2],
    ) -> Self {
        Machine {
            instance: None,
            life: 0,
            timers: TimerTable::new(Timer::count(total) as u32),
            disk,
            disk_stream,
            cores: Cores::new(cores),
            woken: None,
            core_stream,
            core_busy: Span::ZERO,
            paused_until: Time::ZERO,
            stolen: 0,
            last_heard: alloc::vec![None; total],
            longest_silence: Span::ZERO,
            failure: None,
            held: 0,
            stopping: false,
            slow: Vec::new(),
            clock: Vec::new(),
            grey: Vec::new(),
            cache_parts: Vec::new(),
            changed: Vec::new(),
            hosts: Vec::new(),
            promises: Promises::new(),
            past_locks: LockTotals::default(),
            powered: true,
        }
    }

    /// What the clock shows where the true one shows `true_ms`.
    #[inline]
    pub(crate) fn wall_ms(&self, now: Time, true_ms: u64) -> u64 {
        self.clock.iter().fold(true_ms, |wall, (_, ill)| {
            let (by, backwards) = match *ill {
                ClockIll::Offset { by, backwards } => (by, backwards),
                ClockIll::Drift { part, backwards, since } => {
                    (scaled(now.since(since), part), backwards)
                }
            };
            let by = by.as_nanos() / 1_000_000;
            if backwards { wall.saturating_sub(by) } else { wall.saturating_add(by) }
        })
    }

    /// The frames of a page cache of that size, as faults leave them.
    pub(crate) fn frames(&self, size: Bytes) -> usize {
        let all = size.0 / PAGE_SIZE as u64;
        let left = self.cache_parts.iter().fold(all, |all, (_, part)| {
            all * u64::from(part.numerator) / u64::from(part.denominator)
        });
        (left as usize).max(MIN_FRAMES)
    }

    /// That time, as the cores see it.
    #[inline]
    pub(crate) fn at(&self, now: Time) -> At {
        At { now, stolen: self.stolen }
    }

    /// How long work takes that would take `cost` on healthy cores.
    #[inline]
    pub(crate) fn slowed(&self, cost: Span) -> Span {
        self.slow.iter().fold(cost, |cost, (_, factor)| scaled(cost, *factor))
    }

    /// Core time for what a slice did.
    pub(crate) fn spend(&mut self, costs: &CostTable, ledger: &Ledger) -> Span {
        let mut cost = costs.of(ledger);
        if let Some(drawn) = &costs.drawn {
            cost += drawn.sample(&mut self.core_stream);
        }
        let cost = self.slowed(cost);
        self.core_busy += cost;
        cost
    }

    /// What went through the queues of this machine so far.
    pub(crate) fn queues(&self, now: Time, instance: InstanceId) -> [QueueTotals; 3] {
        let locks = self.lock_totals(now);
        let locks = QueueTotals {
            instance,
            queue: QueueKind::Locks,
            arrivals: locks.arrivals,
            presence: locks.presence,
            stays: locks.stays,
        };
        [self.cores.totals(self.at(now), instance), self.disk.totals(now, instance), locks]
    }

    /// What went through the queues for locks of all processes that ran here.
    fn lock_totals(&self, now: Time) -> LockTotals {
        let past = self.past_locks;
        let Some(process) = &self.instance else { return past };
        let present = process.store().lock_totals(now);
        LockTotals {
            arrivals: past.arrivals + present.arrivals,
            presence: past.presence + present.presence,
            stays: past.stays + present.stays,
        }
    }

    /// A sign of life of a peer came in. The silence before it counts if the peer was
    /// thought to be alive: that of a member known to be down is no news.
    pub(crate) fn heard(&mut self, peer: usize, now: Time) {
        let before = self.last_heard[peer].replace(now);
        if let Some(before) = before
            && self.counts_alive(peer)
        {
            self.longest_silence = self.longest_silence.max(now.since(before));
        }
    }

    fn counts_alive(&self, peer: usize) -> bool {
        let member = self.instance.as_ref().and_then(Instance::member);
        member.is_some_and(|member| member.alive().contains(peer))
    }

    /// The longest silence of a peer since this was last asked, present ones included;
    /// none when no peer was heard yet.
    pub(crate) fn take_silence(&mut self, now: Time) -> Option<Span> {
        for peer in 0..self.last_heard.len() {
            // When it counts as alive again, its silence begins anew.
            if !self.counts_alive(peer) {
                self.last_heard[peer] = None;
            }
        }
        let longest =
            self.last_heard.iter().filter_map(|heard| Some(now.since((*heard)?))).max()?;
        Some(core::mem::take(&mut self.longest_silence).max(longest))
    }

    /// For how long the machine stood still since the run began.
    pub(crate) fn paused(&self, now: Time) -> Span {
        let ahead = self.paused_until.max(now).since(now);
        Span::from_nanos(self.stolen.saturating_sub(ahead.as_nanos()))
    }

    /// The process is gone: its work and its timers with it.
    pub(crate) fn kill(&mut self, now: Time, total: usize) {
        self.past_locks = self.lock_totals(now);
        self.promises = self.instance.take().map(Instance::into_promises).unwrap_or_default();
        self.stopping = false;
        self.life += 1;
        self.cores.clear(self.at(now));
        self.woken = None;
        self.last_heard.fill(None);
        self.longest_silence = Span::ZERO;
        for slot in 0..Timer::count(total) as u32 {
            self.timers.cancel(slot);
        }
    }
}

/// A span times a ratio.
pub(crate) fn scaled(span: Span, by: Ratio) -> Span {
    let nanos = u128::from(span.as_nanos()) * u128::from(by.numerator);
    Span::from_nanos(u64::try_from(nanos / u128::from(by.denominator)).unwrap_or(u64::MAX))
}
