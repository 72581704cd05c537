//! The relationship group: where the chains of one type begin at a dense node.

use super::{BITS_35, NONE, Record, joined, put_u32, u32_at};
use crate::disk::FileKind;

/// Which of a group's three chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Outgoing = 0,
    Incoming = 1,
    Loops = 2,
}

impl Which {
    pub(crate) const ALL: [Which; 3] = [Which::Outgoing, Which::Incoming, Which::Loops];
}

/// A dense node's relationships of one type: three chains. The groups of a node are linked in
/// the order of their types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupRecord {
    pub(crate) in_use: bool,
    pub(crate) kind: u32,
    pub(crate) next: u64,
    /// By [`Which`].
    pub(crate) first: [u64; 3],
    pub(crate) owner: u64,
}

impl GroupRecord {
    pub(crate) const UNUSED: GroupRecord =
        GroupRecord { in_use: false, kind: 0, next: NONE, first: [NONE; 3], owner: NONE };

    pub(crate) fn new(owner: u64, kind: u32, next: u64) -> GroupRecord {
        GroupRecord { in_use: true, kind, next, owner, ..Self::UNUSED }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == [NONE; 3]
    }
}

impl Record for GroupRecord {
    const KIND: FileKind = FileKind::Groups;
    const SIZE: usize = 25;

    #[inline]
    fn decode(b: &[u8]) -> Self {
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        let id = |at: usize, high: u8| joined(u32_at(b, at), u64::from(high & 7), BITS_35);
        GroupRecord {
            in_use: true,
            kind: u32::from(u16::from_le_bytes([b[2], b[3]])),
            next: id(4, b[0] >> 1),
            first: [id(8, b[0] >> 4), id(12, b[1]), id(16, b[1] >> 3)],
            owner: id(20, b[24]),
        }
    }

    fn encode(&self, b: &mut [u8]) {
        b.fill(0);
        if !self.in_use {
            return;
        }
        let high = |id: u64| (id >> 32 & 7) as u8;
        b[0] = 1 | high(self.next) << 1 | high(self.first[0]) << 4;
        b[1] = high(self.first[1]) | high(self.first[2]) << 3;
        b[2..4].copy_from_slice(&(self.kind as u16).to_le_bytes());
        put_u32(b, 4, self.next);
        for (place, first) in self.first.iter().enumerate() {
            put_u32(b, 8 + 4 * place, *first);
        }
        put_u32(b, 20, self.owner);
        b[24] = high(self.owner);
    }
}
