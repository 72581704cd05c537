//! The simulated disk: what the operating system has cached, what is durable, and how long
//! operations take.
//!
//! A write is pending from its submission until a sync that covers it is complete. A killed
//! process leaves pending writes to the operating system, which keeps them. Power loss keeps,
//! drops or tears each of them on its own (`sim/store`'s answer is tested against that).
//! Names behave alike: a created, renamed or removed file is certain only after the sync of
//! its directory.

mod ills;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_kernel::{Distribution, Stream};
use wavetank_store::{
    DiskError, DiskOp, DiskReply, DiskRequest, FileName, Image, ImageFile, PAGE_SIZE, Page,
    PageNumber, PageSource,
};
use wavetank_vocabulary::{InstanceId, Span, Time};

use crate::meter::{Meter, QueueKind, QueueTotals};
use crate::plan::VolumePlan;
use ills::Ills;

pub(crate) use ills::DiskIll;

/// The unit in which a disk writes atomically.
const SECTOR: usize = 512;

/// A file: its contents as far as durable, and what is pending.
#[derive(Clone, Debug, Default)]
struct File {
    durable: Contents,
    pending: Vec<Write>,
    /// Of the pending writes, the last one of each page.
    latest: BTreeMap<PageNumber, Arc<Page>>,
    /// Writes that are durable already, counted since the file began: a sync names the
    /// writes that it covers by this count, fixed when it is submitted.
    settled: u64,
}

/// Contents by page where they were written by page, and by segment where appended.
#[derive(Clone, Debug, Default)]
struct Contents {
    pages: Vec<Option<Arc<Page>>>,
    /// Appended segments with the offset of each.
    segments: Vec<(u64, Arc<[u8]>)>,
    len: u64,
}

#[derive(Clone, Debug)]
enum Write {
    Page(PageNumber, Arc<Page>),
    Append(Arc<[u8]>),
    SetLen(u64),
}

/// A change of names, in order.
#[derive(Clone, Copy, Debug)]
enum NameChange {
    Create(FileName, u32),
    Rename(FileName, FileName),
    Unlink(FileName),
}

/// How a submitted operation is answered.
pub(crate) enum Submitted {
    /// At once: the operating system's cache takes it.
    Now(Result<DiskReply, DiskError>),
    /// When the disk is through, at that time.
    At(Time),
}

/// What is to be done when a timed operation is complete.
#[derive(Clone, Debug)]
enum Pending {
    ReadPage(FileName, PageNumber),
    ReadAt(FileName, u64, u32),
    /// Makes pending writes up to this count (since the file began) durable.
    Sync(u32, u64),
    /// Makes this many changes of names durable.
    SyncDir(u64),
}

/// One machine's disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    files: Vec<File>,
    names: BTreeMap<FileName, u32>,
    durable_names: BTreeMap<FileName, u32>,
    changes: Vec<NameChange>,
    /// Changes of names that became durable so far.
    changes_settled: u64,
    /// And when each was submitted.
    in_flight: BTreeMap<DiskOp, (Pending, Time)>,
    meter: Meter,
    spacing: Span,
    bytes_per_second: u64,
    access: Distribution,
    sync: Distribution,
    next_free: Time,
    busy: Span,
    ills: Ills,
}

impl SimDisk {
    pub(crate) fn new(volume: &VolumePlan, image: &Image) -> Self {
        let mut disk = SimDisk {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            changes_settled: 0,
            in_flight: BTreeMap::new(),
            meter: Meter::default(),
            spacing: Span::from_nanos(1_000_000_000 / u64::from(volume.iops.max(1))),
            bytes_per_second: volume.throughput.0.max(1),
            access: volume.access,
            sync: volume.sync,
            next_free: Time::ZERO,
            busy: Span::ZERO,
            ills: Ills::default(),
        };
        for (name, contents) in &image.files {
            let durable = match contents {
                ImageFile::Pages(pages) => Contents {
                    len: (pages.len() * PAGE_SIZE) as u64,
                    pages: pages.iter().cloned().map(Some).collect(),
                    segments: Vec::new(),
                },
                ImageFile::Bytes(bytes) => Contents {
                    pages: Vec::new(),
                    len: bytes.len() as u64,
                    segments: alloc::vec![(0, bytes.clone())],
                },
            };
            let slot = disk.files.len() as u32;
            disk.files.push(File { durable, ..File::default() });
            disk.names.insert(*name, slot);
        }
        disk.durable_names = disk.names.clone();
        disk
    }

    /// Operations waiting or in service.
    pub(crate) fn queue(&self) -> u64 {
        self.in_flight.len() as u64
    }

    /// For how long the disk was busy since the run began.
    pub(crate) fn busy(&self) -> Span {
        self.busy
    }

    /// An operation that takes time.
    fn begin(&mut self, now: Time, op: DiskOp, pending: Pending) {
        self.meter.arrive(now);
        self.in_flight.insert(op, (pending, now));
    }

    /// What went through the disk so far.
    pub(crate) fn totals(&self, now: Time, instance: InstanceId) -> QueueTotals {
        let inside = self.in_flight.values().map(|(_, submitted)| *submitted);
        self.meter.totals(now, instance, QueueKind::Disk, inside)
    }

    /// Occupies the disk for `operations` and `bytes`; gives when they are through.
    fn occupy(&mut self, now: Time, operations: u64, bytes: u64, latency: Span) -> Time {
        let transfer = Span::from_nanos(
            (u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second)) as u64,
        );
        let mut service = (self.spacing * operations.max(1)).max(transfer);
        let mut latency = latency;
        if !self.ills.is_empty() {
            (service, latency) = self.ills.times(service, latency, operations);
        }
        let start = now.max(self.next_free);
        self.next_free = start + service;
        self.busy += service;
        // Latency and queueing are apart: a volume of a cloud serves many at once.
        self.next_free + latency
    }

    fn slot(&self, name: FileName) -> Option<u32> {
        self.names.get(&name).copied()
    }

    fn slot_or_new(&mut self, name: FileName) -> u32 {
        if let Some(slot) = self.slot(name) {
            return slot;
        }
        let slot = self.files.len() as u32;
        self.files.push(File::default());
        self.change(NameChange::Create(name, slot));
        slot
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    /// Takes an operation. Latencies are drawn from `stream`.
    pub(crate) fn submit(
        &mut self,
        now: Time,
        op: DiskOp,
        request: DiskRequest,
        stream: &mut Stream,
    ) -> Submitted {
        let done = Submitted::Now(Ok(DiskReply::Done));
        if !self.ills.is_empty()
            && let Some(answer) = self.submit_ill(&request)
        {
            return answer;
        }
        match request {
            DiskRequest::ReadPage { file, page } => {
                let latency = self.access.sample(stream);
                self.begin(now, op, Pending::ReadPage(file, page));
                Submitted::At(self.occupy(now, 1, PAGE_SIZE as u64, latency))
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let latency = self.access.sample(stream);
                self.begin(now, op, Pending::ReadAt(file, offset, len));
                Submitted::At(self.occupy(now, 1, u64::from(len), latency))
            }
            DiskRequest::WritePage { file, page, image } => {
                let slot = self.slot_or_new(file);
                self.files[slot as usize].submit(Write::Page(page, image));
                done
            }
            DiskRequest::Append { file, bytes } => {
                let slot = self.slot_or_new(file);
                self.files[slot as usize].submit(Write::Append(bytes));
                done
            }
            DiskRequest::SetLen { file, len } => {
                let slot = self.slot_or_new(file);
                self.files[slot as usize].submit(Write::SetLen(len));
                done
            }
            DiskRequest::Sync { file } => {
                let Some(slot) = self.slot(file) else {
                    return Submitted::Now(Err(DiskError::NotFound));
                };
                let latency = self.sync.sample(stream);
                let (operations, bytes) = self.files[slot as usize].unsynced();
                let upto = self.files[slot as usize].total();
                self.begin(now, op, Pending::Sync(slot, upto));
                Submitted::At(self.occupy(now, operations, bytes, latency))
            }
            DiskRequest::SyncDir => {
                let latency = self.sync.sample(stream);
                let upto = self.changes_settled + self.changes.len() as u64;
                self.begin(now, op, Pending::SyncDir(upto));
                Submitted::At(self.occupy(now, 1, 0, latency))
            }
            DiskRequest::Rename { from, to } => {
                if self.slot(from).is_none() {
                    return Submitted::Now(Err(DiskError::NotFound));
                }
                self.change(NameChange::Rename(from, to));
                done
            }
            DiskRequest::Unlink { file } => {
                if self.slot(file).is_none() {
                    return Submitted::Now(Err(DiskError::NotFound));
                }
                self.change(NameChange::Unlink(file));
                done
            }
            DiskRequest::List => {
                let list = self
                    .names
                    .iter()
                    .map(|(name, slot)| (*name, self.files[*slot as usize].len()))
                    .collect();
                Submitted::Now(Ok(DiskReply::Files(list)))
            }
        }
    }

    /// Completes a timed operation; none when a crash took it.
    pub(crate) fn complete(
        &mut self,
        now: Time,
        op: DiskOp,
    ) -> Option<Result<DiskReply, DiskError>> {
        if !self.ills.is_empty() && self.holds(op) {
            return None;
        }
        let (pending, submitted) = self.in_flight.remove(&op)?;
        self.meter.leave(now, submitted);
        Some(match pending {
            Pending::ReadPage(name, page) => {
                let image = match self.slot(name) {
                    Some(slot) if !self.ills.is_empty() => self.read_ill(slot, page),
                    _ => Ok(self.page(name, page)),
                };
                match image {
                    Ok(Some(image)) => Ok(DiskReply::Page(image)),
                    Ok(None) => Err(DiskError::NotFound),
                    Err(error) => Err(error),
                }
            }
            Pending::ReadAt(name, offset, len) => match self.slot(name) {
                Some(slot) => {
                    let mut bytes = self.files[slot as usize].bytes(offset, len);
                    if !self.ills.is_empty() {
                        self.bytes_ill(slot, offset, &mut bytes);
                    }
                    Ok(DiskReply::Bytes(bytes.into()))
                }
                None => Err(DiskError::NotFound),
            },
            Pending::Sync(slot, upto) => {
                self.files[slot as usize].settle(upto);
                Ok(DiskReply::Done)
            }
            Pending::SyncDir(upto) => {
                let count = upto.saturating_sub(self.changes_settled) as usize;
                for change in self.changes.drain(..count.min(self.changes.len())) {
                    change.apply(&mut self.durable_names);
                    self.changes_settled += 1;
                }
                Ok(DiskReply::Done)
            }
        })
    }

    /// The process was killed: what was submitted stays with the operating system, answers
    /// are no longer wanted.
    pub(crate) fn crash(&mut self, now: Time) {
        for (_, submitted) in self.in_flight.values() {
            self.meter.leave(now, *submitted);
        }
        self.in_flight.clear();
        self.ills.forget_answers();
    }

    /// The machine lost its power: each pending write is kept, dropped or torn, and of the
    /// changes of names a first part is kept.
    pub(crate) fn power_loss(&mut self, now: Time, stream: &mut Stream) {
        self.crash(now);
        let keep = stream.below(self.changes.len() as u64 + 1) as usize;
        for change in self.changes.drain(..keep) {
            change.apply(&mut self.durable_names);
        }
        self.changes.clear();
        self.names = self.durable_names.clone();
        for slot in 0..self.files.len() {
            self.files[slot].lose_power(stream);
        }
        self.next_free = Time::ZERO;
    }
}

impl PageSource for SimDisk {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        self.files[self.slot(file)? as usize].page(page)
    }
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<FileName, u32>) {
        match self {
            NameChange::Create(name, slot) => {
                names.insert(name, slot);
            }
            NameChange::Rename(from, to) => {
                if let Some(slot) = names.remove(&from) {
                    names.insert(to, slot);
                }
            }
            NameChange::Unlink(name) => {
                names.remove(&name);
            }
        }
    }
}

impl File {
    /// How many writes there were since the file began.
    fn total(&self) -> u64 {
        self.settled + self.pending.len() as u64
    }

    /// Operations and bytes that a sync has to write.
    fn unsynced(&self) -> (u64, u64) {
        let mut operations = 1;
        let mut bytes = 0;
        for write in &self.pending {
            match write {
                Write::Page(..) => {
                    operations += 1;
                    bytes += PAGE_SIZE as u64;
                }
                Write::Append(segment) => bytes += segment.len() as u64,
                Write::SetLen(_) => {}
            }
        }
        (operations, bytes)
    }

    fn submit(&mut self, write: Write) {
        if let Write::Page(number, image) = &write {
            self.latest.insert(*number, image.clone());
        }
        self.pending.push(write);
    }

    /// Makes the first writes durable, up to the `upto`-th since the file began.
    fn settle(&mut self, upto: u64) {
        let count = (upto.saturating_sub(self.settled) as usize).min(self.pending.len());
        for write in self.pending.drain(..count) {
            if let Write::Page(number, image) = &write
                && self.latest.get(number).is_some_and(|latest| Arc::ptr_eq(latest, image))
            {
                self.latest.remove(number);
            }
            self.durable.write(write);
            self.settled += 1;
        }
    }

    fn page(&self, number: PageNumber) -> Option<Arc<Page>> {
        if let Some(image) = self.latest.get(&number) {
            return Some(image.clone());
        }
        let durable = self.durable.pages.get(number as usize).cloned().flatten();
        // A hole within the file reads as zeros.
        let hole = || Arc::new(Page::from_bytes(&[0; PAGE_SIZE]));
        durable.or_else(|| (self.len() > u64::from(number) * PAGE_SIZE as u64).then(hole))
    }

    fn len(&self) -> u64 {
        self.pending.iter().fold(self.durable.len, |len, write| write.len_after(len))
    }

    fn bytes(&self, offset: u64, len: u32) -> Vec<u8> {
        let cut = self.pending.iter().any(|write| matches!(write, Write::SetLen(_)));
        let within = !cut && offset + u64::from(len) <= self.durable.len;
        if self.pending.is_empty() || within && self.latest.is_empty() {
            return self.durable.bytes(offset, len);
        }
        let mut contents = self.durable.clone();
        for write in &self.pending {
            contents.write(write.clone());
        }
        contents.bytes(offset, len)
    }

    fn lose_power(&mut self, stream: &mut Stream) {
        self.latest.clear();
        for write in core::mem::take(&mut self.pending) {
            match stream.below(3) {
                0 => {}
                1 => self.durable.write(write),
                _ => self.durable.write_torn(write, stream),
            }
            self.settled += 1;
        }
    }
}

impl Write {
    fn len_after(&self, len: u64) -> u64 {
        match self {
            Write::Page(page, _) => len.max((u64::from(*page) + 1) * PAGE_SIZE as u64),
            Write::Append(segment) => len + segment.len() as u64,
            Write::SetLen(new) => *new,
        }
    }
}

impl Contents {
    fn write(&mut self, write: Write) {
        let len = write.len_after(self.len);
        match write {
            Write::Page(number, image) => {
                let index = number as usize;
                if index >= self.pages.len() {
                    self.pages.resize(index + 1, None);
                }
                self.pages[index] = Some(image);
            }
            Write::Append(segment) => self.segments.push((self.len, segment)),
            Write::SetLen(new) => self.cut(new),
        }
        self.len = len;
    }

    fn cut(&mut self, len: u64) {
        self.pages.truncate(len.div_ceil(PAGE_SIZE as u64) as usize);
        while let Some((offset, segment)) = self.segments.last() {
            let end = offset + segment.len() as u64;
            if end <= len {
                break;
            }
            if *offset >= len {
                self.segments.pop();
            } else {
                let kept: Arc<[u8]> = segment[..(len - offset) as usize].into();
                let offset = *offset;
                self.segments.pop();
                self.segments.push((offset, kept));
                break;
            }
        }
    }

    /// Any subset of a page's sectors reaches the platter; of an append, a first part, with
    /// the rest of the length zero or missing.
    fn write_torn(&mut self, write: Write, stream: &mut Stream) {
        match write {
            Write::Page(number, image) => {
                let old = self.pages.get(number as usize).cloned().flatten();
                let mut bytes = match old {
                    Some(page) => *page.bytes(),
                    None => [0; PAGE_SIZE],
                };
                for (new, old) in image.bytes().chunks(SECTOR).zip(bytes.chunks_mut(SECTOR)) {
                    if stream.below(2) == 0 {
                        old.copy_from_slice(new);
                    }
                }
                self.write(Write::Page(number, Arc::new(Page::from_bytes(&bytes))));
            }
            Write::Append(segment) => {
                let kept = stream.below(segment.len() as u64 + 1) as usize;
                let mut bytes = segment[..kept].to_vec();
                if stream.below(2) == 0 {
                    // The length got there, the data did not.
                    bytes.resize(segment.len(), 0);
                }
                self.write(Write::Append(bytes.into()));
            }
            Write::SetLen(_) => {}
        }
    }

    fn bytes(&self, offset: u64, len: u32) -> Vec<u8> {
        let end = (offset + u64::from(len)).min(self.len);
        if offset >= end {
            return Vec::new();
        }
        let mut bytes = alloc::vec![0u8; (end - offset) as usize];
        let first = self.segments.partition_point(|(at, s)| at + s.len() as u64 <= offset);
        for (at, segment) in &self.segments[first..] {
            if *at >= end {
                break;
            }
            let from = offset.max(*at);
            let to = end.min(at + segment.len() as u64);
            bytes[(from - offset) as usize..(to - offset) as usize]
                .copy_from_slice(&segment[(from - at) as usize..(to - at) as usize]);
        }
        for (number, page) in self.pages.iter().enumerate() {
            let at = (number * PAGE_SIZE) as u64;
            let Some(page) = page else { continue };
            let (from, to) = (offset.max(at), end.min(at + PAGE_SIZE as u64));
            if from < to {
                bytes[(from - offset) as usize..(to - offset) as usize]
                    .copy_from_slice(&page.bytes()[(from - at) as usize..(to - at) as usize]);
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
