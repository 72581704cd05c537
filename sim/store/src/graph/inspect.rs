//! Looking at a graph as a whole: opening it to be read, and what is in it.

use std::collections::BTreeMap;
use std::format;
use std::io;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use wavetank_vocabulary::LogMark;

use super::directory::{Directory, holds_records, is_store};
use super::{Graph, GraphError};
use crate::audit::{AuditNode, AuditRelationship, AuditVisitor};
use crate::config::StoreConfig;
use crate::schema::IndexInfo;
use crate::store::{Recovery, Store, StoreState};
use crate::value::{TokenId, TokenKind};

/// What is in a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphInfo {
    /// How many nodes.
    pub nodes: u64,
    /// How many relationships.
    pub relationships: u64,
    /// How many properties, on both.
    pub properties: u64,
    /// How many nodes have each label.
    pub labels: BTreeMap<String, u64>,
    /// How many relationships have each type.
    pub types: BTreeMap<String, u64>,
    /// How many property keys are known.
    pub keys: u64,
    /// Indexes and constraints, as `:"Label"("key")` or `:"Label"("key") unique`.
    pub indexes: Vec<String>,
    /// The identity of the store.
    pub store_id: u64,
    /// The last transaction.
    pub last: LogMark,
    /// Bytes of each file, by its name.
    pub files: BTreeMap<String, u64>,
}

impl Graph {
    /// Opens the graph in a directory, and creates none.
    ///
    /// # Errors
    /// [`GraphError::NoGraph`] if there is none, [`GraphError::Incomplete`] if there is half of
    /// one; as [`Graph::open`].
    pub fn open_existing(directory: impl AsRef<Path>) -> Result<Graph, GraphError> {
        Graph::open_as(directory.as_ref(), Directory::new)
    }

    /// Opens the graph in a directory to look at it, and creates none: nothing in the directory
    /// is changed, which may be on a medium that cannot be written. A graph that was not closed
    /// is recovered in memory.
    ///
    /// # Errors
    /// As [`Graph::open_existing`]. What would change the graph is [`GraphError::OpenToRead`].
    pub fn open_to_read(directory: impl AsRef<Path>) -> Result<Graph, GraphError> {
        Graph::open_as(directory.as_ref(), Directory::to_read)
    }

    fn open_as(
        directory: &Path,
        how: impl Fn(&Path) -> io::Result<Directory>,
    ) -> Result<Graph, GraphError> {
        if !is_store(directory) {
            if holds_records(directory) {
                return Err(GraphError::Incomplete(directory.to_path_buf()));
            }
            return Err(GraphError::NoGraph(directory.to_path_buf()));
        }
        let graph = Graph::begin_open_on(directory, StoreConfig::default(), how)?;
        if *graph.store.state() == StoreState::Empty {
            graph.refuse_remains(directory)?;
            return Err(GraphError::NoGraph(directory.to_path_buf()));
        }
        graph.ready()
    }

    /// What opening the graph found: none if it was made just then.
    pub fn recovery(&self) -> Option<Recovery> {
        self.store.recovery()
    }

    /// What is in the graph.
    ///
    /// # Errors
    /// A damaged page.
    pub fn info(&self) -> Result<GraphInfo, GraphError> {
        let mut count = Count { store: &self.store, info: GraphInfo::default() };
        self.store.audit(&self.disk, &mut count)?;
        let files = self.disk.sizes().map_err(|source| GraphError::Files {
            what: String::from("the files of the store"),
            source,
        })?;
        Ok(GraphInfo {
            keys: self.store.token_names(TokenKind::PropertyKey).len() as u64,
            indexes: indexes(&self.store),
            store_id: self.store.store_id(),
            last: self.store.mark(),
            files,
            ..count.info
        })
    }
}

pub(super) fn name(store: &Store, kind: TokenKind, id: TokenId) -> String {
    store.token_names(kind).get(usize::from(id.0)).map_or_else(String::new, |name| name.to_string())
}

/// The indexes and constraints, in the order in which they were made.
pub(super) fn indexes(store: &Store) -> Vec<String> {
    let text = |index: IndexInfo| {
        let (label, key) = (
            name(store, TokenKind::Label, index.label),
            name(store, TokenKind::PropertyKey, index.key),
        );
        let unique = if index.unique { " unique" } else { "" };
        format!(":{label:?}({key:?}){unique}")
    };
    store.indexes().map(text).collect()
}

struct Count<'a> {
    store: &'a Store,
    info: GraphInfo,
}

impl AuditVisitor for Count<'_> {
    fn node(&mut self, node: &AuditNode<'_>) {
        self.info.nodes += 1;
        self.info.properties += node.properties.len() as u64;
        for label in node.labels {
            *self.info.labels.entry(name(self.store, TokenKind::Label, *label)).or_default() += 1;
        }
    }

    fn relationship(&mut self, relationship: &AuditRelationship<'_>) {
        self.info.relationships += 1;
        self.info.properties += relationship.properties.len() as u64;
        let kind = name(self.store, TokenKind::RelationshipType, relationship.kind);
        *self.info.types.entry(kind).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageBuilder;

    #[test]
    fn an_imported_graph_is_whole_and_lives_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("graph");
        let mut image = ImageBuilder::new(7);
        let label = image.token(TokenKind::Label, "Page").unwrap();
        let kind = image.token(TokenKind::RelationshipType, "links").unwrap();
        let nodes: Vec<_> = (0..200).map(|_| image.add_node(&[label], &[]).unwrap()).collect();
        for to in &nodes[1..] {
            image.add_relationship(nodes[0], *to, kind, &[]).unwrap();
        }
        let mut graph = Graph::import(&path, &image.clone().finish()).unwrap();
        let info = graph.info().unwrap();
        assert_eq!((info.nodes, info.relationships, info.labels["Page"]), (200, 199, 200));
        assert_eq!(info.types["links"], 199);
        assert!(graph.check().unwrap().is_empty());
        graph.write(|tx| tx.create_node(&["Page"])).unwrap();
        drop(graph);
        let graph = Graph::open_existing(&path).unwrap();
        assert_eq!(graph.info().unwrap().nodes, 201);
        drop(graph);
        let again = Graph::import(&path, &image.finish());
        assert!(matches!(again, Err(GraphError::NotEmpty(_))), "{again:?}");
    }

    /// As an import leaves it that dies before the meta file, which comes last.
    #[test]
    fn an_import_that_did_not_come_to_its_end_is_told_as_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("graph");
        let mut image = ImageBuilder::new(7);
        image.add_node(&[], &[]).unwrap();
        let image = image.finish();
        drop(Graph::import(&path, &image).unwrap());
        std::fs::remove_file(path.join("neostore")).unwrap();
        for refused in [
            Graph::import(&path, &image),
            Graph::open_existing(&path),
            Graph::open_to_read(&path),
            Graph::open(&path),
        ] {
            let Err(error @ GraphError::Incomplete(_)) = refused else { panic!("{refused:?}") };
            assert!(error.to_string().contains("remove the directory"), "{error}");
        }
        let restored = Graph::restore(&path, directory.path().join("copy"));
        assert!(matches!(restored, Err(GraphError::Incomplete(_))), "{restored:?}");
    }

    #[test]
    fn what_is_no_graph_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert!(matches!(Graph::open_existing(&missing), Err(GraphError::NoGraph(_))));
        assert!(!missing.exists());
        std::fs::write(directory.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(Graph::open_existing(directory.path()), Err(GraphError::NoGraph(_))));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
