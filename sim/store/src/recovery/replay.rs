//! The log behind the checkpoint: which files there are, what is replayed, where it ends.

use alloc::vec;
use alloc::vec::Vec;
use wavetank_vocabulary::{PlantedBugs, TxId};

use super::{Next, Opening, Stage};
use crate::disk::{DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::io::Purpose;
use crate::journal::LogFile;
use crate::log::{FRAME, Framed, LogHeader, TxRecord, read_frame};
use crate::store::{Ledger, Stop, Store};

/// Bytes of the log that are read at once.
const READ_AHEAD: u64 = 256 << 10;

impl Store {
    /// Finds the log files: an unbroken row of versions that ends with the last.
    pub(super) fn read_log_headers(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
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

    pub(super) fn submit_header_reads(&mut self, opening: &mut Opening) {
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

    pub(super) fn take_headers(&mut self, opening: &mut Opening) -> Result<(), StoreError> {
        let needed = opening.position.version;
        let last = opening.headers.last_key_value().map_or(0, |(version, _)| *version);
        for (version, header) in &opening.headers {
            let file = FileName::log(*version);
            let length = opening.files[&file];
            match header {
                Some(header)
                    if header.store_id == opening.store_id
                        && (*version > needed || header.base.tx <= opening.position.mark.tx) =>
                {
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
    pub(super) fn replay(&mut self, opening: &mut Opening) -> Result<Next, StoreError> {
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
                        return self.end_of_log(opening, left);
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

    /// Cuts what a crash left behind the last transaction, and makes the rest durable. No page
    /// is written before its transactions are durable in the log: a log that ends before them
    /// was not cut off by a crash.
    fn end_of_log(&mut self, opening: &mut Opening, cut: u64) -> Result<Next, StoreError> {
        let (last, newest) = (opening.position.mark.tx, opening.newest.max(self.versions.newest));
        if last.0 < newest {
            let file = FileName::log(opening.position.version);
            return Err(StoreError::LogCutOff { file, last, newest: TxId(newest) });
        }
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
        Ok(Next::Script(stages))
    }

    /// Applies a transaction of the log. False if a page must be waited for.
    fn replay_one(&mut self, record: &TxRecord) -> Result<bool, StoreError> {
        match self.apply_images(record, false, &mut Ledger::default()) {
            Ok(()) => Ok(true),
            Err(Stop::Wait(_)) => Ok(false),
            Err(Stop::Failed(error)) => Err(error),
        }
    }
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
