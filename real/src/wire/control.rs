//! What a node and the one who started it say to each other.
//!
//! The node calls; where nobody asked it to, there is no such connection. When it ends, so
//! does the node: nothing is left behind by a harness that was killed.

use wavetank_instance::{Asked, Reply, Request, TaskId};
use wavetank_vocabulary::{NodeId, Role, ServerTime, Status, Time};
use wavetank_world::{DiskState, Surroundings};

use super::facts::Told;
use super::{Garbage, Reader, Wire, wire_enum, wire_struct};

/// What the node says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Up {
    /// Who it is, and the process it runs as.
    Here(u16, u16, u32),
    /// Something happened.
    Fact(Time, Told),
    /// A client's request has ended.
    Respond(Asked, Status, Reply, ServerTime),
    /// A request writes into a second store.
    Call(TaskId, Request, u8, NodeId, Option<i64>),
    /// How it is.
    Status(Condition),
    /// The facts that an audit found are all told.
    Audited,
    /// A look-up of a user has returned something.
    Found(u64, Option<i64>),
    /// A fault that lay in wait on its disk has struck.
    Struck(u16),
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Down {
    /// The zero of its clock on the system's monotonic one, in nanoseconds, and how many
    /// times faster than that one it runs, in thousandths.
    Welcome(u64, u32),
    /// A client's request.
    Request(Request),
    /// The second store has what the task wrote.
    Called(TaskId),
    /// Leave the cluster and end.
    Stop,
    /// Tell what the store holds; as master, what is in it, too.
    Audit,
    /// Behave as if disk, clock and page cache were like this.
    Surroundings(Surroundings),
}

/// How an instance is at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    /// When that was.
    pub(crate) at: Time,
    /// Its role.
    pub(crate) role: Role,
    /// The end of its log.
    pub(crate) log: wavetank_vocabulary::LogMark,
    /// Whether nothing is under way in it.
    pub(crate) idle: bool,
    /// What it waits for before it serves.
    pub(crate) waits_for: Option<String>,
    /// Whether the bean can be asked.
    pub(crate) bean: bool,
    /// Pages in its page cache.
    pub(crate) resident: u64,
}

wire_struct!(Condition { at, role, log, idle, waits_for, bean, resident });

wire_enum!(Up, "report" {
    0 => Here(version, instance, process);
    1 => Fact(at, fact);
    2 => Respond(asked, status, reply, time);
    3 => Call(task, request, store, node, value);
    4 => Status(condition);
    5 => Audited;
    6 => Found(reply_to, value);
    7 => Struck(fault);
});

wire_enum!(Down, "order" {
    0 => Welcome(origin, scale);
    1 => Request(request);
    2 => Called(task);
    3 => Stop;
    4 => Audit;
    5 => Surroundings(surroundings);
});

wire_struct!(Surroundings { wall_ahead_ms, frames, disk });
wire_struct!(DiskState { slower, stalled, gone, read_only, full, write_error, sync_error });
wire_struct!(Asked { operation, kind, attempt, reply_to });
wire_struct!(Request {
    operation,
    attempt,
    kind,
    me,
    other,
    now_ms,
    by_statement,
    looks_up,
    open,
    reply_to
});
wire_struct!(Reply { tx, seen, left, open });

impl Wire for TaskId {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_word().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(TaskId::from_word(u64::get(from)?))
    }
}

impl Wire for Time {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_nanos().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(Time::from_nanos(u64::get(from)?))
    }
}

impl Wire for ServerTime {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_micros().put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        Ok(ServerTime::from_micros(Wire::get(from)?))
    }
}

impl Wire for Status {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self as u8);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, Garbage> {
        let number = usize::from(u8::get(from)?);
        Status::ALL.get(number).copied().ok_or(Garbage("an unknown status"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;
    use proptest::prelude::*;
    use wavetank_vocabulary::{LogMark, OperationId, OperationKind, Span, Subject, TxId};

    fn request() -> Request {
        Request {
            operation: OperationId::from_word(2 << 32 | 5).unwrap(),
            attempt: 3,
            kind: OperationKind(1),
            me: NodeId(4),
            other: NodeId(5),
            now_ms: 6,
            by_statement: true,
            looks_up: true,
            open: Some(TaskId::from_word(7 << 32 | 8)),
            reply_to: u64::MAX,
        }
    }

    #[test]
    fn reports_and_orders_survive_the_way() {
        let reply =
            Reply { tx: TxId(1), seen: TxId(2), left: Subject::Created, open: request().open };
        let mut time = ServerTime::default();
        time = time.with(wavetank_vocabulary::ServerPhase::Sync, Span::from_micros(12));
        let log = LogMark::BASE;
        let waits_for = Some("a master".to_owned());
        let condition = Condition {
            at: Time::from_nanos(8),
            role: Role::Pending,
            log,
            idle: true,
            waits_for,
            bean: true,
            resident: 9,
        };
        for status in Status::ALL {
            let up = Up::Respond(Asked::of(&request()), status, reply, time);
            let mut bytes = Vec::new();
            up.put(&mut bytes);
            assert_eq!(decode::<Up>(&bytes), Ok(up));
        }
        let looked_up = Up::Found(u64::MAX, Some(-3));
        for up in [Up::Here(1, 2, 3), Up::Status(condition), Up::Audited, looked_up, Up::Struck(3)]
        {
            let mut bytes = Vec::new();
            up.put(&mut bytes);
            assert_eq!(decode::<Up>(&bytes), Ok(up));
        }
        let disk = DiskState { slower: 9, stalled: true, full: Some(7), ..DiskState::default() };
        let sick = Down::Surroundings(Surroundings { wall_ahead_ms: -5, frames: 30, disk });
        for down in [Down::Welcome(1, 2), Down::Request(request()), Down::Stop, Down::Audit, sick] {
            let mut bytes = Vec::new();
            down.put(&mut bytes);
            assert_eq!(decode::<Down>(&bytes), Ok(down));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Up>(&bytes);
            let _ = decode::<Down>(&bytes);
        }
    }
}
