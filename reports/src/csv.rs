//! `series.csv`: what the figures show, one row per bucket.

use std::fmt::Write;

use wavetank_vocabulary::Span;
use wavetank_world::Plan;

use crate::recorder::Recorder;
use crate::result::six_digits;

/// The series of a run. Rates are per second; `time_s` is when the bucket began; what was
/// not measured is empty. Roles are those at the end of the bucket, lag and disk queue the
/// largest sampled within it, busy parts are between 0 and 1.
pub fn series_csv(plan: &Plan, recorder: &Recorder) -> String {
    let series = recorder.series();
    let width = series.width().as_secs_f64();
    let mut text = String::from("time_s,ok_per_s,failed_per_s,unknown_per_s,p50_ms,p99_ms,max_ms");
    for instance in &plan.instances {
        let id = instance.id;
        let columns = ["role", "lag_tx", "hit_rate", "disk_busy", "core_busy", "disk_queue"];
        for column in columns {
            // Writing to a string cannot fail.
            let _ = write!(text, ",{id}_{column}");
        }
    }
    text.push('\n');
    let millis = |span: Option<Span>| span.map(Span::as_millis_f64);
    for (index, bucket) in series.buckets().iter().enumerate() {
        let _ = write!(text, "{}", series.start(index).as_secs_f64());
        for count in [bucket.ok, bucket.failed, bucket.unknown] {
            let _ = write!(text, ",{}", count as f64 / width);
        }
        for latency in [bucket.p50, bucket.p99, bucket.longest] {
            cell(&mut text, millis(latency));
        }
        for (instance, planned) in bucket.instances.iter().zip(&plan.instances) {
            let _ = write!(text, ",{}", instance.role.name());
            cell(&mut text, instance.lag.map(|lag| lag as f64));
            cell(&mut text, instance.hit_rate().map(six_digits));
            cell(&mut text, instance.disk_utilisation().map(six_digits));
            cell(&mut text, instance.core_utilisation(planned.cores).map(six_digits));
            cell(&mut text, instance.disk_queue.map(|queue| queue as f64));
        }
        text.push('\n');
    }
    text
}

fn cell(text: &mut String, value: Option<f64>) {
    text.push(',');
    if let Some(value) = value {
        let _ = write!(text, "{value}");
    }
}
