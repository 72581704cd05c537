//! Whatever other members, timers and the driver come up with, a member does not panic, and
//! answers with a bounded number of effects. A storm has a hundred inputs on average, six in ten
//! of them messages: more than a million messages in all.

mod messages;

use messages::message;
use proptest::prelude::*;
use wavetank_cluster::{
    AcceptorMemory, Compat, Configuration, Effect, Input, Member, MemberSet, Message, Moment,
    Quorum, Settings, Timer,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Time, TxId};

/// Mostly the other members: what strangers say goes no further.
fn sender() -> impl Strategy<Value = InstanceId> {
    prop_oneof![5 => Just(1), 5 => Just(3), 1 => 0..6u16].prop_map(InstanceId)
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        20 => (sender(), message())
            .prop_map(|(from, message)| Input::Message { from, message }),
        6 => (0..Timer::count(3))
            .prop_map(|slot| Input::Timer(Timer::at_slot(slot, 3).expect("below the count"))),
        1 => Just(Input::Start),
        1 => Just(Input::Leave),
        1 => Just(Input::RefreshSnapshot),
        1 => (0..9u64).prop_map(|e| Input::SwitchedToMaster(Epoch(e))),
        1 => (0..5u16).prop_map(|id| Input::SwitchedToSlave(InstanceId(id))),
        1 => Just(Input::StaleEpoch),
    ]
}

/// The states that a storm begins in.
#[derive(Clone, Copy, Debug)]
enum Before {
    Start,
    Discovery,
    Joining,
    Entered,
}

fn member(before: Before, settings: Settings) -> Member {
    let ids: Vec<_> = (1..=3).map(InstanceId).collect();
    let configuration = Configuration::new(InstanceId(2), &ids).unwrap();
    let mut member = Member::new(configuration, settings, false, 5, PlantedBugs::NONE);
    let moment = Moment { mono: Time::ZERO, wall_ms: 5, tx: Some(TxId(3)) };
    let members = match before {
        Before::Start => return member,
        Before::Discovery => None,
        Before::Joining => Some(MemberSet::EMPTY.with(0).with(2)),
        Before::Entered => Some(MemberSet::first(3)),
    };
    let mut effects = Vec::new();
    member.step(moment, Input::Start, &mut effects);
    if let Some(members) = members {
        let coordinator = Some(InstanceId(1));
        let (address, known, delivered) = (0, true, 2);
        let message = Message::ConfigurationResponse {
            address,
            known,
            members,
            moved: MemberSet::EMPTY,
            coordinator,
            delivered,
        };
        member.step(moment, Input::Message { from: InstanceId(1), message }, &mut effects);
    }
    member
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(17_000))]

    #[test]
    fn no_message_makes_a_member_panic(
        before in prop::sample::select(vec![
            Before::Start, Before::Discovery, Before::Joining, Before::Entered,
        ]),
        compat in prop::sample::select(Compat::ALL.to_vec()),
        (acceptor_memory, quorum) in (
            prop::sample::select(vec![AcceptorMemory::Volatile, AcceptorMemory::Durable]),
            prop::sample::select(vec![Quorum::OfTheAlive, Quorum::OfAllHosts]),
        ),
        storm in prop::collection::vec(input(), 0..200),
    ) {
        let settings = Settings { acceptor_memory, quorum, ..Settings::defaults(compat) };
        let mut member = member(before, settings);
        let mut effects: Vec<Effect> = Vec::new();
        for (turn, input) in storm.into_iter().enumerate() {
            effects.clear();
            let tx = (turn % 7 != 0).then_some(TxId(turn as u64 % 3));
            let moment = Moment { mono: Time::ZERO, wall_ms: 5, tx };
            member.step(moment, input, &mut effects);
            prop_assert!(effects.len() < 400, "{} effects of {input:?}", effects.len());
        }
    }
}
