//! A node's directory: whose it is, and that nobody else uses it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wavetank_vocabulary::InstanceId;

use crate::node::store_folder;
use crate::system::Process;

/// The file that says so.
const NOTE: &str = "wavetank-node";

/// In the note as long as the start graph is not written to its end.
const UNSETTLED: &str = "unsettled";

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The note that says whose it is is damaged.
    #[error("{}: it does not say whose directory this is", .0.display())]
    Damaged(PathBuf),
    /// It belongs to another instance.
    #[error("{}: the store of server id {found}; this is server id {me}", .path.display())]
    OtherInstance {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: u16,
        /// Who wanted it.
        me: u16,
    },
    /// It belongs to another cluster.
    #[error(
        "{}: the store of another cluster, with other members, operations or another start graph",
        .0.display()
    )]
    OtherCluster(PathBuf),
    /// Another process is using it.
    #[error("{}: process {pid} is using it", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process.
        pid: u32,
    },
    /// Something else is in it.
    #[error("{}: it holds {found}, which is no node's", .path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// What.
        found: String,
    },
    /// It cannot be read or made.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A node's directory while it runs.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    id: InstanceId,
    cluster: u64,
    new: bool,
}

impl Home {
    pub(crate) fn open(path: &Path, id: InstanceId, cluster: u64) -> Result<Home, HomeError> {
        let failed = |source| HomeError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let home = |new| Home { path: path.to_owned(), id, cluster, new };
        let note = match fs::read(path.join(NOTE)) {
            Ok(note) => String::from_utf8_lossy(&note).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return match fs::read_dir(path).map_err(failed)?.next() {
                    None => Ok(home(true)),
                    Some(entry) => {
                        let found = entry.map_err(failed)?.file_name();
                        let found = found.to_string_lossy().into_owned();
                        Err(HomeError::NotOurs { path: path.to_owned(), found })
                    }
                };
            }
            Err(error) => return Err(failed(error)),
        };
        let value = |key: &str| {
            note.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ")?.parse().ok())
        };
        let (found, of): (Option<u64>, Option<u64>) = (value("server_id"), value("cluster"));
        let Some(found) = found.and_then(|id| u16::try_from(id).ok()) else {
            return Err(HomeError::Damaged(path.join(NOTE)));
        };
        if found != id.0 {
            return Err(HomeError::OtherInstance { path: path.to_owned(), found, me: id.0 });
        }
        if of != Some(cluster) {
            return Err(HomeError::OtherCluster(path.to_owned()));
        }
        if let (Some(pid), Some(started)) = (value("process"), value("started")) {
            let process = Process { pid: pid as u32, started };
            if process.runs() && process.pid != std::process::id() {
                return Err(HomeError::InUse { path: path.to_owned(), pid: process.pid });
            }
        }
        Ok(home(value(UNSETTLED) == Some(1)))
    }

    /// Whether no node ever used it, or none came as far as to have its start graph written.
    pub(crate) fn is_new(&self) -> bool {
        self.new
    }

    pub(crate) fn store(&self) -> PathBuf {
        store_folder(&self.path)
    }

    /// Notes whose it is, and which process uses it. While it is new, it stays so for whoever
    /// comes after a crash.
    pub(crate) fn claim(&self) -> io::Result<()> {
        self.note(Process::me())
    }

    /// What a new one begins with is there now.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.new = false;
        self.note(Process::me())
    }

    /// It is used no more.
    pub(crate) fn leave(&self) {
        // A note that stays names a process that does not run.
        let _ = self.note(None);
    }

    fn note(&self, process: Option<Process>) -> io::Result<()> {
        let mut text = format!("server_id = {}\ncluster = {}\n", self.id.0, self.cluster);
        if self.new {
            text += &format!("{UNSETTLED} = 1\n");
        }
        if let Some(Process { pid, started }) = process {
            text += &format!("process = {pid}\nstarted = {started}\n");
        }
        let temporary = self.path.join(".wavetank-node");
        fs::write(&temporary, text)?;
        fs::rename(temporary, self.path.join(NOTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_nodes_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node-1");
        let open = |id, cluster| Home::open(&path, InstanceId(id), cluster);
        let mut home = open(1, 7).unwrap();
        assert!(home.is_new());
        // A node that dies while it writes its start graph begins anew.
        home.claim().unwrap();
        assert!(open(1, 7).unwrap().is_new());
        assert!(matches!(open(2, 7), Err(HomeError::OtherInstance { found: 1, me: 2, .. })));
        home.settle().unwrap();
        assert!(!open(1, 7).unwrap().is_new());
        assert!(matches!(open(2, 7), Err(HomeError::OtherInstance { found: 1, me: 2, .. })));
        assert!(matches!(open(1, 8), Err(HomeError::OtherCluster(_))));
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::find(other.id()).unwrap();
        home.note(Some(process)).unwrap();
        assert!(matches!(open(1, 7), Err(HomeError::InUse { pid, .. }) if pid == process.pid));
        home.note(Some(Process { started: process.started + 1, ..process })).unwrap();
        assert!(open(1, 7).is_ok(), "the number was given to another process");
        other.kill().unwrap();
        other.wait().unwrap();
        home.leave();
        assert!(open(1, 7).is_ok());
        fs::write(path.join(NOTE), [0xFF; 9]).unwrap();
        assert!(matches!(open(1, 7), Err(HomeError::Damaged(_))));
    }

    #[test]
    fn what_is_no_nodes_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear all").unwrap();
        let refused = Home::open(folder.path(), InstanceId(1), 7).unwrap_err();
        assert!(refused.to_string().contains("it holds letter.txt"), "{refused}");
    }
}
