//! Heartbeats in a cluster at rest. They are nearly all the messages that members send, and each
//! of them moves two timers and nothing else: a driver may ask here first, and carry that out
//! itself. Who does not ask is told the same by [`Member::step`].

use wavetank_vocabulary::{InstanceId, Span};

use super::Member;
use crate::flaws::Flaws;
use crate::interface::Timer;
use crate::message::Message;

impl Member {
    /// Whether all that follows from this message is that a timer is armed, and how.
    #[inline]
    pub fn merely_heard(&self, from: InstanceId, message: &Message) -> Option<(Timer, Span)> {
        let Message::IAmAlive { learned } = *message else { return None };
        let from = self.configuration.index_of(from)?;
        let news = learned > self.learner.known()
            && !self.settings.flaws.contains(Flaws::HEARTBEATS_WITHOUT_LEARNED);
        let at_rest = from != self.me()
            && self.cluster.takes_part()
            && self.members().contains(from)
            && !self.heartbeat.suspects(self.me(), from)
            && !news;
        at_rest.then_some((Timer::IAmAlive(from as u8), self.settings.heartbeat_timeout))
    }

    /// What is sent when this timer is due, to whom, and in how long it is due again; none if
    /// that is not all that follows.
    #[inline]
    pub fn heartbeat_due(&self, timer: Timer) -> Option<(InstanceId, Message, Span)> {
        let Timer::SendHeartbeat(to) = timer else { return None };
        let to = usize::from(to);
        if to == self.me() || !self.cluster.takes_part() || !self.members().contains(to) {
            return None;
        }
        let message = Message::IAmAlive { learned: self.learner.delivered() };
        Some((self.configuration.id(to), message, self.settings.heartbeat_interval))
    }
}
