//! `counter-equals-count`: does a number on a node say how many relationships the node has?
//!
//! Both are read from the master's store at the end. A node without the number counts as 0.
//!
//! Exercised: operations wrote, and nodes have the number. Memory: one entry for each such node.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Classes, Fact, NodeId, Time, TxId};

use super::anomalies::{Tally, Watch};

#[derive(Clone, Debug)]
pub(super) struct Counters {
    name: String,
    property: u8,
    kind: String,
    place: u8,
    incoming: bool,
    writes: u64,
    /// The number, and the count.
    nodes: BTreeMap<NodeId, (i64, i64)>,
}

impl Counters {
    pub(super) fn new(name: String, property: u8, counts: (String, u8, bool)) -> Self {
        let (kind, place, incoming) = counts;
        Counters { name, property, kind, place, incoming, writes: 0, nodes: BTreeMap::new() }
    }
}

impl Watch for Counters {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS | Classes::AUDIT
    }

    fn observe(&mut self, _at: Time, fact: &Fact, _tally: &mut Tally) {
        match *fact {
            Fact::Completed { tx, .. } => self.writes += u64::from(tx != TxId(0)),
            Fact::FinalValue { property, node, value } if property == self.property => {
                self.nodes.entry(node).or_default().0 = value;
            }
            Fact::FinalRelationship { kind, from, to, .. } if kind == self.place => {
                let node = if self.incoming { to } else { from };
                self.nodes.entry(node).or_default().1 += 1;
            }
            _ => {}
        }
    }

    fn close(&self, tally: &mut Tally) {
        if self.writes == 0 {
            return;
        }
        tally.looked += self.nodes.len() as u64;
        for (node, (number, count)) in &self.nodes {
            if number != count {
                tally.find(1, None, Vec::new(), Vec::new(), || {
                    let way = if self.incoming { "end at it" } else { "begin at it" };
                    format!(
                        "`{}` of node {} is {number}, and {count} {} {way}.",
                        self.name, node.0, self.kind
                    )
                });
            }
        }
    }

    fn looks_at(&self) -> &'static str {
        "nodes that count"
    }
}
