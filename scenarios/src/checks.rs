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
pub static CHECKS: [Check; 22] = [
    Check {
        name: "acknowledged-writes-lost",
        about: "No write that a client was told had succeeded is gone, except with a branch that was discarded, and then no more than `explained`.",
        keys: &["explained"],
    },
    Check {
        name: "replicas-equal",
        about: "All instances have the same contents once the cluster has recovered, and no record of the master's store contradicts another.",
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
    Check {
        name: "two-masters",
        about: "Two instances are never master at once for longer than `lasts` allows.",
        keys: &["lasts"],
    },
    Check {
        name: "availability",
        about: "The longest time in which no operation of a client succeeded is within `outage`.",
        keys: &["of", "outage"],
    },
    Check {
        name: "slave-lag",
        about: "No slave lacks what its master committed for longer than `lag` allows.",
        keys: &["lag"],
    },
    Check {
        name: "happens",
        about: "Something that a fault could wait for happens as often as `count` says, from the end of the warm-up until the faults are healed.",
        keys: &["event", "count"],
    },
    Check {
        name: "does-not-recover",
        about: "The cluster does not recover by itself, although all faults are healed: for outages that only a restart ended.",
        keys: &[],
    },
    Check {
        name: "lost-updates",
        about: "What operations were told to have added to `property` is in it at the end. Operations must report it: `return wrote u.PROPERTY`.",
        keys: &["property", "found"],
    },
    Check {
        name: "counter-equals-count",
        about: "At the end `property` of each node is the number of its relationships of `type` in `direction`.",
        keys: &["property", "type", "direction", "found"],
    },
    Check {
        name: "unique-relationship",
        about: "At the end no two nodes have more than one relationship of `type` in the same direction that operations created (with `op = $operation`).",
        keys: &["type", "found"],
    },
    Check {
        name: "forbidden-pair",
        about: "There is no relationship of `type` where one of the type `unless` leads the other way at the end; or none was created that leads to a node which an earlier transaction had given the label `unless_label`. For labels, both operations must report the node: `return wrote`.",
        keys: &["type", "unless", "unless_label", "found"],
    },
    Check {
        name: "bank-total",
        about: "The sum of `property` over all nodes is at the end what it was at the start, no operation writes it below zero, and each goes on from what the one before it left, as far as all report it: `return wrote u.PROPERTY`.",
        keys: &["property", "found"],
    },
    Check {
        name: "stuck-transactions",
        about: "No request holds an instance for longer than `within`, and no transaction is left open at the end.",
        keys: &["within", "found"],
    },
    Check {
        name: "failed-operations",
        about: "No operation fails, or ends unknown, with `status`: a code of Neo4j's, or \"503\", \"refused\", \"reset\", \"timeout\" or \"aborted\" where there is none; with any but \"aborted\", unless told.",
        keys: &["status", "found"],
    },
    Check {
        name: "stores-agree",
        about: "At the end the second store `store` has under each node what the node has in `property`, wherever no operation ended with its outcome unknown.",
        keys: &["store", "property", "found"],
    },
    Check {
        name: "linearizable",
        about: "What operations at the master read and wrote in `property` of each node, between two failovers, can be put in an order that keeps to when they were under way; a write happens between its report and its answer. Operations must report it: `return`, `return wrote`.",
        keys: &["property", "found"],
    },
    Check {
        name: "list-append",
        about: "Reads of lists at the master, between two failovers, agree on one order of each, in which every acknowledged append is, once, and where it counted that it would be. `property` is that of an element: appends report it with `return wrote u.KEY = ...`, and reads list it with `expand ... return PROPERTY`.",
        keys: &["property", "found"],
    },
    Check {
        name: "unique-value",
        about: "At the end no two nodes have the same number in `property`. What creates a node with it must report it: `return wrote u.PROPERTY = ...`.",
        keys: &["property", "found"],
    },
];

/// Their names.
pub(crate) const NAMES: [&str; 22] = [
    "acknowledged-writes-lost",
    "replicas-equal",
    "latency",
    "recovers",
    "read-your-writes",
    "monotonic-reads",
    "two-masters",
    "availability",
    "slave-lag",
    "happens",
    "does-not-recover",
    "lost-updates",
    "counter-equals-count",
    "unique-relationship",
    "forbidden-pair",
    "bank-total",
    "stuck-transactions",
    "failed-operations",
    "stores-agree",
    "linearizable",
    "list-append",
    "unique-value",
];

/// Checks that the language knows and this version does not have.
pub(crate) const LATER: &[&str] = &[
    "branched-data-undetected",
    "store-consistent",
    "staleness",
    "error-rate",
    "hit-rate",
    "offered-load",
];

/// The checks that a key of `[[expect]]` belongs to.
pub(crate) fn owners_of(key: &str) -> Vec<&'static str> {
    CHECKS.iter().filter(|check| check.keys.contains(&key)).map(|check| check.name).collect()
}

#[cfg(test)]
mod tests {
    use wavetank_vocabulary::PlantedBugs;

    use super::*;

    #[test]
    fn every_check_has_a_row_among_the_planted_bugs() {
        let text = include_str!("../../docs/planted-bugs.md");
        let table = text.split("## Each check").nth(1).expect("the table is there");
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split('`').collect()).collect();
        for name in NAMES {
            let mut own = rows.iter().filter(|row| row[0] == name).peekable();
            assert!(own.peek().is_some(), "{name} has no row");
            for row in own {
                // Behind the name of the check, and perhaps of one of its keys, that of the bug.
                let known = row[1..].iter().any(|cell| {
                    PlantedBugs::from_name(cell).is_some() || crate::builtin(cell).is_some()
                });
                assert!(known, "{name}: {row:?}");
            }
        }
    }

    #[test]
    fn the_list_of_names_is_that_of_the_checks() {
        assert_eq!(CHECKS.each_ref().map(|check| check.name), NAMES);
    }
}
