//! Faults of the test disk. Those of reads falsify them on the way and the files stay true; those
//! of writes and syncs change what reaches the files or becomes durable.

use super::disk::{Change, MemoryDisk};
use crate::*;
use alloc::sync::Arc;
use std::vec::Vec;

/// A fault that can be switched on. Numbers are those of the fault list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// 9: a page cannot be read until it is written again.
    LatentSector(FileName, PageNumber),
    /// 10: a bit of a page is flipped whenever it is read.
    BitRot(FileName, PageNumber, usize),
    /// 11: the next read of a page is bad, the one after it good.
    BadTransfer(FileName, PageNumber),
    /// 12: reads of a page get another one.
    MisdirectedRead(FileName, PageNumber, PageNumber),
    /// 12: the next write of a page goes to another place of the file.
    MisdirectedWrite(FileName, PageNumber, PageNumber),
    /// 13: the next write of a page is acknowledged and lost.
    LostWrite(FileName, PageNumber),
    /// 13: the write of a page in place after this many is acknowledged and lost.
    LostWriteAfter(u64),
    /// 8: syncs are acknowledged and do nothing.
    LyingSync,
    /// 7: the next sync of the file fails, and what it was to make durable is dropped.
    FailedSync(FileName),
    /// 18: operations on the file are not answered until this goes.
    Stalled(FileName),
    /// 17: nothing can be written any more.
    ReadOnly,
    /// 17: the device is gone.
    Gone,
}

impl MemoryDisk {
    /// Whether the disk leaves this operation unanswered for now.
    pub(super) fn stalls(&self, request: &DiskRequest) -> bool {
        request.file().is_some_and(|file| self.faults.contains(&Fault::Stalled(file)))
    }

    pub(super) fn answer_with_faults(
        &mut self,
        request: &DiskRequest,
    ) -> Result<DiskReply, DiskError> {
        if self.faults.is_empty() {
            return self.answer(request);
        }
        if self.faults.contains(&Fault::Gone)
            || request.changes() && self.faults.contains(&Fault::ReadOnly)
        {
            return Err(DiskError::Io);
        }
        match request {
            DiskRequest::ReadPage { file, page } => self.read_falsely(*file, *page),
            DiskRequest::WritePage { file, page, image } => {
                self.faults.retain(|fault| *fault != Fault::LatentSector(*file, *page));
                if self.take(|fault| *fault == Fault::LostWrite(*file, *page)).is_some() {
                    return self.lose_write(*file, *page);
                }
                if file.kind != FileKind::DoubleWrite
                    && let Some(Fault::LostWriteAfter(left)) =
                        self.take(|fault| matches!(fault, Fault::LostWriteAfter(_)))
                {
                    if left == 0 {
                        self.lost = Some((*file, *page));
                        return self.lose_write(*file, *page);
                    }
                    self.faults.push(Fault::LostWriteAfter(left - 1));
                }
                let wrong = self.take(
                    |fault| matches!(fault, Fault::MisdirectedWrite(f, p, _) if (f, p) == (file, page)),
                );
                let page = match wrong {
                    Some(Fault::MisdirectedWrite(.., to)) => to,
                    _ => *page,
                };
                self.answer(&DiskRequest::WritePage { file: *file, page, image: image.clone() })
            }
            DiskRequest::Sync { file } => {
                if self.take(|fault| *fault == Fault::FailedSync(*file)).is_some() {
                    // The system marks the pages clean: what was not durable never will be.
                    let number = self.names[file];
                    self.files[number].pending.clear();
                    return Err(DiskError::Io);
                }
                if self.faults.contains(&Fault::LyingSync) {
                    return Ok(DiskReply::Done);
                }
                self.answer(request)
            }
            DiskRequest::SyncDir if self.faults.contains(&Fault::LyingSync) => Ok(DiskReply::Done),
            _ => self.answer(request),
        }
    }

    /// The device drops the data; the file has its new length all the same.
    fn lose_write(&mut self, file: FileName, page: PageNumber) -> Result<DiskReply, DiskError> {
        let at = page as usize * PAGE_SIZE;
        let length = self.file(file).map_or(0, |file| file.seen.len());
        if length < at + PAGE_SIZE {
            let bytes = std::vec![0; at + PAGE_SIZE - length];
            return self.change(file, Change::Write { at: length, bytes });
        }
        Ok(DiskReply::Done)
    }

    fn take(&mut self, is_it: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let place = self.faults.iter().position(is_it)?;
        Some(self.faults.remove(place))
    }

    fn read_falsely(&mut self, file: FileName, page: PageNumber) -> Result<DiskReply, DiskError> {
        let mut from = page;
        let mut flips: Vec<usize> = Vec::new();
        for fault in &self.faults {
            match fault {
                Fault::LatentSector(f, p) if (*f, *p) == (file, page) => return Err(DiskError::Io),
                Fault::MisdirectedRead(f, p, other) if (*f, *p) == (file, page) => from = *other,
                Fault::BitRot(f, p, bit) if (*f, *p) == (file, page) => flips.push(*bit),
                _ => {}
            }
        }
        if self.take(|fault| *fault == Fault::BadTransfer(file, page)).is_some() {
            flips.push(777);
        }
        match self.answer(&DiskRequest::ReadPage { file, page: from })? {
            DiskReply::Page(page) => {
                let mut bytes: [u8; PAGE_SIZE] = *page.bytes();
                for bit in flips {
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
                Ok(DiskReply::Page(Arc::new(Page::from_bytes(&bytes))))
            }
            other => Ok(other),
        }
    }
}
