//! Bugs planted in product code, caught through the front door.
//!
//! Built apart, with the feature `planted-bugs`: without it no scenario can plant one. Each
//! pair shows the check breaking with the bug and holding without it, same scenario, same
//! seeds.

mod support;

use support::{Folder, run};

/// Plays the scenario with and without the bug over a few seeds, and says how often each
/// expectation broke.
fn broken(scenario: &str, bug: &str, check: &str, seeds: &str) -> (usize, usize) {
    let planted = scenario
        .replace("compat = \"2.3.6\"", &format!("compat = \"2.3.6\"\nplanted_bugs = [\"{bug}\"]"));
    assert_ne!(planted, scenario, "the scenario has no [cluster] table to plant the bug in");
    let count = |text: &str| {
        let folder = Folder::with("scenario.toml", text);
        let done = run(&["test", &folder.path("scenario.toml"), "--seeds", seeds, "--json"]);
        assert!([0, 1, 3].contains(&done.code), "{}", done.stderr);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        json["failures"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|failure| {
                failure["failures"].as_array().unwrap().iter().any(|expectation| {
                    let name = expectation["check"].as_str().unwrap();
                    name.split(' ').next() == Some(check) && expectation["verdict"] == "broke"
                })
            })
            .count()
    };
    (count(&planted), count(scenario))
}

fn scenario(fault: &str, settings: &str, expect: &str) -> String {
    format!(
        r#"
format = 1
about = "For planted bugs."
duration = "70s"
warm_up = "10s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.pull_interval" = "500ms"
{settings}

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = {{ size = "300GB" }}

[graph]
generate = {{ kind = "social", users = 300, mean_follows = 10 }}

[[clients]]
name = "app"
arrivals = {{ poisson = "100/s" }}
workload = "social"
mix = {{ home_stream = 30, profile = 20, follow = 20, status = 25, sign_up = 5 }}
routing = {{ by = "reads-to-slaves" }}

[[faults]]
{fault}

[[expect]]
{expect}
"#
    )
}

#[test]
fn work_that_a_core_forgets_breaks_littles_law() {
    let crowded =
        scenario("at = \"15s\"\npause = 2\nfor = \"3s\"", "", "check = \"replicas-equal\"")
            .replace("70s", "20s");
    breaks_littles_law(&crowded, "core-forgets-work", "cores");
}

#[test]
fn a_waiter_that_a_lock_forgets_breaks_littles_law() {
    // Everybody writes to the same few users, with a round trip under the lock.
    let fault = "at = \"15s\"\ncrash = \"master\"\nfor = \"3s\"";
    let notify = "[[operation]]\nname = \"notify\"\nsteps = [\"match u:User(id = $other); lock u\", \
                  \"set u.notifications = u.notifications + 1\"]\n";
    let crowded = scenario(fault, "", "check = \"replicas-equal\"")
        .replace("70s", "20s")
        .replace("100/s", "1500/s")
        .replace(
            "{ home_stream = 30, profile = 20, follow = 20, status = 25, sign_up = 5 }",
            "{ notify = 1 }",
        )
        .replace("routing", "deployment = \"server\"\npopularity = { zipf = 1.9 }\nrouting")
        + notify;
    breaks_littles_law(&crowded, "lock-forgets-waiter", "locks");
}

#[test]
fn a_message_that_a_link_loses_breaks_littles_law() {
    let fault = "at = \"15s\"\npartition = [1]\nfor = \"3s\"";
    let cut = scenario(fault, "", "check = \"replicas-equal\"").replace("70s", "20s");
    breaks_littles_law(&cut, "link-loses-message", "links");
}

/// The scenario keeps Little's law; with the bug planted it does not, on queues of that kind
/// alone, and the exit code says so.
fn breaks_littles_law(scenario: &str, bug: &str, broken: &str) {
    let planted = scenario
        .replace("compat = \"2.3.6\"", &format!("compat = \"2.3.6\"\nplanted_bugs = [\"{bug}\"]"));
    for (text, lawful) in [(scenario, true), (&planted, false)] {
        let folder = Folder::with("scenario.toml", text);
        let out = folder.path("out");
        let done = run(&["run", &folder.path("scenario.toml"), "--json", "--out", &out]);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        let queues = json["queues"].as_array().unwrap();
        assert_eq!(queues.len(), 12);
        let wrong: Vec<_> = queues.iter().filter(|queue| queue["little_holds"] == false).collect();
        assert_eq!(wrong.is_empty(), lawful, "{bug}");
        assert!(wrong.iter().all(|queue| queue["queue"] == broken), "{wrong:?}");
        assert_eq!(done.code == 4, !lawful, "{}", done.stderr);
        let done = run(&["test", &folder.path("scenario.toml"), "--seeds", "1"]);
        assert_eq!(done.code == 4, !lawful, "{}{}", done.stdout, done.stderr);
        assert_eq!(done.stdout.contains("Little's law does not hold"), !lawful, "{}", done.stdout);
        let file = folder.path("scenario.toml");
        let vary = ["--vary", "ha.pull_interval=500ms,600ms", "--seeds", "1"];
        let done = run(&[&["sweep", &file][..], &vary].concat());
        assert_eq!(done.code == 4, !lawful, "{}{}", done.stdout, done.stderr);
        assert_eq!(done.stderr.contains("Little's law does not hold"), !lawful, "{}", done.stderr);
    }
}

#[test]
fn a_skipped_sync_loses_acknowledged_writes() {
    // All machines lose power one after the other, before anyone else can take over.
    let scenario = scenario(
        "at = \"30s\"\npower-loss = 1\nfor = \"5s\"\n\n[[faults]]\nat = \"30s\"\npower-loss = 2\nfor = \"5s\"\n\n[[faults]]\nat = \"30s\"\npower-loss = 3\nfor = \"5s\"",
        "",
        "check = \"acknowledged-writes-lost\"\nexplained = { max = 1000 }",
    );
    let (with, without) = broken(&scenario, "sync-skipped", "acknowledged-writes-lost", "0..24");
    // A cold start makes the lowest id master, whatever the others have: where one of them
    // kept more of its log, its branch explains the loss.
    assert!(with >= 4, "caught in {with} of 24");
    assert_eq!(without, 0);
}

#[test]
fn a_property_left_out_makes_replicas_differ() {
    let scenario = scenario(
        "at = \"30s\"\ncrash = \"slave\"\nfor = \"10s\"",
        "",
        "check = \"replicas-equal\"",
    );
    let (with, without) = broken(&scenario, "apply-skips-property", "replicas-equal", "0..3");
    assert_eq!((with, without), (3, 0));
}

#[test]
fn waiting_for_failed_slaves_breaks_the_latency() {
    let scenario = scenario(
        "at = \"20s\"\npower-loss = 3\nfor = \"45s\"",
        // Noticed soon, so that the push that anyone waits for until then is rare.
        "\"ha.read_timeout\" = \"5s\"\n\"ha.heartbeat_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = \"3s\"",
        "check = \"latency\"\nof = \"app.status\"\np90 = { max = \"2s\" }",
    );
    let (with, without) = broken(&scenario, "push-to-failed-slaves", "latency", "0..3");
    assert_eq!((with, without), (3, 0));
}

#[test]
fn a_cluster_without_elections_does_not_recover() {
    let scenario = scenario(
        "at = \"30s\"\ncrash = \"master\"\nfor = \"25s\"",
        "",
        "check = \"recovers\"\nwithin = \"20s\"",
    );
    let (with, without) = broken(&scenario, "no-election-after-failure", "recovers", "0..3");
    assert_eq!((with, without), (3, 0));
}

#[test]
fn electing_the_lowest_transaction_loses_more_than_is_allowed() {
    // Only one slave is pushed to, and the other may be half a second behind.
    let scenario = scenario(
        "at = \"30s\"\ncrash = \"master\"\nfor = \"25s\"",
        "\"ha.heartbeat_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = \"3s\"",
        "check = \"acknowledged-writes-lost\"\nexplained = { max = 0 }",
    )
    .replace("\"ha.pull_interval\" = \"500ms\"", "\"ha.pull_interval\" = \"10s\"");
    let (with, without) = broken(&scenario, "lowest-tx-wins", "acknowledged-writes-lost", "0..6");
    assert!(with >= 4, "caught in {with} of 6");
    assert_eq!(without, 0);
}

#[test]
fn a_balancer_that_ignores_its_rule_breaks_what_users_expect_of_reads() {
    for check in ["read-your-writes", "monotonic-reads"] {
        let scenario = scenario(
            "at = \"30s\"\ncrash = \"slave\"\nfor = \"10s\"",
            "",
            &format!("check = \"{check}\"\nstale = {{ max = \"0.1%\" }}"),
        )
        .replace("reads-to-slaves", "all-to-master")
        .replace("\"ha.pull_interval\" = \"500ms\"", "\"ha.pull_interval\" = \"10s\"");
        let (with, without) = broken(&scenario, "balancer-ignores-rule", check, "0..3");
        assert_eq!((with, without), (3, 0), "{check}");
    }
}

/// Shrinks the first seed that fails; gives what is left: faults, operations, seconds.
fn shrunk(scenario: &str, bug: &str, check: &str) -> (usize, usize, u64) {
    let planted = scenario
        .replace("compat = \"2.3.6\"", &format!("compat = \"2.3.6\"\nplanted_bugs = [\"{bug}\"]"));
    let folder = Folder::with("scenario.toml", &planted);
    let (file, small) = (folder.path("scenario.toml"), folder.path("small.toml"));
    let seed = (0..24).map(|seed: u32| seed.to_string()).find(|seed| {
        let out = folder.path("out");
        let done = run(&["run", &file, "--seed", seed, "--json", "--out", &out]);
        let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        json["expectations"][0]["verdict"] == "broke"
    });
    let seed = seed.expect("a seed fails");
    let limit = "120s";
    let done = run(&["shrink", &file, "--seed", &seed, "--time-limit", limit, "--out", &small]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = std::fs::read_to_string(&small).unwrap();
    let again = run(&["run", &small, "--json", "--out", &folder.path("again")]);
    let json: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(json["seed"].to_string(), seed);
    assert_eq!(json["expectations"].as_array().unwrap().len(), 1, "{text}");
    assert_eq!(json["expectations"][0]["check"], check, "{text}");
    assert_eq!(json["expectations"][0]["verdict"], "broke", "{text}");
    // What breaks without the bug as well is not its finding.
    let clean = text.lines().filter(|line| !line.starts_with("planted_bugs"));
    let clean = clean.collect::<Vec<_>>().join("\n");
    assert_ne!(clean.lines().count(), text.lines().count(), "{text}");
    let clean = Folder::with("clean.toml", &clean);
    let held = run(&["run", &clean.path("clean.toml"), "--json", "--out", &clean.path("out")]);
    let held: serde_json::Value = serde_json::from_str(&held.stdout).unwrap();
    assert_ne!(held["expectations"][0]["verdict"], "broke", "{text}");
    assert!(text.contains("Shrunk from") && text.contains(&format!("seed = {seed}")), "{text}");
    let offered = json["operations"]["app"]["offered"].as_u64().unwrap();
    let duration = text.lines().find_map(|line| line.strip_prefix("duration = \"")).unwrap();
    let seconds = duration.trim_end_matches("s\"").parse().unwrap_or(u64::MAX);
    (text.matches("[[faults]]").count(), offered as usize, seconds)
}

#[test]
fn a_lost_property_shrinks_to_a_few_lines() {
    let scenario = scenario(
        "at = \"30s\"\ncrash = \"slave\"\nfor = \"10s\"\n\n[[faults]]\nat = \"45s\"\npause = \"any\"\nfor = \"2s\"",
        "",
        "check = \"replicas-equal\"",
    );
    let (faults, operations, seconds) = shrunk(&scenario, "apply-skips-property", "replicas-equal");
    assert!(faults <= 3 && operations <= 5 && seconds <= 30, "{faults}, {operations}, {seconds}");
}

#[test]
fn a_skipped_sync_shrinks_to_a_few_lines() {
    let scenario = scenario(
        "at = \"30s\"\npower-loss = 1\nfor = \"5s\"\n\n[[faults]]\nat = \"30s\"\npower-loss = 2\nfor = \"5s\"\n\n[[faults]]\nat = \"30s\"\npower-loss = 3\nfor = \"5s\"",
        "",
        "check = \"acknowledged-writes-lost\"\nexplained = { max = 1000 }",
    );
    let (faults, operations, seconds) =
        shrunk(&scenario, "sync-skipped", "acknowledged-writes-lost");
    assert!(faults <= 3 && operations <= 5 && seconds <= 30, "{faults}, {operations}, {seconds}");
}

#[test]
fn the_library_finds_bugs_of_all_rooms_within_a_few_runs() {
    // Those that need few seeds; docs/planted-bugs.md tells of all, with what each takes.
    let bugs = [
        "sync-skipped",
        "recovery-skips-last",
        "checkpoint-without-flush",
        "double-write-skipped",
        "log-pruned-early",
        "change-during-write-lost",
        "locks-released-early",
        "deadlock-undetected",
        "chain-one-sided",
        "ids-not-learned",
        "apply-skips-property",
        "applied-backwards",
        "branch-received",
        "lowest-tx-wins",
        "no-election-after-failure",
        "suspicion-quorum-off-by-one",
        "quorum-loss-off-by-one",
        "suspicion-never-cleared",
        "push-answered-early",
        "push-never-again",
        "pull-timer-not-rearmed",
        "checksum-not-compared",
        "copy-mark-too-late",
        "rollback-forgotten",
        "detached-takes-writes",
        "unknown-taken-for-failed",
        "locks-ignored",
        "nondeterminism",
        "core-forgets-work",
    ];
    let mut arguments = vec!["hunt", "quick", "faults", "fiftythree", "neo4j-ha"];
    arguments.extend(["--most-runs", "60", "--shrink-limit", "1ms", "--jobs", "2"]);
    for bug in bugs {
        arguments.extend(["--bug", bug]);
    }
    let done = run(&arguments);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let rows = done.stdout.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, bugs.len(), "{}", done.stdout);
}

#[test]
fn a_nondeterministic_run_is_named_with_its_first_event() {
    let text = scenario(
        "at = \"30s\"\ncrash = \"master\"\nfor = \"10s\"",
        "",
        "check = \"replicas-equal\"",
    )
    .replace("compat = \"2.3.6\"", "compat = \"2.3.6\"\nplanted_bugs = [\"nondeterminism\"]");
    let folder = Folder::with("scenario.toml", &text);
    let done = run(&[
        "run",
        &folder.path("scenario.toml"),
        "--check-determinism",
        "--out",
        &folder.path("out"),
    ]);
    assert_eq!(done.code, 4, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("first diverging event: number"), "{}", done.stderr);
    assert!(done.stderr.contains("fault begins"), "{}", done.stderr);
    // Another process of the same build differs, too, and so is what CI compares.
    let done = run(&[
        "run",
        &folder.path("scenario.toml"),
        "--check-determinism",
        "--against",
        env!("CARGO_BIN_EXE_wavetank"),
        "--out",
        &folder.path("out"),
    ]);
    assert_eq!(done.code, 4, "{}{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("first diverging event: number"), "{}", done.stderr);
    assert!(done.stderr.contains("other run: at"), "{}", done.stderr);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/determinism");
    let golden = format!("{} 1 {}\n", folder.path("scenario.toml"), "0".repeat(32));
    std::fs::write(folder.path("golden.txt"), golden).unwrap();
    let done = std::process::Command::new(script)
        .env("GOLDEN", folder.path("golden.txt"))
        .arg(env!("CARGO_BIN_EXE_wavetank"))
        .output()
        .expect("the script can be started");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(!done.status.success(), "{text}");
    assert!(text.contains("first diverging event: number"), "{text}");
}

#[test]
fn a_campaign_names_the_seeds_that_are_not_deterministic() {
    let text = scenario(
        "at = \"30s\"\ncrash = \"master\"\nfor = \"10s\"",
        "",
        "check = \"replicas-equal\"",
    )
    .replace("compat = \"2.3.6\"", "compat = \"2.3.6\"\nplanted_bugs = [\"nondeterminism\"]");
    let folder = Folder::with("scenario.toml", &text);
    let file = folder.path("scenario.toml");
    let done = run(&["test", &file, "--seeds", "0..2", "--check-determinism", "--json"]);
    assert_eq!(done.code, 4, "{}{}", done.stdout, done.stderr);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    for seed in 0..2 {
        let error = json["failures"][seed]["error"].as_str().unwrap();
        assert!(error.contains("first diverging event: number"), "{error}");
    }
}

/// A scenario about the data: `{application}` is its clients.
fn data(application: &str, expect: &str) -> String {
    format!(
        r#"
format = 1
about = "For planted bugs: what happens to the data."
duration = "20s"
warm_up = "2s"

[cluster]
compat = "2.3.6"
[cluster.settings]
"ha.pull_interval" = "500ms"

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = {{ size = "300GB" }}

[graph]
generate = {{ kind = "social", users = 12, mean_follows = 0.5 }}

{application}

[[expect]]
{expect}
"#
    )
}

fn clients(workload: &str, mix: &str) -> String {
    format!(
        r#"
[[clients]]
name = "app"
arrivals = {{ poisson = "200/s" }}
workload = "{workload}"
deployment = "server"
mix = {{ {mix} }}
routing = {{ by = "all-to-master" }}
retry = {{ on = ["transient"], attempts = 20, backoff = "10ms" }}
"#
    )
}

/// The operations of the library in the patterns that look again under their locks.
fn double_checked(names: &[&str]) -> String {
    let of =
        |name: &&str| format!("[[operation]]\nname = \"{name}\"\npattern = \"double-checked\"\n\n");
    names.iter().map(of).collect()
}

#[test]
fn locks_that_are_not_taken_spoil_numbers() {
    let cases = [
        ("counter", "counter_increment = 1", "lost-updates", "counter"),
        ("bank", "transfer = 1", "bank-total", "balance"),
        ("register", "register_read = 50, register_cas = 50", "linearizable", "register"),
        ("counter", "counter_increment = 50, counter_read = 50", "linearizable", "counter"),
        ("bank", "transfer = 50, balance = 50", "linearizable", "balance"),
        ("list-append", "list_append = 50, list_read = 50", "list-append", "element"),
    ];
    for (workload, mix, check, property) in cases {
        let expect = format!("check = \"{check}\"\nproperty = \"{property}\"");
        let scenario = data(&clients(workload, mix), &expect);
        let (with, without) = broken(&scenario, "locks-ignored", check, "0..3");
        assert_eq!((with, without), (3, 0), "{check}");
    }
}

#[test]
fn locks_that_are_not_taken_spoil_relationships() {
    // Far away, so that there is time between two statements.
    let counted = r#"
[[operation]]
name = "follow"
steps = [
  "match a:User(id = $me); match b:User(id = $other); done if (a)-[:FOLLOWS]->(b)",
  "lock a, b; done if (a)-[:FOLLOWS]->(b); let n = b.followers",
  "read a",
  "create (a)-[:FOLLOWS(op = $operation)]->(b); set b.followers = n + 1",
]
"#;
    let follow = "type = \"FOLLOWS\"";
    let cases = [
        (counted.to_owned(), "follow = 1", "unique-relationship", follow.to_owned()),
        (
            counted.to_owned(),
            "follow = 1",
            "counter-equals-count",
            format!("{follow}\nproperty = \"followers\""),
        ),
        (
            double_checked(&["follow", "block"]),
            "follow = 50, block = 50",
            "forbidden-pair",
            format!("{follow}\nunless = \"BLOCKS\""),
        ),
    ];
    for (operations, mix, check, keys) in cases {
        let application = operations + &clients("social", mix).replace("200/s", "100/s");
        let scenario = data(&application, &format!("check = \"{check}\"\n{keys}"))
            .replace("users = 12", "users = 40")
            .replace("[graph]", "[network]\nlatency = \"5ms\"\n\n[graph]");
        let (with, without) = broken(&scenario, "locks-ignored", check, "0..4");
        assert!(with >= 2, "{check}: caught in {with} of 4");
        assert_eq!(without, 0, "{check}");
    }
}

#[test]
fn locks_that_are_not_taken_let_a_deleted_user_be_followed() {
    let application = double_checked(&["follow", "deactivate"])
        + &clients("social", "follow = 97, deactivate = 3").replace("200/s", "400/s");
    let scenario = data(
        &application,
        "check = \"forbidden-pair\"\ntype = \"FOLLOWS\"\nunless_label = \"DeletedUser\"",
    )
    .replace("users = 12", "users = 200");
    let (with, without) = broken(&scenario, "locks-ignored", "forbidden-pair", "0..6");
    assert!(with >= 2, "caught in {with} of 6");
    assert_eq!(without, 0);
}

#[test]
fn a_unique_value_that_is_not_locked_is_taken_twice() {
    let application = "[[operation]]\nname = \"sign_up\"\npattern = \"naive\"\n".to_owned()
        + &clients("social", "sign_up = 1").replace("200/s", "1000/s");
    let scenario = data(&application, "check = \"unique-value\"\nproperty = \"account\"")
        .replace("users = 12", "users = 200")
        .replace("[graph]", "[network]\nlatency = \"5ms\"\n\n[graph]\nunique = [\"User.account\"]");
    let (with, without) = broken(&scenario, "unique-unlocked", "unique-value", "0..3");
    assert_eq!((with, without), (3, 0));
}

#[test]
fn a_forgotten_rollback_leaves_transactions_open_and_others_waiting() {
    for (check, keys) in [("stuck-transactions", "within = \"20s\""), ("failed-operations", "")] {
        let expect = format!("check = \"{check}\"\n{keys}");
        let scenario = data(&clients("bank", "transfer = 1"), &expect);
        let (with, without) = broken(&scenario, "rollback-forgotten", check, "0..3");
        assert_eq!((with, without), (3, 0), "{check}");
    }
}

#[test]
fn a_second_store_that_is_not_put_right_disagrees() {
    let application = r#"
[[operation]]
name = "rename"
steps = [
  "match a:User(id = $me); match b:User(id = $other); lock a; set a.email = $fresh",
  "call search a = $fresh; abort if (a)-[:FOLLOWS]->(b)",
]
"#
    .to_owned()
        + &clients("social", "rename = 1").replace("200/s", "50/s");
    let scenario =
        data(&application, "check = \"stores-agree\"\nstore = \"search\"\nproperty = \"email\"")
            .replace("users = 12, mean_follows = 0.5", "users = 200, mean_follows = 40");
    let (with, without) = broken(&scenario, "no-compensation", "stores-agree", "0..3");
    assert_eq!((with, without), (3, 0));
}
