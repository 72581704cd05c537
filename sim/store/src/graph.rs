//! The store on real files: a plain graph database to embed, without tickets.
//!
//! [`Graph`] drives a [`Store`] in a loop: it does what the store asks of the disk, one
//! operation after the other, until a step is done.

mod access;
mod backup;
mod directory;
mod dump;
mod import;
mod inspect;
mod order;
mod scratch;

pub use access::{Reader, Writer};
pub use inspect::GraphInfo;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use crate::backup::BackupError;
use crate::check::Inconsistency;
use crate::config::StoreConfig;
use crate::disk::{DiskError, DiskOp, DiskRequest, FileKind, FileName};
use crate::error::StoreError;
use crate::readings::Counters;
use crate::steps::MicroStep;
use crate::store::{Ledger, Step, Store, StoreState};
use crate::transactions::TxHandle;
use crate::value::{TokenKind, Value};
pub use directory::Directory;
use directory::is_full;

/// Why something failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The store refused, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A backup was refused or failed.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Something is in the directory that a graph was to be put into.
    #[error("{}: there is something in it already", .0.display())]
    NotEmpty(PathBuf),
    /// No graph is in the directory.
    #[error("{}: there is no graph in it", .0.display())]
    NoGraph(PathBuf),
    /// Files of a graph are in the directory, and no whole meta file: a backup, restore or
    /// import that did not come to its end, or a file that was cut off since.
    #[error(
        "{}: files of a graph are in it, but no whole `neostore`: an import, backup or restore did \
         not come to its end (remove the directory and do it again), or the file was cut off since",
        .0.display()
    )]
    Incomplete(PathBuf),
    /// The directory is open already, here or in another process: to be read, if this was to
    /// write; to be written, in any case. It may pass.
    #[error("{}: a graph is open in it, maybe in another process", .0.display())]
    InUse(PathBuf),
    /// A graph that was opened to be read was to be changed.
    #[error("{}: this graph was opened to be read", .0.display())]
    OpenToRead(PathBuf),
    /// A graph was to be backed up into its own directory.
    #[error("{}: this is the graph itself, and no place for its backup", .0.display())]
    SameDirectory(PathBuf),
    /// The file system failed.
    #[error("{what}: {source}")]
    Files {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl GraphError {
    /// Whether it says that a disk is full, which may pass.
    pub fn is_disk_full(&self) -> bool {
        match self {
            GraphError::Files { source, .. } => is_full(source.kind()),
            GraphError::Store(error)
            | GraphError::Backup(BackupError::Source(error) | BackupError::Target(error)) => {
                matches!(error, StoreError::Disk { error: DiskError::NoSpace, .. })
            }
            _ => false,
        }
    }
}

/// A graph database in a directory. Every [`Graph::write`] is one transaction, durable when
/// it returns. On Unix, a directory is open for one graph that may be written, or for any number
/// that are opened to be read ([`Graph::open_to_read`]), in this process and all others; another
/// opening is [`GraphError::InUse`].
///
/// ```
/// use wavetank_store::{Direction, Graph, Value};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("people");
/// let mut graph = Graph::open(&path)?; // created if it is not there
/// let (ada, follows) = graph.write(|tx| {
///     let ada = tx.create_node(&["User"])?;
///     let grace = tx.create_node(&["User"])?;
///     tx.set(ada, "name", "Ada")?;
///     tx.set(grace, "name", "Grace")?;
///     let follows = tx.create_relationship(ada, "follows", grace)?;
///     tx.set(follows, "since", 1843)?;
///     Ok((ada, follows))
/// })?;
/// drop(graph);
///
/// let mut graph = Graph::open(&path)?;
/// graph.read(|tx| {
///     let found = tx.relationships(ada, Direction::Outgoing, Some("follows"))?;
///     assert_eq!(found[0].relationship, follows);
///     assert_eq!(tx.get(found[0].node, "name")?, Some(Value::from("Grace")));
///     assert_eq!(tx.get(follows, "since")?, Some(Value::from(1843)));
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Graph {
    store: Store,
    disk: Directory,
    queue: Vec<(DiskOp, DiskRequest)>,
    ledger: Ledger,
}

impl Graph {
    /// Opens the database in `directory`, recovers it if it was not closed, and creates it
    /// if there is none.
    ///
    /// # Errors
    /// The directory cannot be used or is [`GraphError::InUse`], or what is in it is damaged or
    /// [`GraphError::Incomplete`].
    pub fn open(directory: impl AsRef<Path>) -> Result<Graph, GraphError> {
        // The identity of a new store: hash keys are drawn from the system's randomness.
        let store_id = RandomState::new().build_hasher().finish();
        Graph::open_with(directory, StoreConfig { store_id, ..StoreConfig::default() })
    }

    /// As [`Graph::open`], with a configuration.
    ///
    /// # Errors
    /// As [`Graph::open`].
    pub fn open_with(
        directory: impl AsRef<Path>,
        config: StoreConfig,
    ) -> Result<Graph, GraphError> {
        let mut graph = Graph::begin_open(directory.as_ref(), config)?;
        if *graph.store.state() == StoreState::Empty {
            // Nobody's records are removed to make room for a new graph.
            graph.refuse_remains(directory.as_ref())?;
            graph.store.create();
            while graph.turn() {}
            let mut graph = graph.ready()?;
            graph.write_both_meta_pages()?;
            return Ok(graph);
        }
        graph.ready()
    }

    /// Opens what is in a directory, which may be nothing.
    fn begin_open(directory: &Path, config: StoreConfig) -> Result<Graph, GraphError> {
        Graph::begin_open_on(directory, config, Directory::new)
    }

    fn begin_open_on(
        directory: &Path,
        mut config: StoreConfig,
        how: impl Fn(&Path) -> io::Result<Directory>,
    ) -> Result<Graph, GraphError> {
        // Nobody lags behind: there is only this process.
        config.id_reuse_safe_zone_ms = 0;
        config.checkpoint_interval_ms.get_or_insert(300_000);
        let disk = take(directory, how)?;
        let store = Store::open(config);
        let mut graph = Graph { store, disk, queue: Vec::new(), ledger: Ledger::default() };
        while graph.turn() {}
        Ok(graph)
    }

    /// Fails if there are files of records without a store that they belong to.
    fn refuse_remains(&self, directory: &Path) -> Result<(), GraphError> {
        match self.store.leftovers.iter().any(FileName::is_live_record) {
            true => Err(GraphError::Incomplete(directory.to_path_buf())),
            false => Ok(()),
        }
    }

    /// Gives a new store its second meta page: with one alone, a damaged byte in it would make
    /// the store look as if it had never been whole.
    fn write_both_meta_pages(&mut self) -> Result<(), GraphError> {
        self.checkpoint()
    }

    /// Fails if a meta file is there in a directory that looks empty: records may belong to it.
    fn refuse_broken_meta(&self, directory: &Path) -> Result<(), GraphError> {
        let meta = FileName::live(FileKind::Meta);
        match self.store.leftovers.contains(&meta) && self.disk.is_written(meta) {
            true => Err(GraphError::Incomplete(directory.to_path_buf())),
            false => Ok(()),
        }
    }

    fn ready(mut self) -> Result<Graph, GraphError> {
        match self.store.state().clone() {
            StoreState::Ready => Ok(self),
            StoreState::Failed(error) => Err(self.error(error)),
            StoreState::Opening | StoreState::Empty => Err(StoreError::NotReady.into()),
        }
    }

    /// Runs `work` as one transaction. If it returns an error, nothing of it stays.
    ///
    /// # Errors
    /// What `work` returns, or the commit's failure; then reopen the graph.
    /// [`GraphError::OpenToRead`].
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        self.refuse_if_only_read()?;
        let mut writer = Writer { reader: self.begin() };
        let result = work(&mut writer)?;
        let Reader { graph, tx } = &mut writer.reader;
        graph.run(*tx, &MicroStep::Prepare)?;
        graph.commit(*tx)?;
        Ok(result)
    }

    /// Runs `work` on what is committed.
    ///
    /// # Errors
    /// What `work` returns.
    pub fn read<T>(
        &mut self,
        work: impl FnOnce(&mut Reader<'_>) -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
        work(&mut self.begin())
    }

    /// Makes an index of the nodes with a label by their values under a key; `unique` makes it
    /// a constraint: no two of them may have the same value.
    ///
    /// # Errors
    /// [`StoreError::IndexExists`]; [`StoreError::ConstraintViolation`] if a value occurs
    /// twice already.
    pub fn create_index(&mut self, label: &str, key: &str, unique: bool) -> Result<(), GraphError> {
        let (label, key) = self.write(|tx| {
            Ok((tx.token(TokenKind::Label, label)?, tx.token(TokenKind::PropertyKey, key)?))
        })?;
        self.change_schema(&match unique {
            true => MicroStep::CreateConstraint { label, key },
            false => MicroStep::CreateIndex { label, key },
        })
    }

    /// Takes an index or a constraint away.
    ///
    /// # Errors
    /// [`StoreError::NoSuchIndex`].
    pub fn drop_index(&mut self, label: &str, key: &str) -> Result<(), GraphError> {
        let label = self.store.token(TokenKind::Label, label);
        let key = self.store.token(TokenKind::PropertyKey, key);
        let (label, key) = label.zip(key).ok_or(StoreError::NoSuchIndex)?;
        self.change_schema(&MicroStep::DropIndex { label, key })
    }

    fn change_schema(&mut self, step: &MicroStep) -> Result<(), GraphError> {
        self.write(|tx| {
            while tx.run(step)? != Value::Bool(true) {}
            Ok(())
        })
    }

    /// Writes everything to the record files, so that the next opening has nothing to
    /// replay. On a disk that was full it is tried again.
    ///
    /// # Errors
    /// The disk failed or is full; [`GraphError::OpenToRead`].
    pub fn checkpoint(&mut self) -> Result<(), GraphError> {
        self.refuse_if_only_read()?;
        self.store.retry_disk();
        let ticket = self.store.checkpoint_ticket();
        while self.store.checkpoint_pending(ticket) {
            if !self.turn() {
                return Err(self.stopped());
            }
        }
        Ok(())
    }

    /// Checks every record against those it points to; empty if all is well.
    ///
    /// # Errors
    /// A page cannot be read.
    pub fn check(&self) -> Result<Vec<Inconsistency>, GraphError> {
        self.check_with_progress(&mut |_, _| {})
    }

    /// As [`Graph::check`]; `progress` is told now and then how many nodes and relationships
    /// have been looked at, and of how many.
    ///
    /// # Errors
    /// As [`Graph::check`].
    pub fn check_with_progress(
        &self,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Vec<Inconsistency>, GraphError> {
        Ok(self.store.check_with_progress(&self.disk, progress)?)
    }

    fn refuse_if_only_read(&self) -> Result<(), GraphError> {
        match self.disk.is_only_read() {
            true => Err(GraphError::OpenToRead(self.disk.root().to_path_buf())),
            false => Ok(()),
        }
    }

    /// What happened since the graph was opened.
    pub fn counters(&self) -> Counters {
        self.store.counters()
    }

    fn begin(&mut self) -> Reader<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| since.as_millis() as u64);
        // Pages that found no space may have to make room in the cache.
        self.store.retry_disk();
        let tx = self.store.begin(0, now_ms);
        Reader { graph: self, tx }
    }

    /// Does some of what the store wants done. False if it wants nothing.
    fn turn(&mut self) -> bool {
        self.store.submissions(&mut self.queue);
        if self.queue.is_empty() {
            let wants = self.store.wants_background();
            if wants {
                self.store.background(64, &mut self.ledger);
            }
            return wants;
        }
        for (op, request) in self.queue.drain(..) {
            let result = self.disk.perform(&request);
            self.store.complete(op, result);
        }
        true
    }

    fn run(&mut self, tx: TxHandle, step: &MicroStep) -> Result<Value, GraphError> {
        loop {
            match self.store.step(tx, step, &mut self.ledger) {
                Step::Done(value) => return Ok(value),
                Step::Failed(error) => return Err(self.error(error)),
                Step::Wait(_) => {
                    if !self.turn() {
                        return Err(self.stopped());
                    }
                }
            }
        }
    }

    fn commit(&mut self, tx: TxHandle) -> Result<(), GraphError> {
        self.store.commit(tx, &mut self.ledger).map_err(|error| self.error(error))?;
        loop {
            match self.store.apply(tx, &mut self.ledger) {
                Step::Done(_) => break,
                Step::Failed(error) => return Err(self.error(error)),
                Step::Wait(_) => {
                    if !self.turn() {
                        return Err(self.stopped());
                    }
                }
            }
        }
        // Checkpoints and evictions that are due are done now, in the caller's time.
        while self.store.wants_background() && self.turn() {}
        match self.store.state().clone() {
            StoreState::Failed(error) => Err(self.error(error)),
            _ => Ok(()),
        }
    }

    /// The store waits and there is nothing to do: it has failed, or waits for space.
    fn stopped(&mut self) -> GraphError {
        match self.store.state().clone() {
            StoreState::Failed(error) => self.error(error),
            _ if self.store.is_disk_full() => {
                let said = self.disk.last_error.take().filter(|error| is_full(error.kind()));
                let what = self.disk.root().display().to_string();
                let full = || io::ErrorKind::StorageFull.into();
                GraphError::Files { what, source: said.unwrap_or_else(full) }
            }
            state => panic!("the store waits for nothing, in state {state:?}"),
        }
    }

    fn error(&mut self, error: StoreError) -> GraphError {
        match (&error, self.disk.last_error.take()) {
            (StoreError::Disk { .. }, Some(source)) => {
                GraphError::Files { what: error.to_string(), source }
            }
            _ => GraphError::Store(error),
        }
    }
}

/// Takes a directory for a graph.
fn take(
    directory: &Path,
    how: impl Fn(&Path) -> io::Result<Directory>,
) -> Result<Directory, GraphError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::ResourceBusy => GraphError::InUse(directory.to_path_buf()),
        _ => GraphError::Files { what: directory.display().to_string(), source },
    };
    if directory.exists() && !directory.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    how(directory).map_err(failed)
}

#[cfg(test)]
mod tests;
