//! What is found when a run is over: where every instance stands, what its store holds, and
//! which client operations left their mark in the master's.

use alloc::vec::Vec;

use wavetank_instance::{OP, STATUS_BY};
use wavetank_store::{AuditNode, AuditRelationship, AuditVisitor, TokenId, TokenKind, Value};
use wavetank_vocabulary::{Classes, Fact, NodeId, Observer, OperationId, Role, Subject};

use crate::world::World;

/// Collects the marks that operations left.
struct Marks {
    op: Option<TokenId>,
    status_by: Option<TokenId>,
    found: Vec<(OperationId, Subject)>,
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
    }

    fn relationship(&mut self, relationship: &AuditRelationship<'_>) {
        self.look(relationship.properties, None);
    }
}

impl<O: Observer> World<O> {
    pub(crate) fn audit(&mut self) {
        if !self.wants(Classes::AUDIT) {
            return;
        }
        let mut facts = Vec::new();
        let mut master = None;
        for (index, (machine, plan)) in self.machines.iter().zip(&self.plan.instances).enumerate() {
            if plan.arbiter {
                continue;
            }
            let Some(process) = &machine.instance else {
                facts.push(Fact::Final {
                    instance: plan.id,
                    role: Role::Down,
                    log: Default::default(),
                    contents: None,
                    open_transactions: 0,
                });
                continue;
            };
            if process.role() == Role::Master {
                master = Some(index);
            }
            let contents = process.store().contents_digest(&machine.disk).ok();
            facts.push(Fact::Final {
                instance: plan.id,
                role: process.role(),
                log: process.store().mark(),
                contents: contents.map(|digest| [(digest >> 64) as u64, digest as u64]),
                open_transactions: process.store().open_transactions() as u32,
            });
        }
        if let Some(machine) = master.map(|index| &self.machines[index])
            && let Some(process) = &machine.instance
        {
            let store = process.store();
            // Slaves apply the same after-images: what they hold else, the contents show.
            let found = store.check(&machine.disk).map_or(0, |found| found.len() as u32);
            if found > 0 {
                let instance = process.id();
                facts.push(Fact::Inconsistent { instance, records: found });
            }
            let key = |name| store.token(TokenKind::PropertyKey, name);
            let mut marks = Marks { op: key(OP), status_by: key(STATUS_BY), found: Vec::new() };
            if store.audit(&machine.disk, &mut marks).is_ok() {
                facts.extend(
                    marks
                        .found
                        .into_iter()
                        .map(|(operation, subject)| Fact::Found { operation, subject }),
                );
            }
        }
        for fact in facts {
            self.tell(fact);
        }
    }
}
