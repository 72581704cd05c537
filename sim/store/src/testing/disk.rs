//! A disk in memory that knows what is durable, and can lose power.

use std::collections::BTreeMap;
use std::vec::Vec;

use alloc::sync::Arc;

use super::Dice;
use super::faults::Fault;
use crate::*;

/// One file: what is durable, and what has happened to it since.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// As the operating system shows it.
    pub(super) seen: Arc<Vec<u8>>,
    /// As it is on the medium.
    durable: Arc<Vec<u8>>,
    /// Changes since the last sync.
    pub(super) pending: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { at: usize, bytes: Vec<u8> },
    SetLen(usize),
}

fn apply(bytes: &mut Arc<Vec<u8>>, change: &Change) {
    let bytes = Arc::make_mut(bytes);
    match change {
        Change::Write { at, bytes: new } => {
            if bytes.len() < at + new.len() {
                bytes.resize(at + new.len(), 0);
            }
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        Change::SetLen(len) => bytes.resize(*len, 0),
    }
}

/// A change of the directory that is not durable.
#[derive(Clone, Debug)]
enum NameChange {
    Create(FileName, usize),
    Rename(FileName, FileName),
    Unlink(FileName),
}

/// A disk whose files are numbered; names are a separate, syncable map.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk {
    pub(super) files: Vec<File>,
    pub(super) names: BTreeMap<FileName, usize>,
    durable_names: BTreeMap<FileName, usize>,
    name_changes: Vec<NameChange>,
    /// Operations done.
    pub(crate) done: u64,
    /// Fails the operation after this many, once.
    pub(crate) fail_at: Option<(u64, DiskError)>,
    /// What goes wrong; the files stay as they truly are, unless a fault is in a write.
    pub(crate) faults: Vec<Fault>,
    /// The page whose write [`Fault::LostWriteAfter`] took.
    pub(crate) lost: Option<(FileName, PageNumber)>,
    /// Bytes that all files may have together.
    pub(crate) capacity: Option<usize>,
    /// What was asked and answered, if it is to be recorded.
    pub(crate) record: Option<Vec<(DiskRequest, Result<DiskReply, DiskError>)>>,
}

impl MemoryDisk {
    pub(crate) fn perform(&mut self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        self.done += 1;
        let reply = match self.fail_at {
            Some((at, error)) if at + 1 == self.done => Err(error),
            _ => self.answer_with_faults(request),
        };
        if let Some(record) = &mut self.record {
            record.push((request.clone(), reply.clone()));
        }
        reply
    }

    pub(super) fn answer(&mut self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        match request {
            DiskRequest::List => {
                let files = self
                    .names
                    .iter()
                    .map(|(name, file)| (*name, self.files[*file].seen.len() as u64));
                Ok(DiskReply::Files(files.collect()))
            }
            DiskRequest::ReadPage { file, page } => {
                let at = *page as usize * PAGE_SIZE;
                let bytes = &self.file(*file)?.seen;
                let page = bytes.get(at..at + PAGE_SIZE).ok_or(DiskError::NotFound)?;
                Ok(DiskReply::Page(Arc::new(Page::from_bytes(page.try_into().unwrap()))))
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = &self.file(*file)?.seen;
                let start = (*offset as usize).min(bytes.len());
                let end = (start + *len as usize).min(bytes.len());
                Ok(DiskReply::Bytes(bytes[start..end].into()))
            }
            DiskRequest::WritePage { file, page, image } => {
                let at = *page as usize * PAGE_SIZE;
                self.change(*file, Change::Write { at, bytes: image.bytes().to_vec() })
            }
            DiskRequest::Append { file, bytes } => {
                let at = self.file(*file).map_or(0, |file| file.seen.len());
                self.change(*file, Change::Write { at, bytes: bytes.to_vec() })
            }
            DiskRequest::SetLen { file, len } => self.change(*file, Change::SetLen(*len as usize)),
            DiskRequest::Sync { file } => {
                let number = *self.names.get(file).ok_or(DiskError::NotFound)?;
                let file = &mut self.files[number];
                file.durable = file.seen.clone();
                file.pending.clear();
                Ok(DiskReply::Done)
            }
            DiskRequest::SyncDir => {
                self.durable_names = self.names.clone();
                self.name_changes.clear();
                Ok(DiskReply::Done)
            }
            DiskRequest::Rename { from, to } => {
                let number = self.names.remove(from).ok_or(DiskError::NotFound)?;
                self.names.insert(*to, number);
                self.name_changes.push(NameChange::Rename(*from, *to));
                Ok(DiskReply::Done)
            }
            DiskRequest::Unlink { file } => {
                self.names.remove(file).ok_or(DiskError::NotFound)?;
                self.name_changes.push(NameChange::Unlink(*file));
                Ok(DiskReply::Done)
            }
        }
    }

    pub(super) fn file(&self, name: FileName) -> Result<&File, DiskError> {
        self.names.get(&name).map(|number| &self.files[*number]).ok_or(DiskError::NotFound)
    }

    pub(super) fn change(
        &mut self,
        name: FileName,
        change: Change,
    ) -> Result<DiskReply, DiskError> {
        let number = match self.names.get(&name) {
            Some(number) => *number,
            None => {
                self.files.push(File::default());
                let number = self.files.len() - 1;
                self.names.insert(name, number);
                self.name_changes.push(NameChange::Create(name, number));
                number
            }
        };
        if let (Some(capacity), Change::Write { at, bytes }) = (self.capacity, &change) {
            let used: usize = self.names.values().map(|file| self.files[*file].seen.len()).sum();
            let more = (at + bytes.len()).saturating_sub(self.files[number].seen.len());
            if more > 0 && used + more > capacity {
                // What fits is written all the same, as by a short write.
                let end = self.files[number].seen.len() + capacity.saturating_sub(used);
                let bytes = bytes[..end.saturating_sub(*at).min(bytes.len())].to_vec();
                if bytes.is_empty() {
                    return Err(DiskError::NoSpace);
                }
                let part = Change::Write { at: *at, bytes };
                apply(&mut self.files[number].seen, &part);
                self.files[number].pending.push(part);
                return Err(DiskError::NoSpace);
            }
        }
        let file = &mut self.files[number];
        apply(&mut file.seen, &change);
        file.pending.push(change);
        Ok(DiskReply::Done)
    }

    /// The machine dies: every change that was not synced is kept, dropped or torn.
    pub(crate) fn lose_power(&mut self, dice: &mut Dice) {
        let mut names = self.durable_names.clone();
        for change in core::mem::take(&mut self.name_changes) {
            if dice.below(2) == 0 {
                continue;
            }
            match change {
                NameChange::Create(name, number) => {
                    names.insert(name, number);
                }
                NameChange::Rename(from, to) => {
                    if let Some(number) = names.remove(&from) {
                        names.insert(to, number);
                    }
                }
                NameChange::Unlink(name) => {
                    names.remove(&name);
                }
            }
        }
        self.names = names.clone();
        self.durable_names = names;
        for file in &mut self.files {
            for change in core::mem::take(&mut file.pending) {
                match (dice.below(3), change) {
                    (0, _) => {}
                    (1, change) => apply(&mut file.durable, &change),
                    (_, Change::SetLen(len)) => apply(&mut file.durable, &Change::SetLen(len)),
                    // Torn: each sector of 512 bytes by itself; the length may stay.
                    (_, Change::Write { at, bytes }) => {
                        for (place, sector) in bytes.chunks(512).enumerate() {
                            if dice.below(2) == 0 {
                                let at = at + 512 * place;
                                let write = Change::Write { at, bytes: sector.to_vec() };
                                apply(&mut file.durable, &write);
                            }
                        }
                    }
                }
            }
            file.seen = file.durable.clone();
        }
    }

    /// The bytes of a file, to damage them.
    pub(crate) fn bytes_mut(&mut self, name: FileName) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.files[self.names[&name]].seen)
    }

    pub(crate) fn names(&self) -> Vec<FileName> {
        self.names.keys().copied().collect()
    }
}
