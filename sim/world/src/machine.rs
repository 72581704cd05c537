//! A machine: cores that serve tasks in turn, a disk, and the process that runs on it.

use alloc::collections::VecDeque;

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

    /// The process is gone: its work and its timers with it.
    pub(crate) fn kill(&mut self, cores: u32, total: usize) {
        self.instance = None;
        self.life += 1;
        self.idle_cores = cores;
        self.ready.clear();
        for slot in 0..Timer::count(total) as u32 {
            self.timers.cancel(slot);
        }
    }
}
