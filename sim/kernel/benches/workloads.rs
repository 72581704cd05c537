//! The two workloads: a heartbeat mesh and PHOLD (Fujimoto 1990), once over a bare queue
//! with a single generator, once over the kernel with everything on.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use wavetank_kernel::{Fired, Kernel, Stream, Streams, TimerTable, distribution};
use wavetank_vocabulary::{Span, Time};
use xxhash_rust::xxh3::xxh3_128;

use crate::queues::Queue;

const SECOND: u64 = 1_000_000_000;
const INTERVAL: u64 = 5 * SECOND;
const TIMEOUT: u64 = 11 * SECOND;
const LEAST_LATENCY: u64 = 200_000;
const LATENCY_WIDTH: u64 = 800_001;
const PROCESSES: u64 = 128;

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) events: u64,
    pub(crate) elapsed: Duration,
    /// A number that depends on the order of all events.
    pub(crate) state: Option<u64>,
}

#[derive(Clone, Copy)]
enum Kind {
    Send(u16),
    Deliver {
        from: u16,
        to: u16,
    },
    Check(u16),
    /// A timer of a slot, or of a pair of instances.
    Timer {
        slot: u32,
        generation: u32,
    },
    Job(u32),
}

/// An event of `2 + PAD` words.
#[derive(Clone, Copy)]
pub(crate) struct Event<const PAD: usize> {
    kind: Kind,
    pad: [u64; PAD],
}

impl<const PAD: usize> Event<PAD> {
    #[inline]
    fn new(kind: Kind, word: u64) -> Self {
        Event { kind, pad: [word; PAD] }
    }
}

const _: () = assert!(size_of::<Event<0>>() == 16 && size_of::<Event<3>>() == 40);

/// The heartbeat mesh until `messages` are delivered. Lazy: one check per instance scans
/// what it heard. Eager: a timer per peer is replaced at every message.
pub(crate) fn mesh<Q: Queue<Event<PAD>>, const PAD: usize>(
    nodes: u16,
    messages: u64,
    eager: bool,
) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut queue = Q::default();
    let n = usize::from(nodes);
    let mut last_heard = vec![0u64; n * n];
    let mut generations = vec![0u32; n * n];
    for node in 0..nodes {
        queue.push(u64::from(node) * INTERVAL / u64::from(nodes), Event::new(Kind::Send(node), 0));
        if !eager {
            queue.push(TIMEOUT, Event::new(Kind::Check(node), 0));
        }
    }
    let start = Instant::now();
    let (mut delivered, mut state) = (0, 0u64);
    while delivered < messages {
        let (now, event) = queue.pop().expect("heartbeats go on");
        match event.kind {
            Kind::Send(from) => {
                for to in (0..nodes).filter(|to| *to != from) {
                    let spread = u128::from(rng.next_u64()) * u128::from(LATENCY_WIDTH);
                    let at = now + LEAST_LATENCY + (spread >> 64) as u64;
                    queue.push(at, Event::new(Kind::Deliver { from, to }, now));
                }
                queue.push(now + INTERVAL, event);
            }
            Kind::Deliver { from, to } => {
                delivered += 1;
                state = state.rotate_left(5) ^ now ^ u64::from(from);
                let pair = usize::from(to) * n + usize::from(from);
                last_heard[pair] = now;
                if eager {
                    generations[pair] += 1;
                    let generation = generations[pair];
                    let timer = Kind::Timer { slot: pair as u32, generation };
                    queue.push(now + TIMEOUT, Event::new(timer, now));
                }
            }
            Kind::Check(node) => {
                let own = usize::from(node);
                let heard = last_heard[own * n..][..n].iter().enumerate();
                let oldest = heard.filter(|(peer, _)| *peer != own).map(|(_, at)| *at).min();
                let due = oldest.expect("there are peers") + TIMEOUT;
                assert!(due > now, "no timeout may fire");
                queue.push(due, event);
            }
            Kind::Timer { slot, generation } => {
                assert!(generations[slot as usize] != generation, "no timeout may fire");
            }
            Kind::Job(_) => unreachable!("not in this workload"),
        }
        black_box(event.pad);
    }
    Outcome { events: delivered, elapsed: start.elapsed(), state: Some(state) }
}

/// The mesh over the kernel: a stream per link, a cancellable timer per pair re-armed at
/// every message, digest and checkpoints.
pub(crate) fn kernel_mesh(nodes: u16, messages: u64) -> Outcome {
    let n = usize::from(nodes);
    let streams = Streams::new(1);
    let mut links: Vec<Stream> = (0..n * n)
        .map(|pair| streams.stream("link", [(pair / n) as u64, (pair % n) as u64, 0]))
        .collect();
    let mut kernel: Kernel<Event<3>> = Kernel::new();
    let mut timers = TimerTable::new((n * n) as u32);
    let mut last_heard = vec![0u64; n * n];
    for node in 0..nodes {
        let phase = u64::from(node) * INTERVAL / u64::from(nodes);
        kernel.schedule(Time::from_nanos(phase), Event::new(Kind::Send(node), 0));
    }
    let start = Instant::now();
    let mut delivered = 0;
    while delivered < messages {
        let event = kernel.next_before(Time::NEVER).expect("heartbeats go on");
        let now = kernel.now();
        match event.kind {
            Kind::Send(from) => {
                kernel.record(&[1, u64::from(from)]);
                for to in (0..nodes).filter(|to| *to != from) {
                    let link = &mut links[usize::from(from) * n + usize::from(to)];
                    let at = LEAST_LATENCY + link.below(LATENCY_WIDTH);
                    let deliver = Event::new(Kind::Deliver { from, to }, now.as_nanos());
                    kernel.schedule_in(Span::from_nanos(at), deliver);
                }
                kernel.schedule_in(Span::from_nanos(INTERVAL), event);
            }
            Kind::Deliver { from, to } => {
                delivered += 1;
                kernel.record(&[2, u64::from(from) << 32 | u64::from(to), event.pad[0]]);
                let pair = usize::from(to) * n + usize::from(from);
                last_heard[pair] = now.as_nanos();
                let deadline = now + Span::from_nanos(TIMEOUT);
                if let Some(armed) = timers.arm(pair as u32, deadline) {
                    let timer = Kind::Timer { slot: pair as u32, generation: armed.generation };
                    kernel.schedule(armed.at, Event::new(timer, 0));
                }
            }
            Kind::Timer { slot, generation } => match timers.fire(slot, generation, now) {
                Fired::Rearm(at) => kernel.schedule(at, event),
                Fired::Stale => {}
                Fired::Due => panic!("no timeout may fire"),
            },
            Kind::Check(_) | Kind::Job(_) => unreachable!("not in this workload"),
        }
        if kernel.checkpoint_due() {
            let bytes: Vec<u8> = last_heard.iter().flat_map(|at| at.to_le_bytes()).collect();
            kernel.checkpoint(xxh3_128(&bytes) as u64);
        }
    }
    let elapsed = start.elapsed();
    black_box(kernel.digest());
    Outcome { events: delivered, elapsed, state: None }
}

/// PHOLD: each of `pending` events schedules one for a random process, an exponentially
/// distributed second later.
pub(crate) fn phold<Q: Queue<Event<PAD>>, const PAD: usize>(pending: u32, events: u64) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut queue = Q::default();
    let mut processes = [0u64; PROCESSES as usize];
    let draw = |rng: &mut ChaCha8Rng| {
        let unit = ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-unit.ln() * SECOND as f64) as u64
    };
    for job in 0..pending {
        queue.push(draw(&mut rng), Event::new(Kind::Job(job % PROCESSES as u32), 0));
    }
    let warm_up = (4 * u64::from(pending)).min(events / 10);
    let (mut start, mut state) = (Instant::now(), 0u64);
    for done in 0..warm_up + events {
        if done == warm_up {
            start = Instant::now();
        }
        let (now, event) = queue.pop().expect("jobs go on");
        let Kind::Job(process) = event.kind else { unreachable!("only jobs here") };
        processes[process as usize] += 1;
        state = state.rotate_left(5) ^ now ^ u64::from(process);
        let span = draw(&mut rng);
        let next = Kind::Job((rng.next_u64() % PROCESSES) as u32);
        queue.push(now + span, Event::new(next, now));
        black_box(event.pad);
    }
    black_box(processes);
    Outcome { events, elapsed: start.elapsed(), state: Some(state) }
}

/// Schedules that a bucketed queue might not like: `fill` gives the distance of the n-th
/// pushed event from time zero. All are pushed, then popped, each tenth with a push at the
/// present.
pub(crate) fn fill_and_drain<Q: Queue<Event<3>>>(count: u64, fill: fn(u64, u64) -> u64) -> Outcome {
    let mut queue = Q::default();
    let start = Instant::now();
    for n in 0..count {
        queue.push(fill(n, count), Event::new(Kind::Job(n as u32), n));
    }
    let (mut popped, mut state) = (0, 0u64);
    while let Some((now, event)) = queue.pop() {
        let Kind::Job(job) = event.kind else { unreachable!("only jobs here") };
        state = state.rotate_left(5) ^ now ^ u64::from(job);
        popped += 1;
        if popped % 10 == 0 {
            queue.push(now, Event::new(Kind::Job(job / 3), popped));
        }
        black_box(event.pad);
    }
    Outcome { events: popped, elapsed: start.elapsed(), state: Some(state) }
}

/// Earlier and earlier, a microsecond apart.
pub(crate) fn descending(n: u64, count: u64) -> u64 {
    (count - n) * 1000
}

/// All at one time.
pub(crate) fn equal(_: u64, _: u64) -> u64 {
    SECOND
}

/// Distances of every magnitude up to centuries, in no order.
pub(crate) fn far(n: u64, _: u64) -> u64 {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed >> (mixed % 50)
}

/// PHOLD over the kernel: a stream per process, digest and checkpoints.
pub(crate) fn kernel_phold(pending: u32, events: u64) -> Outcome {
    let streams = Streams::new(1);
    let mut processes: Vec<(Stream, u64)> =
        (0..PROCESSES).map(|process| (streams.stream("process", [process, 0, 0]), 0)).collect();
    let mut kernel: Kernel<Event<3>> = Kernel::new();
    let mean = SECOND as f64;
    for job in 0..pending {
        let process = job % PROCESSES as u32;
        let span = distribution::exponential(&mut processes[process as usize].0) * mean;
        kernel.schedule_in(Span::from_nanos(span as u64), Event::new(Kind::Job(process), 0));
    }
    let warm_up = (4 * u64::from(pending)).min(events / 10);
    let mut start = Instant::now();
    for done in 0..warm_up + events {
        if done == warm_up {
            start = Instant::now();
        }
        let event = kernel.next_before(Time::NEVER).expect("jobs go on");
        let Kind::Job(process) = event.kind else { unreachable!("only jobs here") };
        kernel.record(&[u64::from(process), event.pad[0]]);
        let (stream, count) = &mut processes[process as usize];
        *count += 1;
        let span = Span::from_nanos((distribution::exponential(stream) * mean) as u64);
        let next = Kind::Job(stream.below(PROCESSES) as u32);
        kernel.schedule_in(span, Event::new(next, kernel.now().as_nanos()));
        if kernel.checkpoint_due() {
            let state = processes.iter().fold(0, |state: u64, (_, n)| state.rotate_left(7) ^ n);
            kernel.checkpoint(state);
        }
    }
    let elapsed = start.elapsed();
    black_box(kernel.digest());
    Outcome { events, elapsed, state: None }
}

/// Makes keyed streams that draw four numbers each, as a client operation does: ours, or
/// `rand_chacha` under a key derived in the same way.
pub(crate) fn short_streams(streams: u64, ours: bool) -> Outcome {
    let source = Streams::new(1);
    let start = Instant::now();
    let mut sum = 0u64;
    for operation in 0..streams {
        if ours {
            let mut stream = source.stream("operation", [3, operation, 0]);
            for _ in 0..4 {
                sum = sum.wrapping_add(stream.next_u64());
            }
        } else {
            let mut material = [0; 32];
            material[..8].copy_from_slice(&operation.to_le_bytes());
            material[8..24].copy_from_slice(&xxh3_128(b"operation").to_le_bytes());
            let (low, high) = (xxh3_128(&material), xxh3_128(&material[..24]));
            material[..16].copy_from_slice(&low.to_le_bytes());
            material[16..].copy_from_slice(&high.to_le_bytes());
            let mut stream = ChaCha8Rng::from_seed(material);
            for _ in 0..4 {
                sum = sum.wrapping_add(stream.next_u64());
            }
        }
    }
    black_box(sum);
    Outcome { events: streams, elapsed: start.elapsed(), state: None }
}
