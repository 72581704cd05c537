//! The workloads that there are, and the operations that they are made of: text files in the
//! step language, embedded. A user's own operations are no different.

mod patterns;

use std::sync::LazyLock;

use wavetank_world::{GraphModel, Program};

use self::patterns::{Part, Pattern, texts};
use crate::steps;
use crate::tree::{Entry, Node, Value};

/// The embedded files: the workload that one is about, where it is about one, and the data model.
const FILES: [(&str, Option<&str>, Option<GraphModel>); 3] = [
    (include_str!("../workloads/social.toml"), Some("social"), None),
    (include_str!("../workloads/social-split.toml"), Some("social"), Some(GraphModel::SplitNodes)),
    (include_str!("../workloads/generic.toml"), None, None),
];

/// The patterns that operations with parts come in.
const PATTERNS: &str = include_str!("../workloads/patterns.toml");

/// The names of the workloads.
pub(crate) const WORKLOADS: &[&str] =
    &["social", "register", "counter", "list-append", "unique-pair", "bank"];

/// An operation of the library, in one of its patterns.
#[derive(Debug)]
pub struct Operation {
    /// The workload that it belongs to.
    pub workload: &'static str,
    /// The pattern, where there are several.
    pub pattern: Option<String>,
    /// The data model that it is written for; any, if none.
    pub model: Option<GraphModel>,
    /// The operation itself.
    pub program: Program,
}

/// A workload.
#[derive(Debug)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// The weight of each operation unless a scenario says otherwise.
    pub mix: Vec<(String, u32)>,
    /// What its users have at the start, as far as its operations use it.
    pub properties: Vec<(String, i64)>,
}

/// All operations, in the order of the files; of several patterns the default comes first.
pub static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| library().0);
/// All workloads, in the order of their names above.
pub static ALL: LazyLock<Vec<Workload>> = LazyLock::new(|| library().1);

/// The workload of that name.
pub(crate) fn workload(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// The operation of that name for a data model, in its default pattern or the one named.
pub(crate) fn operation(
    name: &str,
    pattern: Option<&str>,
    model: GraphModel,
) -> Option<&'static Operation> {
    let mut fitting = OPERATIONS.iter().filter(|operation| {
        operation.program.name == name
            && operation.model.is_none_or(|of| of == model)
            && pattern.is_none_or(|pattern| operation.pattern.as_deref() == Some(pattern))
    });
    let first = fitting.next()?;
    // One that was written for the model comes before one for any.
    let own = |operation: &&Operation| operation.model.is_some();
    Some(std::iter::once(first).chain(fitting).find(own).unwrap_or(first))
}

/// The names of the patterns of an operation.
pub(crate) fn patterns(name: &str, model: GraphModel) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for operation in OPERATIONS.iter() {
        let fits = operation.program.name == name && operation.model.is_none_or(|of| of == model);
        if let Some(pattern) = operation.pattern.as_deref().filter(|_| fits)
            && !names.contains(&pattern)
        {
            names.push(pattern);
        }
    }
    names
}

/// The names of the operations of a workload, each once.
pub(crate) fn names(workload: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = Vec::new();
    for operation in OPERATIONS.iter().filter(|operation| operation.workload == workload) {
        if !names.contains(&operation.program.name.as_str()) {
            names.push(&operation.program.name);
        }
    }
    names
}

fn get<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Node> {
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
}

fn text<'n>(entries: &'n [Entry], key: &str) -> Option<&'n str> {
    get(entries, key).and_then(Node::text)
}

fn tables(entries: &[Entry], key: &str) -> Vec<Vec<Entry>> {
    let Some(Node { value: Value::List(items), .. }) = get(entries, key) else { return Vec::new() };
    let table = |node: &Node| match &node.value {
        Value::Table(entries) => Some(entries.clone()),
        _ => None,
    };
    items.iter().filter_map(table).collect()
}

fn numbers(entries: &[Entry], key: &str) -> Vec<(String, i64)> {
    let Some(Node { value: Value::Table(numbers), .. }) = get(entries, key) else {
        return Vec::new();
    };
    let number = |entry: &Entry| match &entry.node.value {
        Value::Integer(digits) => Some((entry.key.clone(), digits.parse().ok()?)),
        _ => None,
    };
    numbers.iter().filter_map(number).collect()
}

/// An operation as it is written: in its own steps, or in each pattern that it names. Gives the
/// pattern, what the operation does in it, and its statements.
fn written(
    table: &[Entry],
    about: &str,
    patterns: &[Pattern],
) -> Vec<(Option<String>, String, Vec<String>)> {
    if let Some(steps) = get(table, "steps") {
        let pattern = text(table, "pattern").map(String::from);
        return vec![(pattern, about.to_owned(), texts(steps))];
    }
    let Some(Node { value: Value::Table(parts), .. }) = get(table, "parts") else {
        panic!("{about} has neither steps nor parts");
    };
    let parts: Vec<Part> =
        parts.iter().map(|entry| (entry.key.clone(), texts(&entry.node))).collect();
    let in_pattern = |name: String| {
        let pattern = patterns.iter().find(|pattern| pattern.name == name);
        let pattern = pattern.unwrap_or_else(|| panic!("{name} is no pattern"));
        (Some(name), format!("{about} {}", pattern.about), pattern.steps(&parts))
    };
    get(table, "patterns").map(texts).unwrap_or_default().into_iter().map(in_pattern).collect()
}

/// Reads the embedded files. What is wrong in them panics here; this crate's tests read them.
fn library() -> (Vec<Operation>, Vec<Workload>) {
    let (mut operations, mut workloads) = (Vec::new(), Vec::new());
    let patterns = patterns::read(PATTERNS);
    for (file, of, model) in FILES {
        let root = Node::document(file, 0).expect("the workloads are TOML");
        let Value::Table(root) = root.value else { unreachable!("a document is a table") };
        let named = |name: &str| {
            WORKLOADS.iter().copied().find(|known| *known == name).expect("its name is listed")
        };
        let mut add = |name: &'static str, entries: &[Entry]| {
            let mix = numbers(entries, "mix").into_iter();
            let mix = mix.map(|(name, weight)| (name, weight as u32)).collect();
            let properties = numbers(entries, "properties");
            workloads.push(Workload { name, mix, properties });
        };
        if let Some(name) = of.filter(|_| get(&root, "mix").is_some()) {
            add(named(name), &root);
        }
        for table in tables(&root, "workload") {
            add(named(text(&table, "name").expect("a workload has a name")), &table);
        }
        for table in tables(&root, "operation") {
            let name = text(&table, "name").expect("an operation has a name");
            let workload = match of {
                Some(of) => named(of),
                // The operations of the others begin with the name of their data.
                None => match name.split('_').next() {
                    Some("register") => "register",
                    Some("counter") => "counter",
                    Some("list") => "list-append",
                    Some("pair") => "unique-pair",
                    _ => "bank",
                },
            };
            let about = text(&table, "about").unwrap_or_default();
            for (pattern, about, steps) in written(&table, about, &patterns) {
                let program = steps::compile(name, &about, &steps).unwrap_or_else(|error| {
                    panic!("{name}, {}: {error:?}", steps[error.statement])
                });
                operations.push(Operation { workload, pattern, model, program });
            }
        }
    }
    (operations, workloads)
}

#[cfg(test)]
mod tests {
    use wavetank_world::operation::{Operand, OperationStep};

    use super::*;

    #[test]
    fn the_library_is_sound() {
        assert_eq!(names("social")[..5], ["home_stream", "profile", "follow", "status", "sign_up"]);
        for name in WORKLOADS {
            let workload = workload(name).expect("it is there");
            assert!(!workload.mix.is_empty());
            for (operation, _) in &workload.mix {
                assert!(names(name).contains(&operation.as_str()), "{name}.{operation}");
            }
        }
    }

    #[test]
    fn patterns_are_chosen_by_name_and_data_model() {
        let one = GraphModel::MonolithicNode;
        let split = GraphModel::SplitNodes;
        let chosen = |pattern, model| {
            let operation = operation("follow", pattern, model)?;
            Some((operation.pattern.as_deref()?, operation.model))
        };
        assert_eq!(chosen(None, one), Some(("unchecked", None)));
        assert_eq!(chosen(Some("merge"), split), Some(("merge", Some(split))));
        assert_eq!(chosen(Some("naive"), split), Some(("naive", Some(split))));
        assert_eq!(chosen(Some("nave"), one), None);
        assert!(patterns("follow", one).contains(&"locked-both-ends"));
    }

    #[test]
    fn writes_come_in_every_pattern_that_makes_sense_for_them() {
        let one_node = ["naive", "locked", "double-checked"].as_slice();
        let new = ["merge", "merge-unlocked", "match-then-merge"].as_slice();
        let both_ends = ["naive", "locked", "locked-both-ends", "double-checked"].as_slice();
        for (name, expected) in [
            ("follow", [&["unchecked"], both_ends, new].concat()),
            ("block", [both_ends, new].concat()),
            ("star", [both_ends, new].concat()),
            ("unfollow", both_ends.to_vec()),
            ("post", one_node.to_vec()),
            ("notify", one_node.to_vec()),
            ("change_password", one_node.to_vec()),
            ("change_email", one_node.to_vec()),
            ("deactivate", one_node.to_vec()),
            ("sign_up", vec!["unchecked", "naive"]),
        ] {
            for model in [GraphModel::MonolithicNode, GraphModel::SplitNodes] {
                assert_eq!(patterns(name, model), expected, "{name}");
            }
        }
    }

    /// What has a node of its own in the split model, and what of the user's node still does.
    const SPLIT: [&str; 8] = [
        "password",
        "email",
        "last_write",
        "followers",
        "following",
        "notifications",
        "posts",
        "NEXT",
    ];

    #[test]
    fn what_touches_split_data_is_there_for_split_nodes_in_the_same_patterns() {
        let social = || OPERATIONS.iter().filter(|operation| operation.workload == "social");
        let mut touching = 0;
        for one in social().filter(|operation| operation.model.is_none()) {
            let touches = |(_, name): &(_, String)| SPLIT.contains(&name.as_str());
            if !one.program.names.iter().any(touches) {
                continue;
            }
            touching += 1;
            let split = social().find(|other| {
                other.model == Some(GraphModel::SplitNodes)
                    && (&other.program.name, &other.pattern) == (&one.program.name, &one.pattern)
            });
            let (name, pattern) = (&one.program.name, &one.pattern);
            let split = split.unwrap_or_else(|| panic!("{name} {pattern:?} is not split"));
            assert_eq!(split.program.writes(), one.program.writes(), "{name} {pattern:?}");
        }
        assert_eq!(touching, social().filter(|operation| operation.model.is_some()).count());
    }

    #[test]
    fn every_write_of_the_social_network_says_when_it_was() {
        for operation in OPERATIONS.iter().filter(|operation| operation.workload == "social") {
            let sets = |step: &OperationStep| match step {
                OperationStep::Set { key, value, .. } => {
                    operation.program.name_of(*key) == "last_write" && *value == Operand::Now.into()
                }
                _ => false,
            };
            let (name, steps) = (&operation.program.name, &operation.program.steps);
            assert_eq!(steps.iter().any(sets), operation.program.writes(), "{name}");
            // In the same transaction: only the removal of a deleted node has none to note it on.
            let first = steps.iter().take_while(|step| **step != OperationStep::Commit);
            assert_eq!(first.into_iter().any(sets), operation.program.writes(), "{name}");
        }
    }

    #[test]
    fn who_relates_two_users_says_so() {
        let mut marked = 0;
        for operation in OPERATIONS.iter() {
            let program = &operation.program;
            let relates =
                ["FOLLOWS", "BLOCKS", "STARRED", "PAIR"].iter().map(|kind| program.leads_to(kind));
            let created = relates.flatten().count();
            let marks = program.steps.iter().filter(|step| {
                matches!(step, OperationStep::Set { key, value, .. }
                    if program.name_of(*key) == "op" && *value == Operand::Operation.into())
            });
            if created == 0 {
                continue;
            }
            assert_eq!(marks.count(), created, "{} {:?}", program.name, operation.pattern);
            marked += created;
        }
        assert!(marked > 40, "{marked}");
    }

    #[test]
    fn what_others_delete_is_not_looked_for_afterwards() {
        let of = |name: &str| {
            operation(name, None, GraphModel::MonolithicNode).expect("it is there").program.clone()
        };
        let stays = |name: &str, with: &[&str]| {
            let among: Vec<Program> = with.iter().map(|name| of(name)).collect();
            of(name).marks_stay(&among)
        };
        assert!(stays("follow", &["follow", "post", "sign_up", "deactivate"]));
        assert!(!stays("follow", &["follow", "unfollow"]));
        assert!(stays("sign_up", &["sign_up", "unfollow"]));
        assert!(!stays("sign_up", &["sign_up", "delete_user"]));
    }

    #[test]
    fn what_only_reads_needs_no_master() {
        let writes =
            |name| operation(name, None, GraphModel::MonolithicNode).expect("it").program.writes();
        assert!(!writes("home_stream") && !writes("auth") && !writes("list_read"));
        assert!(writes("follow") && writes("transfer") && writes("delete_user"));
    }
}
