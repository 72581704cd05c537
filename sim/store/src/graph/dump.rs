//! All of a graph as sorted text, the same for the same content.

use std::fmt::Write as _;
use std::format;
use std::io::Write;
use std::string::String;
use std::vec::Vec;

use super::inspect::{indexes, name};
use super::order::{Edge, canonical_order};
use super::{Graph, GraphError};
use crate::audit::{AuditNode, AuditRelationship, AuditVisitor, PageSource};
use crate::error::StoreError;
use crate::store::Store;
use crate::value::{Array, TokenId, TokenKind, Value};

impl Graph {
    /// Writes the whole graph as text: a line for each index, node and relationship, sorted.
    /// Two graphs with the same content give the same text, however they came to it.
    ///
    /// Nodes are numbered from 0 in the order of their own text (labels and properties); those
    /// with the same text by their relationships and neighbours. Where those are alike as well,
    /// the order of the records decides: that shows in the text only if the nodes still differ
    /// in what lies farther off and no comparison of neighbours tells, as in regular graphs.
    ///
    /// Labels and keys are in the order of their names. Numbers say what they are: `1` is
    /// 64 bits wide, `1i` 32, `1s` 16, `1b` 8; `1.0` is a double and `1.0f` a float.
    ///
    /// # Errors
    /// A damaged page, a relationship of a node that is not there, or `out` fails; of a store
    /// that cannot be trusted nothing is written.
    pub fn dump(&self, out: &mut dyn Write) -> Result<(), GraphError> {
        self.store.dump(&self.disk, out)
    }
}

impl Store {
    /// What [`Graph::dump`] writes, of a store on any disk.
    ///
    /// # Errors
    /// As [`Graph::dump`].
    pub fn dump(&self, disk: &dyn PageSource, out: &mut dyn Write) -> Result<(), GraphError> {
        let mut indexes = indexes(self);
        indexes.sort();
        let (nodes, relationships) = (Vec::new(), Vec::new());
        let mut lines = Lines { store: self, nodes, relationships, lost: None };
        self.audit(disk, &mut lines)?;
        if let Some((relationship, node)) = lines.lost {
            let what = format!("relationship {relationship} is of node {node}, which is not there");
            return Err(StoreError::Inconsistent(what).into());
        }
        lines.write(&indexes, out).map_err(|source| {
            let what = String::from("the dump");
            GraphError::Files { what, source }
        })
    }
}

/// What is in the graph, as text.
struct Lines<'a> {
    store: &'a Store,
    /// Record and text, by record.
    nodes: Vec<(u64, String)>,
    /// The places of both ends in `nodes`, and the text.
    relationships: Vec<(u32, u32, String)>,
    /// A relationship of a node that is not there, and the node.
    lost: Option<(u64, u64)>,
}

impl Lines<'_> {
    fn write(mut self, indexes: &[String], out: &mut dyn Write) -> std::io::Result<()> {
        self.relationships.sort_by(|a, b| a.2.cmp(&b.2));
        let mut edges: Vec<Edge> = Vec::with_capacity(self.relationships.len());
        let mut kind = 0;
        for (place, (from, to, text)) in self.relationships.iter().enumerate() {
            kind += u32::from(place > 0 && self.relationships[place - 1].2 != *text);
            edges.push(Edge { from: *from, to: *to, kind });
        }
        let texts: Vec<&str> = self.nodes.iter().map(|(_, text)| text.as_str()).collect();
        let numbers = canonical_order(&texts, &edges);
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_unstable_by_key(|node| numbers[*node]);
        for index in indexes {
            writeln!(out, "index {index}")?;
        }
        for (number, node) in order.into_iter().enumerate() {
            writeln!(out, "node {number}{}", texts[node])?;
        }
        for (from, to, _) in &mut self.relationships {
            (*from, *to) = (numbers[*from as usize], numbers[*to as usize]);
        }
        self.relationships.sort();
        for (from, to, text) in &self.relationships {
            writeln!(out, "relationship {from} -> {to} {text}")?;
        }
        Ok(())
    }

    fn properties(&self, properties: &[(TokenId, Value)], out: &mut String) {
        if properties.is_empty() {
            return;
        }
        let mut named: Vec<(String, &Value)> = properties
            .iter()
            .map(|(key, value)| (name(self.store, TokenKind::PropertyKey, *key), value))
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        out.push_str(" {");
        for (n, (key, value)) in named.into_iter().enumerate() {
            if n > 0 {
                out.push_str(", ");
            }
            let _ = write!(out, "{key:?}: ");
            text(value, out);
        }
        out.push('}');
    }

    /// The place of a node that was shown.
    fn place(&self, record: u64) -> Option<u32> {
        self.nodes.binary_search_by_key(&record, |(id, _)| *id).ok().map(|place| place as u32)
    }
}

impl AuditVisitor for Lines<'_> {
    fn node(&mut self, node: &AuditNode<'_>) {
        let mut labels: Vec<String> =
            node.labels.iter().map(|label| name(self.store, TokenKind::Label, *label)).collect();
        labels.sort();
        let mut line = String::new();
        for label in labels {
            let _ = write!(line, " :{label:?}");
        }
        self.properties(node.properties, &mut line);
        self.nodes.push((node.id.0, line));
    }

    fn relationship(&mut self, relationship: &AuditRelationship<'_>) {
        let mut line = String::new();
        let kind = name(self.store, TokenKind::RelationshipType, relationship.kind);
        let _ = write!(line, ":{kind:?}");
        self.properties(relationship.properties, &mut line);
        let [from, to] = [relationship.from.0, relationship.to.0].map(|node| {
            let place = self.place(node);
            if place.is_none() {
                self.lost.get_or_insert((relationship.id.0, node));
            }
            place
        });
        if let Some((from, to)) = from.zip(to) {
            self.relationships.push((from, to, line));
        }
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
    use crate::disk::FileKind;
    use crate::record::{NodeRecord, Record};
    use std::string::ToString;

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
            tx.create_relationship(bob, "likes", bob)?;
            Ok(())
        })
        .unwrap();
        one.create_index("User", "name", true).unwrap();
        // The same in another order, with other numbers and a detour.
        let mut two = Graph::open(directory.path().join("two")).unwrap();
        two.create_index("User", "name", true).unwrap();
        let (bob, gone, ada) = two
            .write(|tx| {
                let bob = tx.create_node(&["User"])?;
                Ok((bob, tx.create_node(&[])?, tx.create_node(&["Admin"])?))
            })
            .unwrap();
        two.write(|tx| {
            tx.set(ada, "age", 35)?;
            tx.create_relationship(bob, "likes", bob)?;
            let knows = tx.create_relationship(ada, "knows", bob)?;
            tx.set(knows, "since", 1833)?;
            tx.set(ada, "name", "Ada \"Countess\"")?;
            tx.set(ada, "age", 36)?;
            tx.delete_node(gone)?;
            tx.add_label(ada, "User")
        })
        .unwrap();
        let text = dumped(&one);
        assert_eq!(text, dumped(&two));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"index :"User"("name") unique"#,
                r#"node 0 :"Admin" :"User" {"age": 36, "name": "Ada \"Countess\""}"#,
                r#"node 1 :"User""#,
                r#"relationship 0 -> 1 :"knows" {"since": 1833}"#,
                r#"relationship 1 -> 1 :"likes""#,
            ]
        );
        // Any difference shows.
        two.write(|tx| tx.set(bob, "age", 1)).unwrap();
        assert_ne!(dumped(&one), dumped(&two));
    }

    /// The store's own records contradict each other, with right checksums.
    #[test]
    fn a_relationship_of_a_node_that_is_not_there_is_told_and_nothing_is_written() {
        let directory = tempfile::tempdir().unwrap();
        for gone in [0, 1, 2] {
            let mut graph = Graph::open(directory.path().join(gone.to_string())).unwrap();
            graph
                .write(|tx| {
                    let nodes = [tx.create_node(&[])?, tx.create_node(&[])?, tx.create_node(&[])?];
                    for from in nodes {
                        for to in nodes {
                            tx.create_relationship(from, "knows", to)?;
                        }
                    }
                    Ok(())
                })
                .unwrap();
            let mut image = [0; NodeRecord::SIZE];
            NodeRecord::UNUSED.encode(&mut image);
            graph.store.write_image(FileKind::Nodes, gone, &image, 0);
            let mut out = Vec::new();
            let refused = graph.dump(&mut out);
            let Err(GraphError::Store(StoreError::Inconsistent(what))) = refused else {
                panic!("{refused:?}")
            };
            assert!(what.ends_with(&format!("is of node {gone}, which is not there")), "{what}");
            assert_eq!(out, []);
        }
    }

    #[test]
    fn nodes_without_a_text_are_told_apart_by_their_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        // Two ways of five, one with a mark at its end, built from either end.
        let build = |name: &str, turned: bool| {
            let mut graph = Graph::open(directory.path().join(name)).unwrap();
            graph
                .write(|tx| {
                    for marked in [turned, !turned] {
                        let mut nodes = Vec::new();
                        for _ in 0..5 {
                            nodes.push(tx.create_node(&[])?);
                        }
                        if turned {
                            nodes.reverse();
                        }
                        for two in nodes.windows(2) {
                            tx.create_relationship(two[0], "next", two[1])?;
                        }
                        if marked {
                            tx.set(nodes[4], "mark", 1)?;
                        }
                    }
                    Ok(())
                })
                .unwrap();
            dumped(&graph)
        };
        let text = build("one", false);
        assert_eq!(text, build("two", true));
        assert_eq!(text.lines().filter(|line| line.starts_with("relationship")).count(), 8);
        assert!(text.contains(&"node 9 {\"mark\": 1}".to_string()), "{text}");
    }
}
