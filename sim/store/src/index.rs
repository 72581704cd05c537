//! The index tree in the store: reading ranges, and applying logged entries to its pages.
//!
//! The log holds entries, not pages: that a node is in a space under a hash, or no longer.
//! Applying one again does no harm, so replay may begin at any older state of a leaf. But the
//! pages of a split must never be found half written: pages that a split has changed since
//! they were last written go to the disk in one batch, which the double-write file makes
//! atomic (see `flush` and `recovery`). Likewise a store copy gets all pages of the tree as
//! they were at one moment.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::cache::{FrameId, PageKey};
use crate::disk::FileKind;
use crate::error::StoreError;
use crate::io::Pinner;
use crate::locks::Slot;
use crate::page::Page;
use crate::store::{Ledger, Stop, Store};
use crate::tree::{self, IndexKey};

/// The deepest tree there can be: 2^32 pages of at least 150 children.
pub(crate) const DEEPEST: u16 = 8;

fn broken(what: &str) -> Stop {
    StoreError::Inconsistent(what.into()).into()
}

fn key_of(page: u32) -> PageKey {
    PageKey(FileKind::Index, page)
}

/// The page below this one on the way to a key; none below a leaf. `above` is the level that it
/// must be under.
fn below(body: &[u8], above: &mut u16, key: IndexKey) -> Result<Option<u32>, Stop> {
    let level = tree::level(body);
    if level == 0 {
        return Ok(None);
    }
    if level >= *above || tree::count(body) == 0 {
        return Err(broken("the index tree has no end"));
    }
    *above = level;
    Ok(Some(tree::child_at(body, tree::child_of(body, key))))
}

impl Store {
    /// Entries from `from` up to `to`, at most `most`, as the transaction sees them. Returns
    /// where to go on; none if there are no more.
    pub(crate) fn index_range(
        &mut self,
        slot: Slot,
        from: IndexKey,
        to: IndexKey,
        most: usize,
        out: &mut Vec<IndexKey>,
        ledger: &mut Ledger,
    ) -> Result<Option<IndexKey>, Stop> {
        out.clear();
        self.committed_range(Pinner::transaction(slot), from, to, most, out, ledger)?;
        let rest = (out.len() == most).then(|| out[most - 1].next());
        let end = rest.unwrap_or(to);
        let own = &self.transactions[slot as usize].index;
        if !own.is_empty() && from < end {
            for (key, present) in own.range(from..end) {
                match (out.binary_search(key), present) {
                    (Err(place), true) => out.insert(place, *key),
                    (Ok(place), false) => {
                        out.remove(place);
                    }
                    _ => {}
                }
            }
        }
        Ok(rest)
    }

    fn committed_range(
        &mut self,
        pinner: Pinner,
        from: IndexKey,
        to: IndexKey,
        most: usize,
        out: &mut Vec<IndexKey>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        if self.counts.logical[FileKind::Index as usize] == 0 {
            return Ok(());
        }
        let mut page = 0;
        let mut above = DEEPEST;
        loop {
            let frame = self.tree_page(pinner, page, ledger)?;
            match below(self.cache.frame(frame).page().body(), &mut above, from)? {
                Some(child) => page = child,
                None => break,
            }
        }
        let mut last = None;
        // More leaves than pages are a circle.
        for _ in 0..self.counts.logical[FileKind::Index as usize] {
            let frame = self.tree_page(pinner, page, ledger)?;
            let body = self.cache.frame(frame).page().body();
            let start = match tree::search(body, from) {
                Ok(place) | Err(place) => place,
            };
            for place in start..tree::count(body) {
                let key = tree::key_at(body, place);
                if key >= to || out.len() == most {
                    return Ok(());
                }
                if last.is_some_and(|last| last >= key) {
                    return Err(broken("the index tree is out of order"));
                }
                last = Some(key);
                ledger.records += 1;
                out.push(key);
            }
            page = tree::next_leaf(body);
            if page == 0 {
                return Ok(());
            }
        }
        Err(broken("the index tree has no end"))
    }

    fn tree_page(
        &mut self,
        pinner: Pinner,
        page: u32,
        ledger: &mut Ledger,
    ) -> Result<FrameId, Stop> {
        if page >= self.counts.logical[FileKind::Index as usize] {
            return Err(broken("the index tree leads to a page that is not there"));
        }
        self.page(pinner, key_of(page), ledger)
    }

    /// Makes the pages resident that entries will be written to, and pins them.
    pub(crate) fn hold_tree(
        &mut self,
        pinner: Pinner,
        keys: impl Iterator<Item = IndexKey>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        for key in keys {
            let mut page = 0;
            let mut above = DEEPEST;
            loop {
                if page > 0 && page >= self.counts.logical[FileKind::Index as usize] {
                    return Err(broken("the index tree leads to a page that is not there"));
                }
                let frame = self.page_to_write(pinner, key_of(page), ledger)?;
                match below(self.cache.frame(frame).page().body(), &mut above, key)? {
                    Some(child) => page = child,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Puts an entry into the tree or takes it out; its pages are held.
    pub(crate) fn write_entry(&mut self, key: IndexKey, present: bool, tx: u64) {
        let mut page = 0;
        if present && tree::is_full(self.body(0)) {
            self.grow_tree(tx);
        }
        while tree::level(self.body(page)) > 0 {
            let place = tree::child_of(self.body(page), key);
            let child = tree::child_at(self.body(page), place);
            // Full pages are split on the way down, so that their parents have room.
            if present && tree::is_full(self.body(child)) {
                self.split_child(page, place, child, key, tx);
                let place = tree::child_of(self.body(page), key);
                page = tree::child_at(self.body(page), place);
            } else {
                page = child;
            }
        }
        let held = tree::search(self.body(page), key).is_ok();
        if held != present {
            let page = self.tree_mut(page);
            page.touch(tx);
            if present {
                tree::insert(page.body_mut(), key);
            } else {
                tree::remove(page.body_mut(), key);
            }
        }
    }

    fn frame_of(&self, page: u32) -> FrameId {
        self.cache.find(key_of(page)).expect("held by hold_tree")
    }

    fn body(&self, page: u32) -> &[u8] {
        self.cache.frame(self.frame_of(page)).page().body()
    }

    /// A page of the tree, to change. A copy that is being streamed keeps what it was.
    fn tree_mut(&mut self, page: u32) -> &mut Page {
        let frame = self.frame_of(page);
        self.copies.keep_tree_page(page, self.cache.frame(frame).page());
        self.cache.page_mut(frame)
    }

    /// A new, empty page of the tree; its number.
    fn new_tree_page(&mut self) -> u32 {
        let number = self.counts.logical[FileKind::Index as usize];
        let _ = self.cache.make_room();
        self.cache.insert(key_of(number), Arc::new(Page::empty(FileKind::Index, number)), true);
        self.counts.logical[FileKind::Index as usize] += 1;
        number
    }

    /// Moves the root's contents into a new page below it.
    fn grow_tree(&mut self, tx: u64) {
        let child = self.new_tree_page();
        let root = self.cache.frame(self.frame_of(0)).page().clone();
        let page = self.tree_mut(child);
        page.body_mut().copy_from_slice(root.body());
        page.touch(tx);
        let page = self.tree_mut(0);
        tree::make_inner(page.body_mut(), tree::level(root.body()) + 1, child);
        page.touch(tx);
        self.tree_linked.extend([0, child]);
    }

    fn split_child(&mut self, parent: u32, place: usize, child: u32, key: IndexKey, tx: u64) {
        let right = self.new_tree_page();
        let at_end = tree::search(self.body(child), key) == Err(tree::count(self.body(child)));
        let mut left_page = Page::clone(self.cache.frame(self.frame_of(child)).page());
        let page = self.tree_mut(right);
        let bound = tree::split(left_page.body_mut(), page.body_mut(), right, at_end);
        page.touch(tx);
        let page = self.tree_mut(child);
        page.body_mut().copy_from_slice(left_page.body());
        page.touch(tx);
        let page = self.tree_mut(parent);
        tree::insert_child(page.body_mut(), place, bound, right);
        page.touch(tx);
        self.tree_linked.extend([parent, child, right]);
    }
}
