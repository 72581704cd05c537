//! The meta file: two pages that are written in turn, so that one is always whole.
//!
//! Behind the fixed words stand the ids that were free at the checkpoint, by kind, as far as
//! they fit; of a kind whose ids do not fit, an opening looks at every record instead.

use alloc::vec::Vec;

use wavetank_vocabulary::{LogMark, TxId};

use crate::disk::FileKind;
use crate::ids::FreeIds;
use crate::journal::LogPosition;
use crate::page::{PAGE_HEADER, PAGE_SIZE, Page};
use crate::record::u64_at;
use crate::versions::Row;

const MAGIC: [u8; 8] = *b"wavetank";
pub(crate) const FORMAT: u64 = 3;
pub(crate) const KINDS: usize = FileKind::RECORDS.len();
/// Words of a page, and where in them the numbers of free ids stand.
const WORDS: usize = (PAGE_SIZE - PAGE_HEADER) / 8;
const FREE: usize = COUNTS + 2 * KINDS;
/// Where the numbers of ids and pages stand.
const COUNTS: usize = 10;
/// Instead of a number of free ids: they are not listed.
const NOT_LISTED: u64 = u64::MAX;

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
    /// The version map.
    pub(crate) versions: Row,
}

impl Meta {
    /// The page for slot `slot` (0 or 1); the one with the higher sequence counts.
    pub(crate) fn to_page(self, free: &FreeIds, slot: u32, sequence: u64) -> Page {
        let mut page = Page::empty(FileKind::Meta, slot);
        let words = [
            u64::from_le_bytes(MAGIC),
            FORMAT,
            self.store_id,
            self.position.mark.tx.0,
            self.position.mark.checksum,
            u64::from(self.position.version),
            self.position.offset,
            u64::from(self.versions.start),
            u64::from(self.versions.count),
            self.versions.last,
        ];
        let counts = self.pages.map(u64::from);
        let all = words.iter().chain(&self.high).chain(&counts);
        for (slot, word) in page.body_mut().chunks_exact_mut(8).zip(all) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        put_free(&mut page, free);
        page.touch(self.position.mark.tx.0);
        page.sealed(sequence)
    }

    /// The free ids of a verified page, by kind in the order of [`FileKind::RECORDS`]; none
    /// for a kind of which they are not listed.
    pub(crate) fn free_of(page: &Page) -> [Option<Vec<u64>>; KINDS] {
        let word = |place: usize| u64_at(page.body(), 8 * place);
        let mut at = FREE + KINDS;
        core::array::from_fn(|kind| {
            let count = word(FREE + kind);
            let count = usize::try_from(count).ok().filter(|count| *count <= WORDS - at)?;
            let ids = (at..at + count).map(word).collect();
            at += count;
            Some(ids)
        })
    }

    /// The format of a verified page; none if it is no meta page.
    pub(crate) fn format_of(page: &Page) -> Option<u64> {
        let word = |place: usize| u64_at(page.body(), 8 * place);
        (word(0).to_le_bytes() == MAGIC).then(|| word(1))
    }

    /// Reads a verified page; none if it is of another format.
    pub(crate) fn from_page(page: &Page) -> Option<Meta> {
        let word = |place: usize| u64_at(page.body(), 8 * place);
        if Meta::format_of(page) != Some(FORMAT) {
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
            versions: Row { start: narrow(word(7)), count: narrow(word(8)), last: word(9) },
        };
        for kind in 0..KINDS {
            meta.high[kind] = word(COUNTS + kind);
            meta.pages[kind] = word(COUNTS + KINDS + kind) as u32;
        }
        Some(meta)
    }
}

/// A forged number stays too large for any file.
fn narrow(word: u64) -> u32 {
    u32::try_from(word).unwrap_or(u32::MAX)
}

fn put_free(page: &mut Page, free: &FreeIds) {
    let mut put = |place: usize, word: u64| {
        page.body_mut()[8 * place..8 * place + 8].copy_from_slice(&word.to_le_bytes());
    };
    let mut at = FREE + KINDS;
    for (place, kind) in FileKind::RECORDS.into_iter().enumerate() {
        if free.count(kind) > WORDS - at {
            put(FREE + place, NOT_LISTED);
            continue;
        }
        put(FREE + place, free.count(kind) as u64);
        for id in free.unused(kind) {
            put(at, id);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let mark = LogMark { tx: TxId(9), checksum: 0x1234_5678_9abc_def0 };
        let position = LogPosition { mark, version: 3, offset: 4000 };
        let high = core::array::from_fn(|kind| 1 + kind as u64);
        let pages = core::array::from_fn(|kind| 90 - kind as u32);
        let versions = Row { start: 3, count: 2, last: 88 };
        Meta { store_id: 42, position, high, pages, versions }
    }

    #[test]
    fn meta_survives_the_round_trip() {
        let mut free = FreeIds::default();
        for id in [7, 3, 5] {
            free.put(FileKind::Properties, id);
        }
        let page = meta().to_page(&free, 1, 17);
        assert_eq!(page.verify(FileKind::Meta, 1), Ok(()));
        assert_eq!(page.sequence(), 17);
        assert_eq!(Meta::from_page(&page), Some(meta()));
        assert_eq!(Meta::from_page(&Page::empty(FileKind::Meta, 0)), None);
        let listed = Meta::free_of(&page);
        assert_eq!((&listed[0], &listed[2]), (&Some(Vec::new()), &Some(Vec::from([3, 5, 7]))));
    }

    #[test]
    fn a_kind_with_too_many_free_ids_is_not_listed_and_the_others_are() {
        let mut free = FreeIds::default();
        (0..2000).for_each(|id| free.put(FileKind::Nodes, id));
        (0..900).for_each(|id| free.put(FileKind::Relationships, id));
        let listed = Meta::free_of(&meta().to_page(&free, 0, 1));
        assert_eq!(listed[0], None);
        assert_eq!(listed[1], Some((0..900).collect()));
    }
}
