//! The library of scenarios, part of the command: so that `wavetank run quickstart` works
//! from anywhere.

/// A scenario of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Its path in the library without the ending, such as `quick/slave-crash`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! library {
    ($($name:literal,)*) => {
        &[$(Builtin { name: $name, text: include_str!(concat!("../", $name, ".toml")) },)*]
    };
}

/// All of them, in the order of their names.
pub static LIBRARY: &[Builtin] = library![
    "faults/bad-disks",
    "faults/caught-at-work",
    "faults/caught-in-the-act",
    "faults/contention",
    "faults/election-cut-off",
    "faults/master-dies-during-store-copy",
    "faults/nemesis",
    "faults/power-loss-under-load",
    "faults/slave-catches-up",
    "faults/slaves-lost-in-turn",
    "faults/storm",
    "fiftythree/blocked-stays-out",
    "fiftythree/deadlock-storm",
    "fiftythree/deadlocks-ridden-out",
    "fiftythree/deleted-left-alone",
    "fiftythree/followed-once",
    "fiftythree/followed-twice",
    "fiftythree/follows-the-deleted",
    "fiftythree/follows-who-blocks",
    "fiftythree/hot-node",
    "fiftythree/hot-node-split",
    "fiftythree/increments-kept",
    "fiftythree/increments-lost",
    "fiftythree/logged-out",
    "fiftythree/own-write-not-seen",
    "fiftythree/own-write-seen",
    "fiftythree/photo-flaps",
    "fiftythree/photo-stays",
    "fiftythree/search-in-step",
    "fiftythree/search-out-of-step",
    "fiftythree/search-taken-back",
    "fiftythree/signed-up-once",
    "fiftythree/signed-up-twice",
    "fiftythree/split-counters",
    "fiftythree/stays-logged-in",
    "fiftythree/stream-empty",
    "fiftythree/stream-there",
    "neo4j-ha/already-in-the-cluster",
    "neo4j-ha/already-in-the-cluster-cured",
    "neo4j-ha/arbiter-election-loop",
    "neo4j-ha/arbiter-election-loop-cured",
    "neo4j-ha/away-for-too-many-paxos-instances",
    "neo4j-ha/away-for-too-many-paxos-instances-cured",
    "neo4j-ha/branched-data-policy",
    "neo4j-ha/counted-out",
    "neo4j-ha/counted-out-cured",
    "neo4j-ha/data-centre-cut-off",
    "neo4j-ha/data-centre-lost-failover",
    "neo4j-ha/data-centre-lost-master-confined",
    "neo4j-ha/data-centre-push-stays",
    "neo4j-ha/elections-never-end",
    "neo4j-ha/elections-never-end-cured",
    "neo4j-ha/endless-catch-up",
    "neo4j-ha/endless-catch-up-cured",
    "neo4j-ha/every-join-unseats-slaves",
    "neo4j-ha/every-join-unseats-slaves-cured",
    "neo4j-ha/initial-hosts-by-another-name",
    "neo4j-ha/initial-hosts-by-another-name-cured",
    "neo4j-ha/isolated-master-stays-master",
    "neo4j-ha/isolated-master-stays-master-cured",
    "neo4j-ha/join-waits-for-dead-master",
    "neo4j-ha/join-waits-for-dead-master-cured",
    "neo4j-ha/leave-not-learned",
    "neo4j-ha/leave-not-learned-cured",
    "neo4j-ha/left-member-still-failed",
    "neo4j-ha/left-member-still-failed-cured",
    "neo4j-ha/logs-pruned-before-slave-is-back",
    "neo4j-ha/logs-pruned-before-slave-is-back-cured",
    "neo4j-ha/old-master-returns-branched",
    "neo4j-ha/old-master-returns-branched-cured",
    "neo4j-ha/one-of-two-slaves-never-synced",
    "neo4j-ha/one-of-two-slaves-never-synced-cured",
    "neo4j-ha/parted-survivors-choose-twice",
    "neo4j-ha/parted-survivors-choose-twice-cured",
    "neo4j-ha/pause-longer-than-heartbeat-timeout",
    "neo4j-ha/pause-longer-than-heartbeat-timeout-cured",
    "neo4j-ha/pull-interval-not-set",
    "neo4j-ha/pull-interval-not-set-cured",
    "neo4j-ha/puller-left-paused",
    "neo4j-ha/puller-left-paused-cured",
    "neo4j-ha/quorum-lost-reads-lost",
    "neo4j-ha/quorum-lost-reads-lost-cured",
    "neo4j-ha/restarted-acceptor-chooses-again",
    "neo4j-ha/restarted-acceptor-chooses-again-cured",
    "neo4j-ha/sign-up-then-logged-out",
    "neo4j-ha/sign-up-then-logged-out-cured",
    "neo4j-ha/slave-writes-survive-master-loss",
    "neo4j-ha/stale-epoch-after-restart",
    "neo4j-ha/stale-epoch-after-restart-cured",
    "neo4j-ha/store-copy-fails-for-good",
    "neo4j-ha/store-copy-fails-for-good-cured",
    "neo4j-ha/stranded-by-restarts",
    "neo4j-ha/stranded-by-restarts-cured",
    "neo4j-ha/switch-to-master-waits",
    "neo4j-ha/switch-to-master-waits-cured",
    "neo4j-ha/two-members-no-quorum",
    "neo4j-ha/two-members-no-quorum-cured",
    "neo4j-ha/version-checkpoint-interval",
    "neo4j-ha/version-failed-by-the-failed",
    "neo4j-ha/version-freed-ids-rest",
    "neo4j-ha/version-heartbeat-timeout",
    "neo4j-ha/version-illegal-in-a-state",
    "neo4j-ha/version-page-cache-default",
    "neo4j-ha/version-slave-of-failed-master",
    "neo4j-ha/version-switch-timeout",
    "quick/master-crash",
    "quick/partition-isolates-master",
    "quick/pause-of-master",
    "quick/slave-crash",
    "quick/slave-power-loss",
    "quickstart",
    "soak/aggressive",
    "soak/aggressive-five",
    "soak/quickstart-calm",
    "soak/real-3",
    "soak/real-5",
    "soak/six-weeks",
];

/// The first scenario of somebody new, commented line by line.
pub const FIRST: &str = include_str!("../templates/first.toml");

/// The scenario of that name, with or without folder and ending.
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    let name = name.strip_suffix(".toml").unwrap_or(name);
    let name = name.strip_prefix("scenarios/").unwrap_or(name);
    let last = |builtin: &&Builtin| builtin.name.rsplit('/').next() == Some(name);
    LIBRARY.iter().find(|builtin| builtin.name == name).or_else(|| LIBRARY.iter().find(last))
}

/// The scenarios of a folder of the library.
pub fn builtin_folder(folder: &str) -> Vec<&'static Builtin> {
    let folder = folder.strip_prefix("scenarios/").unwrap_or(folder).trim_end_matches('/');
    let inside = |builtin: &&Builtin| {
        folder == "scenarios"
            || builtin.name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    LIBRARY.iter().filter(inside).collect()
}

/// The name of the library nearest to a word, if one is near enough to have been meant.
pub fn nearest_builtin(name: &str) -> Option<&'static str> {
    let names = LIBRARY.iter().flat_map(|builtin| {
        [Some(builtin.name), builtin.name.rsplit_once('/').map(|(_, last)| last)]
    });
    crate::section::nearest(name, names.flatten())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir()
                && !["src", "tests", "templates", "benches", "target", "workloads"]
                    .contains(&&*name)
            {
                files(&path, &format!("{prefix}{name}/"), found);
            } else if let Some(stem) = name.strip_suffix(".toml").filter(|s| *s != "Cargo") {
                found.insert(format!("{prefix}{stem}"));
            }
        }
    }

    #[test]
    fn every_scenario_of_the_folder_is_in_the_library() {
        let mut found = BTreeSet::new();
        files(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut found);
        let library: BTreeSet<String> = LIBRARY.iter().map(|b| b.name.to_owned()).collect();
        assert_eq!(found, library);
        assert!(LIBRARY.is_sorted_by_key(|builtin| builtin.name));
    }

    #[test]
    fn names_are_found_as_people_write_them() {
        for name in ["quick/slave-crash", "slave-crash", "scenarios/quick/slave-crash.toml"] {
            assert_eq!(builtin(name).map(|b| b.name), Some("quick/slave-crash"), "{name}");
        }
        assert_eq!(builtin("slave"), None);
        assert_eq!(builtin_folder("quick").len(), 5);
        assert_eq!(builtin_folder("scenarios").len(), LIBRARY.len());
        assert_eq!(builtin_folder("quic").len(), 0);
        assert_eq!(nearest_builtin("quickstrat"), Some("quickstart"));
    }
}
