//! Digests against committed values (`tests/golden.txt`): a change of one is a change of
//! behaviour, and lands only in a commit that says why.

mod support;

use support::{Folder, run};

#[test]
fn digests_are_the_golden_ones() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let golden = std::fs::read_to_string(format!("{root}/tests/golden.txt")).unwrap();
    let lines: Vec<Vec<&str>> = golden
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(!lines.is_empty());
    for line in lines {
        let [scenario, seed, expected] = line[..] else { panic!("a wrong line: {line:?}") };
        let folder = Folder::with("mark", "");
        let file = format!("{root}/{scenario}");
        let done = run(&["run", &file, "--seed", seed, "--json", "--out", &folder.path("out")]);
        let json: serde_json::Value = serde_json::from_str(&done.stdout)
            .unwrap_or_else(|error| panic!("{scenario}: {error}: {}", done.stderr));
        assert_eq!(json["digest"], expected, "{scenario} seed {seed}");
        assert_eq!((done.code, &json["verdict"]), (0, &"held".into()), "{scenario} seed {seed}");
    }
}
