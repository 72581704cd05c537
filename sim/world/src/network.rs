//! The network: latency and bandwidth of each directed link, and who is cut off from whom.
//!
//! Links are TCP connections: what is sent first arrives first. Transmission (bytes over
//! bandwidth, one message after the other) and propagation (the drawn latency) are apart,
//! so a long way is not a narrow one. What is sent into a partition is lost, as when TCP
//! gives up; the protocols repeat what matters.

use alloc::vec::Vec;

use wavetank_kernel::{Distribution, Stream, Streams};
use wavetank_vocabulary::{Bytes, InstanceId, Ratio, Span, Time};

use crate::meter::{Meter, QueueKind, QueueTotals};
use crate::plan::Plan;

/// What a fault makes worse about a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ill {
    /// This part of the packets is lost.
    Loss(Ratio),
    /// Messages take so much longer.
    Delay(Span),
    /// Messages take longer by up to so much.
    Jitter(Span),
    /// No more than this a second passes.
    Throttle(Bytes),
    /// What is no heartbeat takes so much longer.
    Grey(Span),
}

/// The first wait of TCP before it sends a packet again (RFC 6298 with the minimum that
/// Linux uses); it doubles each time.
pub const RETRANSMIT: Span = Span::from_millis(200);

/// After so many losses of the same packet the connection counts as broken: some 13 s, as
/// the database's own keep-alive has it, and not the quarter of an hour that TCP would try.
pub const MOST_RETRANSMITS: u32 = 6;

/// What is wrong with a link, for one that is elsewhere. What is lost is sent again after
/// [`RETRANSMIT`], and then after twice as long each time; after [`MOST_RETRANSMITS`] the
/// connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Whether anything passes.
    pub whole: bool,
    /// Messages take so much longer.
    pub delay: Span,
    /// And up to so much more.
    pub jitter: Span,
    /// So many of a million packets are lost.
    pub lost_ppm: u32,
    /// No more than this a second passes.
    pub bytes_per_second: Option<u64>,
}

impl Default for LinkState {
    fn default() -> Self {
        LinkState {
            whole: true,
            delay: Span::ZERO,
            jitter: Span::ZERO,
            lost_ppm: 0,
            bytes_per_second: None,
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Arrives(Time),
    /// The link is cut.
    Lost,
    /// The connection breaks, and both ends know it then.
    Breaks(Time),
}

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
    /// By fault: what is worse, and the dice for it. Empty on a healthy link.
    ills: Vec<(u16, Ill, Stream)>,
    /// When the last message arrives that a grey instance is late with.
    last_late: Time,
    /// What arrives until then was on a connection that has been reset.
    reset: Option<Time>,
}

/// The links between instances.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    links: Vec<Link>,
    total: usize,
    sent: u64,
    /// By sender: the messages under way.
    meters: Vec<Meter>,
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
                    ills: Vec::new(),
                    last_late: Time::ZERO,
                    reset: None,
                });
            }
        }
        Network { links, total, sent: 0, meters: alloc::vec![Meter::default(); total] }
    }

    /// When a notice of the machine's kernel that is sent now arrives; none when the link is
    /// cut.
    #[inline]
    pub(crate) fn send(&mut self, now: Time, from: usize, to: usize, bytes: u64) -> Option<Time> {
        match self.send_message(now, from, to, bytes, false) {
            Sent::Arrives(at) | Sent::Breaks(at) => Some(at),
            Sent::Lost => None,
        }
    }

    /// When a message that is sent now arrives. `data` is what is no heartbeat and no vote:
    /// it has connections of its own.
    #[inline]
    pub(crate) fn send_message(
        &mut self,
        now: Time,
        from: usize,
        to: usize,
        bytes: u64,
        data: bool,
    ) -> Sent {
        let link = &mut self.links[from * self.total + to];
        if link.cuts > 0 {
            return Sent::Lost;
        }
        if !link.ills.is_empty() {
            self.sent += 1;
            return link.send_ill(now, bytes, data);
        }
        let transmission =
            Span::from_nanos(bytes.saturating_mul(1_000_000_000) / link.bytes_per_second);
        link.free = link.free.max(now) + transmission;
        let arrival = link.free + link.latency.sample(&mut link.stream);
        link.last = link.last.max(arrival);
        self.sent += 1;
        Sent::Arrives(link.last)
    }

    /// A message leaves for good.
    #[inline]
    pub(crate) fn departs(&mut self, now: Time, from: usize) {
        self.meters[from].arrive(now);
    }

    /// A message that left at `sent` is at its end, received or not.
    #[inline]
    pub(crate) fn ends(&mut self, now: Time, from: usize, sent: Time) {
        self.meters[from].leave(now, sent);
    }

    /// What went through the links away from an instance, with what left when and is under way.
    pub(crate) fn totals(
        &self,
        now: Time,
        (from, instance): (usize, InstanceId),
        under_way: impl Iterator<Item = Time>,
    ) -> QueueTotals {
        self.meters[from].totals(now, instance, QueueKind::Links, under_way)
    }

    /// Messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether a message that is under way gets through.
    #[inline]
    pub(crate) fn is_open(&self, now: Time, from: usize, to: usize) -> bool {
        let link = &self.links[from * self.total + to];
        link.cuts == 0 && link.reset.is_none_or(|reset| now > reset)
    }

    /// What is wrong with a link.
    pub(crate) fn state(&self, from: usize, to: usize) -> LinkState {
        let link = &self.links[from * self.total + to];
        let mut state = LinkState { whole: link.cuts == 0, ..LinkState::default() };
        for (_, ill, _) in &link.ills {
            match *ill {
                Ill::Delay(by) => state.delay += by,
                Ill::Jitter(by) => state.jitter += by,
                Ill::Loss(part) => {
                    let ppm = 1_000_000 * u64::from(part.numerator) / u64::from(part.denominator);
                    state.lost_ppm = state.lost_ppm.max(ppm.min(1_000_000) as u32);
                }
                Ill::Throttle(most) => {
                    let most = most.0.max(1);
                    state.bytes_per_second =
                        Some(state.bytes_per_second.map_or(most, |other| other.min(most)));
                }
                // No process outside tells heartbeats from the rest of a connection.
                Ill::Grey(_) => {}
            }
        }
        state
    }

    /// What is under way on the link is lost; what is sent from now on arrives after it.
    pub(crate) fn reset(&mut self, from: usize, to: usize) {
        let link = &mut self.links[from * self.total + to];
        let last = link.last.max(link.last_late);
        link.reset = Some(last);
        link.last = last + Span::from_nanos(1);
        link.last_late = link.last;
    }

    /// A fault makes a link worse.
    pub(crate) fn worsen(&mut self, from: usize, to: usize, ill: (u16, Ill, Stream)) {
        self.links[from * self.total + to].ills.push(ill);
    }

    /// A fault no longer does.
    pub(crate) fn better(&mut self, from: usize, to: usize, fault: u16) {
        self.links[from * self.total + to].ills.retain(|(of, ..)| *of != fault);
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.links[from * self.total + to].cuts += 1;
    }

    pub(crate) fn join(&mut self, from: usize, to: usize) {
        let link = &mut self.links[from * self.total + to];
        link.cuts = link.cuts.saturating_sub(1);
    }
}

impl Link {
    /// The same as for a healthy link, with all that faults add to it.
    #[cold]
    fn send_ill(&mut self, now: Time, bytes: u64, data: bool) -> Sent {
        let mut bytes_per_second = self.bytes_per_second;
        let (mut later, mut late) = (Span::ZERO, Span::ZERO);
        let mut broken = false;
        for (_, ill, stream) in &mut self.ills {
            match *ill {
                Ill::Throttle(most) => bytes_per_second = bytes_per_second.min(most.0.max(1)),
                Ill::Delay(by) => later += by,
                Ill::Jitter(by) => {
                    later += Span::from_nanos(stream.up_to(by.as_nanos()));
                }
                Ill::Grey(by) if data => late += by,
                Ill::Grey(_) => {}
                Ill::Loss(part) => {
                    let mut wait = RETRANSMIT;
                    let mut losses = 0;
                    while losses < MOST_RETRANSMITS && stream.chance(part) {
                        later += wait;
                        wait = wait * 2;
                        losses += 1;
                    }
                    broken |= losses == MOST_RETRANSMITS;
                }
            }
        }
        let transmission = Span::from_nanos(bytes.saturating_mul(1_000_000_000) / bytes_per_second);
        self.free = self.free.max(now) + transmission;
        let arrival = self.free + self.latency.sample(&mut self.stream) + later;
        if broken {
            return Sent::Breaks(arrival);
        }
        self.last = self.last.max(arrival);
        if late.is_zero() {
            return Sent::Arrives(self.last);
        }
        self.last_late = self.last_late.max(self.last + late);
        Sent::Arrives(self.last_late)
    }
}
