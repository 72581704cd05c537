use super::*;
use wavetank_vocabulary::{ClientId, Epoch, OperationKind};

fn check() -> AcknowledgedWrites {
    AcknowledgedWrites {
        needs_fault: false,
        ..AcknowledgedWrites::new(&crate::testing::plan(), Bounds::at_most(1))
    }
}

fn operation(index: u32) -> OperationId {
    OperationId { client: ClientId(0), index }
}

fn mark(tx: u64, checksum: u64) -> LogMark {
    LogMark { tx: TxId(tx), checksum }
}

fn tell(check: &mut AcknowledgedWrites, facts: &[Fact]) {
    for fact in facts {
        check.observe(Time::ZERO, 0, fact);
    }
}

fn logged(index: u32, log: LogMark, before: u64) -> Fact {
    let operation = Some(operation(index));
    Fact::Logged { instance: InstanceId(1), log, before, operation }
}

fn acknowledged(index: u32, tx: u64) -> Fact {
    Fact::Completed {
        operation: operation(index),
        kind: OperationKind(0),
        outcome: OperationOutcome::Ok,
        status: Status::Ok,
        attempts: 1,
        instance: None,
        tx: TxId(tx),
        subject: Subject::Created,
        intended: Time::ZERO,
    }
}

fn ended(log: LogMark) -> Fact {
    Fact::Final {
        instance: InstanceId(2),
        role: Role::Master,
        log,
        contents: Some([0, 0]),
        open_transactions: 0,
    }
}

fn found(index: u32) -> Fact {
    Fact::Found { operation: operation(index), subject: Subject::Created }
}

fn reign(instance: u16, log: LogMark) -> Fact {
    Fact::EpochBegan { instance: InstanceId(instance), epoch: Epoch(1), log }
}

#[test]
fn what_is_in_log_and_store_is_not_lost() {
    let mut c = check();
    let facts = [logged(0, mark(2, 20), 0), acknowledged(0, 2), ended(mark(2, 20)), found(0)];
    tell(&mut c, &facts);
    assert_eq!(c.finish().verdict, Verdict::Held);
}

#[test]
fn a_second_attempt_may_have_the_id_that_a_crash_took_from_the_first() {
    let mut c = check();
    // The first was never synced: the second has its place in the log.
    let facts = [
        logged(0, mark(2, 20), 0),
        logged(0, mark(2, 21), 0),
        acknowledged(0, 2),
        ended(mark(2, 21)),
        found(0),
    ];
    tell(&mut c, &facts);
    assert_eq!(c.finish().verdict, Verdict::Held);
}

#[test]
fn a_discarded_branch_explains_and_the_limit_counts() {
    let mut c = check();
    let facts = [
        reign(1, LogMark::BASE),
        logged(0, mark(2, 20), 0),
        logged(1, mark(3, 30), 20),
        acknowledged(0, 2),
        acknowledged(1, 3),
        reign(2, mark(2, 20)),
        logged(2, mark(3, 31), 20),
        Fact::BranchDiscarded { instance: InstanceId(1), log: mark(3, 30) },
        ended(mark(3, 31)),
        found(0),
        found(2),
    ];
    tell(&mut c, &facts);
    assert_eq!(c.finish().verdict, Verdict::Held);
    c.explained_limit = Bounds::at_most(0);
    assert_eq!(c.finish().verdict, Verdict::Broke);
}

#[test]
fn a_loss_without_a_branch_is_unexplained() {
    let mut c = check();
    let facts = [
        logged(0, mark(2, 20), 0),
        acknowledged(0, 2),
        reign(2, LogMark::BASE),
        ended(LogMark::BASE),
    ];
    tell(&mut c, &facts);
    let result = c.finish();
    assert_eq!(result.verdict, Verdict::Broke);
    assert!(result.why.contains("no discarded branch"), "{}", result.why);
}

#[test]
fn a_master_that_wins_again_over_another_explains_the_loss() {
    let mut c = check();
    let won =
        Fact::ElectionEnded { elector: InstanceId(1), version: 1, winner: Some(InstanceId(1)) };
    let elsewhere = Fact::Logged {
        instance: InstanceId(2),
        log: mark(3, 31),
        before: 20,
        operation: Some(operation(1)),
    };
    let facts = [
        reign(1, LogMark::BASE),
        logged(0, mark(2, 20), 0),
        acknowledged(0, 2),
        reign(2, mark(2, 20)),
        elsewhere,
        acknowledged(1, 3),
        won,
        Fact::BranchDiscarded { instance: InstanceId(2), log: mark(3, 31) },
        ended(mark(2, 20)),
        found(0),
    ];
    tell(&mut c, &facts);
    let result = c.finish();
    assert_eq!(result.verdict, Verdict::Held, "{}", result.why);
    assert_eq!(result.measured, json!({"explained": 1, "unexplained": 0}));
}

#[test]
fn a_branch_that_nobody_was_elected_over_explains_nothing() {
    let mut c = check();
    let facts = [
        reign(1, LogMark::BASE),
        logged(0, mark(2, 20), 0),
        acknowledged(0, 2),
        Fact::BranchDiscarded { instance: InstanceId(1), log: mark(2, 20) },
        ended(LogMark::BASE),
    ];
    tell(&mut c, &facts);
    assert_eq!(c.finish().verdict, Verdict::Broke);
}

#[test]
fn a_log_without_the_contents_is_a_loss() {
    let mut c = check();
    let facts = [logged(0, mark(2, 20), 0), acknowledged(0, 2), ended(mark(2, 20))];
    tell(&mut c, &facts);
    let result = c.finish();
    assert_eq!(result.verdict, Verdict::Broke);
    assert!(result.why.contains("does not show"), "{}", result.why);
}

#[test]
fn nothing_acknowledged_is_not_exercised() {
    let mut c = check();
    tell(&mut c, &[ended(LogMark::BASE)]);
    assert_eq!(c.finish().verdict, Verdict::NotExercised);
}

/// An operation of two transactions, of which the first goes with a failover.
fn half_lost(more: &[Fact]) -> ExpectationResult {
    let mut c = check();
    let facts: [&[Fact]; 3] = [
        &[reign(1, LogMark::BASE), logged(0, mark(2, 20), 0)],
        more,
        &[
            reign(2, LogMark::BASE),
            logged(1, mark(2, 21), 0),
            Fact::BranchDiscarded { instance: InstanceId(1), log: mark(2, 20) },
            logged(0, mark(3, 31), 21),
            acknowledged(0, 3),
            ended(mark(3, 31)),
            found(0),
        ],
    ];
    tell(&mut c, &facts.concat());
    c.finish()
}

#[test]
fn the_first_of_several_transactions_is_asked_for_too() {
    assert_eq!(half_lost(&[]).measured, json!({"explained": 1, "unexplained": 0}));
    // What an attempt did that was not acknowledged is not.
    for status in [Status::UnknownId, Status::ClientTimeout] {
        let (operation, attempt) = (operation(0), 2);
        let again = Fact::Retried { operation, status, attempt, may_have_done: true };
        let result = half_lost(&[again]);
        assert_eq!(result.measured, json!({"explained": 0, "unexplained": 0}), "{status:?}");
    }
}
