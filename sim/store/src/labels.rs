//! The labels of nodes: in the node's record while they fit, else in dynamic records.
//!
//! A dynamic list begins with the id of its node, so that a list that nobody points to can be
//! told whose it was.

use alloc::vec::Vec;
use wavetank_vocabulary::NodeId;

use crate::error::StoreError;
use crate::locks::Slot;
use crate::pieces::PieceKey;
use crate::record::{LabelRecord, Labels, NodeRecord, u64_at};
use crate::store::{Ledger, Stop, Store};
use crate::tree::IndexKey;
use crate::value::{TokenId, Value};

/// The bytes of a node's dynamic label list.
pub(crate) fn list_bytes(node: u64, sorted: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + 2 * sorted.len());
    bytes.extend_from_slice(&node.to_le_bytes());
    bytes.extend(sorted.iter().flat_map(|label| (*label as u16).to_le_bytes()));
    bytes
}

/// The node and the labels of a dynamic list; none if it is none.
pub(crate) fn list_of(bytes: &[u8]) -> Option<(u64, impl Iterator<Item = u32> + '_)> {
    let (node, labels) = bytes.split_at_checked(8)?;
    let labels = labels.chunks_exact(2).map(|two| u32::from(u16::from_le_bytes([two[0], two[1]])));
    bytes.len().is_multiple_of(2).then(|| (u64_at(node, 0), labels))
}

/// Ascending and without repetition.
pub(crate) fn sorted(labels: &[TokenId]) -> Vec<u32> {
    let mut sorted: Vec<u32> = labels.iter().map(|label| u32::from(label.0)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

impl Store {
    /// The labels of a node, ascending.
    pub(crate) fn labels(
        &mut self,
        slot: Slot,
        record: &NodeRecord,
        out: &mut Vec<u32>,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        out.clear();
        match record.labels.dynamic() {
            None => out.extend(record.labels.iter()),
            Some(first) => {
                let bytes = self.load_pieces::<LabelRecord>(slot, first, ledger)?;
                let list = list_of(&bytes);
                let (_, labels) = list.ok_or_else(|| {
                    StoreError::Inconsistent("a list of labels cannot be read".into())
                })?;
                out.extend(labels);
            }
        }
        Ok(())
    }

    pub(crate) fn has_label(
        &mut self,
        slot: Slot,
        id: NodeId,
        label: TokenId,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let record = self.node(slot, id, ledger)?;
        let label = u32::from(label.0);
        if record.labels.dynamic().is_none() {
            return Ok(Value::Bool(record.labels.iter().any(|other| other == label)));
        }
        let mut labels = Vec::new();
        self.labels(slot, &record, &mut labels, ledger)?;
        Ok(Value::Bool(labels.contains(&label)))
    }

    /// A new node with these labels.
    pub(crate) fn create_node(
        &mut self,
        slot: Slot,
        labels: &[TokenId],
        ledger: &mut Ledger,
    ) -> Value {
        let labels = sorted(labels);
        let inline = Labels::pack(&labels);
        let id = self.add(slot, &NodeRecord::new(inline.unwrap_or_default()), ledger);
        if inline.is_none() {
            let labels = self.store_labels(slot, id, &labels, ledger);
            self.put(slot, id, &NodeRecord::new(labels), ledger);
        }
        let entries = labels.iter().map(|label| (IndexKey::label(*label, id), true)).collect();
        self.put_entries(slot, entries, ledger);
        Value::Node(NodeId(id))
    }

    fn store_labels(
        &mut self,
        slot: Slot,
        node: u64,
        sorted: &[u32],
        ledger: &mut Ledger,
    ) -> Labels {
        let bytes = list_bytes(node, sorted);
        Labels::at(self.store_pieces::<LabelRecord>(slot, &bytes, ledger))
    }

    /// Gives a node a label or takes it away.
    pub(crate) fn change_label(
        &mut self,
        slot: Slot,
        id: NodeId,
        label: TokenId,
        present: bool,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        self.lock_node(slot, id.0)?;
        let record = self.node(slot, id, ledger)?;
        let mut labels = Vec::new();
        self.labels(slot, &record, &mut labels, ledger)?;
        match (labels.binary_search(&u32::from(label.0)), present) {
            (Err(place), true) => labels.insert(place, u32::from(label.0)),
            (Ok(place), false) => {
                labels.remove(place);
            }
            _ => return Ok(Value::Null),
        }
        let mut entries = Vec::new();
        self.entries_of_label(slot, id, u32::from(label.0), present, &mut entries, ledger)?;
        let freed = self.label_pieces(slot, &record, ledger)?;
        // Everything is read: from here on nothing waits.
        self.put_entries(slot, entries, ledger);
        self.free_pieces(slot, &freed, ledger);
        let labels = match Labels::pack(&labels) {
            Some(labels) => labels,
            None => self.store_labels(slot, id.0, &labels, ledger),
        };
        self.put(slot, id.0, &NodeRecord { labels, ..record }, ledger);
        Ok(Value::Null)
    }

    /// The records of a node's dynamic label list.
    pub(crate) fn label_pieces(
        &mut self,
        slot: Slot,
        record: &NodeRecord,
        ledger: &mut Ledger,
    ) -> Result<Vec<PieceKey>, Stop> {
        let mut pieces = Vec::new();
        if let Some(first) = record.labels.dynamic() {
            self.piece_keys::<LabelRecord>(slot, first, &mut pieces, ledger)?;
        }
        Ok(pieces)
    }
}
