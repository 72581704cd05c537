//! The known outages of Neo4j HA: each is played with the flaw and without it.
//!
//! A pair of scenarios stands for an outage: the same faults, and one difference in version,
//! setting or flaw. Both files hold for every seed that is tried, and for every seed each breaks
//! when the difference is taken away, so that it is the protocol that fails and not the script.
//! `docs/outages.md` is written from what happened: `UPDATE_OUTAGES=1 cargo test -p wavetank
//! --test outages`.

#[path = "support/command.rs"]
mod command;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use command::run;

/// An outage that is played.
struct Pair {
    /// Its number among the known ones.
    row: u8,
    /// Its scenario; the other one ends in `-cured`.
    slug: &'static str,
    /// Where it was reported or mended.
    source: &'static str,
    /// What `--set` brings it back with in the cured scenario.
    flaw: &'static str,
    /// What `--set` mends it with.
    cure: &'static str,
    /// The expectation whose verdict tells, with the flaw and without it.
    checks: [&'static str; 2],
}

const PAIRS: &[Pair] = &[
    Pair {
        row: 1,
        slug: "elections-never-end",
        source: "neo4j#7438 (2.3.4)",
        flaw: "cluster.compat=2.3.6",
        cure: "cluster.compat=3.2",
        checks: ["happens reign begins", "happens reign begins"],
    },
    Pair {
        row: 2,
        slug: "quorum-lost-reads-lost",
        source: "neo4j#7489 (2.3.5)",
        flaw: "cluster.compat=2.3.0",
        cure: "cluster.compat=2.3.6",
        checks: ["availability readers", "availability readers"],
    },
    Pair {
        row: 3,
        slug: "isolated-master-stays-master",
        source: "neo4j PR #7273, #7316, #7423",
        flaw: "cluster.compat=2.3.0",
        cure: "cluster.compat=2.3.6",
        checks: ["two-masters", "two-masters"],
    },
    Pair {
        row: 5,
        slug: "pause-longer-than-heartbeat-timeout",
        source: "neo4j PR #8072, #8081",
        flaw: "cluster.compat=2.3.6",
        cure: "cluster.compat=3.2",
        checks: ["happens reign begins", "happens reign begins"],
    },
    Pair {
        row: 6,
        slug: "join-waits-for-dead-master",
        source: "neo4j PR #8358",
        flaw: "cluster.compat=3.2",
        cure: "cluster.compat=2.3.6",
        checks: ["happens slave begins", "happens slave begins"],
    },
    Pair {
        row: 7,
        slug: "already-in-the-cluster",
        source: "neo4j#2434 (2.0.3)",
        flaw: "ha.heartbeat_timeout=11s",
        cure: "ha.heartbeat_timeout=3s",
        checks: ["happens join denied", "happens join denied"],
    },
    Pair {
        row: 8,
        slug: "arbiter-election-loop",
        source: "neo4j#942, #7591",
        flaw: "cluster.flaws=[\"arbiter-election-loop\"]",
        cure: "cluster.flaws=[]",
        checks: ["happens election begins", "happens election begins"],
    },
    Pair {
        row: 9,
        slug: "two-members-no-quorum",
        source: "neo4j PR #8986",
        flaw: "cluster.compat=2.3.6",
        cure: "cluster.compat=3.2",
        checks: ["availability writers", "availability writers"],
    },
    Pair {
        row: 10,
        slug: "away-for-too-many-paxos-instances",
        source: "neo4j PR #4032",
        flaw: "cluster.flaws=[\"learner-memory-100\"]",
        cure: "cluster.flaws=[]",
        checks: ["does-not-recover", "recovers"],
    },
    Pair {
        row: 11,
        slug: "leave-not-learned",
        source: "neo4j PR #2090, #2091",
        flaw: "cluster.flaws=[\"heartbeats-without-learned\"]",
        cure: "cluster.flaws=[]",
        checks: ["availability writers", "availability writers"],
    },
    Pair {
        row: 12,
        slug: "left-member-still-failed",
        source: "neo4j PR #2767",
        flaw: "cluster.flaws=[\"leavers-stay-failed\"]",
        cure: "cluster.flaws=[]",
        checks: ["availability writers", "availability writers"],
    },
    Pair {
        row: 15,
        slug: "stale-epoch-after-restart",
        source: "neo4j PR #1813, #3217, #3891, #5727",
        flaw: "cluster.flaws=[\"stale-epochs\"]",
        cure: "cluster.flaws=[]",
        checks: ["slave-lag", "slave-lag"],
    },
    Pair {
        row: 16,
        slug: "every-join-unseats-slaves",
        source: "neo4j PR #3598, #3891",
        flaw: "cluster.flaws=[\"elections-unseat-slaves\"]",
        cure: "cluster.flaws=[]",
        checks: ["happens to-slave begins", "happens to-slave begins"],
    },
    Pair {
        row: 17,
        slug: "store-copy-fails-for-good",
        source: "neo4j PR #5505, #8120, neo4j#3535",
        flaw: "cluster.flaws=[\"store-copy-not-retried\"]",
        cure: "cluster.flaws=[]",
        checks: ["happens store-copy ends", "happens store-copy ends"],
    },
    Pair {
        row: 18,
        slug: "old-master-returns-branched",
        source: "neo4j#3535",
        flaw: "ha.tx_push_factor=0",
        cure: "ha.tx_push_factor=2",
        checks: ["happens branch found", "happens branch found"],
    },
    Pair {
        row: 19,
        slug: "one-of-two-slaves-never-synced",
        source: "neo4j#9637 (3.2.1)",
        flaw: "ha.tx_push_factor=1",
        cure: "ha.tx_push_factor=2",
        checks: ["slave-lag", "slave-lag"],
    },
    Pair {
        row: 20,
        slug: "endless-catch-up",
        source: "neo4j PR #3203, #3285",
        flaw: "cluster.flaws=[\"catch-up-target-moves\"]",
        cure: "cluster.flaws=[]",
        checks: ["happens slave begins", "happens slave begins"],
    },
    Pair {
        row: 21,
        slug: "puller-left-paused",
        source: "neo4j PR #3430, #5315",
        flaw: "cluster.flaws=[\"puller-left-paused\"]",
        cure: "cluster.flaws=[]",
        checks: ["slave-lag", "slave-lag"],
    },
    Pair {
        row: 26,
        slug: "switch-to-master-waits",
        source: "neo4j PR #5702",
        flaw: "cluster.flaws=[\"master-switch-waits\"]",
        cure: "cluster.flaws=[]",
        checks: ["availability writers", "availability writers"],
    },
    Pair {
        row: 27,
        slug: "initial-hosts-by-another-name",
        source: "neo4j#5804, #9537",
        flaw: "ha.initial_hosts=1,2,3,4",
        cure: "ha.initial_hosts=1,2,3",
        checks: ["availability writers", "availability writers"],
    },
    Pair {
        row: 29,
        slug: "logs-pruned-before-slave-is-back",
        source: "knowledge base, Understanding logical logs",
        flaw: "keep_logical_logs=false",
        cure: "keep_logical_logs=7 days",
        checks: ["happens store-copy begins", "happens store-copy begins"],
    },
    Pair {
        row: 31,
        slug: "sign-up-then-logged-out",
        source: "Aseem Kishore, Advanced Neo4j at FiftyThree (GraphConnect 2015)",
        flaw: "clients.app.routing={ by = \"reads-to-slaves\" }",
        cure: "clients.app.routing={ by = \"all-to-master\" }",
        checks: ["read-your-writes", "read-your-writes"],
    },
    Pair {
        row: 33,
        slug: "pull-interval-not-set",
        source: "Ian Robinson, Moving Graphs to Production at Scale (GraphConnect 2015)",
        flaw: "ha.pull_interval=0s",
        cure: "ha.pull_interval=10s",
        checks: ["slave-lag", "slave-lag"],
    },
];

/// What the model check found (`docs/model-check.md`), and random runs of the members alone
/// (`docs/model.md`): no outages that anybody reported.
const FOUND: [Pair; 4] = [
    Pair {
        row: 0,
        slug: "parted-survivors-choose-twice",
        source: "",
        flaw: "cluster.quorum=alive",
        cure: "cluster.quorum=all-hosts",
        checks: ["happens paxos values differ", "happens paxos values differ"],
    },
    Pair {
        row: 0,
        slug: "restarted-acceptor-chooses-again",
        source: "",
        flaw: "cluster.acceptors=volatile",
        cure: "cluster.acceptors=durable",
        checks: ["happens paxos values differ", "happens paxos values differ"],
    },
    Pair {
        row: 0,
        slug: "stranded-by-restarts",
        source: "",
        flaw: "cluster.acceptors=volatile",
        cure: "cluster.acceptors=durable",
        checks: ["does-not-recover", "recovers"],
    },
    Pair {
        row: 0,
        slug: "counted-out",
        source: "",
        flaw: "cluster.quorum=alive",
        cure: "cluster.quorum=all-hosts",
        checks: ["happens member fails", "happens member fails"],
    },
];

/// Outages that are not played: number, what happened, why not.
const ABSENT: &[(u8, &str, &str)] = &[
    (
        4,
        "a failed instance rejoins before it notices that it lost its quorum",
        "PR #2715: what was wrong with catching up on the master's role is not in the specification",
    ),
    (
        13,
        "a joiner with the lowest id believes that failed ids are alive",
        "PR #11017: joiners are not told who has failed here either, but the wish for an election is repeated, which ends the wait",
    ),
    (
        14,
        "two elections at almost the same time",
        "PR #5654: the flaw is there (`illegal-transitions-ignored`), and `version-illegal-in-a-state` comes to it for certain; no schedule of faults was found in which it does harm",
    ),
    (
        22,
        "a lock granted by the master and blocked locally",
        "PR #1514: what is modelled is the cure, a deadlock that the client is told of (`docs/model.md`, writes at slaves); there is no switch for the flaw",
    ),
    (
        23,
        "races of lock sessions",
        "PR #3191, #1554: what the races were is not in the specification",
    ),
    (24, "a stress test of 60 hours with XAException", "neo4j#1073: no cause is known"),
    (
        25,
        "a slave cannot open a lock session at the master",
        "neo4j#6319: what broke the connection was never found",
    ),
    (
        28,
        "slaves read mixed records after ids were used again",
        "PR #7477, #7511, #7342, #9016: `unsupported.dbms.id_reuse_safe_zone = 0` is the flaw; the flaw can be had: an expansion stops after 64 records or at a page fault and goes on from a relationship id, and one that was freed meanwhile ends the chain without an error; no scenario shows it yet",
    ),
    (
        30,
        "backups under writes",
        "PR #3752, neo4j#11946, #11992: backups in a scenario are not there yet",
    ),
    (
        32,
        "counter races and a hot node",
        "Aseem Kishore, Advanced Neo4j at FiftyThree (GraphConnect 2015): flaws of the application, which `scenarios/fiftythree/` plays in pairs (`increments-lost`, `hot-node`, `deadlock-storm`)",
    ),
];

/// The seeds that each scenario is played with; `OUTAGE_SEEDS=0..20` plays more.
const SEEDS: &str = "0..6";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/neo4j-ha"))
}

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.toml")))
        .unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What decides how a scenario goes: all but what it expects, which has to come last, or
/// something that decides would be left out.
fn before_what_it_expects(text: &str) -> &str {
    let (before, expects) = text.split_at(text.find("\n[[expect]]").unwrap_or(text.len()));
    let mut tables = expects.lines().filter(|line| line.starts_with('['));
    let other = tables.find(|line| !line.starts_with("[[expect]]"));
    assert_eq!(other, None, "a table after [[expect]]");
    before
}

/// What is done to the cluster: everything between the first fault and the first expectation.
fn faults(name: &str) -> String {
    let text = text(name);
    let before = before_what_it_expects(&text);
    before[before.find("[[faults]]").unwrap_or(before.len())..].to_owned()
}

/// The lines of a scenario that decide how it goes, without comments.
fn lines(name: &str) -> BTreeSet<String> {
    let text = text(name);
    let played = before_what_it_expects(&text).lines();
    let said = played.filter(|line| !line.starts_with('#') && !line.starts_with("about"));
    said.map(|line| line.split(" #").next().unwrap_or_default().trim_end().to_owned()).collect()
}

#[test]
#[should_panic(expected = "a table after [[expect]]")]
fn faults_after_what_is_expected_are_not_overlooked() {
    before_what_it_expects(
        "format = 1\n[[expect]]\ncheck = \"recovers\"\n[[faults]]\nat = \"1s\"\n",
    );
}

/// In these seeds one member of the two that are asked joined before the third asked for the
/// cluster, so that it knows the third's address from a configuration only.
#[test]
fn who_never_heard_an_id_ask_denies_it_at_another_address() {
    let file = folder().join("already-in-the-cluster.toml");
    for seed in [60, 77, 83, 89, 103] {
        let seeds = format!("{seed}..{}", seed + 1);
        let done = run(&["test", &file.to_string_lossy(), "--seeds", &seeds, "--no-shrink"]);
        assert_eq!(done.code, 0, "seed {seed}: {}{}", done.stdout, done.stderr);
    }
}

/// What a campaign found: runs that held, and of each other one what did not hold.
struct Played {
    runs: u64,
    held: u64,
    failures: Vec<BTreeSet<String>>,
}

/// Plays a scenario with all seeds, as it is or with one difference.
fn played(name: &str, set: Option<&str>) -> Played {
    let seeds = std::env::var("OUTAGE_SEEDS").unwrap_or_else(|_| SEEDS.into());
    let file = folder().join(format!("{name}.toml"));
    let file = file.to_string_lossy();
    let mut arguments = vec!["test", &file, "--seeds", &seeds, "--no-shrink", "--json"];
    arguments.extend(["--jobs", "1"]);
    arguments.extend(set.iter().flat_map(|set| ["--set", *set]));
    let done = run(&arguments);
    assert!([0, 1, 3].contains(&done.code), "{name}: {}", done.stderr);

    let json: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    let number = |key: &str| json[key].as_u64().expect("a number");
    let failures = json["failures"].as_array().expect("a list");
    let checks = |failure: &serde_json::Value| {
        let checks = failure["failures"].as_array().into_iter().flatten();
        checks.filter_map(|check| check["check"].as_str().map(str::to_owned)).collect()
    };
    Played {
        runs: number("runs"),
        held: number("held"),
        failures: failures.iter().map(checks).collect(),
    }
}

/// Plays both scenarios of a pair as they are, and each with the other's switch. What is wrong.
fn flips(pair: &Pair) -> String {
    let mut wrong = String::new();
    let cured = format!("{}-cured", pair.slug);
    if faults(pair.slug) != faults(&cured) {
        let _ = writeln!(wrong, "{}: not the same faults", pair.slug);
    }
    let [own, others] = [lines(pair.slug), lines(&cured)];
    let differ = own.difference(&others).count().max(others.difference(&own).count());
    if differ > 1 {
        let _ = writeln!(wrong, "{}: the two differ in {differ} lines", pair.slug);
    }
    let [flawed, mended] = pair.checks;
    for (name, switch, check) in [(pair.slug, pair.cure, flawed), (&*cured, pair.flaw, mended)] {
        let as_it_is = played(name, None);
        if as_it_is.runs == 0 || as_it_is.held < as_it_is.runs {
            let _ = writeln!(wrong, "{name}: {:?}", as_it_is.failures);
        }
        let flipped = played(name, Some(switch));
        let told = flipped.failures.iter().filter(|broke| broke.contains(check)).count();
        if (told as u64) < flipped.runs {
            let (runs, broke) = (flipped.runs, &flipped.failures);
            let _ = writeln!(
                wrong,
                "{name} --set '{switch}': {check} broke in {told} of {runs}: {broke:?}"
            );
        }
    }
    wrong
}

#[test]
fn what_was_found_by_trying_comes_with_its_cause_and_goes_with_it() {
    let wrong: String = FOUND.iter().map(flips).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_known_outage_comes_with_its_flaw_and_goes_with_it() {
    let wrong: String = PAIRS.iter().map(flips).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/outages.md");
    if std::env::var_os("UPDATE_OUTAGES").is_some() {
        fs::write(path, chapter()).expect("docs/ can be written");
    }
    let book = fs::read_to_string(path).unwrap_or_default();
    assert!(book == chapter(), "UPDATE_OUTAGES=1 writes docs/outages.md");
}

/// Scenarios of the folder that are about no known outage.
const OTHERS: [&str; 4] = ["branched-data-", "data-centre-", "slave-writes-", "version-"];

#[test]
fn every_known_outage_is_played_or_its_absence_explained() {
    let rows = PAIRS.iter().map(|pair| pair.row).chain(ABSENT.iter().map(|(row, ..)| *row));
    let rows: Vec<u8> = rows.collect();
    let each: BTreeSet<u8> = rows.iter().copied().collect();
    assert_eq!(each, (1..=33).collect());
    assert_eq!(rows.len(), 33, "a number twice");
    let listed: BTreeSet<String> = PAIRS
        .iter()
        .chain(&FOUND)
        .flat_map(|pair| [format!("{}.toml", pair.slug), format!("{}-cured.toml", pair.slug)])
        .collect();
    for entry in fs::read_dir(folder()).expect("the folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(listed.contains(&name) || OTHERS.iter().any(|of| name.starts_with(of)), "{name}");
    }
}

/// The sentence of a scenario.
fn about(name: &str) -> String {
    let text = text(name);
    let line = text.lines().find_map(|line| line.strip_prefix("about    = ")).unwrap_or_default();
    line.trim_matches('"').to_owned()
}

/// What the test has just shown, as a chapter of the book.
fn chapter() -> String {
    let mut text = String::from(
        "# The known outages\n\n\
         Written by `tests/outages.rs`, which plays every one of them.\n\n\
         Neo4j HA had outages that its users reported and its authors mended. For each there are\n\
         two scenarios in `scenarios/neo4j-ha/`, with the same faults: one that has the flaw and\n\
         expects the outage, and one, whose name ends in `-cured`, that expects none. They differ\n\
         in one line, the version (`compat`), a setting or a flaw (`wavetank list flaws`), and that\n\
         decides: with `--set` each file can be given the other's, and its verdict changes. Only\n\
         31 differs in the application: in how its reads are routed.\n\n\
         ```\n\
         wavetank run isolated-master-stays-master\n\
         wavetank run isolated-master-stays-master --set cluster.compat=2.3.6\n\
         ```\n\n\
         | # | outage | source | check | as it is | with |\n|---|---|---|---|---|---|\n",
    );
    for pair in PAIRS {
        let cured = format!("{}-cured", pair.slug);
        let both = [(pair.slug, pair.cure), (&*cured, pair.flaw)];
        for ((name, switch), check) in both.into_iter().zip(pair.checks) {
            let number = if name == pair.slug { pair.row.to_string() } else { String::new() };
            let source = if name == pair.slug { pair.source } else { "" };
            let about = about(name);
            let _ = writeln!(
                text,
                "| {number} | `{name}`: {about} | {source} | `{check}` | held | `--set '{switch}'`: broke |"
            );
        }
    }
    text.push_str("\nNot played:\n\n| # | outage | why |\n|---|---|---|\n");
    for (row, what, why) in ABSENT {
        let _ = writeln!(text, "| {row} | {what} | {why} |");
    }
    text
}

/// That a branch was found does not say whose: the old master's is what the outage was about.
#[test]
fn the_old_master_is_who_branched() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let arguments = ["run", "neo4j-ha/old-master-returns-branched", "--json", "--out"];
    for seed in ["0", "1", "2"] {
        let done = run(&[&arguments[..], &[&*out.to_string_lossy(), "--seed", seed]].concat());
        let result: serde_json::Value = serde_json::from_str(&done.stdout).expect("a result");
        let branches: Vec<_> =
            (0..3).map(|at| result["instances"][at]["branches"].as_u64()).collect();
        assert_eq!(branches, [Some(1), Some(0), Some(0)], "seed {seed}");
    }
}
