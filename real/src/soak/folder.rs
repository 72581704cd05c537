//! A folder for files that nobody needs later, such as those of a soak's nodes: gone when its
//! process is, and when that was killed, taken away by the next one for the same purpose.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::system::Process;

/// How the name of such a folder begins: its process and a number follow.
fn prefix(purpose: &str) -> String {
    format!("wavetank-{purpose}-")
}

/// The file by which such a folder is known as ours.
fn mark(purpose: &str) -> String {
    format!(".wavetank-{purpose}")
}

/// A folder that is gone when this is dropped, with what is in it.
#[derive(Debug)]
pub struct WorkFolder(PathBuf);

impl WorkFolder {
    /// A new folder below `parent`, for a purpose that is a plain word (`soak`). Those below it for
    /// the same one whose processes have ended without taking them away, by SIGKILL or a loss of
    /// power, are removed; their names are given, too.
    ///
    /// # Errors
    /// When nothing can be made there.
    pub fn new(parent: &Path, purpose: &str) -> io::Result<(WorkFolder, Vec<PathBuf>)> {
        fs::create_dir_all(parent)?;
        let parent = fs::canonicalize(parent)?;
        let removed = remove_stale(&parent, purpose);
        let me = Process::me().ok_or(io::ErrorKind::NotFound)?;
        let mut number = 0;
        loop {
            let path = parent.join(format!("{}{me}-{number}", prefix(purpose)));
            // Made anew, or not ours.
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                made => {
                    made?;
                    let folder = WorkFolder(path);
                    let text = format!("made by wavetank {purpose}\n");
                    fs::write(folder.0.join(mark(purpose)), text)?;
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
        // It was made by this process and holds what that and its nodes wrote.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The process that a folder of that name belongs to.
fn owner(name: &str, purpose: &str) -> Option<Process> {
    let (owner, number) = name.strip_prefix(&prefix(purpose))?.rsplit_once('-')?;
    number.parse::<u32>().ok()?;
    owner.parse().ok()
}

/// Removes folders with our names and our mark whose process has ended.
fn remove_stale(parent: &Path, purpose: &str) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(|name| owner(name, purpose)) else { continue };
        let path = entry.path();
        // Never through a link.
        let folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let marked =
            fs::symlink_metadata(path.join(mark(purpose))).is_ok_and(|mark| mark.is_file());
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
                fs::write(path.join(mark("soak")), "").unwrap();
            }
            path
        };
        let me = Process::me().unwrap();
        let running = make(&format!("wavetank-soak-{me}-7"), true);
        // The same number, and another start: the number was given away again.
        let gone = Process { started: me.started + 1, ..me };
        let stale = make(&format!("wavetank-soak-{gone}-0"), true);
        let unmarked = make(&format!("wavetank-soak-{gone}-1"), false);
        let for_another = make(&format!("wavetank-calibrate-{gone}-0"), true);
        let others = make("wavetank-soak-mine", true);
        let (folder, removed) = WorkFolder::new(parent.path(), "soak").unwrap();
        assert_eq!(
            removed,
            [fs::canonicalize(parent.path()).unwrap().join(stale.file_name().unwrap())]
        );
        assert!(running.exists() && unmarked.exists() && for_another.exists() && others.exists());
        assert!(!stale.exists());
        let place = folder.path().to_owned();
        assert!(place.exists());
        drop(folder);
        assert!(!place.exists());
    }
}
