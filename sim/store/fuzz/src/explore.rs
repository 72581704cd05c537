//! Reads and changes everything in a store that may be damaged.

use wavetank_store::{
    AuditNode, AuditRelationship, AuditVisitor, Direction, Entity, MicroStep, StoreState, TokenId,
    Value,
};
use wavetank_vocabulary::{NodeId, RelationshipId};

use crate::workload::random_step;
use crate::{Dice, Driver, Outcome};

/// So many pieces of an expansion or search are asked for: more is a circle.
const LONGEST: u64 = 5_000;

struct Nothing;

impl AuditVisitor for Nothing {
    fn node(&mut self, _: &AuditNode<'_>) {}
    fn relationship(&mut self, _: &AuditRelationship<'_>) {}
}

/// Walks through the whole graph, changes some of it, checks it. Errors are fine.
///
/// # Errors
/// Something never ends.
pub fn explore(driver: &mut Driver, dice: &mut Dice) -> Result<(), String> {
    if *driver.store.state() != StoreState::Ready {
        return Ok(());
    }
    let (nodes, relationships) = (driver.store.node_ids(), driver.store.relationship_ids());
    let tx = driver.store.begin(0, 0);
    for node in (0..nodes.min(400)).map(NodeId) {
        driver.step(tx, &MicroStep::ReadProperties { entity: node.into() });
        driver.step(tx, &MicroStep::Degree { node });
        driver.step(tx, &MicroStep::HasLabel { node, label: TokenId(1) });
        let mut from = None;
        for turn in 0.. {
            let (direction, kind) = (Direction::Both, None);
            let step = MicroStep::Expand { node, direction, kind, limit: u32::MAX, from };
            match driver.step(tx, &step) {
                Outcome::Value(Value::Expanded { rest: Some(rest), .. }) => from = Some(rest),
                _ => break,
            }
            // A store with a damaged chain notices a circle by the ids that there may be.
            if turn > LONGEST + 2 * relationships {
                return Err(format!("an expansion of node {} never ends", node.0));
            }
        }
    }
    for relationship in (0..relationships.min(400)).map(RelationshipId) {
        driver.step(tx, &MicroStep::ReadRelationship { relationship });
        let entity = Entity::Relationship(relationship);
        driver.step(tx, &MicroStep::ReadProperty { entity, key: TokenId(0) });
    }
    for label in (0..9).map(TokenId) {
        let mut from = None;
        for turn in 0.. {
            match driver.step(tx, &MicroStep::ScanLabel { label, from }) {
                Outcome::Value(Value::Found { rest: Some(rest), .. }) => from = Some(rest),
                _ => break,
            }
            if turn > LONGEST {
                return Err(format!("a scan of label {} never ends", label.0));
            }
        }
    }
    driver.store.rollback(tx);
    for _ in 0..6 {
        let tx = driver.store.begin(0, 0);
        for _ in 0..4 {
            driver.step(tx, &random_step(dice, nodes, relationships));
        }
        if !matches!(driver.commit(tx), Outcome::Value(_)) {
            driver.store.rollback(tx);
        }
        driver.run();
    }
    // All may find damage; they may not fall over it.
    let _ = driver.store.check(&driver.disk);
    let _ = driver.store.audit(&driver.disk, &mut Nothing);
    let _ = driver.store.dump(&driver.disk, &mut std::io::sink());
    Ok(())
}
