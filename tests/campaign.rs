//! Campaigns through the front door: workers, shards, resuming, what they leave.

#[path = "campaign/junit.rs"]
mod junit;
#[path = "campaign/seams.rs"]
mod seams;
mod support;

use std::fs;

use junit::junit_is_valid;
use serde_json::Value;
use support::{Done, Folder, run};

/// Short, with faults drawn from the seed; one of them never comes about.
const SHORT: &str = r#"
format = 1
about = "A master is lost for a moment."
duration = "20s"
warm_up = "5s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = { size = "300GB" }

[graph]
generate = { kind = "social", users = 100, mean_follows = 5 }

[[clients]]
name = "app"
arrivals = { poisson = "20/s" }
workload = "social"
mix = { profile = 70, status = 30 }

[[faults]]
at = "8s .. 12s"
crash = "master"
for = "3s"

[[faults]]
when = "store-copy begins"
pause = "trigger"
for = "1s"

[[expect]]
check = "replicas-equal"
"#;

/// Breaks for every seed.
fn strict() -> String {
    format!("{SHORT}\n[[expect]]\ncheck = \"latency\"\nof = \"app\"\np50 = {{ max = \"1us\" }}\n")
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", done.stdout, done.stderr))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn workers_and_shards_give_the_same_campaign() {
    let folder = Folder::with("short.toml", SHORT);
    let file = folder.path("short.toml");
    let digest = |done: &Done| json(done)["digest"].as_str().unwrap().to_owned();
    let one = run(&["test", &file, "--seeds", "0..5", "--jobs", "1", "--json"]);
    let two = run(&["test", &file, "--seeds", "0..5", "--jobs", "2", "--json"]);
    assert_eq!(one.code, 0, "{}{}", one.stdout, one.stderr);
    assert_eq!(digest(&one), digest(&two));
    for shard in ["1/2", "2/2"] {
        let out = folder.path(&shard.replace('/', "-"));
        let done = run(&["test", &file, "--seeds", "0..5", "--shard", shard, "--out", &out]);
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    let out = folder.path("all");
    let merged = run(&["merge", &folder.path("1-2"), &folder.path("2-2"), "--out", &out, "--json"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert_eq!(digest(&merged), digest(&one));
    let result = json(&merged);
    assert_eq!((&result["runs"], &result["held"]), (&5.into(), &5.into()));
    assert_eq!(result["coverage"]["faults"]["crash"]["took_effect"], 5);
    assert_eq!(result["coverage"]["never"], serde_json::json!(["pause"]));
    let other = run(&["merge", &folder.path("1-2"), &folder.path("none"), "--out", &out]);
    assert_eq!(other.code, 2, "{}", other.stderr);
    // Without one of them it is no campaign, and with what is missing it is one again.
    let half = folder.path("half");
    let alone = run(&["merge", &folder.path("2-2"), "--out", &half, "--json"]);
    assert_eq!((alone.code, &json(&alone)["ended"]), (75, &"incomplete".into()));
    let missing = "shard 1/2 of seeds 0..5 is missing";
    assert!(alone.stderr.contains(missing), "{}", alone.stderr);
    let again = run(&["merge", &half, &folder.path("1-2"), "--out", &folder.path("mended")]);
    assert_eq!(again.code, 0, "{}", again.stderr);
}

#[test]
fn a_part_that_was_not_played_to_its_end_makes_no_whole() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, one, two) = (folder.path("short.toml"), folder.path("one"), folder.path("two"));
    let part = |shard: &str, out: &str, more: &[&str]| {
        let arguments = ["test", &file, "--seeds", "0..4", "--shard", shard, "--out", out];
        run(&[&arguments[..], more].concat())
    };
    assert_eq!(part("1/2", &one, &[]).code, 0);
    let none = part("2/2", &two, &["--time-limit", "0s"]);
    assert_eq!(none.code, 75, "{}", none.stderr);
    let merged = run(&["merge", &one, &two, "--out", &folder.path("all")]);
    assert_eq!(merged.code, 75, "{}", merged.stdout);
    let lack = "shard 2/2 of seeds 0..4 has 0 of 2 runs";
    assert!(merged.stderr.contains(lack), "{}", merged.stderr);
    // What ended in its time with as many seeds as it needs is a campaign, as it was alone.
    let long = folder.path("long");
    let timed = ["test", &file, "--seeds", "0..100000", "--time-limit", "3s", "--out", &long];
    assert_eq!(run(&timed).code, 0);
    let merged = run(&["merge", &long, "--out", &folder.path("timed"), "--json"]);
    assert_eq!((merged.code, &json(&merged)["ended"]), (0, &"time-limit".into()));
    let empty = run(&["merge", &two, "--out", &folder.path("empty")]);
    assert_eq!(empty.code, 75, "{}", empty.stdout);
}

#[test]
fn an_expectation_over_seeds_that_is_not_met_leaves_a_seed_to_look_at() {
    let rule = "check = \"latency\"\nof = \"app\"\np50 = { max = \"1us\" }\nseeds = \"any\"\n";
    let folder = Folder::with("short.toml", &format!("{SHORT}\n[[expect]]\n{rule}"));
    let (file, out) = (folder.path("short.toml"), folder.path("out"));
    let done = run(&["test", &file, "--seeds", "3..5", "--out", &out, "--json"]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let failing = &json(&done)["rules"][0]["failing"];
    assert_eq!(failing["seed"], 3);
    assert_eq!(failing["folder"], folder.path("out/failures/short-3"));
    assert!(failing["command"].as_str().unwrap().ends_with("--seed 3"), "{failing}");
    assert!(read(&folder.path("out/failures/short-3/story.txt")).contains("latency"));
    let met = run(&["test", &file, "--seeds", "3..5", "--set", "duration=21s", "--json"]);
    assert_eq!(json(&met)["rules"][0]["failing"]["folder"], Value::Null);
}

#[test]
fn too_few_seeds_hold_nothing_whatever_ended_them() {
    let folder = Folder::with("short.toml", SHORT);
    let file = folder.path("short.toml");
    let few = run(&["test", &file, "--seeds", "0..1", "--min-seeds", "2"]);
    assert_eq!(few.code, 75, "{}", few.stdout);
    let said = "1 of 1 seeds were played, at least 2 were asked for";
    assert!(few.stderr.contains(said), "{}", few.stderr);
    let none = ["test", &file, "--seeds", "0..1", "--shard", "2/2", "--min-seeds", "0"];
    assert_eq!(run(&none).code, 75);
}

#[test]
fn a_seed_that_failed_counts_however_few_there_were_and_keeps_what_it_shrank_to() {
    let folder = Folder::with("lossy.toml", &lossy());
    let (file, part, whole) =
        (folder.path("lossy.toml"), folder.path("part"), folder.path("whole"));
    let few = ["test", &file, "--seeds", "1..2", "--min-seeds", "2", "--out", &part, "--json"];
    let few = run(&few);
    assert_eq!(few.code, 1, "{}", few.stderr);
    let smallest = |done: &Done| json(done)["failures"][0]["smallest"]["faults"].clone();
    assert_eq!(smallest(&few), 1);
    // What was kept is where the folder is now, as one that came from another machine is.
    let moved = folder.path("moved");
    fs::rename(&part, &moved).unwrap();
    let merged = run(&["merge", &moved, "--out", &whole, "--json"]);
    assert_eq!((merged.code, smallest(&merged)), (1, 1.into()), "{}", merged.stderr);
    let kept = &json(&merged)["failures"][0];
    assert_eq!(kept["folder"], format!("{moved}/failures/lossy-1"));
    assert_eq!(kept["smallest"]["file"], format!("{moved}/failures/lossy-1/smallest.toml"));
}

#[test]
fn a_second_start_goes_on_and_another_text_does_not_mix() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, out) = (folder.path("short.toml"), folder.path("out"));
    let start = |seeds: &str, set: &[&str]| {
        let mut arguments = vec!["test", &file, "--seeds", seeds, "--out", &out, "--json"];
        arguments.extend(set);
        run(&arguments)
    };
    let first = start("0..2", &[]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let kept = read(&folder.path("out/seeds/short/1.json"));
    // A result that was torn is played again.
    fs::write(folder.path("out/seeds/short/0.json"), "{").unwrap();
    let second = start("0..3", &[]);
    assert!(second.stderr.contains("1 results are there already"), "{}", second.stderr);
    assert_eq!(read(&folder.path("out/seeds/short/1.json")), kept, "wall time included");
    assert_eq!(json(&second)["runs"], 3);
    let whole = run(&["test", &file, "--seeds", "0..3", "--json"]);
    assert_eq!(json(&second)["digest"], json(&whole)["digest"]);
    // What is there counts, though there is no time for more.
    let third = start("0..9", &["--time-limit", "0s"]);
    assert_eq!((&json(&third)["runs"], third.code), (&3.into(), 0), "{}", third.stderr);
    let kept: Value = serde_json::from_str(&read(&folder.path("out/result.json"))).unwrap();
    assert_eq!((&kept["runs"], &kept["ended"]), (&3.into(), &"time-limit".into()));
    let other = start("0..3", &["--set", "ha.pull_interval=1s"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("do not mix"), "{}", other.stderr);
    let stranger = run(&["test", &file, "--out", &folder.path("")]);
    assert_eq!(stranger.code, 2, "{}", stranger.stderr);
    assert!(stranger.stderr.contains("short.toml"), "{}", stranger.stderr);
}

#[test]
fn a_failure_is_kept_with_all_that_shows_it_again() {
    let folder = Folder::with("strict.toml", &strict());
    let (file, out) = (folder.path("strict.toml"), folder.path("out"));
    let (junit, summary) = (folder.path("junit.xml"), folder.path("summary.md"));
    let done = run(&[
        "test",
        "--no-shrink",
        &file,
        "--seeds",
        "4..6",
        "--out",
        &out,
        "--junit",
        &junit,
        "--summary",
        &summary,
    ]);
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("seed 4") && done.stdout.contains("--seed 5"), "{}", done.stdout);
    for name in ["plan.toml", "result.json", "report.html", "failure.txt"] {
        assert!(!read(&folder.path(&format!("out/failures/strict-4/{name}"))).is_empty(), "{name}");
    }
    let plan = run(&[
        "run",
        &folder.path("out/failures/strict-5/plan.toml"),
        "--json",
        "--out",
        &folder.path("again"),
    ]);
    let kept: Value = serde_json::from_str(&read(&folder.path("out/seeds/strict/5.json"))).unwrap();
    assert_eq!(json(&plan)["digest"], kept["digest"]);
    assert!(read(&summary).contains("### "));
    let result: Value = serde_json::from_str(&read(&folder.path("out/result.json"))).unwrap();
    assert_eq!(result["failures"].as_array().unwrap().len(), 2);
    assert_eq!(result["failures"][0]["failures"][0]["check"], "latency app");
    assert_eq!(read(&folder.path("out/junit.xml")), read(&junit));
    junit_is_valid(&read(&junit));
}

#[test]
fn what_must_be_covered_is_compared_with_what_was() {
    let folder = Folder::with("short.toml", SHORT);
    let (file, covered) = (folder.path("short.toml"), folder.path("covered.json"));
    let picture = folder.path("covered.svg");
    let done = run(&["test", &file, "--seeds", "0..2", "--json", "--coverage", &covered]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let reached = &json(&done)["coverage"]["reached"];
    assert_eq!(reached["faults"]["crash"]["took_effect"], 2);
    let never = json(&done)["coverage"]["never_reached"].clone();
    assert!(never.as_array().unwrap().contains(&"branch found".into()), "{never}");
    let kept: Value = serde_json::from_str(&read(&covered)).unwrap();
    assert_eq!(&kept, reached);
    // The same is covered again, and a point more is not.
    let again = |required: &str| {
        let arguments = ["test", &file, "--seeds", "0..2", "--coverage", &picture];
        run(&[&arguments[..], &["--require-coverage", required]].concat())
    };
    assert_eq!(again(&covered).code, 0);
    assert!(read(&picture).starts_with("<svg"));
    let mut more = kept;
    more["points"]["branch found"] = 1.into();
    fs::write(folder.path("more.json"), more.to_string()).unwrap();
    let lacking = again(&folder.path("more.json"));
    assert_eq!(lacking.code, 1);
    assert!(lacking.stderr.contains("not covered, though required: branch found"));
    let (more_file, out) = (folder.path("more.json"), folder.path("out"));
    let required = ["--require-coverage", &more_file, "--json", "--out", &out];
    let told = run(&[&["test", &file, "--seeds", "0..2"][..], &required].concat());
    assert_eq!(told.code, 1, "{}", told.stderr);
    assert_eq!(json(&told)["coverage"]["lacking"], serde_json::json!(["branch found"]));
    assert!(read(&folder.path("out/summary.md")).contains("required coverage not reached"));
    let junit = read(&folder.path("out/junit.xml"));
    assert!(junit.contains("branch found</failure>"), "{junit}");
    junit_is_valid(&junit);
    // A name that means nothing requires nothing, and is not passed over.
    more["points"] = serde_json::json!({ "brnch found": 1, "no such point": 1 });
    more["faults"] = serde_json::json!({
        "crsh": { "in": { "quiet": 1 } },
        "crash": { "in": { "nowhere": 1, "election": "often" } },
    });
    fs::write(folder.path("unknown.json"), more.to_string()).unwrap();
    let unknown = again(&folder.path("unknown.json"));
    assert_eq!(unknown.code, 2, "{}", unknown.stdout);
    for told in [
        "no kind of fault is called `crsh`: a similar name is `crash`",
        "no protocol state is called `nowhere`: known: ",
        "the protocol state `election` has something else: expected a whole number",
        "no point is called `brnch found`: a similar name is `branch found`",
        "no point is called `no such point`",
    ] {
        assert!(unknown.stderr.contains(told), "{told}: {}", unknown.stderr);
    }
    // Nor is what stands in another form than the one in which it is written.
    more["points"] = serde_json::json!({});
    more["faults"] = serde_json::json!({
        "crash": { "inn": { "push": 1 } },
        "pause": { "in": ["push"] },
        "stop": 3,
    });
    fs::write(folder.path("shapes.json"), more.to_string()).unwrap();
    let shapes = again(&folder.path("shapes.json"));
    assert_eq!(shapes.code, 2, "{}", shapes.stdout);
    for told in [
        "no key of a fault is called `inn`",
        "the key of a fault `in` has something else: expected an object",
        "the kind of fault `stop` has something else: expected an object",
    ] {
        assert!(shapes.stderr.contains(told), "{told}: {}", shapes.stderr);
    }
    fs::write(folder.path("wrong.json"), "[]").unwrap();
    let wrong = again(&folder.path("wrong.json"));
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("is no coverage"), "{}", wrong.stderr);
}

#[test]
fn a_time_limit_ends_with_what_there_is() {
    let folder = Folder::with("short.toml", SHORT);
    let file = folder.path("short.toml");
    let test = |more: &[&str]| {
        let mut arguments = vec!["test", &file, "--seeds", "0..100000", "--time-limit", "1500ms"];
        arguments.extend(["--json", "--jobs", "1"]);
        arguments.extend(more);
        run(&arguments)
    };
    let enough = test(&[]);
    let result = json(&enough);
    assert_eq!((enough.code, &result["ended"]), (0, &"time-limit".into()), "{}", enough.stderr);
    assert!(result["runs"].as_u64().unwrap() >= 1);
    let few = test(&["--min-seeds", "99999"]);
    assert_eq!(few.code, 75, "{}", few.stderr);
    assert!(few.stderr.contains("at least 99999 were asked for"), "{}", few.stderr);
    assert_eq!(json(&few)["ended"], "time-limit");
}

#[test]
fn a_seed_may_be_a_commit() {
    let folder = Folder::with("short.toml", SHORT);
    let file = folder.path("short.toml");
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let seeds = format!("{hash}..+2");
    let done = run(&["test", &file, "--seeds", &seeds, "--json", "--out", &folder.path("out")]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let seed = 0x0123_4567_89ab_cdef_u64;
    for seed in [seed, seed + 1] {
        read(&folder.path(&format!("out/seeds/short/{seed}.json")));
    }
}

#[test]
fn whatever_is_wrong_with_one_file_the_others_are_told_too() {
    let folder = Folder::with("a.toml", "format = 1\nduratio = \"1m\"\n");
    fs::write(folder.path("b.toml"), SHORT.replace("crash", "crush")).unwrap();
    let done = run(&["test", &folder.path("a.toml"), &folder.path("b.toml"), &folder.path("c")]);
    assert_eq!(done.code, 2);
    for expected in ["duratio", "crush", "c: "] {
        assert!(done.stderr.contains(expected), "{expected}: {}", done.stderr);
    }
}

/// Loses what was not pushed, as HA may: nothing is pushed, and slaves pull every five seconds.
fn lossy() -> String {
    SHORT
        .replace("\"500ms\"\n", "\"5s\"\n\"ha.tx_push_factor\" = 0\n\"ha.heartbeat_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = \"3s\"\n")
        .replace("for = \"3s\"\n", "")
        .replace(
            "check = \"replicas-equal\"",
            "check = \"acknowledged-writes-lost\"\nexplained = { max = 0 }",
        )
}

#[test]
fn a_failure_shrinks_to_a_scenario_that_fails_for_the_same_reason() {
    let folder = Folder::with("lossy.toml", &lossy());
    let (file, small) = (folder.path("lossy.toml"), folder.path("small.toml"));
    let shrink =
        |out: &str| run(&["shrink", &file, "--seed", "1", "--time-limit", "0s", "--out", out]);
    let done = shrink(&small);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = read(&small);
    let plan = run(&["plan", &small]).stdout;
    assert_eq!(plan.matches("[[faults]]").count(), 1, "{text}");
    assert!(text.contains("lossy.toml seed 1") && text.contains("seed = 1"), "{text}");
    let again = run(&["run", &small, "--json", "--out", &folder.path("again")]);
    let result = json(&again);
    assert_eq!((again.code, &result["expectations"][0]["verdict"]), (1, &"broke".into()), "{text}");
    let offered = result["operations"]["app"]["offered"].as_u64().unwrap();
    assert!(offered <= 5, "{offered} operations: {text}");
    let other = folder.path("other.toml");
    assert_eq!(shrink(&other).code, 0);
    assert_eq!(read(&other), text, "the same seed shrinks to the same scenario");
    assert_eq!(shrink(&other).code, 2, "a file that is there is left alone");
    let calm = Folder::with("short.toml", SHORT);
    let holds = run(&["shrink", &calm.path("short.toml"), "--seed", "1"]);
    assert_eq!(holds.code, 2);
    assert!(holds.stderr.contains("nothing to shrink"), "{}", holds.stderr);
}

#[test]
fn a_story_and_a_moment_are_told() {
    let folder = Folder::with("lossy.toml", &lossy());
    let file = folder.path("lossy.toml");
    let story = run(&["explain", &file, "--seed", "1"]);
    assert_eq!(story.code, 0, "{}", story.stderr);
    for expected in ["lossy seed 1", "acknowledged-writes-lost broke", "crash", "slave of", "down"]
    {
        assert!(story.stdout.contains(expected), "{expected}: {}", story.stdout);
    }
    let moment = run(&["explain", &file, "--seed", "1", "--at", "12.5s"]);
    for expected in ["at 12.5", "instance", "crash on", "operations under way"] {
        assert!(moment.stdout.contains(expected), "{expected}: {}", moment.stdout);
    }
    let asked = run(&["explain", &file, "--seed", "1", "--at", "12.5s", "--beans"]);
    let asked: Value = serde_json::from_str(&asked.stdout).expect("JSON");
    let instances = asked["instances"].as_array().expect("a list");
    let silent =
        instances.iter().filter(|it| it["role"] == "down" && it["beans"] == serde_json::json!([]));
    assert_eq!(silent.count(), 1, "{asked}");
    let out = folder.path("out");
    let done = run(&["test", &file, "--seeds", "1..2", "--out", &out]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let kept = |name: &str| read(&folder.path(&format!("out/failures/lossy-1/{name}")));
    assert_eq!(kept("story.txt"), story.stdout);
    let small = folder.path("out/failures/lossy-1/smallest.toml");
    assert_eq!(run(&["run", &small, "--out", &folder.path("again")]).code, 1);
    let result: Value = serde_json::from_str(&read(&folder.path("out/result.json"))).unwrap();
    assert_eq!(result["failures"][0]["smallest"]["faults"], 1);
}

#[test]
fn a_store_that_was_set_aside_is_in_its_bean() {
    let branched = |at: &str| {
        let name = "old-master-returns-branched";
        let asked = run(&["explain", name, "--seed", "1", "--at", at, "--beans"]);
        assert_eq!(asked.code, 0, "{}", asked.stderr);
        asked.stdout.matches("\"value\": \"branched/1\"").count()
    };
    assert_eq!((branched("60s"), branched("115s")), (0, 1));
}

/// Instance 1 is master, branches, is master again and branches again.
#[test]
fn the_policy_says_which_branches_stay_on_the_disk() {
    let left = |policy: &str| -> [Vec<String>; 2] {
        let set = format!("ha.branched_data_policy={policy}");
        let at = ["explain", "branched-data-policy", "--at", "230s", "--beans", "--set", &set];
        let asked = run(&at);
        assert_eq!(asked.code, 0, "{}", asked.stderr);
        let told: Value = serde_json::from_str(&asked.stdout).expect("JSON");
        let first = &told["instances"][0];
        let bean = first["beans"][1].to_string();
        let known = ["branched/1", "branched/2", "branched/3"].map(str::to_owned);
        let listed = known.into_iter().filter(|name| bean.contains(&format!("\"{name}\"")));
        let disk = first["disk"].as_object().expect("an object");
        assert!(disk.values().all(|bytes| bytes.as_u64() > Some(0)), "{disk:?}");
        [listed.collect(), disk.keys().cloned().collect()]
    };
    assert_eq!(
        left("keep_all"),
        [vec!["branched/1", "branched/2"], vec!["branched/1", "branched/2", "store"]]
    );
    assert_eq!(left("keep_last"), [vec!["branched/2"], vec!["branched/2", "store"]]);
    assert_eq!(left("keep_none"), [vec![], vec!["store"]]);
}

#[test]
fn a_campaign_can_be_checked_for_determinism() {
    let folder = Folder::with("short.toml", SHORT);
    let done = run(&[
        "test",
        &folder.path("short.toml"),
        "--seeds",
        "0..2",
        "--check-determinism",
        "--json",
    ]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
}
