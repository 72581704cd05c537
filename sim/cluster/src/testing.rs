//! A bench for the tests of single state machines: takes what they put out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use wavetank_vocabulary::InstanceId;

use crate::configuration::Configuration;
use crate::interface::Effect;
use crate::message::Message;
use crate::out::Out;
use crate::settings::{Compat, Settings};

/// One member's surroundings; its server ids are `1..=n`.
pub(crate) struct Bench {
    pub(crate) configuration: Configuration,
    pub(crate) settings: Settings,
    inner: VecDeque<Message>,
    effects: Vec<Effect>,
}

impl Bench {
    pub(crate) fn new(me: u16, n: u16) -> Self {
        let ids: Vec<_> = (1..=n).map(InstanceId).collect();
        Bench {
            configuration: Configuration::new(InstanceId(me), &ids).unwrap(),
            settings: Settings::defaults(Compat::default()),
            inner: VecDeque::new(),
            effects: Vec::new(),
        }
    }

    pub(crate) fn out(&mut self) -> Out<'_> {
        Out {
            configuration: &self.configuration,
            settings: &self.settings,
            inner: &mut self.inner,
            effects: &mut self.effects,
        }
    }

    /// What was sent since the last call, with server ids; what goes to oneself comes last.
    pub(crate) fn take_sent(&mut self) -> Vec<(u16, Message)> {
        let mut sent: Vec<_> = self
            .effects
            .drain(..)
            .filter_map(|effect| match effect {
                Effect::Send { to, message } => Some((to.0, message)),
                _ => None,
            })
            .collect();
        let me = self.configuration.id(self.configuration.me()).0;
        sent.extend(self.inner.drain(..).map(|message| (me, message)));
        sent
    }
}
