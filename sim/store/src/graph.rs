//! The store on real files: a plain graph database to embed, without tickets.
//!
//! [`Graph`] drives a [`Store`] in a loop: it does what the store asks of the disk, one
//! operation after the other, until a step is done.

mod backup;
mod directory;
mod import;
mod inspect;

pub use inspect::GraphInfo;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::Vec;

use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::backup::BackupError;
use crate::check::Inconsistency;
use crate::disk::{DiskOp, DiskRequest};
use crate::error::StoreError;
use crate::steps::{Direction, MicroStep};
use crate::store::{Counters, Ledger, Step, Store, StoreConfig, StoreState};
use crate::transactions::{Neighbour, TxHandle};
use crate::value::{Entity, FindCursor, TokenId, TokenKind, Value};
use directory::Directory;

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
    /// The file system failed.
    #[error("{what}: {source}")]
    Files {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A graph database in a directory. Every [`Graph::write`] is one transaction, durable when
/// it returns. One process at a time may have a directory open.
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
    /// The directory cannot be used, or what is in it is damaged.
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
            graph.store.create();
            while graph.turn() {}
        }
        graph.ready()
    }

    /// Opens what is in a directory, which may be nothing.
    fn begin_open(directory: &Path, mut config: StoreConfig) -> Result<Graph, GraphError> {
        // Nobody lags behind: there is only this process.
        config.id_reuse_safe_zone_ms = 0;
        config.checkpoint_interval_ms.get_or_insert(300_000);
        let disk = Directory::new(directory).map_err(|source| GraphError::Files {
            what: directory.display().to_string(),
            source,
        })?;
        let store = Store::open(config);
        let mut graph = Graph { store, disk, queue: Vec::new(), ledger: Ledger::default() };
        while graph.turn() {}
        Ok(graph)
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
    pub fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Writer<'_>) -> Result<T, GraphError>,
    ) -> Result<T, GraphError> {
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
    /// replay.
    ///
    /// # Errors
    /// The disk failed.
    pub fn checkpoint(&mut self) -> Result<(), GraphError> {
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
        Ok(self.store.check(&self.disk)?)
    }

    /// What happened since the graph was opened.
    pub fn counters(&self) -> Counters {
        self.store.counters()
    }

    fn begin(&mut self) -> Reader<'_> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| since.as_millis() as u64);
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

    /// The store waits and there is nothing to do: it has failed.
    fn stopped(&mut self) -> GraphError {
        match self.store.state().clone() {
            StoreState::Failed(error) => self.error(error),
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

/// A transaction that reads.
#[derive(Debug)]
pub struct Reader<'g> {
    graph: &'g mut Graph,
    tx: TxHandle,
}

impl Drop for Reader<'_> {
    /// Rolls back what was not committed; nothing happens after a commit.
    fn drop(&mut self) {
        self.graph.store.rollback(self.tx);
    }
}

impl Reader<'_> {
    fn run(&mut self, step: &MicroStep) -> Result<Value, GraphError> {
        self.graph.run(self.tx, step)
    }

    /// The number of a name as this transaction sees it; none if nothing has that name.
    fn known(&mut self, kind: TokenKind, name: &str) -> Option<TokenId> {
        self.graph.store.token_in(self.tx, kind, name)
    }

    /// Whether the node exists.
    ///
    /// # Errors
    /// The store cannot be read; likewise below.
    pub fn has_node(&mut self, node: NodeId) -> Result<bool, GraphError> {
        match self.run(&MicroStep::ReadNode { node }) {
            Ok(_) => Ok(true),
            Err(GraphError::Store(StoreError::NodeNotFound(_))) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All nodes, by id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn nodes(&mut self) -> Result<Vec<NodeId>, GraphError> {
        let mut found = Vec::new();
        for id in (0..self.graph.store.node_ids()).map(NodeId) {
            if self.has_node(id)? {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Whether the node has the label.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`].
    pub fn has_label(&mut self, node: NodeId, label: &str) -> Result<bool, GraphError> {
        match self.known(TokenKind::Label, label) {
            Some(label) => Ok(self.run(&MicroStep::HasLabel { node, label })? == Value::Bool(true)),
            None => self.run(&MicroStep::ReadNode { node }).map(|_| false),
        }
    }

    /// The value of a property of a node or relationship; none if it has none.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`] or [`StoreError::RelationshipNotFound`].
    pub fn get(
        &mut self,
        entity: impl Into<Entity>,
        key: &str,
    ) -> Result<Option<Value>, GraphError> {
        let entity = entity.into();
        let Some(key) = self.known(TokenKind::PropertyKey, key) else {
            return self.run(&MicroStep::ReadProperties { entity }).map(|_| None);
        };
        let value = self.run(&MicroStep::ReadProperty { entity, key })?;
        Ok(Some(value).filter(|value| *value != Value::Null))
    }

    /// The nodes with a label, by id.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn nodes_with(&mut self, label: &str) -> Result<Vec<NodeId>, GraphError> {
        let Some(label) = self.known(TokenKind::Label, label) else { return Ok(Vec::new()) };
        self.find(|from| MicroStep::ScanLabel { label, from })
    }

    /// The nodes with a label whose value under a key is this one: by an index if there is
    /// one, else by looking at all nodes with the label. Numbers are equal across types.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn find_nodes(
        &mut self,
        label: &str,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<Vec<NodeId>, GraphError> {
        let label = self.known(TokenKind::Label, label);
        let Some((label, key)) = label.zip(self.known(TokenKind::PropertyKey, key)) else {
            return Ok(Vec::new());
        };
        let value = value.into();
        self.find(|from| MicroStep::FindNodes { label, key, value: value.clone(), from })
    }

    fn find(
        &mut self,
        step: impl Fn(Option<FindCursor>) -> MicroStep,
    ) -> Result<Vec<NodeId>, GraphError> {
        let mut from = None;
        loop {
            match self.run(&step(from))? {
                Value::Found { rest: Some(cursor), .. } => from = Some(cursor),
                _ => return Ok(self.graph.store.found(self.tx).to_vec()),
            }
        }
    }

    /// The ends of a relationship: where it begins, and where it ends.
    ///
    /// # Errors
    /// [`StoreError::RelationshipNotFound`].
    pub fn ends(&mut self, relationship: RelationshipId) -> Result<(NodeId, NodeId), GraphError> {
        self.run(&MicroStep::ReadRelationship { relationship })?;
        let results = self.graph.store.results(self.tx);
        Ok((results[0].node, results[1].node))
    }

    /// The relationships of a node, of all types or of one.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`].
    pub fn relationships(
        &mut self,
        node: NodeId,
        direction: Direction,
        kind: Option<&str>,
    ) -> Result<Vec<Neighbour>, GraphError> {
        let kind = match kind {
            None => None,
            Some(name) => match self.known(TokenKind::RelationshipType, name) {
                Some(kind) => Some(kind),
                None => return self.run(&MicroStep::ReadNode { node }).map(|_| Vec::new()),
            },
        };
        let mut from = None;
        loop {
            let step = MicroStep::Expand { node, direction, kind, limit: u32::MAX, from };
            match self.run(&step)? {
                Value::Expanded { rest: Some(cursor), .. } => from = Some(cursor),
                _ => return Ok(self.graph.store.results(self.tx).to_vec()),
            }
        }
    }

    /// How many relationships a node has. Loops count once.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`].
    pub fn degree(&mut self, node: NodeId) -> Result<u64, GraphError> {
        match self.run(&MicroStep::Degree { node })? {
            Value::Int(degree) => Ok(degree as u64),
            other => panic!("a degree is a number, not {other:?}"),
        }
    }
}

/// A transaction that reads and writes.
#[derive(Debug)]
pub struct Writer<'g> {
    reader: Reader<'g>,
}

impl<'g> core::ops::Deref for Writer<'g> {
    type Target = Reader<'g>;
    fn deref(&self) -> &Reader<'g> {
        &self.reader
    }
}

impl core::ops::DerefMut for Writer<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

impl Writer<'_> {
    fn token(&mut self, kind: TokenKind, name: &str) -> Result<TokenId, GraphError> {
        if let Some(id) = self.known(kind, name) {
            return Ok(id);
        }
        match self.run(&MicroStep::Token { kind, name: name.into() })? {
            Value::Token(id) => Ok(id),
            other => panic!("a name has a number, not {other:?}"),
        }
    }

    /// A new node with these labels.
    ///
    /// # Errors
    /// [`StoreError::TokenLimit`].
    pub fn create_node(&mut self, labels: &[&str]) -> Result<NodeId, GraphError> {
        let labels: Result<_, _> =
            labels.iter().map(|label| self.token(TokenKind::Label, label)).collect();
        match self.run(&MicroStep::CreateNode { labels: labels? })? {
            Value::Node(id) => Ok(id),
            other => panic!("a node is made, not {other:?}"),
        }
    }

    /// A new relationship.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`], [`StoreError::TokenLimit`].
    pub fn create_relationship(
        &mut self,
        from: NodeId,
        kind: &str,
        to: NodeId,
    ) -> Result<RelationshipId, GraphError> {
        let kind = self.token(TokenKind::RelationshipType, kind)?;
        match self.run(&MicroStep::CreateRelationship { from, to, kind })? {
            Value::Relationship(id) => Ok(id),
            other => panic!("a relationship is made, not {other:?}"),
        }
    }

    /// Sets a property; `Value::Null` removes it.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`] or [`StoreError::RelationshipNotFound`],
    /// [`StoreError::NotAProperty`], [`StoreError::TokenLimit`].
    pub fn set(
        &mut self,
        entity: impl Into<Entity>,
        key: &str,
        value: impl Into<Value>,
    ) -> Result<(), GraphError> {
        let key = self.token(TokenKind::PropertyKey, key)?;
        let (entity, value) = (entity.into(), value.into());
        self.run(&MicroStep::SetProperty { entity, key, value }).map(|_| ())
    }

    /// Gives a node a label.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`], [`StoreError::TokenLimit`].
    pub fn add_label(&mut self, node: NodeId, label: &str) -> Result<(), GraphError> {
        let label = self.token(TokenKind::Label, label)?;
        self.run(&MicroStep::AddLabel { node, label }).map(|_| ())
    }

    /// Takes a label away from a node.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`].
    pub fn remove_label(&mut self, node: NodeId, label: &str) -> Result<(), GraphError> {
        match self.known(TokenKind::Label, label) {
            Some(label) => self.run(&MicroStep::RemoveLabel { node, label }).map(|_| ()),
            None => self.run(&MicroStep::ReadNode { node }).map(|_| ()),
        }
    }

    /// Deletes a relationship and its properties.
    ///
    /// # Errors
    /// [`StoreError::RelationshipNotFound`].
    pub fn delete_relationship(&mut self, relationship: RelationshipId) -> Result<(), GraphError> {
        self.run(&MicroStep::DeleteRelationship { relationship }).map(|_| ())
    }

    /// Deletes a node and its properties.
    ///
    /// # Errors
    /// [`StoreError::NodeNotFound`], [`StoreError::NodeHasRelationships`].
    pub fn delete_node(&mut self, node: NodeId) -> Result<(), GraphError> {
        self.run(&MicroStep::DeleteNode { node }).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
