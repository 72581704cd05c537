//! Faults of links, disks, clocks and page caches on real processes.

use std::collections::BTreeSet;

use super::patience::patiently;
use super::result;
use super::scenario::three;
use super::support::{Folder, run};

/// The fault, and what else its table says.
const FAULTS: [(&str, &str); 11] = [
    ("loss = \"slave\"", "part = 0.2"),
    ("jitter = \"slave\"", "by = \"200ms\""),
    ("throttle = \"slave\"", "bandwidth = \"20KB/s\""),
    ("slow-disk = \"master\"", "factor = 20"),
    ("stall-disk = \"slave\"", ""),
    ("full-disk = \"slave\"", ""),
    ("sync-error = \"slave\"", ""),
    ("write-error = \"slave\"", ""),
    ("clock-offset = \"master\"", "by = \"1h\""),
    ("clock-jump = \"slave\"", "by = \"1h\""),
    ("shrink-cache = \"slave\"", "part = 0.1"),
];

#[test]
fn faults_of_links_disks_and_clocks_strike_real_processes() {
    patiently(|| {
        let mut scenario = three(60, 5);
        for (number, (fault, strength)) in FAULTS.iter().enumerate() {
            let at = 8 + 4 * number;
            scenario += &format!("[[faults]]\nat = \"{at}s\"\n{fault}\nfor = \"3s\"\n{strength}\n");
        }
        let folder = Folder::with("faults.toml", &scenario);
        let (file, out) = (folder.path("faults.toml"), folder.path("out"));
        let done = run(&["soak", &file, "--time-scale", "4", "--out", &out, "--json"]);
        let result = result(&done);
        assert_eq!(done.code, 0, "{}{:#}", done.stderr, result["expectations"]);
        let faults = result["faults"].as_array().expect("faults");
        let kinds: BTreeSet<&str> =
            faults.iter().filter_map(|fault| fault["kind"].as_str()).collect();
        for (fault, _) in FAULTS {
            let kind = fault.split(' ').next().expect("a name");
            assert!(kinds.contains(kind), "{kind} did nothing: {kinds:?}");
        }
    });
}
