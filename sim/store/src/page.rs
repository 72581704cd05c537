//! Pages of 8 KiB with a header that says what they are and whether they are whole.
//!
//! Header (32 bytes, little-endian): CRC-32C of all that follows it, file kind, format,
//! page number, place in the batch that it was written in, id of the last transaction that changed the page, and the sequence number
//! of the flush that wrote it. Records follow; none crosses a page.

use core::fmt;

use crate::disk::{FileKind, PageNumber};

/// Bytes of a page.
pub const PAGE_SIZE: usize = 8192;
/// Bytes of a page's header.
pub const PAGE_HEADER: usize = 32;
const FORMAT: u8 = 1;
/// The most pages that can be written together: 128 GiB of them.
pub(crate) const MOST_IN_BATCH: u32 = (1 << 24) - 1;

/// One page. Knows whether its checksum is right, so that a page that went to a simulated
/// disk and came back untouched need not be summed again.
#[derive(Clone)]
pub struct Page {
    bytes: [u8; PAGE_SIZE],
    checked: bool,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageDamage {
    /// All bytes are zero: nothing was ever written here.
    Blank,
    /// The checksum does not fit the contents.
    Checksum,
    /// The page belongs to another place: a misdirected write or read.
    Misplaced,
    /// The page is older than what was written last: a lost write.
    Stale,
}

impl fmt::Display for PageDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PageDamage::Blank => "never written",
            PageDamage::Checksum => "checksum mismatch",
            PageDamage::Misplaced => "belongs to another place",
            PageDamage::Stale => "older than what was written",
        })
    }
}

impl Page {
    /// An empty page for that place; not sealed yet.
    pub fn empty(kind: FileKind, number: PageNumber) -> Page {
        let mut page = Page { bytes: [0; PAGE_SIZE], checked: false };
        page.bytes[4] = kind as u8;
        page.bytes[5] = FORMAT;
        page.bytes[8..12].copy_from_slice(&number.to_le_bytes());
        page
    }

    /// A page as a disk read it, to be verified.
    pub fn from_bytes(bytes: &[u8; PAGE_SIZE]) -> Page {
        Page { bytes: *bytes, checked: false }
    }

    /// All bytes, header included.
    pub fn bytes(&self) -> &[u8; PAGE_SIZE] {
        &self.bytes
    }

    /// The bytes after the header.
    pub fn body(&self) -> &[u8] {
        &self.bytes[PAGE_HEADER..]
    }

    /// The bytes after the header, to change; the page must be sealed again afterwards.
    pub fn body_mut(&mut self) -> &mut [u8] {
        self.checked = false;
        &mut self.bytes[PAGE_HEADER..]
    }

    /// The number of the last transaction that changed the page.
    pub fn last_tx(&self) -> u64 {
        self.word(16)
    }

    /// The sequence number of the flush that wrote the page.
    pub fn sequence(&self) -> u64 {
        self.word(24)
    }

    /// The kind and number that the header names, if it names a kind of this format.
    pub fn place(&self) -> Option<(FileKind, PageNumber)> {
        let kind = FileKind::from_number(self.bytes[4]).filter(|_| self.bytes[5] == FORMAT)?;
        let number = &self.bytes[8..12];
        Some((kind, u32::from_le_bytes([number[0], number[1], number[2], number[3]])))
    }

    /// Notes that transaction `tx` changed the page.
    pub(crate) fn touch(&mut self, tx: u64) {
        self.checked = false;
        let last = self.last_tx().max(tx);
        self.bytes[16..24].copy_from_slice(&last.to_le_bytes());
    }

    /// Computes the checksum; `sequence` tells later flushes of the page from earlier ones.
    #[must_use]
    pub fn sealed(mut self, sequence: u64) -> Page {
        self.seal(sequence);
        self
    }

    /// As [`Page::sealed`], as the n-th of so many pages that are written together.
    pub(crate) fn seal_in_batch(&mut self, sequence: u64, (place, of): (u32, u32)) {
        assert!(of <= MOST_IN_BATCH, "the caller keeps to what a header can say");
        // The third byte of each stands apart: it was added when batches outgrew two.
        for (number, low, high) in [(place, 12, 6), (of, 14, 7)] {
            let bytes = number.to_le_bytes();
            self.bytes[low..low + 2].copy_from_slice(&bytes[..2]);
            self.bytes[high] = bytes[2];
        }
        self.seal(sequence);
    }

    /// Its place among the pages that were written with it, and how many they were.
    pub(crate) fn batch(&self) -> (u32, u32) {
        let number = |low, high| {
            u32::from_le_bytes([self.bytes[low], self.bytes[low + 1], self.bytes[high], 0])
        };
        (number(12, 6), number(14, 7))
    }

    fn seal(&mut self, sequence: u64) {
        self.bytes[24..32].copy_from_slice(&sequence.to_le_bytes());
        let sum = crc32c::crc32c(&self.bytes[4..]);
        self.bytes[..4].copy_from_slice(&sum.to_le_bytes());
        self.checked = true;
    }

    /// Whether the checksum fits the contents.
    pub fn is_whole(&self) -> bool {
        self.checked || crc32c::crc32c(&self.bytes[4..]).to_le_bytes() == self.bytes[..4]
    }

    /// Whether this is the whole, right page for the place.
    pub fn verify(&self, kind: FileKind, number: PageNumber) -> Result<(), PageDamage> {
        if !self.is_whole() {
            let blank = self.bytes.iter().all(|byte| *byte == 0);
            return Err(if blank { PageDamage::Blank } else { PageDamage::Checksum });
        }
        if self.place() != Some((kind, number)) {
            return Err(PageDamage::Misplaced);
        }
        Ok(())
    }

    fn word(&self, at: usize) -> u64 {
        let mut word = [0; 8];
        word.copy_from_slice(&self.bytes[at..at + 8]);
        u64::from_le_bytes(word)
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Page) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Page {}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page({:?}, tx {}, seq {})", self.place(), self.last_tx(), self.sequence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_page_verifies_only_in_its_place() {
        let mut page = Page::empty(FileKind::Nodes, 7);
        page.body_mut()[100] = 9;
        page.touch(12);
        page.touch(11);
        assert_eq!(page.verify(FileKind::Nodes, 7), Err(PageDamage::Checksum));
        let page = page.sealed(3);
        let read = Page::from_bytes(page.bytes());
        assert_eq!(read.verify(FileKind::Nodes, 7), Ok(()));
        assert_eq!(read.verify(FileKind::Nodes, 8), Err(PageDamage::Misplaced));
        assert_eq!(read.verify(FileKind::Properties, 7), Err(PageDamage::Misplaced));
        assert_eq!((read.last_tx(), read.sequence()), (12, 3));
    }

    #[test]
    fn a_page_knows_its_place_in_a_batch_of_any_size() {
        let mut page = Page::empty(FileKind::Index, 7);
        for batch in [(0, 1), (63, 64), (65_535, 65_536), (70_000, 200_000)] {
            page.seal_in_batch(3, batch);
            assert_eq!(Page::from_bytes(page.bytes()).batch(), batch);
            assert_eq!(page.place(), Some((FileKind::Index, 7)));
        }
    }

    #[test]
    fn any_flipped_bit_is_seen() {
        let page = Page::empty(FileKind::Nodes, 7).sealed(1);
        for at in (0..PAGE_SIZE).step_by(97) {
            let mut bytes = *page.bytes();
            bytes[at] ^= 0x10;
            assert!(Page::from_bytes(&bytes).verify(FileKind::Nodes, 7).is_err(), "{at}");
        }
        let blank = Page::from_bytes(&[0; PAGE_SIZE]);
        assert_eq!(blank.verify(FileKind::Meta, 0), Err(PageDamage::Blank));
    }
}
