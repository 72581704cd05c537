//! What campaigns once found, shrunk to a few lines: each failed before its cause was mended, and
//! holds now.

mod support;

use std::fs;

use support::{Folder, run};

#[test]
fn what_was_found_once_stays_mended() {
    let regressions = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/regressions");
    let mut played = 0;
    for entry in fs::read_dir(regressions).expect("the folder is there") {
        let file = entry.expect("an entry").path().to_string_lossy().into_owned();
        let folder = Folder::with("empty", "");
        let done = run(&["run", &file, "--out", &folder.path("out")]);
        assert_eq!(done.code, 0, "{file}: {}{}", done.stdout, done.stderr);
        played += 1;
    }
    assert!(played >= 2);
}
