//! What a transaction on real files can do: a [`Reader`] reads, a [`Writer`] writes too.

use std::vec::Vec;

use wavetank_vocabulary::{NodeId, RelationshipId};

use super::{Graph, GraphError};
use crate::error::StoreError;
use crate::steps::{Direction, MicroStep};
use crate::transactions::{Neighbour, TxHandle};
use crate::value::{Entity, FindCursor, TokenId, TokenKind, Value};

/// A transaction that reads.
#[derive(Debug)]
pub struct Reader<'g> {
    pub(super) graph: &'g mut Graph,
    pub(super) tx: TxHandle,
}

impl Drop for Reader<'_> {
    /// Rolls back what was not committed; nothing happens after a commit.
    fn drop(&mut self) {
        self.graph.store.rollback(self.tx);
    }
}

impl Reader<'_> {
    pub(super) fn run(&mut self, step: &MicroStep) -> Result<Value, GraphError> {
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
    pub(super) reader: Reader<'g>,
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
    pub(super) fn token(&mut self, kind: TokenKind, name: &str) -> Result<TokenId, GraphError> {
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
