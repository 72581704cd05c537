//! Looking at a graph as a whole: what is in it, and all of it as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use wavetank_vocabulary::LogMark;

use super::directory::is_store;
use super::{Graph, GraphError};
use crate::audit::{AuditNode, AuditRelationship, AuditVisitor};
use crate::config::StoreConfig;
use crate::store::{Recovery, Store, StoreState};
use crate::value::{Array, TokenId, TokenKind, Value};

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
    /// Indexes and constraints, as `:Label(key)` or `:Label(key) unique`.
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
        let directory = directory.as_ref();
        if !is_store(directory) {
            return Err(GraphError::NoGraph(directory.to_path_buf()));
        }
        let graph = Graph::begin_open(directory, StoreConfig::default())?;
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
        let name = |kind, id: TokenId| name(&self.store, kind, id);
        let indexes = self.store.indexes().map(|index| {
            let (label, key) =
                (name(TokenKind::Label, index.label), name(TokenKind::PropertyKey, index.key));
            let unique = if index.unique { " unique" } else { "" };
            let mut text = String::new();
            let _ = write!(text, ":{label}({key}){unique}");
            text
        });
        let files = self.disk.sizes().map_err(|source| GraphError::Files {
            what: String::from("the files of the store"),
            source,
        })?;
        Ok(GraphInfo {
            keys: self.store.token_names(TokenKind::PropertyKey).len() as u64,
            indexes: indexes.collect(),
            store_id: self.store.store_id(),
            last: self.store.mark(),
            files,
            ..count.info
        })
    }

    /// Writes the whole graph as text, a line for each index, node and relationship, sorted
    /// by the numbers of their records: the same for all copies of a store.
    ///
    /// Labels and keys are in the order of their names. Numbers say what they are: `1` is
    /// 64 bits wide, `1i` 32, `1s` 16, `1b` 8; `1.0` is a double and `1.0f` a float.
    ///
    /// # Errors
    /// A damaged page, or `out` fails.
    pub fn dump(&self, out: &mut dyn Write) -> Result<(), GraphError> {
        let failed = |source| GraphError::Files { what: String::from("the dump"), source };
        let mut indexes = self.info()?.indexes;
        indexes.sort();
        for index in indexes {
            writeln!(out, "index {index}").map_err(failed)?;
        }
        let mut dump = Dump { store: &self.store, out, line: String::new(), error: None };
        self.store.audit(&self.disk, &mut dump)?;
        match dump.error {
            Some(error) => Err(failed(error)),
            None => Ok(()),
        }
    }
}

fn name(store: &Store, kind: TokenKind, id: TokenId) -> String {
    store.token_names(kind).get(usize::from(id.0)).map_or_else(String::new, |name| name.to_string())
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

struct Dump<'a> {
    store: &'a Store,
    out: &'a mut dyn Write,
    line: String,
    error: Option<io::Error>,
}

impl Dump<'_> {
    fn properties(&mut self, properties: &[(TokenId, Value)]) {
        if properties.is_empty() {
            return;
        }
        let mut named: Vec<(String, &Value)> = properties
            .iter()
            .map(|(key, value)| (name(self.store, TokenKind::PropertyKey, *key), value))
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        self.line.push_str(" {");
        for (n, (key, value)) in named.into_iter().enumerate() {
            if n > 0 {
                self.line.push_str(", ");
            }
            let _ = write!(self.line, "{key:?}: ");
            text(value, &mut self.line);
        }
        self.line.push('}');
    }

    fn end(&mut self) {
        self.line.push('\n');
        if self.error.is_none() {
            self.error = self.out.write_all(self.line.as_bytes()).err();
        }
        self.line.clear();
    }
}

impl AuditVisitor for Dump<'_> {
    fn node(&mut self, node: &AuditNode<'_>) {
        let _ = write!(self.line, "node {}", node.id.0);
        let mut labels: Vec<String> =
            node.labels.iter().map(|label| name(self.store, TokenKind::Label, *label)).collect();
        labels.sort();
        for label in labels {
            let _ = write!(self.line, " :{label:?}");
        }
        self.properties(node.properties);
        self.end();
    }

    fn relationship(&mut self, relationship: &AuditRelationship<'_>) {
        let kind = name(self.store, TokenKind::RelationshipType, relationship.kind);
        let (id, from, to) = (relationship.id.0, relationship.from.0, relationship.to.0);
        let _ = write!(self.line, "relationship {id} {from} -> {to} :{kind:?}");
        self.properties(relationship.properties);
        self.end();
    }
}

/// A value as a dump writes it.
fn text(value: &Value, out: &mut String) {
    let _ = match value {
        Value::Bool(value) => write!(out, "{value}"),
        Value::Byte(value) => write!(out, "{value}b"),
        Value::Short(value) => write!(out, "{value}s"),
        Value::Int32(value) => write!(out, "{value}i"),
        Value::Int(value) => write!(out, "{value}"),
        Value::Float32(value) => write!(out, "{value:?}f"),
        Value::Float(value) => write!(out, "{value:?}"),
        Value::Char(value) => write!(out, "{value:?}"),
        Value::Text(value) => write!(out, "{value:?}"),
        Value::Array(array) => match array {
            Array::Bool(items) => write!(out, "bool{items:?}"),
            Array::Byte(items) => write!(out, "byte{items:?}"),
            Array::Short(items) => write!(out, "short{items:?}"),
            Array::Int32(items) => write!(out, "int{items:?}"),
            Array::Int(items) => write!(out, "long{items:?}"),
            Array::Float32(items) => write!(out, "float{items:?}"),
            Array::Float(items) => write!(out, "double{items:?}"),
            Array::Char(items) => write!(out, "char{items:?}"),
            Array::Text(items) => write!(out, "string{items:?}"),
        },
        // No property holds any other kind of value.
        other => write!(out, "{other:?}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageBuilder;

    fn dumped(graph: &Graph) -> String {
        let mut out = Vec::new();
        graph.dump(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_dump_depends_on_the_contents_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut one = Graph::open(directory.path().join("one")).unwrap();
        one.write(|tx| {
            let ada = tx.create_node(&["User", "Admin"])?;
            let bob = tx.create_node(&["User"])?;
            tx.set(ada, "name", "Ada \"Countess\"")?;
            tx.set(ada, "age", 36)?;
            let knows = tx.create_relationship(ada, "knows", bob)?;
            tx.set(knows, "since", 1833)?;
            Ok(())
        })
        .unwrap();
        one.create_index("User", "name", true).unwrap();
        // The same, with names numbered in another order and a detour.
        let mut two = Graph::open(directory.path().join("two")).unwrap();
        two.create_index("User", "name", true).unwrap();
        let (ada, bob) =
            two.write(|tx| Ok((tx.create_node(&["Admin"])?, tx.create_node(&["User"])?))).unwrap();
        two.write(|tx| {
            tx.set(ada, "age", 35)?;
            let knows = tx.create_relationship(ada, "knows", bob)?;
            tx.set(knows, "since", 1833)?;
            tx.set(ada, "name", "Ada \"Countess\"")?;
            tx.set(ada, "age", 36)?;
            tx.add_label(ada, "User")
        })
        .unwrap();
        let text = dumped(&one);
        assert_eq!(text, dumped(&two));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "index :User(name) unique");
        assert_eq!(lines[1], r#"node 0 :"Admin" :"User" {"age": 36, "name": "Ada \"Countess\""}"#);
        assert_eq!(lines[3], r#"relationship 0 0 -> 1 :"knows" {"since": 1833}"#);
    }

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
        let again = Graph::import(&path, &image.finish());
        assert!(matches!(again, Err(GraphError::NotEmpty(_))), "{again:?}");
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
