//! Queues of frames: doubly linked lists whose links lie in one table by frame number, so
//! that a frame moves from list to list without allocation.

use alloc::vec::Vec;

/// No frame.
pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    newer: u32,
    older: u32,
}

/// The links of all frames; each frame is in one list at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(Vec<Link>);

impl Links {
    /// Makes a place for the frame.
    pub(super) fn cover(&mut self, frame: u32) {
        if self.0.len() <= frame as usize {
            self.0.resize(frame as usize + 1, Link { newer: NONE, older: NONE });
        }
    }

    /// The frame that came after this one, or [`NONE`].
    pub(super) fn newer(&self, frame: u32) -> u32 {
        self.0[frame as usize].newer
    }
}

/// One list, from its newest to its oldest frame.
#[derive(Clone, Debug)]
pub(super) struct List {
    newest: u32,
    oldest: u32,
    len: usize,
}

impl Default for List {
    fn default() -> List {
        List { newest: NONE, oldest: NONE, len: 0 }
    }
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The frame at the old end, or [`NONE`].
    pub(super) fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Puts a frame that is in no list at the new end.
    pub(super) fn push(&mut self, links: &mut Links, frame: u32) {
        links.0[frame as usize] = Link { newer: NONE, older: self.newest };
        match self.newest {
            NONE => self.oldest = frame,
            newest => links.0[newest as usize].newer = frame,
        }
        self.newest = frame;
        self.len += 1;
    }

    /// Takes out a frame that is in this list.
    pub(super) fn remove(&mut self, links: &mut Links, frame: u32) {
        let Link { newer, older } = links.0[frame as usize];
        match newer {
            NONE => self.newest = older,
            newer => links.0[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => links.0[older as usize].newer = newer,
        }
        self.len -= 1;
    }

    /// Moves a frame of this list to the new end.
    pub(super) fn refresh(&mut self, links: &mut Links, frame: u32) {
        if self.newest != frame {
            self.remove(links, frame);
            self.push(links, frame);
        }
    }

    /// The oldest frame that `may_go`.
    pub(super) fn oldest_that(&self, links: &Links, may_go: impl Fn(u32) -> bool) -> Option<u32> {
        let mut frame = self.oldest;
        while frame != NONE {
            if may_go(frame) {
                return Some(frame);
            }
            frame = links.newer(frame);
        }
        None
    }
}
