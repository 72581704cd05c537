//! What the queue holds. Every event is delivered to one place, at one time.

use wavetank_instance::{PeerMessage, TaskId};
use wavetank_store::DiskOp;
use wavetank_vocabulary::{Status, Time, TxId};

use crate::balancer::Roles;

/// An event. `life` tells processes apart that ran on the same machine: work and disk
/// operations of an earlier one are dropped. What comes over the network bears none
/// (`Deliver`, `PeerLost`, `AtInstance`): it reaches whichever process runs by then.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A message arrives.
    Deliver { from: u16, to: u16, sent: Time, message: PeerMessage },
    /// A timer of an instance fires.
    Timer { instance: u16, slot: u32, generation: u32 },
    /// A core has spent a task's time.
    CoreDone { instance: u16, life: u32, task: TaskId, stolen: u64 },
    /// A core in its last slice is idle, and somebody waits for it.
    CoreIdle { instance: u16, life: u32 },
    /// A disk operation is complete.
    DiskDone { instance: u16, life: u32, op: DiskOp },
    /// A process starts.
    Start { instance: u16 },
    /// The connections between two instances broke.
    PeerLost { instance: u16, peer: u16 },
    /// The next operation of a client is due.
    Arrival { client: u16 },
    /// An attempt of an operation leaves its client.
    Attempt { flight: u32, generation: u32 },
    /// A request reaches its balancer.
    AtBalancer { flight: u32, generation: u32 },
    /// A request reaches an instance.
    AtInstance { instance: u16, flight: u32, generation: u32 },
    /// An answer reaches the client.
    Answer { flight: u32, generation: u32, status: Status, tx: TxId, instance: Option<u16> },
    /// A user has thought and asks for the next operation.
    UserActs { client: u16, user: u32 },
    /// The second store has what a task wrote.
    Called { instance: u16, life: u32, task: TaskId },
    /// A client has waited long enough for an answer.
    ClientTimeout { flight: u32, generation: u32 },
    /// A balancer asks all instances for their role.
    Poll { balancer: u16 },
    /// The question reaches an instance.
    PollArrives { balancer: u16, instance: u16 },
    /// The answer, or its absence, is known to the balancer.
    PollAnswered { balancer: u16, instance: u16, says: Roles },
    /// A fault begins.
    FaultBegins { fault: u16 },
    /// A fault ends.
    FaultEnds { fault: u16 },
    /// A fault goes on to its next part.
    FaultTurns { fault: u16 },
    /// Quantities are sampled.
    Sample,
    /// The operators' monitoring asks every instance.
    Monitor,
    /// The clients stop and everything heals.
    Heal,
    /// Has the cluster recovered?
    Look,
}

impl Event {
    /// The event in words, for the digest: its kind and what tells it from others.
    #[inline]
    pub(crate) fn words(&self) -> [u64; 3] {
        let pair = |a: u16, b: u16| u64::from(a) << 16 | u64::from(b);
        let flight = |f: u32, g: u32| u64::from(f) << 32 | u64::from(g);
        match self {
            Event::Deliver { from, to, message, .. } => {
                let what = match message {
                    PeerMessage::Cluster(message) => cluster_word(message),
                    _ => message.wire_bytes() << 8 | 0xff,
                };
                [1, pair(*from, *to), what]
            }
            Event::Timer { instance, slot, generation } => {
                [2, u64::from(*instance), flight(*slot, *generation)]
            }
            Event::CoreDone { instance, life, task, .. } => {
                [3, flight(u32::from(*instance), *life), task.to_word()]
            }
            Event::DiskDone { instance, life, op } => {
                [4, flight(u32::from(*instance), *life), op.0]
            }
            Event::Start { instance } => [5, u64::from(*instance), 0],
            Event::PeerLost { instance, peer } => [6, pair(*instance, *peer), 0],
            Event::Arrival { client } => [7, u64::from(*client), 0],
            Event::Attempt { flight: f, generation } => [8, flight(*f, *generation), 0],
            Event::AtBalancer { flight: f, generation } => [9, flight(*f, *generation), 0],
            Event::AtInstance { instance, flight: f, generation } => {
                [10, flight(*f, *generation), u64::from(*instance)]
            }
            Event::Answer { flight: f, generation, status, tx, .. } => {
                [11, flight(*f, *generation), tx.0 << 8 | *status as u64]
            }
            Event::ClientTimeout { flight: f, generation } => [12, flight(*f, *generation), 0],
            Event::Poll { balancer } => [13, u64::from(*balancer), 0],
            Event::PollArrives { balancer, instance } => [14, pair(*balancer, *instance), 0],
            Event::PollAnswered {
                balancer,
                instance,
                says: Roles { master, slave, available },
            } => {
                let says = u64::from(*available) << 2 | u64::from(*master) << 1 | u64::from(*slave);
                [15, pair(*balancer, *instance), says]
            }
            Event::FaultBegins { fault } => [16, u64::from(*fault), 0],
            Event::FaultEnds { fault } => [17, u64::from(*fault), 0],
            Event::Sample => [18, 0, 0],
            Event::Heal => [19, 0, 0],
            Event::Look => [20, 0, 0],
            Event::Monitor => [21, 0, 0],
            Event::FaultTurns { fault } => [22, u64::from(*fault), 0],
            Event::UserActs { client, user } => [23, u64::from(*client), u64::from(*user)],
            Event::Called { instance, life, task } => {
                [24, flight(u32::from(*instance), *life), task.to_word()]
            }
            Event::CoreIdle { instance, life } => [25, flight(u32::from(*instance), *life), 0],
        }
    }

    /// The kind of an event from the first of its words, for people.
    pub(crate) fn kind_name(word: u64) -> &'static str {
        const NAMES: [&str; 26] = [
            "unknown",
            "message",
            "timer",
            "core done",
            "disk done",
            "process start",
            "connection lost",
            "client arrival",
            "attempt",
            "at balancer",
            "at instance",
            "answer",
            "client time-out",
            "poll",
            "poll arrives",
            "poll answered",
            "fault begins",
            "fault ends",
            "sample",
            "heal",
            "look",
            "monitor",
            "fault turns",
            "user acts",
            "second store answers",
            "core idle",
        ];
        NAMES.get(word as usize).copied().unwrap_or("unknown")
    }
}

/// A cluster message as one word.
#[inline]
fn cluster_word(message: &wavetank_cluster::Message) -> u64 {
    use wavetank_cluster::Message;
    let paxos = |instance: u32, ballot: u32| u64::from(instance) << 27 ^ u64::from(ballot);
    let (kind, what) = match *message {
        Message::IAmAlive { learned } => (0, u64::from(learned)),
        Message::Suspicions(set) => (1, set.len() as u64),
        Message::PerformRoleElections => (2, 0),
        Message::Vote { version } => (3, version),
        Message::Voted { version, .. } => (4, version),
        Message::ConfigurationRequest { address } => (5, u64::from(address)),
        Message::ConfigurationResponse { members, delivered, .. } => {
            (6, (members.len() as u64) << 32 | u64::from(delivered))
        }
        Message::Propose(_) => (7, 0),
        Message::Prepare { instance, ballot } => (8, paxos(instance, ballot)),
        Message::Promise { instance, ballot, .. } => (9, paxos(instance, ballot)),
        Message::RejectPrepare { instance, ballot, .. } => (10, paxos(instance, ballot)),
        Message::Accept { instance, ballot, .. } => (11, paxos(instance, ballot)),
        Message::Accepted { instance, ballot } => (12, paxos(instance, ballot)),
        Message::RejectAccept { instance, ballot } => (13, paxos(instance, ballot)),
        Message::Learn { instance, .. } => (14, u64::from(instance)),
        Message::LearnRequest { instance } => (15, u64::from(instance)),
        Message::LearnFailed { instance } => (16, u64::from(instance)),
        Message::SnapshotRequest => (17, 0),
        Message::Snapshot { delivered, .. } => (18, u64::from(delivered)),
        Message::JoinDenied => (19, 0),
        Message::MemberAt { whom, address } => (20, u64::from(whom.0) << 16 | u64::from(address)),
    };
    what << 5 | kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small() {
        assert!(size_of::<Event>() <= 56, "{}", size_of::<Event>());
    }
}
