//! Whatever other members, timers and the driver come up with, a member does not panic, and
//! answers with a bounded number of effects.

use proptest::prelude::*;
use wavetank_cluster::{
    Accepted, Availability, Candidate, Compat, Configuration, Credentials, Effect, Input, Member,
    MemberSet, Message, Moment, Settings, Timer, Value,
};
use wavetank_vocabulary::{Epoch, InstanceId, PlantedBugs, Time, TxId};

fn value() -> impl Strategy<Value = Value> {
    let id = || (0..5u16).prop_map(InstanceId);
    let availability = prop_oneof![
        Just(Availability::Unavailable),
        Just(Availability::Slave),
        any::<u64>().prop_map(|e| Availability::Master(Epoch(e))),
    ];
    prop_oneof![
        id().prop_map(Value::Join),
        id().prop_map(Value::Leave),
        (prop::option::of(id()), id(), any::<u64>())
            .prop_map(|(winner, elector, version)| Value::Elected { winner, elector, version }),
        (id(), availability).prop_map(|(whom, availability)| Value::member(whom, availability)),
    ]
}

fn credentials() -> impl Strategy<Value = Credentials> {
    prop_oneof![
        Just(Credentials::NotElectable),
        (0..3u64, any::<bool>())
            .prop_map(|(tx, master)| Credentials::Electable(Candidate { tx: TxId(tx), master })),
    ]
}

/// Any message: of the cluster at hand, or of none that ever was.
fn message() -> impl Strategy<Value = Message> {
    let instance = || prop_oneof![4 => 0..6u32, 1 => any::<u32>()];
    let ballot = || prop_oneof![4 => (1..4u32, 1..4u32).prop_map(|(n, id)| 1000 * n + id), 1 => any::<u32>()];
    let version = || prop_oneof![4 => 5120..5126u64, 1 => any::<u64>()];
    let members = || {
        any::<u64>().prop_map(|bits| {
            (0..64).filter(|i| bits >> i & 1 == 1).fold(MemberSet::EMPTY, MemberSet::with)
        })
    };
    let accepted = prop::option::of(
        (ballot(), value()).prop_map(|(ballot, value)| Accepted { ballot, value }),
    );
    let id = || (0..5u16).prop_map(InstanceId);
    let round = || (instance(), ballot());
    prop_oneof![
        instance().prop_map(|learned| Message::IAmAlive { learned }),
        members().prop_map(Message::Suspicions),
        Just(Message::PerformRoleElections),
        version().prop_map(|version| Message::Vote { version }),
        (version(), credentials())
            .prop_map(|(version, credentials)| Message::Voted { version, credentials }),
        Just(Message::ConfigurationRequest),
        (members(), prop::option::of(id()), instance()).prop_map(
            |(members, coordinator, delivered)| Message::ConfigurationResponse {
                members,
                coordinator,
                delivered
            }
        ),
        value().prop_map(Message::Propose),
        round().prop_map(|(instance, ballot)| Message::Prepare { instance, ballot }),
        (round(), accepted).prop_map(|((instance, ballot), accepted)| Message::Promise {
            instance,
            ballot,
            accepted
        }),
        (round(), ballot()).prop_map(|((instance, ballot), promised)| Message::RejectPrepare {
            instance,
            ballot,
            promised
        }),
        (round(), value()).prop_map(|((instance, ballot), value)| Message::Accept {
            instance,
            ballot,
            value
        }),
        round().prop_map(|(instance, ballot)| Message::Accepted { instance, ballot }),
        round().prop_map(|(instance, ballot)| Message::RejectAccept { instance, ballot }),
        (instance(), value()).prop_map(|(instance, value)| Message::Learn { instance, value }),
        instance().prop_map(|instance| Message::LearnRequest { instance }),
        instance().prop_map(|instance| Message::LearnFailed { instance }),
        Just(Message::SnapshotRequest),
        (instance(), prop::option::of((id(), any::<u64>().prop_map(Epoch))), members()).prop_map(
            |(delivered, master, slaves)| Message::Snapshot { delivered, master, slaves }
        ),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        20 => ((0..6u16).prop_map(InstanceId), message())
            .prop_map(|(from, message)| Input::Message { from, message }),
        6 => (0..Timer::count(3))
            .prop_map(|slot| Input::Timer(Timer::at_slot(slot, 3).expect("below the count"))),
        1 => Just(Input::Start),
        1 => Just(Input::Leave),
        1 => Just(Input::RefreshSnapshot),
        1 => (0..9u64).prop_map(|e| Input::SwitchedToMaster(Epoch(e))),
        1 => (0..5u16).prop_map(|id| Input::SwitchedToSlave(InstanceId(id))),
        1 => Just(Input::SwitchFailed),
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

fn member(before: Before, compat: Compat) -> Member {
    let ids: Vec<_> = (1..=3).map(InstanceId).collect();
    let configuration = Configuration::new(InstanceId(2), &ids).unwrap();
    let settings = Settings::defaults(compat);
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
        let message = Message::ConfigurationResponse { members, coordinator, delivered: 2 };
        member.step(moment, Input::Message { from: InstanceId(1), message }, &mut effects);
    }
    member
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_message_makes_a_member_panic(
        before in prop::sample::select(vec![
            Before::Start, Before::Discovery, Before::Joining, Before::Entered,
        ]),
        compat in prop::sample::select(Compat::ALL.to_vec()),
        storm in prop::collection::vec(input(), 0..200),
    ) {
        let mut member = member(before, compat);
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
