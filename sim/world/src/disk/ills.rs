//! What faults make of a disk. Damage lies over the true contents and is gone with its fault,
//! or once the page is written again: what is true is always known.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_kernel::Stream;
use wavetank_store::{
    DiskError, DiskOp, DiskReply, DiskRequest, FileKind, PAGE_SIZE, Page, PageNumber,
};
use wavetank_vocabulary::{Ratio, Span, Time};

use super::file::{File, SECTOR};
use super::{SimDisk, Submitted};
use crate::machine::scaled;

/// What is wrong with a disk, as the kinds of fault have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskIll {
    Slow(Ratio),
    Stalled,
    Iops(u32),
    Full,
    BitFlip,
    LogDamage,
    ReadError,
    WriteError,
    SyncError,
    LostWrite,
    MisdirectedWrite,
    TornWrite,
    BadTransfer,
    MisdirectedRead,
    LyingSync,
    ReadOnly,
    Gone,
}

/// What is wrong with a disk, for one that is elsewhere. Faults that lie in wait are named by their
/// numbers: who notices one strike says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskState {
    /// Everything takes so many thousandths of its time longer.
    pub slower: u32,
    /// It answers nothing for now.
    pub stalled: bool,
    /// It is gone: all it does is fail.
    pub gone: bool,
    /// It takes no writes.
    pub read_only: bool,
    /// It has no space left: writes that make a file longer fail.
    pub full: Option<u16>,
    /// The next write fails.
    pub write_error: Option<u16>,
    /// The next sync fails.
    pub sync_error: Option<u16>,
}

#[derive(Clone, Debug)]
struct Ill {
    fault: u16,
    what: DiskIll,
    stream: Stream,
    /// It waits for the one operation that it strikes.
    armed: bool,
}

/// What reads of a page give instead of its contents; nothing is an error.
#[derive(Clone, Debug)]
struct Damage {
    fault: u16,
    image: Option<Arc<Page>>,
}

/// All that is wrong with a disk. Empty on a healthy one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ills {
    all: Vec<Ill>,
    /// By slot of the file and page.
    damage: BTreeMap<(u32, PageNumber), Damage>,
    /// Fault, slot of the file, place of the byte.
    bytes: Vec<(u16, u32, u64)>,
    /// Operations that are through while the disk is stalled.
    held: Vec<DiskOp>,
    /// Faults that struck since this was last asked.
    struck: Vec<u16>,
}

/// At most this part of a file's pages is damaged at once, side by side: damage of real
/// disks is not independent from sector to sector.
const MOST_DAMAGED: usize = 8;

impl Ills {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    fn any(&self, what: DiskIll) -> bool {
        self.all.iter().any(|ill| ill.what == what)
    }

    /// A fault that waits for one operation strikes.
    fn strike(&mut self, what: DiskIll) -> Option<(u16, &mut Stream)> {
        let ill = self.all.iter_mut().find(|ill| ill.armed && ill.what == what)?;
        ill.armed = false;
        self.struck.push(ill.fault);
        Some((ill.fault, &mut ill.stream))
    }

    /// A fault that strikes every operation of its sort strikes this one.
    fn strikes(&mut self, what: DiskIll) -> bool {
        let struck = self.all.iter().filter(|ill| ill.what == what).map(|ill| ill.fault);
        let before = self.struck.len();
        self.struck.extend(struck);
        self.struck.len() > before
    }

    /// How long the disk is occupied and how long an operation takes, in its present state.
    pub(super) fn times(&self, service: Span, latency: Span, operations: u64) -> (Span, Span) {
        self.all.iter().fold((service, latency), |(service, latency), ill| match ill.what {
            DiskIll::Slow(factor) => (scaled(service, factor), scaled(latency, factor)),
            DiskIll::Iops(iops) => {
                let spacing = Span::from_nanos(1_000_000_000 / u64::from(iops.max(1)));
                (service.max(spacing * operations.max(1)), latency)
            }
            _ => (service, latency),
        })
    }

    /// No answer is wanted any more.
    pub(super) fn forget_answers(&mut self) {
        self.held.clear();
    }

    /// There is nothing left that could be damaged.
    pub(super) fn forget_files(&mut self) {
        self.held.clear();
        self.damage.clear();
        self.bytes.clear();
    }
}

impl SimDisk {
    /// Whether any fault is at work.
    #[inline]
    pub(crate) fn is_ill(&self) -> bool {
        !self.ills.is_empty()
    }

    /// The faults that lay in wait and struck since this was last asked.
    pub(crate) fn struck(&mut self) -> Vec<u16> {
        core::mem::take(&mut self.ills.struck)
    }

    /// A fault begins.
    pub(crate) fn sicken(&mut self, fault: u16, what: DiskIll, mut stream: Stream) {
        match what {
            DiskIll::BitFlip | DiskIll::ReadError => self.damage_pages(fault, what, &mut stream),
            DiskIll::LogDamage => self.damage_log(fault, &mut stream),
            _ => {}
        }
        self.ills.all.push(Ill { fault, what, stream, armed: true });
    }

    /// What is wrong, for a disk that is elsewhere.
    pub(crate) fn state(&self) -> DiskState {
        let mut state = DiskState::default();
        for ill in &self.ills.all {
            let armed = ill.armed.then_some(ill.fault);
            match ill.what {
                DiskIll::Slow(factor) => {
                    let thousandths =
                        1_000 * u64::from(factor.numerator) / u64::from(factor.denominator);
                    let more = thousandths.saturating_sub(1_000);
                    state.slower = state.slower.saturating_add(more.min(1_000_000) as u32);
                }
                DiskIll::Stalled => state.stalled = true,
                DiskIll::Gone => state.gone = true,
                DiskIll::ReadOnly => state.read_only = true,
                DiskIll::Full => state.full = Some(ill.fault),
                DiskIll::WriteError => state.write_error = state.write_error.or(armed),
                DiskIll::SyncError => state.sync_error = state.sync_error.or(armed),
                _ => {}
            }
        }
        state
    }

    /// A fault that lay in wait has struck, elsewhere. False when it is over already.
    pub(crate) fn has_struck(&mut self, fault: u16) -> bool {
        let ill = self.ills.all.iter_mut().find(|ill| ill.fault == fault);
        ill.map(|ill| ill.armed = false).is_some()
    }

    /// A fault is over, and all that it did. Gives the operations that are through sooner for it,
    /// and when: what a slow disk had queued up is served as fast as it can now.
    pub(crate) fn cure(&mut self, fault: u16, now: Time) -> Vec<(DiskOp, Time)> {
        let slows = |ill: &Ill| matches!(ill.what, DiskIll::Slow(_) | DiskIll::Iops(_));
        let slowed = self.ills.all.iter().any(|ill| ill.fault == fault && slows(ill));
        self.ills.all.retain(|ill| ill.fault != fault);
        let mut sooner = if slowed { self.hasten(now) } else { Vec::new() };
        self.ills.damage.retain(|_, damage| damage.fault != fault);
        self.ills.bytes.retain(|(of, ..)| *of != fault);
        if !self.ills.any(DiskIll::Stalled) {
            sooner.extend(core::mem::take(&mut self.ills.held).into_iter().map(|op| (op, now)));
        }
        sooner
    }

    fn damage_pages(&mut self, fault: u16, what: DiskIll, stream: &mut Stream) {
        let files: Vec<(u32, usize)> = self
            .names
            .iter()
            .filter(|(name, _)| name.area == 0 && FileKind::RECORDS.contains(&name.kind))
            .map(|(_, slot)| (*slot, self.files[*slot as usize].durable.pages.len()))
            .filter(|(_, pages)| *pages > 0)
            .collect();
        let Some(&(slot, pages)) = stream.pick(&files) else { return };
        let first = stream.below(pages as u64) as usize;
        let count = 1 + stream.below((pages / MOST_DAMAGED).max(1) as u64) as usize;
        for number in first..(first + count).min(pages) {
            let number = number as PageNumber;
            let image = (what == DiskIll::BitFlip)
                .then(|| flipped(self.files[slot as usize].page(number), stream));
            if image.as_ref().is_some_and(Option::is_none) {
                continue;
            }
            self.ills.damage.insert((slot, number), Damage { fault, image: image.flatten() });
        }
    }

    fn damage_log(&mut self, fault: u16, stream: &mut Stream) {
        let mut logs =
            self.names.iter().filter(|(name, _)| name.area == 0 && name.kind == FileKind::Log);
        let Some((_, slot)) = logs.next_back() else { return };
        let len = self.files[*slot as usize].len();
        if len > 0 {
            let place = stream.below(len);
            self.ills.bytes.push((fault, *slot, place));
        }
    }

    /// What a sick disk does about an operation; none when it goes its usual way.
    pub(super) fn submit_ill(&mut self, request: &DiskRequest) -> Option<Submitted> {
        let fails = |error| Some(Submitted::Now(Err(error)));
        if self.ills.any(DiskIll::Gone) || request.changes() && self.ills.any(DiskIll::ReadOnly) {
            return fails(DiskError::Io);
        }
        match request {
            DiskRequest::WritePage { file, page, image } => {
                if self.grows(request) && self.ills.strikes(DiskIll::Full) {
                    return fails(DiskError::NoSpace);
                }
                if self.ills.strike(DiskIll::WriteError).is_some() {
                    return fails(DiskError::Io);
                }
                if let Some(slot) = self.slot(*file) {
                    self.write_ill(slot, *page, image);
                }
                None
            }
            DiskRequest::Append { .. } | DiskRequest::SetLen { .. } => {
                if self.grows(request) && self.ills.strikes(DiskIll::Full) {
                    return fails(DiskError::NoSpace);
                }
                let failed = self.ills.strike(DiskIll::WriteError).is_some();
                if failed { fails(DiskError::Io) } else { None }
            }
            DiskRequest::Sync { file } => {
                let slot = self.slot(*file)?;
                if self.ills.strike(DiskIll::SyncError).is_some() {
                    self.files[slot as usize].forget_pending();
                    return fails(DiskError::Io);
                }
                if self.ills.strikes(DiskIll::LyingSync) {
                    return Some(Submitted::Now(Ok(DiskReply::Done)));
                }
                None
            }
            DiskRequest::SyncDir if self.ills.strikes(DiskIll::LyingSync) => {
                Some(Submitted::Now(Ok(DiskReply::Done)))
            }
            _ => None,
        }
    }

    fn grows(&self, request: &DiskRequest) -> bool {
        let len = |file| self.slot(file).map_or(0, |slot| self.files[slot as usize].len());
        match *request {
            DiskRequest::WritePage { file, page, .. } => {
                (u64::from(page) + 1) * PAGE_SIZE as u64 > len(file)
            }
            DiskRequest::SetLen { file, len: new } => new > len(file),
            _ => true,
        }
    }

    /// A page is about to be written: its damage goes, and new damage may come.
    fn write_ill(&mut self, slot: u32, page: PageNumber, image: &Arc<Page>) {
        self.ills.damage.remove(&(slot, page));
        let file = &self.files[slot as usize];
        let old = file.page(page);
        let blank = || Arc::new(Page::from_bytes(&[0; PAGE_SIZE]));
        if let Some((fault, _)) = self.ills.strike(DiskIll::LostWrite) {
            let image = Some(old.clone().unwrap_or_else(blank));
            self.ills.damage.insert((slot, page), Damage { fault, image });
        }
        if let Some((fault, stream)) = self.ills.strike(DiskIll::TornWrite) {
            let image = Some(torn(&old.clone().unwrap_or_else(blank), image, stream));
            self.ills.damage.insert((slot, page), Damage { fault, image });
        }
        let pages = file.len() / PAGE_SIZE as u64;
        if let Some((fault, stream)) = self.ills.strike(DiskIll::MisdirectedWrite) {
            let other = stream.below(pages.max(1)) as PageNumber;
            let kept = Some(old.unwrap_or_else(blank));
            self.ills.damage.insert((slot, page), Damage { fault, image: kept });
            let wrong = Damage { fault, image: Some(image.clone()) };
            self.ills.damage.insert((slot, other), wrong);
        }
    }

    /// Whether an operation that is through has to wait for its answer.
    pub(super) fn holds(&mut self, op: DiskOp) -> bool {
        let stalled = self.ills.any(DiskIll::Stalled) && self.in_flight.contains_key(&op);
        if stalled {
            self.ills.held.push(op);
        }
        stalled
    }

    /// What a read of a page gives on a sick disk.
    pub(super) fn read_ill(
        &mut self,
        slot: u32,
        page: PageNumber,
    ) -> Result<Option<Arc<Page>>, DiskError> {
        if self.ills.any(DiskIll::Gone) {
            return Err(DiskError::Io);
        }
        let pages = self.files[slot as usize].len() / PAGE_SIZE as u64;
        let mut page = page;
        if let Some((_, stream)) = self.ills.strike(DiskIll::MisdirectedRead) {
            page = stream.below(pages.max(1)) as PageNumber;
        }
        let image = match self.ills.damage.get(&(slot, page)) {
            Some(Damage { image: None, .. }) => return Err(DiskError::Io),
            Some(Damage { image, .. }) => image.clone(),
            None => self.files[slot as usize].page(page),
        };
        match self.ills.strike(DiskIll::BadTransfer) {
            Some((_, stream)) => Ok(flipped(image, stream)),
            None => Ok(image),
        }
    }

    /// The same for bytes.
    pub(super) fn bytes_ill(&self, slot: u32, offset: u64, bytes: &mut [u8]) {
        for (_, of, place) in &self.ills.bytes {
            if *of == slot
                && let Some(at) = place.checked_sub(offset)
                && let Some(byte) = bytes.get_mut(at as usize)
            {
                *byte ^= 0x40;
            }
        }
    }

    /// The store is deleted, and everything else.
    pub(crate) fn wipe(&mut self, now: Time) {
        self.crash(now);
        self.ills.forget_files();
        self.files.clear();
        self.names.clear();
        self.durable_names.clear();
        self.changes.clear();
    }
}

impl File {
    /// What was not durable never will be (a failed sync leaves pages marked clean).
    fn forget_pending(&mut self) {
        self.settled += self.pending.len() as u64;
        self.pending.clear();
        self.latest.clear();
    }
}

/// The page with one bit wrong.
fn flipped(page: Option<Arc<Page>>, stream: &mut Stream) -> Option<Arc<Page>> {
    let mut bytes = *page?.bytes();
    let bit = stream.below(PAGE_SIZE as u64 * 8) as usize;
    bytes[bit / 8] ^= 1 << (bit % 8);
    Some(Arc::new(Page::from_bytes(&bytes)))
}

/// The old page with some sectors of the new one.
fn torn(old: &Page, new: &Page, stream: &mut Stream) -> Arc<Page> {
    let mut bytes = *old.bytes();
    for (new, old) in new.bytes().chunks(SECTOR).zip(bytes.chunks_mut(SECTOR)) {
        if stream.below(2) == 0 {
            old.copy_from_slice(new);
        }
    }
    Arc::new(Page::from_bytes(&bytes))
}
