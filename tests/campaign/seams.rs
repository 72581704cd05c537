//! Where one start of a campaign meets another: seeds of its own, shards, interruptions, and which
//! of several failures is looked into.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::junit::junit_is_valid;
use super::support::{Folder, command, done, run};
use super::{SHORT, json, read, strict};

#[test]
fn what_was_played_once_is_not_taken_for_compared() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, out) = (folder.path("short.toml"), folder.path("out"));
    let start = |more: &[&str]| {
        run(&[&["test", &file, "--seeds", "0..2", "--out", &out][..], more].concat())
    };
    assert_eq!(start(&[]).code, 0);
    let compared = start(&["--check-determinism"]);
    assert_eq!(compared.code, 0, "{}", compared.stderr);
    assert!(!compared.stderr.contains("are there already"), "{}", compared.stderr);
    assert!(read(&folder.path("out/seeds/short/1.json")).contains("\"twice\": true"));
    for more in [&["--check-determinism"][..], &[]] {
        let there = start(more);
        assert!(there.stderr.contains("2 results are there already"), "{}", there.stderr);
    }
}

#[test]
fn a_scenario_that_has_a_seed_is_played_with_it() {
    let folder = Folder::with("short.toml", SHORT);
    let kept = SHORT.replace("format = 1", "format = 1\nseed = 41");
    fs::write(folder.path("kept.toml"), kept).unwrap();
    let (kept, all) = (folder.path("kept.toml"), folder.path("all"));
    let done = run(&["test", &kept, "--json", "--out", &all, "--min-seeds", "5"]);
    assert_eq!((done.code, &json(&done)["runs"]), (0, &1.into()), "{}", done.stderr);
    let result: Value =
        serde_json::from_str(&read(&folder.path("all/seeds/kept/41.json"))).unwrap();
    let alone = run(&["run", &kept, "--json", "--out", &folder.path("run")]);
    assert_eq!(json(&alone)["digest"], result["digest"]);
    // Others are played with twenty, and those that were asked for come before one's own.
    let both = run(&["test", &folder.path("short.toml"), &kept, "--json"]);
    assert_eq!(json(&both)["runs"], 21, "{}", both.stderr);
    let asked = run(&["test", &kept, "--seeds", "0..2", "--json"]);
    assert_eq!(json(&asked)["runs"], 2);
    // One shard of two has it, and together they are whole.
    let file = folder.path("short.toml");
    for (shard, out) in [("1/2", folder.path("1")), ("2/2", folder.path("2"))] {
        let done = run(&["test", &file, &kept, "--shard", shard, "--out", &out]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    let whole = run(&["merge", &folder.path("1"), &folder.path("2"), "--out", &folder.path("w")]);
    assert_eq!(whole.code, 0, "{}{}", whole.stdout, whole.stderr);
}

#[test]
fn the_greatest_seed_can_be_a_scenarios_own() {
    let greatest = SHORT.replace("format = 1", &format!("format = 1\nseed = \"{}\"", u64::MAX));
    let folder = Folder::with("greatest.toml", &greatest);
    let (file, out) = (folder.path("greatest.toml"), folder.path("out"));
    let done = run(&["test", &file, "--json", "--out", &out]);
    assert_eq!((done.code, &json(&done)["runs"]), (0, &1.into()), "{}", done.stderr);
    let merged = run(&["merge", &out, "--out", &folder.path("whole"), "--json"]);
    assert_eq!((merged.code, &json(&merged)["runs"]), (0, &1.into()), "{}", merged.stderr);
    let asked = run(&["test", &file, "--seeds", &format!("{}..+2", u64::MAX - 1), "--json"]);
    assert_eq!((asked.code, &json(&asked)["runs"]), (0, &2.into()), "{}", asked.stderr);
}

#[test]
fn what_must_hold_over_seeds_is_judged_when_the_shards_are_merged() {
    let rule = "check = \"latency\"\nof = \"app\"\np50 = { max = \"1us\" }\nseeds = \"any\"\n";
    let folder = Folder::with("short.toml", &format!("{SHORT}\n[[expect]]\n{rule}"));
    let file = folder.path("short.toml");
    for (shard, out) in [("1/2", folder.path("1")), ("2/2", folder.path("2"))] {
        let done = run(&["test", &file, "--seeds", "0..2", "--shard", shard, "--out", &out]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains("judged when the shards are merged"), "{}", done.stdout);
    }
    let merged = run(&["merge", &folder.path("1"), &folder.path("2"), "--out", &folder.path("w")]);
    assert_eq!(merged.code, 1, "{}", merged.stderr);
    assert!(merged.stdout.contains("held for 0 of 2 seeds"), "{}", merged.stdout);
    // What the shard kept of a seed for which it did not hold is named.
    let result: Value = serde_json::from_str(&read(&folder.path("w/result.json"))).unwrap();
    let kept = result["rules"][0]["failing"]["folder"].as_str().unwrap_or_default();
    assert!(Path::new(kept).join("result.json").exists(), "{}", result["rules"]);
}

#[test]
fn what_was_asked_for_and_not_played_turns_every_form_red() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, part) = (folder.path("short.toml"), folder.path("part"));
    let (junit, summary) = (folder.path("junit.xml"), folder.path("summary.md"));
    let forms = ["--json", "--junit", &junit, "--summary", &summary];
    let red = |arguments: &[&str], lack: &str| {
        let done = run(&[arguments, &forms].concat());
        assert_eq!(done.code, 75, "{}", done.stderr);
        let result = json(&done);
        let missing = result["missing"][0].as_str().unwrap();
        assert!(missing.contains(lack) && done.stderr.contains(lack), "{missing}");
        assert!(read(&junit).contains(&format!("{lack}</error>")), "{}", read(&junit));
        junit_is_valid(&read(&junit));
        let page = read(&summary);
        let title = "all 2 runs held, but not all that was asked for was played";
        assert!(page.contains(title) && page.contains(lack), "{page}");
        assert!(!page.contains("Interrupted"), "{page}");
    };
    let few = ["test", &file, "--seeds", "0..4", "--shard", "1/2", "--min-seeds", "3"];
    red(&few, "2 of 2 seeds were played, at least 3 were asked for");
    let one = ["test", &file, "--seeds", "0..4", "--shard", "1/2", "--out", &part, "--json"];
    let one = run(&one);
    assert_eq!((one.code, &json(&one)["missing"]), (0, &Value::Null), "{}", one.stderr);
    red(&["merge", &part, "--out", &folder.path("w")], "shard 2/2 of seeds 0..4 is missing");
}

#[test]
fn what_was_begun_from_another_folder_counts_for_the_same_scenario() {
    let folder = Folder::with("short.toml", SHORT);
    fs::create_dir(folder.path("sub")).unwrap();
    let (here, there) = (folder.path("short.toml"), folder.path("sub/../short.toml"));
    let out = folder.path("out");
    assert_eq!(run(&["test", &here, "--seeds", "0..2", "--out", &out]).code, 0);
    let none = ["test", &there, "--seeds", "2..4", "--time-limit", "0s", "--out", &out];
    assert_eq!(run(&none).code, 75);
    let merged = run(&["merge", &out, "--out", &folder.path("whole")]);
    assert_eq!(merged.code, 75, "{}", merged.stdout);
    let lack = "shard 1/1 of seeds 2..4 has 0 of 2 runs";
    assert!(merged.stderr.contains(lack), "{}", merged.stderr);
}

#[test]
fn what_is_kept_of_two_scenarios_of_one_file_name_is_found() {
    let folder = Folder::with("short.toml", SHORT);
    let mut parts = Vec::new();
    for (name, text) in [("a", strict()), ("b", strict().replace("for a moment", "for a while"))] {
        fs::create_dir(folder.path(name)).unwrap();
        let (file, out) =
            (folder.path(&format!("{name}/one.toml")), folder.path(&format!("{name}-out")));
        fs::write(&file, text).unwrap();
        let done = run(&["test", &file, "--seeds", "0..1", "--no-shrink", "--out", &out]);
        assert_eq!(done.code, 1, "{}", done.stderr);
        parts.push(out);
    }
    let merged = run(&["merge", &parts[0], &parts[1], "--out", &folder.path("all"), "--json"]);
    assert_eq!(merged.code, 1, "{}", merged.stderr);
    let result = json(&merged);
    for (failed, part) in result["failures"].as_array().unwrap().iter().zip(&parts) {
        assert_eq!(failed["folder"], format!("{part}/failures/one-0"));
    }
    assert_eq!(result["failures"].as_array().unwrap().len(), 2);
}

#[test]
fn a_merged_campaign_keeps_what_was_merged_into_it_before() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, whole) = (folder.path("short.toml"), folder.path("whole"));
    let mut runs = Vec::new();
    for (seeds, out) in [("0..1", folder.path("1")), ("1..3", folder.path("2"))] {
        assert_eq!(run(&["test", &file, "--seeds", seeds, "--out", &out]).code, 0);
        let merged = run(&["merge", &out, "--out", &whole, "--json"]);
        assert_eq!(merged.code, 0, "{}", merged.stderr);
        runs.push(json(&merged)["runs"].clone());
    }
    assert_eq!(runs, [1, 3]);
}

#[test]
fn a_form_that_has_no_place_is_told_before_anything_is_played() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, out) = (folder.path("short.toml"), folder.path("out"));
    let nowhere = folder.path("nodir/x.xml");
    let done = run(&["test", &file, "--seeds", "0..2", "--junit", &nowhere, "--out", &out]);
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(done.stderr.contains("its folder is not there"), "{}", done.stderr);
    let played = fs::read_dir(folder.path("out/seeds/short")).unwrap().count();
    assert_eq!(played, 0, "nothing was played");
    let inside = folder.path("out/mine.xml");
    let done = run(&["test", &file, "--seeds", "0..1", "--junit", &inside, "--out", &out]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(read(&inside).contains("testsuite"));
}

#[test]
fn what_broke_for_every_seed_comes_before_what_need_not_hold() {
    // The first expectation breaks, too, and as one that need not hold for every seed.
    let may =
        "check = \"happens\"\nevent = \"store-copy begins\"\ncount = { min = 1 }\nseeds = \"any\"";
    let must = "check = \"latency\"\nof = \"app\"\np50 = { max = \"1us\" }";
    let text = SHORT.replace("check = \"replicas-equal\"", &format!("{may}\n\n[[expect]]\n{must}"));
    let folder = Folder::with("both.toml", &text);
    let (file, out, small) =
        (folder.path("both.toml"), folder.path("out"), folder.path("small.toml"));
    let done = run(&["run", &file, "--seed", "2", "--out", &out]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let capsule = read(&folder.path("out/failure.txt"));
    assert!(capsule.starts_with("latency app: broke"), "{capsule}");
    let story = run(&["explain", &file, "--seed", "2"]);
    assert!(story.stdout.contains("latency app broke"), "{}", story.stdout);
    let done = run(&["shrink", &file, "--seed", "2", "--time-limit", "5s", "--out", &small]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("latency app (too slow)"), "{}", done.stderr);
}

#[test]
fn the_first_failure_of_each_kind_is_kept_however_many_there_are() {
    let folder = Folder::with("strict.toml", &strict());
    let (file, out) = (folder.path("strict.toml"), folder.path("out"));
    let start = |seeds: &str| {
        run(&["test", "--no-shrink", &file, "--seeds", seeds, "--out", &out, "--jobs", "2"])
    };
    assert_eq!(start("0..13").code, 1);
    let kept = || fs::read_dir(folder.path("out/failures")).unwrap().count();
    assert_eq!(kept(), 10);
    // Another kind, as a seed would have it that failed otherwise.
    let last = folder.path("out/seeds/strict/12.json");
    let mut other: Value = serde_json::from_str(&read(&last)).unwrap();
    other["error"] = "a queue went wrong: here".into();
    other["exit"] = 4.into();
    fs::write(&last, other.to_string()).unwrap();
    assert_eq!(start("0..13").code, 4);
    assert_eq!(kept(), 11);
    assert!(
        read(&folder.path("out/failures/strict-12/failure.txt")).contains("a queue went wrong")
    );
}

#[cfg(unix)]
#[test]
fn what_was_interrupted_while_it_shrank_is_looked_into_again() {
    // A percentile that needs a thousand samples shrinks slowly.
    let slow = strict().replace("20/s", "500/s").replace("p50", "p99");
    let folder = Folder::with("strict.toml", &slow);
    let (file, out) = (folder.path("strict.toml"), folder.path("out"));
    let mut started = command();
    started.args(["test", &file, "--seeds", "0..1", "--out", &out, "--shrink-limit", "10m"]);
    started.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = started.spawn().unwrap();
    // The result of its only seed is kept just before it is shrunk, which takes long.
    let seed = folder.path("out/seeds/strict/0.json");
    while !std::path::Path::new(&seed).exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let done = done(&child.wait_with_output().unwrap());
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("not every failure is kept yet"), "{}", done.stderr);
    let kept = folder.path("out/failures/strict-0");
    assert!(!std::path::Path::new(&kept).exists());
    let again = run(&["test", &file, "--seeds", "0..1", "--out", &out, "--shrink-limit", "1s"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    for name in ["smallest.toml", "story.txt", "result.json"] {
        assert!(!read(&format!("{kept}/{name}")).is_empty(), "{name}");
    }
}

#[test]
fn what_another_build_has_played_does_not_mix() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, one, two) = (folder.path("short.toml"), folder.path("one"), folder.path("two"));
    // A program of other bytes that does the same.
    let other = folder.path("wavetank");
    let mut bytes = fs::read(env!("CARGO_BIN_EXE_wavetank")).unwrap();
    bytes.push(0);
    fs::write(&other, bytes).unwrap();
    fs::set_permissions(
        &other,
        fs::metadata(env!("CARGO_BIN_EXE_wavetank")).unwrap().permissions(),
    )
    .unwrap();
    let elsewhere = |arguments: &[&str]| {
        done(&std::process::Command::new(&other).args(arguments).output().unwrap())
    };
    let part =
        |shard, out| ["test", &file, "--seeds", "0..2", "--shard", shard, "--json", "--out", out];
    let (first, second) = (part("1/2", one.as_str()), part("2/2", two.as_str()));
    assert_eq!(run(&first).code, 0);
    let refused = elsewhere(&first);
    assert_eq!(refused.code, 2, "{}", refused.stdout);
    let said = "holds results of another build of version";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let played = elsewhere(&second);
    assert_eq!(played.code, 0, "{}", played.stderr);
    // What it came to does not say which build it was.
    let text = json(&played).to_string();
    assert!(!text.contains("\"build\""), "{text}");
    let all = folder.path("all");
    let apart = run(&["merge", &one, &two, "--out", &all]);
    assert_eq!(apart.code, 2, "{}", apart.stdout);
    assert!(apart.stderr.contains("was played by another build"), "{}", apart.stderr);
    let merged = run(&["merge", &one, &two, "--mixed-builds", "--out", &all, "--json"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    let whole = run(&["test", &file, "--seeds", "0..2", "--json"]);
    assert_eq!(json(&merged)["digest"], json(&whole)["digest"]);
    let on = run(&["test", &file, "--seeds", "0..2", "--out", &all]);
    assert_eq!(on.code, 2, "{}", on.stdout);
}
