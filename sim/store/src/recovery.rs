//! Opening what the disk holds: meta file, torn pages, log, tokens.
//!
//! 1. List the files; finish an unfinished setting-aside; without a meta file it is empty.
//! 2. Read both meta pages; the whole one with the higher sequence counts.
//! 3. Read the version map and the double-write area; where a page in place is torn, or older than its image in
//!    a batch that is whole, write its image again: so a batch is in place as a whole.
//! 4. Read the logs' headers, then replay every transaction behind the checkpoint.
//! 5. Cut a torn tail off; sync the log and the directory, as what was read may never have
//!    been synced. Only then is anything that was found called durable.
//! 6. Read the tokens, and look for free ids where the meta page does not list them.
//!
//! Every write repeats what the next opening would do again, so a crash at any point of it
//! does no harm.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{LogMark, PlantedBugs};

use crate::cache::PageKey;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::io::{Pinner, Purpose};
use crate::journal::{Journal, LogFile, LogPosition};
use crate::lifecycle::{Mode, Then, journal_config};
use crate::log::{FRAME, Framed, LogHeader, TxRecord, read_frame};
use crate::meta::Meta;
use crate::page::{PAGE_SIZE, Page, PageDamage};
use crate::record::{
    Record, SchemaRecord, TokenRecord, is_unused, locate, record_size, records_per_page,
};
use crate::store::{Ledger, Recovery, Stop, Store, StoreState, live};
use crate::versions::{Row, before, decode};

/// Bytes of the log that are read at once.
const READ_AHEAD: u64 = 256 << 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    List,
    Meta,
    Doubles,
    InPlace,
    LogHeaders,
    Replay,
    Tokens,
    Ids,
}

/// How far the opening has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    stage: Stage,
    left: usize,
    files: BTreeMap<FileName, u64>,
    metas: [Option<Arc<Page>>; 2],
    /// Pages of the version map's file.
    map: BTreeMap<u32, Result<Arc<Page>, DiskError>>,
    /// The images of the double-write area by their sequence numbers.
    images: BTreeMap<u64, (PageKey, Arc<Page>)>,
    /// The latest image of each page of which the whole batch is there. Only such a batch can
    /// have begun to be written in place.
    doubles: BTreeMap<PageKey, Arc<Page>>,
    repairs: Vec<(PageKey, Arc<Page>)>,
    headers: BTreeMap<u32, Option<LogHeader>>,
    /// Log files from the oldest to the last; replay is at file `current`.
    logs: VecDeque<LogFile>,
    current: usize,
    /// Log files that are of no use.
    useless: Vec<FileName>,
    /// The end of the last transaction found.
    position: LogPosition,
    /// What was read of the log from `position` on.
    buffer: VecDeque<u8>,
    reading: bool,
    found: Option<TxRecord>,
    replayed: u64,
    cut: u64,
    token_page: u32,
    schema_page: u32,
    store_id: u64,
    first_log: u32,
}

/// What an opening came to for now.
enum Next {
    Wait,
    Empty,
    Script(Vec<Vec<DiskRequest>>),
    Ready,
}

impl Store {
    /// An operation of the opening was answered.
    pub(crate) fn opening_answered(
        &mut self,
        tag: u64,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) {
        let Mode::Opening(mut opening) = core::mem::replace(&mut self.mode, Mode::Idle) else {
            return;
        };
        if opening.stage == Stage::List
            && let Ok(DiskReply::Files(files)) = &result
            && let Some(area) = unfinished_branch(files)
        {
            self.rename_all(area, files, false);
            return;
        }
        let next = self.answer(&mut opening, tag, file, result);
        self.go_on(opening, next);
    }

    /// Moves the opening on as far as it gets without further answers.
    pub(crate) fn recover(&mut self) {
        let Mode::Opening(mut opening) = core::mem::replace(&mut self.mode, Mode::Idle) else {
            return;
        };
        let next = self.advance(&mut opening);
        self.go_on(opening, next);
    }

    fn go_on(&mut self, opening: alloc::boxed::Box<Opening>, next: Result<Next, StoreError>) {
        match next {
            Ok(Next::Wait) => self.mode = Mode::Opening(opening),
            Ok(Next::Script(stages)) => self.run_script(stages, Then::Recover(opening)),
            Ok(Next::Empty) => {
                self.leftovers = opening.files.into_keys().collect();
                self.state = StoreState::Empty;
            }
            Ok(Next::Ready) => self.opened(*opening),
            Err(error) => self.fail(error),
        }
    }

    fn answer(
        &mut self,
        opening: &mut Opening,
        tag: u64,
        file: FileName,
        result: Result<DiskReply, DiskError>,
    ) -> Result<Next, StoreError> {
        let failed = |error| StoreError::Disk { operation: "read", file, error };
        opening.left = opening.left.saturating_sub(1);
        match opening.stage {
            Stage::List => {
                let Ok(DiskReply::Files(files)) = result else {
                    let error = result.err().unwrap_or(DiskError::Io);
                    return Err(StoreError::Disk { operation: "list", file, error });
                };
                opening.files = files.into_iter().filter(|(file, _)| file.area == 0).collect();
                let pages = opening.pages(FileKind::Meta).min(2);
                if pages == 0 {
                    return Ok(Next::Empty);
                }
                opening.stage = Stage::Meta;
                self.read_pages(opening, live(FileKind::Meta), 0..pages);
            }
            Stage::Meta => {
                if let DiskReply::Page(page) = result.map_err(failed)?
                    && page.verify(FileKind::Meta, tag as u32).is_ok()
                {
                    opening.metas[tag as usize & 1] = Some(page);
                }
            }
            Stage::Doubles if file.kind == FileKind::Versions => {
                let page = match result {
                    Ok(DiskReply::Page(page)) => Ok(page),
                    Ok(_) => Err(DiskError::Io),
                    Err(error) => Err(error),
                };
                if let Ok(page) = &page
                    && page.is_whole()
                {
                    // Also of pages that do not count: no number is used twice.
                    self.flusher.sequence = self.flusher.sequence.max(page.sequence());
                }
                opening.map.insert(tag as u32, page);
            }
            Stage::Doubles => {
                // An image that cannot be read was not yet relied upon, or repairs nothing.
                if let Ok(DiskReply::Page(page)) = result
                    && page.is_whole()
                    && let Some((kind, number)) = page.place()
                    && FileKind::RECORDS.contains(&kind)
                {
                    self.flusher.sequence = self.flusher.sequence.max(page.sequence());
                    opening.images.insert(page.sequence(), (PageKey(kind, number), page));
                }
            }
            Stage::InPlace => {
                let key = PageKey(file.kind, tag as u32);
                let image = opening.doubles[&key].clone();
                let older = |page: &Arc<Page>| page.sequence() < image.sequence();
                // An image older than what was there repairs nothing.
                let repairs = image.sequence() >= self.versions.least(key);
                if repairs && self.verified(key, file, result).as_ref().map_or(true, older) {
                    opening.repairs.push((key, image));
                }
            }
            Stage::LogHeaders => {
                let DiskReply::Bytes(bytes) = result.map_err(failed)? else {
                    return Err(failed(DiskError::Io));
                };
                let header = LogHeader::decode(&bytes).filter(|h| h.version == file.version);
                opening.headers.insert(file.version, header);
            }
            Stage::Replay => {
                opening.reading = false;
                let DiskReply::Bytes(bytes) = result.map_err(failed)? else {
                    return Err(failed(DiskError::Io));
                };
                if bytes.is_empty() {
                    return Err(StoreError::MissingFile(file));
                }
                opening.buffer.extend(bytes.iter());
            }
            Stage::Tokens | Stage::Ids => {}
        }
        Ok(Next::Wait)
    }

    fn read_pages(
        &mut self,
        opening: &mut Opening,
        file: FileName,
        pages: impl IntoIterator<Item = u32>,
    ) {
        for page in pages {
            opening.left += 1;
            self.io
                .submit(DiskRequest::ReadPage { file, page }, Purpose::Lifecycle(u64::from(page)));
        }
    }

    fn advance(&mut self, opening: &mut Opening) -> Result<Next, StoreError> {
        while opening.left == 0 {
            match opening.stage {
                Stage::List => return Ok(Next::Wait),
                Stage::Meta => {
                    if !self.take_meta(opening)? {
                        return Ok(Next::Empty);
                    }
                    opening.stage = Stage::Doubles;
                    let pages = opening.pages(FileKind::DoubleWrite);
                    self.read_pages(opening, live(FileKind::DoubleWrite), 0..pages);
                    let pages = opening.pages(FileKind::Versions);
                    self.read_pages(opening, live(FileKind::Versions), 0..pages);
                }
                Stage::Doubles => {
                    opening.stage = Stage::InPlace;
                    opening.take_whole_batches();
                    self.take_versions(opening)?;
                    for (key, image) in opening.doubles.clone() {
                        if key.1 < self.counts.on_disk[key.0 as usize] {
                            self.read_pages(opening, live(key.0), [key.1]);
                        } else {
                            opening.repairs.push((key, image));
                        }
                    }
                }
                Stage::InPlace => {
                    opening.stage = Stage::LogHeaders;
                    self.read_log_headers(opening)?;
                    let repairs = core::mem::take(&mut opening.repairs);
                    // All these are in place now, and the area will be used again.
                    for (key, image) in core::mem::take(&mut opening.doubles) {
                        if image.sequence() > self.versions.least(key) {
                            self.versions.written(key, image.sequence());
                        }
                    }
                    for (PageKey(kind, page), _) in &repairs {
                        let kind = *kind as usize;
                        if self.counts.on_disk[kind] == 0 {
                            self.flusher.name_files();
                        }
                        for count in [&mut self.counts.logical, &mut self.counts.on_disk] {
                            count[kind] = count[kind].max(page + 1);
                        }
                    }
                    if !repairs.is_empty() {
                        return Ok(Next::Script(repair(repairs)));
                    }
                }
                Stage::LogHeaders if opening.headers.is_empty() => {
                    self.submit_header_reads(opening);
                }
                Stage::LogHeaders => {
                    self.take_headers(opening)?;
                    opening.stage = Stage::Replay;
                }
                Stage::Replay => return self.replay(opening),
                Stage::Tokens => {
                    if let Next::Wait = self.read_tokens(opening)? {
                        return Ok(Next::Wait);
                    }
                    opening.stage = Stage::Ids;
                }
                Stage::Ids => return self.search_ids(),
            }
        }
        Ok(Next::Wait)
    }

    /// Chooses the meta page. False if there is none because the store was never whole.
    fn take_meta(&mut self, opening: &mut Opening) -> Result<bool, StoreError> {
        let whole = opening.metas.iter().flatten().max_by_key(|page| page.sequence());
        let Some(page) = whole.cloned() else {
            if opening.pages(FileKind::Meta) < 2 {
                return Ok(false);
            }
            let file = live(FileKind::Meta);
            return Err(StoreError::DamagedPage { file, page: 0, damage: PageDamage::Checksum });
        };
        let meta = Meta::from_page(&page)
            .ok_or(StoreError::Inconsistent("the meta file has another format".into()))?;
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
    fn take_versions(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
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

    /// Finds the log files: an unbroken row of versions that ends with the last.
    fn read_log_headers(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
        let versions: Vec<u32> =
            opening.files.keys().filter(|f| f.kind == FileKind::Log).map(|f| f.version).collect();
        let mut first = versions.last().copied().unwrap_or(0);
        for version in versions.iter().rev() {
            if first - version > 1 {
                break;
            }
            first = *version;
        }
        opening.useless = versions
            .iter()
            .filter(|version| **version < first)
            .map(|v| FileName::log(*v))
            .collect();
        let needed = opening.position.version;
        if !versions.contains(&needed) || first > needed {
            return Err(StoreError::MissingFile(FileName::log(needed)));
        }
        opening.first_log = first;
        Ok(())
    }

    fn submit_header_reads(&mut self, opening: &mut Opening) {
        let logs: Vec<FileName> = opening
            .files
            .keys()
            .copied()
            .filter(|file| file.kind == FileKind::Log && file.version >= opening.first_log)
            .collect();
        for file in logs {
            opening.left += 1;
            let len = LogHeader::SIZE as u32;
            self.io.submit(DiskRequest::ReadAt { file, offset: 0, len }, Purpose::Lifecycle(0));
        }
    }

    fn take_headers(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
        let needed = opening.position.version;
        let last = opening.headers.last_key_value().map_or(0, |(version, _)| *version);
        for (version, header) in &opening.headers {
            let file = FileName::log(*version);
            let length = opening.files[&file];
            match header {
                Some(header) if header.store_id == opening.store_id => {
                    let LogHeader { base, base_time_ms, .. } = *header;
                    let file = LogFile::new(*version, base);
                    opening.logs.push_back(LogFile { length, base_time_ms, ..file });
                }
                // History that recovery does not need.
                _ if *version < needed => {
                    opening
                        .useless
                        .extend(opening.logs.drain(..).map(|f| FileName::log(f.version)));
                    opening.useless.push(file);
                }
                // The beginning of a rotation that a crash cut short.
                None if *version == last
                    && *version > needed
                    && length <= LogHeader::SIZE as u64 =>
                {
                    opening.useless.push(file);
                }
                _ => return Err(StoreError::DamagedLog { file, offset: 0 }),
            }
        }
        let current = opening.logs.iter().position(|file| file.version == needed);
        opening.current = current.expect("its header was accepted or refused above");
        if opening.logs[opening.current].length < opening.position.offset {
            return Err(StoreError::MissingFile(FileName::log(needed)));
        }
        Ok(())
    }

    /// Replays transactions until the log ends or something must be waited for.
    fn replay(&mut self, opening: &mut Opening) -> Result<Next, StoreError> {
        loop {
            if let Some(record) = opening.found.take() {
                if !self.replay_one(&record)? {
                    opening.found = Some(record);
                    return Ok(Next::Wait);
                }
                opening.replayed += 1;
            }
            if opening.reading {
                return Ok(Next::Wait);
            }
            let is_last = opening.current + 1 == opening.logs.len();
            let file = &mut opening.logs[opening.current];
            let name = FileName::log(file.version);
            let offset = opening.position.offset;
            let left = file.length - offset;
            if left == 0 && !is_last {
                opening.current += 1;
                let next = &opening.logs[opening.current];
                if next.base != opening.position.mark {
                    let file = FileName::log(next.version);
                    return Err(StoreError::DamagedLog { file, offset: 0 });
                }
                opening.position.version = next.version;
                opening.position.offset = LogHeader::SIZE as u64;
                opening.buffer.clear();
                continue;
            }
            let need = match read_frame(opening.buffer.make_contiguous(), left) {
                Framed::Entry { content, length, .. } => {
                    let record = TxRecord::from_content(content).ok().filter(|record| {
                        let last = opening.position.mark;
                        let keys = || record.images().map(|(key, _)| key);
                        record.tx() == last.tx.next()
                            && record.before() == last.checksum
                            && self.within_reach(&mut [0; FileKind::TABLE], keys())
                    });
                    // A whole entry of another history was put here: no crash does that.
                    let record = record.ok_or(StoreError::DamagedLog { file: name, offset })?;
                    file.note(record.tx(), offset);
                    opening.position.mark = record.mark();
                    opening.position.offset += length as u64;
                    opening.buffer.drain(..length);
                    let skips = self.config.bugs.contains(PlantedBugs::RECOVERY_SKIPS_LAST);
                    if !(skips && is_last && length as u64 == left) {
                        opening.found = Some(record);
                    }
                    continue;
                }
                Framed::More(need) => need as u64,
                Framed::Invalid => {
                    if !is_last {
                        return Err(StoreError::DamagedLog { file: name, offset });
                    }
                    // The tail is judged as a whole.
                    if opening.buffer.len() as u64 == left {
                        if vouched_for(opening.buffer.make_contiguous(), offset) {
                            return Err(StoreError::DamagedLog { file: name, offset });
                        }
                        return Ok(self.end_of_log(opening, left));
                    }
                    left
                }
            };
            let have = opening.buffer.len() as u64;
            let len = need.max(READ_AHEAD).min(left) - have;
            opening.reading = true;
            let request =
                DiskRequest::ReadAt { file: name, offset: offset + have, len: len as u32 };
            self.io.submit(request, Purpose::Lifecycle(0));
        }
    }

    /// Cuts what a crash left behind the last transaction, and makes the rest durable.
    fn end_of_log(&mut self, opening: &mut Opening, cut: u64) -> Next {
        opening.cut = cut;
        let last = opening.logs.back_mut().expect("there is a log");
        last.length = opening.position.offset;
        let file = FileName::log(last.version);
        let mut stages = vec![];
        if cut > 0 {
            stages.push(vec![DiskRequest::SetLen { file, len: last.length }]);
        }
        stages.push(vec![DiskRequest::Sync { file }]);
        let unlink = |file: FileName| DiskRequest::Unlink { file };
        stages.push(opening.useless.drain(..).map(unlink).collect());
        stages.push(vec![DiskRequest::SyncDir]);
        opening.stage = Stage::Tokens;
        Next::Script(stages)
    }

    /// Applies a transaction of the log. False if a page must be waited for.
    fn replay_one(&mut self, record: &TxRecord) -> Result<bool, StoreError> {
        match self.apply_images(record, false, &mut Ledger::default()) {
            Ok(()) => Ok(true),
            Err(Stop::Wait(_)) => Ok(false),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn read_tokens(&mut self, opening: &mut Opening) -> Result<Next, StoreError> {
        while opening.token_page < self.counts.logical[FileKind::Tokens as usize] {
            let key = PageKey(FileKind::Tokens, opening.token_page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            for slot in 0..records_per_page(FileKind::Tokens) {
                let (_, offset) = locate(FileKind::Tokens, slot);
                let body = self.cache.frame(frame).page().body();
                let record = TokenRecord::decode(&body[offset..offset + TokenRecord::SIZE]);
                if record.in_use && !self.tokens.learn(&record) {
                    return Err(StoreError::Inconsistent("the tokens are out of order".into()));
                }
            }
            self.unpin(Pinner::RECEIVER);
            opening.token_page += 1;
        }
        self.high[FileKind::Tokens as usize] = self.tokens.total();
        while opening.schema_page < self.counts.logical[FileKind::Schema as usize] {
            let key = PageKey(FileKind::Schema, opening.schema_page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            let image = self.cache.frame(frame).page().clone();
            self.learn_schema(key.1, &image);
            self.unpin(Pinner::RECEIVER);
            opening.schema_page += 1;
        }
        Ok(Next::Ready)
    }

    /// Takes over the free ids that a meta page lists.
    pub(crate) fn take_free_ids(&mut self, meta: &Page) {
        for (kind, listed) in FileKind::RECORDS.into_iter().zip(Meta::free_of(meta)) {
            match listed {
                Some(ids) => ids.into_iter().for_each(|id| self.free.put(kind, id)),
                None => self.unlisted.push((kind, 0)),
            }
        }
    }

    /// Looks at all records of the kinds whose free ids are not listed.
    fn search_ids(&mut self) -> Result<Next, StoreError> {
        while let Some((kind, page)) = self.unlisted.last().copied() {
            if page >= self.counts.logical[kind as usize] {
                self.unlisted.pop();
                continue;
            }
            let key = PageKey(kind, page);
            let frame = match self.page(Pinner::RECEIVER, key, &mut Ledger::default()) {
                Ok(frame) => frame,
                Err(Stop::Wait(_)) => return Ok(Next::Wait),
                Err(Stop::Failed(error)) => return Err(error),
            };
            let image = self.cache.frame(frame).page().clone();
            self.search_page(kind, page, &image);
            self.unpin(Pinner::RECEIVER);
            self.unlisted.last_mut().expect("looked at").1 += 1;
        }
        Ok(Next::Ready)
    }

    /// Learns the rules of a page of the schema.
    pub(crate) fn learn_schema(&mut self, number: u32, page: &Page) {
        let per_page = records_per_page(FileKind::Schema);
        for slot in 0..per_page {
            let (_, at) = locate(FileKind::Schema, slot);
            let record = SchemaRecord::decode(&page.body()[at..at + SchemaRecord::SIZE]);
            self.schema.learn(u64::from(number) * per_page + slot, record);
        }
    }

    /// Notes the unused records of a page.
    pub(crate) fn search_page(&mut self, kind: FileKind, page: u32, image: &Page) {
        let first = u64::from(page) * records_per_page(kind);
        let slots = records_per_page(kind).min(self.high[kind as usize].saturating_sub(first));
        for id in first..first + slots {
            let (_, at) = locate(kind, id);
            if is_unused(kind, &image.body()[at..at + record_size(kind)]) {
                self.free.put(kind, id);
            }
        }
    }

    fn opened(&mut self, opening: Opening) {
        let Opening { logs, position, replayed, cut, store_id, .. } = opening;
        let base_time_ms = logs.back().map_or(0, |file| file.base_time_ms);
        self.clock_ms = self.clock_ms.max(base_time_ms);
        let mut journal = Journal::new(journal_config(&self.config), store_id, logs, position);
        journal.note_time(self.clock_ms);
        self.journal = Some(journal);
        self.applied = position.mark.tx;
        self.recovery = Some(Recovery { mark: position.mark, replayed, cut });
        self.checkpoint.wanted |= replayed > 0;
        self.state = StoreState::Ready;
    }
}

impl Opening {
    /// Keeps the latest image of each page among the batches that are there as a whole.
    fn take_whole_batches(&mut self) {
        for (sequence, (key, image)) in &self.images {
            let (place, of) = image.batch();
            let is_there = |at: u16| {
                let other = (sequence + u64::from(at)).checked_sub(u64::from(place));
                let other = other.and_then(|sequence| self.images.get(&sequence));
                other.is_some_and(|(_, other)| other.batch() == (at, of))
            };
            if (0..of).all(is_there) {
                self.doubles.insert(*key, image.clone());
            }
        }
    }

    fn pages(&self, kind: FileKind) -> u32 {
        self.files.get(&live(kind)).map_or(0, |length| (length / PAGE_SIZE as u64) as u32)
    }
}

/// A branch whose meta file has not been renamed yet, while the live one is still there.
fn unfinished_branch(files: &[(FileName, u64)]) -> Option<u16> {
    let has_meta =
        |area| files.iter().any(|(file, _)| file.area == area && file.kind == FileKind::Meta);
    let mut areas = files.iter().map(|(file, _)| file.area).filter(|area| *area != 0);
    areas.find(|area| !has_meta(*area)).filter(|_| has_meta(0))
}

fn repair(repairs: Vec<(PageKey, Arc<Page>)>) -> Vec<Vec<DiskRequest>> {
    let mut kinds: Vec<FileKind> = repairs.iter().map(|(key, _)| key.0).collect();
    kinds.dedup();
    let write = |(key, image): (PageKey, Arc<Page>)| DiskRequest::WritePage {
        file: live(key.0),
        page: key.1,
        image,
    };
    let writes = repairs.into_iter().map(write).collect();
    // A killed process may have left images that are whole but not durable.
    vec![
        vec![DiskRequest::Sync { file: live(FileKind::DoubleWrite) }, DiskRequest::SyncDir],
        writes,
        kinds.into_iter().map(|kind| DiskRequest::Sync { file: live(kind) }).collect(),
    ]
}

/// Whether an entry behind the first byte of this tail says that the tail's beginning was
/// durable when it was written.
fn vouched_for(tail: &[u8], offset: u64) -> bool {
    (1..tail.len().saturating_sub(FRAME)).any(|at| {
        let rest = &tail[at..];
        matches!(read_frame(rest, rest.len() as u64),
            Framed::Entry { durable, .. } if durable > offset)
    })
}

impl Default for LogPosition {
    fn default() -> LogPosition {
        LogPosition { mark: LogMark::BASE, version: 0, offset: 0 }
    }
}
