//! The pages of the index tree: a B+tree of entries, without any notion of files or caches.
//!
//! One tree holds the label scan store and all property indexes: an entry says that a node
//! stands in a space (a label, or an index) under a hash. Page 0 is always the root. Pages
//! are split and never merged; an empty page is a leaf without entries.

use alloc::vec::Vec;

use crate::page::{PAGE_HEADER, PAGE_SIZE};

/// An entry: in which space, under which hash of a value, which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IndexKey {
    pub(crate) space: u32,
    pub(crate) hash: u64,
    pub(crate) node: u64,
}

/// Spaces from here on are indexes by the id of their rule; those below are labels.
const INDEXES: u32 = 1 << 31;

impl IndexKey {
    /// Bytes of an entry in the log.
    pub(crate) const IMAGE: usize = 24;

    /// The entry of a node with a label.
    pub(crate) fn label(label: u32, node: u64) -> IndexKey {
        IndexKey { space: label, hash: 0, node }
    }

    /// The entry of a node in the index of a rule.
    pub(crate) fn value(rule: u64, hash: u64, node: u64) -> IndexKey {
        IndexKey { space: INDEXES | rule as u32, hash, node }
    }

    /// The rule of the index that the entry is in; none in the label scan store.
    pub(crate) fn rule(&self) -> Option<u64> {
        (self.space & INDEXES != 0).then_some(u64::from(self.space & !INDEXES))
    }

    /// The next possible entry.
    pub(crate) fn next(self) -> IndexKey {
        // A forged entry may name the last node that there can be.
        let (node, carried) = self.node.overflowing_add(1);
        let (hash, carried) = self.hash.overflowing_add(carried.into());
        IndexKey { space: self.space.saturating_add(carried.into()), hash, node }
    }

    /// The entry as it stands in the log: put in or taken out.
    pub(crate) fn to_image(self, present: bool) -> [u8; Self::IMAGE] {
        let mut image = [0; Self::IMAGE];
        image[0] = u8::from(present);
        self.write(&mut image[4..]);
        image
    }

    pub(crate) fn from_image(image: &[u8]) -> (IndexKey, bool) {
        (IndexKey::read(&image[4..]), image[0] & 1 != 0)
    }

    fn read(b: &[u8]) -> IndexKey {
        IndexKey {
            space: u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
            hash: crate::record::u64_at(b, 4),
            node: crate::record::u64_at(b, 12),
        }
    }

    fn write(self, b: &mut [u8]) {
        b[..4].copy_from_slice(&self.space.to_le_bytes());
        b[4..12].copy_from_slice(&self.hash.to_le_bytes());
        b[12..20].copy_from_slice(&self.node.to_le_bytes());
    }
}

const HEADER: usize = 16;
const LEAF_ENTRY: usize = 20;
const INNER_ENTRY: usize = 24;
/// In tests pages are split early, so that small graphs have deep trees.
const FULL_IN_TESTS: usize = 12;
const BODY: usize = PAGE_SIZE - PAGE_HEADER;

/// A tree page's level (0 is a leaf), number of entries, and next leaf (0: none).
pub(crate) fn level(body: &[u8]) -> u16 {
    u16::from_le_bytes([body[0], body[1]])
}

pub(crate) fn count(body: &[u8]) -> usize {
    usize::from(u16::from_le_bytes([body[2], body[3]])).min(most(body))
}

pub(crate) fn next_leaf(body: &[u8]) -> u32 {
    u32::from_le_bytes([body[4], body[5], body[6], body[7]])
}

fn set_header(body: &mut [u8], level: u16, count: usize, next: u32) {
    body[..2].copy_from_slice(&level.to_le_bytes());
    body[2..4].copy_from_slice(&(count as u16).to_le_bytes());
    body[4..8].copy_from_slice(&next.to_le_bytes());
}

fn entry_size(body: &[u8]) -> usize {
    if level(body) == 0 { LEAF_ENTRY } else { INNER_ENTRY }
}

fn most(body: &[u8]) -> usize {
    (BODY - HEADER) / entry_size(body)
}

pub(crate) fn is_full(body: &[u8]) -> bool {
    let most = if cfg!(test) { FULL_IN_TESTS } else { most(body) };
    count(body) >= most
}

/// The entry, or the lower bound of the child, at a place.
pub(crate) fn key_at(body: &[u8], place: usize) -> IndexKey {
    IndexKey::read(&body[HEADER + place * entry_size(body)..])
}

/// The child at a place of an inner page.
pub(crate) fn child_at(body: &[u8], place: usize) -> u32 {
    let at = HEADER + place * INNER_ENTRY + 20;
    u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]])
}

/// Where the key is (`Ok`) or would stand (`Err`).
pub(crate) fn search(body: &[u8], key: IndexKey) -> Result<usize, usize> {
    let (mut low, mut high) = (0, count(body));
    while low < high {
        let middle = (low + high) / 2;
        match key_at(body, middle).cmp(&key) {
            core::cmp::Ordering::Equal => return Ok(middle),
            core::cmp::Ordering::Less => low = middle + 1,
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

/// The place of the child in which the key belongs. The first child has no lower bound.
pub(crate) fn child_of(body: &[u8], key: IndexKey) -> usize {
    match search(body, key) {
        Ok(place) => place,
        Err(place) => place.saturating_sub(1),
    }
}

fn insert_bytes(body: &mut [u8], place: usize, entry: &[u8]) {
    let (size, count) = (entry.len(), count(body));
    let (at, end) = (HEADER + place * size, HEADER + count * size);
    body.copy_within(at..end, at + size);
    body[at..at + size].copy_from_slice(entry);
    let (level, next) = (level(body), next_leaf(body));
    set_header(body, level, count + 1, next);
}

/// Puts an entry into a leaf that is not full. False if it was there.
pub(crate) fn insert(body: &mut [u8], key: IndexKey) -> bool {
    let Err(place) = search(body, key) else { return false };
    let mut entry = [0; LEAF_ENTRY];
    key.write(&mut entry);
    insert_bytes(body, place, &entry);
    true
}

/// Takes an entry out of a leaf. False if it was not there.
pub(crate) fn remove(body: &mut [u8], key: IndexKey) -> bool {
    let Ok(place) = search(body, key) else { return false };
    let (at, end) = (HEADER + place * LEAF_ENTRY, HEADER + count(body) * LEAF_ENTRY);
    body.copy_within(at + LEAF_ENTRY..end, at);
    body[end - LEAF_ENTRY..end].fill(0);
    let (count, next) = (count(body), next_leaf(body));
    set_header(body, 0, count - 1, next);
    true
}

/// Puts a child with its lower bound behind the child at `place` of an inner page that is
/// not full.
pub(crate) fn insert_child(body: &mut [u8], place: usize, bound: IndexKey, child: u32) {
    let mut entry = [0; INNER_ENTRY];
    bound.write(&mut entry);
    entry[20..].copy_from_slice(&child.to_le_bytes());
    insert_bytes(body, place + 1, &entry);
}

/// Makes this an inner page with one child.
pub(crate) fn make_inner(body: &mut [u8], level: u16, child: u32) {
    body.fill(0);
    set_header(body, level, 1, 0);
    body[HEADER + 20..HEADER + 24].copy_from_slice(&child.to_le_bytes());
}

/// Moves the upper half of a full page into an empty one, which is page `right_number`;
/// returns the lower bound of what moved. A page that only ever grew at its end keeps all
/// but the last entry, so that ascending keys fill their pages.
pub(crate) fn split(
    left: &mut [u8],
    right: &mut [u8],
    right_number: u32,
    at_end: bool,
) -> IndexKey {
    let (size, count, level) = (entry_size(left), count(left), level(left));
    let kept = if at_end { count - 1 } else { count / 2 };
    let (middle, end) = (HEADER + kept * size, HEADER + count * size);
    right[HEADER..HEADER + end - middle].copy_from_slice(&left[middle..end]);
    left[middle..end].fill(0);
    let next = next_leaf(left);
    set_header(right, level, count - kept, next);
    set_header(left, level, kept, if level == 0 { right_number } else { 0 });
    key_at(right, 0)
}

/// The pages' bodies of a tree with these entries, which are in order.
pub(crate) fn build(entries: &[IndexKey]) -> Vec<Vec<u8>> {
    let mut leaves: Vec<(IndexKey, Vec<u8>)> = Vec::new();
    let per_leaf = (BODY - HEADER) / LEAF_ENTRY * 9 / 10;
    for some in entries.chunks(per_leaf) {
        let mut body = alloc::vec![0; BODY];
        for (place, key) in some.iter().enumerate() {
            key.write(&mut body[HEADER + place * LEAF_ENTRY..]);
        }
        set_header(&mut body, 0, some.len(), 0);
        leaves.push((some[0], body));
    }
    // Page 0 is the root, which is made last; the leaves come first behind it.
    let mut pages: Vec<Vec<u8>> = alloc::vec![alloc::vec![0; BODY]];
    let mut below: Vec<(IndexKey, u32)> = Vec::new();
    let last = leaves.len();
    for (place, (bound, mut body)) in leaves.into_iter().enumerate() {
        if last == 1 {
            pages[0] = body;
            return pages;
        }
        let number = pages.len() as u32;
        let held = count(&body);
        set_header(&mut body, 0, held, if place + 1 < last { number + 1 } else { 0 });
        below.push((bound, number));
        pages.push(body);
    }
    let per_inner = (BODY - HEADER) / INNER_ENTRY * 9 / 10;
    let mut level = 0;
    while !below.is_empty() {
        level += 1;
        let is_root = below.len() <= per_inner;
        let mut made = Vec::new();
        for some in below.chunks(per_inner) {
            let mut body = alloc::vec![0; BODY];
            make_inner(&mut body, level, some[0].1);
            for (place, (bound, child)) in some.iter().enumerate().skip(1) {
                insert_child(&mut body, place - 1, *bound, *child);
            }
            if is_root {
                pages[0] = body;
            } else {
                made.push((some[0].0, pages.len() as u32));
                pages.push(body);
            }
        }
        below = made;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn key(n: u64) -> IndexKey {
        IndexKey { space: (n >> 32) as u32, hash: n >> 16 & 0xffff, node: n & 0xffff }
    }

    /// All entries of a built tree, from the leftmost leaf on; every inner page is checked.
    fn entries(pages: &[Vec<u8>]) -> Vec<IndexKey> {
        let mut at = 0;
        while level(&pages[at]) > 0 {
            let body = &pages[at];
            for place in 1..count(body) {
                let child = &pages[child_at(body, place) as usize];
                assert!(level(child) + 1 == level(body));
                assert!(key_at(body, place) == key_at(child, 0) || level(child) > 0);
            }
            at = child_at(body, 0) as usize;
        }
        let mut out = Vec::new();
        loop {
            out.extend((0..count(&pages[at])).map(|place| key_at(&pages[at], place)));
            match next_leaf(&pages[at]) {
                0 => return out,
                next => at = next as usize,
            }
        }
    }

    #[test]
    fn built_trees_hold_their_entries() {
        for n in [0, 1, 366, 367, 1000, 200_000] {
            let all: Vec<IndexKey> = (0..n).map(|n| key(n * 3)).collect();
            assert_eq!(entries(&build(&all)), all, "{n}");
        }
    }

    proptest! {
        #[test]
        fn a_leaf_is_a_sorted_set(steps in prop::collection::vec((any::<bool>(), 0..300u64), 0..400)) {
            let mut body = alloc::vec![0; BODY];
            let mut model = BTreeSet::new();
            for (put, n) in steps {
                if put && !is_full(&body) {
                    prop_assert_eq!(insert(&mut body, key(n)), model.insert(key(n)));
                } else {
                    prop_assert_eq!(remove(&mut body, key(n)), model.remove(&key(n)));
                }
            }
            let held: Vec<IndexKey> = (0..count(&body)).map(|at| key_at(&body, at)).collect();
            prop_assert_eq!(&held, &model.iter().copied().collect::<Vec<_>>());
            if held.len() > 1 {
                let mut right = alloc::vec![0; BODY];
                let bound = split(&mut body, &mut right, 9, false);
                prop_assert_eq!(bound, key_at(&right, 0));
                prop_assert_eq!(count(&body) + count(&right), held.len());
                prop_assert!(key_at(&body, count(&body) - 1) < bound);
            }
        }

        #[test]
        fn any_body_is_searched_without_panic(bytes in prop::collection::vec(any::<u8>(), 64)) {
            let mut body = alloc::vec![0; BODY];
            body[..64].copy_from_slice(&bytes);
            let _ = search(&body, key(5));
            let _ = child_of(&body, key(5));
        }
    }
}
