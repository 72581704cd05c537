//! Dense nodes: from a number of relationships on, a node's one chain becomes one chain per
//! type and direction, found through relationship groups.
//!
//! A node becomes dense when its chain would reach the threshold, and stays dense. A group
//! whose last relationship goes is removed.

use alloc::vec::Vec;

use crate::chains::{length_at, side_of};
use crate::error::StoreError;
use crate::locks::Slot;
use crate::record::{GroupRecord, NONE, NodeRecord, RelationshipRecord, Which};
use crate::store::{Ledger, Stop, Store};

/// Where a chain of a node begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Head {
    /// In the node itself.
    Node(NodeRecord),
    /// In a group: the group before it, its id, itself, and which of its chains.
    Group { before: u64, id: u64, group: GroupRecord, which: Which },
    /// The node is dense and has no group of the type; the group before its place.
    NoGroup { before: u64 },
}

impl Head {
    /// The chain's first relationship.
    pub(crate) fn first(&self) -> u64 {
        match self {
            Head::Node(node) => node.first_relationship,
            Head::Group { group, which, .. } => group.first[*which as usize],
            Head::NoGroup { .. } => NONE,
        }
    }
}

/// In which of a dense node's chains a relationship stands, by its side at the node.
pub(crate) fn which_chain(record: &RelationshipRecord, side: usize) -> Which {
    match side {
        _ if record.is_loop() => Which::Loops,
        0 => Which::Outgoing,
        _ => Which::Incoming,
    }
}

fn broken(what: &str) -> Stop {
    StoreError::Inconsistent(what.into()).into()
}

impl Store {
    /// A group that the list of `owner` says is its own.
    pub(crate) fn group(
        &mut self,
        slot: Slot,
        id: u64,
        owner: u64,
        ledger: &mut Ledger,
    ) -> Result<GroupRecord, Stop> {
        let group: GroupRecord = self.get(slot, id, ledger)?;
        if !group.in_use || group.owner != owner {
            return Err(broken("a list of groups leads to a foreign group"));
        }
        Ok(group)
    }

    /// Where the chain begins in which this side of the relationship stands, or will stand.
    pub(crate) fn head(
        &mut self,
        slot: Slot,
        record: &RelationshipRecord,
        side: usize,
        ledger: &mut Ledger,
    ) -> Result<Head, Stop> {
        let owner = record.nodes[side];
        let node: NodeRecord = self.get(slot, owner, ledger)?;
        if !node.dense {
            return Ok(Head::Node(node));
        }
        let (mut before, mut id) = (NONE, node.first_relationship);
        while id != NONE {
            let group = self.group(slot, id, owner, ledger)?;
            if group.kind == record.kind {
                return Ok(Head::Group { before, id, group, which: which_chain(record, side) });
            }
            if group.kind > record.kind {
                break;
            }
            // Ascending types: the list cannot be a circle.
            if group.next != NONE && self.group(slot, group.next, owner, ledger)?.kind <= group.kind
            {
                return Err(broken("the groups of a node are out of order"));
            }
            (before, id) = (id, group.next);
        }
        Ok(Head::NoGroup { before })
    }

    /// Makes `first` the first relationship of the chain with this head. A group that is empty then goes.
    pub(crate) fn set_first(
        &mut self,
        slot: Slot,
        record: &RelationshipRecord,
        side: usize,
        head: Head,
        first: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let owner = record.nodes[side];
        match head {
            Head::Node(node) => {
                self.put(slot, owner, &NodeRecord { first_relationship: first, ..node }, ledger);
            }
            Head::Group { before, id, mut group, which } => {
                group.first[which as usize] = first;
                if group.is_empty() {
                    self.set_next_group(slot, owner, before, group.next, ledger)?;
                    group = GroupRecord::UNUSED;
                }
                self.put(slot, id, &group, ledger);
            }
            Head::NoGroup { before } => {
                let next = match before {
                    NONE => self.get::<NodeRecord>(slot, owner, ledger)?.first_relationship,
                    before => self.group(slot, before, owner, ledger)?.next,
                };
                let mut group = GroupRecord::new(owner, record.kind, next);
                group.first[which_chain(record, side) as usize] = first;
                let id = self.add(slot, &group, ledger);
                self.set_next_group(slot, owner, before, id, ledger)?;
            }
        }
        Ok(())
    }

    /// Makes `next` the group behind `before`, or the node's first.
    fn set_next_group(
        &mut self,
        slot: Slot,
        owner: u64,
        before: u64,
        next: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        if before == NONE {
            let node: NodeRecord = self.get(slot, owner, ledger)?;
            self.put(slot, owner, &NodeRecord { first_relationship: next, ..node }, ledger);
        } else {
            let group = self.group(slot, before, owner, ledger)?;
            self.put(slot, before, &GroupRecord { next, ..group }, ledger);
        }
        Ok(())
    }

    /// Whether one more relationship makes the node of this chain dense.
    pub(crate) fn becomes_dense(&self, head: &Head, degree: u64) -> bool {
        matches!(head, Head::Node(_)) && degree + 1 >= u64::from(self.config.dense_node_threshold)
    }

    /// Reads and locks the whole chain of a node that is about to become dense.
    pub(crate) fn hold_chain(
        &mut self,
        slot: Slot,
        node: u64,
        first: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let mut at = first;
        for _ in 0..=self.config.dense_node_threshold {
            if at == NONE {
                return Ok(());
            }
            self.lock_relationship(slot, at)?;
            let record: RelationshipRecord = self.get(slot, at, ledger)?;
            at = record.next[side_of(&record, node)?];
        }
        Err(broken("a relationship chain is longer than it says"))
    }

    /// Makes a node dense: sorts its chain, which is held, into groups.
    pub(crate) fn make_dense(
        &mut self,
        slot: Slot,
        owner: u64,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let node: NodeRecord = self.get(slot, owner, ledger)?;
        // By type and chain; of equals, those of the chain's end first.
        let mut members: Vec<(u32, Which, u64)> = Vec::new();
        let mut at = node.first_relationship;
        while at != NONE {
            let record: RelationshipRecord = self.get(slot, at, ledger)?;
            let side = side_of(&record, owner)?;
            members.push((record.kind, which_chain(&record, side), at));
            at = record.next[side];
        }
        members.reverse();
        members.sort_by_key(|(kind, which, _)| (*kind, *which as u8));
        let mut groups: Vec<GroupRecord> = Vec::new();
        let mut chain = (0, NONE);
        for (place, (kind, which, id)) in members.iter().enumerate() {
            if groups.last().is_none_or(|group| group.kind != *kind) {
                groups.push(GroupRecord::new(owner, *kind, NONE));
            }
            let begins =
                place == 0 || members[place - 1].0 != *kind || members[place - 1].1 != *which;
            chain = if begins { (1, NONE) } else { (chain.0 + 1, members[place - 1].2) };
            let last =
                members.get(place + 1).is_none_or(|next| (next.0, next.1) != (*kind, *which));
            let mut record: RelationshipRecord = self.get(slot, *id, ledger)?;
            let side = side_of(&record, owner)?;
            record.next[side] = chain.1;
            record.is_first[side] = last;
            record.previous[side] = if last { chain.0 } else { members[place + 1].2 };
            self.put(slot, *id, &record, ledger);
            let group = groups.last_mut().expect("pushed above");
            group.first[*which as usize] = *id;
        }
        // The last first, so that each knows the one behind it.
        let mut next = NONE;
        for group in groups.iter().rev() {
            next = self.add(slot, &GroupRecord { next, ..*group }, ledger);
        }
        self.put(
            slot,
            owner,
            &NodeRecord { dense: true, first_relationship: next, ..node },
            ledger,
        );
        Ok(())
    }

    /// How many relationships the groups of a dense node hold.
    pub(crate) fn dense_degree(
        &mut self,
        slot: Slot,
        owner: u64,
        first: u64,
        ledger: &mut Ledger,
    ) -> Result<u64, Stop> {
        let mut degree = 0;
        let (mut at, mut last) = (first, None);
        while at != NONE {
            let group = self.group(slot, at, owner, ledger)?;
            if last.is_some_and(|last| last >= group.kind) {
                return Err(broken("the groups of a node are out of order"));
            }
            for first in group.first.into_iter().filter(|first| *first != NONE) {
                let record: RelationshipRecord = self.get(slot, first, ledger)?;
                degree += length_at(&record, owner)?;
            }
            (last, at) = (Some(group.kind), group.next);
        }
        Ok(degree)
    }
}
