use super::slice::matters;
use super::story::{Witness, render};
use super::*;
use wavetank_vocabulary::{
    ClientId, Epoch, Fact, FaultId, FaultKind, InstanceId, LogMark, Observer, OperationId,
    OperationKind, OperationOutcome, Role, Span, Status, Subject, TxId,
};
use wavetank_world::MemberView;

fn id(n: u16) -> InstanceId {
    InstanceId(n)
}

fn mark(tx: u64) -> LogMark {
    LogMark { tx: TxId(tx), checksum: tx * 10 }
}

/// What the members are after each fact: role and whom they take for master.
type States = [(Role, u16); 3];

struct Told {
    witness: Witness,
    states: States,
}

impl Told {
    fn new(plan: &Plan, evidence: &Evidence) -> Self {
        Told { witness: Witness::new(plan, evidence), states: [(Role::Pending, 0); 3] }
    }

    fn at(&mut self, millis: u64, fact: Fact) -> &mut Self {
        self.witness.observe(Time::ZERO + Span::from_millis(millis), 0, &fact);
        if let Fact::RoleChanged { instance, to, .. } = fact {
            self.states[usize::from(instance.0) - 1].0 = to;
        }
        let members: Vec<MemberView> = self
            .states
            .iter()
            .enumerate()
            .map(|(index, (role, master))| MemberView {
                id: id(index as u16 + 1),
                role: *role,
                master: (*master > 0).then_some(id(*master)),
                failed: Vec::new(),
                last_tx: None,
                open_transactions: 0,
                waits_for: None,
            })
            .collect();
        self.witness.believe(&members);
        self
    }

    fn role(&mut self, millis: u64, who: u16, from: Role, to: Role, master: u16) -> &mut Self {
        self.states[usize::from(who) - 1].1 = master;
        self.at(millis, Fact::RoleChanged { instance: id(who), from, to, log: mark(1) })
    }
}

/// A master that nobody had heard of for a while is replaced, and a write is lost with it.
#[test]
fn the_story_tells_what_matters_in_order() {
    let plan = crate::testing::plan();
    let operation = OperationId { client: ClientId(0), index: 7 };
    let evidence = Evidence { operations: vec![operation], ..Evidence::default() };
    let mut told = Told::new(&plan, &evidence);
    let kind = OperationKind(1);
    told.role(1_000, 1, Role::ToMaster, Role::Master, 1)
        .role(1_100, 2, Role::ToSlave, Role::Slave, 1)
        .role(1_200, 3, Role::ToSlave, Role::Slave, 1)
        .at(2_000, Fact::Checkpoint { instance: id(1), tx: TxId(1), pages: 3 })
        .at(4_000, Fact::Invoked { operation: OperationId { index: 6, ..operation }, kind })
        .at(5_000, Fact::Invoked { operation, kind })
        .at(
            5_010,
            Fact::Logged { instance: id(1), log: mark(2), before: 10, operation: Some(operation) },
        )
        .at(
            5_020,
            Fact::Completed {
                operation,
                kind,
                outcome: OperationOutcome::Ok,
                status: Status::Ok,
                attempts: 1,
                instance: Some(id(1)),
                tx: TxId(2),
                subject: Subject::Created,
                intended: Time::ZERO + Span::from_secs(5),
            },
        )
        .at(
            6_000,
            Fact::FaultBegan { fault: FaultId(1), kind: FaultKind::Crash, on: id(1), peer: None },
        )
        .role(6_000, 1, Role::Master, Role::Down, 0)
        .at(9_000, Fact::Suspected { by: id(2), whom: id(1) })
        .at(9_100, Fact::ElectionEnded { elector: id(2), version: 2, winner: Some(id(2)) })
        .role(9_200, 2, Role::Slave, Role::ToMaster, 2)
        .at(9_300, Fact::EpochBegan { instance: id(2), epoch: Epoch::default(), log: mark(1) })
        .role(9_300, 2, Role::ToMaster, Role::Master, 2)
        .at(9_900, Fact::Healed);
    let finding = Finding {
        result: Some(ExpectationResult {
            check: "acknowledged-writes-lost".into(),
            verdict: Verdict::Broke,
            measured: serde_json::json!({"explained": 1, "unexplained": 0}),
            limit: serde_json::json!({"explained": 0, "unexplained": 0}),
            why: "1 acknowledged writes went with a branch that was discarded.".into(),
        }),
        waiting: None,
        evidence,
        ended: Time::ZERO + Span::from_secs(10),
    };
    let rows = matters(&plan, &finding, told.witness.into_rows());
    insta::assert_snapshot!(render(&plan, &finding, &rows));
}

/// Of a cluster of which only one instance is involved, the others are left out.
#[test]
fn what_touches_nobody_involved_is_left_out() {
    let plan = crate::testing::plan();
    let at = Some(Time::ZERO + Span::from_secs(10));
    let evidence = Evidence { at, instances: vec![id(3)], ..Evidence::default() };
    let mut told = Told::new(&plan, &evidence);
    let pause = |on| Fact::FaultBegan {
        fault: FaultId(on),
        kind: FaultKind::Pause,
        on: id(on),
        peer: None,
    };
    told.role(1_000, 1, Role::ToMaster, Role::Master, 1)
        .role(1_100, 2, Role::ToSlave, Role::Slave, 1)
        .role(1_200, 3, Role::ToSlave, Role::Slave, 1)
        .at(5_000, pause(2))
        .at(6_000, pause(3))
        .at(7_000, Fact::Suspected { by: id(1), whom: id(3) })
        .at(8_000, pause(1));
    let finding = Finding { result: None, waiting: None, evidence, ended: Time::ZERO };
    let rows = matters(&plan, &finding, told.witness.into_rows());
    let hit = |row: &&super::story::Row| matches!(row.fact, Fact::FaultBegan { .. });
    let faults: Vec<_> = rows.iter().filter(hit).map(|row| row.at.as_secs_f64()).collect();
    assert_eq!(faults, [6.0], "1 is involved only before 3 was suspected by it");
}

/// Where nothing is told that may have been the cause, everything is.
#[test]
fn without_a_fault_or_a_proof_the_story_begins_at_the_beginning() {
    let plan = crate::testing::plan();
    let mut told = Told::new(&plan, &Evidence::default());
    told.role(1_000, 1, Role::ToMaster, Role::Master, 1)
        .role(1_100, 2, Role::ToSlave, Role::Slave, 1)
        .role(1_200, 3, Role::ToSlave, Role::Slave, 1)
        .at(2_000, Fact::Checkpoint { instance: id(1), tx: TxId(1), pages: 3 })
        .at(9_900, Fact::Healed);
    let evidence = Evidence::default();
    let finding = Finding { result: None, waiting: None, evidence, ended: Time::ZERO };
    let rows = matters(&plan, &finding, told.witness.into_rows());
    assert_eq!(rows.first().map(|row| row.at.as_secs_f64()), Some(1.0));
}
