//! The pairs of `scenarios/fiftythree/`: a problem is found by its check, and its cure keeps the
//! same check from finding anything.

mod support;

use support::{Folder, run};

/// A problem, its cure, and the check that tells them apart.
const PAIRS: [(&str, &str, &str); 12] = [
    ("own-write-not-seen", "own-write-seen", "read-your-writes"),
    ("photo-flaps", "photo-stays", "monotonic-reads"),
    ("logged-out", "stays-logged-in", "read-your-writes"),
    ("stream-empty", "stream-there", "read-your-writes"),
    ("increments-lost", "increments-kept", "lost-updates"),
    ("followed-twice", "followed-once", "unique-relationship"),
    ("follows-the-deleted", "deleted-left-alone", "forbidden-pair"),
    ("follows-who-blocks", "blocked-stays-out", "forbidden-pair"),
    ("deadlock-storm", "deadlocks-ridden-out", "failed-operations"),
    ("hot-node", "hot-node-split", "latency"),
    ("search-out-of-step", "search-in-step", "stores-agree"),
    ("signed-up-twice", "signed-up-once", "unique-value"),
];

#[test]
fn every_problem_is_found_and_every_cure_helps() {
    for (problem, cure, check) in PAIRS {
        let text = |name: &str| {
            wavetank_scenario::builtin(&format!("fiftythree/{name}")).expect("it is there").text
        };
        for name in [problem, cure] {
            // A copy, as somebody would make one to change it.
            let folder = Folder::with("scenario.toml", text(name));
            let done = run(&["test", &folder.path("scenario.toml"), "--seeds", "0..3"]);
            assert_eq!(done.code, 0, "{name}: {}{}", done.stdout, done.stderr);
        }
        let stated = format!("check=\"{check}\"");
        let expected = |name: &str| text(name).replace(' ', "").contains(&stated);
        assert!(expected(problem) && expected(cure), "{problem}: {check}");
        assert!(text(problem).contains("min ="), "{problem} expects its problem");
        assert!(text(problem).contains(&format!("{cure}.toml")), "{problem} names its cure");
    }
}
