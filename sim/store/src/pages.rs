//! Page faults: loading pages into frames, and keeping them there while a step waits.
//!
//! A step that waits for one page after another keeps those that came, or a small cache
//! could take each away before the next arrives. A fault that finds only dirty pages has
//! them written first: that is cooperative eviction.

use alloc::sync::Arc;
use alloc::vec::Vec;
use wavetank_vocabulary::PlantedBugs;

use crate::cache::{FrameId, PageKey, Room};
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName, PageNumber};
use crate::error::StoreError;
use crate::io::{Pinner, Purpose, Ticket};
use crate::page::{Page, PageDamage};
use crate::record::locate;
use crate::store::{Ledger, Stop, Store, live};

/// A page on its way into the cache.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) ticket: Ticket,
    /// Who waits, with the generation of their pins.
    wanted: Vec<(Pinner, u32)>,
}

/// A page that could not be had.
#[derive(Clone, Debug)]
pub(crate) struct FailedLoad {
    error: StoreError,
    /// Who waited and has not been told yet; anybody else tries again.
    untold: Vec<(Pinner, u32)>,
}

/// The pages that one step keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct PinSet {
    frames: Vec<FrameId>,
    generation: u32,
    waits: bool,
}

impl PinSet {
    pub(crate) fn is_active(&self) -> bool {
        self.waits || !self.frames.is_empty()
    }
}

/// Where a record stands: the frame of its page, and how far behind the page's header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    frame: FrameId,
    offset: usize,
}

/// How many pages each record file has, by `FileKind`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageCounts {
    /// With those that are only in the cache.
    pub(crate) logical: [PageNumber; FileKind::TABLE],
    /// In the file, perhaps with holes.
    pub(crate) on_disk: [PageNumber; FileKind::TABLE],
    /// Written and synced at the last checkpoint: these cannot be blank.
    pub(crate) durable: [PageNumber; FileKind::TABLE],
}

impl Store {
    fn pin_set(&mut self, pinner: Pinner) -> &mut PinSet {
        let place = pinner.0 as usize;
        if self.pins.len() <= place {
            self.pins.resize_with(place + 1, PinSet::default);
        }
        &mut self.pins[place]
    }

    /// The frame of an existing page, or a wait for it.
    #[inline(always)]
    pub(crate) fn page(
        &mut self,
        pinner: Pinner,
        key: PageKey,
        ledger: &mut Ledger,
    ) -> Result<FrameId, Stop> {
        if let Some(frame) = self.cache.find(key) {
            self.use_frame(pinner, frame, ledger);
            return Ok(frame);
        }
        self.fault(pinner, key, ledger)
    }

    #[inline(always)]
    fn use_frame(&mut self, pinner: Pinner, frame: FrameId, ledger: &mut Ledger) {
        self.cache.used(frame);
        // A page that this step itself faulted in was counted when it was.
        let faulted = self.pins.get(pinner.0 as usize).is_some_and(|set| set.waits);
        if !faulted || !self.pins[pinner.0 as usize].frames.contains(&frame) {
            ledger.hits += 1;
        }
    }

    #[cold]
    fn fault(
        &mut self,
        pinner: Pinner,
        key: PageKey,
        ledger: &mut Ledger,
    ) -> Result<FrameId, Stop> {
        let generation = self.pin_set(pinner).generation;
        if let Some(failed) = self.failed_loads.get_mut(&key)
            && let Some(place) = failed.untold.iter().position(|who| *who == (pinner, generation))
        {
            failed.untold.swap_remove(place);
            return Err(Stop::Failed(failed.error.clone()));
        }
        ledger.faults += 1;
        self.pin_set(pinner).waits = true;
        if let Some(load) = self.loads.get_mut(&key) {
            if !load.wanted.contains(&(pinner, generation)) {
                load.wanted.push((pinner, generation));
            }
            return Err(Stop::Wait(load.ticket));
        }
        let ticket = self.io.ticket();
        self.loads.insert(key, Load { ticket, wanted: [(pinner, generation)].into() });
        self.starved.push_back(key);
        self.feed_starved();
        Err(Stop::Wait(ticket))
    }

    /// Submits the loads for which there is room.
    pub(crate) fn feed_starved(&mut self) {
        while let Some(key) = self.starved.front().copied() {
            if self.cache.make_room() == Room::OnlyDirty && self.flush_victims() {
                return;
            }
            self.starved.pop_front();
            let request = DiskRequest::ReadPage { file: live(key.0), page: key.1 };
            self.io.submit(request, Purpose::Load(key));
        }
    }

    /// A page came, or did not.
    pub(crate) fn loaded(
        &mut self,
        key: PageKey,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) {
        let Some(load) = self.loads.remove(&key) else { return };
        let failed = self.failed_loads.remove(&key);
        match self.verified(key, file, result) {
            Ok(page) => {
                // The room that was made may be taken by now; the limit is then exceeded by
                // what is in flight until the next eviction.
                let _ = self.cache.make_room();
                let frame = self.cache.insert(key, page, false);
                for (pinner, generation) in &load.wanted {
                    let set = &mut self.pins[pinner.0 as usize];
                    if set.generation == *generation {
                        set.frames.push(frame);
                        self.cache.pin(frame);
                    }
                }
            }
            Err(error) => {
                // Who has not been told of an earlier failure still is: two that ask in turn
                // would else take the news from each other for ever.
                let mut untold = failed.map_or_else(Vec::new, |failed| failed.untold);
                untold.extend(load.wanted);
                untold.retain(|(pinner, generation)| {
                    self.pins
                        .get(pinner.0 as usize)
                        .is_some_and(|set| set.generation == *generation)
                });
                self.failed_loads.insert(key, FailedLoad { error, untold });
            }
        }
        self.io.finish(load.ticket);
    }

    /// Checks a page that was read. A blank one is an empty one if no checkpoint has
    /// covered it: a hole left by a later page that was written first.
    pub(crate) fn verified(
        &self,
        key: PageKey,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) -> Result<Arc<Page>, StoreError> {
        let damaged = |damage| StoreError::DamagedPage { file, page: key.1, damage };
        let page = match result {
            Ok(DiskReply::Page(page)) => page,
            Ok(_) => {
                return Err(StoreError::Disk { operation: "read", file, error: DiskError::Io });
            }
            Err(error) => return Err(StoreError::Disk { operation: "read", file, error }),
        };
        match page.verify(key.0, key.1) {
            Ok(()) if page.sequence() < self.versions.least(key) => Err(damaged(PageDamage::Stale)),
            Ok(()) => Ok(page),
            Err(PageDamage::Blank) if self.versions.least(key) > 0 => {
                Err(damaged(PageDamage::Stale))
            }
            Err(PageDamage::Blank) if key.1 >= self.counts.durable[key.0 as usize] => {
                Ok(Arc::new(Page::empty(key.0, key.1)))
            }
            Err(PageDamage::Checksum)
                if self.config.bugs.contains(PlantedBugs::PAGE_CHECKSUM_IGNORED) =>
            {
                Ok(page)
            }
            Err(damage) => Err(damaged(damage)),
        }
    }

    /// The frame of a page that is about to be written; made here if the file is shorter.
    /// It is pinned until `unpin`.
    pub(crate) fn page_to_write(
        &mut self,
        pinner: Pinner,
        key: PageKey,
        ledger: &mut Ledger,
    ) -> Result<FrameId, Stop> {
        let kind = key.0 as usize;
        while self.counts.logical[kind] <= key.1 {
            let new = PageKey(key.0, self.counts.logical[kind]);
            let _ = self.cache.make_room();
            self.cache.insert(new, Arc::new(Page::empty(new.0, new.1)), true);
            self.counts.logical[kind] += 1;
        }
        let frame = self.page(pinner, key, ledger)?;
        let set = self.pin_set(pinner);
        if !set.frames.contains(&frame) {
            set.frames.push(frame);
            self.cache.pin(frame);
        }
        Ok(frame)
    }

    /// Finds the records' places in resident pages. False if a page is missing.
    pub(crate) fn find_places(
        &self,
        records: impl Iterator<Item = (FileKind, u64)>,
        places: &mut Vec<Place>,
    ) -> bool {
        places.clear();
        let mut last: Option<(PageKey, FrameId)> = None;
        for (kind, id) in records {
            let (number, offset) = locate(kind, id);
            let key = PageKey(kind, number);
            let frame = match last {
                Some((same, frame)) if same == key => frame,
                _ => match self.cache.find(key) {
                    Some(frame) => frame,
                    None => return false,
                },
            };
            last = Some((key, frame));
            places.push(Place { frame, offset });
        }
        true
    }

    /// Uses the pages of these places as [`Self::hold_pages`] does, but without pins. They
    /// stay until the next page is asked for.
    pub(crate) fn use_places(&mut self, pinner: Pinner, places: &[Place], ledger: &mut Ledger) {
        let mut last = None;
        for place in places {
            if last != Some(place.frame) {
                self.use_frame(pinner, place.frame, ledger);
                last = Some(place.frame);
            }
        }
        self.eviction_rests = false;
    }

    /// Writes a record's after-image where [`Self::find_places`] found it.
    #[inline]
    pub(crate) fn write_place(&mut self, place: Place, image: &[u8], tx: u64) {
        let page = self.cache.page_mut(place.frame);
        page.touch(tx);
        page.body_mut()[place.offset..place.offset + image.len()].copy_from_slice(image);
    }

    /// Makes the pages of all these records resident and pins them.
    pub(crate) fn hold_pages(
        &mut self,
        pinner: Pinner,
        records: impl Iterator<Item = (FileKind, u64)>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut last = None;
        for (kind, id) in records {
            let key = PageKey(kind, locate(kind, id).0);
            if last != Some(key) {
                self.page_to_write(pinner, key, ledger)?;
                last = Some(key);
            }
        }
        Ok(())
    }

    /// Writes a record's after-image into its page, which must be resident.
    pub(crate) fn write_image(&mut self, kind: FileKind, id: u64, image: &[u8], tx: u64) {
        let (number, offset) = locate(kind, id);
        let frame = self.cache.find(PageKey(kind, number)).expect("held by hold_pages");
        self.write_place(Place { frame, offset }, image, tx);
    }

    pub(crate) fn unpin_all(&mut self, pinner: Pinner) {
        let set = &mut self.pins[pinner.0 as usize];
        set.generation = set.generation.wrapping_add(1);
        set.waits = false;
        for frame in set.frames.drain(..) {
            self.cache.unpin(frame);
        }
        self.eviction_rests = false;
    }
}
