//! A plain model of the graph, and random transactions that run on a store and the model.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::vec;
use std::vec::Vec;

use alloc::sync::Arc;
use wavetank_vocabulary::{NodeId, RelationshipId};

use super::{Dice, MemoryDisk, Rig};
use crate::*;

type Properties = BTreeMap<u16, Value>;

/// The graph as plain maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Model {
    pub(crate) nodes: BTreeMap<u64, (BTreeSet<u16>, Properties)>,
    pub(crate) relationships: BTreeMap<u64, (u64, u64, u16, Properties)>,
    pub(crate) names: BTreeSet<Arc<str>>,
}

impl Model {
    fn properties_mut(&mut self, entity: Entity) -> &mut Properties {
        match entity {
            Entity::Node(id) => &mut self.nodes.get_mut(&id.0).expect("picked").1,
            Entity::Relationship(id) => &mut self.relationships.get_mut(&id.0).expect("picked").3,
        }
    }

    /// The step that gave `node` the value was refused: another node must have it.
    #[track_caller]
    fn assert_violated(&self, error: &StoreError, node: u64, value: &Value) {
        let StoreError::ConstraintViolation { label, key, node: other } = error else {
            panic!("{error}")
        };
        let (labels, properties) = &self.nodes[&other.0];
        assert!(other.0 != node && (*label, *key) == UNIQUE && labels.contains(&label.0));
        assert!(crate::value::same(&properties[&key.0], value), "{error}");
    }
}

const INDEXED: [(u16, u16); 2] = [(0, 0), (1, 1)];

impl AuditVisitor for Model {
    fn node(&mut self, node: &AuditNode<'_>) {
        let labels = node.labels.iter().map(|label| label.0).collect();
        self.nodes.insert(node.id.0, (labels, properties(node.properties)));
    }

    fn relationship(&mut self, r: &AuditRelationship<'_>) {
        let record = (r.from.0, r.to.0, r.kind.0, properties(r.properties));
        self.relationships.insert(r.id.0, record);
    }
}

fn properties(from: &[(TokenId, Value)]) -> Properties {
    from.iter().map(|(key, value)| (key.0, value.clone())).collect()
}

impl PageSource for MemoryDisk {
    fn page(&self, file: FileName, page: PageNumber) -> Option<Arc<Page>> {
        let at = page as usize * PAGE_SIZE;
        let bytes = self.file(file).ok()?.seen.get(at..at + PAGE_SIZE)?;
        Some(Arc::new(Page::from_bytes(bytes.try_into().unwrap())))
    }
}

pub(crate) const LABELS: u16 = 12;
pub(crate) const TYPES: u16 = 2;
pub(crate) const KEYS: u16 = 6;

impl Rig {
    /// What the store holds, by audit; it must pass the consistency check.
    pub(crate) fn model(&self) -> Model {
        let mut model = Model::default();
        self.store.audit(&self.disk, &mut model).expect("audit");
        let problems = self.store.check(&self.disk).expect("check");
        assert!(problems.is_empty(), "{problems:?}");
        self.check_free_ids();
        model.names = self.store.token_names(TokenKind::PropertyKey).iter().cloned().collect();
        model
    }

    /// Every unused id below the highest is known as such, and no other.
    fn check_free_ids(&self) {
        if self.store.open_transactions() > 0 || self.store.received_left() > 0 {
            return;
        }
        let contents = self.store.contents(&self.disk).expect("contents");
        for kind in FileKind::RECORDS.into_iter().filter(|kind| *kind != FileKind::Tokens) {
            let known: BTreeSet<u64> = self.store.free.unused(kind).collect();
            assert_eq!(known, contents.unused(kind), "{kind:?} at {:?}", self.store.mark());
        }
    }

    pub(crate) fn digest(&self) -> u128 {
        self.store.contents_digest(&self.disk).expect("digest")
    }

    /// A store with the tokens that random transactions use.
    pub(crate) fn with_tokens(config: StoreConfig) -> (Rig, History) {
        let mut rig = Rig::create(config);
        let mut history = History::default();
        create_tokens(&mut rig, &mut history).expect("the disk does not stop");
        (rig, history)
    }
}

/// Makes the tokens that random transactions use; none if the disk stopped.
pub(crate) fn create_tokens(rig: &mut Rig, history: &mut History) -> Option<()> {
    let tx = rig.store.begin(0, 0);
    let mut model = Model::default();
    let kinds = [
        (TokenKind::Label, LABELS),
        (TokenKind::RelationshipType, TYPES),
        (TokenKind::PropertyKey, KEYS),
    ];
    for (kind, count) in kinds {
        for number in 0..count {
            let name: Arc<str> = format!("{kind:?}{number}").into();
            rig.step(tx, &MicroStep::Token { kind, name: name.clone() })?.expect("token");
            if kind == TokenKind::PropertyKey {
                model.names.insert(name);
            }
        }
    }
    history.after.push(model);
    history.acknowledged = rig.commit(tx)?.tx.0;
    rig.apply(tx)?;
    // One index before there is anything to index; the other comes later.
    create_index(rig, history, INDEXED[0])
}

/// What the constraint is about that random transactions run into.
const UNIQUE: (TokenId, TokenId) = (TokenId(LABELS - 1), TokenId(KEYS - 1));

/// Makes the constraint, or if it is there takes it away and makes it again, each in a
/// transaction of its own.
pub(crate) fn renew_constraint(rig: &mut Rig, history: &mut History) -> Option<()> {
    let (label, key) = UNIQUE;
    if rig.store.indexes().any(|index| index.unique) {
        change_schema(rig, history, &MicroStep::DropIndex { label, key })?;
    }
    change_schema(rig, history, &MicroStep::CreateConstraint { label, key })
}

/// Makes an index in a transaction of its own.
pub(crate) fn create_index(
    rig: &mut Rig,
    history: &mut History,
    (label, key): (u16, u16),
) -> Option<()> {
    let step = MicroStep::CreateIndex { label: TokenId(label), key: TokenId(key) };
    change_schema(rig, history, &step)
}

fn change_schema(rig: &mut Rig, history: &mut History, step: &MicroStep) -> Option<()> {
    let tx = rig.store.begin(0, 0);
    while rig.step(tx, step)?.expect("the schema changes") == Value::Bool(false) {}
    history.after.push(history.after.last().expect("begins with one").clone());
    history.acknowledged = rig.commit(tx)?.tx.0;
    rig.apply(tx)
}

fn random_value(dice: &mut Dice) -> Value {
    match dice.below(14) {
        6 => Value::Byte(dice.roll() as i8),
        7 => Value::Short(dice.roll() as i16),
        8 => Value::Int32(dice.roll() as i32),
        9 => Value::Float32(dice.below(1000) as f32 / 8.0),
        10 => Value::Char(char::from(b'a' + dice.below(26) as u8)),
        11 => Value::Array(Array::Int((0..dice.below(70)).map(|n| n as i64).collect())),
        12 => Value::Array(Array::Bool((0..dice.below(30)).map(|n| n % 3 == 0).collect())),
        13 => {
            let texts = (0..dice.below(40)).map(|n| format!("text {n}").into());
            Value::Array(Array::Text(texts.collect()))
        }
        0 => Value::Bool(dice.below(2) == 0),
        1 => Value::Int(dice.below(100) as i64 - 50),
        2 => Value::Int(dice.roll() as i64),
        3 => Value::Float(dice.below(1000) as f64 / 8.0),
        4 => Value::Text("x".repeat(dice.below(28) as usize).into()),
        _ => Value::Text("long ".repeat(6 + dice.below(100) as usize).into()),
    }
}

fn pick<V>(map: &BTreeMap<u64, V>, dice: &mut Dice) -> Option<u64> {
    let place = dice.below(map.len().max(1) as u64) as usize;
    map.keys().nth(place).copied()
}

/// One random step in a transaction, on the store and the model; none if the disk stopped.
pub(crate) fn random_step(
    rig: &mut Rig,
    tx: TxHandle,
    model: &mut Model,
    dice: &mut Dice,
) -> Option<()> {
    let node = pick(&model.nodes, dice);
    let relationship = pick(&model.relationships, dice);
    let choice = dice.below(20);
    match (choice, node, relationship) {
        (0..=3, ..) | (_, None, _) => {
            let most = if dice.below(4) == 0 { 24 } else { 3 };
            let labels: BTreeSet<u16> =
                (0..dice.below(most)).map(|_| dice.below(u64::from(LABELS)) as u16).collect();
            let step =
                MicroStep::CreateNode { labels: labels.iter().map(|l| TokenId(*l)).collect() };
            let Ok(Value::Node(id)) = rig.step(tx, &step)? else { panic!("create node") };
            assert!(model.nodes.insert(id.0, (labels, BTreeMap::new())).is_none());
        }
        (4..=7, Some(from), _) => {
            let to = pick(&model.nodes, dice).expect("there is a node");
            let kind = dice.below(u64::from(TYPES)) as u16;
            let step = MicroStep::CreateRelationship {
                from: NodeId(from),
                to: NodeId(to),
                kind: TokenId(kind),
            };
            let Ok(Value::Relationship(id)) = rig.step(tx, &step)? else { panic!("create") };
            model.relationships.insert(id.0, (from, to, kind, BTreeMap::new()));
        }
        (8, _, Some(id)) => {
            let step = MicroStep::DeleteRelationship { relationship: RelationshipId(id) };
            rig.step(tx, &step)?.expect("delete");
            model.relationships.remove(&id);
        }
        (9, Some(id), _) => {
            let used = model.relationships.values().any(|(a, b, ..)| *a == id || *b == id);
            let result = rig.step(tx, &MicroStep::DeleteNode { node: NodeId(id) })?;
            if used {
                assert_eq!(result, Err(StoreError::NodeHasRelationships(NodeId(id))));
            } else {
                result.expect("delete");
                model.nodes.remove(&id);
            }
        }
        (10..=14, Some(id), other) => {
            let key = dice.below(u64::from(KEYS)) as u16;
            let entity = match other {
                Some(other) if dice.below(2) == 0 => Entity::Relationship(RelationshipId(other)),
                _ => Entity::Node(NodeId(id)),
            };
            if dice.below(5) == 0 {
                let properties = model.properties_mut(entity);
                let step = MicroStep::RemoveProperty { entity, key: TokenId(key) };
                let had = properties.remove(&key).is_some();
                assert_eq!(rig.step(tx, &step)?, Ok(Value::Bool(had)));
            } else {
                let value = random_value(dice);
                let step =
                    MicroStep::SetProperty { entity, key: TokenId(key), value: value.clone() };
                match rig.step(tx, &step)? {
                    Ok(_) => {
                        model.properties_mut(entity).insert(key, value);
                    }
                    Err(error) => model.assert_violated(&error, id, &value),
                }
            }
            let properties = model.properties_mut(entity);
            let count = properties.len() as i64;
            let step = MicroStep::ReadProperties { entity };
            assert_eq!(rig.step(tx, &step)?, Ok(Value::Int(count)));
            let expected = properties.get(&key).cloned().unwrap_or(Value::Null);
            let step = MicroStep::ReadProperty { entity, key: TokenId(key) };
            assert_eq!(rig.step(tx, &step)?, Ok(expected));
        }
        (15, Some(id), _) => {
            let label = dice.below(u64::from(LABELS)) as u16;
            let (node, label_id) = (NodeId(id), TokenId(label));
            let adds = dice.below(2) == 0;
            if adds {
                match rig.step(tx, &MicroStep::AddLabel { node, label: label_id })? {
                    Ok(_) => {
                        model.nodes.get_mut(&id).expect("picked").0.insert(label);
                    }
                    Err(error) => {
                        let value = model.nodes[&id].1[&UNIQUE.1.0].clone();
                        model.assert_violated(&error, id, &value);
                    }
                }
            }
            let labels = &mut model.nodes.get_mut(&id).expect("picked").0;
            if !adds {
                labels.remove(&label);
                rig.step(tx, &MicroStep::RemoveLabel { node, label: label_id })?.expect("label");
            }
            let has = labels.contains(&label);
            let step = MicroStep::HasLabel { node, label: label_id };
            assert_eq!(rig.step(tx, &step)?, Ok(Value::Bool(has)));
        }
        (16, ..) => {
            let name: Arc<str> = format!("new{}", dice.below(40)).into();
            let step = MicroStep::Token { kind: TokenKind::PropertyKey, name: name.clone() };
            rig.step(tx, &step)?.expect("token");
            model.names.insert(name);
        }
        (18, ..) if dice.below(3) == 0 => check_found(rig, tx, model, dice)?,
        (17, ..) => {
            rig.step(tx, &MicroStep::Prepare)?.expect("prepare in between does no harm");
        }
        (_, Some(id), _) => check_neighbours(rig, tx, model, id)?,
    }
    Some(())
}

/// The store finds the same nodes by label, and by label, key and value, as the model.
fn check_found(rig: &mut Rig, tx: TxHandle, model: &Model, dice: &mut Dice) -> Option<()> {
    let (label, key) = INDEXED[dice.below(2) as usize];
    let place = dice.below(model.nodes.len().max(1) as u64) as usize;
    let held = model.nodes.values().nth(place).and_then(|(_, properties)| properties.get(&key));
    let value = held.cloned().unwrap_or_else(|| random_value(dice));
    for by_value in [false, true] {
        let expected: Vec<NodeId> = model
            .nodes
            .iter()
            .filter(|(_, (labels, _))| labels.contains(&label))
            .filter(|(_, (_, p))| {
                !by_value || p.get(&key).is_some_and(|held| crate::value::same(held, &value))
            })
            .map(|(id, _)| NodeId(*id))
            .collect();
        let mut from = None;
        loop {
            let step = match by_value {
                false => MicroStep::ScanLabel { label: TokenId(label), from },
                true => MicroStep::FindNodes {
                    label: TokenId(label),
                    key: TokenId(key),
                    value: value.clone(),
                    from,
                },
            };
            match rig.step(tx, &step)? {
                Ok(Value::Found { rest: None, .. }) => break,
                Ok(Value::Found { rest, .. }) => from = rest,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(rig.store.found(tx), expected, "label {label}, {by_value}: {value:?}");
    }
    Some(())
}

/// The store finds the same relationships at a node as the model.
fn check_neighbours(rig: &mut Rig, tx: TxHandle, model: &Model, id: u64) -> Option<()> {
    let node = NodeId(id);
    let directions = [Direction::Outgoing, Direction::Incoming, Direction::Both];
    let kinds = [None, Some(TokenId(0)), Some(TokenId(1))];
    for (direction, kind) in directions.into_iter().flat_map(|d| kinds.map(|kind| (d, kind))) {
        let expected: BTreeSet<(u64, u64)> = model
            .relationships
            .iter()
            .filter(|(_, (.., of, _))| kind.is_none_or(|kind| kind.0 == *of))
            .filter_map(|(r, (from, to, ..))| match direction {
                Direction::Outgoing if *from == id => Some((*r, *to)),
                Direction::Incoming if *to == id => Some((*r, *from)),
                Direction::Both if *from == id => Some((*r, *to)),
                Direction::Both if *to == id => Some((*r, *from)),
                _ => None,
            })
            .collect();
        let mut from = None;
        loop {
            let step = MicroStep::Expand { node, direction, kind, limit: 10_000, from };
            match rig.step(tx, &step)? {
                Ok(Value::Expanded { rest: None, .. }) => break,
                Ok(Value::Expanded { rest, .. }) => from = rest,
                other => panic!("{other:?}"),
            }
        }
        let results = rig.store.results(tx);
        let found: BTreeSet<(u64, u64)> =
            results.iter().map(|n| (n.relationship.0, n.node.0)).collect();
        assert_eq!((found.len(), &found), (results.len(), &expected), "{direction:?} at {id}");
        if direction == Direction::Both && kind.is_none() {
            let degree = rig.step(tx, &MicroStep::Degree { node })?;
            assert_eq!(degree, Ok(Value::Int(expected.len() as i64)));
        }
    }
    Some(())
}

impl Rig {
    /// Opens the store from every state that the disk has had since the last call, as after a
    /// killed process and as after a power loss. What a power loss keeps, drops and tears is
    /// drawn once for each, and [`DRAWS`] times for every fourth.
    pub(crate) fn check_crashes(&mut self, history: &History) {
        for (disk, durable) in self.crashes.iter_mut().flat_map(core::mem::take) {
            let done = disk.done;
            let draws = if done.is_multiple_of(4) { DRAWS } else { 1 };
            let killed = core::iter::once(None);
            for draw in killed.chain((0..draws).map(Some)) {
                let mut disk = disk.clone();
                if let Some(draw) = draw {
                    disk.lose_power(&mut Dice(done + (draw << 32)));
                    self.power_losses += 1;
                }
                let what = format!("before operation {done}, power loss {draw:?}");
                let rig = Rig::open(self.store.config.clone(), disk);
                history.check(&rig, durable, &what);
            }
        }
    }
}

/// How often the outcome of one power loss is drawn where it is drawn several times.
const DRAWS: u64 = 4;

impl History {
    /// The store holds a prefix of the history that has all that was durable.
    pub(crate) fn check(&self, rig: &Rig, durable: u64, what: &str) {
        match rig.store.state() {
            StoreState::Empty => assert_eq!(durable, 1, "{what}: the store is gone"),
            StoreState::Ready => {
                let mark = rig.store.mark().tx.0;
                assert!(mark >= durable, "{what}: {mark} of {durable}");
                assert_eq!(rig.model(), self.after[mark as usize - 1], "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// What a stopped or finished workload leaves behind.
#[derive(Clone, Debug)]
pub(crate) struct History {
    /// The model after each transaction, from BASE on: entry n is after transaction n + 1.
    pub(crate) after: Vec<Model>,
    /// The last transaction that was acknowledged as durable.
    pub(crate) acknowledged: u64,
    /// Random steps taken, on the store and on the model.
    pub(crate) steps: u64,
}

/// Runs random transactions until `count` are committed or the disk stops.
pub(crate) fn random_transactions(
    rig: &mut Rig,
    history: &mut History,
    count: u32,
    dice: &mut Dice,
) -> Option<()> {
    for n in 0..count {
        let second = |index: IndexInfo| (index.label.0, index.key.0) == INDEXED[1];
        if n == count / 2 && !rig.store.indexes().any(second) {
            create_index(rig, history, INDEXED[1])?;
        }
        let mut model = history.after.last().expect("begins with one").clone();
        let tx = rig.store.begin(0, 0);
        for _ in 0..1 + dice.below(6) {
            random_step(rig, tx, &mut model, dice)?;
            history.steps += 1;
        }
        if dice.below(8) == 0 {
            rig.store.rollback(tx);
            continue;
        }
        rig.step(tx, &MicroStep::Prepare)?.expect("prepare");
        if rig.failed() {
            return None;
        }
        let before = rig.store.last_committed().tx;
        let committing = rig.store.commit(tx, &mut rig.ledger).expect("commit");
        if committing.mark.tx != before {
            // It may survive from here on, and must once it is acknowledged.
            history.after.push(model);
        }
        if let Some(ticket) = committing.ticket {
            rig.wait(ticket)?;
            if rig.store.mark().tx < committing.mark.tx {
                // The disk was full: the transaction is refused.
                history.after.pop();
                rig.store.apply(tx, &mut rig.ledger);
                return None;
            }
            history.acknowledged = committing.mark.tx.0;
        }
        rig.apply(tx)?;
        if rig.store.wants_background() && dice.below(3) == 0 {
            rig.store.background(4, &mut rig.ledger);
        }
        rig.check_crashes(history);
    }
    Some(())
}

impl Default for History {
    /// The history of a new store.
    fn default() -> History {
        History { after: vec![Model::default()], acknowledged: 1, steps: 0 }
    }
}
