//! The simulated disk: what the operating system has cached, what is durable, and how long
//! operations take.
//!
//! A write is pending from its submission until a sync that covers it is complete. A killed
//! process leaves pending writes to the operating system, which keeps them. Power loss keeps,
//! drops or tears each of them on its own (`sim/store`'s answer is tested against that).
//! Names behave alike: a created, renamed or removed file is certain only after the sync of
//! its directory.

mod file;
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
use file::{Contents, File, Write};
use ills::Ills;

pub(crate) use ills::DiskIll;
pub use ills::DiskState;

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

/// What an operation asks of a healthy disk.
#[derive(Clone, Copy, Debug)]
struct Load {
    operations: u64,
    bytes: u64,
    latency: Span,
}

/// A timed operation under way.
#[derive(Clone, Debug)]
struct Flight {
    pending: Pending,
    submitted: Time,
    due: Time,
    load: Load,
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
    in_flight: BTreeMap<DiskOp, Flight>,
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
    fn begin(&mut self, now: Time, op: DiskOp, pending: Pending, load: Load) -> Submitted {
        self.meter.arrive(now);
        let due = self.occupy(now, load);
        self.in_flight.insert(op, Flight { pending, submitted: now, due, load });
        Submitted::At(due)
    }

    /// The disk is faster than it was when what is under way was submitted: the queue is served
    /// anew, in its order. Gives what is through sooner, and when.
    fn hasten(&mut self, now: Time) -> Vec<(DiskOp, Time)> {
        let waits =
            |(op, flight): (&DiskOp, &Flight)| (flight.due > now).then_some((flight.due, *op));
        let mut queue: Vec<(Time, DiskOp)> = self.in_flight.iter().filter_map(waits).collect();
        queue.sort_unstable();
        // Its service was counted when it was submitted.
        let (busy, free) = (self.busy, self.next_free);
        self.next_free = now;
        let mut sooner = Vec::new();
        for (due, op) in queue {
            let Some(load) = self.in_flight.get(&op).map(|flight| flight.load) else { continue };
            let through = self.occupy(now, load);
            if through < due {
                if let Some(flight) = self.in_flight.get_mut(&op) {
                    flight.due = through;
                }
                sooner.push((op, through));
            }
        }
        self.busy = busy;
        self.next_free = self.next_free.min(free);
        sooner
    }

    /// What went through the disk so far.
    pub(crate) fn totals(&self, now: Time, instance: InstanceId) -> QueueTotals {
        let inside = self.in_flight.values().map(|flight| flight.submitted);
        self.meter.totals(now, instance, QueueKind::Disk, inside)
    }

    /// Occupies the disk for an operation; gives when it is through.
    fn occupy(&mut self, now: Time, load: Load) -> Time {
        let Load { operations, bytes, mut latency } = load;
        let transfer = Span::from_nanos(
            (u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second)) as u64,
        );
        let mut service = (self.spacing * operations.max(1)).max(transfer);
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
                let load = Load { operations: 1, bytes: PAGE_SIZE as u64, latency };
                self.begin(now, op, Pending::ReadPage(file, page), load)
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let latency = self.access.sample(stream);
                let load = Load { operations: 1, bytes: u64::from(len), latency };
                self.begin(now, op, Pending::ReadAt(file, offset, len), load)
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
                self.begin(now, op, Pending::Sync(slot, upto), Load { operations, bytes, latency })
            }
            DiskRequest::SyncDir => {
                let latency = self.sync.sample(stream);
                let upto = self.changes_settled + self.changes.len() as u64;
                let load = Load { operations: 1, bytes: 0, latency };
                self.begin(now, op, Pending::SyncDir(upto), load)
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
        let Flight { pending, submitted, .. } = self.in_flight.remove(&op)?;
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
        for flight in self.in_flight.values() {
            self.meter.leave(now, flight.submitted);
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

    /// The stores on it, by area, and how many bytes the files of each hold.
    pub(crate) fn stores(&self) -> BTreeMap<u16, u64> {
        let mut stores = BTreeMap::new();
        for (name, slot) in &self.names {
            *stores.entry(name.area).or_default() += self.files[*slot as usize].len();
        }
        stores
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

#[cfg(test)]
mod tests;
