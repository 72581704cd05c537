//! Pulls that find nothing new: most of what a cluster at rest does. The same as through
//! [`Instance::step`], for drivers that play months of it: nothing is listed, and the store, which
//! takes no notice, is not looked after.

use wavetank_store::Ledger;
use wavetank_vocabulary::{InstanceId, LogMark, PlantedBugs, Role, Span, TxId};

use crate::instance::Instance;
use crate::interface::{Now, Timer};
use crate::message::PeerMessage;
use crate::replication::PullState;
use crate::switch::Switching;
use crate::task::TaskId;

/// A pull that is due: the timers to arm are [`Timer::Pull`] and [`Timer::PullTimeout`].
#[derive(Clone, Debug)]
pub struct PullDue {
    /// Who is asked.
    pub master: InstanceId,
    /// What.
    pub message: PeerMessage,
    /// In how long the next pull is due.
    pub again: Span,
    /// For how long the answer is waited for.
    pub timeout: Span,
}

impl Instance {
    /// What follows when this timer is due, if it is a slave's that pulls; none if anything else
    /// would follow, and nothing is changed then.
    #[inline]
    pub fn pull_due(&mut self, now: Now, timer: Timer) -> Option<PullDue> {
        let settings = &self.config.settings;
        if timer != Timer::Pull
            || self.role() != Role::Slave
            || self.puller.state != PullState::Idle
            || self.puller.paused
            || settings.pull_interval.is_zero()
            || self.config.bugs.contains(PlantedBugs::PULL_TIMER_NOT_REARMED)
        {
            return None;
        }
        let (again, timeout) = (settings.pull_interval, settings.read_timeout);
        let (master, _) = self.member.as_ref()?.master()?;
        self.puller.asks(now.wall_ms);
        let message = PeerMessage::Pull { attempt: self.puller.attempt(), mark: self.store.mark() };
        Some(PullDue { master, message, again, timeout })
    }

    /// The answer to a pull from the end of the log, with the task that it is and what its one
    /// slice does; none if it is anything else, and nothing is changed then. The caller has a core
    /// for it.
    #[inline]
    pub fn answers_pull(
        &mut self,
        attempt: u32,
        mark: LogMark,
    ) -> Option<(TaskId, PeerMessage, Ledger)> {
        if self.role() != Role::Master || self.member.is_none() || !self.store.ends_at(mark) {
            return None;
        }
        let message = PeerMessage::UpToDate { attempt, target: self.store.mark().tx };
        Some((self.tasks.pass(), message, Ledger { records: 1, ..Ledger::default() }))
    }

    /// Takes the answer that nothing new is there, if nobody waits for the end of a pull: all that
    /// is left to do is to cancel [`Timer::PullTimeout`]. False if more would follow, and nothing
    /// is changed then.
    #[inline]
    pub fn merely_up_to_date(&mut self, from: InstanceId, attempt: u32, target: TxId) -> bool {
        let quiet = self.follows(from)
            && matches!(self.switching, Switching::None)
            && self.puller.awaits_nothing_but(attempt)
            && self.master_client.obliged().is_none()
            && self.store.mark().tx >= target;
        if quiet {
            self.puller.found_nothing(target);
        }
        quiet
    }
}
