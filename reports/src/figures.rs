//! Which figures a report has, and what each shows of a recorded run.

use wavetank_vocabulary::{Role, Span, Time};
use wavetank_world::Plan;

use crate::bands::{Band, RoleChart};
use crate::chart::{Chart, Ink, Line, LineChart, Scale, TimeAxis};
use crate::recorder::{FaultSpan, Recorder};
use crate::series::{Bucket, InstanceBucket, Series};

/// A figure with what is said about it.
pub(crate) struct Figure {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// How to read it, in a sentence or two.
    pub(crate) note: String,
    pub(crate) legend: Vec<(Ink, String)>,
    pub(crate) chart: Box<dyn Chart>,
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
pub(crate) fn time_axis(plan: &Plan, recorder: &Recorder) -> TimeAxis {
    let stop = plan.duration.as_secs_f64();
    let end = recorder.now().as_secs_f64().max(stop);
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
    TimeAxis {
        end: if end > 0.0 { end } else { 1.0 },
        warm_up: plan.warm_up.as_secs_f64(),
        stop,
        faults: overlaid(faults.collect()),
        masters,
    }
}

/// The same shading, without drawing it twice where faults overlap: a partition cuts many
/// links at once.
fn overlaid(mut faults: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    faults.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (from, to) in faults {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Makes lines out of buckets; their points lie in the middle of each.
struct Draw<'a> {
    series: &'a Series,
    plan: &'a Plan,
    longest_gap: f64,
}

impl Draw<'_> {
    fn line(&self, ink: Ink, value: impl Fn(&Bucket) -> Option<f64>) -> Line {
        let half = self.series.width().as_secs_f64() / 2.0;
        let points = self.series.buckets().iter().enumerate();
        Line {
            ink,
            points: points
                .map(|(i, bucket)| (self.series.start(i).as_secs_f64() + half, value(bucket)))
                .collect(),
        }
    }

    fn chart(&self, scale: Scale, lines: Vec<Line>) -> LineChart {
        LineChart { scale, lines, longest_gap: self.longest_gap }
    }

    /// A line for each instance.
    fn instances(
        &self,
        scale: Scale,
        value: impl Fn(&InstanceBucket, u32) -> Option<f64>,
    ) -> LineChart {
        let lines = self.plan.instances.iter().enumerate().map(|(slot, planned)| {
            self.line(Ink::Instance(slot), |bucket| {
                bucket.instances.get(slot).and_then(|instance| value(instance, planned.cores))
            })
        });
        self.chart(scale, lines.collect())
    }

    fn instance_legend(&self) -> Vec<(Ink, String)> {
        let planned = self.plan.instances.iter().enumerate();
        planned.map(|(slot, planned)| (Ink::Instance(slot), planned.id.to_string())).collect()
    }
}

/// The figures below the roles; those for which nothing was measured are left out.
pub(crate) fn lines(plan: &Plan, recorder: &Recorder) -> Vec<Figure> {
    let series = &recorder.series();
    let width = series.width();
    let apart = width.as_secs_f64().max(plan.sample_every.as_secs_f64());
    let draw = Draw { series, plan, longest_gap: 2.5 * apart };
    let per = if width == Span::from_secs(1) {
        String::from("second")
    } else {
        format!("interval of {width}")
    };
    let mut figures = Vec::new();
    let mut add = |id, title, note: String, legend, chart: LineChart| {
        if !chart.is_empty() {
            figures.push(Figure { id, title, note, legend, chart: Box::new(chart) });
        }
    };

    let (note, legend, chart) = throughput(&draw, &per);
    add("throughput", "Throughput, operations per second", note, legend, chart);
    let (note, legend, chart) = latency(&draw, &per);
    add("latency", "Latency of successful operations", note, legend, chart);

    let by_instance = || draw.instance_legend();
    let lag = draw.instances(Scale::Linear, |bucket, _| bucket.lag.map(|lag| lag as f64));
    let note = format!(
        "Transactions by which each log is behind the longest log sampled at the same moment; the largest of each {per}. Instances that are down have none."
    );
    add("lag", "Lag, transactions", note, by_instance(), lag);
    let hits = draw.instances(Scale::Percent, |bucket, _| bucket.hit_rate());
    let note = format!(
        "Page pins that found their page in memory, of all page pins of each {per}. A restarted process begins with an empty cache."
    );
    add("hit-rate", "Page cache hit rate", note, by_instance(), hits);
    let disk = draw.instances(Scale::Percent, |bucket, _| bucket.disk_utilisation());
    let note = format!("The part of each {per} in which the disk was serving something.");
    add("disk", "Disk busy", note, by_instance(), disk);
    let cores = draw.instances(Scale::Percent, |bucket, cores| bucket.core_utilisation(cores));
    let note = format!("The part of the core time of each {per} that was used.");
    add("cores", "Cores busy", note, by_instance(), cores);
    figures
}

fn throughput(draw: &Draw<'_>, per: &str) -> (String, Vec<(Ink, String)>, LineChart) {
    let seconds = draw.series.width().as_secs_f64();
    type Count = fn(&Bucket) -> u64;
    let counts: [(Ink, &str, Count); 3] = [
        (Ink::Ok, "ok", |bucket| bucket.ok),
        (Ink::Failed, "failed", |bucket| bucket.failed),
        (Ink::Unknown, "unknown: may or may not have been done", |bucket| bucket.unknown),
    ];
    let mut legend = Vec::new();
    let mut lines = Vec::new();
    for (ink, name, count) in counts {
        let any = draw.series.buckets().iter().any(|bucket| count(bucket) > 0);
        if any || ink == Ink::Ok {
            legend.push((ink, name.to_owned()));
            lines.push(draw.line(ink, |bucket| Some(count(bucket) as f64 / seconds)));
        }
    }
    let mut note = format!("Operations that ended in each {per}, by how they ended.");
    if lines.len() == 1 {
        note += " None was unsuccessful.";
    }
    (note, legend, draw.chart(Scale::Linear, lines))
}

fn latency(draw: &Draw<'_>, per: &str) -> (String, Vec<(Ink, String)>, LineChart) {
    let millis = |span: Option<Span>| span.map(Span::as_millis_f64);
    let buckets = draw.series.buckets();
    let busy = buckets.iter().filter(|bucket| bucket.ok > 0).count();
    let sampled = buckets.iter().filter(|bucket| bucket.p99.is_some()).count();
    let median = draw.line(Ink::Median, |bucket| millis(bucket.p50));
    let start = "Latency counts from the moment at which the operation was due. ";
    // With few operations in a bucket its 99th percentile is its maximum: then say so.
    let (note, name, tail) = if 2 * sampled > busy {
        let note = format!(
            "{start}Of the operations that ended in each {per}: the median, and the 99th percentile where there were at least 100."
        );
        (note, "p99", draw.line(Ink::Tail, |bucket| millis(bucket.p99)))
    } else {
        let note = format!(
            "{start}Of the operations that ended in each {per}: the median where there were at least 10, and the longest; there were too few for a 99th percentile."
        );
        (note, "longest", draw.line(Ink::Tail, |bucket| millis(bucket.longest)))
    };
    let legend = vec![(Ink::Median, "median".to_owned()), (Ink::Tail, name.to_owned())];
    (note, legend, draw.chart(Scale::Log, vec![median, tail]))
}
