//! What the consistency check reports, in the terms of Neo4j's checker.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use super::problem::Problem;
use crate::disk::FileKind;

/// What kind of record contradicts another, by the names of Neo4j's consistency checker (HA
/// specification, section 7). Its name stores and its counts have no counterpart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordType {
    /// What the store knows of itself: next free and unused ids.
    NeoStore,
    /// An index or a constraint.
    Schema,
    /// A node.
    Node,
    /// A property record.
    Property,
    /// A property key.
    PropertyKey,
    /// A piece of a long text.
    StringProperty,
    /// A piece of a long array.
    ArrayProperty,
    /// A relationship.
    Relationship,
    /// A relationship type.
    RelationshipType,
    /// A group of a dense node.
    RelationshipGroup,
    /// A label.
    Label,
    /// A piece of a list of labels.
    NodeDynamicLabel,
    /// An entry of the label scan store.
    LabelScanDocument,
    /// An entry of an index, or a page of the tree of all indexes.
    Index,
}

impl RecordType {
    /// All of them, in Neo4j's order.
    pub const ALL: [RecordType; 14] = [
        RecordType::NeoStore,
        RecordType::Schema,
        RecordType::Node,
        RecordType::Property,
        RecordType::PropertyKey,
        RecordType::StringProperty,
        RecordType::ArrayProperty,
        RecordType::Relationship,
        RecordType::RelationshipType,
        RecordType::RelationshipGroup,
        RecordType::Label,
        RecordType::NodeDynamicLabel,
        RecordType::LabelScanDocument,
        RecordType::Index,
    ];

    /// Neo4j's name of it.
    pub fn name(self) -> &'static str {
        match self {
            RecordType::NeoStore => "NEO_STORE",
            RecordType::Schema => "SCHEMA",
            RecordType::Node => "NODE",
            RecordType::Property => "PROPERTY",
            RecordType::PropertyKey => "PROPERTY_KEY",
            RecordType::StringProperty => "STRING_PROPERTY",
            RecordType::ArrayProperty => "ARRAY_PROPERTY",
            RecordType::Relationship => "RELATIONSHIP",
            RecordType::RelationshipType => "RELATIONSHIP_TYPE",
            RecordType::RelationshipGroup => "RELATIONSHIP_GROUP",
            RecordType::Label => "LABEL",
            RecordType::NodeDynamicLabel => "NODE_DYNAMIC_LABEL",
            RecordType::LabelScanDocument => "LABEL_SCAN_DOCUMENT",
            RecordType::Index => "INDEX",
        }
    }

    /// That of the records of a file, as long as its records are of one type.
    pub(super) fn of(kind: FileKind) -> RecordType {
        match kind {
            FileKind::Nodes => RecordType::Node,
            FileKind::Relationships => RecordType::Relationship,
            FileKind::Properties => RecordType::Property,
            FileKind::Dynamic => RecordType::StringProperty,
            FileKind::Arrays => RecordType::ArrayProperty,
            FileKind::NodeLabels => RecordType::NodeDynamicLabel,
            FileKind::Groups => RecordType::RelationshipGroup,
            FileKind::Schema => RecordType::Schema,
            FileKind::Index => RecordType::Index,
            FileKind::Meta
            | FileKind::Tokens
            | FileKind::Versions
            | FileKind::DoubleWrite
            | FileKind::Log => RecordType::NeoStore,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record that contradicts another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inconsistency {
    /// The file of the record; of an entry of an index, that of the nodes.
    pub kind: FileKind,
    /// The record; of an entry of an index, its node.
    pub record: u64,
    /// What is wrong with it.
    pub problem: Problem,
    pub(crate) record_type: RecordType,
}

impl Inconsistency {
    /// What kind of record it is.
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// How many records of each type are inconsistent; one with several problems counts once.
    pub fn summary(found: &[Inconsistency]) -> BTreeMap<RecordType, u64> {
        let records: BTreeSet<(RecordType, u64, u64)> =
            found.iter().map(|one| (one.record_type, one.kind as u64, one.record)).collect();
        let mut counts = BTreeMap::new();
        for (record_type, ..) in records {
            *counts.entry(record_type).or_insert(0) += 1;
        }
        counts
    }
}

impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inconsistency { kind, record, problem, record_type } = self;
        match record_type {
            RecordType::NeoStore => write!(f, "{record_type}: {kind:?} record {record} {problem}"),
            RecordType::LabelScanDocument => write!(f, "{record_type} of node {record}: {problem}"),
            RecordType::Index if *kind == FileKind::Nodes => {
                write!(f, "{record_type} of node {record}: {problem}")
            }
            _ => write!(f, "{record_type} {record}: {problem}"),
        }
    }
}
