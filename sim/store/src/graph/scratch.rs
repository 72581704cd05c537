//! What a directory that is only read would have got: writes are kept in memory, over the files.
//!
//! So a graph that was not closed can be recovered to be looked at, also on a medium that cannot
//! be written.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use alloc::sync::Arc;

use super::directory::read_at;
use crate::disk::{DiskReply, DiskRequest, FileName, PageNumber};
use crate::page::{PAGE_SIZE, Page};

/// In what units changes are kept.
const BLOCK: u64 = PAGE_SIZE as u64;

/// The files that were touched; none where there is no such file (any more).
#[derive(Debug, Default)]
pub(super) struct Scratch {
    files: BTreeMap<FileName, Option<Changed>>,
}

/// A file: blocks that were written, over the bytes of a file beneath.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// The file beneath, and how many bytes of it still count.
    beneath: Option<(PathBuf, u64)>,
    len: u64,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Scratch {
    /// Does what is asked of one file.
    pub(super) fn perform(&mut self, root: &Path, request: &DiskRequest) -> io::Result<DiskReply> {
        match request {
            DiskRequest::ReadPage { file, page } => {
                self.file(root, *file, false)?.page(*page).map(DiskReply::Page)
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = self.file(root, *file, false)?.read(*offset, u64::from(*len))?;
                Ok(DiskReply::Bytes(bytes.into()))
            }
            DiskRequest::WritePage { file, page, image } => {
                let place = u64::from(*page) * BLOCK;
                self.file(root, *file, true)?.write(place, image.bytes())?;
                Ok(DiskReply::Done)
            }
            DiskRequest::Append { file, bytes } => {
                let file = self.file(root, *file, true)?;
                file.write(file.len, bytes)?;
                Ok(DiskReply::Done)
            }
            DiskRequest::SetLen { file, len } => {
                self.file(root, *file, true)?.set_len(*len);
                Ok(DiskReply::Done)
            }
            DiskRequest::Sync { file } => {
                self.file(root, *file, false)?;
                Ok(DiskReply::Done)
            }
            DiskRequest::Rename { from, to } => {
                self.file(root, *from, false)?;
                let moved = self.files.insert(*from, None).flatten();
                self.files.insert(*to, moved);
                Ok(DiskReply::Done)
            }
            DiskRequest::Unlink { file } => {
                self.file(root, *file, false)?;
                self.files.insert(*file, None);
                Ok(DiskReply::Done)
            }
            DiskRequest::SyncDir | DiskRequest::List => Ok(DiskReply::Done),
        }
    }

    /// The files beneath with what has become of them.
    pub(super) fn list(&self, beneath: Vec<(FileName, u64)>) -> Vec<(FileName, u64)> {
        let mut files: BTreeMap<FileName, u64> = beneath.into_iter().collect();
        for (name, changed) in &self.files {
            match changed {
                Some(changed) => files.insert(*name, changed.len),
                None => files.remove(name),
            };
        }
        files.into_iter().collect()
    }

    /// A file that was touched.
    pub(super) fn known(&self, name: FileName) -> Option<&Changed> {
        self.files.get(&name)?.as_ref()
    }

    fn file(&mut self, root: &Path, name: FileName, create: bool) -> io::Result<&mut Changed> {
        let file = self.files.entry(name).or_insert_with(|| {
            let path = root.join(name.to_string());
            let len = fs::metadata(&path).ok()?.len();
            Some(Changed { beneath: Some((path, len)), len, blocks: BTreeMap::new() })
        });
        if create {
            file.get_or_insert_default();
        }
        file.as_mut().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl Changed {
    /// A page; [`ErrorKind::NotFound`] if it does not lie in the file as a whole.
    pub(super) fn page(&self, page: PageNumber) -> io::Result<Arc<Page>> {
        let bytes = self.read(u64::from(page) * BLOCK, BLOCK)?;
        let bytes: &[u8; PAGE_SIZE] =
            bytes.as_slice().try_into().map_err(|_| io::Error::from(ErrorKind::NotFound))?;
        Ok(Arc::new(Page::from_bytes(bytes)))
    }

    /// A block as a whole, with zeros where there is nothing.
    fn block(&self, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = self.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut bytes = match &self.beneath {
            Some((path, counts)) if number * BLOCK < *counts => {
                let len = BLOCK.min(counts - number * BLOCK) as u32;
                read_at(&mut File::open(path)?, number * BLOCK, len)?
            }
            _ => vec![],
        };
        bytes.resize(PAGE_SIZE, 0);
        Ok(bytes)
    }

    fn read(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        let end = offset.saturating_add(len).min(self.len);
        let mut bytes = vec![];
        let mut at = offset;
        while at < end {
            let (number, within) = (at / BLOCK, at % BLOCK);
            let until = BLOCK.min(within + (end - at));
            bytes.extend_from_slice(&self.block(number)?[within as usize..until as usize]);
            at += until - within;
        }
        Ok(bytes)
    }

    fn write(&mut self, offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        let mut at = offset;
        while !bytes.is_empty() {
            let (number, within) = (at / BLOCK, (at % BLOCK) as usize);
            let mut block = self.block(number)?;
            let (now, rest) = bytes.split_at(bytes.len().min(PAGE_SIZE - within));
            block[within..within + now.len()].copy_from_slice(now);
            self.blocks.insert(number, block);
            at += now.len() as u64;
            bytes = rest;
        }
        self.len = self.len.max(at);
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        if let Some((_, counts)) = &mut self.beneath {
            *counts = len.min(*counts);
        }
        self.blocks.split_off(&len.div_ceil(BLOCK));
        if let Some(block) = self.blocks.get_mut(&(len / BLOCK)) {
            block[(len % BLOCK) as usize..].fill(0);
        }
        self.len = len;
    }
}
