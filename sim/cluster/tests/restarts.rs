//! A member that restarted before anybody missed it: what the others make of it.

use wavetank_cluster::{
    Compat, Configuration, Effect, Input, Member, MemberSet, Message, Moment, Settings, Value,
};
use wavetank_vocabulary::{InstanceId, PlantedBugs, Time, TxId};

const MOMENT: Moment = Moment { mono: Time::ZERO, wall_ms: 5, tx: Some(TxId(3)) };
const ONE: InstanceId = InstanceId(1);
const THREE: InstanceId = InstanceId(3);

fn step(member: &mut Member, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    member.step(MOMENT, input, &mut effects);
    effects
}

fn tell(member: &mut Member, from: InstanceId, message: Message) {
    step(member, Input::Message { from, message });
}

/// Instance 2 of three, which are all members.
fn member() -> Member {
    let ids = [1, 2, 3].map(InstanceId);
    let configuration = Configuration::new(InstanceId(2), &ids).unwrap();
    let settings = Settings::defaults(Compat::V2_3_6);
    let mut member = Member::new(configuration, settings, false, 5, PlantedBugs::NONE);
    step(&mut member, Input::Start);
    let (members, coordinator) = (MemberSet::first(3), Some(ONE));
    let message = Message::ConfigurationResponse {
        address: 0,
        known: true,
        members,
        moved: MemberSet::EMPTY,
        coordinator,
        delivered: 0,
    };
    tell(&mut member, ONE, message);
    member
}

/// An election that instance 1 held has this outcome.
fn elected(member: &mut Member, winner: InstanceId, version: u64) {
    let value = Value::Elected { winner: Some(winner), elector: ONE, version };
    let instance = member.delivered();
    tell(member, ONE, Message::Learn { instance, value });
}

#[test]
fn an_elector_whose_clock_was_set_back_is_believed_once_it_has_restarted() {
    let mut member = member();
    elected(&mut member, ONE, 1000 << 10);
    elected(&mut member, THREE, 900 << 10);
    assert_eq!(member.coordinator(), Some(ONE), "an older result of the same life");
    tell(&mut member, ONE, Message::ConfigurationRequest { address: 0 });
    elected(&mut member, THREE, 900 << 10);
    assert_eq!(member.coordinator(), Some(THREE));
}

/// What instance 2 answers to that request of 3 for the configuration.
fn answers(member: &mut Member, address: u16) -> Vec<Message> {
    let message = Message::ConfigurationRequest { address };
    let effects = step(member, Input::Message { from: THREE, message });
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: THREE, message } => Some(*message),
        _ => None,
    });
    sent.collect()
}

/// It joined after 3 did, and never heard 3 ask.
#[test]
fn where_the_others_are_comes_with_the_configuration() {
    let mut member = member();
    assert_eq!(answers(&mut member, 1), [Message::JoinDenied], "3 is alive at its first address");
    assert!(matches!(answers(&mut member, 0)[..], [Message::ConfigurationResponse { .. }]));
    let joins = Value::Join(THREE, 4);
    let instance = member.delivered();
    tell(&mut member, ONE, Message::Learn { instance, value: joins });

    let effects = step(
        &mut member,
        Input::Message { from: ONE, message: Message::ConfigurationRequest { address: 0 } },
    );
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to: ONE, message: Message::MemberAt { whom, address } } => {
            Some((*whom, *address))
        }
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [(THREE, 4)]);
}
