//! Where the state machines put what they want done.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_vocabulary::Span;

use crate::configuration::{Configuration, MemberSet};
use crate::interface::{Effect, Timer};
use crate::message::Message;
use crate::settings::Settings;

/// The way out of a step: effects for the driver, messages to oneself for later in the step.
pub(crate) struct Out<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) settings: &'a Settings,
    /// Messages from this member to itself.
    pub(crate) inner: &'a mut VecDeque<Message>,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Out<'_> {
    /// Sends to one member, which may be this one.
    #[inline]
    pub(crate) fn send(&mut self, to: usize, message: Message) {
        if to == self.configuration.me() {
            self.inner.push_back(message);
            return;
        }
        self.effects.push(Effect::Send { to: self.configuration.id(to), message });
        // A heartbeat goes only over an idle link (HeartbeatRefreshProcessor).
        self.arm(Timer::SendHeartbeat(to as u8), self.settings.heartbeat_interval);
    }

    /// Sends to each of them.
    pub(crate) fn send_all(&mut self, to: MemberSet, message: Message) {
        for to in to.iter() {
            self.send(to, message);
        }
    }

    #[inline]
    pub(crate) fn arm(&mut self, timer: Timer, after: Span) {
        self.effects.push(Effect::Arm { timer, after });
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.effects.push(Effect::Cancel(timer));
    }
}
