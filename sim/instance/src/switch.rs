//! Role switches (HA specification 2.7 to 2.9): what it takes to become master or slave,
//! from the handshake over the store copy to the last transaction caught up with.

mod copy_out;
mod foreign;

use alloc::vec::Vec;

use wavetank_cluster::{Flaws, Switch};
use wavetank_store::{PageImage, StoreState};
use wavetank_vocabulary::{Epoch, Fact, InstanceId, LogLine, LogMark, Role, Span, Status};

use crate::instance::Instance;
use crate::interface::{Effect, Now, Timer};
use crate::message::{DataMessage, Verdict};
use crate::task::Task;

/// The longest wait between two attempts to become a slave.
const LONGEST_BACKOFF: u64 = 300;

/// A switch that is going on.
#[derive(Clone, Debug)]
pub(crate) enum Switching {
    None,
    /// Waits until what was received is applied.
    ToMaster,
    ToSlave(SlaveSwitch),
}

/// The way to become the slave of a master.
#[derive(Clone, Debug)]
pub(crate) struct SlaveSwitch {
    master: InstanceId,
    epoch: Epoch,
    phase: SlavePhase,
    attempt: u32,
    /// How many chunks of the store copy have come in.
    chunk: u32,
    /// Seconds waited before the last retry.
    waited: u64,
    /// Whether it said before that it is no master, or of another epoch.
    denied: bool,
    pages: u64,
}

/// A copy of a store that is here whole and has no checkpoint of its own yet. It outlives the
/// switch that brought it: the next one ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    master: InstanceId,
    pages: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlavePhase {
    /// Open transactions must end, and what was received be applied.
    Draining,
    /// The master compares the logs.
    Handshake,
    /// The store that branched is being moved out of the way.
    SettingAside,
    /// The master's store comes in.
    Copying,
    /// The last chunk is being written.
    CopyWritten(Option<LogMark>),
    /// The transactions since then come in.
    CatchingUp,
    /// The copied store gets its checkpoint.
    Completing,
    /// Something failed; tried again later.
    BackingOff,
    /// Its store is none of this cluster: it leaves.
    Refused,
}

impl Switching {
    pub(crate) fn waits_for(&self) -> &'static str {
        match self {
            Switching::None => "its own availability to be learned",
            Switching::ToMaster => "what it received to be applied",
            Switching::ToSlave(switch) => match switch.phase {
                SlavePhase::Draining => "open transactions to end",
                SlavePhase::Handshake => "the master to answer its handshake",
                SlavePhase::SettingAside => "its branched store to be set aside",
                SlavePhase::Copying | SlavePhase::CopyWritten(_) => "the copy of the store",
                SlavePhase::CatchingUp => "the transactions that it lacks",
                SlavePhase::Completing => "the checkpoint of its copied store",
                SlavePhase::BackingOff => "the next attempt to become slave",
                SlavePhase::Refused => "the cluster to let it go: its store is of another one",
            },
        }
    }
}

impl Instance {
    /// Whether a copy of the master's store is coming in.
    pub(crate) fn is_copying_in(&self) -> bool {
        use SlavePhase::{Completing, CopyWritten, Copying};
        matches!(&self.switching, Switching::ToSlave(switch) if self.copied.is_some()
            || matches!(switch.phase, Copying | CopyWritten(_) | Completing))
    }

    /// The member moved to another role.
    pub(crate) fn switch(&mut self, now: Now, switch: Switch, effects: &mut Vec<Effect>) {
        self.switched = true;
        if !matches!(switch.to, Role::Master | Role::Slave) {
            self.forget_master(effects);
            self.end_conversations(effects);
        }
        self.role_changed(switch.to, effects);
        match switch.to {
            Role::Pending | Role::Detached => {
                self.stop_following(effects);
                self.abandon_pushes(effects);
                let detached = switch.to == Role::Detached;
                self.end_requests(Status::NoMaster, |r| r.writes || !detached, effects);
                self.switching = Switching::None;
            }
            Role::ToMaster => {
                self.stop_following(effects);
                self.switching = Switching::ToMaster;
            }
            Role::ToSlave => {
                self.stop_following(effects);
                self.abandon_pushes(effects);
                if let Some((master, epoch)) = switch.master {
                    self.log(LogLine::MovingToSlave(master), effects);
                    self.switching = Switching::ToSlave(SlaveSwitch {
                        master,
                        epoch,
                        phase: SlavePhase::Draining,
                        attempt: now.wall_ms as u32,
                        chunk: 0,
                        waited: 0,
                        denied: false,
                        pages: 0,
                    });
                    let after = self.config.settings.internal_state_switch_timeout;
                    effects.push(Effect::Arm { timer: Timer::Switch, after });
                }
            }
            Role::Master | Role::Slave => {
                self.switching = Switching::None;
                self.puller.paused =
                    self.member.as_ref().is_some_and(|member| member.puller_is_left_paused());
                let after = self.config.settings.pull_interval;
                if switch.to == Role::Slave && !after.is_zero() {
                    effects.push(Effect::Arm { timer: Timer::Pull, after });
                }
            }
            Role::Down | Role::Starting | Role::Arbiter => {}
        }
        self.release_blocked(effects);
    }

    fn stop_following(&mut self, effects: &mut Vec<Effect>) {
        self.puller.reset();
        for timer in [Timer::Pull, Timer::PullTimeout, Timer::Switch] {
            effects.push(Effect::Cancel(timer));
        }
    }

    /// Takes the next step of a switch whose condition has come true.
    pub(crate) fn advance_switch(&mut self, now: Now, effects: &mut Vec<Effect>) {
        match &self.switching {
            Switching::None => {}
            Switching::ToMaster => {
                // The flaw waits for readers as well.
                let readers =
                    self.config.settings.cluster.flaws.contains(Flaws::MASTER_SWITCH_WAITS)
                        && self.store.open_transactions() > 0;
                if self.puller.is_quiet() && self.open_writes == 0 && !readers {
                    self.switching = Switching::None;
                    self.epoch = Epoch(u64::from(self.id().0) << 48 | now.wall_ms);
                    effects.push(Effect::Fact(Fact::EpochBegan {
                        instance: self.id(),
                        epoch: self.epoch,
                        log: self.store.mark(),
                    }));
                    let done = wavetank_cluster::Input::SwitchedToMaster(self.epoch);
                    self.drive(now, done, effects);
                }
            }
            Switching::ToSlave(switch) => {
                let phase = switch.phase;
                match phase {
                    SlavePhase::Draining => {
                        if self.store.open_transactions() == 0 && self.puller.is_quiet() {
                            self.handshake(effects);
                        }
                    }
                    SlavePhase::SettingAside => {
                        if matches!(self.store.state(), StoreState::Empty) {
                            self.begin_copying(effects);
                        }
                    }
                    SlavePhase::Handshake
                    | SlavePhase::Copying
                    | SlavePhase::CopyWritten(_)
                    | SlavePhase::CatchingUp
                    | SlavePhase::Completing
                    | SlavePhase::BackingOff
                    | SlavePhase::Refused => {}
                }
            }
        }
    }

    fn slave_switch(&mut self) -> Option<&mut SlaveSwitch> {
        match &mut self.switching {
            Switching::ToSlave(switch) => Some(switch),
            _ => None,
        }
    }

    /// Sends the end of the log to the master; an empty store goes straight to the copy.
    fn handshake(&mut self, effects: &mut Vec<Effect>) {
        if matches!(self.store.state(), StoreState::Empty) {
            self.begin_copying(effects);
            return;
        }
        let mark = self.store.mark();
        let after = self.config.settings.read_timeout;
        let Some(switch) = self.slave_switch() else { return };
        switch.phase = SlavePhase::Handshake;
        switch.attempt = switch.attempt.wrapping_add(1);
        let (master, attempt) = (switch.master, switch.attempt);
        self.log(LogLine::CheckingConsistency, effects);
        effects.push(Effect::Arm { timer: Timer::Switch, after });
        self.send_data(master, DataMessage::Handshake { attempt, mark }, effects);
    }

    /// The master's verdict on our log.
    pub(crate) fn handshake_answered(
        &mut self,
        now: Now,
        from: InstanceId,
        attempt: u32,
        verdict: Verdict,
        (epoch, store): (Epoch, u64),
        effects: &mut Vec<Effect>,
    ) {
        let Some(switch) = self.slave_switch() else { return };
        if switch.phase != SlavePhase::Handshake
            || switch.attempt != attempt
            || switch.master != from
        {
            return;
        }
        if verdict == Verdict::NotMaster || epoch != switch.epoch {
            // It may be on its way still. When it says so again, whom this member follows is
            // outdated: nobody who is switching to slave can be elected, so if all of them went
            // on trying there might never be a master again.
            if core::mem::replace(&mut switch.denied, true) {
                self.follow_anew(now, effects);
            } else {
                self.back_off(effects);
            }
            return;
        }
        if store != self.store.store_id() {
            self.foreign_store(now, effects);
            return;
        }
        match verdict {
            Verdict::Same => self.begin_catching_up(effects),
            _ => {
                let log = self.store.mark();
                let instance = self.id();
                if verdict == Verdict::Branched {
                    effects.push(Effect::Fact(Fact::Branched { instance, master: from, log }));
                }
                effects.push(Effect::Fact(Fact::BranchDiscarded { instance, log }));
                if let Some(switch) = self.slave_switch() {
                    switch.phase = SlavePhase::SettingAside;
                }
                effects.push(Effect::Cancel(Timer::Switch));
                let policy = self.config.settings.branched_data_policy;
                self.branches.parts(log.tx, now.wall_ms);
                self.store.set_aside_by(policy, 1);
                self.pump(now, effects);
            }
        }
    }

    fn begin_catching_up(&mut self, effects: &mut Vec<Effect>) {
        if let Some(switch) = self.slave_switch() {
            switch.phase = SlavePhase::CatchingUp;
        }
        self.log(LogLine::CatchingUp(self.store.mark().tx), effects);
        effects.push(Effect::Cancel(Timer::Switch));
        self.start_pull(effects);
    }

    /// A pull brought all there was.
    pub(crate) fn caught_up(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(switch) = self.slave_switch() else { return };
        if switch.phase != SlavePhase::CatchingUp {
            return;
        }
        // The checkpoint may have been taken while the member had another role.
        self.copy_complete(effects);
        if self.copied.is_some() {
            let Ok(ticket) = self.store.complete_copy() else {
                self.back_off(effects);
                return;
            };
            if let Some(switch) = self.slave_switch() {
                switch.phase = SlavePhase::Completing;
            }
            let task = self.tasks.add(Task::CopyIn);
            self.park(task, ticket);
            return;
        }
        self.become_slave(now, effects);
    }

    /// What a step of the store copy wrote is on disk.
    pub(crate) fn copy_advanced(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.copy_complete(effects);
        let complete = self.copied.is_none();
        let Some(switch) = self.slave_switch() else { return };
        match switch.phase {
            SlavePhase::Completing if complete => self.become_slave(now, effects),
            SlavePhase::CopyWritten(Some(from)) => {
                let copied = Copied { master: switch.master, pages: switch.pages };
                if self.store.finish_receive_copy(from).is_ok() {
                    self.copied = Some(copied);
                    self.log(LogLine::Copied, effects);
                    self.begin_catching_up(effects);
                } else {
                    self.back_off(effects);
                }
            }
            SlavePhase::CopyWritten(None) => {
                switch.phase = SlavePhase::Copying;
                self.ask_for_chunk(effects);
            }
            _ => {}
        }
    }

    /// Once the copied store has its checkpoint, it is one like any other.
    fn copy_complete(&mut self, effects: &mut Vec<Effect>) {
        if let Some(Copied { master, pages }) = self.copied
            && matches!(self.store.state(), StoreState::Ready)
        {
            self.copied = None;
            let instance = self.id();
            effects.push(Effect::Fact(Fact::StoreCopy { instance, master, pages, done: true }));
        }
    }

    fn become_slave(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(switch) = self.slave_switch() else { return };
        let master = switch.master;
        self.switching = Switching::None;
        self.log(LogLine::CaughtUp(self.store.mark().tx), effects);
        self.drive(now, wavetank_cluster::Input::SwitchedToSlave(master), effects);
    }

    /// Writes a line to the user log.
    fn log(&self, line: LogLine, effects: &mut Vec<Effect>) {
        effects.push(Effect::Fact(Fact::Told { instance: self.id(), line }));
    }

    // ---- store copy -------------------------------------------------------------------

    fn begin_copying(&mut self, effects: &mut Vec<Effect>) {
        let instance = self.id();
        let policy = self.config.settings.branched_data_policy;
        self.branches.set_aside(self.store.last_branch(), policy);
        let Some(switch) = self.slave_switch() else { return };
        switch.phase = SlavePhase::Copying;
        switch.attempt = switch.attempt.wrapping_add(1);
        (switch.chunk, switch.pages) = (0, 0);
        let master = switch.master;
        effects.push(Effect::Fact(Fact::StoreCopy { instance, master, pages: 0, done: false }));
        self.copied = None;
        self.tokens.clear();
        self.store.begin_receive_copy();
        self.ask_for_chunk(effects);
    }

    fn ask_for_chunk(&mut self, effects: &mut Vec<Effect>) {
        let after = self.config.settings.read_timeout;
        let Some(switch) = self.slave_switch() else { return };
        let SlaveSwitch { master, attempt, chunk, .. } = *switch;
        effects.push(Effect::Arm { timer: Timer::Switch, after });
        self.send_data(master, DataMessage::CopyStore { attempt, chunk }, effects);
    }

    /// The slave's side: a chunk came in, with the number of its copy and its own.
    pub(crate) fn chunk(
        &mut self,
        now: Now,
        from: InstanceId,
        number: (u32, u32),
        (pages, done): (&[PageImage], Option<LogMark>),
        effects: &mut Vec<Effect>,
    ) {
        let Some(switch) = self.slave_switch() else { return };
        if switch.phase != SlavePhase::Copying
            || (switch.attempt, switch.chunk) != number
            || switch.master != from
        {
            return;
        }
        switch.chunk += 1;
        switch.pages += pages.len() as u64;
        switch.phase = SlavePhase::CopyWritten(done);
        effects.push(Effect::Cancel(Timer::Switch));
        if pages.is_empty() {
            self.copy_advanced(now, effects);
            return;
        }
        let Ok(ticket) = self.store.receive_pages(pages.to_vec()) else {
            self.back_off(effects);
            return;
        };
        let task = self.tasks.add(Task::CopyIn);
        self.park(task, ticket);
        self.pump(now, effects);
    }

    // ---- when it does not work --------------------------------------------------------

    /// The switch timer: an answer did not come, or a wait is over.
    pub(crate) fn switch_timer(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let Some(switch) = self.slave_switch() else {
            self.join_again(now, effects);
            return;
        };
        match switch.phase {
            SlavePhase::Draining => {
                // The wait for open transactions is over (internal_state_switch_timeout).
                self.end_requests(Status::NoMaster, |_| true, effects);
                effects.push(Effect::Arm { timer: Timer::Switch, after: Span::from_secs(1) });
            }
            SlavePhase::Handshake | SlavePhase::Copying => self.back_off(effects),
            SlavePhase::BackingOff => {
                switch.phase = SlavePhase::Draining;
                self.pump(now, effects);
            }
            SlavePhase::SettingAside
            | SlavePhase::CopyWritten(_)
            | SlavePhase::CatchingUp
            | SlavePhase::Completing
            | SlavePhase::Refused => {}
        }
    }

    /// Exponential back-off: 1, 3, 7, 15, ... seconds, up to 300.
    fn back_off(&mut self, effects: &mut Vec<Effect>) {
        let final_copy = self.config.settings.cluster.flaws.contains(Flaws::STORE_COPY_NOT_RETRIED);
        if let Some(switch) = self.slave_switch() {
            let copying = matches!(switch.phase, SlavePhase::Copying | SlavePhase::CopyWritten(_));
            if copying && final_copy {
                return;
            }
            switch.waited = (1 + 2 * switch.waited).min(LONGEST_BACKOFF);
            switch.phase = SlavePhase::BackingOff;
            let after = Span::from_secs(switch.waited);
            effects.push(Effect::Arm { timer: Timer::Switch, after });
        }
    }

    /// Whether the last transactions of the master are waited for, however many it commits
    /// meanwhile.
    pub(crate) fn chases_the_master(&mut self) -> bool {
        self.config.settings.cluster.flaws.contains(Flaws::CATCH_UP_TARGET_MOVES)
            && self.slave_switch().is_some_and(|switch| switch.phase == SlavePhase::CatchingUp)
    }

    /// A pull of the catch-up failed.
    pub(crate) fn catch_up_failed(&mut self, effects: &mut Vec<Effect>) {
        if self.slave_switch().is_some_and(|switch| switch.phase == SlavePhase::CatchingUp) {
            self.back_off(effects);
        }
    }

    /// The connection to the master broke.
    pub(crate) fn master_lost(&mut self, effects: &mut Vec<Effect>) {
        let waiting = self.slave_switch().is_some_and(|switch| {
            matches!(switch.phase, SlavePhase::Handshake | SlavePhase::Copying)
        });
        if waiting {
            self.back_off(effects);
        }
    }

    /// The log turned out to differ from the master's: give up the role and begin anew.
    pub(crate) fn follow_anew(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.drive(now, wavetank_cluster::Input::StaleEpoch, effects);
    }
}
