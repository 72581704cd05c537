//! A machine: cores that serve tasks in turn, a disk, and the process that runs on it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_instance::{Instance, TaskId, Timer};
use wavetank_kernel::{Stream, TimerTable};
use wavetank_vocabulary::{Span, Time};

use crate::disk::SimDisk;

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
    idle_cores: u32,
    /// Tasks that wait for a core, first come first served.
    ready: VecDeque<TaskId>,
    pub(crate) core_busy: Span,
    /// Until when the machine stands still.
    pub(crate) paused_until: Time,
    /// Nanoseconds that pauses have taken so far, the present one included.
    pub(crate) stolen: u64,
    /// When this process last had a sign of life of each peer; none before the first.
    last_heard: Vec<Option<Time>>,
    /// The longest silence between two of them since the last sample.
    longest_silence: Span,
    /// A fault keeps the process down.
    pub(crate) held_down: bool,
    /// The machine has power: its kernel answers even when no process listens.
    pub(crate) powered: bool,
}

impl Machine {
    pub(crate) fn new(total: usize, cores: u32, disk: SimDisk, disk_stream: Stream) -> Self {
        Machine {
            instance: None,
            life: 0,
            timers: TimerTable::new(Timer::count(total) as u32),
            disk,
            disk_stream,
            idle_cores: cores,
            ready: VecDeque::new(),
            core_busy: Span::ZERO,
            paused_until: Time::ZERO,
            stolen: 0,
            last_heard: alloc::vec![None; total],
            longest_silence: Span::ZERO,
            held_down: false,
            powered: true,
        }
    }

    /// A task wants a core: now, if one is idle, else in its turn.
    #[inline]
    pub(crate) fn ready(&mut self, task: TaskId) {
        self.ready.push_back(task);
    }

    /// The next task, if a core is idle for it.
    #[inline]
    pub(crate) fn take_core(&mut self) -> Option<TaskId> {
        if self.idle_cores == 0 {
            return None;
        }
        let task = self.ready.pop_front()?;
        self.idle_cores -= 1;
        Some(task)
    }

    /// The core of a task is free again.
    #[inline]
    pub(crate) fn free_core(&mut self) {
        self.idle_cores += 1;
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
    pub(crate) fn kill(&mut self, cores: u32, total: usize) {
        self.instance = None;
        self.life += 1;
        self.idle_cores = cores;
        self.ready.clear();
        self.last_heard.fill(None);
        self.longest_silence = Span::ZERO;
        for slot in 0..Timer::count(total) as u32 {
            self.timers.cancel(slot);
        }
    }
}
