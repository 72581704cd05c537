//! The hidden folders in which results are written beside their place. Their names tell whose they
//! are: what a process has left that was killed is known by that, and taken away by the next one
//! that writes to the same place.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use wavetank_real::Process;

use super::remove_ours;

/// What a folder's name ends with that holds the results that were at the place before.
pub(super) const EARLIER: &str = ".earlier";

/// The name of the hidden folder for results that are to be called `name`.
pub(super) fn name_for(name: &OsStr) -> OsString {
    let me = Process::me();
    let owner = me.map_or_else(|| std::process::id().to_string(), |me| me.to_string());
    OsString::from(format!(".{}.{owner}", name.to_string_lossy()))
}

/// Takes away what processes have left beside `parent`/`name` that do not run any more. Results
/// that one of them had only just moved out of the way come back.
pub(super) fn remove_stale(parent: &Path, name: &OsStr) {
    let prefix = format!(".{}.", name.to_string_lossy());
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let Some(rest) = found.to_str().and_then(|found| found.strip_prefix(&prefix)) else {
            continue;
        };
        let (owner, earlier) = match rest.strip_suffix(EARLIER) {
            Some(owner) => (owner, true),
            None => (rest, false),
        };
        // Another run's `name.more` has another owner, and a link is nobody's folder.
        let Ok(owner) = owner.parse::<Process>() else { continue };
        if owner.runs() || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let place = parent.join(name);
        if earlier && fs::symlink_metadata(&place).is_err() {
            // What cannot be moved stays where it is.
            let _ = fs::rename(entry.path(), &place);
        } else {
            remove_ours(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MARK, Output};
    use super::*;

    /// A name like that of a process which does not run: the same number, and another start.
    fn gone() -> String {
        let me = Process::me().unwrap();
        Process { started: me.started + 1, ..me }.to_string()
    }

    #[test]
    fn only_what_processes_have_left_that_are_gone_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, file: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(MARK), "made by wavetank\n").unwrap();
            fs::write(path.join(file), "").unwrap();
            path
        };
        let (gone, me) = (gone(), Process::me().unwrap());
        let stale = make(&format!(".out.{gone}"), "result.json");
        let theirs = make(&format!(".out.{gone}1"), "thesis.txt");
        let running = make(&format!(".out.{me}"), "result.json");
        let other = make(&format!(".other.{gone}"), "result.json");
        let unknown = make(".out.mine", "result.json");
        let file = folder.path().join(format!(".out.{gone}2"));
        fs::write(&file, "years of work").unwrap();
        remove_stale(folder.path(), OsStr::new("out"));
        assert!(!stale.exists());
        assert!(theirs.join("thesis.txt").exists() && !theirs.join(MARK).exists());
        assert!(running.exists() && other.exists() && unknown.exists() && file.exists());
    }

    #[test]
    fn results_that_were_moved_out_of_the_way_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = folder.path().join(format!(".out.{}{EARLIER}", gone()));
        let place = folder.path().join("out");
        for again in [false, true] {
            fs::create_dir(&earlier).unwrap();
            fs::write(earlier.join(MARK), "made by wavetank\n").unwrap();
            fs::write(earlier.join("report.html"), if again { "older" } else { "old" }).unwrap();
            drop(Output::prepare(&place).unwrap());
            assert!(!earlier.exists());
            assert_eq!(fs::read_to_string(place.join("report.html")).unwrap(), "old");
        }
    }
}
