//! A cluster under the load of this application, tried with many seeds.

use std::collections::BTreeMap;

use ci_test::{POST_EVERY, author};
use wavetank::{
    Call, Check, Classes, Fact, Finding, InstanceId, Observer, OperationOutcome, Plan, Seq, Span,
    Stream, Time, Turn, Workload,
};

/// A scenario of wavetank's own library.
#[test]
fn a_slave_may_crash() {
    wavetank::scenario("quick/slave-crash").seeds(0..20).check();
}

/// A file of this crate, with a value changed.
#[test]
fn the_timeline_survives_a_slow_pull_interval() {
    wavetank::scenario("scenarios/timeline.toml").set("ha.pull_interval=2s").seeds(0..20).check();
}

/// Posts and reads as the application orders them.
#[derive(Clone, Debug)]
struct Timeline;

impl Workload for Timeline {
    fn operations(&self) -> &[&str] {
        &["home_stream", "post"]
    }

    fn next(&mut self, turn: &Turn, stream: &mut Stream) -> Option<Call> {
        let posts = turn.index % POST_EVERY == 0;
        let me = match posts {
            true => author(turn.index / POST_EVERY, turn.users),
            false => stream.below(turn.users),
        };
        Some(Call { operation: usize::from(posts), me, other: (me + 1) % turn.users })
    }
}

/// Every instance that is there takes its part of the reads, and no write takes too long.
#[derive(Clone, Debug, Default)]
struct FairShare {
    writes: Vec<usize>,
    slowest: Span,
    answered: BTreeMap<InstanceId, u32>,
}

impl Observer for FairShare {
    fn interests(&self) -> Classes {
        Classes::OPERATIONS
    }

    fn observe(&mut self, at: Time, _: Seq, fact: &Fact) {
        let Fact::Completed { kind, outcome, instance, intended, .. } = *fact else { return };
        if outcome != OperationOutcome::Ok {
            return;
        }
        if self.writes.contains(&kind.index()) {
            self.slowest = self.slowest.max(at.since(intended));
        } else if let Some(instance) = instance {
            *self.answered.entry(instance).or_default() += 1;
        }
    }
}

impl Check for FairShare {
    fn name(&self) -> &str {
        "fair-share"
    }

    fn begin(&mut self, plan: &Plan) {
        let programs = plan.operations.iter().enumerate();
        self.writes = programs.filter(|(_, p)| p.writes()).map(|(kind, _)| kind).collect();
    }

    fn finish(&self) -> Finding {
        let least = self.answered.values().min().copied().unwrap_or(0);
        if self.answered.len() < 2 {
            return Finding::not_exercised("Fewer than two instances answered reads.");
        }
        if self.slowest > Span::from_secs(30) {
            let slowest = self.slowest.to_string();
            return Finding::broke(format!("A write took {slowest}.")).measured(slowest, "30s");
        }
        match least {
            0..50 => Finding::broke(format!("One instance answered {least} reads only.")),
            _ => Finding::held(format!("Each answered {least} reads or more.")),
        }
    }
}

#[test]
fn the_timeline_is_read_from_all_slaves() {
    wavetank::scenario("scenarios/timeline.toml")
        .workload("app", Timeline)
        .expect(FairShare::default())
        .seeds(0..10)
        .check();
}

/// What a test says that fails: which seed, why, and how to see it again.
#[test]
fn a_failure_can_be_seen_again() {
    let failed = std::panic::catch_unwind(|| {
        wavetank::scenario("scenarios/timeline.toml")
            .set("faults.1.crash=master")
            .set("expect.3.within=1s")
            .seeds(0..3)
            .keep(env!("CARGO_TARGET_TMPDIR"))
            .check();
    });
    let text = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(text.contains("3 of 3 seeds of scenarios/timeline.toml failed"), "{text}");
    assert!(text.contains("WAVETANK_SEEDS=0 cargo test -- --exact a_failure_can_be"), "{text}");
    assert!(text.contains("wavetank run scenarios/timeline.toml --seed 0 --set "), "{text}");
    println!("{text}");
}
