//! The cores of a machine: tasks come, wait in their order, are served, and leave. Every stay
//! is metered, so that Little's law can be checked.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_vocabulary::{InstanceId, Time};

use crate::meter::{Meter, QueueKind, QueueTotals};

/// Cores that serve tasks first come first served.
#[derive(Clone, Debug)]
pub(crate) struct Cores<T> {
    count: u32,
    /// Tasks that wait for a core, and when each came.
    ready: VecDeque<(T, Time)>,
    /// Those that have one.
    served: Vec<(T, Time)>,
    meter: Meter,
}

impl<T: Copy + Eq> Cores<T> {
    pub(crate) fn new(count: u32) -> Self {
        Cores {
            count,
            ready: VecDeque::new(),
            served: Vec::with_capacity(count as usize),
            meter: Meter::default(),
        }
    }

    /// A task wants a core: now, if one is idle, else in its turn.
    #[inline]
    pub(crate) fn ready(&mut self, now: Time, task: T) {
        self.meter.arrive(now);
        self.ready.push_back((task, now));
    }

    /// The next task, if a core is idle for it.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<T> {
        if self.served.len() >= self.count as usize {
            return None;
        }
        let (task, arrived) = self.ready.pop_front()?;
        self.served.push((task, arrived));
        Some(task)
    }

    /// The core of a task is free again; nothing if the process ended meanwhile.
    #[inline]
    pub(crate) fn free(&mut self, now: Time, task: T) {
        if let Some(at) = self.served.iter().position(|(served, _)| *served == task) {
            let (_, arrived) = self.served.swap_remove(at);
            self.meter.leave(now, arrived);
        }
    }

    /// All tasks are gone, and every core is idle.
    pub(crate) fn clear(&mut self, now: Time) {
        for (_, arrived) in self.ready.drain(..).chain(self.served.drain(..)) {
            self.meter.leave(now, arrived);
        }
    }

    /// Drops the task that would be next, if more than `most` wait: a bug that can be planted.
    pub(crate) fn forget(&mut self, most: usize) {
        if self.ready.len() > most {
            self.ready.pop_front();
        }
    }

    /// What went through so far.
    pub(crate) fn totals(&self, now: Time, instance: InstanceId) -> QueueTotals {
        let inside = self.ready.iter().chain(&self.served).map(|(_, arrived)| *arrived);
        self.meter.totals(now, instance, QueueKind::Cores, inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Span;

    fn at(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    fn holds(cores: &Cores<u32>, now: Time) -> bool {
        cores.totals(now, InstanceId(1)).little_holds()
    }

    fn crowd(cores: &mut Cores<u32>, now: Time) -> Vec<u32> {
        (0..10).for_each(|task| cores.ready(now, task));
        core::iter::from_fn(|| cores.take()).collect()
    }

    #[test]
    fn the_first_to_come_is_served_first() {
        let mut cores = Cores::new(2);
        assert_eq!(crowd(&mut cores, at(1)), [0, 1]);
        cores.free(at(3), 0);
        assert_eq!((cores.take(), cores.take()), (Some(2), None));
        assert!(holds(&cores, at(4)));
    }

    #[test]
    fn a_slice_that_ends_its_own_process_leaves_all_the_cores_and_no_more() {
        let mut cores = Cores::new(2);
        let served = crowd(&mut cores, at(1));
        // In the midst of its slice; the World frees its core afterwards.
        cores.clear(at(2));
        cores.free(at(2), served[0]);
        assert_eq!(crowd(&mut cores, at(3)).len(), 2);
        assert!(holds(&cores, at(4)));
    }

    #[test]
    fn a_forgotten_task_breaks_littles_law() {
        let mut cores = Cores::new(2);
        crowd(&mut cores, at(0));
        cores.forget(8);
        assert!(holds(&cores, at(1)), "eight waited");
        cores.forget(7);
        assert!(!holds(&cores, at(1)));
    }
}
