//! Dynamic records: pieces of values and label lists that are too long for their owner.

use super::{BITS_36, NONE, Record, joined, put_u32, u32_at};
use crate::disk::FileKind;

/// A piece of a long value: up to `DATA` bytes and where the next piece is. `KIND` is the
/// number of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<const KIND: u8, const DATA: usize> {
    pub(crate) in_use: bool,
    pub(crate) length: u8,
    pub(crate) next: u64,
    pub(crate) data: [u8; DATA],
}

/// A piece of a text.
pub(crate) type DynamicRecord = Piece<{ FileKind::Dynamic as u8 }, 120>;
/// A piece of an array.
pub(crate) type ArrayRecord = Piece<{ FileKind::Arrays as u8 }, 120>;
/// A piece of a node's labels.
pub(crate) type LabelRecord = Piece<{ FileKind::NodeLabels as u8 }, 60>;

/// Dynamic records of any file.
pub(crate) trait Dynamic: Record {
    /// Bytes that one holds.
    const DATA: usize;
    const UNUSED: Self;
    /// A piece with these bytes, at most [`Self::DATA`].
    fn with(contents: &[u8], next: u64) -> Self;
    fn in_use(&self) -> bool;
    fn next(&self) -> u64;
    fn contents(&self) -> &[u8];
}

impl<const KIND: u8, const DATA: usize> Dynamic for Piece<KIND, DATA> {
    const DATA: usize = DATA;
    const UNUSED: Self = Piece { in_use: false, length: 0, next: NONE, data: [0; DATA] };

    fn with(contents: &[u8], next: u64) -> Self {
        let mut data = [0; DATA];
        data[..contents.len()].copy_from_slice(contents);
        Piece { in_use: true, length: contents.len() as u8, next, data }
    }

    fn in_use(&self) -> bool {
        self.in_use
    }

    fn next(&self) -> u64 {
        self.next
    }

    fn contents(&self) -> &[u8] {
        &self.data[..usize::from(self.length).min(DATA)]
    }
}

impl<const KIND: u8, const DATA: usize> Record for Piece<KIND, DATA> {
    const KIND: FileKind = FileKind::from_number(KIND).expect("pieces have a file");
    const SIZE: usize = 8 + DATA;

    fn decode(b: &[u8]) -> Self {
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        let mut data = [0; DATA];
        data.copy_from_slice(&b[8..8 + DATA]);
        Piece {
            in_use: true,
            length: b[1],
            next: joined(u32_at(b, 2), u64::from(b[0]) >> 4, BITS_36),
            data,
        }
    }

    fn encode(&self, b: &mut [u8]) {
        b.fill(0);
        if self.in_use {
            b[0] = (1 | (self.next >> 32 & 15) << 4) as u8;
            b[1] = self.length;
            put_u32(b, 2, self.next);
            b[8..8 + DATA].copy_from_slice(&self.data);
        }
    }
}
