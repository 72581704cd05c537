//! Chains of relationships: linking, unlinking, degrees.
//!
//! A relationship stands in one chain of each of its nodes (a loop in one). New ones go to
//! the front. The first of a chain keeps the chain's length in its `previous` field, so a
//! change at the front touches the chain's head and the old first, one in the middle the two
//! neighbours and the first. A chain's head is the node or, if that is dense, a relationship
//! group (`dense`).

use wavetank_vocabulary::PlantedBugs;

use crate::error::StoreError;
use crate::locks::Slot;
use crate::record::{MAX_ENTITIES, NONE, NodeRecord, RelationshipRecord};
use crate::store::{Ledger, Stop, Store};

/// Where a node stands in a relationship that the chain says is its own.
pub(crate) fn side_of(record: &RelationshipRecord, node: u64) -> Result<usize, StoreError> {
    record.side(node).filter(|_| record.in_use).map(|side| side as usize).ok_or_else(|| {
        StoreError::Inconsistent("a relationship chain leads to a foreign relationship".into())
    })
}

/// The length of a chain of `node`, which its first relationship keeps.
pub(crate) fn length_at(first: &RelationshipRecord, node: u64) -> Result<u64, StoreError> {
    let side = side_of(first, node)?;
    // In the middle of a chain the field is an id, and `NONE` before it is linked.
    if !first.is_first[side] || first.previous[side] > MAX_ENTITIES {
        let what = "a relationship chain begins in its middle";
        return Err(StoreError::Inconsistent(what.into()));
    }
    Ok(first.previous[side])
}

impl Store {
    /// How many relationships a node has, as the transaction sees it.
    pub(crate) fn degree(
        &mut self,
        slot: Slot,
        node: u64,
        record: &NodeRecord,
        ledger: &mut Ledger,
    ) -> Result<u64, Stop> {
        let mut degree = 0;
        if record.dense {
            degree = self.dense_degree(slot, node, record.first_relationship, ledger)?;
        } else if record.first_relationship != NONE {
            let first: RelationshipRecord = self.get(slot, record.first_relationship, ledger)?;
            degree = length_at(&first, node)?;
        }
        // Changes of this transaction that are not in the chain yet.
        for place in self.transactions[slot as usize].linked.. {
            let Some(id) = self.transactions[slot as usize].created.get(place) else { break };
            let made: RelationshipRecord = self.get(slot, *id, ledger)?;
            degree += u64::from(made.side(node).is_some());
        }
        for place in self.transactions[slot as usize].unlinked.. {
            let Some(id) = self.transactions[slot as usize].deleted.get(place) else { break };
            let gone: RelationshipRecord = self.get(slot, *id, ledger)?;
            degree = degree.saturating_sub(u64::from(gone.side(node).is_some()));
        }
        Ok(degree)
    }

    /// Puts the transaction's new relationships into their chains, takes the deleted ones
    /// out, and clears deleted nodes. What is done stays done if it has to wait.
    pub(crate) fn prepare(&mut self, slot: Slot, ledger: &mut Ledger) -> Result<(), Stop> {
        loop {
            let tx = &self.transactions[slot as usize];
            let Some(id) = tx.created.get(tx.linked).copied() else { break };
            if !tx.deleted.contains(&id) {
                self.link(slot, id, ledger)?;
            }
            self.transactions[slot as usize].linked += 1;
        }
        loop {
            let tx = &self.transactions[slot as usize];
            let Some(id) = tx.deleted.get(tx.unlinked).copied() else { break };
            self.unlink(slot, id, ledger)?;
            self.transactions[slot as usize].unlinked += 1;
        }
        loop {
            let tx = &self.transactions[slot as usize];
            let Some(id) = tx.deleted_nodes.get(tx.cleared).copied() else { break };
            self.put(slot, id, &NodeRecord::UNUSED, ledger);
            self.transactions[slot as usize].cleared += 1;
        }
        Ok(())
    }

    fn link(&mut self, slot: Slot, id: u64, ledger: &mut Ledger) -> Result<(), Stop> {
        let mut new: RelationshipRecord = self.get(slot, id, ledger)?;
        let one_sided = self.config.bugs.contains(PlantedBugs::CHAIN_ONE_SIDED);
        let sides = if new.is_loop() || one_sided { 1 } else { 2 };
        // Read and lock everything before the first write.
        let mut dense = [false; 2];
        for (side, dense) in dense.iter_mut().enumerate().take(sides) {
            let head = self.head(slot, &new, side, ledger)?;
            let mut degree = 0;
            if head.first() != NONE {
                self.lock_relationship(slot, head.first())?;
                let first: RelationshipRecord = self.get(slot, head.first(), ledger)?;
                degree = length_at(&first, new.nodes[side])?;
            }
            *dense = self.becomes_dense(&head, degree);
            if *dense {
                self.hold_chain(slot, new.nodes[side], head.first(), ledger)?;
            }
        }
        for (side, dense) in dense.into_iter().enumerate().take(sides) {
            let node = new.nodes[side];
            if dense {
                self.make_dense(slot, node, ledger)?;
            }
            let head = self.head(slot, &new, side, ledger)?;
            let first_id = head.first();
            let mut degree = 0;
            if first_id != NONE {
                // Both chains may begin with the same relationship: take its latest image.
                let mut first: RelationshipRecord = self.get(slot, first_id, ledger)?;
                let at = side_of(&first, node)?;
                degree = first.previous[at];
                first.previous[at] = id;
                first.is_first[at] = false;
                self.put(slot, first_id, &first, ledger);
            }
            new.previous[side] = degree + 1;
            new.is_first[side] = true;
            new.next[side] = first_id;
            self.set_first(slot, &new, side, head, id, ledger)?;
        }
        self.put(slot, id, &new, ledger);
        Ok(())
    }

    fn unlink(&mut self, slot: Slot, id: u64, ledger: &mut Ledger) -> Result<(), Stop> {
        let gone: RelationshipRecord = self.get(slot, id, ledger)?;
        let sides = if gone.is_loop() { 1 } else { 2 };
        // A relationship made and deleted before it was ever linked stands in no chain.
        let linked = gone.is_first[0] || gone.previous[0] != NONE;
        for side in 0..if linked { sides } else { 0 } {
            let first = self.head(slot, &gone, side, ledger)?.first();
            let previous = match gone.is_first[side] {
                true => length_at(&gone, gone.nodes[side]).map(|_| NONE)?,
                false => gone.previous[side],
            };
            for neighbour in [first, previous, gone.next[side]] {
                if neighbour != NONE && neighbour != id {
                    self.lock_relationship(slot, neighbour)?;
                    let record: RelationshipRecord = self.get(slot, neighbour, ledger)?;
                    match neighbour == first {
                        true => length_at(&record, gone.nodes[side]).map(|_| ())?,
                        false => side_of(&record, gone.nodes[side]).map(|_| ())?,
                    }
                }
            }
        }
        for side in 0..if linked { sides } else { 0 } {
            self.unlink_side(slot, id, side, ledger)?;
        }
        self.put(slot, id, &RelationshipRecord::UNUSED, ledger);
        Ok(())
    }

    /// Takes a relationship out of one chain; all that it touches has been read.
    fn unlink_side(
        &mut self,
        slot: Slot,
        id: u64,
        side: usize,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let gone: RelationshipRecord = self.get(slot, id, ledger)?;
        let node_id = gone.nodes[side];
        let next_id = gone.next[side];
        if gone.is_first[side] {
            if next_id != NONE {
                let mut next: RelationshipRecord = self.get(slot, next_id, ledger)?;
                let at = side_of(&next, node_id)?;
                next.previous[at] = gone.previous[side].saturating_sub(1);
                next.is_first[at] = true;
                self.put(slot, next_id, &next, ledger);
            }
            let head = self.head(slot, &gone, side, ledger)?;
            return self.set_first(slot, &gone, side, head, next_id, ledger);
        }
        let mut previous: RelationshipRecord = self.get(slot, gone.previous[side], ledger)?;
        let at = side_of(&previous, node_id)?;
        previous.next[at] = next_id;
        self.put(slot, gone.previous[side], &previous, ledger);
        if next_id != NONE {
            let mut next: RelationshipRecord = self.get(slot, next_id, ledger)?;
            let at = side_of(&next, node_id)?;
            next.previous[at] = gone.previous[side];
            self.put(slot, next_id, &next, ledger);
        }
        let first_id = self.head(slot, &gone, side, ledger)?.first();
        let mut first: RelationshipRecord = self.get(slot, first_id, ledger)?;
        let at = side_of(&first, node_id)?;
        first.previous[at] = first.previous[at].saturating_sub(1);
        self.put(slot, first_id, &first, ledger);
        Ok(())
    }
}
