//! What a run leaves: a folder that appears whole or not at all.

mod hidden;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wavetank_kernel::Digest;
use wavetank_reports::{Capsule, Provenance};
use wavetank_scenario::to_text;
use wavetank_world::Plan;

use crate::exit::Exit;
use crate::play::{Played, about_first};

/// The file by which a folder is known to be ours.
const MARK: &str = ".wavetank";

/// Everything that a run leaves, but for the data files: of these [`MARK`] holds a list, and
/// only what it lists, in our folders and with our endings, is ours. Nothing else is ever
/// removed, and no folder is removed with
/// what is in it: so a wrong `--out` cannot cost anybody anything.
const FILES: [&str; 8] =
    [MARK, "result.json", "report.html", "series.csv", "plan.toml", "failure.txt", SMALLEST, STORY];

/// What a seed that failed was shrunk to.
pub const SMALLEST: &str = "smallest.toml";
/// What happened around the failure.
pub const STORY: &str = "story.txt";

/// The folders of the data files.
const FOLDERS: [&str; 4] = ["figures", "latency", "logs", "metrics"];
/// How data files end.
const ENDINGS: [&str; 4] = [".csv", ".hgrm", ".hlog", ".log"];

/// Whether a path in a list of data files can be one of ours: a plain name in one of our
/// folders. A list that somebody tampered with leads nowhere else.
fn is_data_file(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    path.split_once('/').is_some_and(|(folder, file)| {
        FOLDERS.contains(&folder)
            && !file.starts_with('.')
            && file.bytes().all(plain)
            && ENDINGS.iter().any(|ending| file.ends_with(ending))
    })
}

/// The data files that a folder of ours lists.
fn listed(place: &Path) -> Vec<String> {
    let text = fs::read_to_string(place.join(MARK)).unwrap_or_default();
    text.lines().filter(|line| is_data_file(line)).map(str::to_owned).collect()
}

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

pub(crate) fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, OutputError> {
    result.map_err(|source| OutputError::Io { path: path.to_owned(), source })
}

/// What a report tells about a run besides what happened in it.
#[derive(Clone, Debug)]
pub struct Background {
    /// What plays it again.
    pub command: String,
    /// Where its settings came from, and what its load amounts to.
    pub provenance: Provenance,
    /// Further files that tell why it failed, such as [`SMALLEST`].
    pub notes: Vec<(&'static str, String)>,
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
        hidden::remove_stale(&parent, name);
        check_replaceable(&place)?;
        let temporary = parent.join(hidden::name_for(name));
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
        let earlier = self.earlier();
        let replaces = self.place.exists();
        if replaces {
            at(&self.place, fs::rename(&self.place, &earlier))?;
        }
        if let Err(error) = fs::rename(&self.temporary, &self.place) {
            if replaces {
                // What was there before is worth more than nothing.
                let _ = fs::rename(&earlier, &self.place);
            }
            return at(&self.place, Err(error));
        }
        if replaces {
            remove_ours(&earlier);
        }
        Ok(self.named.clone())
    }

    /// Where what was there before waits until the new results are in its place.
    fn earlier(&self) -> PathBuf {
        let mut name = self.temporary.clone().into_os_string();
        name.push(hidden::EARLIER);
        PathBuf::from(name)
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
        let data = wavetank_reports::data_files(plan, &played.recorder);
        let mut mark = String::from("made by wavetank\n");
        for (path, _) in &data {
            mark += path;
            mark.push('\n');
        }
        // First of all: whatever comes after it can be taken away again.
        file(MARK, mark.as_bytes())?;
        for folder in FOLDERS {
            let path = self.temporary.join(folder);
            at(&path, fs::create_dir(&path))?;
        }
        for (path, text) in &data {
            file(path, text.as_bytes())?;
        }
        file("result.json", played.result.to_json().as_bytes())?;
        file("report.html", html.as_bytes())?;
        file("series.csv", wavetank_reports::series_csv(plan, &played.recorder).as_bytes())?;
        let text = to_text(plan);
        file("plan.toml", text.as_bytes())?;
        for (name, note) in &background.notes {
            file(name, note.as_bytes())?;
        }
        if played.result.partial {
            return Ok(());
        }
        let capsule = Capsule::new(
            &played.result,
            &played.recorder,
            None,
            text_digest(&text),
            command.to_owned(),
        );
        match capsule {
            Some(capsule) => {
                let text = about_first(capsule, plan, &played.result).to_text();
                file("failure.txt", text.as_bytes())
            }
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
    let ours = listed(place);
    let mut marked = false;
    let mut first = None;
    for entry in at(place, fs::read_dir(place))? {
        let name = at(place, entry)?.file_name().to_string_lossy().into_owned();
        marked |= name == MARK;
        if FOLDERS.contains(&name.as_str()) {
            check_folder(place, &name, &ours)?;
            first.get_or_insert(name);
            continue;
        }
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

/// Whether a folder of data files holds nothing but what is listed.
fn check_folder(place: &Path, folder: &str, ours: &[String]) -> Result<(), OutputError> {
    let path = place.join(folder);
    let not_ours = |found: String| OutputError::NotOurs { path: place.to_owned(), found };
    if !at(&path, fs::symlink_metadata(&path))?.is_dir() {
        return Err(not_ours(folder.to_owned()));
    }
    for entry in at(&path, fs::read_dir(&path))? {
        let name = format!("{folder}/{}", at(&path, entry)?.file_name().to_string_lossy());
        if !ours.contains(&name) {
            return Err(not_ours(name));
        }
    }
    Ok(())
}

/// Removes the files that a run leaves, and the folder if that empties it. What cannot be
/// removed stays: there is nobody to tell that it matters to.
fn remove_ours(folder: &Path) {
    // Never through a link: what is listed lies in folders of our own.
    let own = |name: &&str| fs::symlink_metadata(folder.join(name)).is_ok_and(|m| m.is_dir());
    let folders: Vec<&str> = FOLDERS.into_iter().filter(own).collect();
    for path in listed(folder) {
        if folders.iter().any(|name| path.starts_with(&format!("{name}/"))) {
            let _ = fs::remove_file(folder.join(path));
        }
    }
    for name in folders {
        let _ = fs::remove_dir(folder.join(name));
    }
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
    fn a_list_of_data_files_leads_nowhere_else() {
        for good in
            ["figures/latency.csv", "latency/app.follow.hgrm", "latency/app_.hlog", "logs/i1.log"]
        {
            assert!(is_data_file(good), "{good}");
        }
        for bad in [
            "../thesis.csv",
            "figures/../thesis.csv",
            "/etc/passwd",
            "figures/a/b.csv",
            "figures/.hidden.csv",
            "figures/thesis.txt",
            "notes/a.csv",
            "figures/",
            "",
        ] {
            assert!(!is_data_file(bad), "{bad}");
        }
    }

    #[test]
    fn data_files_are_replaced_and_strangers_beside_them_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        fs::create_dir_all(place.join("figures")).unwrap();
        fs::write(place.join(MARK), "made by wavetank\nfigures/lag.csv\n../thesis.csv\n").unwrap();
        fs::write(place.join("figures/lag.csv"), "").unwrap();
        fs::write(folder.path().join("thesis.csv"), "years of work").unwrap();
        check_replaceable(&place).unwrap();
        fs::write(place.join("figures/mine.csv"), "years of work").unwrap();
        assert!(matches!(check_replaceable(&place), Err(OutputError::NotOurs { .. })));
        remove_ours(&place);
        assert!(
            place.join("figures/mine.csv").exists() && folder.path().join("thesis.csv").exists()
        );
        assert!(!place.join("figures/lag.csv").exists());
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_removed_through_a_link() {
        let folder = folder_with("lag.csv");
        let place = folder.path().join("out");
        fs::create_dir(&place).unwrap();
        fs::write(place.join(MARK), "made by wavetank\nfigures/lag.csv\n").unwrap();
        std::os::unix::fs::symlink(folder.path().join("place"), place.join("figures")).unwrap();
        assert!(check_replaceable(&place).is_err());
        remove_ours(&place);
        assert!(folder.path().join("place/lag.csv").exists());
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
