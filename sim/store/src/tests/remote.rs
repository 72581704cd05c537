//! Transactions that are begun at one store and committed by another.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use std::collections::BTreeSet;
use wavetank_vocabulary::{NodeId, TxId};

use crate::testing::model::{Model, random_step, random_transactions};
use crate::testing::{Dice, Rig};
use crate::*;

const KEY: TokenId = TokenId(0);

fn config() -> StoreConfig {
    StoreConfig { frames: 40, log_retention: LogRetention::All, ..StoreConfig::default() }
}

fn catch_up(slave: &mut Rig, master: &mut Rig) {
    loop {
        let records = match master.store.read_log(slave.store.last_committed().tx, 50) {
            LogRead::Records(records) => records,
            LogRead::Wait(ticket) => {
                master.wait(ticket).unwrap();
                continue;
            }
            other => panic!("{other:?}"),
        };
        if records.is_empty() {
            break;
        }
        let ticket = slave.store.receive(&records).unwrap();
        slave.wait(ticket).unwrap();
        while slave.store.received_left() > 0 {
            match slave.store.apply_received(&mut slave.ledger) {
                Step::Done(_) => {}
                Step::Wait(_) => assert!(slave.advance()),
                Step::Failed(error) => panic!("{error}"),
            }
        }
    }
    assert_eq!(slave.store.mark(), master.store.mark());
}

/// A transaction of the slave, from begin to its application at both; none is committed if
/// `gives_up`. The master, and whether anything was committed.
fn transaction(
    slave: &mut Rig,
    mut master: Rig,
    author: u32,
    (gives_up, steps): (bool, impl FnOnce(&mut Rig, TxHandle)),
) -> (Rig, bool) {
    catch_up(slave, &mut master);
    let session = master.store.begin(0, 0);
    slave.master = Some((Box::new(master), session));
    let operation = u64::from(author) << 8;
    let tx = slave.store.begin_guarded(operation, 0);
    steps(slave, tx);
    slave.must(tx, &MicroStep::Prepare);
    let record = slave.store.prepared(tx, &mut slave.ledger).expect("it is prepared");
    let (mut master, session) = slave.master.take().expect("put in above");
    match record.as_ref().filter(|_| !gives_up) {
        None => master.store.rollback(session),
        Some(record) => {
            assert!(master.store.try_share_schema(session));
            master.store.adopt(session, record, author).expect("its ids were given");
            let mark = master.finish(session);
            let LogRead::Records(logged) = master.store.read_log(TxId(mark.tx.0 - 1), 1) else {
                panic!("it was logged just now")
            };
            assert_eq!((logged[0].author(), logged[0].operation()), (author, operation));
            catch_up(slave, &mut master);
        }
    }
    slave.store.rollback(tx);
    (*master, record.is_some() && !gives_up)
}

#[test]
fn what_slaves_write_ends_up_the_same_everywhere() {
    for seed in 0..4 {
        let (mut master, mut history) = Rig::with_tokens(config());
        let mut dice = Dice(seed);
        random_transactions(&mut master, &mut history, 10, &mut dice).unwrap();
        let mut slaves = [Rig::create(config()), Rig::create(config())];
        for round in 0..60 {
            let mut model: Model = history.after.last().expect("it begins with one").clone();
            let place = dice.below(2) as usize;
            let gives_up = dice.below(6) == 0;
            let steps = 1 + dice.below(8);
            let (back, record) = transaction(
                &mut slaves[place],
                master,
                2 + place as u32,
                (gives_up, |rig: &mut Rig, tx| {
                    for _ in 0..steps {
                        random_step(rig, tx, &mut model, &mut dice).expect("no disk stops");
                    }
                }),
            );
            master = back;
            if record {
                history.after.push(model);
            }
            if round == 30 {
                // The master writes as well, and changes the schema.
                random_transactions(&mut master, &mut history, 10, &mut dice).unwrap();
            }
        }
        for slave in &mut slaves {
            catch_up(slave, &mut master);
            assert_eq!(slave.digest(), master.digest(), "seed {seed}");
            assert_eq!(slave.store.check(&slave.disk), Ok(vec![]));
        }
        // The master does not know what became of the ids that it gave away.
        assert_eq!(slaves[0].model(), *history.after.last().unwrap());
        assert_eq!(master.store.check(&master.disk), Ok(vec![]));
        // Any of them can recover, and lead.
        let [mut next, _] = slaves;
        next.store.forget_allotted();
        let mut next = next.crash();
        random_transactions(&mut next, &mut history, 20, &mut dice).unwrap();
        catch_up(&mut master, &mut next);
        assert_eq!(next.digest(), master.digest());
    }
}

/// A master and two slaves with two nodes and a counter each.
fn three() -> (Rig, Rig, Rig) {
    let mut master = Rig::create(config());
    let tx = master.store.begin(0, 0);
    master.must(tx, &MicroStep::Token { kind: TokenKind::PropertyKey, name: "n".into() });
    for node in 0..2 {
        master.must(tx, &MicroStep::CreateNode { labels: vec![] });
        master.must(tx, &set(node, 0));
    }
    master.finish(tx);
    let (mut a, mut b) = (Rig::create(config()), Rig::create(config()));
    catch_up(&mut a, &mut master);
    catch_up(&mut b, &mut master);
    (master, a, b)
}

fn set(node: u64, value: i64) -> MicroStep {
    MicroStep::SetProperty { entity: NodeId(node).into(), key: KEY, value: Value::Int(value) }
}

/// The lock that a step waits for.
fn wanted(rig: &mut Rig, tx: TxHandle, step: &MicroStep) -> LockRequest {
    loop {
        assert!(matches!(rig.store.step(tx, step, &mut rig.ledger), Step::Wait(_)), "{step:?}");
        match rig.store.need(tx) {
            Some(Need::Lock(request)) => return request,
            Some(Need::Ids(kind)) => rig.store.allot(kind, 1_000..2_000),
            None => assert!(rig.advance()),
        }
    }
}

#[test]
fn a_step_waits_until_the_master_has_granted_its_lock() {
    let (mut master, mut slave, _) = three();
    let tx = slave.store.begin_guarded(0, 0);
    let request = wanted(&mut slave, tx, &set(0, 1));
    assert!(!request.is_shared());
    assert_eq!(wanted(&mut slave, tx, &set(0, 1)), request, "asked again, it is the same");
    let session = master.store.begin(0, 0);
    assert_eq!(master.store.lock_for(session, request), Step::Done(Value::Null));
    slave.store.lock_granted(tx);
    slave.must(tx, &set(0, 1));
    assert_eq!(slave.store.need(tx), None);
    // What it holds it need not ask for again.
    slave.must(tx, &set(0, 2));
    // At the master another has to wait.
    let other = master.store.begin(0, 0);
    assert!(matches!(master.store.step(other, &set(0, 9), &mut master.ledger), Step::Wait(_)));
}

#[test]
fn two_slaves_that_wait_for_each_other_are_found_at_the_master() {
    let (mut master, mut a, mut b) = three();
    let (first, second) = (a.store.begin_guarded(0, 0), b.store.begin_guarded(0, 0));
    let sessions = [master.store.begin(0, 0), master.store.begin(0, 0)];
    for (rig, tx, session, node) in
        [(&mut a, first, sessions[0], 0), (&mut b, second, sessions[1], 1)]
    {
        let request = wanted(rig, tx, &set(node, 1));
        assert_eq!(master.store.lock_for(session, request), Step::Done(Value::Null));
        rig.store.lock_granted(tx);
        rig.must(tx, &set(node, 1));
    }
    let crossed = wanted(&mut a, first, &set(1, 1));
    assert!(matches!(master.store.lock_for(sessions[0], crossed), Step::Wait(_)));
    let crossing = wanted(&mut b, second, &set(0, 1));
    let refused = Step::Failed(StoreError::DeadlockDetected);
    assert_eq!(master.store.lock_for(sessions[1], crossing), refused);
    master.store.rollback(sessions[1]);
    assert_eq!(master.store.lock_for(sessions[0], crossed), Step::Done(Value::Null));
}

#[test]
fn a_lock_that_is_free_at_the_master_and_held_here_is_a_local_deadlock() {
    let (_, mut slave, _) = three();
    let (old, new) = (slave.store.begin_guarded(0, 0), slave.store.begin_guarded(0, 0));
    for (tx, granted) in [(old, true), (new, false)] {
        wanted(&mut slave, tx, &set(0, 1));
        slave.store.lock_granted(tx);
        let result = slave.step(tx, &set(0, 1)).unwrap();
        assert_eq!(result.is_ok(), granted);
        if !granted {
            assert_eq!(result, Err(StoreError::DeadlockDetected));
        }
    }
}

#[test]
fn ids_are_given_out_once() {
    let (mut master, ..) = three();
    let mut seen = BTreeSet::new();
    for round in 0..20 {
        let ids: Vec<u64> = match round % 3 {
            0 => {
                let tx = master.store.begin(0, 0);
                let made = master.must(tx, &MicroStep::CreateNode { labels: vec![] });
                master.finish(tx);
                let Value::Node(node) = made else { panic!("{made:?}") };
                vec![node.0]
            }
            _ => master.store.allocate_ids(FileKind::Nodes, 7).unwrap().collect(),
        };
        assert!(ids.iter().all(|id| seen.insert(*id)), "{ids:?}");
    }
    assert_eq!(master.store.allocate_ids(FileKind::Tokens, 7), None);
    // Who asks for too many gets some, and leaves some.
    for _ in 0..2 {
        let ids = master.store.allocate_ids(FileKind::Nodes, u64::MAX).expect("some");
        assert!(!ids.is_empty() && seen.insert(ids.start) && ids.end - ids.start < 1 << 20);
        seen.insert(ids.end - 1);
    }
}

#[test]
fn an_id_that_nobody_was_given_is_refused() {
    let (mut master, mut slave, _) = three();
    let tx = slave.store.begin_guarded(0, 0);
    slave.store.allot(FileKind::Nodes, 500..600);
    slave.must(tx, &MicroStep::CreateNode { labels: vec![] });
    let record = slave.store.prepared(tx, &mut slave.ledger).unwrap().expect("it wrote");
    let session = master.store.begin(0, 0);
    assert!(matches!(master.store.adopt(session, &record, 2), Err(StoreError::DamagedInput(_))));
}

#[test]
fn the_schema_is_changed_at_the_master_alone() {
    let (mut master, mut slave, _) = three();
    let tx = slave.store.begin_guarded(0, 0);
    let step = MicroStep::CreateIndex { label: TokenId(0), key: KEY };
    assert_eq!(slave.step(tx, &step).unwrap(), Err(StoreError::SchemaAtSlave));
    // And a commit that comes while it changes is refused.
    let changes = master.store.begin(0, 0);
    master.must(changes, &MicroStep::Token { kind: TokenKind::Label, name: "L".into() });
    master.finish(changes);
    let changes = master.store.begin(0, 0);
    master.step(changes, &step).unwrap().expect("it begins");
    let session = master.store.begin(0, 0);
    assert!(!master.store.try_share_schema(session));
    master.store.rollback(changes);
    assert!(master.store.try_share_schema(session));
}

#[test]
fn a_slave_may_make_a_name_under_the_masters_lock() {
    let (master, mut slave, mut other) = three();
    let name = MicroStep::Token { kind: TokenKind::Label, name: "New".into() };
    let (mut master, record) = transaction(
        &mut slave,
        master,
        2,
        (false, |rig: &mut Rig, tx| {
            let made = rig.must(tx, &name);
            let Value::Token(label) = made else { panic!("{made:?}") };
            rig.must(tx, &MicroStep::CreateNode { labels: vec![label] });
        }),
    );
    assert!(record);
    catch_up(&mut other, &mut master);
    for rig in [&master, &slave, &other] {
        assert_eq!(rig.store.token(TokenKind::Label, "New"), Some(TokenId(0)));
    }
    assert_eq!(slave.digest(), master.digest());
}

#[test]
fn a_checkpoint_beside_a_slaves_open_transaction_can_be_opened() {
    let (mut master, mut history) = Rig::with_tokens(config());
    random_transactions(&mut master, &mut history, 10, &mut Dice(1)).unwrap();
    let mut slave = Rig::create(config());
    catch_up(&mut slave, &mut master);
    let session = master.store.begin(0, 0);
    slave.master = Some((Box::new(master), session));
    let tx = slave.store.begin_guarded(1, 0);
    // Its ids come from behind the end of what this store has.
    slave.must(tx, &MicroStep::CreateNode { labels: vec![] });
    slave.store.request_checkpoint();
    slave.run();
    assert!(slave.store.counters().checkpoints > 0);
    let mark = slave.store.mark();
    let again = slave.crash();
    assert_eq!(*again.store.state(), StoreState::Ready);
    assert_eq!(again.store.mark(), mark);
}

#[test]
fn a_checkpoint_knows_what_an_open_transaction_has_committed_at_the_master() {
    let mut master = Rig::create(config());
    let mut slave = Rig::create(config());
    let session = master.store.begin(0, 0);
    slave.master = Some((Box::new(master), session));
    let tx = slave.store.begin_guarded(1, 0);
    let made = slave.must(tx, &MicroStep::CreateNode { labels: vec![] });
    slave.must(tx, &MicroStep::Prepare);
    let record = slave.store.prepared(tx, &mut slave.ledger).expect("it is prepared");
    let (mut master, session) = slave.master.take().expect("put in above");
    assert!(master.store.try_share_schema(session));
    master.store.adopt(session, &record.expect("it wrote"), 2).expect("its ids were given");
    master.finish(session);
    // What it wrote has come back before the answer that lets it end.
    catch_up(&mut slave, &mut master);
    slave.store.request_checkpoint();
    slave.run();
    assert!(slave.store.counters().checkpoints > 0);
    let mut next = slave.crash();
    let tx = next.store.begin(0, 0);
    let other = next.must(tx, &MicroStep::CreateNode { labels: vec![] });
    assert_ne!(other, made, "the node of a committed transaction was given out again");
}
