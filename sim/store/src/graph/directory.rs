//! A directory of the file system as a disk: does one operation at a time, to its end.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use alloc::sync::Arc;

use crate::audit::PageSource;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName, PageNumber};
use crate::image::{Image, ImageFile};
use crate::page::{PAGE_SIZE, Page};

/// The files of a store in one directory; branches in `branched/N` below it.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    open: BTreeMap<FileName, File>,
    /// What the system said about the last operation that failed.
    pub last_error: Option<io::Error>,
    /// Writes find no space.
    #[cfg(test)]
    pub(super) full: bool,
}

impl Directory {
    /// Makes the directory if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(root: &Path) -> io::Result<Directory> {
        if !root.is_dir() {
            fs::create_dir_all(root)?;
            // The new name must survive a power loss as well.
            if let Some(parent) = root.canonicalize()?.parent() {
                sync_directory(parent)?;
            }
        }
        Ok(Directory {
            root: root.to_path_buf(),
            open: BTreeMap::new(),
            last_error: None,
            #[cfg(test)]
            full: false,
        })
    }

    /// Where the files are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// What the store is told; what the system said is in [`Self::last_error`].
    pub fn perform(&mut self, request: &DiskRequest) -> Result<DiskReply, DiskError> {
        self.attempt(request).map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::NotFound => DiskError::NotFound,
                ErrorKind::StorageFull => DiskError::NoSpace,
                _ => DiskError::Io,
            };
            self.last_error = Some(error);
            kind
        })
    }

    fn attempt(&mut self, request: &DiskRequest) -> io::Result<DiskReply> {
        #[cfg(test)]
        if self.full
            && matches!(request, DiskRequest::WritePage { .. } | DiskRequest::Append { .. })
        {
            return Err(ErrorKind::StorageFull.into());
        }
        match request {
            DiskRequest::ReadPage { file, page } => {
                let mut bytes = [0; PAGE_SIZE];
                let file = self.existing(*file)?;
                file.seek(SeekFrom::Start(u64::from(*page) * PAGE_SIZE as u64))?;
                file.read_exact(&mut bytes).map_err(|error| match error.kind() {
                    ErrorKind::UnexpectedEof => ErrorKind::NotFound.into(),
                    _ => error,
                })?;
                Ok(DiskReply::Page(Arc::new(Page::from_bytes(&bytes))))
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let mut bytes = Vec::new();
                let file = self.existing(*file)?;
                file.seek(SeekFrom::Start(*offset))?;
                file.take(u64::from(*len)).read_to_end(&mut bytes)?;
                Ok(DiskReply::Bytes(bytes.into()))
            }
            DiskRequest::WritePage { file, page, image } => {
                let file = self.created(*file)?;
                file.seek(SeekFrom::Start(u64::from(*page) * PAGE_SIZE as u64))?;
                file.write_all(image.bytes())?;
                Ok(DiskReply::Done)
            }
            DiskRequest::Append { file, bytes } => {
                let file = self.created(*file)?;
                file.seek(SeekFrom::End(0))?;
                file.write_all(bytes)?;
                Ok(DiskReply::Done)
            }
            DiskRequest::SetLen { file, len } => {
                self.created(*file)?.set_len(*len)?;
                Ok(DiskReply::Done)
            }
            DiskRequest::Sync { file } => {
                self.existing(*file)?.sync_all()?;
                Ok(DiskReply::Done)
            }
            DiskRequest::SyncDir => {
                for directory in self.directories()? {
                    sync_directory(&directory)?;
                }
                Ok(DiskReply::Done)
            }
            DiskRequest::Rename { from, to } => {
                self.open.remove(from);
                self.open.remove(to);
                let target = self.path(*to);
                if let Some(directory) = target.parent() {
                    fs::create_dir_all(directory)?;
                }
                fs::rename(self.path(*from), target)?;
                Ok(DiskReply::Done)
            }
            DiskRequest::Unlink { file } => {
                self.open.remove(file);
                fs::remove_file(self.path(*file))?;
                Ok(DiskReply::Done)
            }
            DiskRequest::List => self.list().map(DiskReply::Files),
        }
    }

    /// Lays the files of an image down and makes them durable.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn lay_down(&mut self, image: &Image) -> io::Result<()> {
        for (name, contents) in &image.files {
            let mut file = io::BufWriter::with_capacity(1 << 20, File::create(self.path(*name))?);
            match contents {
                ImageFile::Pages(pages) => {
                    for page in pages {
                        file.write_all(page.bytes())?;
                    }
                }
                ImageFile::Bytes(bytes) => file.write_all(bytes)?,
            }
            file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        sync_directory(&self.root)
    }

    /// Whether there is a store in it.
    pub fn holds_store(&self) -> bool {
        is_store(&self.root)
    }

    /// A second handle of a file, so that another thread can sync it.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn handle(&mut self, file: FileName) -> io::Result<File> {
        self.existing(file)?.try_clone()
    }

    fn path(&self, file: FileName) -> PathBuf {
        self.root.join(file.to_string())
    }

    fn existing(&mut self, file: FileName) -> io::Result<&mut File> {
        self.opened(file, false)
    }

    fn created(&mut self, file: FileName) -> io::Result<&mut File> {
        self.opened(file, true)
    }

    fn opened(&mut self, name: FileName, create: bool) -> io::Result<&mut File> {
        let path = self.path(name);
        match self.open.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => Ok(entry.into_mut()),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create(create).truncate(false);
                Ok(entry.insert(options.open(path)?))
            }
        }
    }

    /// Whether there are bytes in a file.
    pub(crate) fn is_written(&self, file: FileName) -> bool {
        fs::metadata(self.path(file)).is_ok_and(|metadata| metadata.len() > 0)
    }

    /// The root, and below it the branches with the directory that holds them.
    fn directories(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::from([self.root.clone()]);
        let branches = self.root.join("branched");
        if branches.is_dir() {
            for entry in fs::read_dir(&branches)? {
                let path = entry?.path();
                if path.is_dir() {
                    found.push(path);
                }
            }
            found.push(branches);
        }
        Ok(found)
    }

    /// The bytes of each file of the store.
    pub(crate) fn sizes(&self) -> io::Result<BTreeMap<String, u64>> {
        Ok(self.list()?.into_iter().map(|(name, size)| (name.to_string(), size)).collect())
    }

    /// All files that have a store file's name.
    fn list(&self) -> io::Result<Vec<(FileName, u64)>> {
        let mut files = Vec::new();
        for directory in self.directories()? {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let path = entry.path();
                let Ok(inside) = path.strip_prefix(&self.root) else { continue };
                let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
                if let Some(name) = parts.and_then(|parts| FileName::parse(&parts.join("/"))) {
                    files.push((name, entry.metadata()?.len()));
                }
            }
        }
        Ok(files)
    }
}

impl PageSource for Directory {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        let mut bytes = [0; PAGE_SIZE];
        let mut opened = File::open(self.path(file)).ok()?;
        opened.seek(SeekFrom::Start(u64::from(page) * PAGE_SIZE as u64)).ok()?;
        opened.read_exact(&mut bytes).ok()?;
        Some(Arc::new(Page::from_bytes(&bytes)))
    }
}

/// Whether a directory holds the files of a store.
pub(crate) fn is_store(root: &Path) -> bool {
    let meta = FileName::live(FileKind::Meta).to_string();
    root.join(meta).is_file()
}

/// Makes the names in a directory durable, where the system can do that.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model::{History, create_tokens, random_transactions};
    use crate::testing::{Dice, MemoryDisk, Rig};
    use crate::*;

    /// Everything that a store asks of a disk in a long, varied life.
    fn recorded_life() -> Vec<(DiskRequest, Result<DiskReply, DiskError>)> {
        let config = StoreConfig {
            frames: 5,
            log_rotation_threshold: wavetank_vocabulary::Bytes::kib(8),
            checkpoint_interval_tx: 20,
            log_retention: crate::LogRetention::None,
            free_frames: 1,
            ..StoreConfig::default()
        };
        let mut disk = MemoryDisk::default();
        disk.record = Some(Vec::new());
        let mut rig = Rig::open(config, disk);
        rig.store.create();
        rig.run();
        let mut history = History::default();
        create_tokens(&mut rig, &mut history).unwrap();
        random_transactions(&mut rig, &mut history, 60, &mut Dice(11)).unwrap();
        let mut rig = rig.crash();
        random_transactions(&mut rig, &mut history, 30, &mut Dice(12)).unwrap();
        // A torn tail to cut, and a branch to set aside.
        let log = rig.disk.names().into_iter().rfind(|file| file.kind == FileKind::Log).unwrap();
        let torn = DiskRequest::Append { file: log, bytes: [7; 40].as_slice().into() };
        rig.disk.perform(&torn).unwrap();
        let mut rig = rig.crash();
        rig.store.set_aside(1);
        rig.run();
        rig.store.create();
        rig.run();
        rig.disk.record.take().unwrap()
    }

    #[test]
    fn real_files_answer_like_the_disk_of_the_tests() {
        let life = recorded_life();
        assert!(life.iter().any(|(request, _)| matches!(request, DiskRequest::SetLen { .. })));
        assert!(life.iter().any(|(request, _)| matches!(request, DiskRequest::Unlink { .. })));
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Directory::new(&directory.path().join("deep/store")).unwrap();
        for (request, expected) in life {
            let mut answer = disk.perform(&request);
            if let Ok(DiskReply::Files(files)) = &mut answer {
                files.sort_unstable();
            }
            assert_eq!(answer, expected, "{request:?}");
        }
    }

    #[test]
    fn what_is_missing_is_reported_as_missing() {
        let directory = tempfile::tempdir().unwrap();
        let mut disk = Directory::new(directory.path()).unwrap();
        let file = FileName::live(FileKind::Nodes);
        let missing = [
            DiskRequest::ReadPage { file, page: 0 },
            DiskRequest::Sync { file },
            DiskRequest::Unlink { file },
            DiskRequest::Rename { from: file, to: FileName { area: 1, ..file } },
        ];
        for request in missing {
            assert_eq!(disk.perform(&request), Err(DiskError::NotFound), "{request:?}");
        }
        let image = Arc::new(Page::empty(FileKind::Nodes, 0).sealed(1));
        disk.perform(&DiskRequest::WritePage { file, page: 0, image }).unwrap();
        let behind = DiskRequest::ReadPage { file, page: 1 };
        assert_eq!(disk.perform(&behind), Err(DiskError::NotFound));
        assert!(PageSource::page(&disk, file, 0).is_some() && disk.page(file, 1).is_none());
    }
}
