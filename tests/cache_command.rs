//! `wavetank cache`: against known counts of a real trace, and on wrong input.

#![expect(clippy::print_stderr, reason = "what was skipped is told")]

mod support;

use std::path::PathBuf;

use support::{Folder, run};

/// The trace, read where it lies (`../shared/data`, or `WAVETANK_DATA`).
fn trace() -> Option<String> {
    let root = std::env::var_os("WAVETANK_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("cache/cloudPhysicsIO.txt.gz");
    if !path.is_file() {
        eprintln!("SKIPPED: {} is not here (set WAVETANK_DATA)", path.display());
        return None;
    }
    Some(path.to_string_lossy().into_owned())
}

const FRAMES: [u64; 3] = [500, 2_500, 10_000];

/// Misses counted by libCacheSim 0.3.5, and how far from them, in thousandths, ours may be:
/// nothing where the papers leave nothing open.
const REFERENCES: [(&str, [u64; 3], u64); 9] = [
    ("opt", [90_175, 79_870, 61_843], 0),
    ("lru", [95_398, 93_873, 79_438], 0),
    ("fifo", [96_483, 94_093, 79_210], 0),
    ("clock", [95_293, 93_804, 84_750], 0),
    ("sieve", [94_379, 93_026, 81_059], 0),
    ("arc", [94_218, 92_319, 79_413], 15),
    ("2q", [94_565, 92_679, 78_831], 15),
    ("s3-fifo", [94_559, 92_499, 75_564], 15),
    ("w-tinylfu", [96_247, 93_341, 77_281], 15),
];

/// What ours are, so that a change does not go unseen (docs/cache-policies.md).
const OURS: [(&str, [u64; 3]); 5] = [
    ("clock-sweep", [95_207, 93_745, 85_070]),
    ("arc", [94_218, 92_319, 79_412]),
    ("2q", [94_565, 92_682, 78_832]),
    ("s3-fifo", [94_559, 92_500, 75_564]),
    ("w-tinylfu", [95_597, 93_803, 76_780]),
];

#[test]
fn the_misses_of_a_real_trace_are_those_of_the_reference() {
    let Some(trace) = trace() else { return };
    let done = run(&["cache", &trace, "--frames", "500,2500,10000", "--json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["format"], "lines");
    assert_eq!((&json["requests"], &json["distinct"]), (&113_872.into(), &48_974.into()));
    let outcomes = json["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 10 * FRAMES.len(), "every policy with every size");
    let misses = |policy: &str| {
        FRAMES.map(|frames| {
            let one = |o: &&serde_json::Value| o["policy"] == policy && o["frames"] == frames;
            outcomes.iter().find(one).unwrap()["misses"].as_u64().unwrap()
        })
    };
    for (policy, expected, thousandths) in REFERENCES {
        for (ours, reference) in misses(policy).into_iter().zip(expected) {
            let away = ours.abs_diff(reference);
            assert!(away * 1000 <= reference * thousandths, "{policy}: {ours} for {reference}");
        }
    }
    for (policy, expected) in OURS {
        assert_eq!(misses(policy), expected, "{policy}");
    }
}

#[test]
fn one_policy_prints_a_line() {
    let folder = Folder::with("trace.txt", "1\n2\n3\n1\n4\n1\n");
    let place = folder.path("trace.txt");
    let done = run(&["cache", &place, "--policy", "lru", "--frames", "3"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[0], format!("{place} (lines): 6 requests for 4 different keys"));
    assert_eq!(lines[2].split_whitespace().last(), Some("ratio"));
    let words: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(words, ["lru", "3", "4", "0.6667"]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn wrong_input_is_told_and_exits_with_2() {
    let folder = Folder::with("trace.txt", "1\n2\noops\n");
    let trace = folder.path("trace.txt");
    let missing = folder.path("missing");
    let cases: [(&[&str], &str); 7] = [
        (&[&trace, "--frames", "3"], "line 3: `oops` is no key"),
        (&[&missing, "--frames", "3"], "cannot read"),
        (&[&folder.path(""), "--frames", "3"], "it is a folder"),
        (&[&trace, "--frames", "0"], "expected a number from 1"),
        (&[&trace, "--frames", "3", "--policy", "mru"], "there is no such policy"),
        (&[&trace, "--frames", "3", "--format", "oracle"], "record 1: ends after 9 of 24 bytes"),
        (&[&trace], "--frames"),
    ];
    for (arguments, message) in cases {
        let done = run(&[&["cache"], arguments].concat());
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(message), "{arguments:?}: {}", done.stderr);
        assert_eq!(done.stdout, "");
    }
}
