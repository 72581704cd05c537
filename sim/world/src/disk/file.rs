//! One file of the simulated disk: what is durable, and the writes that are pending.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_kernel::Stream;
use wavetank_store::{PAGE_SIZE, Page, PageNumber};

/// The unit in which a disk writes atomically.
pub(super) const SECTOR: usize = 512;

/// A file: its contents as far as durable, and what is pending.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) durable: Contents,
    pub(super) pending: Vec<Write>,
    /// Of the pending writes, the last one of each page.
    pub(super) latest: BTreeMap<PageNumber, Arc<Page>>,
    /// Among the pending writes is a change of the length.
    pub(super) is_cut: bool,
    /// Writes that are durable already, counted since the file began: a sync names the
    /// writes that it covers by this count, fixed when it is submitted.
    pub(super) settled: u64,
}

/// Contents by page where they were written by page, and by segment where appended.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) pages: Vec<Option<Arc<Page>>>,
    /// Appended segments with the offset of each.
    pub(super) segments: Vec<(u64, Arc<[u8]>)>,
    pub(super) len: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Page(PageNumber, Arc<Page>),
    Append(Arc<[u8]>),
    SetLen(u64),
}

impl File {
    /// How many writes there were since the file began.
    pub(super) fn total(&self) -> u64 {
        self.settled + self.pending.len() as u64
    }

    /// Operations and bytes that a sync has to write.
    pub(super) fn unsynced(&self) -> (u64, u64) {
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

    pub(super) fn submit(&mut self, write: Write) {
        match &write {
            Write::Page(number, image) => {
                self.latest.insert(*number, image.clone());
            }
            Write::SetLen(_) => self.is_cut = true,
            Write::Append(_) => {}
        }
        self.pending.push(write);
    }

    /// Makes the first writes durable, up to the `upto`-th since the file began.
    pub(super) fn settle(&mut self, upto: u64) {
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
        if self.is_cut {
            self.is_cut = self.pending.iter().any(|write| matches!(write, Write::SetLen(_)));
        }
    }

    pub(super) fn page(&self, number: PageNumber) -> Option<Arc<Page>> {
        if self.is_cut {
            // Only the order of the writes tells what is left of a page.
            return self.seen().page(number, |contents| contents.len);
        }
        match self.latest.get(&number) {
            Some(image) => Some(image.clone()),
            None => self.durable.page(number, |_| self.len()),
        }
    }

    /// The contents with all that is pending.
    pub(super) fn seen(&self) -> Contents {
        let mut contents = self.durable.clone();
        for write in &self.pending {
            contents.write(write.clone());
        }
        contents
    }

    pub(super) fn len(&self) -> u64 {
        self.pending.iter().fold(self.durable.len, |len, write| write.len_after(len))
    }

    pub(super) fn bytes(&self, offset: u64, len: u32) -> Vec<u8> {
        let within = !self.is_cut && offset + u64::from(len) <= self.durable.len;
        if self.pending.is_empty() || within && self.latest.is_empty() {
            return self.durable.bytes(offset, len);
        }
        self.seen().bytes(offset, len)
    }

    pub(super) fn lose_power(&mut self, stream: &mut Stream) {
        self.latest.clear();
        self.is_cut = false;
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
    pub(super) fn len_after(&self, len: u64) -> u64 {
        match self {
            Write::Page(page, _) => len.max((u64::from(*page) + 1) * PAGE_SIZE as u64),
            Write::Append(segment) => len + segment.len() as u64,
            Write::SetLen(new) => *new,
        }
    }
}

impl Contents {
    /// A page of a file that is as long as `len` says.
    pub(super) fn page(
        &self,
        number: PageNumber,
        len: impl Fn(&Contents) -> u64,
    ) -> Option<Arc<Page>> {
        let written = self.pages.get(number as usize).cloned().flatten();
        // A hole within the file reads as zeros.
        let hole = || Arc::new(Page::from_bytes(&[0; PAGE_SIZE]));
        written.or_else(|| (len(self) > u64::from(number) * PAGE_SIZE as u64).then(hole))
    }

    pub(super) fn write(&mut self, write: Write) {
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

    pub(super) fn cut(&mut self, len: u64) {
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
    pub(super) fn write_torn(&mut self, write: Write, stream: &mut Stream) {
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

    pub(super) fn bytes(&self, offset: u64, len: u32) -> Vec<u8> {
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
