//! The schema record: an index, or a uniqueness constraint with its index.

use super::Record;
use crate::disk::FileKind;

/// A rule about the nodes with a label and their values under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SchemaRecord {
    pub(crate) in_use: bool,
    pub(crate) unique: bool,
    pub(crate) label: u16,
    pub(crate) key: u16,
}

impl SchemaRecord {
    pub(crate) const UNUSED: SchemaRecord =
        SchemaRecord { in_use: false, unique: false, label: 0, key: 0 };
}

impl Record for SchemaRecord {
    const KIND: FileKind = FileKind::Schema;
    const SIZE: usize = 64;

    fn decode(b: &[u8]) -> Self {
        if b[0] & 1 == 0 {
            return Self::UNUSED;
        }
        SchemaRecord {
            in_use: true,
            unique: b[1] & 1 != 0,
            label: u16::from_le_bytes([b[2], b[3]]),
            key: u16::from_le_bytes([b[4], b[5]]),
        }
    }

    fn encode(&self, b: &mut [u8]) {
        b.fill(0);
        if self.in_use {
            b[0] = 1;
            b[1] = u8::from(self.unique);
            b[2..4].copy_from_slice(&self.label.to_le_bytes());
            b[4..6].copy_from_slice(&self.key.to_le_bytes());
        }
    }
}
