//! The disk operations of an instance on real files.
//!
//! Everything is done at once and in order, but for syncs: those take long, and a thread of
//! their own carries them out. Syncs of one file that wait there together become one.
//!
//! A soak plays faults of disks here: operations fail, take longer, or get no answer for a while.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use wavetank_store::{Directory, DiskError, DiskOp, DiskReply, DiskRequest, PAGE_SIZE};
use wavetank_world::DiskState;

/// How an operation ended.
pub(crate) type Completion = Result<DiskReply, DiskError>;

/// A directory with a thread that syncs its files.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: Directory,
    syncs: Sender<(DiskOp, File)>,
    state: DiskState,
    /// [`DiskState::slower`], for the thread that syncs.
    slower: Arc<AtomicU32>,
    /// What a disk that is stalled was asked.
    held: Vec<(DiskOp, DiskRequest)>,
    /// Faults that lay in wait and have struck, until they are told.
    struck: Vec<u16>,
}

impl Disk {
    /// The disk of a store in `root`. What takes time is told to `done` later.
    pub(crate) fn new(
        root: &Path,
        done: impl Fn(DiskOp, Completion) + Send + 'static,
    ) -> io::Result<Disk> {
        let directory = Directory::new(root)?;
        let (syncs, waiting) = channel();
        let slower = Arc::new(AtomicU32::new(0));
        let how_slow = slower.clone();
        let sync = move || sync_files(&waiting, &how_slow, &done);
        thread::Builder::new().name("sync".into()).spawn(sync)?;
        let (state, held, struck) = (DiskState::default(), Vec::new(), Vec::new());
        Ok(Disk { directory, syncs, state, slower, held, struck })
    }

    /// What is wrong with it from now on. Gives what was held back and has ended now.
    pub(crate) fn set_state(&mut self, state: DiskState) -> Vec<(DiskOp, Completion)> {
        self.state = state;
        self.slower.store(state.slower, Ordering::Relaxed);
        if state.stalled {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        let ended = |(op, request): (DiskOp, DiskRequest)| Some((op, self.submit(op, &request)?));
        held.into_iter().filter_map(ended).collect()
    }

    /// A fault that lay in wait and has struck since this was last asked.
    pub(crate) fn struck(&mut self) -> Option<u16> {
        self.struck.pop()
    }

    /// How a sick disk ends an operation at once; none when it goes its usual way.
    fn fails(&mut self, request: &DiskRequest) -> Option<DiskError> {
        if self.state == DiskState::default() {
            return None;
        }
        if self.state.gone || request.changes() && self.state.read_only {
            return Some(DiskError::Io);
        }
        let (fault, error) = match request {
            DiskRequest::WritePage { .. }
            | DiskRequest::Append { .. }
            | DiskRequest::SetLen { .. } => match self.state.full.filter(|_| self.grows(request)) {
                Some(full) => (Some(full), DiskError::NoSpace),
                None => (self.state.write_error.take(), DiskError::Io),
            },
            DiskRequest::Sync { .. } => (self.state.sync_error.take(), DiskError::Io),
            _ => (None, DiskError::Io),
        };
        self.struck.push(fault?);
        Some(error)
    }

    /// Whether a write makes its file longer.
    fn grows(&mut self, request: &DiskRequest) -> bool {
        let (file, end) = match *request {
            DiskRequest::WritePage { file, page, .. } => {
                (file, (u64::from(page) + 1) * PAGE_SIZE as u64)
            }
            DiskRequest::SetLen { file, len } => (file, len),
            _ => return true,
        };
        let long = self.directory.handle(file).and_then(|handle| handle.metadata());
        long.map_or(true, |file| end > file.len())
    }

    /// Does what is asked; none when it will be told later.
    pub(crate) fn submit(&mut self, op: DiskOp, request: &DiskRequest) -> Option<Completion> {
        if self.state.stalled {
            self.held.push((op, request.clone()));
            return None;
        }
        if let Some(error) = self.fails(request) {
            return Some(Err(error));
        }
        let DiskRequest::Sync { file } = *request else {
            let began = Instant::now();
            let done = self.directory.perform(request);
            drag(began, self.state.slower);
            return Some(done);
        };
        match self.directory.handle(file) {
            // Without its thread nothing can be made durable.
            Ok(handle) => match self.syncs.send((op, handle)) {
                Ok(()) => None,
                Err(_) => Some(Err(DiskError::Io)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Err(DiskError::NotFound)),
            Err(_) => Some(Err(DiskError::Io)),
        }
    }

    /// The files themselves.
    pub(crate) fn directory(&mut self) -> &mut Directory {
        &mut self.directory
    }
}

/// Lets what has begun then take so many thousandths of its time longer.
fn drag(began: Instant, slower: u32) {
    if slower > 0 {
        thread::sleep(began.elapsed() * slower / 1_000);
    }
}

/// Each file once, with all syncs of it. Files are told apart by what they are: their names may have
/// been given to others meanwhile.
fn each_once(syncs: impl Iterator<Item = (DiskOp, File)>) -> Vec<(File, Vec<DiskOp>)> {
    let mut files: Vec<(File, Vec<DiskOp>)> = Vec::new();
    let mut places = BTreeMap::new();
    for (op, file) in syncs {
        let next = files.len();
        let place = match file.metadata() {
            Ok(metadata) => *places.entry((metadata.dev(), metadata.ino())).or_insert(next),
            // Which file it is cannot be told, so it has a sync of its own.
            Err(_) => next,
        };
        if place == next {
            files.push((file, Vec::new()));
        }
        files[place].1.push(op);
    }
    files
}

fn sync_files(
    waiting: &Receiver<(DiskOp, File)>,
    slower: &AtomicU32,
    done: &(impl Fn(DiskOp, Completion) + Send),
) {
    while let Ok(first) = waiting.recv() {
        for (handle, ops) in each_once(std::iter::once(first).chain(waiting.try_iter())) {
            let began = Instant::now();
            let synced = handle.sync_all().map(|()| DiskReply::Done).map_err(|_| DiskError::Io);
            drag(began, slower.load(Ordering::Relaxed));
            for op in ops {
                done(op, synced.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_store::{FileKind, FileName};

    #[test]
    fn syncs_are_told_later_and_the_rest_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (tell, told) = channel();
        let done = move |op, result| tell.send((op, result)).unwrap();
        let mut disk = Disk::new(directory.path(), done).unwrap();
        let file = FileName::live(FileKind::Nodes);
        let missing = disk.submit(DiskOp(0), &DiskRequest::Sync { file });
        assert_eq!(missing, Some(Err(DiskError::NotFound)));
        let append = DiskRequest::Append { file, bytes: b"hello".as_slice().into() };
        assert_eq!(disk.submit(DiskOp(1), &append), Some(Ok(DiskReply::Done)));
        for op in 2..6 {
            assert_eq!(disk.submit(DiskOp(op), &DiskRequest::Sync { file }), None);
        }
        for op in 2..6 {
            assert_eq!(told.recv().unwrap(), (DiskOp(op), Ok(DiskReply::Done)));
        }
    }

    #[test]
    fn a_file_that_took_the_name_of_another_has_a_sync_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes");
        let make = || File::create(&path).unwrap();
        let old = make();
        let again = File::open(&path).unwrap();
        std::fs::rename(&path, folder.path().join("set-aside")).unwrap();
        let new = make();
        let syncs = [(DiskOp(1), old), (DiskOp(2), again), (DiskOp(3), new)];
        let files = each_once(syncs.into_iter());
        let ops: Vec<_> = files.into_iter().map(|(_, ops)| ops).collect();
        assert_eq!(ops, [vec![DiskOp(1), DiskOp(2)], vec![DiskOp(3)]]);
    }

    #[test]
    fn a_sick_disk_fails_waits_and_recovers() {
        let directory = tempfile::tempdir().unwrap();
        let (tell, told) = channel();
        let done = move |op, result| tell.send((op, result)).unwrap();
        let mut disk = Disk::new(directory.path(), done).unwrap();
        let file = FileName::live(FileKind::Nodes);
        let append = DiskRequest::Append { file, bytes: b"hello".as_slice().into() };
        let well = DiskState::default();
        // Full: what makes a file longer fails, as long as the fault lasts.
        disk.set_state(DiskState { full: Some(3), ..well });
        for op in 0..2 {
            assert_eq!(disk.submit(DiskOp(op), &append), Some(Err(DiskError::NoSpace)));
            assert_eq!(disk.struck(), Some(3));
        }
        let cut = DiskRequest::SetLen { file, len: 0 };
        disk.set_state(well);
        assert_eq!(disk.submit(DiskOp(2), &append), Some(Ok(DiskReply::Done)));
        disk.set_state(DiskState { full: Some(3), ..well });
        assert_eq!(disk.submit(DiskOp(3), &cut), Some(Ok(DiskReply::Done)));
        assert_eq!(disk.struck(), None);
        // Errors strike once.
        disk.set_state(DiskState { sync_error: Some(4), ..well });
        let sync = DiskRequest::Sync { file };
        assert_eq!(disk.submit(DiskOp(4), &sync), Some(Err(DiskError::Io)));
        assert_eq!(disk.struck(), Some(4));
        assert_eq!(disk.submit(DiskOp(5), &sync), None);
        assert_eq!(told.recv().unwrap(), (DiskOp(5), Ok(DiskReply::Done)));
        // Stalled: answers come later, and in order.
        disk.set_state(DiskState { stalled: true, ..well });
        assert_eq!(disk.submit(DiskOp(6), &append), None);
        assert_eq!(disk.submit(DiskOp(7), &append), None);
        let ended = disk.set_state(well);
        assert_eq!(ended, [(DiskOp(6), Ok(DiskReply::Done)), (DiskOp(7), Ok(DiskReply::Done))]);
        disk.set_state(DiskState { gone: true, ..well });
        assert_eq!(disk.submit(DiskOp(8), &DiskRequest::List), Some(Err(DiskError::Io)));
        disk.set_state(DiskState { read_only: true, ..well });
        assert_eq!(disk.submit(DiskOp(9), &append), Some(Err(DiskError::Io)));
        assert!(disk.submit(DiskOp(10), &DiskRequest::List).unwrap().is_ok());
        disk.set_state(DiskState { slower: 2_000, ..well });
        assert_eq!(disk.submit(DiskOp(11), &append), Some(Ok(DiskReply::Done)));
    }
}
