//! The queues that were measured: the kernel's own and those it was chosen over. They live
//! here because the library needs one; the property tests include this module too, so that
//! all of them are known to give the same order before their speed is compared.

#[path = "queues/binary_heap.rs"]
mod binary_heap;
#[path = "queues/calendar.rs"]
mod calendar;
#[path = "queues/quad_heap.rs"]
mod quad_heap;

pub(crate) use binary_heap::PlainHeap;
pub(crate) use calendar::Calendar;
pub(crate) use quad_heap::QuadHeap;
use wavetank_kernel::EventQueue;
use wavetank_vocabulary::Time;

/// Events come out in order of time, first in first out at equal times.
pub(crate) trait Queue<E>: Default {
    fn push(&mut self, time: u64, event: E);
    fn pop(&mut self) -> Option<(u64, E)>;
}

impl<E> Queue<E> for EventQueue<E> {
    #[inline(always)]
    fn push(&mut self, time: u64, event: E) {
        EventQueue::push(self, Time::from_nanos(time), event);
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<(u64, E)> {
        EventQueue::pop(self).map(|(time, event)| (time.as_nanos(), event))
    }
}
