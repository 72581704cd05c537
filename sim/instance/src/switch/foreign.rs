//! A slave whose store is another one than its master's, not another history of the same
//! (HA specification 2.7). One without a transaction of its own is replaced at once. One with
//! data is not: the slave is "unable to start up as slave", leaves the cluster, and tries again
//! five seconds later, until an operator gives it a store of this cluster, or none.

use alloc::vec::Vec;

use wavetank_store::BranchedDataPolicy;
use wavetank_vocabulary::{LogMark, Span};

use super::SlavePhase;
use crate::instance::Instance;
use crate::interface::{Effect, Now, Timer};

/// How long a slave that was refused stays out of the cluster.
const RETRY: Span = Span::from_secs(5);

impl Instance {
    /// The master answered the handshake with the identity of another store.
    pub(super) fn foreign_store(&mut self, now: Now, effects: &mut Vec<Effect>) {
        effects.push(Effect::Cancel(Timer::Switch));
        let empty = self.store.mark().tx <= LogMark::BASE.tx;
        let Some(switch) = self.slave_switch() else { return };
        if empty {
            switch.phase = SlavePhase::SettingAside;
            self.store.set_aside_by(BranchedDataPolicy::KeepNone, 1);
            self.pump(now, effects);
        } else {
            switch.phase = SlavePhase::Refused;
            self.foreign = true;
            self.drive(now, wavetank_cluster::Input::Leave, effects);
        }
    }

    /// It is in no cluster any more, of its own accord.
    pub(crate) fn stay_out(&self, effects: &mut Vec<Effect>) {
        if self.foreign {
            effects.push(Effect::Arm { timer: Timer::Switch, after: RETRY });
        }
    }

    /// The time out of the cluster is over.
    pub(super) fn join_again(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if core::mem::take(&mut self.foreign) {
            self.drive(now, wavetank_cluster::Input::Start, effects);
        }
    }
}
