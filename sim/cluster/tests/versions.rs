//! What the versions do differently (HA specification 2.2, 2.3 and 2.6), side by side: the same
//! inputs to a member of each, and the role that it ends up in.

use wavetank_cluster::{
    Compat, Configuration, Effect, Input, Member, MemberSet, Message, Moment, Settings, Timer,
    Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Role, Span, Time, TxId};

const MOMENT: Moment = Moment { mono: Time::ZERO, wall_ms: 5, tx: Some(TxId(3)) };
const E: Epoch = Epoch(7);

fn step(member: &mut Member, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    member.step(MOMENT, input, &mut effects);
    effects
}

fn from(sender: u16, message: Message) -> Input {
    Input::Message { from: InstanceId(sender), message }
}

fn learn(member: &mut Member, value: Value) -> Vec<Effect> {
    let instance = member.delivered();
    step(member, from(1, Message::Learn { instance, value }))
}

/// Instance 2 of so many, which are all members.
fn member(compat: Compat, total: u16) -> Member {
    let ids: Vec<_> = (1..=total).map(InstanceId).collect();
    let configuration = Configuration::new(InstanceId(2), &ids).unwrap();
    let settings = Settings::defaults(compat);
    let mut member = Member::new(configuration, settings, false, 5, PlantedBugs::NONE);
    step(&mut member, Input::Start);
    let message = Message::ConfigurationResponse {
        address: 0,
        known: true,
        members: MemberSet::first(usize::from(total)),
        moved: MemberSet::EMPTY,
        coordinator: Some(InstanceId(1)),
        delivered: 0,
    };
    step(&mut member, from(1, message));
    member
}

fn master(compat: Compat, total: u16) -> Member {
    let mut member = member(compat, total);
    let winner = Some(InstanceId(2));
    learn(&mut member, Value::Elected { winner, elector: InstanceId(1), version: 9 });
    step(&mut member, Input::SwitchedToMaster(E));
    learn(&mut member, Value::Master(InstanceId(2), E));
    assert_eq!(member.role(), Role::Master);
    member
}

fn slave(compat: Compat) -> Member {
    let mut member = member(compat, 3);
    learn(&mut member, Value::Master(InstanceId(1), E));
    step(&mut member, Input::SwitchedToSlave(InstanceId(1)));
    learn(&mut member, Value::Slave(InstanceId(2)));
    assert_eq!(member.role(), Role::Slave);
    member
}

/// Nothing is heard of the member in that place.
fn silence(member: &mut Member, whom: u8) -> Vec<Effect> {
    step(member, Input::Timer(Timer::IAmAlive(whom)))
}

/// Instance 3 suspects instance 1, too.
fn third_suspects_first(member: &mut Member) {
    step(member, from(3, Message::Suspicions(MemberSet::first(1))));
}

/// The role in 2.2, 2.3.0, 2.3.6 and 3.2.
fn roles(play: impl Fn(Compat) -> Member) -> [Role; 4] {
    Compat::ALL.map(|compat| play(compat).role())
}

use Role::{Detached, Master, Pending, Slave};

#[test]
fn an_isolated_master_of_three_notices_from_2_3_6_on() {
    let isolated = |compat| {
        let mut member = master(compat, 3);
        silence(&mut member, 0);
        silence(&mut member, 2);
        member
    };
    assert_eq!(roles(isolated), [Master, Master, Detached, Detached]);
}

#[test]
fn who_loses_the_majority_serves_reads_from_2_3_6_on() {
    let minority = |compat| {
        let mut member = master(compat, 3);
        silence(&mut member, 0);
        third_suspects_first(&mut member);
        assert_eq!(member.role(), Master, "two of three are left");
        silence(&mut member, 2);
        member
    };
    assert_eq!(roles(minority), [Pending, Pending, Detached, Detached]);
}

#[test]
fn a_slave_whose_master_failed_is_detached_from_2_3_6_on() {
    let orphan = |compat| {
        let mut member = slave(compat);
        silence(&mut member, 0);
        third_suspects_first(&mut member);
        member
    };
    assert_eq!(roles(orphan), [Slave, Slave, Detached, Detached]);
}

#[test]
fn the_master_of_two_keeps_its_writes_alone_from_3_2_on() {
    let alone = |compat| {
        let mut member = master(compat, 2);
        silence(&mut member, 0);
        member
    };
    assert_eq!(roles(alone), [Pending, Pending, Detached, Master]);
}

/// An exception that was logged until 2.3.0; from 2.3.1 on the member becomes PENDING and asks
/// for elections.
#[test]
fn what_is_illegal_in_a_state_is_ignored_until_2_3_0() {
    let asks = |effects: &[Effect]| {
        effects.iter().any(|effect| {
            matches!(effect, Effect::Send { message: Message::PerformRoleElections, .. })
        })
    };
    for compat in Compat::ALL {
        let ignored = compat <= Compat::V2_3_0;
        // Another master is available, to a master, to one on the way there, and to the slave
        // of somebody else.
        let mut becoming = member(compat, 3);
        let winner = Some(InstanceId(2));
        learn(&mut becoming, Value::Elected { winner, elector: InstanceId(1), version: 9 });
        for mut member in [master(compat, 3), becoming, slave(compat)] {
            let before = member.role();
            let effects = learn(&mut member, Value::Master(InstanceId(3), E));
            let after = if ignored { before } else { Pending };
            assert_eq!(member.role(), after, "{compat:?}, {before:?}");
            assert_eq!(asks(&effects), !ignored, "{compat:?}, {before:?}: {effects:?}");
        }
    }
}

/// Both others fail, each by the word of the other, and are heard again. From 2.3.6 on the word
/// of a failed member does not count; before, it does, and each is told nothing by whom it
/// counts as failed.
#[test]
fn the_failed_keep_each_other_failed_until_2_3_0() {
    let alive = Compat::ALL.map(|compat| {
        let mut member = member(compat, 3);
        silence(&mut member, 0);
        third_suspects_first(&mut member);
        step(&mut member, from(1, Message::Suspicions(MemberSet::EMPTY.with(2))));
        silence(&mut member, 2);
        assert_eq!(member.alive().len(), 1, "{compat:?}");
        for heard in [1, 3] {
            step(&mut member, from(heard, Message::IAmAlive { learned: 0 }));
        }
        let held = member.held_by_the_failed();
        assert_eq!(held, member.members().difference(member.alive()), "{compat:?}");
        member.alive().len()
    });
    assert_eq!(alive, [1, 1, 3, 3]);
}

/// Three suspect the first member, which is heard here. One after the other restarts, leaves or
/// comes from another address: its word no longer holds, and nobody else says anything more.
#[test]
fn nobody_stays_failed_by_the_word_of_who_restarted_or_left() {
    type Gone = fn(&mut Member, u16);
    let gone: [(&str, Gone); 3] = [
        ("restarted", |member, who| {
            step(member, from(who, Message::ConfigurationRequest { address: 0 }));
        }),
        ("left", |member, who| {
            learn(member, Value::Leave(InstanceId(who)));
        }),
        ("moved", |member, who| {
            learn(member, Value::Join(InstanceId(who), 7));
        }),
    ];
    for compat in Compat::ALL {
        for (how, gone) in gone {
            let mut member = member(compat, 5);
            for who in [3, 4, 5] {
                // By asking it tells where it is.
                step(&mut member, from(who, Message::ConfigurationRequest { address: 0 }));
                step(&mut member, from(who, Message::Suspicions(MemberSet::first(1))));
            }
            assert!(member.has_failed(InstanceId(1)), "{compat:?}");
            for who in [3, 4, 5] {
                gone(&mut member, who);
            }
            assert!(!member.has_failed(InstanceId(1)), "{compat:?}: {how}");
        }
    }
}

#[test]
fn heartbeats_may_be_missed_for_longer_from_3_2_on() {
    let timeouts = Compat::ALL.map(|compat| Settings::defaults(compat).heartbeat_timeout);
    assert_eq!(timeouts, [11, 11, 11, 40].map(Span::from_secs));
}
