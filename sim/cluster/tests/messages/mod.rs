//! Any message that a member of a cluster could be sent, sensible or not. The tests of the
//! instance use it, too.

use proptest::prelude::*;
use wavetank_cluster::{Accepted, Availability, Candidate, Credentials, MemberSet, Message, Value};
use wavetank_vocabulary::{Epoch, InstanceId, TxId};

fn value() -> impl Strategy<Value = Value> {
    let id = || (0..5u16).prop_map(InstanceId);
    let availability = prop_oneof![
        Just(Availability::Unavailable),
        Just(Availability::Slave),
        any::<u64>().prop_map(|e| Availability::Master(Epoch(e))),
    ];
    prop_oneof![
        (id(), 0..3u16).prop_map(|(id, address)| Value::Join(id, address)),
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
pub(crate) fn message() -> impl Strategy<Value = Message> {
    let instance = || prop_oneof![4 => 0..6u32, 1 => any::<u32>(), 1 => Just(u32::MAX)];
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
        (0..3u16).prop_map(|address| Message::ConfigurationRequest { address }),
        (0..3u16, any::<bool>(), (members(), members()), prop::option::of(id()), instance())
            .prop_map(|(address, known, (members, moved), coordinator, delivered)| {
                Message::ConfigurationResponse {
                    address,
                    known,
                    members,
                    moved,
                    coordinator,
                    delivered,
                }
            }),
        Just(Message::JoinDenied),
        (id(), 0..3u16).prop_map(|(whom, address)| Message::MemberAt { whom, address }),
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
