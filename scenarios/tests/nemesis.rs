//! `[[nemesis]]` and `[cluster.ranges]`: what a seed draws into its Plan.

use std::collections::BTreeSet;
use std::path::Path;

use wavetank_scenario::{Plan, parse, to_text};
use wavetank_vocabulary::{FaultKind, Span, Time};
use wavetank_world::Target;

const NEMESIS: &str = r#"
format = 1
duration = "5m"

[cluster.settings]
"ha.pull_interval" = "500ms"

[cluster.ranges]
"ha.pull_interval" = ["100ms", "2s"]
"ha.tx_push_factor" = [0, 2]

[[group]]
count = 5
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "4GiB"

[[nemesis]]
faults = { crash = 2, partition = 1, slow-disk = 1, clock-jump = 1, wipe = 1, balancer-down = 1 }
every = "5s"
for = "1s..20s"
quiet = ["0s..30s", "2m..150s"]
on = ["any", "master", "minority"]
most = 2
swarm = true
budget = "keep-one-copy"
"#;

fn draw(text: &str, seed: u64) -> Plan {
    let scenario = parse("nemesis.toml", text).unwrap_or_else(|errors| panic!("{errors}"));
    let none = &mut |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    scenario.draw(seed, none).expect("no file is needed")
}

#[test]
fn a_plan_holds_all_that_was_drawn_and_reads_back() {
    for seed in 0..20 {
        let plan = draw(NEMESIS, seed);
        let text = to_text(&plan);
        assert!(!text.contains("nemesis"), "a Plan has faults only");
        assert_eq!(draw(&text, seed), plan, "{text}");
    }
}

#[test]
fn the_drawn_faults_of_a_seed() {
    let text = to_text(&draw(NEMESIS, 7));
    let from = text.find("[[faults]]").expect("faults were drawn");
    let to = text.find("[monitor]").expect("what follows");
    insta::assert_snapshot!(&text[from..to]);
}

#[test]
fn faults_keep_to_their_times_and_numbers() {
    let (mut kinds, mut settings) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..60 {
        let plan = draw(NEMESIS, seed);
        let mut of_this = BTreeSet::new();
        let spans: Vec<(Time, Time)> = plan
            .faults
            .iter()
            .map(|fault| (fault.at, fault.at + fault.lasts.expect("each ends")))
            .collect();
        for (fault, (from, to)) in plan.faults.iter().zip(&spans) {
            of_this.insert(fault.kind);
            assert!(fault.spares_copy);
            let at = |seconds| Time::ZERO + Span::from_secs(seconds);
            assert!(*from >= at(30) && *to <= at(300));
            assert!(*to <= at(120) || *from >= at(150), "quiet: {from} to {to}");
            let others = spans.iter().filter(|(a, b)| a <= from && from < b).count();
            assert!(others <= 2, "{others} at once");
        }
        let ids: BTreeSet<_> = plan.faults.iter().map(|fault| fault.id).collect();
        assert_eq!(ids.len(), plan.faults.len());
        settings.insert((plan.settings.pull_interval, plan.settings.tx_push_factor));
        kinds.insert(of_this);
    }
    assert!(kinds.len() > 20, "swarm: seeds differ in their kinds");
    let all: BTreeSet<FaultKind> = kinds.into_iter().flatten().collect();
    assert_eq!(all.len(), 6);
    assert!(settings.len() > 50);
    let pulls = settings.iter().map(|(pull, _)| *pull);
    assert!(pulls.clone().all(|p| p >= Span::from_millis(100) && p <= Span::from_secs(2)));
    assert_eq!(settings.iter().map(|(_, push)| push).collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn windows_of_quiet_that_meet_or_overlap_are_one() {
    let quiet = "[\"40s..1m\", \"0s..20s\", \"20s..40s\", \"50s..70s\", \"2m..150s\"]";
    let meeting = NEMESIS.replace("[\"0s..30s\", \"2m..150s\"]", quiet);
    assert_ne!(meeting, NEMESIS);
    for seed in 0..20 {
        let faults = draw(&meeting, seed).faults;
        assert!(!faults.is_empty());
        for fault in faults {
            assert!(fault.at >= Time::ZERO + Span::from_secs(70), "seed {seed}: {}", fault.at);
        }
        let one = NEMESIS.replace("\"0s..30s\"", "\"0s..70s\"");
        assert_eq!(draw(&meeting, seed).faults, draw(&one, seed).faults);
    }
}

#[test]
fn faults_can_wait_for_what_no_clock_time_finds() {
    let waiting = NEMESIS.replace(
        "\"minority\"]",
        "\"trigger\"]\nwhen = [\"to-master begins\", \"store-copy begins\"]",
    );
    let mut seen = BTreeSet::new();
    for seed in 0..20 {
        let (plan, timed) = (draw(&waiting, seed), draw(NEMESIS, seed));
        assert_eq!(draw(&to_text(&plan), seed), plan);
        for (fault, other) in plan.faults.iter().zip(&timed.faults) {
            assert_eq!((fault.at, fault.kind), (other.at, other.kind), "the rest is as it was");
            let (trigger, after) = fault.when.expect("each waits");
            assert_eq!(after, Span::ZERO);
            seen.insert((trigger.name(), fault.target == Target::Trigger));
        }
    }
    assert_eq!(seen.len(), 4, "both events, on who has them and on others: {seen:?}");
}

#[test]
fn what_is_wrong_is_told() {
    let wrong = |from: &str, to: &str| {
        let text = NEMESIS.replace(from, to);
        assert_ne!(text, NEMESIS, "{from}");
        match parse("nemesis.toml", &text) {
            Ok(_) => panic!("this should be wrong: {to}"),
            Err(errors) => errors.to_string(),
        }
    };
    let all = [
        wrong("crash = 2", "crahs = 2"),
        wrong("crash = 2", "wrong-hosts = 2"),
        wrong("every = \"5s\"", "every = \"0s\""),
        wrong("\"2m..150s\"", "\"150s..2m\""),
        wrong("[0, 2]", "[2, 0]"),
        wrong("[0, 2]", "2"),
        wrong("\"minority\"", "\"minorty\""),
        wrong("\"minority\"", "\"trigger\""),
        wrong("most = 2", "most = 2\nwhen = [\"store-copy bgins\"]"),
        wrong("keep-one-copy", "keep-two"),
        wrong("most = 2", "most = 0"),
        wrong("quiet = [\"0s..30s\"", "quiet = [\"150s..5m\", \"0s..2m\""),
        wrong("for = \"1s..20s\"", "for = \"10ms..50ms\""),
        wrong("every = \"5s\"\nfor = \"1s..20s\"", "every = \"10ms..20ms\"\nfor = \"100ms\""),
    ];
    insta::assert_snapshot!(all.join("\n"));
}
