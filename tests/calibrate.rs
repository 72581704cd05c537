//! `wavetank calibrate` and `wavetank compare`, through the front door; and the calibration itself,
//! which needs the command for its node.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use support::{Folder, run};
use wavetank::calibrate::{CalibrateError, MARK, calibrate};
use wavetank_vocabulary::Span;
use wavetank_world::Distribution;

/// The command that runs nodes.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_wavetank"))
}

const SMALL: &str = r#"
format = 1
duration = "20s"
warm_up = "5s"
[cluster.settings]
"ha.pull_interval" = "500ms"
[[group]]
count = 3
machine = "aws:r3.xlarge"
heap = "8GiB"
page_cache = "12GiB"
[graph]
generate = { kind = "social", users = 200, mean_follows = 5 }
[[clients]]
name = "app"
arrivals = { poisson = "100/s" }
mix = { profile = 4, status = 1 }
"#;

#[test]
fn a_machine_is_measured_and_its_profile_is_played_with() {
    let folder = Folder::with("small.toml", SMALL);
    let (scenario, profile) = (folder.path("small.toml"), folder.path("profile.toml"));
    let arguments = ["calibrate", "--seconds", "1", "--out", &profile, "--dir", &folder.path("")];
    let measured = run(&arguments);
    assert_eq!(measured.code, 0, "{}", measured.stderr);
    for figure in ["cores", "sync", "HTTP request", "neighbours of a node, hot"] {
        assert!(measured.stdout.contains(figure), "{figure}: {}", measured.stdout);
    }
    let left: Vec<_> = fs::read_dir(folder.path("")).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(run(&arguments).code, 0, "its own profile is replaced");
    let refused = run(&["calibrate", "--seconds", "1", "--out", &scenario]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("was not written by this command"), "{}", refused.stderr);

    let set = format!("profile={profile}");
    let plan = run(&["plan", &scenario, "--set", &set]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("name = \"calibrated\""), "{}", plan.stdout);
    let out = folder.path("out");
    let played = run(&["run", &scenario, "--set", &set, "--out", &out]);
    assert_eq!(played.code, 0, "{}{}", played.stdout, played.stderr);
    let page = fs::read_to_string(folder.path("out/report.html")).expect("there is a report");
    assert!(page.contains("These figures were calibrated"));
}

#[test]
fn results_are_set_side_by_side() {
    let folder = Folder::with("small.toml", SMALL);
    let scenario = folder.path("small.toml");
    let play = |seed: usize, set: &str| {
        let out = folder.path(&format!("{set}-{seed}"));
        let seed = seed.to_string();
        let done = run(&["run", &scenario, "--seed", &seed, "--set", set, "--out", &out]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        out
    };
    let base: Vec<String> = (0..3).map(|seed| play(seed, "costs.step=150us")).collect();
    let slow: Vec<String> = (0..3).map(|seed| play(seed, "costs.step=1500us")).collect();
    let html = folder.path("compare.html");
    let compare = |with: &[String], more: &[&str]| {
        let mut arguments = vec!["compare", &base[0], &base[1], &base[2], "--with"];
        arguments.extend(with.iter().map(String::as_str));
        arguments.extend(more);
        run(&arguments)
    };
    let same = compare(&base, &["--goals"]);
    assert_eq!(same.code, 0, "{}{}", same.stdout, same.stderr);
    assert!(same.stdout.contains("app.profile p50 [ms]"), "{}", same.stdout);
    assert!(same.stdout.contains("is given as real, and is not"), "{}", same.stdout);
    assert!(!same.stdout.contains("the verdict on"), "{}", same.stdout);
    let far = compare(&slow, &["--goals", "--html", &html]);
    assert_eq!(far.code, 1);
    assert!(far.stderr.contains("beyond the goals: app p50 [ms]"), "{}", far.stderr);
    let page = fs::read_to_string(&html).expect("a page was written");
    assert_eq!(page.matches("<svg").count(), 2);
    let again = compare(&slow, &["--html", &html]);
    assert_eq!(again.code, 2, "never over a file that is there");
    let json: serde_json::Value =
        serde_json::from_str(&compare(&slow, &["--json"]).stdout).expect("it is JSON");
    assert_eq!((&json["real_runs"], &json["simulated_runs"]), (&3.into(), &3.into()));
    assert_eq!(run(&["compare", &scenario, "--with", &base[0]]).code, 2);
    assert_eq!(run(&["compare", &base[0]]).code, 2);
}

#[test]
fn what_is_measured_is_a_profile_that_a_scenario_takes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut told = 0;
    let time = Duration::from_millis(500);
    let found = calibrate(program(), folder.path(), 2, time, &mut |_| told += 1, &|| true);
    let found = found.expect("it can be measured");
    assert_eq!(told, 6);
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "it cleans up");
    for times in [
        found.sync,
        found.read_cached,
        found.commit,
        found.round_trip,
        found.http,
        found.request,
        found.write,
    ] {
        assert!(times.samples > 0 && times.p50 <= times.p99 && !times.p50.is_zero(), "{times:?}");
    }
    let profile = found.to_toml();
    assert!(profile.starts_with(MARK));
    let scenario = "format = 1\nduration = \"10s\"\nprofile = \"mine.toml\"\n[[group]]\n\
                    count = 3\nmachine = \"aws:r3.xlarge\"\nvolume = { iops = 300 }\n";
    let mut read = |path: &std::path::Path| {
        assert_eq!(path, std::path::Path::new("mine.toml"));
        Ok(profile.clone().into_bytes())
    };
    let scenario = wavetank_scenario::parse_with("x.toml", scenario.as_bytes(), &[], &mut read);
    let scenario = scenario.unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let plan = scenario.draw(1, &mut |_| unreachable!("no edge list")).expect("it can be drawn");
    assert_eq!(plan.costs.name, "calibrated");
    assert_eq!(plan.costs.record, found.costs.record);
    assert_eq!(plan.instances[0].cores as usize, found.cores);
    // A simulated read of a page occupies the disk for an operation's time, and then takes its
    // latency: that together is what was measured.
    let volume = &plan.instances[0].volume;
    let Distribution::Quantiles(latencies) = volume.access else { panic!("{:?}", volume.access) };
    let occupies = Span::from_nanos(1_000_000_000 / u64::from(volume.iops));
    let measured = found.read.unwrap_or(found.read_cached).quantiles;
    for (latency, measured) in latencies.into_iter().zip(measured) {
        let together = latency + occupies;
        let within = measured.max(occupies) + Span::from_micros(10);
        assert!(measured <= together && together <= within, "{together} for {measured}");
    }
    // What a write takes beside its request and its push are the syncs of two nodes.
    assert!(matches!(volume.sync, Distribution::Quantiles(_)), "{:?}", volume.sync);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let ended =
        calibrate(program(), folder.path(), 1, Duration::from_secs(9), &mut |_| {}, &|| false);
    assert!(matches!(ended, Err(CalibrateError::Interrupted)), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
}
