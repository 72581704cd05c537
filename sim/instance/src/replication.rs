//! Propagation of transactions: slaves pull on an interval, the master pushes after commit
//! (HA specification 3).

mod apply;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_cluster::{MemberSet, PushStrategy};
use wavetank_store::{Ledger, LogRead, MarkOf, TxRecord};
use wavetank_vocabulary::{Epoch, Fact, InstanceId, LogMark, PlantedBugs, Role, Status, TxId};

use crate::instance::Instance;
use crate::interface::{Effect, Now, Reply, Timer};
use crate::message::{DataMessage, PeerMessage, Verdict};
use crate::request::respond;
use crate::task::{Phase, PushState, ServeTask, Task, TaskId};

/// The slave's side of pulls: at most one is under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Puller {
    pub(crate) state: PullState,
    attempt: u32,
    /// Received, not yet appended.
    records: VecDeque<Arc<TxRecord>>,
    /// The master's last transaction when it answered.
    target: TxId,
    /// Pushes that wait until their transaction is applied here.
    pushes: Vec<(InstanceId, TxId)>,
    /// Whether the last answer held any.
    brought: bool,
    /// Left paused by a switch to slave: it pulls nothing until the next one.
    pub(crate) paused: bool,
    /// How many transactions the batch under way has.
    batch: u32,
    /// When the master was last asked, by the wall clock.
    pub(crate) asked_at_ms: Option<u64>,
    /// When the last transaction that was received here was committed, in milliseconds.
    pub(crate) state_ms: Option<u64>,
    /// No transaction may begin before what was received is applied.
    blocked: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PullState {
    /// Nothing is under way.
    #[default]
    Idle,
    /// The master was asked.
    Asked,
    /// A batch was appended; it is being forced and applied.
    Applying,
}

/// The master's side of pushes to one slave: one call at a time serves all who wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pusher {
    waiting: Vec<(TaskId, TxId)>,
    /// The transaction that the slave was called for and has not answered.
    outstanding: Option<TxId>,
}

impl Puller {
    /// Whether nothing that was received is still being appended or applied.
    pub(crate) fn is_quiet(&self) -> bool {
        self.state != PullState::Applying
    }

    /// Whether transactions must wait for the batch that is being applied.
    pub(crate) fn blocks(&self) -> bool {
        self.blocked
    }

    /// The number of the last question.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The master is asked.
    pub(crate) fn asks(&mut self, wall_ms: u64) {
        self.attempt += 1;
        self.state = PullState::Asked;
        self.asked_at_ms = Some(wall_ms);
    }

    /// Whether this question is under way, and nobody waits for what comes of it.
    pub(crate) fn awaits_nothing_but(&self, attempt: u32) -> bool {
        self.state == PullState::Asked
            && self.attempt == attempt
            && !self.blocked
            && self.records.is_empty()
            && self.pushes.is_empty()
    }

    /// The question was answered: there is nothing after `target`.
    pub(crate) fn found_nothing(&mut self, target: TxId) {
        self.target = target;
        self.brought = false;
        self.state = PullState::Idle;
    }

    /// Forgets what is under way. What was appended already will still be applied.
    pub(crate) fn reset(&mut self) {
        self.attempt += 1;
        self.paused = false;
        self.records.clear();
        self.pushes.clear();
        self.blocked = false;
        if self.state == PullState::Asked {
            self.state = PullState::Idle;
        }
    }
}

impl Instance {
    /// Sends a message of the data servers.
    pub(crate) fn send_data(
        &mut self,
        to: InstanceId,
        message: DataMessage,
        effects: &mut Vec<Effect>,
    ) {
        self.tally.sends(&message);
        effects.push(Effect::Send { to, message: PeerMessage::Data(Arc::new(message)) });
    }

    // ---- the slave's side -------------------------------------------------------------

    /// `ha.pull_interval` has passed.
    pub(crate) fn pull_again(&mut self, effects: &mut Vec<Effect>) {
        let after = self.config.settings.pull_interval;
        if self.role() == Role::Slave && !after.is_zero() {
            if !self.config.bugs.contains(PlantedBugs::PULL_TIMER_NOT_REARMED) {
                effects.push(Effect::Arm { timer: Timer::Pull, after });
            }
            self.start_pull(effects);
        }
    }

    /// Asks the master for what came after the end of the log, unless a pull is under way.
    pub(crate) fn start_pull(&mut self, effects: &mut Vec<Effect>) {
        if self.puller.state != PullState::Idle || self.puller.paused {
            return;
        }
        let Some((master, _)) = self.member.as_ref().and_then(|member| member.master()) else {
            return;
        };
        self.puller.asks(self.wall_ms);
        effects.push(Effect::Arm {
            timer: Timer::PullTimeout,
            after: self.config.settings.read_timeout,
        });
        let message = PeerMessage::Pull { attempt: self.puller.attempt, mark: self.store.mark() };
        effects.push(Effect::Send { to: master, message });
    }

    /// Whether this is the master that is followed: only it is asked for transactions.
    #[inline]
    pub(crate) fn follows(&self, other: InstanceId) -> bool {
        let master = self.member.as_ref().and_then(|member| member.master());
        master.is_some_and(|(master, _)| master == other)
    }

    /// Whether the master answers the question that is under way.
    fn was_asked(&self, from: InstanceId, attempt: u32) -> bool {
        self.puller.state == PullState::Asked
            && attempt == self.puller.attempt
            && self.follows(from)
    }

    /// The master's answer to a pull.
    pub(crate) fn transactions(
        &mut self,
        now: Now,
        (from, attempt): (InstanceId, u32),
        records: &[Arc<TxRecord>],
        target: TxId,
        effects: &mut Vec<Effect>,
    ) {
        if !self.was_asked(from, attempt) {
            return;
        }
        effects.push(Effect::Cancel(Timer::PullTimeout));
        self.tally.pulled();
        self.puller.target = target;
        self.puller.brought = !records.is_empty();
        self.puller.records.extend(records.iter().cloned());
        self.next_batch(now, effects);
    }

    /// All that the pull brought is applied.
    fn pull_ended(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.puller.state = PullState::Idle;
        self.tally.pulled_up_to(self.store.mark().tx);
        if core::mem::take(&mut self.puller.blocked) {
            self.release_blocked(effects);
        }
        self.answer_pushes(effects);
        self.meet_obligations(effects);
        let applied = self.store.mark().tx;
        let more = applied < self.puller.target
            || self.puller.pushes.iter().any(|(_, tx)| *tx > applied)
            || self.master_client.obliged().is_some_and(|tx| tx > applied)
            || self.puller.brought && self.chases_the_master();
        if more {
            self.start_pull(effects);
        } else {
            self.caught_up(now, effects);
        }
    }

    fn answer_pushes(&mut self, effects: &mut Vec<Effect>) {
        let applied = self.store.mark().tx;
        let mut index = 0;
        while index < self.puller.pushes.len() {
            let (from, tx) = self.puller.pushes[index];
            if tx <= applied {
                self.puller.pushes.swap_remove(index);
                let answer = DataMessage::PushAnswer { tx, applied: Some(applied) };
                self.send_data(from, answer, effects);
            } else {
                index += 1;
            }
        }
    }

    /// No answer in time: logged there, and tried again at the next tick.
    pub(crate) fn pull_failed(&mut self, effects: &mut Vec<Effect>) {
        if self.puller.state == PullState::Asked {
            self.puller.state = PullState::Idle;
            self.obligations_failed(effects);
            self.catch_up_failed(effects);
        }
    }

    /// The master compared the logs and will not serve.
    pub(crate) fn pull_refused(
        &mut self,
        now: Now,
        (from, attempt): (InstanceId, u32),
        verdict: Verdict,
        effects: &mut Vec<Effect>,
    ) {
        if !self.was_asked(from, attempt) {
            return;
        }
        effects.push(Effect::Cancel(Timer::PullTimeout));
        self.puller.state = PullState::Idle;
        match verdict {
            Verdict::Branched | Verdict::OutOfDate => self.follow_anew(now, effects),
            Verdict::NotMaster | Verdict::Same => self.catch_up_failed(effects),
        }
    }

    /// The master asks that a transaction be here.
    pub(crate) fn pushed(
        &mut self,
        from: InstanceId,
        tx: TxId,
        epoch: Epoch,
        effects: &mut Vec<Effect>,
    ) {
        let followed = self.member.as_ref().and_then(|member| member.master());
        if self.role() != Role::Slave || followed != Some((from, epoch)) {
            self.send_data(from, DataMessage::PushAnswer { tx, applied: None }, effects);
            return;
        }
        let early = self.config.bugs.contains(PlantedBugs::PUSH_ANSWERED_EARLY);
        let applied = if early { tx } else { self.store.applied() };
        if applied >= tx && self.store.received_left() == 0 {
            let answer = DataMessage::PushAnswer { tx, applied: Some(applied) };
            self.send_data(from, answer, effects);
            return;
        }
        self.puller.pushes.push((from, tx));
        self.start_pull(effects);
    }

    // ---- the master's side ------------------------------------------------------------

    /// Looks the position up that a handshake or a pull names.
    pub(crate) fn serve(
        &mut self,
        to: InstanceId,
        attempt: u32,
        mark: LogMark,
        pull: bool,
        effects: &mut Vec<Effect>,
    ) {
        let task = self.tasks.add(Task::Serve(ServeTask { to, attempt, mark, pull }));
        effects.push(Effect::Ready(task));
    }

    /// One slice of serving a handshake or a pull.
    pub(crate) fn run_serve(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let Some(Task::Serve(serve)) = self.tasks.get_mut(task) else { return };
        let serve = *serve;
        let mut ledger = Ledger { records: 1, ..Ledger::default() };
        let verdict = if self.role() == Role::Master {
            match self.store.mark_of(serve.mark.tx) {
                MarkOf::Known(mark) if mark == serve.mark => Verdict::Same,
                MarkOf::Known(_)
                    if !serve.pull
                        && self.config.bugs.contains(PlantedBugs::CHECKSUM_NOT_COMPARED) =>
                {
                    Verdict::Same
                }
                MarkOf::Known(_) if self.config.bugs.contains(PlantedBugs::BRANCH_RECEIVED) => {
                    Verdict::Same
                }
                // With more transactions than the master it has some of its own.
                MarkOf::Known(_) | MarkOf::Missing => Verdict::Branched,
                MarkOf::TooOld | MarkOf::Failed(_) => Verdict::OutOfDate,
                MarkOf::Wait(ticket) => return self.park(task, ticket),
            }
        } else {
            Verdict::NotMaster
        };
        let attempt = serve.attempt;
        let answer = match (serve.pull, verdict) {
            (false, verdict) => {
                let (epoch, store) = (self.epoch, self.store.store_id());
                DataMessage::HandshakeAnswer { attempt, verdict, epoch, store }
            }
            (true, Verdict::Same) => match self.store.read_log(serve.mark.tx, PULL_MOST) {
                LogRead::Records(records) => {
                    let target = self.store.mark().tx;
                    if records.is_empty() {
                        let message = PeerMessage::UpToDate { attempt, target };
                        effects.push(Effect::Send { to: serve.to, message });
                        self.tasks.remove(task);
                        effects.push(Effect::SpendLast { task, ledger });
                        return;
                    }
                    ledger.records += records.len() as u32;
                    DataMessage::Transactions { attempt, records, target }
                }
                LogRead::TooOld | LogRead::Failed(_) => {
                    DataMessage::PullRefused { attempt, verdict: Verdict::OutOfDate }
                }
                LogRead::Wait(ticket) => return self.park(task, ticket),
            },
            (true, verdict) => DataMessage::PullRefused { attempt, verdict },
        };
        self.send_data(serve.to, answer, effects);
        self.tasks.remove(task);
        effects.push(Effect::SpendLast { task, ledger });
    }

    /// After commit and apply: to how many slaves must it go before the client is told? One
    /// less if it came from a slave, which has it as soon as it pulls.
    pub(crate) fn begin_push(
        &mut self,
        task: TaskId,
        push: &mut PushState,
        author: Option<InstanceId>,
        effects: &mut Vec<Effect>,
    ) {
        let factor = self.config.settings.tx_push_factor;
        push.needed = factor.saturating_sub(u32::from(author.is_some()));
        push.pending = 0;
        let author = author.and_then(|author| self.config.configuration.index_of(author));
        push.tried = author.map_or(MemberSet::EMPTY, |author| MemberSet::EMPTY.with(author));
        if self.config.settings.tx_push_strategy == PushStrategy::RoundRobin {
            self.round_robin += 1;
            // Counted among the candidates: each has its turn as often, whoever is master and
            // whoever wrote.
            let candidates = self.push_candidates().difference(push.tried);
            let turn = self.round_robin % candidates.len().max(1);
            push.first = candidates.iter().nth(turn).unwrap_or(0);
        }
        while push.pending < push.needed && self.push_next(task, push, effects) {}
        // Fewer slaves than asked for: the commit succeeds all the same.
        push.needed = push.pending;
    }

    /// The slaves that may be pushed to.
    fn push_candidates(&self) -> MemberSet {
        let Some(member) = &self.member else { return MemberSet::EMPTY };
        let slaves = member.slaves().without(member.configuration().me());
        if self.config.bugs.contains(PlantedBugs::PUSH_TO_FAILED_SLAVES) {
            return slaves;
        }
        slaves.intersection(member.alive())
    }

    /// Pushes to the next slave in the strategy's order. False when there is none left.
    fn push_next(&mut self, task: TaskId, push: &mut PushState, effects: &mut Vec<Effect>) -> bool {
        let left = self.push_candidates().difference(push.tried);
        let next = match self.config.settings.tx_push_strategy {
            PushStrategy::FixedAscending => left.lowest(),
            PushStrategy::FixedDescending => left.iter().last(),
            PushStrategy::RoundRobin => {
                left.iter().find(|index| *index >= push.first).or_else(|| left.lowest())
            }
        };
        let Some(index) = next else { return false };
        push.tried = push.tried.with(index);
        push.pending += 1;
        self.pushers[index].waiting.push((task, push.mark.tx));
        self.call_pusher(index, effects);
        true
    }

    /// Calls the slave, unless a call is under way: its answer will lead to the next.
    fn call_pusher(&mut self, index: usize, effects: &mut Vec<Effect>) {
        let pusher = &mut self.pushers[index];
        if pusher.outstanding.is_some() {
            return;
        }
        let Some(tx) = pusher.waiting.iter().map(|(_, tx)| *tx).max() else { return };
        pusher.outstanding = Some(tx);
        effects.push(Effect::Arm {
            timer: Timer::Push(index as u8),
            after: self.config.settings.read_timeout,
        });
        let to = self.config.configuration.id(index);
        let epoch = self.epoch;
        self.send_data(to, DataMessage::Push { tx, epoch }, effects);
    }

    /// A slave answered the push of that transaction; late, perhaps, when another one is
    /// under way: what it refused then it need not refuse now.
    pub(crate) fn push_answered(
        &mut self,
        from: InstanceId,
        tx: TxId,
        applied: Option<TxId>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(index) = self.config.configuration.index_of(from) else { return };
        if self.pushers[index].outstanding != Some(tx) {
            return;
        }
        let Some(applied) = applied else {
            self.push_failed(index, effects);
            return;
        };
        effects.push(Effect::Cancel(Timer::Push(index as u8)));
        let pusher = &mut self.pushers[index];
        pusher.outstanding = None;
        let waiting = core::mem::take(&mut pusher.waiting);
        let (done, left): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, tx)| *tx <= applied);
        pusher.waiting = left;
        self.call_pusher(index, effects);
        for (task, tx) in done {
            self.push_fact(from, tx, true, effects);
            if let Some(push) = self.tasks.push_mut(task) {
                push.pending -= 1;
                push.needed -= 1;
                self.try_finish_push(task, effects);
            }
        }
    }

    /// A push failed or timed out: each that waited for it turns to the next slave.
    pub(crate) fn push_failed(&mut self, index: usize, effects: &mut Vec<Effect>) {
        effects.push(Effect::Cancel(Timer::Push(index as u8)));
        let pusher = &mut self.pushers[index];
        if !self.config.bugs.contains(PlantedBugs::PUSH_NEVER_AGAIN) {
            pusher.outstanding = None;
        }
        let slave = self.config.configuration.id(index);
        for (task, tx) in core::mem::take(&mut self.pushers[index].waiting) {
            self.push_fact(slave, tx, false, effects);
            let Some(push) = self.tasks.push_mut(task) else { continue };
            push.pending -= 1;
            let mut push = *push;
            if !self.push_next(task, &mut push, effects) {
                push.needed = push.pending;
            }
            if let Some(place) = self.tasks.push_mut(task) {
                *place = push;
            }
            self.try_finish_push(task, effects);
        }
    }

    fn push_fact(&self, to: InstanceId, tx: TxId, ok: bool, effects: &mut Vec<Effect>) {
        effects.push(Effect::Fact(Fact::Pushed { instance: self.id(), to, tx, ok }));
    }

    /// Goes on with a commit that waits for no slave any more.
    pub(crate) fn try_finish_push(&mut self, task: TaskId, effects: &mut Vec<Effect>) {
        let done = self.tasks.push_mut(task).is_some_and(|push| push.needed == 0);
        if !done || !self.tasks.is_pushing(task) {
            return;
        }
        match self.tasks.get_mut(task) {
            Some(Task::Call(_)) => self.call_pushed(task, effects),
            _ => self.acknowledge(task, effects),
        }
    }

    /// The connections to a peer broke: whoever waits for it need not wait longer.
    pub(crate) fn peer_lost(&mut self, peer: InstanceId, effects: &mut Vec<Effect>) {
        let Some(index) = self.config.configuration.index_of(peer) else { return };
        if self.pushers[index].outstanding.is_some() {
            self.push_failed(index, effects);
        }
        self.end_sessions_of(peer);
        if self.follows(peer) {
            if self.puller.state == PullState::Asked {
                effects.push(Effect::Cancel(Timer::PullTimeout));
                self.pull_failed(effects);
            }
            self.calls_failed(effects);
            self.master_lost(effects);
        }
    }

    /// The role that pushes belong to ended: those that wait are answered, for their
    /// transactions are committed here.
    pub(crate) fn abandon_pushes(&mut self, effects: &mut Vec<Effect>) {
        for index in 0..self.pushers.len() {
            effects.push(Effect::Cancel(Timer::Push(index as u8)));
            self.pushers[index] = Pusher::default();
        }
        let waiting: Vec<TaskId> = self
            .tasks
            .iter()
            .filter_map(|(id, task)| match task {
                Task::Request(request) if request.phase == Phase::Pushing => Some(id),
                _ => None,
            })
            .collect();
        for task in waiting {
            let status = Status::CommitInterrupted;
            if let Some(Task::Request(request)) = self.tasks.remove(task) {
                self.open_writes -= 1;
                let reply = Reply { tx: request.push.mark.tx, ..Reply::of(&request) };
                effects.push(respond(&request, status, reply, self.clock));
            }
        }
    }
}

/// Transactions in one answer to a pull: a slave that lags more asks again.
const PULL_MOST: usize = 1000;
