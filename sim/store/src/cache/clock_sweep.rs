//! Neo4j's sweep: a usage stamp per frame goes 0, 1, 3, 7 with each use; a hand goes round
//! and halves the stamps, and the first that is 0 goes (HA specification, section 6.2).

use alloc::vec::Vec;

use super::policy::Policy;

/// The stamps, and the hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClockSweep {
    stamps: Vec<u8>,
    hand: usize,
}

impl Policy for ClockSweep {
    fn loaded(&mut self, frame: u32, _page: u64) {
        if self.stamps.len() <= frame as usize {
            self.stamps.resize(frame as usize + 1, 0);
        }
        self.stamps[frame as usize] = 1;
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        let stamp = &mut self.stamps[frame as usize];
        *stamp = (*stamp << 1 | 1) & 7;
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        // A stamp is 0 after three halvings, so four rounds see every frame that may go.
        for _ in 0..4 * self.stamps.len() {
            let frame = self.hand;
            self.hand = if frame + 1 < self.stamps.len() { frame + 1 } else { 0 };
            if !may_go(frame as u32) {
                continue;
            }
            let stamp = &mut self.stamps[frame];
            *stamp >>= 1;
            if *stamp == 0 {
                return Some(frame as u32);
            }
        }
        None
    }

    /// The frame keeps its place in the round.
    fn removed(&mut self, _frame: u32, _page: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_as_many_sweeps_as_its_stamp_has_bits() {
        let mut sweep = ClockSweep::default();
        for frame in 0..3 {
            sweep.loaded(frame, frame.into());
        }
        for _ in 0..9 {
            sweep.used(0);
        }
        sweep.used(1);
        // Stamps 7, 3, 1: frame 2 goes at once, then 1 in the next round, 0 in the third.
        assert_eq!(sweep.victim(|_| true), Some(2));
        assert_eq!(sweep.victim(|frame| frame != 2), Some(1));
        assert_eq!(sweep.victim(|frame| frame == 0), Some(0));
    }

    #[test]
    fn nothing_goes_when_nothing_may() {
        let mut sweep = ClockSweep::default();
        assert_eq!(sweep.victim(|_| true), None);
        sweep.loaded(0, 0);
        assert_eq!(sweep.victim(|_| false), None);
    }
}
