//! `[[nemesis]]`: faults drawn at random. All that is drawn stands in the Plan; the world sees
//! faults only.

use wavetank_kernel::{Stream, Streams};
use wavetank_vocabulary::{FaultFamily, FaultId, FaultKind, Ratio, Span, Time};
use wavetank_world::{FaultPlan, Plan, Settings, Strength, Target, Trigger};

use crate::section::Drawn;
use crate::settings::{Field, Setting};

/// A nemesis as it was read.
#[derive(Clone, Debug)]
pub(crate) struct NemesisDraft {
    /// The weight of each kind.
    pub(crate) kinds: Vec<(FaultKind, u32)>,
    /// The time from one beginning to the next: exponential with this mean where it is one
    /// time, else between two.
    pub(crate) every: Drawn,
    pub(crate) lasts: Drawn,
    pub(crate) rest: Drawn,
    /// No fault is at work within these: in order, by [`joined`].
    pub(crate) quiet: Vec<(Span, Span)>,
    /// What each fault waits for, one of these; none: its time alone.
    pub(crate) when: Vec<Trigger>,
    /// Who may be hit.
    pub(crate) on: Vec<Target>,
    /// How many at once.
    pub(crate) most: usize,
    /// Half of the kinds are left out, drawn by seed.
    pub(crate) swarm: bool,
    /// One good copy of each acknowledged write is spared.
    pub(crate) spares_copy: bool,
}

/// Windows in order, those that overlap or meet as one: where one ends, none begins.
pub(crate) fn joined(mut windows: Vec<(Span, Span)>) -> Vec<(Span, Span)> {
    windows.sort_unstable();
    let mut joined: Vec<(Span, Span)> = Vec::new();
    for (from, to) in windows {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = (*end).max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// A setting that is drawn between two values.
#[derive(Clone)]
pub(crate) struct RangeDraft {
    pub(crate) setting: &'static Setting,
    pub(crate) low: Settings,
    pub(crate) high: Settings,
}

impl std::fmt::Debug for RangeDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.setting.name)
    }
}

/// A fault is not worth its name that lasts less.
pub(crate) const SHORTEST: Span = Span::from_millis(100);

/// A nemesis that has to draw more than these, as a rule, is refused when it is read.
pub(crate) const MOST: u64 = 5_000;

impl NemesisDraft {
    /// Draws the faults of the `index`-th nemesis and adds them to the Plan.
    pub(crate) fn draw(&self, index: u64, streams: Streams, plan: &mut Plan) {
        let mut stream = streams.stream("plan nemesis", [index, 0, 0]);
        let kinds = self.chosen(&mut stream);
        let weights: Vec<u32> = kinds.iter().map(|(_, weight)| *weight).collect();
        let next = plan.faults.iter().map(|fault| fault.id.0).max().unwrap_or(0);
        let end = plan.duration;
        let (mut at, mut active) = (Span::ZERO, Vec::<Span>::new());
        // Chance does not double thousands: the end comes before the last of these.
        for number in 0..2 * MOST {
            // Each fault has dice of its own: what one draws does not shift the next.
            let mut stream = streams.stream("plan nemesis", [index, 1 + number, 0]);
            at += self.gap(&mut stream);
            active.retain(|end| *end > at);
            if active.len() >= self.most {
                let first = active.iter().min().copied().unwrap_or(at);
                at = first + self.rest.draw(&mut stream);
                active.retain(|end| *end > at);
            }
            at = self.awake(at);
            let Some(id) = next.checked_add(1 + number as u16).filter(|_| at < end) else { return };
            let Some(&(kind, _)) = stream.pick_weighted(&weights).and_then(|k| kinds.get(k)) else {
                return;
            };
            let before = self.quiet.iter().map(|(from, _)| *from).filter(|from| *from > at);
            let latest = before.min().unwrap_or(end).min(end);
            let lasts = self.lasts.draw(&mut stream).min(latest.saturating_sub(at));
            let Some(target) = self.target(kind, plan, &mut stream) else { continue };
            if lasts < SHORTEST {
                continue;
            }
            active.push(at + lasts);
            plan.faults.push(FaultPlan {
                id: FaultId(id),
                kind,
                target,
                peer: None,
                at: Time::ZERO + at,
                strength: self.strength(kind, &plan.settings, &mut stream),
                when: match self.when.is_empty() {
                    true => None,
                    false => stream.pick(&self.when).map(|trigger| (*trigger, Span::ZERO)),
                },
                lasts: Some(lasts),
                spares_copy: self.spares_copy,
            });
        }
    }

    /// The kinds that this seed has.
    fn chosen(&self, stream: &mut Stream) -> Vec<(FaultKind, u32)> {
        if !self.swarm {
            return self.kinds.clone();
        }
        let half = Ratio::new(1, 2);
        let mut kinds = self.kinds.clone();
        let one = stream.pick(&self.kinds).copied();
        kinds.retain(|_| stream.chance(half));
        if kinds.is_empty() {
            kinds.extend(one);
        }
        kinds
    }

    fn gap(&self, stream: &mut Stream) -> Span {
        if self.every.low != self.every.high {
            return self.every.draw(stream);
        }
        let mean = wavetank_kernel::Distribution::Exponential { mean: self.every.low };
        // In whole milliseconds, so that a Plan is readable.
        let millis = mean.sample(stream).as_nanos() / 1_000_000;
        Span::from_millis(millis.max(1))
    }

    /// About how many draws it takes to fill that time: no fewer than on the average.
    pub(crate) fn draws(&self, duration: Span) -> u64 {
        let mean = |drawn: Drawn| drawn.low.as_nanos() / 2 + drawn.high.as_nanos() / 2;
        // When as many are at work as may be, the next one waits for the end of the first.
        let turn = (mean(self.lasts) + mean(self.rest)) / self.most.max(1) as u64;
        let gap = if self.every.low == self.every.high {
            self.every.low.as_nanos().max(1_000_000)
        } else {
            mean(self.every)
        };
        duration.as_nanos() / gap.max(turn).max(1)
    }

    /// That time, or the end of the quiet that it falls into.
    fn awake(&self, at: Span) -> Span {
        let within = |(from, to): &&(Span, Span)| *from <= at && at < *to;
        self.quiet.iter().find(within).map_or(at, |(_, to)| *to)
    }

    fn target(&self, kind: FaultKind, plan: &Plan, stream: &mut Stream) -> Option<Target> {
        let drawn = stream.pick(&self.on).copied();
        match (kind, kind.family()) {
            (_, FaultFamily::Balancer) => {
                let count = plan.balancers.len() as u64;
                (count > 0).then(|| Target::Balancer(stream.below(count) as u16))
            }
            (FaultKind::Ring, _) => Some(Target::All),
            _ => drawn,
        }
    }

    /// A delay, a jump or a factor is drawn around what the kind has by itself, so that not every
    /// such fault is alike. The others (loss, throttle, iops-cap, flap, shrink-cache and
    /// clock-drift among them) always have their default strength.
    fn strength(&self, kind: FaultKind, settings: &Settings, stream: &mut Stream) -> Strength {
        let mut strength = Strength::of(kind, settings);
        if let Some(by) = &mut strength.by {
            let scaled = by.as_nanos() / 1_000_000 * (1 + stream.below(40)) / 10;
            *by = Span::from_millis(scaled.max(1));
        }
        if let Some(factor) = &mut strength.factor {
            *factor = Ratio::new(2 + stream.below(60) as u32, 1);
        }
        if let Some(backwards) = &mut strength.backwards {
            *backwards = stream.below(2) == 1;
        }
        strength
    }
}

impl RangeDraft {
    /// Draws the setting and puts it into the Plan's settings.
    pub(crate) fn draw(&self, streams: Streams, settings: &mut Settings) {
        let key = self.setting.name.bytes().fold(0u64, |key, byte| {
            key.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(byte)
        });
        let mut stream = streams.stream("plan range", [key, 0, 0]);
        let (mut low, mut high) = (self.low.clone(), self.high.clone());
        match self.setting.field {
            Field::Span(of, ..) | Field::SpanOrOff(of, ..) => {
                let drawn = Drawn { low: *of(&mut low), high: *of(&mut high) };
                *of(settings) = drawn.draw(&mut stream);
            }
            Field::Bytes(of, ..) => {
                let (low, high) = (of(&mut low).0, of(&mut high).0);
                of(settings).0 = low + stream.up_to(high - low);
            }
            Field::Count(of, ..) => {
                let (low, high) = (*of(&mut low), *of(&mut high));
                *of(settings) = low + stream.up_to(u64::from(high - low)) as u32;
            }
            Field::LongCount(of, ..) => {
                let (low, high) = (*of(&mut low), *of(&mut high));
                *of(settings) = low + stream.up_to(high - low);
            }
            Field::Strategy(of) => {
                let either = [*of(&mut low), *of(&mut high)];
                if let Some(one) = stream.pick(&either) {
                    *of(settings) = *one;
                }
            }
            Field::Flag(of) => {
                let either = [*of(&mut low), *of(&mut high)];
                *of(settings) = stream.pick(&either).is_some_and(|one| *one);
            }
            Field::Policy(of) => {
                let either = [*of(&mut low), *of(&mut high)];
                if let Some(one) = stream.pick(&either) {
                    *of(settings) = *one;
                }
            }
            // There is nothing between two of these; reading refuses them.
            Field::Retention(_)
            | Field::Hosts
            | Field::Heap
            | Field::HeapMegabytes
            | Field::PageCache
            | Field::DefaultTimeout
            | Field::PaxosTimeout => {}
        }
    }
}

/// The instances that a list of names stands for.
pub(crate) fn roles() -> [(&'static str, Target); 7] {
    [
        ("any", Target::Any),
        ("master", Target::Master),
        ("slave", Target::Slave),
        ("minority", Target::Minority),
        ("majority", Target::Majority),
        ("all", Target::All),
        ("trigger", Target::Trigger),
    ]
}

/// Whether a nemesis can draw the kind: it needs nothing but numbers.
pub(crate) fn can_be_drawn(kind: FaultKind) -> bool {
    !matches!(kind, FaultKind::WrongHosts | FaultKind::ChangeSetting)
}
