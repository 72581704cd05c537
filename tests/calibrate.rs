//! `wavetank calibrate` and `wavetank compare`, through the front door.

mod support;

use std::fs;

use support::{Folder, run};

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
