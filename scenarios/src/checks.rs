//! The checks that an `[[expect]]` may name, and the keys that each of them takes.

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// The keys of `[[expect]]` that belong to it.
    pub keys: &'static [&'static str],
}

/// All checks of this version.
pub static CHECKS: [Check; 6] = [
    Check {
        name: "acknowledged-writes-lost",
        about: "No write that a client was told had succeeded is gone, except with a branch that was discarded, and then no more than `explained`.",
        keys: &["explained"],
    },
    Check {
        name: "replicas-equal",
        about: "All instances have the same contents once the cluster has recovered.",
        keys: &[],
    },
    Check {
        name: "latency",
        about: "Percentiles of latency, from the intended start of an operation, stay below their limits.",
        keys: &["of", "p50", "p90", "p99", "p999"],
    },
    Check {
        name: "recovers",
        about: "After each fault the cluster serves again within a time: one master, and all others that are not under a fault themselves its slaves.",
        keys: &["within"],
    },
    Check {
        name: "read-your-writes",
        about: "Reads see what their user was told to have written, but for the part that `stale` allows.",
        keys: &["stale", "of"],
    },
    Check {
        name: "monotonic-reads",
        about: "Reads see at least what their user's earlier reads had seen, but for the part that `stale` allows.",
        keys: &["stale", "of"],
    },
];

/// Their names.
pub(crate) const NAMES: [&str; 6] = [
    "acknowledged-writes-lost",
    "replicas-equal",
    "latency",
    "recovers",
    "read-your-writes",
    "monotonic-reads",
];

/// Checks that the language knows and this version does not have.
pub(crate) const LATER: &[&str] = &[
    "two-masters",
    "branched-data-undetected",
    "store-consistent",
    "lost-updates",
    "linearizable",
    "unique-relationship",
    "stuck-transactions",
    "slave-lag",
    "staleness",
    "error-rate",
    "availability",
    "hit-rate",
    "offered-load",
];

/// The checks that a key of `[[expect]]` belongs to.
pub(crate) fn owners_of(key: &str) -> Vec<&'static str> {
    CHECKS.iter().filter(|check| check.keys.contains(&key)).map(|check| check.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_names_is_that_of_the_checks() {
        assert_eq!(CHECKS.each_ref().map(|check| check.name), NAMES);
    }
}
