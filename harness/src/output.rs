//! What a run leaves: a folder that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wavetank_kernel::Digest;
use wavetank_reports::{Capsule, Provenance};
use wavetank_scenario::to_text;
use wavetank_world::Plan;

use crate::exit::Exit;
use crate::play::Played;

/// The file by which a folder is known to be ours.
const MARK: &str = ".wavetank";

/// Everything that a run leaves. Nothing else is ever removed, and no folder is removed with
/// what is in it: so a wrong `--out` cannot cost anybody anything.
const FILES: [&str; 6] =
    [MARK, "result.json", "report.html", "series.csv", "plan.toml", "failure.txt"];

/// Why results could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The path names no folder of its own.
    #[error("`{}` cannot be the folder of a run: expected a path that ends with a name", .0.display())]
    NoName(PathBuf),
    /// The folder holds something that is not ours.
    #[error("{} holds {found}, which was not made by wavetank: it is left as it is", path.display())]
    NotOurs {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        found: String,
    },
    /// Something that is not a folder is in the way.
    #[error("{} is not a folder: it is left as it is", .0.display())]
    NotAFolder(PathBuf),
    /// The file system said no.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OutputError {
    /// How the command ends: a full disk may pass, a wrong path does not.
    pub fn exit(&self) -> Exit {
        match self {
            OutputError::NoName(_) | OutputError::NotOurs { .. } | OutputError::NotAFolder(_) => {
                Exit::Input
            }
            OutputError::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::Interrupted => Exit::Surroundings,
                _ => Exit::Input,
            },
        }
    }
}

fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, OutputError> {
    result.map_err(|source| OutputError::Io { path: path.to_owned(), source })
}

/// What a report tells about a run besides what happened in it.
#[derive(Clone, Debug)]
pub struct Background {
    /// What plays it again.
    pub command: String,
    /// Where its settings came from, and what its load amounts to.
    pub provenance: Provenance,
}

/// A folder under a temporary name, to be renamed into place. Dropped before that, it takes
/// what it made away again.
#[derive(Debug)]
pub struct Output {
    /// As the user named it.
    named: PathBuf,
    /// The same place without links and `..` on the way to it.
    place: PathBuf,
    temporary: PathBuf,
}

impl Output {
    /// Makes sure that results can be left at `named`, before anything is played.
    ///
    /// # Errors
    /// When the path does not end with a name, something that is not ours is there, or
    /// nothing can be written beside it.
    pub fn prepare(named: &Path) -> Result<Self, OutputError> {
        let Some(name) = named.file_name() else {
            return Err(OutputError::NoName(named.to_owned()));
        };
        let parent = match named.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        at(parent, fs::create_dir_all(parent))?;
        let parent = at(parent, fs::canonicalize(parent))?;
        let place = parent.join(name);
        check_replaceable(&place)?;
        let hidden = format!(".{}.{}", name.to_string_lossy(), std::process::id());
        let temporary = parent.join(hidden);
        at(&temporary, fs::create_dir(&temporary))?;
        Ok(Output { named: named.to_owned(), place, temporary })
    }

    /// Writes everything that a run leaves, and puts it into place. Gives the place as the
    /// user named it.
    ///
    /// # Errors
    /// When the file system refuses, or something else has appeared there; nothing is left
    /// behind then.
    pub fn commit(
        self,
        plan: &Plan,
        played: &Played,
        background: &Background,
    ) -> Result<PathBuf, OutputError> {
        self.write(plan, played, background)?;
        // Long enough has passed since the first look.
        check_replaceable(&self.place)?;
        let earlier = self.temporary.with_extension("earlier");
        let replaces = self.place.exists();
        if replaces {
            at(&self.place, fs::rename(&self.place, &earlier))?;
        }
        at(&self.place, fs::rename(&self.temporary, &self.place))?;
        if replaces {
            remove_ours(&earlier);
        }
        Ok(self.named.clone())
    }

    fn write(
        &self,
        plan: &Plan,
        played: &Played,
        background: &Background,
    ) -> Result<(), OutputError> {
        let command = background.command.as_str();
        let file = |name: &str, bytes: &[u8]| {
            let path = self.temporary.join(name);
            at(&path, fs::write(&path, bytes))
        };
        let html = wavetank_reports::report_html(
            plan,
            &played.recorder,
            &played.result,
            command,
            &background.provenance,
        );
        file(MARK, b"made by wavetank\n")?;
        file("result.json", played.result.to_json().as_bytes())?;
        file("report.html", html.as_bytes())?;
        file("series.csv", wavetank_reports::series_csv(plan, &played.recorder).as_bytes())?;
        let text = to_text(plan);
        file("plan.toml", text.as_bytes())?;
        let capsule = Capsule::new(
            &played.result,
            &played.recorder,
            None,
            text_digest(&text),
            command.to_owned(),
        );
        match capsule {
            Some(capsule) => file("failure.txt", capsule.to_text().as_bytes()),
            None => Ok(()),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // After a commit there is nothing under this name any more.
        remove_ours(&self.temporary);
    }
}

/// Whether a folder may be put there: nothing is there, or an empty folder, or one with our
/// mark and nothing but our files.
fn check_replaceable(place: &Path) -> Result<(), OutputError> {
    let kind = match fs::symlink_metadata(place) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(OutputError::Io { path: place.to_owned(), source }),
    };
    if !kind.is_dir() {
        return Err(OutputError::NotAFolder(place.to_owned()));
    }
    let mut marked = false;
    let mut first = None;
    for entry in at(place, fs::read_dir(place))? {
        let name = at(place, entry)?.file_name().to_string_lossy().into_owned();
        marked |= name == MARK;
        if !FILES.contains(&name.as_str()) {
            return Err(OutputError::NotOurs { path: place.to_owned(), found: name });
        }
        first.get_or_insert(name);
    }
    match first {
        Some(found) if !marked => Err(OutputError::NotOurs { path: place.to_owned(), found }),
        _ => Ok(()),
    }
}

/// Removes the files that a run leaves, and the folder if that empties it. What cannot be
/// removed stays: there is nobody to tell that it matters to.
fn remove_ours(folder: &Path) {
    for name in FILES {
        let _ = fs::remove_file(folder.join(name));
    }
    let _ = fs::remove_dir(folder);
}

/// By which two failures of the same Plan are known.
fn text_digest(text: &str) -> String {
    let mut digest = Digest::new();
    for eight in text.as_bytes().chunks(8) {
        let mut word = [0; 8];
        word[..eight.len()].copy_from_slice(eight);
        digest.absorb(&[u64::from_le_bytes(word)]);
    }
    digest.to_string()
}

/// Where results go when nothing else is said.
pub fn default_place(plan: &Plan) -> PathBuf {
    PathBuf::from("wavetank-out").join(format!("{}-{}", plan.name, plan.seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with one file in it.
    fn folder_with(file: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("place")).unwrap();
        fs::write(folder.path().join("place").join(file), "years of work").unwrap();
        folder
    }

    fn refused(path: &Path) -> OutputError {
        let refused = Output::prepare(path).unwrap_err();
        assert_eq!(refused.exit(), Exit::Input, "{refused}");
        refused
    }

    #[test]
    fn a_strangers_folder_is_left_alone() {
        let folder = folder_with("thesis.txt");
        let place = folder.path().join("place");
        assert!(matches!(refused(&place), OutputError::NotOurs { .. }));
        // Nor is a stranger's file in a folder of ours.
        fs::write(place.join(MARK), "").unwrap();
        assert!(matches!(refused(&place), OutputError::NotOurs { .. }));
        assert!(place.join("thesis.txt").exists());
        // Nor a file of a name like ours in a folder that is not.
        let folder = folder_with("result.json");
        assert!(matches!(refused(&folder.path().join("place")), OutputError::NotOurs { .. }));
    }

    #[test]
    fn a_path_must_end_with_a_name_and_may_not_lead_to_a_link() {
        let folder = folder_with("thesis.txt");
        for path in ["", ".", "..", "/", "new/..", "place/..", "new/../.."] {
            let path = folder.path().join(path);
            // Joined to the folder, `""` and `"/"` name the folder itself, and the root.
            let named = path.file_name().is_some();
            if named {
                assert!(matches!(refused(&path), OutputError::NotOurs { .. }), "{path:?}");
            } else {
                assert!(matches!(refused(&path), OutputError::NoName(_)), "{path:?}");
            }
        }
        assert!(!folder.path().join("new").exists());
        #[cfg(unix)]
        {
            let link = folder.path().join("link");
            std::os::unix::fs::symlink(folder.path().join("place"), &link).unwrap();
            assert!(matches!(refused(&link), OutputError::NotAFolder(_)));
        }
        let file = folder.path().join("place/thesis.txt");
        assert!(matches!(refused(&file), OutputError::NotAFolder(_)));
        assert!(file.exists());
    }

    #[test]
    fn dots_on_the_way_are_resolved_before_the_place_is_judged() {
        let folder = folder_with("thesis.txt");
        let around = folder.path().join("new/../place");
        assert!(matches!(refused(&around), OutputError::NotOurs { .. }));
        assert!(folder.path().join("place/thesis.txt").exists());
    }

    #[test]
    fn an_output_that_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Output::prepare(&folder.path().join("out")).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_but_our_files_is_removed() {
        let folder = folder_with("thesis.txt");
        let place = folder.path().join("place");
        for name in FILES {
            fs::write(place.join(name), "").unwrap();
        }
        remove_ours(&place);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 1);
    }
}
