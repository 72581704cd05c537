//! What a run leaves: a folder that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wavetank_kernel::Digest;
use wavetank_reports::Capsule;
use wavetank_scenario::to_text;
use wavetank_world::Plan;

use crate::exit::Exit;
use crate::play::Played;

/// The file by which a folder is known to be ours.
const MARK: &str = ".wavetank";

/// Why results could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The folder holds something that is not ours.
    #[error("{} exists and was not made by wavetank: it is left as it is", .0.display())]
    NotOurs(PathBuf),
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
            OutputError::NotOurs(_) => Exit::Input,
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

/// A folder under a temporary name, to be renamed into place.
#[derive(Debug)]
pub struct Output {
    place: PathBuf,
    temporary: PathBuf,
}

impl Output {
    /// Makes sure that results can be left at `place`, before anything is played.
    ///
    /// # Errors
    /// When something that is not ours is there, or nothing can be written beside it.
    pub fn prepare(place: &Path) -> Result<Self, OutputError> {
        if place.exists() && !place.join(MARK).is_file() {
            let empty = fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
            if !empty {
                return Err(OutputError::NotOurs(place.to_owned()));
            }
        }
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        at(parent, fs::create_dir_all(parent))?;
        let name = place.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "out".to_owned());
        let temporary = parent.join(format!(".{name}.{}", std::process::id()));
        at(&temporary, fs::create_dir_all(&temporary))?;
        Ok(Output { place: place.to_owned(), temporary })
    }

    /// Writes everything that a run leaves, and puts it into place.
    ///
    /// # Errors
    /// When the file system refuses; nothing is left behind then.
    pub fn commit(
        self,
        plan: &Plan,
        played: &Played,
        command: &str,
    ) -> Result<PathBuf, OutputError> {
        let written = self.write(plan, played, command).and_then(|()| self.rename());
        if written.is_err() {
            // The temporary folder is ours; whether it can be removed changes nothing.
            let _ = fs::remove_dir_all(&self.temporary);
        }
        written.map(|()| self.place.clone())
    }

    /// Takes the temporary folder away again.
    pub fn abandon(self) {
        let _ = fs::remove_dir_all(&self.temporary);
    }

    fn write(&self, plan: &Plan, played: &Played, command: &str) -> Result<(), OutputError> {
        let file = |name: &str, bytes: &[u8]| {
            let path = self.temporary.join(name);
            at(&path, fs::write(&path, bytes))
        };
        let html = wavetank_reports::report_html(plan, &played.recorder, &played.result, command);
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

    fn rename(&self) -> Result<(), OutputError> {
        if self.place.exists() {
            at(&self.place, fs::remove_dir_all(&self.place))?;
        }
        at(&self.place, fs::rename(&self.temporary, &self.place))
    }
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

    #[test]
    fn a_strangers_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("mine");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("thesis.txt"), "years of work").unwrap();
        let refused = Output::prepare(&place).unwrap_err();
        assert!(matches!(refused, OutputError::NotOurs(_)));
        assert_eq!(refused.exit(), Exit::Input);
        assert!(place.join("thesis.txt").exists());
    }

    #[test]
    fn an_abandoned_output_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let output = Output::prepare(&folder.path().join("out")).unwrap();
        output.abandon();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
