//! What somebody new meets: a first scenario, its errors and warnings, lists, comparisons,
//! and an end by Ctrl-C.

mod support;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{Done, Folder, command, done, run};

/// Runs in a folder, as people do.
fn within(folder: &Folder, arguments: &[&str]) -> Done {
    let output = command()
        .args(arguments)
        .current_dir(folder.path("."))
        .output()
        .expect("the built command can be run");
    done(&output)
}

fn verdict(folder: &Folder, out: &str) -> serde_json::Value {
    let text = fs::read_to_string(folder.path(&format!("{out}/result.json"))).expect("a result");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn from_a_first_scenario_to_a_failing_expectation_understood() {
    let folder = Folder::with("mark", "");
    let made = within(&folder, &["new", "mine"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("wavetank run mine.toml"), "{}", made.stdout);

    let checked = within(&folder, &["check-scenario", "mine.toml", "--strict"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stdout.contains("requests"), "{}", checked.stdout);

    let held = within(&folder, &["run", "mine.toml", "--out", "held"]);
    assert_eq!(held.code, 0, "{}{}", held.stdout, held.stderr);

    let set = "expect.3.p99.max=1ms";
    let broke = within(&folder, &["run", "mine.toml", "--set", set, "--out", "broke"]);
    assert_eq!(broke.code, 1, "{}{}", broke.stdout, broke.stderr);
    assert!(broke.stdout.contains("broke"), "{}", broke.stdout);
    assert!(broke.stdout.contains(&format!("--set {set}")), "{}", broke.stdout);
    let report = fs::read_to_string(folder.path("broke/report.html")).expect("a report");
    assert!(report.contains("above 1ms"), "the report says what broke");

    // Nothing is written over.
    let again = within(&folder, &["new", "mine"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

#[test]
fn names_of_scenarios_that_cannot_be_are_refused() {
    let folder = Folder::with("mark", "");
    for name in ["", "a b", "x.yaml", "no/such/folder/x"] {
        let made = within(&folder, &["new", name]);
        assert_eq!(made.code, 2, "{name}: {}", made.stdout);
        assert!(!made.stderr.contains("panicked"), "{}", made.stderr);
    }
    assert_eq!(fs::read_dir(folder.path(".")).expect("the folder").count(), 1);
}

#[test]
fn the_library_is_played_by_name_from_anywhere() {
    let folder = Folder::with("mark", "");
    let played = within(&folder, &["run", "slave-crash", "--json", "--out", "out"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    assert_eq!(verdict(&folder, "out")["scenario"], "slave-crash");
    let tested = within(&folder, &["test", "quick", "--seeds", "0..1"]);
    assert!(tested.stdout.contains("5 of 5 runs held"), "{}", tested.stdout);
    let wrong = within(&folder, &["run", "slave-crsh"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("a similar one is `slave-crash`"), "{}", wrong.stderr);
    let copied = within(&folder, &["new", "storm2", "--from", "storm"]);
    assert_eq!(copied.code, 0, "{}", copied.stderr);
}

#[test]
fn regrets_are_told_and_a_strict_check_fails_on_them() {
    let text = "format = 1\nduration = \"10s\"\n[[group]]\ncount = 2\nmachine = \"aws:r3.large\"\n";
    let folder = Folder::with("two.toml", text);
    let checked = within(&folder, &["check-scenario", "two.toml"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(checked.stderr.contains("two instances cannot outvote each other"));
    assert!(checked.stderr.contains("two.toml:4:1"), "{}", checked.stderr);
    assert_eq!(within(&folder, &["check-scenario", "two.toml", "--strict"]).code, 2);
    let played = within(&folder, &["run", "two.toml", "--out", "out"]);
    assert!(played.stderr.contains("slaves never pull"), "{}", played.stderr);
    let report = fs::read_to_string(folder.path("out/report.html")).expect("a report");
    assert!(report.contains("slaves never pull"), "the report tells regrets, too");
}

#[test]
fn a_configuration_file_is_read_as_it_is() {
    let text = "format = 1\nduration = \"10s\"\n[cluster]\nneo4j_conf = \"conf/neo4j.properties\"\n\
                [[group]]\ncount = 3\nmachine = \"aws:r3.large\"\n";
    let folder = Folder::with("conf.toml", text);
    fs::create_dir(folder.path("conf")).expect("a folder");
    let conf = "# shipped\nha.server_id=1\nha.pull_interval=10\ndbms.pagecache.memory=4g\n\
                wrapper.java.maxmemory=8192\n";
    fs::write(folder.path("conf/neo4j.properties"), conf).expect("a file");
    let played = within(&folder, &["run", "conf.toml", "--out", "out"]);
    assert!(played.stderr.contains("has no effect here"), "{}", played.stderr);
    assert!(!played.stderr.contains("slaves never pull"), "{}", played.stderr);
    let result = verdict(&folder, "out");
    let pull = &result["settings"]["ha.pull_interval"];
    assert_eq!(pull["value"], "10s");
    assert_eq!(pull["origin"], "conf/neo4j.properties:3");
}

#[test]
fn what_changed_between_two_results_is_told_and_gated() {
    let folder = Folder::with("mark", "");
    let play = |out: &str, sets: &[&str]| {
        let mut arguments = vec!["run", "slave-crash", "--out", out];
        for set in sets {
            arguments.extend(["--set", set]);
        }
        assert_eq!(within(&folder, &arguments).code, 0);
    };
    play("base", &[]);
    play("same", &[]);
    play("slow", &["group.1.volume.sync=20ms", "ha.tx_push_factor=2"]);

    let same = within(&folder, &["diff", "base", "same", "--gate", "0%"]);
    assert_eq!(same.code, 0, "{}", same.stdout);
    assert!(same.stdout.contains("The same run, to the last bit."), "{}", same.stdout);

    let slow = within(&folder, &["diff", "base", "slow/result.json", "--gate", "5%"]);
    assert_eq!(slow.code, 1, "{}", slow.stdout);
    assert!(slow.stdout.contains("ha.tx_push_factor"), "{}", slow.stdout);
    assert!(slow.stdout.contains("worse"), "{}", slow.stdout);
    assert!(slow.stdout.lines().all(|line| line.chars().count() <= 80), "{}", slow.stdout);
    assert_eq!(within(&folder, &["diff", "base", "slow"]).code, 0, "no gate, no failure");
    // The other way round everything is better.
    let fast = within(&folder, &["diff", "slow", "base", "--gate", "5%"]);
    assert_eq!(fast.code, 0, "{}", fast.stdout);

    let json = within(&folder, &["diff", "base", "slow", "--json", "--html", "diff.html"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(json["worst"].as_f64().is_some_and(|worst| worst > 0.05), "{json}");
    let page = fs::read_to_string(folder.path("diff.html")).expect("a page");
    assert!(page.contains("ha.tx_push_factor") && !page.contains("http"), "{page}");

    let gate = within(&folder, &["diff", "base", "slow", "--gate", "5"]);
    assert_eq!(gate.code, 2, "5 is 500 %");
    assert!(gate.stderr.contains("write `5%`"), "{}", gate.stderr);
    for wrong in [["diff", "base", "nowhere"], ["diff", "mark", "base"]] {
        let told = within(&folder, &wrong);
        assert_eq!(told.code, 2, "{wrong:?}: {}", told.stdout);
        assert!(told.stderr.contains("cannot read"), "{}", told.stderr);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_what_it_has_and_says_so() {
    let folder = Folder::with("mark", "");
    let child = command()
        .args(["run", "quickstart", "--set", "duration=20h", "--out", "out"])
        .current_dir(folder.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the built command can be run");
    std::thread::sleep(Duration::from_secs(3));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.expect("kill can be run").success());
    let ended = done(&child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, 75, "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stderr.contains("interrupted"), "{}", ended.stderr);
    let result = verdict(&folder, "out");
    assert_eq!(result["partial"], true);
    assert!(result["simulated_seconds"].as_f64().is_some_and(|s| s > 1.0 && s < 72_000.0));
    let report = fs::read_to_string(folder.path("out/report.html")).expect("a report");
    assert!(report.contains("nterrupted at"), "the page says so");
    // A run that was broken off is not judged.
    for expectation in result["expectations"].as_array().expect("a list") {
        assert_eq!(expectation["verdict"], "not-exercised", "{expectation}");
    }
    assert!(!fs::exists(folder.path("out/failure.txt")).expect("a look"));
    let gated = within(&folder, &["diff", "out", "out", "--gate", "5%"]);
    assert_eq!(gated.code, 2, "{}", gated.stdout);
    assert!(gated.stderr.contains("interrupted"), "{}", gated.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupted_campaign_ends_at_once_and_counts_what_was_over() {
    let folder = Folder::with("mark", "");
    let child = command()
        .args(["test", "quick", "--seeds", "0..3000", "--json", "--out", "out"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(folder.path("."))
        .spawn()
        .expect("the built command can be run");
    std::thread::sleep(Duration::from_secs(3));
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("kill can be run").success());
    let asked = std::time::Instant::now();
    let ended = done(&child.wait_with_output().expect("it ends"));
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(json["ended"], "interrupted");
    // What it leaves is whole, and a second start goes on from there.
    let left = fs::read_to_string(folder.path("out/result.json")).expect("a result is left");
    assert_eq!(left, ended.stdout);
    assert!(fs::exists(folder.path("out/seeds/slave-crash/0.json")).expect("a look"));
    assert!(json["runs"].as_u64().is_some_and(|runs| runs < 9_000), "{json}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_not_passed_over() {
    for arguments in [vec!["list", "checks"], vec!["plan", "quickstart"], vec!["schema"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let output = command().args(&arguments).stdout(full).output().expect("it runs");
        assert_eq!(output.status.code(), Some(75), "{arguments:?}");
    }
}

#[test]
fn a_folder_left_over_from_long_ago_does_not_cost_a_run() {
    let folder = Folder::with("mark", "");
    fs::create_dir(folder.path(".q.earlier")).expect("a folder");
    fs::write(folder.path(".q.earlier/x"), "x").expect("a file");
    for _ in 0..2 {
        let played = within(&folder, &["run", "slave-crash", "--out", "q"]);
        assert_eq!(played.code, 0, "{}", played.stderr);
    }
    assert!(fs::exists(folder.path(".q.earlier/x")).expect("a look"));
    // A folder of a scenario's name does not hide the scenario.
    let played = within(&folder, &["run", "slave-crash", "--out", "slave-crash"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
    let played = within(&folder, &["run", "slave-crash", "--out", "q"]);
    assert_eq!(played.code, 0, "{}", played.stderr);
}

#[test]
fn lists_and_schemas_are_what_they_should_be() {
    for (what, needle) in [
        ("settings", "ha.tx_push_factor"),
        ("checks", "acknowledged-writes-lost"),
        ("faults", "power-loss"),
        ("profiles", "aws:r3.xlarge"),
        ("scenarios", "quickstart"),
        ("reference", "## Settings"),
    ] {
        let listed = run(&["list", what]);
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        assert!(listed.stdout.contains(needle), "{what}: {}", listed.stdout);
    }
    assert_eq!(run(&["list", "setings"]).code, 2);
    for of in ["scenario", "result"] {
        let schema = run(&["schema", of]);
        let json: serde_json::Value = serde_json::from_str(&schema.stdout).expect("JSON");
        assert_eq!(json["$schema"], "https://json-schema.org/draft/2020-12/schema", "{of}");
    }
}

#[test]
fn completions_are_scripts_that_their_shells_read() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, 0, "{}", script.stderr);
        let mut check = match Command::new(shell).arg("-n").stdin(Stdio::piped()).spawn() {
            Ok(check) => check,
            Err(error) => {
                let note = format!("SKIPPED: {shell} is not installed here: {error}");
                let _ = writeln!(std::io::stderr(), "{note}");
                continue;
            }
        };
        let mut input = check.stdin.take().expect("a pipe");
        input.write_all(script.stdout.as_bytes()).expect("the shell reads");
        drop(input);
        assert!(check.wait().expect("it ends").success(), "{shell}");
    }
    let man = run(&["man"]);
    assert!(man.stdout.starts_with(".TH WAVETANK 1"), "{}", man.stdout);
}
