//! Backup and restore between directories.

use std::path::Path;

use super::directory::is_store;
use super::{Graph, GraphError};
use crate::backup::{Backup, BackupError, BackupReport, BackupStep};
use crate::config::StoreConfig;
use crate::store::{Ledger, StoreState};

impl Graph {
    /// Backs the graph up into another directory: everything if that is empty, else what is
    /// new since the last backup into it. Open it like any graph to look at it.
    ///
    /// # Errors
    /// [`GraphError::Backup`] says why a backup is refused, [`GraphError::SameDirectory`] that
    /// it was to go where the graph is, [`GraphError::Incomplete`] that the target holds a graph
    /// whose meta file is damaged; the file systems may fail. Before anything is added to a
    /// backup, all its pages are read and verified.
    ///
    /// ```
    /// use wavetank_store::Graph;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let (path, to, copy) = ["graph", "backup", "copy"].map(|name| directory.path().join(name)).into();
    /// let mut graph = Graph::open(&path)?;
    /// graph.write(|tx| tx.create_node(&["User"]))?;
    /// assert!(graph.backup(&to)?.full);
    /// graph.write(|tx| tx.create_node(&["User"]))?;
    /// assert_eq!(graph.backup(&to)?.transactions, 1);
    /// Graph::restore(&to, &copy)?;
    /// assert_eq!(Graph::open(&copy)?.read(|tx| tx.nodes_with("User"))?.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn backup(&mut self, to: impl AsRef<Path>) -> Result<BackupReport, GraphError> {
        let same = |path: &Path| path.canonicalize().ok() == self.disk.root().canonicalize().ok();
        if to.as_ref().exists() && same(to.as_ref()) {
            return Err(GraphError::SameDirectory(to.as_ref().to_path_buf()));
        }
        let mut target = Graph::begin_open(to.as_ref(), self.store.config.clone())?;
        if *target.store.state() == StoreState::Empty {
            // What a backup has left that did not come to its end has no meta file yet, and
            // makes room; this may be somebody's graph.
            target.refuse_broken_meta(to.as_ref())?;
        }
        self.backup_into(&mut target)
    }

    pub(super) fn backup_into(&mut self, target: &mut Graph) -> Result<BackupReport, GraphError> {
        self.store.retry_disk();
        // What is new is not put on top of what is damaged.
        if *target.store.state() == StoreState::Ready {
            target.store.verify_pages(&target.disk).map_err(BackupError::Target)?;
        }
        let mut backup = Backup::begin(&mut self.store, &mut target.store)?;
        loop {
            match backup.step(&mut self.store, &mut target.store, &mut Ledger::default()) {
                BackupStep::Done(report) => {
                    if report.full {
                        target.write_both_meta_pages()?;
                    }
                    return Ok(report);
                }
                BackupStep::Failed(error) => return Err(error.into()),
                BackupStep::Wait => {
                    let (here, there) = (self.turn(), target.turn());
                    let full = target.store.is_disk_full();
                    if full || !here && !there {
                        // A full target would ask for the same transactions again and again.
                        backup.give_up(&mut self.store);
                        return Err(if full { target.stopped() } else { self.stopped() });
                    }
                }
            }
        }
    }

    /// Puts a backup into a directory that holds no graph. What a restore has left that did not
    /// come to its end makes room.
    ///
    /// # Errors
    /// [`GraphError::NoGraph`] if there is no backup; [`GraphError::NotEmpty`] if there is a graph
    /// where it is to go, [`GraphError::Incomplete`] if one is there whose meta file is damaged;
    /// as [`Graph::backup`].
    pub fn restore(
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> Result<BackupReport, GraphError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let mut backup = Graph::open_to_read(from)?;
        if is_store(to) && from.canonicalize().ok() == to.canonicalize().ok() {
            return Err(GraphError::NotEmpty(to.to_path_buf()));
        }
        // It stays locked from here on, so that it stays empty.
        let mut target = Graph::begin_open(to, StoreConfig::default())?;
        if *target.store.state() != StoreState::Empty {
            return Err(GraphError::NotEmpty(to.to_path_buf()));
        }
        target.refuse_broken_meta(to)?;
        backup.backup_into(&mut target)
    }
}
