//! What may happen to data that should not, as an expectation names it, and what the audit at
//! the end has to tell for it.

use alloc::string::String;
use alloc::vec::Vec;

use wavetank_vocabulary::{Span, Status};

use crate::plan::GraphModel;

/// Something that should not happen to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// What operations added to a number, and were told to have, is not in it at the end.
    LostUpdates {
        /// The property.
        property: String,
    },
    /// A number on a node differs at the end from how many relationships the node has.
    CounterEqualsCount {
        /// The property that counts.
        property: String,
        /// The type of the relationships that it counts.
        kind: String,
        /// Whether it counts those that end at the node, or those that begin there.
        incoming: bool,
    },
    /// Two nodes have more than one relationship of a type, in the same direction.
    UniqueRelationship {
        /// The type.
        kind: String,
    },
    /// There is a relationship where something else excludes it.
    ForbiddenPair {
        /// Its type.
        kind: String,
        /// What excludes it.
        by: Forbidden,
    },
    /// The sum of a number over all nodes has changed.
    BankTotal {
        /// The property.
        property: String,
    },
    /// A transaction was open for longer than this, or was left open at the end.
    StuckTransactions {
        /// The longest that is right.
        within: Span,
    },
    /// An operation failed for good.
    FailedOperations {
        /// Those that failed with this; any, if none.
        status: Option<Status>,
    },
    /// A second store has under a node another value than the node itself.
    StoresAgree {
        /// The store's name.
        store: String,
        /// The node's property.
        property: String,
    },
    /// What operations at the master, between two failovers, read and wrote in a property cannot
    /// be put in an order that keeps to when they were under way.
    Linearizable {
        /// The property.
        property: String,
    },
    /// What operations at the master, between two failovers, appended to lists and read of them
    /// is not one list each.
    ListAppend {
        /// The property of an element.
        property: String,
    },
    /// Two nodes that operations created have the same number.
    UniqueValue {
        /// The property.
        property: String,
    },
}

/// What excludes a relationship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// A relationship of this type the other way.
    Type(String),
    /// This label, given to the node at its end before the relationship was created.
    Label(String),
}

/// What the audit tells: facts name properties and types by their places here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audited<'p> {
    /// Properties of nodes.
    pub properties: Vec<&'p str>,
    /// Types of relationships.
    pub types: Vec<&'p str>,
}

impl Audited<'_> {
    /// The place of a property.
    pub fn property(&self, name: &str) -> Option<u8> {
        self.properties.iter().position(|known| *known == name).map(|place| place as u8)
    }

    /// The place of a type.
    pub fn kind(&self, name: &str) -> Option<u8> {
        self.types.iter().position(|known| *known == name).map(|place| place as u8)
    }
}

fn once<'p>(list: &mut Vec<&'p str>, name: &'p str) {
    if !list.contains(&name) {
        list.push(name);
    }
}

impl Anomaly {
    /// The name that scenarios use.
    pub const fn name(&self) -> &'static str {
        match self {
            Anomaly::LostUpdates { .. } => "lost-updates",
            Anomaly::CounterEqualsCount { .. } => "counter-equals-count",
            Anomaly::UniqueRelationship { .. } => "unique-relationship",
            Anomaly::ForbiddenPair { .. } => "forbidden-pair",
            Anomaly::BankTotal { .. } => "bank-total",
            Anomaly::StuckTransactions { .. } => "stuck-transactions",
            Anomaly::FailedOperations { .. } => "failed-operations",
            Anomaly::StoresAgree { .. } => "stores-agree",
            Anomaly::Linearizable { .. } => "linearizable",
            Anomaly::ListAppend { .. } => "list-append",
            Anomaly::UniqueValue { .. } => "unique-value",
        }
    }

    /// Adds what the audit has to tell for it.
    pub(crate) fn audited<'p>(&'p self, audited: &mut Audited<'p>, model: GraphModel) {
        match self {
            Anomaly::LostUpdates { property }
            | Anomaly::BankTotal { property }
            | Anomaly::UniqueValue { property }
            | Anomaly::StoresAgree { property, .. } => once(&mut audited.properties, property),
            Anomaly::CounterEqualsCount { property, kind, .. } => {
                once(&mut audited.properties, property);
                once(&mut audited.types, kind);
                // Whose number it is, if it stands on a node of its own.
                if let Some(part) = model.part(property) {
                    once(&mut audited.types, part);
                }
            }
            Anomaly::UniqueRelationship { kind } => once(&mut audited.types, kind),
            Anomaly::ForbiddenPair { kind, by: Forbidden::Type(other) } => {
                once(&mut audited.types, kind);
                once(&mut audited.types, other);
            }
            Anomaly::ForbiddenPair { by: Forbidden::Label(_), .. }
            | Anomaly::StuckTransactions { .. }
            | Anomaly::FailedOperations { .. }
            | Anomaly::Linearizable { .. }
            | Anomaly::ListAppend { .. } => {}
        }
    }
}
