//! What is worth a look in a run, whatever its verdict: each in a few words, with its place
//! in the report.

use wavetank_vocabulary::{Role, Span};
use wavetank_world::Plan;

use crate::recorder::Recorder;
use crate::words::{counted, grouped};

/// From this part of `ha.heartbeat_timeout` on a heartbeat gap is worth mentioning.
const NEAR: f64 = 0.8;

/// What to look at, with the id of where.
pub(crate) fn notable(plan: &Plan, recorder: &Recorder) -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    let stats = recorder.all();
    let unsuccessful = stats.failed + stats.unknown;
    if unsuccessful > 0 {
        let text =
            format!("{} of {} did not succeed", grouped(unsuccessful), operations(stats.offered));
        all.push((text, "errors"));
    }
    if let Some((text, place)) = changes_of_master(recorder) {
        all.push((text, place));
    }
    let series = recorder.series();
    let gaps = series.buckets().iter().flat_map(|bucket| &bucket.instances);
    let longest = gaps.filter_map(|instance| instance.heartbeat_gap).max();
    let timeout = plan.settings.cluster.heartbeat_timeout;
    if let Some(gap) = longest.filter(|gap| part(*gap, timeout) >= NEAR) {
        let text = format!("a heartbeat gap of {:.1} s, time-out {timeout}", gap.as_secs_f64());
        all.push((text, "heartbeat-gap"));
    }
    let sum = |count: fn(&crate::instance_stats::InstanceStats) -> u64| {
        recorder.instances().iter().map(count).sum::<u64>()
    };
    let (branches, failures) = (sum(|i| i.branches), sum(|i| i.store_failures));
    if branches > 0 {
        let found = if branches == 1 { "branch found" } else { "branches found" };
        all.push((format!("{} {found}", grouped(branches)), "instances"));
    }
    if failures > 0 {
        all.push((counted(failures, "store failure"), "instances"));
    }
    all
}

fn operations(n: u64) -> String {
    counted(n, "operation")
}

fn part(span: Span, of: Span) -> f64 {
    span.as_secs_f64() / of.as_secs_f64().max(1e-9)
}

/// Who became master after the first one did.
fn changes_of_master(recorder: &Recorder) -> Option<(String, &'static str)> {
    let instances = recorder.instances().iter();
    let mut masters: Vec<_> = instances
        .flat_map(|instance| {
            let became = instance.roles.iter().filter(|(_, role)| *role == Role::Master);
            became.map(|(at, _)| (*at, instance.id))
        })
        .collect();
    masters.sort_unstable();
    match masters.get(1..)? {
        [] => None,
        [(at, id)] => {
            Some((format!("{id} took over as master at {:.1} s", at.as_secs_f64()), "roles"))
        }
        more => Some((format!("the master changed {} times", grouped(more.len() as u64)), "roles")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn a_failover_is_worth_a_look() {
        let plan = synthetic::plan(60);
        let recorder = synthetic::voyage(&plan).play(Recorder::new(&plan));
        let all = notable(&plan, &recorder);
        let text: Vec<&str> = all.iter().map(|(text, _)| text.as_str()).collect();
        assert!(text[0].ends_with("did not succeed"), "{text:?}");
        assert_eq!(text[1], "i3 took over as master at 35.9 s");
        assert_eq!(text[2], "a heartbeat gap of 11.0 s, time-out 11s");
        assert_eq!(text[3], "1 branch found");
    }

    #[test]
    fn a_quiet_run_has_nothing_to_show() {
        let plan = synthetic::plan(60);
        assert!(notable(&plan, &Recorder::new(&plan)).is_empty());
    }
}
