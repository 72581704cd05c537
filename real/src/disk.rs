//! The disk operations of an instance on real files.
//!
//! Everything is done at once and in order, but for syncs: those take long, and a thread of
//! their own carries them out. Syncs of one file that wait there together become one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use wavetank_store::{Directory, DiskError, DiskOp, DiskReply, DiskRequest, FileName};

/// How an operation ended.
pub(crate) type Completion = Result<DiskReply, DiskError>;

/// A directory with a thread that syncs its files.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: Directory,
    syncs: Sender<(DiskOp, FileName, File)>,
}

impl Disk {
    /// The disk of a store in `root`. What takes time is told to `done` later.
    pub(crate) fn new(
        root: &Path,
        done: impl Fn(DiskOp, Completion) + Send + 'static,
    ) -> io::Result<Disk> {
        let directory = Directory::new(root)?;
        let (syncs, waiting) = channel();
        thread::Builder::new().name("sync".into()).spawn(move || sync_files(&waiting, &done))?;
        Ok(Disk { directory, syncs })
    }

    /// Does what is asked; none when it will be told later.
    pub(crate) fn submit(&mut self, op: DiskOp, request: &DiskRequest) -> Option<Completion> {
        let DiskRequest::Sync { file } = *request else {
            return Some(self.directory.perform(request));
        };
        match self.directory.handle(file) {
            // Without its thread nothing can be made durable.
            Ok(handle) => match self.syncs.send((op, file, handle)) {
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

fn sync_files(
    waiting: &Receiver<(DiskOp, FileName, File)>,
    done: &(impl Fn(DiskOp, Completion) + Send),
) {
    while let Ok(first) = waiting.recv() {
        let mut files: BTreeMap<FileName, (File, Vec<DiskOp>)> = BTreeMap::new();
        for (op, name, handle) in std::iter::once(first).chain(waiting.try_iter()) {
            files.entry(name).or_insert_with(|| (handle, Vec::new())).1.push(op);
        }
        for (handle, ops) in files.into_values() {
            let synced = handle.sync_all().map(|()| DiskReply::Done).map_err(|_| DiskError::Io);
            for op in ops {
                done(op, synced.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_store::FileKind;

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
}
