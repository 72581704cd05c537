//! A directory of the file system as a disk: does one operation at a time, to its end.
//!
//! On Unix the directory itself is locked (`flock`) as long as it is open: by one process that
//! writes, or by any number that only read. The system gives a dead process's lock back.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::vec::Vec;

use alloc::sync::Arc;

use super::scratch::Scratch;
use crate::audit::PageSource;
use crate::disk::{DiskError, DiskReply, DiskRequest, FileKind, FileName, PageNumber};
use crate::image::{Image, ImageFile};
use crate::page::{PAGE_SIZE, Page};

/// The files of a store in one directory; branches in `branched/N` below it.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    open: BTreeMap<FileName, File>,
    /// Held as long as this is.
    _lock: Option<File>,
    /// What was written, if the files themselves are to stay as they are.
    scratch: Option<Scratch>,
    /// What the system said about the last operation that failed.
    pub last_error: Option<io::Error>,
    /// Writes find no space.
    #[cfg(test)]
    pub(super) full: bool,
}

impl Directory {
    /// Makes the directory if it is not there, and takes it for this process alone.
    ///
    /// # Errors
    /// When it cannot be made or locked; [`ErrorKind::ResourceBusy`] when it is open already.
    pub fn new(root: &Path) -> io::Result<Directory> {
        if !root.is_dir() {
            fs::create_dir_all(root)?;
            // The new name must survive a power loss as well.
            if let Some(parent) = root.canonicalize()?.parent() {
                sync_directory(parent)?;
            }
        }
        let lock = lock(root, File::try_lock)?;
        Ok(Directory::locked(root, lock))
    }

    /// Takes a directory together with others that only read. What is written to it is kept in
    /// memory and forgotten with it.
    pub(super) fn to_read(root: &Path) -> io::Result<Directory> {
        let lock = lock(root, File::try_lock_shared)?;
        Ok(Directory { scratch: Some(Scratch::default()), ..Directory::locked(root, lock) })
    }

    fn locked(root: &Path, lock: Option<File>) -> Directory {
        Directory {
            root: root.to_path_buf(),
            open: BTreeMap::new(),
            _lock: lock,
            scratch: None,
            last_error: None,
            #[cfg(test)]
            full: false,
        }
    }

    /// Whether the files stay as they are.
    pub(super) fn is_only_read(&self) -> bool {
        self.scratch.is_some()
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
                kind if is_full(kind) => DiskError::NoSpace,
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
        if let Some(scratch) = &mut self.scratch {
            return match request {
                DiskRequest::List => Ok(DiskReply::Files(scratch.list(list(&self.root)?))),
                request => scratch.perform(&self.root, request),
            };
        }
        match request {
            DiskRequest::ReadPage { file, page } => {
                read_page(self.existing(*file)?, *page).map(DiskReply::Page)
            }
            DiskRequest::ReadAt { file, offset, len } => {
                let bytes = read_at(self.existing(*file)?, *offset, *len)?;
                Ok(DiskReply::Bytes(bytes.into()))
            }
            DiskRequest::WritePage { file, page, image } => {
                let place = SeekFrom::Start(u64::from(*page) * PAGE_SIZE as u64);
                write_at(self.created(*file)?, place, image.bytes())
            }
            DiskRequest::Append { file, bytes } => {
                write_at(self.created(*file)?, SeekFrom::End(0), bytes)
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
                for directory in directories(&self.root)? {
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
            DiskRequest::List => list(&self.root).map(DiskReply::Files),
        }
    }

    /// Lays the files of an image down and makes them durable, the meta file last: a crash
    /// before the end leaves no store.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn lay_down(&mut self, image: &Image) -> io::Result<()> {
        for (is_meta, (name, contents)) in image.meta_last() {
            if is_meta {
                sync_directory(&self.root)?;
            }
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

    /// The bytes of each file of the store.
    pub(crate) fn sizes(&self) -> io::Result<BTreeMap<String, u64>> {
        Ok(list(&self.root)?.into_iter().map(|(name, size)| (name.to_string(), size)).collect())
    }
}

/// The root, and below it the branches with the directory that holds them.
fn directories(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::from([root.to_path_buf()]);
    let branches = root.join("branched");
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

/// All files that have a store file's name.
fn list(root: &Path) -> io::Result<Vec<(FileName, u64)>> {
    let mut files = Vec::new();
    for directory in directories(root)? {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let Ok(inside) = path.strip_prefix(root) else { continue };
            let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
            if let Some(name) = parts.and_then(|parts| FileName::parse(&parts.join("/"))) {
                files.push((name, entry.metadata()?.len()));
            }
        }
    }
    Ok(files)
}

/// Whether an error says that there is no room: on the disk, or in what its owner may use.
pub(super) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// Locks a directory without waiting.
fn lock(root: &Path, how: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<Option<File>> {
    if !cfg!(unix) {
        return Ok(None);
    }
    let directory = File::open(root)?;
    match how(&directory) {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => {
            let what = "a graph is open in it, maybe in another process";
            Err(io::Error::new(ErrorKind::ResourceBusy, what))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Reads a page; [`ErrorKind::NotFound`] if it does not lie in the file as a whole.
fn read_page(file: &mut (impl Read + Seek), page: PageNumber) -> io::Result<Arc<Page>> {
    let mut bytes = [0; PAGE_SIZE];
    file.seek(SeekFrom::Start(u64::from(page) * PAGE_SIZE as u64))?;
    // This goes on after short and after interrupted reads.
    file.read_exact(&mut bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => ErrorKind::NotFound.into(),
        _ => error,
    })?;
    Ok(Arc::new(Page::from_bytes(&bytes)))
}

/// Reads so many bytes, fewer at the file's end.
pub(super) fn read_at(file: &mut (impl Read + Seek), offset: u64, len: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(offset))?;
    file.take(u64::from(len)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_at(
    file: &mut (impl Write + Seek),
    place: SeekFrom,
    bytes: &[u8],
) -> io::Result<DiskReply> {
    file.seek(place)?;
    file.write_all(bytes)?;
    Ok(DiskReply::Done)
}

impl PageSource for Directory {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        match self.scratch.as_ref().and_then(|scratch| scratch.known(file)) {
            Some(changed) => changed.page(page).ok(),
            None => read_page(&mut File::open(self.path(file)).ok()?, page).ok(),
        }
    }
}

/// Whether a directory holds files of records.
pub(crate) fn holds_records(root: &Path) -> bool {
    list(root).is_ok_and(|files| files.iter().any(|(name, _)| name.is_live_record()))
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
mod tests;
