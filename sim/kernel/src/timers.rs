//! Timers that are cancelled and re-armed without touching the queue.
//!
//! A slot has one deadline and at most one live event in the queue. Moving the deadline
//! later, the common case (a heartbeat arrived), only stores it: the pending event, when it
//! fires too early, is sent on to the deadline of then. Moving it earlier needs a new event;
//! the old one is recognised as stale by its generation.

use alloc::vec;
use alloc::vec::Vec;

use wavetank_vocabulary::Time;

/// An order to the owner: schedule a timer event for the slot at `at`, carrying
/// `generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    /// When the event must fire.
    pub at: Time,
    /// What the event must carry, to be handed to [`TimerTable::fire`].
    pub generation: u32,
}

/// What a timer event that fired means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fired {
    /// The deadline has come; the timer is disarmed.
    Due,
    /// The deadline has moved: schedule the event again, with the same generation.
    Rearm(Time),
    /// Cancelled or replaced: nothing is to be done.
    Stale,
}

/// [`Time::NEVER`] in `deadline` means disarmed, in `pending` that no live event is queued.
#[derive(Clone, Copy, Debug)]
struct Slot {
    deadline: Time,
    pending: Time,
    generation: u32,
}

const IDLE: Slot = Slot { deadline: Time::NEVER, pending: Time::NEVER, generation: 0 };

/// Timers in numbered slots.
#[derive(Clone, Debug, Default)]
pub struct TimerTable {
    slots: Vec<Slot>,
}

impl TimerTable {
    /// A table whose slots `0..slots` exist and are disarmed.
    pub fn new(slots: u32) -> Self {
        TimerTable { slots: vec![IDLE; slots as usize] }
    }

    /// Adds a disarmed slot and gives its number.
    pub fn add_slot(&mut self) -> u32 {
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 timers");
        self.slots.push(IDLE);
        slot
    }

    /// Sets the deadline of a slot, in place of any it had. `Some` is an order to schedule
    /// an event; `None` means that the pending one fires in time and will be sent on. A
    /// deadline of [`Time::NEVER`] cancels.
    ///
    /// # Panics
    /// When the slot does not exist: slot numbers are the owner's own.
    #[inline]
    pub fn arm(&mut self, slot: u32, deadline: Time) -> Option<Armed> {
        let slot = &mut self.slots[slot as usize];
        slot.deadline = deadline;
        // Nothing pending reads as pending at NEVER, so this one comparison covers it.
        if slot.pending <= deadline {
            return None;
        }
        slot.pending = deadline;
        slot.generation = slot.generation.wrapping_add(1);
        Some(Armed { at: deadline, generation: slot.generation })
    }

    /// Disarms a slot. Its pending event, if any, will be stale.
    #[inline]
    pub fn cancel(&mut self, slot: u32) {
        self.slots[slot as usize].deadline = Time::NEVER;
    }

    /// The deadline of a slot, if it is armed.
    pub fn deadline(&self, slot: u32) -> Option<Time> {
        let deadline = self.slots[slot as usize].deadline;
        (deadline != Time::NEVER).then_some(deadline)
    }

    /// Judges a timer event that fired at `now`. Only [`Fired::Due`] belongs into the
    /// digest.
    #[inline]
    pub fn fire(&mut self, slot: u32, generation: u32, now: Time) -> Fired {
        let slot = &mut self.slots[slot as usize];
        if slot.generation != generation {
            return Fired::Stale;
        }
        if slot.deadline == Time::NEVER {
            slot.pending = Time::NEVER;
            return Fired::Stale;
        }
        if slot.deadline <= now {
            slot.deadline = Time::NEVER;
            slot.pending = Time::NEVER;
            return Fired::Due;
        }
        slot.pending = slot.deadline;
        Fired::Rearm(slot.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernel;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Action {
        Arm { slot: u32, after: u64 },
        Cancel { slot: u32 },
        Wait { nanos: u64 },
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0..4u32, 0..50u64).prop_map(|(slot, after)| Action::Arm { slot, after }),
            1 => (0..4u32).prop_map(|slot| Action::Cancel { slot }),
            3 => (0..40u64).prop_map(|nanos| Action::Wait { nanos }),
        ]
    }

    /// Plays the lazy timers up to a time; gives (time, slot) of each that came due.
    fn play(
        kernel: &mut Kernel<(u32, u32)>,
        table: &mut TimerTable,
        until: Time,
    ) -> Vec<(u64, u32)> {
        let mut due = Vec::new();
        while let Some((slot, generation)) = kernel.next_before(until) {
            match table.fire(slot, generation, kernel.now()) {
                Fired::Due => due.push((kernel.now().as_nanos(), slot)),
                Fired::Rearm(at) => kernel.schedule(at, (slot, generation)),
                Fired::Stale => {}
            }
        }
        kernel.advance_to(until);
        due.sort_unstable();
        due
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn lazy_timers_come_due_exactly_when_eager_ones_do(
            actions in proptest::collection::vec(action(), 1..120),
        ) {
            let mut kernel = Kernel::new();
            let mut table = TimerTable::new(4);
            let mut eager: [Option<u64>; 4] = [None; 4];
            let mut now = 0;
            for action in actions.into_iter().chain([Action::Wait { nanos: 1000 }]) {
                match action {
                    Action::Arm { slot, after } => {
                        eager[slot as usize] = Some(now + after);
                        if let Some(armed) = table.arm(slot, Time::from_nanos(now + after)) {
                            kernel.schedule(armed.at, (slot, armed.generation));
                        }
                        prop_assert_eq!(table.deadline(slot), Some(Time::from_nanos(now + after)));
                    }
                    Action::Cancel { slot } => {
                        eager[slot as usize] = None;
                        table.cancel(slot);
                        prop_assert_eq!(table.deadline(slot), None);
                    }
                    Action::Wait { nanos } => {
                        now += nanos;
                        let mut expected = Vec::new();
                        for (slot, deadline) in (0u32..).zip(&mut eager) {
                            if let Some(at) = deadline.filter(|at| *at <= now) {
                                expected.push((at, slot));
                                *deadline = None;
                            }
                        }
                        expected.sort_unstable();
                        let due = play(&mut kernel, &mut table, Time::from_nanos(now));
                        prop_assert_eq!(due, expected);
                    }
                }
            }
            prop_assert_eq!(kernel.pending(), 0);
        }
    }

    #[test]
    fn a_deadline_that_moves_later_costs_no_event() {
        let mut table = TimerTable::new(0);
        let slot = table.add_slot();
        let armed = table.arm(slot, Time::from_nanos(10)).expect("the first needs an event");
        for deadline in 11..100 {
            assert_eq!(table.arm(slot, Time::from_nanos(deadline)), None);
        }
        let late = Time::from_nanos(99);
        assert_eq!(table.fire(slot, armed.generation, armed.at), Fired::Rearm(late));
        assert_eq!(table.fire(slot, armed.generation, late), Fired::Due);
    }

    #[test]
    fn a_cancelled_timer_can_be_armed_again_on_its_pending_event() {
        let mut table = TimerTable::new(1);
        let armed = table.arm(0, Time::from_nanos(10)).expect("the first needs an event");
        table.cancel(0);
        assert_eq!(table.arm(0, Time::from_nanos(30)), None);
        let later = Time::from_nanos(30);
        assert_eq!(table.fire(0, armed.generation, armed.at), Fired::Rearm(later));
        table.cancel(0);
        assert_eq!(table.fire(0, armed.generation, later), Fired::Stale);
        assert!(table.arm(0, Time::from_nanos(60)).is_some());
    }
}
