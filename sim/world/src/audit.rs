//! What is found when a run is over: where every instance stands, what its store holds, which
//! client operations left their mark in the master's, and what expectations ask of it.

use alloc::vec::Vec;

use wavetank_instance::{Instance, OP, STATUS_BY};
use wavetank_store::{
    AuditNode, AuditRelationship, AuditVisitor, Contents, PageSource, TokenId, TokenKind, Value,
};
use wavetank_vocabulary::{Classes, Fact, NodeId, Observer, OperationId, Role, Subject};

use crate::plan::Plan;
use crate::world::World;

/// Collects the marks that operations left, and what expectations ask for.
struct Marks {
    op: Option<TokenId>,
    status_by: Option<TokenId>,
    found: Vec<(OperationId, Subject)>,
    /// The properties and types that are asked for, where the store knows them.
    properties: Vec<Option<TokenId>>,
    types: Vec<Option<TokenId>>,
    values: Vec<(u8, NodeId, i64)>,
    relationships: Vec<(u8, NodeId, NodeId, Option<OperationId>)>,
}

impl Marks {
    fn look(&mut self, properties: &[(TokenId, Value)], node: Option<NodeId>) {
        for (key, value) in properties {
            let Value::Int(word) = value else { continue };
            let Some(operation) = OperationId::from_word(*word as u64) else { continue };
            if Some(*key) == self.op {
                self.found.push((operation, Subject::Created));
            } else if Some(*key) == self.status_by
                && let Some(node) = node
            {
                self.found.push((operation, Subject::Property(node)));
            }
        }
    }
}

impl AuditVisitor for Marks {
    fn node(&mut self, node: &AuditNode<'_>) {
        self.look(node.properties, Some(node.id));
        for (place, key) in self.properties.iter().enumerate() {
            let mut values = node.properties.iter();
            if let Some((_, Value::Int(value))) = values.find(|(known, _)| Some(*known) == *key) {
                self.values.push((place as u8, node.id, *value));
            }
        }
    }

    fn relationship(&mut self, relationship: &AuditRelationship<'_>) {
        self.look(relationship.properties, None);
        let kind = Some(relationship.kind);
        if let Some(place) = self.types.iter().position(|asked| *asked == kind) {
            let by = relationship.properties.iter().find_map(|(key, value)| match value {
                Value::Int(word) if Some(*key) == self.op => OperationId::from_word(*word as u64),
                _ => None,
            });
            self.relationships.push((place as u8, relationship.from, relationship.to, by));
        }
    }
}

/// The contents of a store and their digest.
type Known<'a> = Option<(Contents<'a>, u128)>;

/// Where an instance stands and what its store holds; with `whole`, too, what operations left in
/// it and what the Plan's expectations ask. `pages` is its disk.
pub fn audited(process: &Instance, pages: &impl PageSource, plan: &Plan, whole: bool) -> Vec<Fact> {
    audited_beside(process, pages, plan, whole, &None).0
}

/// As [`audited`], beside what is known of another store, which is likely to hold the same.
fn audited_beside<'a>(
    process: &'a Instance,
    pages: &impl PageSource,
    plan: &Plan,
    whole: bool,
    other: &Known<'_>,
) -> (Vec<Fact>, Known<'a>) {
    let store = process.store();
    let contents = store.contents(pages).ok();
    let digest = contents.as_ref().and_then(|contents| match other {
        Some((other, digest)) if contents.same_records(other) => Some(*digest),
        _ => contents.digest().ok(),
    });
    let mut facts = alloc::vec![Fact::Final {
        instance: process.id(),
        role: process.role(),
        log: store.mark(),
        contents: digest.map(|digest| [(digest >> 64) as u64, digest as u64]),
        open_transactions: store.open_transactions() as u32,
    }];
    if whole && let Some(contents) = &contents {
        look_inside(process, contents, plan, &mut facts);
    }
    (facts, contents.zip(digest))
}

/// What is wrong with a store, what operations left in it, and what the Plan's expectations ask.
fn look_inside(process: &Instance, contents: &Contents<'_>, plan: &Plan, facts: &mut Vec<Fact>) {
    let store = process.store();
    // Slaves apply the same after-images: what they hold else, the contents show.
    let found = contents.check(&mut |_, _| {}).len() as u32;
    if found > 0 {
        facts.push(Fact::Inconsistent { instance: process.id(), records: found });
    }
    let key = |name| store.token(TokenKind::PropertyKey, name);
    let asked = plan.audited();
    let kind = |name: &&str| store.token(TokenKind::RelationshipType, name);
    let mut marks = Marks {
        op: key(OP),
        status_by: key(STATUS_BY),
        found: Vec::new(),
        properties: asked.properties.iter().map(|name| key(name)).collect(),
        types: asked.types.iter().map(kind).collect(),
        values: Vec::new(),
        relationships: Vec::new(),
    };
    if contents.show(&mut marks).is_ok() {
        marks.values.sort_unstable();
        marks.relationships.sort_unstable();
        let found = |(operation, subject)| Fact::Found { operation, subject };
        facts.extend(marks.found.into_iter().map(found));
        let value = |(property, node, value)| Fact::FinalValue { property, node, value };
        facts.extend(marks.values.into_iter().map(value));
        let relationship =
            |(kind, from, to, operation)| Fact::FinalRelationship { kind, from, to, operation };
        facts.extend(marks.relationships.into_iter().map(relationship));
    }
}

impl<O: Observer> World<O> {
    pub(crate) fn audit(&mut self) {
        if !self.wants(Classes::AUDIT) {
            return;
        }
        // Of two masters, the last one's store is looked into.
        let stores = || self.machines.iter().zip(&self.plan.instances).filter(|(_, p)| !p.arbiter);
        let is_master = |process: &Instance| process.role() == Role::Master;
        let master = stores()
            .filter_map(|(machine, plan)| machine.instance.as_ref().map(|it| (it, plan.id)))
            .rfind(|(process, _)| is_master(process))
            .map(|(_, id)| id);
        let (mut ends, mut inside) = (Vec::new(), Vec::new());
        let mut known: Known<'_> = None;
        for (machine, plan) in stores() {
            let Some(process) = &machine.instance else {
                ends.push(Fact::Final {
                    instance: plan.id,
                    role: Role::Down,
                    log: Default::default(),
                    contents: None,
                    open_transactions: 0,
                });
                continue;
            };
            let whole = master == Some(plan.id);
            let (facts, found) = audited_beside(process, &machine.disk, &self.plan, whole, &known);
            known = known.or(found);
            let mut facts = facts.into_iter();
            ends.extend(facts.next());
            inside.extend(facts);
        }
        for fact in ends.into_iter().chain(inside) {
            self.tell(fact);
        }
    }
}
