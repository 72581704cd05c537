//! The command as people use it: what it leaves, what it says, how it ends.

mod support;

use std::fs;

use support::{Folder, run, wavetank};

const CALM: &str = r#"
format = 1
about = "Three instances, a light load, no trouble."
duration = "40s"
warm_up = "10s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = { size = "300GB" }

[graph]
generate = { kind = "social", users = 300, mean_follows = 10 }

[[clients]]
name = "app"
arrivals = { poisson = "60/s" }
workload = "social"
mix = { home_stream = 60, profile = 20, follow = 10, status = 8, sign_up = 2 }
routing = { by = "reads-to-slaves" }

[[expect]]
check = "replicas-equal"
"#;

#[test]
fn a_run_that_holds_leaves_its_results_and_exits_with_0() {
    let folder = Folder::with("calm.toml", CALM);
    let out = folder.path("out");
    let done = run(&["run", &folder.path("calm.toml"), "--out", &out, "--seed", "7"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("held"), "{}", done.stdout);
    assert!(done.stdout.contains("report.html"), "{}", done.stdout);
    let result: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(format!("{out}/result.json")).unwrap()).unwrap();
    for key in [
        "schema",
        "version",
        "scenario",
        "seed",
        "digest",
        "verdict",
        "expectations",
        "operations",
        "instances",
        "faults",
        "simulated_seconds",
        "wall_seconds",
        "events",
    ] {
        assert!(result.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(result["verdict"], "held");
    assert_eq!(result["seed"], 7);
    assert!(result["operations"]["app.profile"]["p50_ms"].as_f64().unwrap() > 0.0);
    let report = fs::read_to_string(format!("{out}/report.html")).unwrap();
    assert!(report.contains("<svg"));
    assert!(!report.contains("src=\"http"), "the report loads something from outside");
    assert!(fs::read_to_string(format!("{out}/series.csv")).unwrap().lines().count() > 10);
}

#[test]
fn a_result_tells_how_long_to_wait_before_reading_elsewhere() {
    let slow = CALM.replace("60/s", "200/s").replace("500ms", "2s").replace("40s", "100s");
    let careful = slow.replace("reads-to-slaves", "all-to-master");
    let measured = [slow, careful].map(|text| {
        let folder = Folder::with("routed.toml", &text);
        let out = folder.path("out");
        let done = run(&["run", &folder.path("routed.toml"), "--out", &out, "--json"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let queues = json["queues"].as_array().unwrap();
        assert_eq!(queues.len(), 12, "cores, disk, locks and links of three machines");
        assert!(queues.iter().all(|queue| queue["little_holds"] == true), "{queues:?}");
        let app = &json["visibility"]["app"];
        let csv = fs::read_to_string(format!("{out}/figures/visibility.csv")).unwrap();
        let stale: u64 = csv
            .lines()
            .skip(1)
            .map(|row| row.rsplit(',').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(app["stale"], stale, "the figure's numbers are the result's");
        let report = fs::read_to_string(format!("{out}/report.html")).unwrap();
        assert!(report.contains("Stale reads by age"));
        (stale, app["window_99_ms"].as_f64().expect("there are reads enough"))
    });
    let [(stale, window), (none, at_once)] = measured;
    // A slave that nothing is pushed to knows of a write after two seconds at the latest.
    assert!(stale > 100 && (1_500.0..2_400.0).contains(&window), "{stale} stale, {window} ms");
    assert_eq!((none, at_once), (0, 0.0), "the master knows all");
}

#[test]
fn the_plan_that_a_run_leaves_replays_to_the_same_digest() {
    let folder = Folder::with("calm.toml", CALM);
    let digest = |file: &str, out: &str| {
        let out = folder.path(out);
        let done = run(&["run", file, "--seed", "3", "--json", "--out", &out]);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        json["digest"].as_str().unwrap().to_owned()
    };
    let first = digest(&folder.path("calm.toml"), "one");
    let plan = run(&["plan", &folder.path("calm.toml"), "--seed", "3"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert_eq!(plan.stdout, fs::read_to_string(folder.path("one/plan.toml")).unwrap());
    fs::write(folder.path("calm-plan.toml"), plan.stdout).unwrap();
    assert_eq!(digest(&folder.path("calm-plan.toml"), "two"), first);
}

#[test]
fn an_expectation_that_breaks_exits_with_1_and_says_how_to_see_it_again() {
    let strict = format!(
        "{CALM}\n[[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = {{ max = \"1us\" }}\n"
    );
    let folder = Folder::with("strict.toml", &strict);
    let done =
        run(&["run", &folder.path("strict.toml"), "--out", &folder.path("out"), "--seed", "2"]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("broke"), "{}", done.stdout);
    let capsule = fs::read_to_string(folder.path("out/failure.txt")).unwrap();
    assert!(capsule.contains("latency app: broke") && capsule.contains("--seed 2"), "{capsule}");
    assert!(done.stdout.contains("--seed 2"), "{}", done.stdout);
}

#[test]
fn an_expectation_that_nothing_exercised_counts_as_broken() {
    let idle = format!("{CALM}\n[[expect]]\ncheck = \"recovers\"\nwithin = \"30s\"\n");
    let folder = Folder::with("idle.toml", &idle);
    let done = run(&["run", &folder.path("idle.toml"), "--out", &folder.path("out")]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    assert!(done.stdout.contains("not-exercised"), "{}", done.stdout);
}

#[test]
fn a_cluster_that_cannot_recover_exits_with_3_and_says_what_it_waited_for() {
    // Pulls are off and a commit is pushed to one slave of two: the other stays behind.
    let folder = Folder::with("behind.toml", CALM);
    let done = run(&[
        "run",
        &folder.path("behind.toml"),
        "--out",
        &folder.path("out"),
        "--set",
        "ha.pull_interval=0s",
    ]);
    assert_eq!(done.code, 3, "{}", done.stdout);
    assert!(done.stdout.contains("at transaction"), "{}", done.stdout);
}

#[test]
fn a_campaign_plays_every_seed_and_its_digest_does_not_depend_on_workers() {
    let folder = Folder::with("calm.toml", CALM);
    let campaign = |jobs: &str| {
        let file = folder.path("calm.toml");
        let done = run(&["test", &file, "--seeds", "0..4", "--jobs", jobs, "--json"]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(json["runs"], 4);
        json["digest"].as_str().unwrap().to_owned()
    };
    assert_eq!(campaign("1"), campaign("2"));
}

#[test]
fn a_determinism_check_of_a_sound_build_passes() {
    let folder = Folder::with("calm.toml", CALM);
    let done = run(&[
        "run",
        &folder.path("calm.toml"),
        "--check-determinism",
        "--out",
        &folder.path("out"),
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("deterministic: two runs"), "{}", done.stderr);
    let other = |command: &str| {
        let calm = folder.path("calm.toml");
        let out = folder.path("out");
        run(&["run", &calm, "--check-determinism", "--against", command, "--out", &out])
    };
    let same = other(env!("CARGO_BIN_EXE_wavetank"));
    assert!(same.stderr.contains("deterministic: two runs"), "{}", same.stderr);
    let strange = other("/bin/true");
    assert_eq!(strange.code, 2, "{}", strange.stderr);
    assert!(strange.stderr.contains("wrote no trail"), "{}", strange.stderr);
}

/// Wrong input: a message, exit code 2, nothing left behind.
#[test]
fn wrong_input_is_answered_and_leaves_nothing() {
    let folder = Folder::with("calm.toml", CALM);
    let calm = folder.path("calm.toml");
    fs::write(folder.path("broken.toml"), "format = 1\nabout = \n").unwrap();
    fs::write(folder.path("unknown.toml"), CALM.replace("warm_up", "warmup")).unwrap();
    fs::write(folder.path("unit.toml"), CALM.replace("\"40s\"", "\"40 parsecs\"")).unwrap();
    fs::write(folder.path("huge.toml"), CALM.replace("count = 3", "count = 1000000000")).unwrap();
    fs::write(folder.path("edges.txt"), "1 2\n3 four\n").unwrap();
    let with_edges = CALM.replace(
        "generate = { kind = \"social\", users = 300, mean_follows = 10 }",
        "edges = \"edges.txt\"",
    );
    fs::write(folder.path("edges.toml"), &with_edges).unwrap();
    let out = folder.path("out");
    let base = folder.path("");
    for (arguments, needle) in [
        (vec!["run", "nowhere.toml"], "nowhere.toml"),
        (vec!["run", base.as_str()], "folder"),
        (vec!["run", &folder.path("broken.toml")], "broken.toml:2"),
        (vec!["run", &folder.path("unknown.toml")], "warm_up"),
        (vec!["run", &folder.path("unit.toml")], "parsecs"),
        (vec!["run", &folder.path("huge.toml")], "count"),
        (vec!["run", &folder.path("edges.toml")], "edges.txt:2"),
        (vec!["run", &calm, "--seed", "seven"], "seven"),
        (vec!["run", &calm, "--seed", "18446744073709551616"], "is not a seed"),
        (vec!["run", &calm, "--set", "clients.app.arrivals.poisson=9000000/s"], "out of range"),
        (vec!["run", &calm, "--set", "ha.pull_interval=1ns"], "at least 1ms"),
        (vec!["run", &calm, "--set", "ha.pull_intervall=1s"], "ha.pull_interval"),
        (vec!["run", &calm, "--set", "nonsense"], "nonsense"),
        (vec!["test", &calm, "--seeds", "5..5"], "5..5"),
        (vec!["run"], "SCENARIO"),
        (vec!["sail"], "sail"),
    ] {
        let mut arguments: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        if arguments[0] == "run" {
            arguments.extend(["--out".to_owned(), out.clone()]);
        }
        let done = wavetank(&arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(needle), "{arguments:?} lacks {needle:?}:\n{}", done.stderr);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        assert_eq!(done.stdout, "", "{arguments:?}");
    }
    let left: Vec<_> = fs::read_dir(&base)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".toml") && name != "edges.txt")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_output_folder_that_is_not_ours_is_refused_before_anything_is_played() {
    let folder = Folder::with("calm.toml", CALM);
    fs::create_dir(folder.path("mine")).unwrap();
    fs::write(folder.path("mine/thesis.txt"), "years of work").unwrap();
    let done = run(&["run", &folder.path("calm.toml"), "--out", &folder.path("mine")]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("not made by wavetank"), "{}", done.stderr);
    assert_eq!(fs::read_dir(folder.path("mine")).unwrap().count(), 1);
    let around = folder.path("new/../mine");
    let done = run(&["run", &folder.path("calm.toml"), "--out", &around]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(fs::exists(folder.path("mine/thesis.txt")).unwrap());
    let file = folder.path("calm.toml/out");
    let done = run(&["run", &folder.path("calm.toml"), "--out", &file]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(!done.stderr.contains("panicked"));
}

#[test]
fn results_of_an_earlier_run_are_replaced() {
    let folder = Folder::with("calm.toml", CALM);
    let file = folder.path("calm.toml");
    let out = folder.path("out");
    for seed in ["1", "2"] {
        let done = run(&["run", &file, "--out", &out, "--seed", seed]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let json = fs::read_to_string(format!("{out}/result.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["seed"].to_string(), seed);
    }
}
