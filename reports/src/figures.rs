//! Which figures a report has, and what each shows of a recorded run.

use wavetank_vocabulary::{Role, Span, Status, Time};
use wavetank_world::Plan;

use crate::axis::{Scale, TimeAxis};
use crate::bands::{Band, RoleChart};
use crate::chart::{Limit, Line, LineChart};
use crate::ink::Ink;
use crate::recorder::{FaultSpan, Recorder};
use crate::series::{Bucket, Extent, InstanceBucket, Series};

/// A figure with what is said about it.
pub(crate) struct Figure {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// How to read it, in a sentence or two.
    pub(crate) note: String,
    /// What its values are in: `ms`, `%` (as parts of 1), `tx`, ...
    pub(crate) unit: &'static str,
    pub(crate) chart: LineChart,
}

/// The roles, which need a legend of their own.
pub(crate) fn roles(recorder: &Recorder) -> RoleChart {
    let end = recorder.now();
    let bands = recorder.instances().iter().map(|instance| {
        let hits = recorder
            .faults()
            .iter()
            .filter(|fault| fault.on == instance.id || fault.peer == Some(instance.id));
        Band {
            name: instance.id.to_string(),
            roles: instance.roles.iter().map(|&(at, role)| (at.as_secs_f64(), role)).collect(),
            faults: hits.map(|fault| hit(fault, end)).collect(),
        }
    });
    RoleChart { bands: bands.collect() }
}

fn hit(fault: &FaultSpan, end: Time) -> (f64, f64, String) {
    let to = fault.ended.unwrap_or(end);
    (fault.began.as_secs_f64(), to.as_secs_f64(), fault.kind.name().to_owned())
}

/// The axis that all figures share.
pub(crate) fn time_axis(plan: &Plan, recorder: &Recorder, partial: bool) -> TimeAxis {
    let planned = plan.duration.as_secs_f64();
    let now = recorder.now().as_secs_f64();
    // A run that was broken off has no end to show.
    let (end, stop) = if partial { (now, now) } else { (now.max(planned), planned) };
    let faults = recorder.faults().iter().map(|fault| {
        let (from, to, _) = hit(fault, recorder.now());
        (from, to)
    });
    let mut masters: Vec<f64> = recorder
        .instances()
        .iter()
        .flat_map(|instance| &instance.roles)
        .filter(|(_, role)| *role == Role::Master)
        .map(|(at, _)| at.as_secs_f64())
        .collect();
    masters.sort_by(f64::total_cmp);
    // Closer together than anyone could see, one stands for all.
    let apart = end / 1_000.0;
    masters.dedup_by(|later, kept| *later - *kept < apart);
    TimeAxis {
        end: if end > 0.0 { end } else { 1.0 },
        warm_up: plan.warm_up.as_secs_f64().min(stop),
        stop,
        faults: overlaid(faults.collect(), apart),
        masters,
    }
}

/// The same shading, without drawing it twice where faults overlap (a partition cuts many
/// links at once) or follow each other within `apart`.
fn overlaid(mut faults: Vec<(f64, f64)>, apart: f64) -> Vec<(f64, f64)> {
    faults.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in faults {
        match merged.last_mut() {
            Some(last) if from <= last.1 + apart => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Makes lines out of buckets; their points lie in the middle of each.
struct Draw<'a> {
    series: &'a Series,
    plan: &'a Plan,
    /// When the run ended.
    end: Time,
    longest_gap: f64,
    /// Buckets are wider than what was measured: their extremes are worth showing.
    wide: bool,
}

impl Draw<'_> {
    /// A rate over an interval that the run did not see the end of would be too low.
    fn leave_out_unfinished(&self, lines: &mut [Line]) {
        let last = self.series.buckets().len().saturating_sub(1);
        if self.series.start(last) + self.series.width() <= self.end {
            return;
        }
        for line in lines {
            if let Some((_, value)) = line.points.get_mut(last) {
                *value = None;
            }
            if let Some(spread) = line.spread.get_mut(last) {
                *spread = None;
            }
        }
    }

    fn at(&self, index: usize) -> f64 {
        self.series.start(index).as_secs_f64() + self.series.width().as_secs_f64() / 2.0
    }

    fn line(&self, name: &str, ink: Ink, value: impl Fn(&Bucket) -> Option<f64>) -> Line {
        let points = self.series.buckets().iter().enumerate();
        let points = points.map(|(i, bucket)| (self.at(i), value(bucket))).collect();
        Line { name: name.to_owned(), ink, points, spread: Vec::new(), dots: false }
    }

    /// The same, with the extremes within each bucket.
    fn ranging(
        &self,
        name: &str,
        ink: Ink,
        value: impl Fn(&Bucket) -> Option<f64>,
        extent: impl Fn(&Bucket) -> Option<(f64, f64)>,
    ) -> Line {
        let mut line = self.line(name, ink, value);
        if self.wide {
            line.spread = self.series.buckets().iter().map(extent).collect();
        }
        line
    }

    fn chart(&self, scale: Scale, lines: Vec<Line>) -> LineChart {
        let (limit, holds) = (None, Vec::new());
        LineChart { scale, lines, limit, holds, longest_gap: self.longest_gap }
    }

    /// A line for each instance.
    fn instances(
        &self,
        scale: Scale,
        value: impl Fn(&InstanceBucket, f64) -> Option<f64>,
        extent: impl Fn(&InstanceBucket) -> Extent,
    ) -> LineChart {
        let lines = self.plan.instances.iter().enumerate().map(|(slot, planned)| {
            let cores = f64::from(planned.cores.max(1));
            let of = |bucket: &Bucket| bucket.instances.get(slot).copied();
            self.ranging(
                &planned.id.to_string(),
                Ink::Nth(slot),
                |bucket| value(&of(bucket)?, cores),
                |bucket| extent(&of(bucket)?).bounds(),
            )
        });
        self.chart(scale, lines.collect())
    }
}

fn no_extent(_: &InstanceBucket) -> Extent {
    Extent::default()
}

fn millis(span: Option<Span>) -> Option<f64> {
    span.map(Span::as_millis_f64)
}

/// The figures below the roles; those for which nothing was measured are left out.
pub(crate) fn lines(plan: &Plan, recorder: &Recorder) -> Vec<Figure> {
    let series = &recorder.series();
    let width = series.width();
    let apart = width.as_secs_f64().max(plan.sample_every.as_secs_f64());
    let wide = width > plan.sample_every.max(Span::from_secs(1));
    let draw = Draw { series, plan, end: recorder.now(), longest_gap: 2.5 * apart, wide };
    let per = if width == Span::from_secs(1) {
        String::from("second")
    } else {
        format!("interval of {width}")
    };
    let area = if wide { " The area is what single samples ranged over." } else { "" };
    let mut figures = Vec::new();
    let mut add = |id, title, unit, (note, chart): (String, LineChart)| {
        if !chart.is_empty() {
            figures.push(Figure { id, title, note, unit, chart });
        }
    };

    add("throughput", "Throughput, operations per second", "/s", throughput(&draw, &per));
    add("errors", "Unsuccessful operations per second, by last status", "/s", errors(&draw));
    let outside = latency(&draw, &per);
    let inside = server_time(&draw, &per, &outside.1);
    add("latency", "Latency, as clients see it", "ms", outside);
    add("server-time", "Time at the instances, as they see it", "ms", inside);
    add("lag", "Lag, transactions", "tx", lag(&draw, &per));
    add("heartbeat-gap", "Heartbeat gaps, seconds", "s", gaps(&draw, &per));

    let note = format!(
        "Page pins that found their page in memory, of all page pins of each {per}. A restarted process begins with an empty cache.{area}"
    );
    let hits = draw.instances(Scale::Percent, |i, _| i.hit_rate(), |i| i.hit_rates);
    add("hit-rate", "Page cache hit rate", "%", (note, hits));
    let note = format!("Pages that had to be read from disk while somebody waited.{area}");
    let faults = draw.instances(Scale::Linear, |i, _| i.fault_rate(), |i| i.fault_rates);
    add("page-faults", "Page faults per second", "/s", (note, faults));
    let note =
        format!("Operations waiting or in service; the longest queue sampled in each {per}.");
    let queue = |i: &InstanceBucket, _| i.disk_queue.map(|queue| queue as f64);
    add("disk-queue", "Disk queue", "ops", (note, draw.instances(Scale::Linear, queue, no_extent)));
    let note = format!("The part of each {per} in which the disk was serving something.{area}");
    let disk = draw.instances(Scale::Percent, |i, _| i.disk_utilisation(), |i| i.disk_parts);
    add("disk", "Disk busy", "%", (note, disk));
    let note = format!("The part of the core time of each {per} that was used.{area}");
    let used = |i: &InstanceBucket, cores: f64| i.core_utilisation(cores as u32);
    let mut cores = draw.instances(Scale::Percent, used, |i| i.core_parts);
    for (line, planned) in cores.lines.iter_mut().zip(&plan.instances) {
        // Measured for one core, shown for all.
        let share = |part: f64| part / f64::from(planned.cores.max(1));
        for (low, high) in line.spread.iter_mut().flatten() {
            (*low, *high) = (share(*low), share(*high));
        }
    }
    add("cores", "Cores busy", "%", (note, cores));
    let paused = series.buckets().iter().flat_map(|bucket| &bucket.instances);
    if paused.clone().any(|instance| !instance.paused.is_zero()) {
        let note = format!(
            "The part of each {per} in which the machine stood still: a collection, a stalled virtual machine."
        );
        let paused = draw.instances(Scale::Percent, |i, _| i.paused_part(), no_extent);
        add("paused", "Paused", "%", (note, paused));
    }
    figures
}

fn throughput(draw: &Draw<'_>, per: &str) -> (String, LineChart) {
    let seconds = draw.series.width().as_secs_f64();
    type Count = fn(&Bucket) -> u64;
    let counts: [(Ink, &str, Count, usize); 4] = [
        (Ink::Offered, "offered", |bucket| bucket.offered, 0),
        (Ink::Ok, "ok", |bucket| bucket.ok, 1),
        (Ink::Failed, "failed", |bucket| bucket.failed, 2),
        (Ink::Unknown, "unknown: may or may not have been done", |bucket| bucket.unknown, 3),
    ];
    let mut lines = Vec::new();
    for (ink, name, count, slot) in counts {
        let any = draw.series.buckets().iter().any(|bucket| count(bucket) > 0);
        if any || ink == Ink::Ok {
            lines.push(draw.ranging(
                name,
                ink,
                |bucket| Some(count(bucket) as f64 / seconds),
                |bucket| bucket.per_second[slot].bounds(),
            ));
        }
    }
    let mut note = format!(
        "Offered: operations that were due in each {per}. The others by when and how they ended."
    );
    if !lines.iter().any(|line| matches!(line.ink, Ink::Failed | Ink::Unknown)) {
        note += " None was unsuccessful.";
    }
    if draw.wide {
        note += " The area is what single seconds ranged over.";
    }
    draw.leave_out_unfinished(&mut lines);
    (note, draw.chart(Scale::Linear, lines))
}

fn errors(draw: &Draw<'_>) -> (String, LineChart) {
    let seconds = draw.series.width().as_secs_f64();
    let mut lines = Vec::new();
    for (slot, status) in Status::ALL.into_iter().enumerate() {
        if draw.series.buckets().iter().any(|bucket| bucket.errors[slot] > 0) {
            let ink = Ink::Nth(lines.len());
            lines.push(
                draw.line(status.name(), ink, |bucket| Some(bucket.errors[slot] as f64 / seconds)),
            );
        }
    }
    draw.leave_out_unfinished(&mut lines);
    let note = "Operations that failed or of which nothing is known, by how their last attempt ended. The codes that Neo4j sends for them are in the table below.";
    (note.to_owned(), draw.chart(Scale::Linear, lines))
}

fn latency(draw: &Draw<'_>, per: &str) -> (String, LineChart) {
    let note = format!(
        "From the moment at which an operation was due to its success, retries included: of the operations that ended in each {per}. A percentile is drawn where it rests on enough of them: 10 for the median, 30 for p90, 100 for p99."
    );
    let values: [(Ink, &str, Latency); 4] = [
        (Ink::Median, "p50", |bucket| bucket.p50),
        (Ink::Upper, "p90", |bucket| bucket.p90),
        (Ink::Tail, "p99", |bucket| bucket.p99),
        (Ink::Longest, "max", |bucket| bucket.longest),
    ];
    (note, draw.chart(Scale::Log, percentiles(draw, &values)))
}

/// A latency of a bucket.
type Latency = fn(&Bucket) -> Option<Span>;

fn percentiles(draw: &Draw<'_>, values: &[(Ink, &str, Latency)]) -> Vec<Line> {
    let lines = values
        .iter()
        .map(|&(ink, name, value)| draw.line(name, ink, |bucket| millis(value(bucket))))
        .filter(|line| line.points.iter().any(|point| point.1.is_some()));
    // The median in front.
    let mut lines: Vec<Line> = lines.collect();
    lines.reverse();
    lines
}

fn server_time(draw: &Draw<'_>, per: &str, outside: &LineChart) -> (String, LineChart) {
    let note = format!(
        "Of the requests that instances answered with success in each {per}, from their arrival to the answer, on the scale of the figure above. What is missing of the clients' latency went into the network, earlier attempts and waiting for answers that did not come."
    );
    let values: [(Ink, &str, Latency); 3] = [
        (Ink::Median, "p50", |bucket| bucket.server_p50),
        (Ink::Tail, "p99", |bucket| bucket.server_p99),
        (Ink::Longest, "max", |bucket| bucket.server_longest),
    ];
    let mut chart = draw.chart(Scale::Log, percentiles(draw, &values));
    chart.holds = outside.lines.iter().flat_map(Line::values).collect();
    (note, chart)
}

fn lag(draw: &Draw<'_>, per: &str) -> (String, LineChart) {
    let lag = |i: &InstanceBucket, _| i.lag.map(|lag| lag as f64);
    let mut chart = draw.instances(Scale::Linear, lag, no_extent);
    let seen = |i: &InstanceBucket, _| i.monitored_lag.map(|lag| lag as f64);
    for mut line in draw.instances(Scale::Linear, seen, no_extent).lines {
        if line.points.iter().any(|point| point.1.is_some()) {
            line.dots = true;
            line.name += " seen by monitoring";
            chart.lines.push(line);
        }
    }
    let note = format!(
        "Transactions by which each log is behind the longest log sampled at the same moment; the largest of each {per}. The dots are all that monitoring sees of it, which reads every instance's bean every {}. Instances that are down have none.",
        draw.plan.monitor_every
    );
    (note, chart)
}

fn gaps(draw: &Draw<'_>, per: &str) -> (String, LineChart) {
    let gap = |i: &InstanceBucket, _| i.heartbeat_gap.map(Span::as_secs_f64);
    let mut chart = draw.instances(Scale::Linear, gap, no_extent);
    let timeout = draw.plan.settings.cluster.heartbeat_timeout;
    chart.limit = Some(Limit {
        value: timeout.as_secs_f64(),
        name: format!("ha.heartbeat_timeout, {timeout}"),
    });
    let note = format!(
        "The longest silence in each {per} of any peer that the instance took for alive. When a silence passes the time-out, the peer is suspected; the distance to it is the margin for pauses and delays. Heartbeats come every {}.",
        draw.plan.settings.cluster.heartbeat_interval
    );
    (note, chart)
}
