//! What faults do to the links between instances.

use wavetank_vocabulary::{FaultKind, Observer, Ratio, Span, Status, TxId};

use super::{ActiveFault, FaultPlan};
use crate::event::Event;
use crate::network::Ill;
use crate::outside::Order;
use crate::world::World;

impl<O: Observer> World<O> {
    pub(super) fn link_fault_begins(&mut self, fault: u16, plan: &FaultPlan, active: &ActiveFault) {
        let strength = &plan.strength;
        let by = strength.by.unwrap_or(Span::ZERO);
        let ill = match plan.kind {
            FaultKind::Loss => Ill::Loss(strength.part.unwrap_or(Ratio::ZERO)),
            FaultKind::Delay => Ill::Delay(by),
            FaultKind::Jitter => Ill::Jitter(by),
            FaultKind::Throttle => Ill::Throttle(strength.bandwidth.unwrap_or_default()),
            FaultKind::Grey => {
                for index in &active.on {
                    self.machines[usize::from(*index)].grey.push((fault, by));
                }
                Ill::Grey(by)
            }
            FaultKind::Reset => return self.reset(active),
            // The rest cuts them; a link that flaps begins by going down.
            _ => {
                for (from, to) in &active.links {
                    self.network.cut(usize::from(*from), usize::from(*to));
                }
                return;
            }
        };
        for (from, to) in &active.links {
            let (a, b) = (self.id(*from), self.id(*to));
            let key = [u64::from(plan.id.0), u64::from(a.0), u64::from(b.0)];
            let stream = self.streams.stream("fault-link", key);
            self.network.worsen(usize::from(*from), usize::from(*to), (fault, ill, stream));
        }
    }

    pub(super) fn link_fault_ends(&mut self, fault: u16, plan: &FaultPlan, active: &ActiveFault) {
        match plan.kind {
            FaultKind::Reset => {}
            FaultKind::Loss
            | FaultKind::Delay
            | FaultKind::Jitter
            | FaultKind::Throttle
            | FaultKind::Grey => {
                for (from, to) in &active.links {
                    self.network.better(usize::from(*from), usize::from(*to), fault);
                }
                for index in &active.on {
                    self.machines[usize::from(*index)].grey.retain(|(of, _)| *of != fault);
                }
            }
            // It may be up just now.
            FaultKind::Flap if active.turns % 2 == 1 => {}
            _ => self.join(active),
        }
    }

    /// Flapping links change; connections are reset again.
    pub(super) fn link_fault_turns(&mut self, plan: &FaultPlan, active: &ActiveFault) -> bool {
        match plan.kind {
            FaultKind::Reset => self.reset(active),
            _ if active.turns % 2 == 1 => self.join(active),
            _ => {
                for (from, to) in &active.links {
                    self.network.cut(usize::from(*from), usize::from(*to));
                }
            }
        }
        true
    }

    fn join(&mut self, active: &ActiveFault) {
        for (from, to) in &active.links {
            self.network.join(usize::from(*from), usize::from(*to));
        }
    }

    /// Both ends of every connection learn that it is gone, and so do the clients of those
    /// that are hit.
    fn reset(&mut self, active: &ActiveFault) {
        for (from, to) in &active.links {
            self.network.reset(usize::from(*from), usize::from(*to));
            self.order(Order::Reset(self.id(*from), self.id(*to)));
            let lost = Event::PeerLost { instance: *to, peer: *from };
            self.kernel.schedule_in(Span::ZERO, lost);
        }
        for index in &active.on {
            for (flight, generation) in self.flights.at_instance(*index) {
                self.send_answer(*index, flight, generation, Status::ConnectionReset, TxId(0));
            }
        }
    }
}
