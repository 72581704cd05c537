//! The folder of a soak's nodes: gone when the soak is, and when the soak was killed, taken away by
//! the next one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::system::Process;

/// How the name of such a folder begins; the number and the start time of its process follow,
/// and a number.
const PREFIX: &str = "wavetank-soak-";
/// The file by which such a folder is known as ours.
const MARK: &str = ".wavetank-soak";

/// A folder that is gone when this is dropped, with what is in it.
#[derive(Debug)]
pub struct WorkFolder(PathBuf);

impl WorkFolder {
    /// A new folder below `parent`. Those below it whose soaks have ended without taking them
    /// away, by SIGKILL or a loss of power, are removed; their names are given, too.
    ///
    /// # Errors
    /// When nothing can be made there.
    pub fn new(parent: &Path) -> io::Result<(WorkFolder, Vec<PathBuf>)> {
        fs::create_dir_all(parent)?;
        let parent = fs::canonicalize(parent)?;
        let removed = remove_stale(&parent);
        let me = Process::me().ok_or(io::ErrorKind::NotFound)?;
        let mut number = 0;
        loop {
            let name = format!("{PREFIX}{}-{}-{number}", me.pid, me.started);
            let path = parent.join(name);
            // Made anew, or not ours.
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => {
                    made?;
                    let folder = WorkFolder(path);
                    fs::write(folder.0.join(MARK), "made by wavetank soak\n")?;
                    return Ok((folder, removed));
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // It was made by this process and holds what its nodes wrote.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The process that a folder of that name belongs to.
fn owner(name: &str) -> Option<Process> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let pid = parts.next()?.parse().ok()?;
    let started = parts.next()?.parse().ok()?;
    let _number: u32 = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(Process { pid, started })
}

/// Removes folders with our names and our mark whose process has ended.
fn remove_stale(parent: &Path) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let Some(owner) = entry.file_name().to_str().and_then(owner) else { continue };
        let path = entry.path();
        // Never through a link.
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let marked =
            fs::symlink_metadata(path.join(MARK)).is_ok_and(|mark| mark.file_type().is_file());
        if folder && marked && !owner.runs() && fs::remove_dir_all(&path).is_ok() {
            removed.push(path);
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_soaks_that_are_over_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, marked: bool| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            if marked {
                fs::write(path.join(MARK), "").unwrap();
            }
            path
        };
        let me = Process::me().unwrap();
        let running = make(&format!("{PREFIX}{}-{}-7", me.pid, me.started), true);
        // The same number, and another start: the number was given away again.
        let stale = make(&format!("{PREFIX}{}-{}-0", me.pid, me.started + 1), true);
        let unmarked = make(&format!("{PREFIX}{}-{}-1", me.pid, me.started + 1), false);
        let others = make("wavetank-soak-mine", true);
        let (folder, removed) = WorkFolder::new(parent.path()).unwrap();
        assert_eq!(
            removed,
            [fs::canonicalize(parent.path()).unwrap().join(stale.file_name().unwrap())]
        );
        assert!(running.exists() && unmarked.exists() && others.exists() && !stale.exists());
        let place = folder.path().to_owned();
        assert!(place.exists());
        drop(folder);
        assert!(!place.exists());
    }
}
