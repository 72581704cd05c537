//! What the last checkpoint says: the meta page that counts, and the version map.

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::meta::{FORMAT, Meta};
use crate::page::{Page, PageDamage};
use crate::record::records_per_page;
use crate::recovery::Opening;
use crate::store::{Store, live};
use crate::versions::{Row, before, decode};

/// No store has so many transactions: numbers beyond are forged, and could not be counted on.
const FARTHEST_TX: u64 = 1 << 56;

impl Store {
    /// Chooses the meta page. False if there is none because the store was never whole.
    pub(super) fn take_meta(&mut self, opening: &mut Opening) -> Result<bool, StoreError> {
        let whole = opening.metas.iter().flatten().max_by_key(|page| page.sequence());
        let Some(page) = whole.cloned() else {
            if opening.pages(FileKind::Meta) < 2 {
                return Ok(false);
            }
            let file = live(FileKind::Meta);
            return Err(StoreError::DamagedPage { file, page: 0, damage: PageDamage::Checksum });
        };
        let meta = Meta::from_page(&page).ok_or_else(|| match Meta::format_of(&page) {
            Some(found) => StoreError::OtherFormat { found, ours: FORMAT },
            None => StoreError::Inconsistent("the meta file is none of a store".into()),
        })?;
        let listed = Meta::free_of(&page);
        for (place, kind) in FileKind::RECORDS.into_iter().enumerate() {
            // A forged one would have the next record written anywhere.
            let end = u64::from(meta.pages[place]) * records_per_page(kind);
            let free = listed[place].iter().flatten();
            if meta.high[place] > end || free.copied().any(|id| id >= meta.high[place]) {
                let what = alloc::format!("the meta file has ids behind the end of {}", live(kind));
                return Err(StoreError::Inconsistent(what));
            }
        }
        if meta.position.mark.tx.0 > FARTHEST_TX {
            let what = "the meta file names a transaction that no store reaches";
            return Err(StoreError::Inconsistent(what.into()));
        }
        for (place, kind) in FileKind::RECORDS.into_iter().enumerate() {
            let pages = opening.pages(kind);
            if pages < meta.pages[place] {
                return Err(StoreError::MissingFile(live(kind)));
            }
            self.counts.logical[kind as usize] = pages;
            self.counts.on_disk[kind as usize] = pages;
            self.counts.durable[kind as usize] = meta.pages[place];
            self.high[kind as usize] = meta.high[place];
        }
        let existing = FileKind::RECORDS.into_iter().filter(|kind| opening.pages(*kind) > 0);
        self.flusher.distrust(existing);
        self.versions.row = meta.versions;
        self.versions.exists = opening.files.contains_key(&live(FileKind::Versions));
        self.flusher.double_exists = opening.files.contains_key(&live(FileKind::DoubleWrite));
        self.flusher.sequence = self.flusher.sequence.max(page.sequence());
        self.take_free_ids(&page);
        self.checkpoint.slot = page.place().map_or(0, |(_, slot)| slot);
        self.checkpoint.last_tx = meta.position.mark.tx.0;
        self.counters.last_checkpoint_tx = meta.position.mark.tx.0;
        opening.position = meta.position;
        opening.store_id = meta.store_id;
        Ok(true)
    }

    /// Reads the version map, from its last page on: each names the one before it.
    pub(super) fn take_versions(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
        let (row, file) = (self.versions.row, live(FileKind::Versions));
        if opening.pages(FileKind::Versions) < row.end() {
            return Err(StoreError::MissingFile(file));
        }
        let mut sequence = row.last;
        for page in (row.start..row.end()).rev() {
            let damaged = |damage| StoreError::DamagedPage { file, page, damage };
            let image = match opening.map.get(&page) {
                None => return Err(StoreError::MissingFile(file)),
                Some(Err(error)) => {
                    return Err(StoreError::Disk { operation: "read", file, error: *error });
                }
                Some(Ok(image)) => image,
            };
            image.verify(FileKind::Versions, page).map_err(damaged)?;
            if image.sequence() != sequence {
                return Err(damaged(PageDamage::Stale));
            }
            sequence = before(image);
            self.learn_versions(opening, page, image)?;
        }
        // What follows is as true: it was written when its pages were safe in place.
        while let Some(Ok(image)) = opening.map.get(&self.versions.row.end()) {
            let Row { last, count, .. } = self.versions.row;
            let page = self.versions.row.end();
            let whole = image.verify(FileKind::Versions, page).is_ok();
            if !whole || before(image) != last || image.sequence() <= last {
                break;
            }
            self.learn_versions(opening, page, image)?;
            let row = &mut self.versions.row;
            (row.last, row.count) = (image.sequence(), count + 1);
        }
        opening.map.clear();
        Ok(())
    }

    fn learn_versions(
        &mut self,
        opening: &Opening,
        page: u32,
        image: &Page,
    ) -> Result<(), StoreError> {
        let file = live(FileKind::Versions);
        let Some(entries) = decode(image) else {
            let what = alloc::format!("page {page} of {file} has entries of no page");
            return Err(StoreError::Inconsistent(what));
        };
        self.versions.newest = self.versions.newest.max(image.last_tx());
        for (key, sequence) in entries {
            // A page behind the end is as lost as an old one in its place.
            let there = key.1 < self.counts.on_disk[key.0 as usize];
            if !there && !opening.doubles.contains_key(&key) {
                let (file, page, damage) = (live(key.0), key.1, PageDamage::Stale);
                return Err(StoreError::DamagedPage { file, page, damage });
            }
            self.versions.learn(key, sequence);
        }
        Ok(())
    }
}
