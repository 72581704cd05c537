//! Store copy: streaming the record files out, and taking them in.
//!
//! The sender takes a checkpoint and then streams pages while commits go on. The copy is
//! therefore a mixture of moments, none older than the checkpoint; applying every
//! transaction from the checkpoint up to the last one that the sender had applied at the
//! end makes it whole, as after-images may be applied again. Until then the receiver has no
//! meta file: a crash leaves an incomplete copy, which opens as [`StoreState::Empty`].

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::LogMark;

use crate::cache::PageKey;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName, PageNumber};
use crate::error::StoreError;
use crate::io::{Purpose, Ticket};
use crate::journal::Journal;
use crate::lifecycle::{Mode, Then, journal_config};
use crate::meta::Meta;
use crate::page::Page;
use crate::record::{Record, TokenRecord, locate, records_per_page};
use crate::store::{Ledger, Store, StoreState, live};

/// A page of a store copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageImage {
    /// The file; always of the live store.
    pub file: FileName,
    /// The page's number.
    pub page: PageNumber,
    /// The sealed page.
    pub image: Arc<Page>,
}

/// How far a copy has been streamed. To be given back by `end_copy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyCursor {
    id: u32,
    checkpoint: Ticket,
    /// Where the next batch begins: the kind's place among the record kinds, and the page.
    next: (usize, PageNumber),
}

/// What the next piece of a copy came to.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyStep {
    /// These pages are next.
    Pages(Vec<PageImage>),
    /// Ask again when the ticket completes.
    Wait(Ticket),
    /// All pages were given out. The receiver must apply the transactions after `from`, at
    /// least up to the last one that this store has applied by now.
    Done {
        /// The checkpoint that the copy began with.
        from: LogMark,
    },
    /// A page cannot be read or trusted: the copy must be given up.
    Failed(StoreError),
}

/// Copies that are being streamed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies {
    next_id: u32,
    active: BTreeMap<u32, Outgoing>,
    /// Pages received before the files of the last attempt were removed.
    early: Vec<(Ticket, PageImage)>,
    /// Writes under way by ticket.
    incoming: BTreeMap<Ticket, usize>,
    received_meta: Option<Arc<Page>>,
}

#[derive(Clone, Debug, Default)]
struct Outgoing {
    meta: Option<Meta>,
    /// The meta page to send.
    page: Option<Arc<Page>>,
    ticket: Option<Ticket>,
    left: usize,
    read: BTreeMap<PageKey, Result<Arc<Page>, StoreError>>,
    /// Pages of the index tree as they were when the copy began, where they changed since.
    tree: BTreeMap<PageNumber, Arc<Page>>,
}

impl Copies {
    /// A page of the index tree is about to change.
    pub(crate) fn keep_tree_page(&mut self, number: PageNumber, page: &Arc<Page>) {
        for copy in self.active.values_mut() {
            let place = FileKind::RECORDS.iter().position(|kind| *kind == FileKind::Index);
            let pages = copy.meta.zip(place).map_or(0, |(meta, place)| meta.pages[place]);
            if number < pages && !copy.tree.contains_key(&number) {
                copy.tree.insert(number, page.clone());
            }
        }
    }

    /// The oldest log version that a receiver still needs.
    pub(crate) fn oldest_log(&self) -> Option<u32> {
        self.active.values().filter_map(|copy| copy.meta.map(|meta| meta.position.version)).min()
    }
}

impl Store {
    /// Begins to stream a copy of the store: asks for a checkpoint. Log files that the
    /// receiver needs are kept until [`Store::end_copy`].
    pub fn begin_copy(&mut self) -> CopyCursor {
        let checkpoint = self.checkpoint_ticket();
        let id = self.copies.next_id;
        self.copies.next_id += 1;
        self.copies.active.insert(id, Outgoing::default());
        CopyCursor { id, checkpoint, next: (0, 0) }
    }

    /// Ends a copy, complete or not.
    pub fn end_copy(&mut self, cursor: &CopyCursor) {
        self.copies.active.remove(&cursor.id);
    }

    /// The next pages of a copy, at most `max`. Pages that are not resident are read past
    /// the cache.
    pub fn copy_pages(
        &mut self,
        cursor: &mut CopyCursor,
        max: usize,
        ledger: &mut Ledger,
    ) -> CopyStep {
        if let Err(error) = self.check_ready() {
            return CopyStep::Failed(error);
        }
        if self.checkpoint_pending(cursor.checkpoint) {
            return CopyStep::Wait(cursor.checkpoint);
        }
        let tree = self.counts.logical[FileKind::Index as usize];
        let done = self.checkpoint_done().map(|(mut meta, free)| {
            // The tree is copied as it is now, not as it was at the checkpoint.
            for (kind, pages) in FileKind::RECORDS.into_iter().zip(&mut meta.pages) {
                if kind == FileKind::Index {
                    *pages = tree;
                }
            }
            // The receiver makes a version map of its own.
            meta.versions = Default::default();
            (meta, meta.to_page(free, 0, 0))
        });
        let Some(copy) = self.copies.active.get_mut(&cursor.id) else {
            return CopyStep::Failed(StoreError::NotReady);
        };
        if let Some(ticket) = copy.ticket {
            return CopyStep::Wait(ticket);
        }
        if copy.meta.is_none()
            && let Some((meta, page)) = done
        {
            (copy.meta, copy.page) = (Some(meta), Some(Arc::new(page)));
        }
        let Some(meta) = copy.meta else {
            return CopyStep::Failed(StoreError::NotReady);
        };
        let keys = upcoming(&meta, cursor.next, max.max(1));
        let mut missing = 0;
        for key in &keys {
            let kept = key.0 == FileKind::Index && copy.tree.contains_key(&key.1);
            if !kept && self.cache.find(*key).is_none() && !copy.read.contains_key(key) {
                let request = DiskRequest::ReadPage { file: live(key.0), page: key.1 };
                self.io.submit(request, Purpose::CopyRead(cursor.id, *key));
                missing += 1;
            }
        }
        if missing > 0 {
            let ticket = self.io.ticket();
            copy.ticket = Some(ticket);
            copy.left = missing;
            return CopyStep::Wait(ticket);
        }
        let mut pages = Vec::with_capacity(keys.len() + 1);
        if let Some(image) = copy.page.take() {
            pages.push(PageImage { file: live(FileKind::Meta), page: 0, image });
        }
        for key in &keys {
            let kept = match key.0 {
                FileKind::Index => copy.tree.get(&key.1).cloned(),
                _ => None,
            };
            let image = match (self.cache.find(*key), copy.read.remove(key)) {
                _ if kept.is_some() => whole(kept.as_ref().expect("looked at")),
                (Some(frame), _) => whole(self.cache.frame(frame).page()),
                (None, Some(Ok(page))) => page,
                (None, Some(Err(error))) => return CopyStep::Failed(error),
                (None, None) => return CopyStep::Failed(StoreError::NotReady),
            };
            pages.push(PageImage { file: live(key.0), page: key.1, image });
        }
        ledger.hits += pages.len() as u32;
        match keys.last() {
            Some(key) => {
                let place = FileKind::RECORDS.iter().position(|kind| *kind == key.0);
                cursor.next = (place.expect("only records are copied"), key.1 + 1);
            }
            None if pages.is_empty() => return CopyStep::Done { from: meta.position.mark },
            None => {}
        }
        CopyStep::Pages(pages)
    }

    pub(crate) fn copy_read(
        &mut self,
        cursor: u32,
        key: PageKey,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) {
        let page = self.verified(key, file, result);
        let Some(copy) = self.copies.active.get_mut(&cursor) else { return };
        copy.read.insert(key, page);
        copy.left -= 1;
        if copy.left == 0
            && let Some(ticket) = copy.ticket.take()
        {
            self.io.finish(ticket);
        }
    }

    /// Begins to take a copy in: removes whatever an earlier attempt left. Only in state
    /// [`StoreState::Empty`], else without effect.
    pub fn begin_receive_copy(&mut self) {
        if self.state != StoreState::Empty || matches!(self.mode, Mode::Script(_)) {
            return;
        }
        for kind in FileKind::RECORDS {
            if self.counts.on_disk[kind as usize] > 0 {
                self.leftovers.push(live(kind));
            }
        }
        if self.flusher.double_exists {
            self.leftovers.push(live(FileKind::DoubleWrite));
        }
        if self.versions.exists {
            self.leftovers.push(live(FileKind::Versions));
        }
        let logs = self.journal.iter().flat_map(|journal| journal.files());
        self.leftovers.extend(logs.map(|file| FileName::log(file.version)));
        self.leftovers.sort_unstable();
        self.leftovers.dedup();
        let stages = self.removal_of_leftovers();
        self.reset();
        self.run_script(stages, Then::Receive);
    }

    /// Takes pages of a copy. The ticket completes when they are written.
    ///
    /// # Errors
    /// [`StoreError::DamagedInput`] if one is damaged or out of place: then none is taken.
    pub fn receive_pages(&mut self, pages: Vec<PageImage>) -> Result<Ticket, StoreError> {
        if !matches!(self.mode, Mode::Receiving | Mode::Script(_)) || self.journal.is_some() {
            return Err(StoreError::NotReady);
        }
        for PageImage { file, page, image } in &pages {
            let known = *file == live(file.kind)
                && (file.kind == FileKind::Meta || FileKind::RECORDS.contains(&file.kind));
            if !known || image.verify(file.kind, *page).is_err() {
                return Err(StoreError::DamagedInput("a page is damaged or out of place"));
            }
        }
        let ticket = self.io.ticket();
        self.copies.incoming.insert(ticket, pages.len());
        self.copies.early.extend(pages.into_iter().map(|page| (ticket, page)));
        if matches!(self.mode, Mode::Receiving) {
            self.write_received();
        }
        Ok(ticket)
    }

    /// Writes the pages that were received.
    pub(crate) fn write_received(&mut self) {
        for (ticket, received) in core::mem::take(&mut self.copies.early) {
            let PageImage { file, page, image } = received;
            match file.kind {
                FileKind::Meta => {
                    // Kept back: a meta file would say that the copy is whole.
                    if let Some(meta) = Meta::from_page(&image) {
                        for (kind, high) in FileKind::RECORDS.into_iter().zip(meta.high) {
                            self.high[kind as usize] = high;
                        }
                        self.take_free_ids(&image);
                    }
                    self.copies.received_meta = Some(image);
                    self.copy_written(ticket);
                    continue;
                }
                FileKind::Tokens => self.learn_tokens(&image),
                FileKind::Schema => self.learn_schema(page, &image),
                _ => {}
            }
            if self.unlisted.iter().any(|(kind, _)| *kind == file.kind) {
                self.search_page(file.kind, page, &image);
            }
            // What is written here later must count as later.
            self.flusher.sequence = self.flusher.sequence.max(image.sequence());
            if image.sequence() > 0 {
                self.versions.written(PageKey(file.kind, page), &image);
            }
            let on_disk = &mut self.counts.on_disk[file.kind as usize];
            *on_disk = (*on_disk).max(page + 1);
            self.io
                .submit(DiskRequest::WritePage { file, page, image }, Purpose::CopyWrite(ticket));
        }
    }

    fn learn_tokens(&mut self, page: &Page) {
        for slot in 0..records_per_page(FileKind::Tokens) {
            let (_, offset) = locate(FileKind::Tokens, slot);
            let bytes = &page.body()[offset..offset + TokenRecord::SIZE];
            let record = TokenRecord::decode(bytes);
            if record.in_use {
                self.tokens.learn(&record);
            }
        }
    }

    pub(crate) fn copy_written(&mut self, ticket: Ticket) {
        if let Some(left) = self.copies.incoming.get_mut(&ticket) {
            *left -= 1;
            if *left == 0 {
                self.copies.incoming.remove(&ticket);
                self.io.finish(ticket);
            }
        }
    }

    /// All pages are here: from now on the transactions after `from` are received and
    /// applied as usual, and [`Store::complete_copy`] ends it.
    ///
    /// # Errors
    /// [`StoreError::DamagedInput`] if pages are missing; [`StoreError::NotReady`].
    pub fn finish_receive_copy(&mut self, from: LogMark) -> Result<(), StoreError> {
        if !matches!(self.mode, Mode::Receiving) || !self.copies.incoming.is_empty() {
            return Err(StoreError::NotReady);
        }
        let meta = self.copies.received_meta.as_ref().and_then(|page| Meta::from_page(page));
        let meta = meta.filter(|meta| meta.position.mark == from);
        let meta = meta.ok_or(StoreError::DamagedInput("the copy has no meta page"))?;
        for (place, kind) in FileKind::RECORDS.into_iter().enumerate() {
            if self.counts.on_disk[kind as usize] != meta.pages[place] {
                return Err(StoreError::DamagedInput("the copy lacks pages"));
            }
            self.counts.logical[kind as usize] = meta.pages[place];
            self.counts.durable[kind as usize] = meta.pages[place];
        }
        self.unlisted.clear();
        let config = journal_config(&self.config);
        self.journal = Some(Journal::begin(config, meta.store_id, from, &mut self.io));
        self.applied = from.tx;
        self.checkpoint.last_tx = from.tx.0;
        // The first meta page written is then page 0.
        self.checkpoint.slot = 1;
        let kinds = FileKind::RECORDS.into_iter();
        let written = kinds.filter(|kind| self.counts.on_disk[*kind as usize] > 0);
        let written: Vec<FileKind> = written.collect();
        self.flusher.distrust(written.into_iter());
        self.flusher.name_files();
        self.mode = Mode::Copied { completing: false };
        Ok(())
    }

    /// Everything received is applied: takes a checkpoint, after which the store is
    /// [`StoreState::Ready`] and the ticket completes.
    ///
    /// # Errors
    /// [`StoreError::NotReady`] without a finished copy, or with received transactions left.
    pub fn complete_copy(&mut self) -> Result<Ticket, StoreError> {
        if !matches!(self.mode, Mode::Copied { .. }) || !self.received.is_empty() {
            return Err(StoreError::NotReady);
        }
        self.mode = Mode::Copied { completing: true };
        Ok(self.checkpoint_ticket())
    }
}

/// A page with its checksum: one that changed since it was last written has none yet.
fn whole(page: &Arc<Page>) -> Arc<Page> {
    if page.is_whole() { page.clone() } else { Arc::new(Page::clone(page).sealed(0)) }
}

/// The next pages to copy, in file order.
fn upcoming(meta: &Meta, from: (usize, PageNumber), most: usize) -> Vec<PageKey> {
    let mut keys = Vec::new();
    let (mut place, mut page) = from;
    while place < FileKind::RECORDS.len() && keys.len() < most {
        if page < meta.pages[place] {
            keys.push(PageKey(FileKind::RECORDS[place], page));
            page += 1;
        } else {
            (place, page) = (place + 1, 0);
        }
    }
    keys
}
