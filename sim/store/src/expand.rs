//! Expansion: the relationships of a node, a piece at a time.
//!
//! First those that the transaction made and did not link yet, then the stored chain, or the
//! chains of a dense node's groups.

use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::disk::FileKind;
use crate::error::StoreError;
use crate::locks::Slot;
use crate::record::{GroupRecord, NONE, RelationshipRecord, Side, Which};
use crate::steps::Direction;
use crate::store::{Ledger, Stop, Store};
use crate::transactions::Neighbour;
use crate::value::{ExpandCursor, TokenId, Value};

/// How many records an expansion looks at in one step.
const EXPANDED_AT_ONCE: u32 = 64;

impl Store {
    #[expect(clippy::too_many_arguments, reason = "they are the fields of one step")]
    pub(crate) fn expand(
        &mut self,
        slot: Slot,
        node: NodeId,
        direction: Direction,
        kind: Option<TokenId>,
        limit: u32,
        from: Option<ExpandCursor>,
        ledger: &mut Ledger,
    ) -> Result<Value, Stop> {
        let mut at = match from {
            Some(cursor) => cursor,
            None => {
                let record = self.node(slot, node, ledger)?;
                self.transactions[slot as usize].results.clear();
                let first = record.first_relationship;
                let (chain, group) = if record.dense { (NONE, first) } else { (first, NONE) };
                ExpandCursor { created: 0, chain, group, which: 0, found: 0, steps: 0 }
            }
        };
        // No more than there are, and each made here once: more is a circle.
        if u64::from(at.steps) > 2 * self.high[FileKind::Relationships as usize] + 64 {
            return Err(StoreError::Inconsistent("a relationship chain never ends".into()).into());
        }
        let mut found = 0;
        let mut looked_at = 0;
        while at.found < limit && looked_at < EXPANDED_AT_ONCE {
            let tx = &self.transactions[slot as usize];
            // First those made here that are not linked yet, then the chain.
            let pending = at.created as usize + tx.linked;
            let id = match tx.created.get(pending) {
                Some(id) => *id,
                None if at.chain == NONE && at.group != NONE => {
                    match self.next_chain(slot, node.0, direction, kind, &mut at, ledger) {
                        Err(Stop::Wait(_)) if looked_at > 0 => break,
                        other => other?,
                    }
                    looked_at += 1;
                    at.steps += 1;
                    continue;
                }
                None if at.chain == NONE => break,
                None => at.chain,
            };
            let in_chain = pending >= tx.created.len();
            let record: RelationshipRecord = match self.get(slot, id, ledger) {
                // What was found so far is kept; the next step waits for this page.
                Err(Stop::Wait(_)) if looked_at > 0 => break,
                other => other?,
            };
            looked_at += 1;
            at.steps += 1;
            let deleted = self.transactions[slot as usize].deleted.contains(&id);
            let side = record.side(node.0).filter(|_| record.in_use);
            if in_chain {
                at.chain = match side {
                    Some(side) => record.next[side as usize],
                    None => NONE,
                };
            } else {
                at.created += 1;
            }
            let fits = match (side, direction) {
                (None, _) => false,
                (Some(_), Direction::Both) => true,
                (Some(_), _) if record.is_loop() => true,
                (Some(side), Direction::Outgoing) => side == Side::First,
                (Some(side), Direction::Incoming) => side == Side::Second,
            };
            if fits && !deleted && kind.is_none_or(|kind| u32::from(kind.0) == record.kind) {
                let other = NodeId(record.other(node.0));
                let neighbour = Neighbour { relationship: RelationshipId(id), node: other };
                self.transactions[slot as usize].results.push(neighbour);
                at.found += 1;
                found += 1;
            }
        }
        let tx = &self.transactions[slot as usize];
        let more = at.chain != NONE
            || at.group != NONE
            || at.created as usize + tx.linked < tx.created.len();
        let rest = (more && at.found < limit).then_some(at);
        Ok(Value::Expanded { found, rest })
    }

    /// Moves an expansion of a dense node on to its next chain of interest.
    fn next_chain(
        &mut self,
        slot: Slot,
        node: u64,
        direction: Direction,
        kind: Option<TokenId>,
        at: &mut ExpandCursor,
        ledger: &mut Ledger,
    ) -> Result<(), Stop> {
        let group: GroupRecord = self.get(slot, at.group, ledger)?;
        if !group.in_use || group.owner != node {
            // It went meanwhile: the expansion ends, as at a deleted relationship.
            at.group = NONE;
            return Ok(());
        }
        let wanted = kind.is_none_or(|kind| u32::from(kind.0) == group.kind);
        let mut rest = Which::ALL.into_iter().skip(usize::from(at.which)).filter(|which| {
            let fits = match which {
                Which::Outgoing => direction != Direction::Incoming,
                Which::Incoming => direction != Direction::Outgoing,
                Which::Loops => true,
            };
            fits && group.first[*which as usize] != NONE
        });
        match rest.next().filter(|_| wanted) {
            Some(which) => {
                at.chain = group.first[which as usize];
                at.which = which as u8 + 1;
            }
            None => (at.group, at.which) = (group.next, 0),
        }
        Ok(())
    }
}
