//! The cores of a machine: tasks come, wait in their order, are served, and leave. Every stay
//! is metered, so that Little's law can be checked.
//!
//! A task that is over with its slice, such as a pull that found nothing new, needs no event at
//! its end: its core is *spent until* then, and found to be idle when somebody next asks. Only a
//! task that waits for such a core needs to be woken.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_vocabulary::{InstanceId, Span, Time};

use crate::meter::{Meter, QueueKind, QueueTotals};

/// The time, and how many nanoseconds pauses of the machine have taken so far: what is being
/// served when one begins ends later by its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) now: Time,
    pub(crate) stolen: u64,
}

/// A task on a core.
#[derive(Clone, Copy, Debug)]
struct Served<T> {
    task: T,
    /// When it came.
    arrived: Time,
    /// The end of its last slice, as it looked at its start; none while it may go on.
    ends: Option<(Time, At)>,
}

impl<T> Served<T> {
    fn end(&self, stolen: u64) -> Option<Time> {
        let (end, start) = self.ends?;
        Some(end + Span::from_nanos(stolen - start.stolen))
    }
}

/// Cores that serve tasks first come first served.
#[derive(Clone, Debug)]
pub(crate) struct Cores<T> {
    count: u32,
    /// Tasks that wait for a core, and when each came.
    ready: VecDeque<(T, Time)>,
    /// Those that have one.
    served: Vec<Served<T>>,
    /// How many of them are in their last slice.
    ending: u32,
    meter: Meter,
}

impl<T: Copy + Eq> Cores<T> {
    pub(crate) fn new(count: u32) -> Self {
        Cores {
            count,
            ready: VecDeque::new(),
            served: Vec::with_capacity(count as usize),
            ending: 0,
            meter: Meter::default(),
        }
    }

    /// Lets those leave whose last slice is over. Before anything else is done at a time, and
    /// before a pause begins.
    #[inline]
    pub(crate) fn settle(&mut self, at: At) {
        while self.ending > 0 && self.leave_first(at) {}
    }

    fn leave_first(&mut self, at: At) -> bool {
        let ends = self.served.iter().enumerate();
        let ends = ends.filter_map(|(place, served)| Some((served.end(at.stolen)?, place)));
        let Some((end, place)) = ends.min().filter(|(end, _)| *end <= at.now) else { return false };
        let served = self.served.swap_remove(place);
        self.ending -= 1;
        self.meter.leave(end, served.arrived);
        true
    }

    /// A task wants a core: now, if one is idle, else in its turn.
    #[inline]
    pub(crate) fn ready(&mut self, at: At, task: T) {
        self.settle(at);
        self.meter.arrive(at.now);
        self.ready.push_back((task, at.now));
    }

    /// The next task, if a core is idle for it.
    #[inline]
    pub(crate) fn take(&mut self, at: At) -> Option<T> {
        if self.ready.is_empty() {
            return None;
        }
        self.settle(at);
        if self.served.len() >= self.count as usize {
            return None;
        }
        let (task, arrived) = self.ready.pop_front()?;
        self.served.push(Served { task, arrived, ends: None });
        Some(task)
    }

    /// When somebody who waits could have a core that is in its last slice; none if nobody
    /// waits for such a one.
    #[inline]
    pub(crate) fn wakes(&self, stolen: u64) -> Option<Time> {
        if self.ready.is_empty() || self.ending == 0 {
            return None;
        }
        self.served.iter().filter_map(|served| served.end(stolen)).min()
    }

    /// The slice that a task has begun is its last one, and takes until `end`.
    #[inline]
    pub(crate) fn ends(&mut self, at: At, task: T, end: Time) {
        if let Some(served) = self.served.iter_mut().find(|served| served.task == task) {
            served.ends = Some((end, at));
            self.ending += 1;
        }
    }

    /// Whether a core is idle and nobody waits for one.
    #[inline]
    pub(crate) fn is_idle(&mut self, at: At) -> bool {
        self.settle(at);
        self.ready.is_empty() && self.served.len() < self.count as usize
    }

    /// A task comes to an idle core for a first slice that is its last one and takes until `end`:
    /// [`Self::ready`], [`Self::take`] and [`Self::ends`] in one.
    #[inline]
    pub(crate) fn pass(&mut self, at: At, task: T, end: Time) {
        self.meter.arrive(at.now);
        self.served.push(Served { task, arrived: at.now, ends: Some((end, at)) });
        self.ending += 1;
    }

    /// The core of a task is free again; nothing if the process ended meanwhile.
    #[inline]
    pub(crate) fn free(&mut self, at: At, task: T) {
        self.settle(at);
        let place = |served: &Served<T>| served.task == task && served.ends.is_none();
        if let Some(place) = self.served.iter().position(place) {
            let served = self.served.swap_remove(place);
            self.meter.leave(at.now, served.arrived);
        }
    }

    /// All tasks are gone, and every core is idle.
    pub(crate) fn clear(&mut self, at: At) {
        self.settle(at);
        let served = self.served.drain(..).map(|served| served.arrived);
        for arrived in self.ready.drain(..).map(|(_, arrived)| arrived).chain(served) {
            self.meter.leave(at.now, arrived);
        }
        self.ending = 0;
    }

    /// Drops the task that would be next, if more than `most` wait: a bug that can be planted.
    pub(crate) fn forget(&mut self, most: usize) {
        if self.ready.len() > most {
            self.ready.pop_front();
        }
    }

    /// What went through so far.
    pub(crate) fn totals(&self, at: At, instance: InstanceId) -> QueueTotals {
        let mut settled = self.clone();
        settled.settle(at);
        let served = settled.served.iter().map(|served| served.arrived);
        let inside = settled.ready.iter().map(|(_, arrived)| *arrived).chain(served);
        settled.meter.totals(at.now, instance, QueueKind::Cores, inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time::ZERO + Span::from_millis(ms)
    }

    fn at(now: u64) -> At {
        At { now: ms(now), stolen: 0 }
    }

    fn holds(cores: &Cores<u32>, at: At) -> bool {
        cores.totals(at, InstanceId(1)).little_holds()
    }

    fn crowd(cores: &mut Cores<u32>, at: At) -> Vec<u32> {
        (0..10).for_each(|task| cores.ready(at, task));
        core::iter::from_fn(|| cores.take(at)).collect()
    }

    #[test]
    fn the_first_to_come_is_served_first() {
        let mut cores = Cores::new(2);
        assert_eq!(crowd(&mut cores, at(1)), [0, 1]);
        cores.free(at(3), 0);
        assert_eq!((cores.take(at(3)), cores.take(at(3))), (Some(2), None));
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

    #[test]
    fn a_core_in_its_last_slice_is_idle_at_its_end_whoever_looks() {
        let mut cores = Cores::new(2);
        crowd(&mut cores, at(0));
        assert_eq!(cores.wakes(0), None, "both may go on");
        cores.ends(at(0), 0, ms(7));
        cores.ends(at(0), 1, ms(5));
        assert_eq!((cores.take(at(4)), cores.wakes(0)), (None, Some(ms(5))));
        // As if it had been looked at in time: 10 inside for 5 ms, 9 for 2 ms, 8 for 3 ms.
        let totals = cores.totals(at(10), InstanceId(1));
        assert_eq!((totals.presence, totals.little_holds()), (92_000_000, true));
        assert_eq!((cores.take(at(6)), cores.take(at(6))), (Some(2), None));
        assert_eq!(cores.take(at(9)), Some(3));
        assert!(holds(&cores, at(10)));
    }

    #[test]
    fn a_pause_puts_the_end_of_a_last_slice_off() {
        let mut cores = Cores::new(1);
        crowd(&mut cores, at(0));
        cores.ends(at(0), 0, ms(5));
        let paused = At { now: ms(6), stolen: 3_000_000 };
        assert_eq!((cores.take(paused), cores.wakes(3_000_000)), (None, Some(ms(8))));
        let later = At { now: ms(8), ..paused };
        assert_eq!(cores.take(later), Some(1));
        assert!(holds(&cores, later));
        // A core is not freed twice.
        cores.ends(later, 1, ms(20));
        cores.free(later, 1);
        assert_eq!(cores.take(later), None);
    }
}
