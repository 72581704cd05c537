//! The meta file: two pages that are written in turn, so that one is always whole.

use wavetank_vocabulary::{LogMark, TxId};

use crate::disk::FileKind;
use crate::journal::LogPosition;
use crate::page::Page;
use crate::record::u64_at;

const MAGIC: [u8; 8] = *b"wavetank";
const FORMAT: u64 = 1;
const KINDS: usize = FileKind::RECORDS.len();

/// Where everything stood at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) store_id: u64,
    /// Everything up to here is in the record files; recovery starts here.
    pub(crate) position: LogPosition,
    /// The next free id of each kind of record, in the order of [`FileKind::RECORDS`].
    pub(crate) high: [u64; KINDS],
    /// How many pages of each kind the checkpoint made durable.
    pub(crate) pages: [u32; KINDS],
}

impl Meta {
    /// The page for slot `slot` (0 or 1); the one with the higher sequence counts.
    pub(crate) fn to_page(self, slot: u32, sequence: u64) -> Page {
        let mut page = Page::empty(FileKind::Meta, slot);
        let words = [
            u64::from_le_bytes(MAGIC),
            FORMAT,
            self.store_id,
            self.position.mark.tx.0,
            self.position.mark.checksum,
            u64::from(self.position.version),
            self.position.offset,
        ];
        let counts = self.pages.map(u64::from);
        let all = words.iter().chain(&self.high).chain(&counts);
        for (slot, word) in page.body_mut().chunks_exact_mut(8).zip(all) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        page.touch(self.position.mark.tx.0);
        page.sealed(sequence)
    }

    /// Reads a verified page; none if it is of another format.
    pub(crate) fn from_page(page: &Page) -> Option<Meta> {
        let word = |place: usize| u64_at(page.body(), 8 * place);
        if word(0).to_le_bytes() != MAGIC || word(1) != FORMAT {
            return None;
        }
        let mut meta = Meta {
            store_id: word(2),
            position: LogPosition {
                mark: LogMark { tx: TxId(word(3)), checksum: word(4) },
                version: word(5) as u32,
                offset: word(6),
            },
            high: [0; KINDS],
            pages: [0; KINDS],
        };
        for kind in 0..KINDS {
            meta.high[kind] = word(7 + kind);
            meta.pages[kind] = word(7 + KINDS + kind) as u32;
        }
        Some(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_survives_the_round_trip() {
        let mark = LogMark { tx: TxId(9), checksum: 0x1234_5678_9abc_def0 };
        let position = LogPosition { mark, version: 3, offset: 4000 };
        let meta = Meta { store_id: 42, position, high: [1, 2, 3, 4, 5], pages: [9, 8, 7, 6, 5] };
        let page = meta.to_page(1, 17);
        assert_eq!(page.verify(FileKind::Meta, 1), Ok(()));
        assert_eq!(page.sequence(), 17);
        assert_eq!(Meta::from_page(&page), Some(meta));
        assert_eq!(Meta::from_page(&Page::empty(FileKind::Meta, 0)), None);
    }
}
