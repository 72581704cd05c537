//! `FAULTS.md` is true: twenty rows, and every switch and test that it names is there.

use std::fs;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backticks.
fn named(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_fault_has_a_switch_and_tests_that_exist() {
    let table = read("FAULTS.md");
    let switches = ["src/testing.rs", "src/testing/disk.rs", "src/testing/faults.rs"].map(read);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .map(|line| line.split(" | ").collect())
        .collect();
    let numbers: Vec<String> = rows.iter().map(|row| row[0].replace("| ", "")).collect();
    assert_eq!(numbers, (1..=20).map(|n| std::format!("{n}")).collect::<Vec<_>>());
    for row in &rows {
        for switch in named(row[2]) {
            assert!(switches.iter().any(|source| source.contains(switch)), "{switch}");
        }
        let tests = named(row[4]);
        assert!(!tests.is_empty(), "{row:?}");
        for test in tests {
            let (module, function) = test.split_once("::").expect("a module and a function");
            let source = read(&std::format!("src/tests/{module}.rs"));
            let at = source.find(&std::format!("fn {function}("));
            let before = &source[..at.unwrap_or_else(|| panic!("there is no {test}"))];
            let lines = before.lines().rev().map(str::trim).skip_while(|line| line.is_empty());
            let mut attributes = lines.take_while(|line| line.starts_with("#["));
            assert!(attributes.any(|line| line == "#[test]"), "{test} is no test");
        }
    }
}
