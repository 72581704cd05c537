use super::*;

/// A cluster whose master dies for good, judged by one expectation.
fn dies(expect: &str) -> Plan {
    let text = format!(
        r#"
format = 1
about = "The master dies."
duration = "40s"
warm_up = "10s"

[cluster.settings]
"ha.heartbeat_interval" = "1s"
"ha.heartbeat_timeout" = "3s"
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.large"

[graph]
generate = {{ kind = "social", users = 100, mean_follows = 5 }}

[[clients]]
name = "app"
arrivals = {{ poisson = "50/s" }}
mix = {{ status = 1 }}
retry = {{ on = ["transient", "connection"], attempts = 5 }}

[[faults]]
at = "20s"
crash = "master"
for = "15s"

[[expect]]
{expect}
"#
    );
    wavetank_scenario::parse("dies.toml", &text)
        .and_then(|scenario| scenario.draw(1, &mut |_| unreachable!("no file is named")))
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

/// Any cluster is slow and silent before it has formed, and silent where nobody asks: no Plan that
/// fails for that is what was asked for.
#[test]
fn a_failure_that_needs_its_faults_keeps_one_that_it_needs() {
    for expect in [
        "check = \"availability\"\nof = \"app.status\"\noutage = { max = \"2s\" }",
        "check = \"latency\"\nof = \"app.status\"\np99 = { max = \"100ms\" }",
    ] {
        let plan = dies(expect);
        assert!(Trials::new(None).play(&control(&plan)).is_none(), "{expect}: of its faults");
        let until = Instant::now() + std::time::Duration::from_secs(5);
        let shrunk = shrink(&plan, Some(until), |_, _, _| {}).expect("it fails");
        let small = &shrunk.plan;
        assert_eq!(small.faults.len(), 1, "{expect}");
        assert!(small.duration < plan.duration, "{expect}");
        assert!(Trials::new(None).play(&control(small)).is_none(), "{expect}: {small:?}");
        if needs_operations(&small.expectations[0].check) {
            assert_eq!(passes::operations(small), None, "its operations are not left out");
        }
    }
}

/// Where it fails without faults, too, nothing tells whether it would an hour later.
#[test]
fn without_a_control_nothing_is_measured_sooner() {
    let mut plan = dies("check = \"latency\"\nof = \"app.status\"\np50 = { max = \"1us\" }");
    plan.faults.clear();
    plan.duration = Span::from_secs(13);
    let until = Instant::now() + std::time::Duration::from_secs(2);
    let shrunk = shrink(&plan, Some(until), |_, _, _| {}).expect("it fails");
    assert_eq!(shrunk.plan.warm_up, plan.warm_up);
}

#[test]
fn thresholds_that_help_to_leave_nothing_out_are_as_they_were() {
    let plan = dies("check = \"latency\"\nof = \"app.status\"\np50 = { max = \"1us\" }");
    for takes in [true, false] {
        let mut shrinker = Shrinker::new(&plan, None, |_: &str, _: &Plan, _: u64| {}).unwrap();
        let before = (shrinker.best.clone(), shrinker.failed.clone());
        shrinker.thresholds();
        assert_eq!(shrinker.best.settings.checkpoint_interval_tx, 1);
        if takes {
            shrinker.trials = Trials::new(Some(Instant::now()));
        } else {
            shrinker.reason.kind = "another".to_owned();
        }
        shrinker.usual_thresholds(before);
        assert_eq!(shrinker.best.settings, plan.settings);
    }
}
