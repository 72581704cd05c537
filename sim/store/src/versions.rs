//! The version map: which flush wrote each page last, kept apart from the pages themselves.
//!
//! A disk may acknowledge a write, and a sync, and keep the old page: well-formed, in its
//! place, and wrong. Only somebody else can tell. This map says what sequence number a page
//! must have at least when it is read. Its file has a row of pages, each naming the one before
//! it; a meta page names the last one that a checkpoint relies on.
//!
//! What pages have been synced in place since is written behind the row, at each checkpoint and
//! before the double-write area, whose images say the same, is used again. Now and then a
//! checkpoint writes the whole map as a new row elsewhere, which counts once its meta page is
//! durable. Nothing that counts is ever overwritten, so a crash leaves a map that is never ahead
//! of the pages: a page may be newer than its entry, never older.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::cache::PageKey;
use crate::chunks::Chunks;
use crate::disk::{FileKind, PageNumber};
use crate::page::{PAGE_HEADER, PAGE_SIZE, Page};
use crate::record::u64_at;

/// Bytes of an entry: a page, and its sequence number.
const ENTRY: usize = 16;
/// Entries of a page of the map, behind two words.
pub(crate) const PER_PAGE: usize = (PAGE_SIZE - PAGE_HEADER) / ENTRY - 1;
/// A row of pages is written anew when it is longer than twice what it must be, and this.
const SLACK: u32 = 8;
/// Where in an entry's first word the kind stands, above the page's number.
const KIND: u32 = 32;

/// The pages of the map's file that make up the map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: PageNumber,
    pub(crate) count: u32,
    /// The sequence number of the last one; each names that of the one before it.
    pub(crate) last: u64,
}

impl Row {
    /// The first page behind it.
    pub(crate) fn end(&self) -> PageNumber {
        self.start.saturating_add(self.count)
    }
}

/// By kind and page, the sequence number of the last flush that is known to be in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    pages: [Chunks<u64>; FileKind::TABLE],
    /// How many pages have an entry.
    known: usize,
    /// The last transaction that is in any page which was written in place.
    pub(crate) newest: u64,
    /// Pages whose entries are not in the row, each once.
    unsaved: Vec<PageKey>,
    /// Entries above this belong to pages in `unsaved`.
    saved: u64,
    /// Pages whose entries are being written.
    saving: Vec<PageKey>,
    /// What the last meta page relies on, and what follows it.
    pub(crate) row: Row,
    /// What is being written, if it does not go on from `row`.
    anew: Option<Row>,
    /// What `row` will be then, if it does.
    longer: Row,
    /// The file is there.
    pub(crate) exists: bool,
}

impl Versions {
    /// The page was written in place.
    pub(crate) fn written(&mut self, key: PageKey, image: &Page) {
        let sequence = image.sequence();
        self.newest = self.newest.max(image.last_tx());
        if self.least(key) <= self.saved {
            self.unsaved.push(key);
        }
        self.set(key, sequence);
    }

    /// What the page must have at least; 0 if nothing is known of it.
    pub(crate) fn least(&self, key: PageKey) -> u64 {
        let pages = &self.pages[key.0 as usize];
        let at = key.1 as usize;
        if at < pages.len() { pages[at] } else { 0 }
    }

    fn set(&mut self, key: PageKey, sequence: u64) {
        let pages = &mut self.pages[key.0 as usize];
        let at = key.1 as usize;
        while pages.len() <= at {
            pages.push(0);
        }
        self.known += usize::from(pages[at] == 0 && sequence > 0);
        pages[at] = sequence;
    }

    /// The pages to write now. `sequence` counts them. `may_begin`: a meta page will follow, so
    /// that a new row can be begun if the old one has become long.
    pub(crate) fn save(&mut self, sequence: &mut u64, may_begin: bool) -> Vec<Arc<Page>> {
        self.saving = core::mem::take(&mut self.unsaved);
        self.saving.sort_unstable();
        self.saving.dedup();
        self.saved = *sequence;
        self.longer = self.row;
        let pages = |entries: usize| entries.div_ceil(PER_PAGE) as u32;
        let (whole, more) = (pages(self.known), pages(self.saving.len()));
        if more == 0 {
            return Vec::new();
        }
        let begin = may_begin && self.row.count + more > 2 * whole + SLACK;
        let entries: Vec<(PageKey, u64)> = match begin {
            true => self.entries().collect(),
            false => self.saving.iter().map(|key| (*key, self.least(*key))).collect(),
        };
        let start = if whole <= self.row.start { 0 } else { self.row.end() };
        let mut row = if begin { Row { start, count: 0, last: 0 } } else { self.row };
        let mut out = Vec::with_capacity(pages(entries.len()) as usize);
        for entries in entries.chunks(PER_PAGE) {
            *sequence += 1;
            let mut page = encode(row, entries);
            // The log must reach as far, or it was cut off.
            page.touch(self.newest);
            out.push(Arc::new(page.sealed(*sequence)));
            row = Row { count: row.count + 1, last: *sequence, ..row };
        }
        if begin {
            self.anew = Some(row);
        } else {
            self.longer = row;
        }
        out
    }

    /// What was written is durable: it counts if it goes on from what counted.
    pub(crate) fn synced(&mut self) {
        if self.anew.is_none() {
            self.publish();
        }
    }

    /// The row for the next meta page.
    pub(crate) fn next(&self) -> Row {
        self.anew.unwrap_or(self.longer)
    }

    /// What was written counts from now on.
    pub(crate) fn publish(&mut self) {
        self.row = self.next();
        self.anew = None;
        self.longer = self.row;
        self.saving.clear();
    }

    /// What was being written will not count.
    pub(crate) fn give_up(&mut self) {
        self.unsaved.append(&mut self.saving);
        self.anew = None;
        self.longer = self.row;
    }

    fn entries(&self) -> impl Iterator<Item = (PageKey, u64)> + '_ {
        FileKind::RECORDS.into_iter().flat_map(|kind| {
            let pages = self.pages[kind as usize].iter().copied().enumerate();
            let known = pages.filter(|(_, sequence)| *sequence > 0);
            known.map(move |(page, sequence)| (PageKey(kind, page as PageNumber), sequence))
        })
    }

    /// Takes an entry of the row over. A page may have several: the highest counts.
    pub(crate) fn learn(&mut self, key: PageKey, sequence: u64) {
        if sequence > self.least(key) {
            self.set(key, sequence);
            self.saved = self.saved.max(sequence);
        }
    }
}

/// The entries of a page of the map; none if it is malformed.
pub(crate) fn decode(page: &Page) -> Option<Vec<(PageKey, u64)>> {
    let count = usize::try_from(u64_at(page.body(), 8)).ok().filter(|n| *n <= PER_PAGE)?;
    let entries = page.body()[ENTRY..].chunks_exact(ENTRY).take(count);
    let key = |place: u64| {
        let kind = FileKind::from_number(u8::try_from(place >> KIND).ok()?)?;
        FileKind::RECORDS.contains(&kind).then_some(PageKey(kind, place as PageNumber))
    };
    entries.map(|entry| Some((key(u64_at(entry, 0))?, u64_at(entry, 8)))).collect()
}

/// The sequence number of the page before this one in its row; 0: it is the first.
pub(crate) fn before(page: &Page) -> u64 {
    u64_at(page.body(), 0)
}

/// The page that follows `row`.
fn encode(row: Row, entries: &[(PageKey, u64)]) -> Page {
    let mut page = Page::empty(FileKind::Versions, row.end());
    let head = (row.last, entries.len() as u64);
    let words = entries
        .iter()
        .map(|(key, sequence)| ((key.0 as u64) << KIND | u64::from(key.1), *sequence));
    let slots = page.body_mut().chunks_exact_mut(ENTRY);
    for (slot, (first, second)) in slots.zip(core::iter::once(head).chain(words)) {
        slot[..8].copy_from_slice(&first.to_le_bytes());
        slot[8..].copy_from_slice(&second.to_le_bytes());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    fn load(file: &BTreeMap<u32, Arc<Page>>, row: Row) -> Versions {
        let mut versions = Versions::default();
        let mut last = row.last;
        for number in (row.start..row.end()).rev() {
            let page = &file[&number];
            assert_eq!((page.verify(FileKind::Versions, number), page.sequence()), (Ok(()), last));
            last = before(page);
            decode(page).unwrap().into_iter().for_each(|(key, at)| versions.learn(key, at));
        }
        assert_eq!(last, 0, "the row's first page has none before it");
        versions.row = row;
        versions
    }

    #[test]
    fn the_row_says_all_that_was_written_and_is_never_overwritten_while_it_counts() {
        let (mut versions, mut file) = (Versions::default(), BTreeMap::new());
        let (mut sequence, mut word) = (0u64, 7u64);
        for round in 0..400u32 {
            let pages = if round % 50 == 7 { 1500 } else { 1 + round % 9 };
            for n in 0..pages {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                let kind = FileKind::RECORDS[(word >> 40) as usize % 3];
                let page = if pages > 100 { n } else { (word >> 50) as u32 % 900 };
                sequence += 1;
                let mut image = Page::empty(kind, page);
                image.touch(sequence / 2);
                versions.written(PageKey(kind, page), &image.sealed(sequence));
            }
            let changed = versions.unsaved.len();
            let may_begin = word % 3 > 0;
            let written = versions.save(&mut sequence, may_begin);
            let (before, row) = (versions.row, versions.next());
            let first = row.end() - written.len() as u32;
            for (place, page) in written.iter().enumerate() {
                let at = first + place as u32;
                assert!(!(before.start..before.end()).contains(&at), "page {at} is relied upon");
                file.insert(at, page.clone());
            }
            if round % 5 == 3 {
                versions.give_up();
            } else {
                versions.synced();
                assert!(may_begin || versions.row == row);
                versions.publish();
                let loaded = load(&file, row);
                assert!(loaded.entries().eq(versions.entries()), "round {round}");
                if row.start == before.start {
                    assert_eq!(written.len(), changed.div_ceil(PER_PAGE));
                }
                if round % 11 == 0 {
                    versions = Versions { exists: true, ..loaded };
                }
            }
        }
        assert!(file.len() < 80, "{} pages: the file does not grow for ever", file.len());
    }

    #[test]
    fn malformed_pages_are_refused() {
        let page = |place: u64, count: u64| {
            let mut page = encode(Row::default(), &[(PageKey(FileKind::Nodes, 3), 9)]);
            page.body_mut()[8..16].copy_from_slice(&count.to_le_bytes());
            page.body_mut()[16..24].copy_from_slice(&place.to_le_bytes());
            decode(&page)
        };
        assert_eq!(page(1 << KIND, PER_PAGE as u64 + 1), None);
        assert_eq!(page(0, 1), None, "the meta file has no entries");
        assert_eq!(page(1 << 60, 1), None);
        assert_eq!(page(1 << KIND | 7, 1), Some(Vec::from([(PageKey(FileKind::Nodes, 7), 9)])));
    }
}
