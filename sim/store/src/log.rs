//! Transactions as they stand in the log: records' after-images, chained by checksums.
//!
//! A transaction's content is the same on every instance: header, then after-images. Its
//! checksum is the XXH3-64 of the content, which includes the checksum of the transaction
//! before: two logs that agree on a [`LogMark`] agree on everything before it. In a file,
//! the content stands in a frame with a CRC-32C. The frame also says how much of the file
//! was durable when it was written: an unreadable entry that a later frame calls durable is
//! damage, while one that no later frame vouches for is the tail of a crash.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, TxId};
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::record::{MAX_ENTITIES, RecordKey, record_size, u64_at};

/// One committed transaction: content and checksum. Cheap to share, never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxRecord {
    content: Arc<[u8]>,
    checksum: u64,
}

const CONTENT_HEADER: usize = 44;

/// Bytes of a transaction's content at the most: what commits must reach the other instances,
/// and between real nodes a message has 64 MiB at the most.
pub const LARGEST_TRANSACTION: usize = 63 << 20;

/// What goes into a transaction's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TxHeader {
    pub(crate) time_ms: u64,
    pub(crate) operation: u64,
    pub(crate) master: u32,
    pub(crate) author: u32,
}

impl TxRecord {
    pub(crate) fn new<'a>(
        before: LogMark,
        header: TxHeader,
        images: impl Iterator<Item = (RecordKey, &'a [u8])>,
        scratch: &mut Vec<u8>,
    ) -> TxRecord {
        scratch.clear();
        scratch.extend_from_slice(&before.tx.next().0.to_le_bytes());
        scratch.extend_from_slice(&before.checksum.to_le_bytes());
        scratch.extend_from_slice(&header.time_ms.to_le_bytes());
        scratch.extend_from_slice(&header.operation.to_le_bytes());
        scratch.extend_from_slice(&header.master.to_le_bytes());
        scratch.extend_from_slice(&header.author.to_le_bytes());
        scratch.extend_from_slice(&[0; 4]);
        let mut count = 0u32;
        for (key, image) in images {
            scratch.extend_from_slice(&key.0.to_le_bytes());
            scratch.extend_from_slice(image);
            count += 1;
        }
        scratch[40..44].copy_from_slice(&count.to_le_bytes());
        TxRecord { content: scratch.as_slice().into(), checksum: xxh3_64(scratch) }
    }

    /// Whether it can be replicated.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
    pub(crate) fn check_size(&self) -> Result<(), StoreError> {
        match self.content.len() {
            size if size > LARGEST_TRANSACTION => Err(StoreError::TooLarge(size)),
            _ => Ok(()),
        }
    }

    /// A transaction from its content, as [`Self::content`] gave it.
    ///
    /// # Errors
    /// [`StoreError::DamagedInput`] if it is no well-formed content.
    pub fn from_content(content: &[u8]) -> Result<TxRecord, StoreError> {
        let damaged = StoreError::DamagedInput;
        if content.len() < CONTENT_HEADER {
            return Err(damaged("a transaction is too short"));
        }
        let mut left = u32::from_le_bytes([content[40], content[41], content[42], content[43]]);
        let mut at = CONTENT_HEADER;
        while at < content.len() {
            let Some(rest) = content.get(at + 8..) else {
                return Err(damaged("a record's image is cut off"));
            };
            let word = u64_at(content, at);
            let kind = FileKind::from_number((word >> 56) as u8)
                .filter(|kind| record_size(*kind) > 0)
                .ok_or(damaged("a record of an unknown kind"))?;
            if rest.len() < record_size(kind) || left == 0 {
                return Err(damaged("a record's image is cut off, or there are too many"));
            }
            // Bounds the page tables that a forged id could blow up.
            if word & ((1 << 56) - 1) > MAX_ENTITIES << 1 {
                return Err(damaged("a record id beyond the format's range"));
            }
            at += 8 + record_size(kind);
            left -= 1;
        }
        if left != 0 {
            return Err(damaged("records are missing"));
        }
        Ok(TxRecord { content: content.into(), checksum: xxh3_64(content) })
    }

    /// The bytes that travel and that the log frames.
    pub fn content(&self) -> &Arc<[u8]> {
        &self.content
    }

    /// Its id.
    pub fn tx(&self) -> TxId {
        TxId(u64_at(&self.content, 0))
    }

    /// The checksum of the transaction before it.
    pub fn before(&self) -> u64 {
        u64_at(&self.content, 8)
    }

    /// Its place in the history.
    pub fn mark(&self) -> LogMark {
        LogMark { tx: self.tx(), checksum: self.checksum }
    }

    /// The committing instance's clock, in milliseconds.
    pub fn time_ms(&self) -> u64 {
        u64_at(&self.content, 16)
    }

    /// The word that `Store::begin` was given.
    pub fn operation(&self) -> u64 {
        u64_at(&self.content, 24)
    }

    /// The server that committed it.
    pub fn master(&self) -> u32 {
        u64_at(&self.content, 32) as u32
    }

    /// The server at which it was begun.
    pub fn author(&self) -> u32 {
        (u64_at(&self.content, 32) >> 32) as u32
    }

    /// How many records it changes.
    pub fn record_count(&self) -> u32 {
        u32::from_le_bytes([self.content[40], self.content[41], self.content[42], self.content[43]])
    }

    /// The after-images, ordered by record.
    pub(crate) fn images(&self) -> impl Iterator<Item = (RecordKey, &[u8])> {
        let mut at = CONTENT_HEADER;
        core::iter::from_fn(move || {
            if at >= self.content.len() {
                return None;
            }
            let key = RecordKey(u64_at(&self.content, at));
            let start = at + 8;
            at = start + record_size(key.kind());
            Some((key, &self.content[start..at]))
        })
    }
}

/// Bytes of a frame before its content.
pub(crate) const FRAME: usize = 20;
const FRAME_MAGIC: [u8; 4] = *b"wtTX";

/// Appends the framed transaction; `durable` is the file's length known to be durable.
pub(crate) fn frame(record: &TxRecord, durable: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&(record.content.len() as u32).to_le_bytes());
    out.extend_from_slice(&durable.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(&out[start..]), &record.content);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&record.content);
}

/// What stands at a place of a log file.
#[derive(Debug, PartialEq)]
pub(crate) enum Framed<'a> {
    Entry {
        content: &'a [u8],
        durable: u64,
        length: usize,
    },
    /// This many bytes are needed to tell.
    More(usize),
    Invalid,
}

/// Reads the frame at the start of `bytes`, in a file that has `left` bytes from there on.
pub(crate) fn read_frame(bytes: &[u8], left: u64) -> Framed<'_> {
    if left < FRAME as u64 {
        return Framed::Invalid;
    }
    if bytes.len() < FRAME {
        return Framed::More(FRAME);
    }
    if bytes[..4] != FRAME_MAGIC {
        return Framed::Invalid;
    }
    let length = FRAME + u64_at(&bytes[..12], 4) as u32 as usize;
    if length as u64 > left {
        return Framed::Invalid;
    }
    if bytes.len() < length {
        return Framed::More(length);
    }
    let content = &bytes[FRAME..length];
    let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), content);
    if sum.to_le_bytes() != bytes[16..FRAME] {
        return Framed::Invalid;
    }
    Framed::Entry { content, durable: u64_at(bytes, 8), length }
}

/// The start of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogHeader {
    pub(crate) version: u32,
    pub(crate) store_id: u64,
    /// The last transaction before the file's first, and its time in milliseconds.
    pub(crate) base: LogMark,
    pub(crate) base_time_ms: u64,
}

impl LogHeader {
    pub(crate) const SIZE: usize = 56;
    const MAGIC: [u8; 8] = *b"wavetlog";
    const FORMAT: u32 = 2;

    pub(crate) fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&Self::MAGIC);
        bytes[8..12].copy_from_slice(&Self::FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.store_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.tx.0.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base.checksum.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_time_ms.to_le_bytes());
        let sum = crc32c::crc32c(&bytes[..48]);
        bytes[48..52].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<LogHeader> {
        let bytes = bytes.get(..Self::SIZE)?;
        let whole =
            bytes[52..] == [0; 4] && bytes[48..52] == crc32c::crc32c(&bytes[..48]).to_le_bytes();
        if !whole || bytes[..8] != Self::MAGIC || bytes[8..12] != Self::FORMAT.to_le_bytes() {
            return None;
        }
        Some(LogHeader {
            version: (u64_at(bytes, 8) >> 32) as u32,
            store_id: u64_at(bytes, 16),
            base: LogMark { tx: TxId(u64_at(bytes, 24)), checksum: u64_at(bytes, 32) },
            base_time_ms: u64_at(bytes, 40),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn record(before: LogMark, fill: u8) -> TxRecord {
        let image = [fill; 15];
        let images = [(RecordKey::new(FileKind::Nodes, 3), &image[..])];
        let header = TxHeader { time_ms: 5, operation: 6, master: 7, author: 8 };
        TxRecord::new(before, header, images.into_iter(), &mut Vec::new())
    }

    #[test]
    fn a_record_says_what_it_was_given() {
        let one = record(LogMark::BASE, 1);
        let two = record(one.mark(), 1);
        assert_eq!((one.tx(), two.tx(), two.before()), (TxId(2), TxId(3), one.mark().checksum));
        assert_eq!((two.time_ms(), two.operation(), two.master(), two.author()), (5, 6, 7, 8));
        assert_eq!(two.images().map(|(key, image)| (key.id(), image[0])).next(), Some((3, 1)));
        assert_eq!(TxRecord::from_content(two.content()), Ok(two.clone()));
        // The same change after another history has another mark.
        assert_ne!(record(record(LogMark::BASE, 2).mark(), 1).mark(), two.mark());
    }

    #[test]
    fn frames_tell_short_from_broken() {
        let mut bytes = vec![];
        frame(&record(LogMark::BASE, 1), 48, &mut bytes);
        let left = bytes.len() as u64;
        let Framed::Entry { content, durable: 48, length } = read_frame(&bytes, left) else {
            panic!("not an entry")
        };
        assert_eq!((content, length), (&bytes[FRAME..], bytes.len()));
        assert_eq!(read_frame(&bytes[..7], left), Framed::More(FRAME));
        assert_eq!(read_frame(&bytes[..30], left), Framed::More(length));
        assert_eq!(read_frame(&bytes, left - 1), Framed::Invalid);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(!matches!(read_frame(&broken, left), Framed::Entry { .. }), "{at}");
        }
    }

    #[test]
    fn log_headers_survive_the_round_trip() {
        let header = LogHeader {
            version: 9,
            store_id: 77,
            base: record(LogMark::BASE, 1).mark(),
            base_time_ms: 8,
        };
        let mut bytes = header.encode();
        assert_eq!(LogHeader::decode(&bytes), Some(header));
        bytes[30] ^= 1;
        assert_eq!(LogHeader::decode(&bytes), None);
        assert_eq!(LogHeader::decode(&bytes[..55]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_frame(&bytes, bytes.len() as u64);
            if let Ok(record) = TxRecord::from_content(&bytes) {
                prop_assert_eq!(record.images().count() as u32, record.record_count());
            }
        }
    }
}
