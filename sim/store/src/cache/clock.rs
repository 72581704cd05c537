//! CLOCK: the frames in a ring, a bit for each, and a hand that clears the bits it finds and
//! gives up the first page without one.
//!
//! F. J. Corbató, *A Paging Experiment with the Multics System*, MIT Project MAC, 1968. A
//! page that comes has no bit yet: only a second use protects it.

use alloc::vec::Vec;

use super::policy::Policy;

/// The bits, and the hand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    referenced: Vec<bool>,
    hand: usize,
}

impl Policy for Clock {
    fn loaded(&mut self, frame: u32, _page: u64) {
        if self.referenced.len() <= frame as usize {
            self.referenced.resize(frame as usize + 1, false);
        }
        self.referenced[frame as usize] = false;
    }

    #[inline]
    fn used(&mut self, frame: u32) {
        self.referenced[frame as usize] = true;
    }

    fn victim(&mut self, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        // The first round clears every bit that it may.
        for _ in 0..2 * self.referenced.len() {
            let frame = self.hand;
            self.hand = if frame + 1 < self.referenced.len() { frame + 1 } else { 0 };
            if may_go(frame as u32) && !core::mem::take(&mut self.referenced[frame]) {
                return Some(frame as u32);
            }
        }
        None
    }

    /// The frame keeps its place in the ring.
    fn removed(&mut self, _frame: u32, _page: u64) {}
}
