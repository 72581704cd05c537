//! Random steps, sensible and senseless, and the stores that they make to begin with.

use wavetank_store::{
    Array, Direction, Entity, MicroStep, StoreConfig, TokenId, TokenKind, TxHandle, Value,
};
use wavetank_vocabulary::{Bytes, NodeId, RelationshipId};

use crate::{Dice, Disk, Driver, Outcome};

/// A small cache, short logs and early dense nodes, so that everything happens soon.
pub(crate) fn config() -> StoreConfig {
    StoreConfig {
        frames: 6,
        free_frames: 1,
        log_rotation_threshold: Bytes::kib(16),
        checkpoint_interval_tx: 30,
        dense_node_threshold: 5,
        double_write_pages: 16,
        id_reuse_safe_zone_ms: 0,
        ..StoreConfig::default()
    }
}

fn id(dice: &mut Dice, below: u64) -> u64 {
    match dice.below(40) {
        0 => dice.roll(),
        1 => below,
        2 => dice.roll() >> 29,
        _ => dice.below(below.max(1)),
    }
}

fn token(dice: &mut Dice) -> TokenId {
    TokenId(if dice.below(50) == 0 { dice.roll() as u16 } else { dice.below(9) as u16 })
}

fn value(dice: &mut Dice) -> Value {
    let len = dice.below(50) as usize;
    match dice.below(10) {
        0 => Value::Null,
        1 => Value::Bool(dice.below(2) == 0),
        2 => Value::Int(dice.roll() as i64),
        3 => Value::Int(dice.below(20) as i64),
        4 => Value::Float(f64::from_bits(dice.roll())),
        5 => Value::Text("long ".repeat(len).as_str().into()),
        6 => Value::Text("x".repeat(len % 28).as_str().into()),
        7 => Value::Array(Array::Int((0..len).map(|_| dice.roll() as i64).collect())),
        8 => Value::Array(Array::Bool((0..len).map(|n| n % 3 == 0).collect())),
        // No property at all.
        _ => Value::Node(NodeId(dice.roll())),
    }
}

/// A step with arguments that are mostly, but not always, sensible.
pub fn random_step(dice: &mut Dice, nodes: u64, relationships: u64) -> MicroStep {
    let node = NodeId(id(dice, nodes));
    let relationship = RelationshipId(id(dice, relationships));
    let entity = match dice.below(3) {
        0 => Entity::Relationship(relationship),
        _ => Entity::Node(node),
    };
    let (label, key, from) = (token(dice), token(dice), None);
    let direction = [Direction::Outgoing, Direction::Incoming, Direction::Both][dice.place(3)];
    match dice.below(26) {
        0 => {
            let kind = TokenKind::ALL[dice.place(3)];
            let longest = if dice.below(9) == 0 { 200 } else { 9 };
            let name = "n".repeat(1 + dice.place(longest));
            MicroStep::Token { kind, name: name.as_str().into() }
        }
        1..=4 => {
            let labels = (0..dice.below(4)).map(|_| token(dice)).collect();
            MicroStep::CreateNode { labels }
        }
        5..=8 => {
            let to = NodeId(id(dice, nodes));
            MicroStep::CreateRelationship { from: node, to, kind: key }
        }
        9 => MicroStep::DeleteRelationship { relationship },
        10 => MicroStep::DeleteNode { node },
        11 => MicroStep::AddLabel { node, label },
        12 => MicroStep::RemoveLabel { node, label },
        13..=16 => MicroStep::SetProperty { entity, key, value: value(dice) },
        17 => MicroStep::RemoveProperty { entity, key },
        18 => MicroStep::Prepare,
        19 => MicroStep::Expand { node, direction, kind: None, limit: 100, from: None },
        20 => MicroStep::FindNodes { label, key, value: value(dice), from },
        21 => MicroStep::CreateConstraint { label, key },
        22 => MicroStep::CreateIndex { label, key },
        23 => MicroStep::DropIndex { label, key },
        24 => MicroStep::Lock { node },
        _ => MicroStep::ReadProperty { entity, key },
    }
}

/// Commits a transaction of steps that make sense; what fails is left out.
fn sensible(driver: &mut Driver, dice: &mut Dice) {
    let (nodes, relationships) = (driver.store.node_ids(), driver.store.relationship_ids());
    let tx: TxHandle = driver.store.begin(0, 0);
    let mut whole = true;
    for _ in 0..1 + dice.below(8) {
        let step = random_step(dice, nodes, relationships);
        let mut outcome = driver.step(tx, &step);
        // Schema changes go on until they are done.
        while outcome == Outcome::Value(Value::Bool(false)) && is_schema(&step) {
            outcome = driver.step(tx, &step);
        }
        whole &= matches!(outcome, Outcome::Value(_));
    }
    if !whole || !matches!(driver.commit(tx), Outcome::Value(_)) {
        driver.store.rollback(tx);
    }
    driver.run();
}

fn is_schema(step: &MicroStep) -> bool {
    let made = matches!(step, MicroStep::CreateIndex { .. } | MicroStep::CreateConstraint { .. });
    made || matches!(step, MicroStep::DropIndex { .. })
}

/// Disks with stores of different sizes, some with a checkpoint at their end.
pub fn corpus() -> Vec<Disk> {
    let build = |seed: u64| {
        let mut dice = Dice(seed);
        let quiet = StoreConfig { checkpoint_interval_tx: 1 << 40, ..config() };
        let chosen = if seed.is_multiple_of(2) { config() } else { quiet };
        let mut driver = Driver::open(chosen, Disk::default());
        driver.store.create();
        driver.run();
        let tx = driver.store.begin(0, 0);
        for n in 0..9 {
            for kind in TokenKind::ALL {
                driver.step(tx, &MicroStep::Token { kind, name: format!("{n}").as_str().into() });
            }
        }
        driver.commit(tx);
        for _ in 0..60 + 40 * seed {
            sensible(&mut driver, &mut dice);
        }
        if seed.is_multiple_of(2) {
            driver.store.request_checkpoint();
            driver.run();
        }
        driver.disk
    };
    (0..8).map(build).collect()
}
