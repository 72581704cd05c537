//! The uncommitted writes of one transaction: after-images by record.

use alloc::vec::Vec;
use wavetank_vocabulary::LookupMap;

use crate::record::{LONGEST, Record, RecordKey, record_size};

/// Up to this many records are searched one by one, which is faster than hashing.
const SEARCHED: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: RecordKey,
    at: u32,
    created: bool,
}

/// After-images, in the order in which the records were first written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    index: LookupMap<u64, u32>,
}

impl Overlay {
    #[inline(always)]
    fn position(&self, key: RecordKey) -> Option<usize> {
        if self.entries.len() <= SEARCHED {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            self.index.get(&key.0).map(|place| *place as usize)
        }
    }

    /// A record's after-image, if it was written here.
    #[inline(always)]
    pub(crate) fn get<R: Record>(&self, id: u64) -> Option<&[u8]> {
        if self.entries.is_empty() {
            return None;
        }
        let place = self.position(RecordKey::new(R::KIND, id))?;
        let at = self.entries[place].at as usize;
        Some(&self.bytes[at..at + R::SIZE])
    }

    /// Whether the transaction itself made the record.
    pub(crate) fn created(&self, key: RecordKey) -> bool {
        self.position(key).is_some_and(|place| self.entries[place].created)
    }

    /// Sets a record's after-image; `created` marks it as made by this transaction.
    pub(crate) fn put<R: Record>(&mut self, id: u64, record: &R, created: bool) {
        let key = RecordKey::new(R::KIND, id);
        match self.position(key) {
            Some(place) => {
                let entry = &mut self.entries[place];
                entry.created |= created;
                let at = entry.at as usize;
                record.encode(&mut self.bytes[at..at + R::SIZE]);
            }
            None => {
                let at = self.bytes.len();
                self.bytes.extend_from_slice(&[0; LONGEST][..R::SIZE]);
                record.encode(&mut self.bytes[at..]);
                self.remember(Entry { key, at: at as u32, created });
            }
        }
    }

    /// Adds an entry; from a number of them on they are found by hashing.
    #[inline]
    fn remember(&mut self, entry: Entry) {
        self.entries.push(entry);
        let len = self.entries.len();
        if len == SEARCHED + 1 {
            self.index_all();
        } else if len > SEARCHED {
            self.index.insert(entry.key.0, (len - 1) as u32);
        }
    }

    fn index_all(&mut self) {
        for (place, entry) in self.entries.iter().enumerate() {
            self.index.insert(entry.key.0, place as u32);
        }
    }

    /// Sets an after-image that was made elsewhere.
    pub(crate) fn put_image(&mut self, key: RecordKey, image: &[u8]) {
        match self.position(key) {
            Some(place) => {
                let at = self.entries[place].at as usize;
                self.bytes[at..at + image.len()].copy_from_slice(image);
            }
            None => {
                let at = self.bytes.len() as u32;
                self.bytes.extend_from_slice(image);
                self.remember(Entry { key, at, created: false });
            }
        }
    }

    /// Puts the entries in the order of their places in the store.
    pub(crate) fn sort(&mut self) {
        self.entries.sort_unstable_by_key(|entry| entry.key);
        if self.entries.len() > SEARCHED {
            self.index_all();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (RecordKey, &[u8])> + Clone {
        self.entries.iter().map(|entry| {
            let at = entry.at as usize;
            (entry.key, &self.bytes[at..at + record_size(entry.key.kind())])
        })
    }

    /// The records that the transaction made.
    pub(crate) fn made(&self) -> impl Iterator<Item = RecordKey> + '_ {
        self.entries.iter().filter(|entry| entry.created).map(|entry| entry.key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        if self.entries.len() > SEARCHED {
            self.index.clear();
        }
        self.entries.clear();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FileKind;
    use crate::record::{Labels, NodeRecord};

    #[test]
    fn images_are_found_again_before_and_after_the_index_begins() {
        let mut overlay = Overlay::default();
        for id in (0..40).rev() {
            let labels = Labels::pack(&[id]).unwrap();
            overlay.put(u64::from(id), &NodeRecord::new(labels), id % 2 == 0);
            overlay.put(u64::from(id), &NodeRecord::new(labels), false);
        }
        overlay.sort();
        let ids: Vec<u64> = overlay.iter().map(|(key, _)| key.id()).collect();
        assert_eq!(ids, (0..40).collect::<Vec<_>>());
        for id in 0..40 {
            let key = RecordKey::new(FileKind::Nodes, id);
            let node = NodeRecord::decode(overlay.get::<NodeRecord>(id).unwrap());
            assert_eq!(node.labels.iter().next(), Some(id as u32));
            assert_eq!(overlay.created(key), id % 2 == 0);
        }
        overlay.clear();
        assert!(overlay.get::<NodeRecord>(3).is_none() && overlay.is_empty());
    }
}
