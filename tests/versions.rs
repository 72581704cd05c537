//! What `compat` changes: each difference between versions is played on both sides, or has a
//! test that plays it, and `docs/versions.md` lists them: `UPDATE_VERSIONS=1 cargo test -p
//! wavetank --test versions` writes it.

#[path = "support/command.rs"]
mod command;

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use command::run;
use wavetank_scenario::SETTINGS;
use wavetank_world::Compat;

/// A difference that a scenario shows.
struct Played {
    /// What differs.
    what: &'static str,
    /// Where the specification of HA has it from.
    source: &'static str,
    /// The scenario, which holds as it is.
    slug: &'static str,
    /// The version that it is written for.
    own: &'static str,
    /// The version in which it breaks.
    other: &'static str,
    /// The check that tells.
    check: &'static str,
}

const PLAYED: &[Played] = &[
    Played {
        what: "An isolated master of three notices that it is alone: whoever suspects everybody else counts them as failed (2.3.6).",
        source: "PR #7316, #7423",
        slug: "isolated-master-stays-master",
        own: "2.3.0",
        other: "2.3.6",
        check: "two-masters",
    },
    Played {
        what: "Who loses the majority goes on serving reads (2.3.6); before, nothing.",
        source: "commit dc25f97a",
        slug: "quorum-lost-reads-lost",
        own: "2.3.0",
        other: "2.3.6",
        check: "availability",
    },
    Played {
        what: "The master of a cluster of two keeps its writes when the other one fails (3.2).",
        source: "PR #8986",
        slug: "two-members-no-quorum",
        own: "2.3.6",
        other: "3.2",
        check: "availability",
    },
    Played {
        what: "`ha.heartbeat_timeout` is 40 s (3.2), not 11 s: a pause of 20 s costs nobody a role.",
        source: "commit 04803d0f",
        slug: "version-heartbeat-timeout",
        own: "2.3.6",
        other: "3.2",
        check: "happens",
    },
    Played {
        what: "`ha.tx_push_strategy` begins with the lowest id (3.2), not with the highest.",
        source: "commit dd5c2151",
        slug: "data-centre-push-stays",
        own: "3.2",
        other: "2.3.6",
        check: "latency",
    },
    Played {
        what: "`dbms.checkpoint.interval.time` is 15 minutes (3.2), not 5.",
        source: "commit 66e6a658",
        slug: "version-checkpoint-interval",
        own: "2.3.6",
        other: "3.2",
        check: "happens",
    },
    Played {
        what: "A slave whose master has failed is detached at once (2.3.6), and sent no reads; before, it waits for the election.",
        source: "commit dc25f97a",
        slug: "version-slave-of-failed-master",
        own: "2.3.0",
        other: "2.3.6",
        check: "availability",
    },
    Played {
        what: "What does not go with a member's state makes it PENDING, and it asks for elections (2.3.6); before, an exception was logged and nothing changed.",
        source: "PR #5654",
        slug: "version-illegal-in-a-state",
        own: "2.3.0",
        other: "2.3.6",
        check: "happens",
    },
    Played {
        what: "Members that failed each by the word of the other, and are heard again, are alive (2.3.6); before, each is held failed by whom it counts as failed itself.",
        source: "HA specification 2.2",
        slug: "version-failed-by-the-failed",
        own: "2.3.0",
        other: "2.3.6",
        check: "does-not-recover",
    },
    Played {
        what: "Freed ids rest for an hour, and a slave ends transactions that are older (2.3.6).",
        source: "PR #7477, #7511",
        slug: "version-freed-ids-rest",
        own: "2.3.6",
        other: "2.3.0",
        check: "failed-operations",
    },
    Played {
        what: "The page cache gets 75 % of what the heap leaves (2.2), not 50 %.",
        source: "talk 000",
        slug: "version-page-cache-default",
        own: "2.2",
        other: "2.3.6",
        check: "latency",
    },
    Played {
        what: "A switch to slave waits for open transactions for `ha.internal_state_switch_timeout`, 10 s (2.3.6), not for 2 minutes.",
        source: "HA specification 1.2, 2.7",
        slug: "version-switch-timeout",
        own: "2.3.6",
        other: "2.3.0",
        check: "happens",
    },
];

/// Differences that no check can see, and a test does: what, source, file, test.
const TESTED: &[(&str, &str, &str, &str)] = &[(
    "`metrics/` has the columns of the version.",
    "HA specification 8",
    "tests/neo4j_files.rs",
    "a_version_reports_what_it_had",
)];

/// What the specification tells apart and the model does not.
const ABSENT: &[(&str, &str)] = &[
    (
        "Suspicions by a sender that itself counts as failed, but is not yet noted as such, are dropped (2.3.13).",
        "there is no such sender here: in every version, whoever a quorum suspects is noted as failed in the same step",
    ),
    (
        "`ha.max_acceptors` is not in 2.3.0.",
        "the model caps the acceptors at 21 in every version, which binds only in larger clusters",
    ),
    (
        "`fixed_ascending` of `ha.tx_push_strategy` is not in 2.3.0.",
        "it may be set in every version; only the default is told apart",
    ),
    (
        "`ha.branched_data_copying_strategy = copy_then_branch` (3.x).",
        "`branch_then_copy`, the default and the only one before, is what is played",
    ),
    (
        "`dbms.checkpoint.iops.limit`, `dbms.lock.acquisition.timeout`, `dbms.transaction.timeout` (3.x).",
        "known names without effect: `check-scenario` says so",
    ),
    (
        "Cypher's MERGE locks (PR #8629, 2017).",
        "both ways are patterns of operations, whatever the version",
    ),
];

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn file(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join(name)
}

/// The seeds that each scenario is played with; `VERSION_SEEDS=0..60` plays more.
const SEEDS: &str = "0..6";

fn play(slug: &str, compat: &str) -> serde_json::Value {
    let seeds = std::env::var("VERSION_SEEDS").unwrap_or_else(|_| SEEDS.into());
    let path = file("scenarios/neo4j-ha").join(format!("{slug}.toml"));
    let (path, set) = (path.to_string_lossy(), format!("cluster.compat={compat}"));
    let done = run(&[
        "test",
        &path,
        "--seeds",
        &seeds,
        "--no-shrink",
        "--json",
        "--jobs",
        "1",
        "--set",
        &set,
    ]);
    assert!([0, 1, 3].contains(&done.code), "{slug}: {}", done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

#[test]
fn each_difference_shows_both_sides() {
    let mut wrong = String::new();
    for Played { slug, own, other, check, .. } in PLAYED {
        let as_it_is = play(slug, own);
        if as_it_is["held"] != as_it_is["runs"] {
            let _ = writeln!(wrong, "{slug}, {own}: {}", as_it_is["failures"]);
        }
        let flipped = play(slug, other);
        let failures = flipped["failures"].as_array().expect("a list");
        let tells = |failure: &&serde_json::Value| {
            let checks = failure["failures"].as_array().into_iter().flatten();
            let mut names = checks.filter_map(|broke| broke["check"].as_str());
            names.any(|name| name.starts_with(check))
        };
        let told = failures.iter().filter(tells).count() as u64;
        if Some(told) != flipped["runs"].as_u64() {
            let _ = writeln!(wrong, "{slug}, {other}: {check} broke in {told}: {failures:?}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_test_that_the_page_names_is_there() {
    for (_, _, path, name) in TESTED {
        let text = fs::read_to_string(file(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(text.contains(&format!("fn {name}()")), "{path}: {name}");
    }
}

fn page() -> String {
    let mut text = String::from(
        "# What the versions do differently\n\n\
         Written by `tests/versions.rs`. `compat` in `[cluster]` says which version of Neo4j HA is\n\
         modelled: its defaults and its behaviour. 2.2 is the 2.2 line; 2.3.0 is that release; 2.3.6\n\
         stands for the rest of the 2.3 line, 3.2 for that and later. What one of them has, the later\n\
         ones have, too.\n\n\
         ## Behaviour\n\n\
         Each has a scenario in `scenarios/neo4j-ha/` that holds in one version and breaks in the\n\
         other, with the same faults: `wavetank run version-heartbeat-timeout --set\n\
         cluster.compat=3.2`.\n\n\
         | what | source | scenario, check | holds in | breaks in |\n|---|---|---|---|---|\n",
    );
    for Played { what, source, slug, own, other, check } in PLAYED {
        let _ = writeln!(text, "| {what} | {source} | `{slug}`, `{check}` | {own} | {other} |");
    }
    text.push_str("\nThis one is about files, which no check reads, and has a test:\n\n");
    text.push_str("| what | source | test |\n|---|---|---|\n");
    for (what, source, path, name) in TESTED {
        let _ = writeln!(text, "| {what} | {source} | `{name}` in `{path}` |");
    }
    text.push_str(
        "\n## Defaults\n\n| setting | 2.2 | 2.3.0 | 2.3.6 | 3.2 |\n|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let defaults = Compat::ALL.map(|compat| setting.default(compat));
        if defaults.iter().any(|default| *default != defaults[0]) {
            let _ = writeln!(text, "| `{}` | {} |", setting.name, defaults.join(" | "));
        }
    }
    text.push_str("\n`ha.internal_state_switch_timeout` is not in 2.3.0: a switch waits for\n");
    text.push_str("`ha.state_switch_timeout` there, which is the same 120 s.\n");
    text.push_str("\n## Not told apart\n\n| what | why |\n|---|---|\n");
    for (what, why) in ABSENT {
        let _ = writeln!(text, "| {what} | {why} |");
    }
    text
}

#[test]
fn the_page_is_what_this_file_says() {
    let path = file("docs/versions.md");
    if std::env::var_os("UPDATE_VERSIONS").is_some() {
        fs::write(&path, page()).expect("docs/ can be written");
    }
    let book = fs::read_to_string(path).unwrap_or_default();
    assert!(book == page(), "UPDATE_VERSIONS=1 writes docs/versions.md");
}
