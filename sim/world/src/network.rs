//! The network: latency and bandwidth of each directed link, and who is cut off from whom.
//!
//! Links are TCP connections: what is sent first arrives first. Transmission (bytes over
//! bandwidth, one message after the other) and propagation (the drawn latency) are apart,
//! so a long way is not a narrow one. What is sent into a partition is lost, as when TCP
//! gives up; the protocols repeat what matters.

use alloc::vec::Vec;

use wavetank_kernel::{Distribution, Stream, Streams};
use wavetank_vocabulary::{Span, Time};

use crate::plan::Plan;

#[derive(Clone, Debug)]
struct Link {
    latency: Distribution,
    bytes_per_second: u64,
    stream: Stream,
    /// When the sender's side is free again.
    free: Time,
    /// When the last message arrives.
    last: Time,
    /// How many faults cut it.
    cuts: u32,
}

/// The links between instances.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    links: Vec<Link>,
    total: usize,
    sent: u64,
}

/// The latency between two data centres.
pub(crate) fn latency(plan: &Plan, a: u16, b: u16) -> (Distribution, u64) {
    if a == b {
        return (plan.network.local, plan.network.bandwidth.0);
    }
    plan.network
        .links
        .iter()
        .find(|link| link.between == [a, b] || link.between == [b, a])
        .map_or((plan.network.local, plan.network.bandwidth.0), |link| {
            (link.latency, link.bandwidth.0)
        })
}

impl Network {
    pub(crate) fn new(plan: &Plan, streams: Streams) -> Self {
        let total = plan.total();
        let mut links = Vec::with_capacity(total * total);
        for from in &plan.instances {
            for to in &plan.instances {
                let (latency, bytes_per_second) = latency(plan, from.datacentre, to.datacentre);
                let key = [u64::from(from.id.0), u64::from(to.id.0), 0];
                links.push(Link {
                    latency,
                    bytes_per_second: bytes_per_second.max(1),
                    stream: streams.stream("link", key),
                    free: Time::ZERO,
                    last: Time::ZERO,
                    cuts: 0,
                });
            }
        }
        Network { links, total, sent: 0 }
    }

    /// When a message that is sent now arrives; none when the link is cut.
    #[inline]
    pub(crate) fn send(&mut self, now: Time, from: usize, to: usize, bytes: u64) -> Option<Time> {
        let link = &mut self.links[from * self.total + to];
        if link.cuts > 0 {
            return None;
        }
        let transmission =
            Span::from_nanos(bytes.saturating_mul(1_000_000_000) / link.bytes_per_second);
        link.free = link.free.max(now) + transmission;
        let arrival = link.free + link.latency.sample(&mut link.stream);
        link.last = link.last.max(arrival);
        self.sent += 1;
        Some(link.last)
    }

    /// Messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether a message that is under way gets through.
    #[inline]
    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        self.links[from * self.total + to].cuts == 0
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.links[from * self.total + to].cuts += 1;
    }

    pub(crate) fn join(&mut self, from: usize, to: usize) {
        let link = &mut self.links[from * self.total + to];
        link.cuts = link.cuts.saturating_sub(1);
    }
}
