//! Work in progress: client requests and the instance's own chores, each of which asks for
//! a core, runs one slice, and waits.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_cluster::MemberSet;
use wavetank_store::{CopyCursor, Ledger, Ticket, TxHandle, TxRecord};
use wavetank_vocabulary::{InstanceId, LogMark, NodeId, Status, Stopwatch, Subject, Time, TxId};

use crate::binding::Binding;
use crate::message::{MasterCall, MasterReply};
use crate::play::StepState;
use crate::program::{Request, SLOTS};

/// A task of one instance. The generation tells a reused slot from its former owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

impl TaskId {
    /// The identifier as one word, for digests and for messages between processes.
    pub const fn to_word(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The identifier that [`Self::to_word`] came from.
    pub const fn from_word(word: u64) -> TaskId {
        TaskId { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

/// What a task is about. A request is boxed: it is taken out of its slot and put back for each
/// slice, and most tasks of a cluster at rest are small ones.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// A client's request.
    Request(Box<RequestTask>),
    /// Applies the transactions that were received.
    Apply,
    /// Eviction, flushing, checkpoints, log rotation.
    Background,
    /// Looks a log position up for a handshake or a pull.
    Serve(ServeTask),
    /// Streams the store to a slave.
    CopyOut(CopyTask),
    /// Waits until a step of an incoming store copy is on disk.
    CopyIn,
    /// Serves a slave's request for one of its transactions.
    Call(CallTask),
}

/// A transaction that is committed here and pushed to slaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushState {
    /// Its place in the history.
    pub(crate) mark: LogMark,
    /// Slaves that must still acknowledge.
    pub(crate) needed: u32,
    /// Slaves that were asked and have not answered.
    pub(crate) pending: u32,
    /// Slaves that were asked, by member index; the transaction's author among them.
    pub(crate) tried: MemberSet,
    /// With whom the round robin began, by member index.
    pub(crate) first: usize,
}

impl Default for PushState {
    fn default() -> Self {
        PushState { mark: LogMark::BASE, needed: 0, pending: 0, tried: MemberSet::EMPTY, first: 0 }
    }
}

/// Where a slave's request stands.
#[derive(Clone, Debug)]
pub(crate) enum CommitPhase {
    /// Came in; a lock may have to be waited for.
    Called,
    /// Its transaction is in the log; waits for the sync.
    Syncing(Option<Ticket>),
    /// Durable; its writes go to the pages.
    Applying,
    /// Applied; waits for slaves.
    Pushing,
    /// Answered with this at the end of the slice.
    Answer(MasterReply),
}

/// A request of a slave.
#[derive(Clone, Debug)]
pub(crate) struct CallTask {
    pub(crate) to: InstanceId,
    pub(crate) id: u32,
    pub(crate) session: u32,
    /// The end of the slave's log, until it is compared with the log here.
    pub(crate) mark: Option<LogMark>,
    pub(crate) call: MasterCall,
    pub(crate) phase: CommitPhase,
    pub(crate) tx: Option<TxHandle>,
    pub(crate) operation: u64,
    pub(crate) push: PushState,
    /// The reign that it belongs to is over: what is in the log is applied, and nobody told.
    pub(crate) deposed: bool,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the database to become available.
    Blocked,
    /// Runs its program.
    Execute,
    /// Waits for the second store beside the graph.
    Calling,
    /// A statement is done: the next one asks for a core again.
    Between,
    /// A statement is done: answered at the end of the slice.
    Replying,
    /// Its client has the answer to a statement and the next one has not come yet.
    Open,
    /// Its transaction is in the log; waits for the sync.
    Syncing(Option<Ticket>),
    /// Durable; its writes go to the pages.
    Applying,
    /// Applied; waits for slaves.
    Pushing,
    /// At a slave: its transaction is the master's to commit, and to come back from there.
    AtMaster,
    /// Answered with this at the end of the slice.
    Ending(Status),
}

#[derive(Clone, Debug)]
pub(crate) struct RequestTask {
    pub(crate) request: Request,
    pub(crate) writes: bool,
    pub(crate) phase: Phase,
    /// Where its time goes.
    pub(crate) watch: Stopwatch,
    pub(crate) tx: Option<TxHandle>,
    /// The last transaction that the store had when this one began.
    pub(crate) seen: TxId,
    /// The program step that is next, and how far it has come.
    pub(crate) step: u16,
    pub(crate) at: StepState,
    /// The program's variables.
    pub(crate) slots: [Binding; SLOTS],
    /// A bit for each of them that is a relationship which a merge found rather than created.
    pub(crate) found: u32,
    /// Nodes that a step has to lock.
    pub(crate) nodes: Vec<NodeId>,
    /// What is to be written into the second store: which, under which node, what.
    pub(crate) call: Option<(u8, NodeId, Option<i64>)>,
    /// What the operation leaves behind for the audit.
    pub(crate) left: Subject,
    /// Where it runs.
    pub(crate) instance: InstanceId,
    /// An open one is given up when no statement has come until then.
    pub(crate) idle_until: Time,
    /// The last of its transactions that is committed; 0 is none.
    pub(crate) committed: TxId,
    pub(crate) ledger: Ledger,
    pub(crate) before: u64,
    /// Its transaction's place in the history, and the slaves that it goes to.
    pub(crate) push: PushState,
    /// Its locks, ids and commit are the master's: it writes at a slave.
    pub(crate) guarded: bool,
    /// Its lock session at the master.
    pub(crate) session: Option<u32>,
    /// What the master is to commit.
    pub(crate) prepared: Option<Arc<TxRecord>>,
    /// When the last transaction of the state in which it began was committed, in
    /// milliseconds.
    pub(crate) state_ms: Option<u64>,
}

impl RequestTask {
    /// A request at the beginning of its way.
    pub(crate) fn new(
        request: Request,
        writes: bool,
        phase: Phase,
        watch: Stopwatch,
        instance: InstanceId,
    ) -> Self {
        RequestTask {
            request,
            writes,
            phase,
            watch,
            tx: None,
            seen: TxId(0),
            step: 0,
            at: StepState::default(),
            slots: Default::default(),
            found: 0,
            nodes: Vec::new(),
            call: None,
            left: Subject::Nothing,
            instance,
            idle_until: Time::ZERO,
            committed: TxId(0),
            ledger: Ledger::default(),
            before: 0,
            push: PushState::default(),
            guarded: false,
            session: None,
            prepared: None,
            state_ms: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeTask {
    pub(crate) to: InstanceId,
    pub(crate) attempt: u32,
    pub(crate) mark: LogMark,
    pub(crate) pull: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CopyTask {
    pub(crate) to: InstanceId,
    pub(crate) attempt: u32,
    pub(crate) cursor: CopyCursor,
    /// How many chunks were sent.
    pub(crate) sent: u32,
    /// Whether the receiver has asked for the next chunk.
    pub(crate) asked: bool,
}

#[derive(Clone, Debug)]
struct Slot {
    generation: u32,
    task: Option<Task>,
}

/// All tasks of an instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Tasks {
    pub(crate) fn add(&mut self, task: Task) -> TaskId {
        if let Some(slot) = self.free.pop() {
            let entry = &mut self.slots[slot as usize];
            entry.task = Some(task);
            return TaskId { slot, generation: entry.generation };
        }
        self.slots.push(Slot { generation: 0, task: Some(task) });
        TaskId { slot: self.slots.len() as u32 - 1, generation: 0 }
    }

    /// The number of a task that is over as soon as it is there.
    #[inline]
    pub(crate) fn pass(&mut self) -> TaskId {
        // As if it were added and removed, without a task that is moved in and out.
        let slot = self.free.last().copied().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, task: None });
            let slot = self.slots.len() as u32 - 1;
            self.free.push(slot);
            slot
        });
        let entry = &mut self.slots[slot as usize];
        let id = TaskId { slot, generation: entry.generation };
        entry.generation = entry.generation.wrapping_add(1);
        id
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.task.as_mut()
    }

    #[inline]
    pub(crate) fn request_mut(&mut self, id: TaskId) -> Option<&mut RequestTask> {
        match self.get_mut(id) {
            Some(Task::Request(request)) => Some(request),
            _ => None,
        }
    }

    /// Takes a request out for one slice, so that it and the rest of the instance can be used
    /// side by side; [`Self::put_back`] ends that.
    pub(crate) fn take_out(&mut self, id: TaskId) -> Option<Box<RequestTask>> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        match slot.task.take() {
            Some(Task::Request(request)) => Some(request),
            other => {
                slot.task = other;
                None
            }
        }
    }

    pub(crate) fn put_back(&mut self, id: TaskId, request: Box<RequestTask>) {
        if let Some(slot) = self.slots.get_mut(id.slot as usize) {
            slot.task = Some(Task::Request(request));
        }
    }

    /// The push of a task that commits, whether for a client here or for a slave.
    pub(crate) fn push_mut(&mut self, id: TaskId) -> Option<&mut PushState> {
        match self.get_mut(id)? {
            Task::Request(request) => Some(&mut request.push),
            Task::Call(call) => Some(&mut call.push),
            _ => None,
        }
    }

    /// Whether the task waits for slaves and for nothing else.
    pub(crate) fn is_pushing(&self, id: TaskId) -> bool {
        let task = self.slots.get(id.slot as usize).filter(|slot| slot.generation == id.generation);
        match task.and_then(|slot| slot.task.as_ref()) {
            Some(Task::Request(request)) => request.phase == Phase::Pushing,
            Some(Task::Call(call)) => matches!(call.phase, CommitPhase::Pushing),
            _ => false,
        }
    }

    /// The clients' requests, in the order of their slots.
    pub(crate) fn requests(&self) -> impl Iterator<Item = (TaskId, &RequestTask)> {
        self.iter().filter_map(|(id, task)| match task {
            Task::Request(request) => Some((id, &**request)),
            _ => None,
        })
    }

    pub(crate) fn remove(&mut self, id: TaskId) -> Option<Task> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let task = slot.task.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(task)
    }

    /// The tasks in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = TaskId { slot: index as u32, generation: slot.generation };
            slot.task.as_ref().map(|task| (id, task))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_slot_is_not_mistaken_for_its_former_owner() {
        let mut tasks = Tasks::default();
        let first = tasks.add(Task::Apply);
        assert!(tasks.remove(first).is_some());
        let second = tasks.add(Task::Background);
        assert_eq!(first.slot, second.slot);
        assert!(tasks.get_mut(first).is_none());
        assert!(tasks.remove(first).is_none());
        assert!(tasks.get_mut(second).is_some());
    }
}
