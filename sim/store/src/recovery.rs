//! Opening what the disk holds: meta file, torn pages, log, tokens.
//!
//! 1. List the files; finish an unfinished setting-aside; without a meta file it is empty.
//! 2. Read both meta pages; the whole one with the higher sequence counts.
//! 3. Read the version map and the double-write area; where a page in place is torn, or older than its image in
//!    a batch that is whole, write its image again: so a batch is in place as a whole.
//! 4. Read the logs' headers, then replay every transaction behind the checkpoint.
//! 5. Refuse a log that ends before what the pages hold. Cut a torn tail off; sync the log and the directory, as what was read may never have
//!    been synced. Only then is anything that was found called durable.
//! 6. Read the tokens, and look for free ids where the meta page does not list them.
//!
//! Every write repeats what the next opening would do again, so a crash at any point of it
//! does no harm.

mod base;
mod replay;
mod tables;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::LogMark;

use crate::cache::PageKey;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::io::Purpose;
use crate::journal::{Journal, LogFile, LogPosition};
use crate::lifecycle::{Mode, Then, journal_config};
use crate::log::{LogHeader, TxRecord};
use crate::page::{PAGE_SIZE, Page};
use crate::store::{Recovery, Store, StoreState, live};

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
    Holes,
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
    /// The last transaction that is in any of the images.
    newest: u64,
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
    /// Pages behind the end of the checkpoint that were not looked at yet.
    holes: VecDeque<PageKey>,
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
            Stage::Tokens | Stage::Holes | Stage::Ids => {}
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
                            self.versions.written(key, &image);
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
                    opening.holes = self.perhaps_holes();
                    opening.stage = Stage::Holes;
                }
                Stage::Holes => {
                    if !self.fill_holes(&mut opening.holes)? {
                        return Ok(Next::Wait);
                    }
                    opening.stage = Stage::Ids;
                }
                Stage::Ids => return self.search_ids(),
            }
        }
        Ok(Next::Wait)
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
        self.newest = self.images.values().map(|(_, image)| image.last_tx()).max().unwrap_or(0);
        // A batch is told by the sequence number of its first page, and how many they are.
        let batch = |sequence: &u64, image: &Page| {
            let (place, of) = image.batch();
            sequence.checked_sub(u64::from(place)).filter(|_| place < of).map(|first| (first, of))
        };
        let mut there: BTreeMap<(u64, u32), u32> = BTreeMap::new();
        for (sequence, (_, image)) in &self.images {
            if let Some(batch) = batch(sequence, image) {
                *there.entry(batch).or_default() += 1;
            }
        }
        for (sequence, (key, image)) in &self.images {
            let whole = match batch(sequence, image) {
                Some(batch) => there[&batch] == batch.1,
                // It was written alone.
                None => image.batch().1 == 0,
            };
            if whole {
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

impl Default for LogPosition {
    fn default() -> LogPosition {
        LogPosition { mark: LogMark::BASE, version: 0, offset: 0 }
    }
}
