//! `[[expect]]` of what may happen to the data: the checks that look for it take the names of
//! properties, types, labels and second stores, which some operation must use.

use wavetank_vocabulary::Status;
use wavetank_world::operation::TokenKind;
use wavetank_world::{Anomaly, Bounds, Expectation, Forbidden};

use super::expectations::bounds;
use super::operations::Settled;
use crate::errors::Problem;
use crate::section::{At, Section, meant};
use crate::units::brief;

/// What users have of these at the start is what the graph says.
const COUNTED: [&str; 2] = ["followers", "following"];

/// The keys of an expectation, but for `found`.
pub(crate) fn keys(of: &Anomaly) -> Vec<(&'static str, String)> {
    match of {
        Anomaly::LostUpdates { property }
        | Anomaly::BankTotal { property }
        | Anomaly::ListAppend { property }
        | Anomaly::UniqueValue { property }
        | Anomaly::Linearizable { property } => vec![("property", property.clone())],
        Anomaly::CounterEqualsCount { property, kind, incoming } => vec![
            ("property", property.clone()),
            ("type", kind.clone()),
            ("direction", if *incoming { "in" } else { "out" }.into()),
        ],
        Anomaly::UniqueRelationship { kind } => vec![("type", kind.clone())],
        Anomaly::ForbiddenPair { kind, by } => {
            let (key, name) = match by {
                Forbidden::Type(name) => ("unless", name),
                Forbidden::Label(name) => ("unless_label", name),
            };
            vec![("type", kind.clone()), (key, name.clone())]
        }
        Anomaly::StuckTransactions { within } => vec![("within", within.to_string())],
        Anomaly::FailedOperations { status } => {
            status.iter().map(|status| ("status", status.seen_as().to_owned())).collect()
        }
        Anomaly::StoresAgree { store, property } => {
            vec![("store", store.clone()), ("property", property.clone())]
        }
    }
}

/// A name that some operation uses.
fn name(
    section: &Section<'_>,
    key: &'static str,
    kind: TokenKind,
    operations: &Settled,
) -> Option<String> {
    let names = operations.programs.iter().flat_map(|program| &program.names);
    let names = names.filter(|(of, _)| *of == kind).map(|(_, name)| name.as_str());
    let what = match kind {
        TokenKind::PropertyKey => "property",
        TokenKind::RelationshipType => "type of relationships",
        TokenKind::Label => "label",
    };
    one_of(section, key, what, names.collect(), operations)
}

fn one_of(
    section: &Section<'_>,
    key: &'static str,
    what: &str,
    mut names: Vec<&str>,
    operations: &Settled,
) -> Option<String> {
    let Some(at) = section.text(key) else {
        if section.has(key).is_none() {
            section.note(format!("`{key}` is missing"), section.place, format!("which {what}?"));
        }
        return None;
    };
    // Of an operation with a slip in it nobody knows what it would use.
    if names.contains(&at.value.as_str()) || !operations.whole {
        return Some(at.value);
    }
    names.sort_unstable();
    names.dedup();
    let title = format!("unknown {what} `{}`", brief(&at.value));
    let problem = Problem::new(title, at.place, "no operation of these clients uses it");
    section.findings().add(problem.help(meant(&at.value, &names)));
    None
}

/// The end of an attempt that a scenario names by what a client sees.
pub(super) fn status(section: &Section<'_>, at: &At<String>) -> Option<Status> {
    let failures = || Status::ALL.into_iter().filter(|status| *status != Status::Ok);
    let found = failures().find(|status| status.seen_as() == at.value);
    if found.is_none() {
        let mut names: Vec<&str> = failures().map(Status::seen_as).collect();
        names.sort_unstable();
        names.dedup();
        let title = format!("unknown status `{}`", brief(&at.value));
        let problem = Problem::new(title, at.place, "no attempt ends so");
        section.findings().add(problem.help(meant(&at.value, &names)));
    }
    found
}

pub(super) fn read(
    section: &Section<'_>,
    check: &str,
    operations: &Settled,
) -> Option<Expectation> {
    let property = || name(section, "property", TokenKind::PropertyKey, operations);
    let uncounted = |label: &str| {
        let property = property()?;
        let counted = section.text("property").filter(|at| COUNTED.contains(&at.value.as_str()));
        let Some(at) = counted else { return Some(property) };
        let title = format!("`{}` begins with another number on each node", at.value);
        let problem = Problem::new(title, at.place, label);
        section.findings().add(problem.help("`counter-equals-count` looks at it"));
        None
    };
    let kind = |key| name(section, key, TokenKind::RelationshipType, operations);
    let found = section
        .table("found")
        .map_or(Bounds::at_most(0), |limit| bounds(&limit, limit.count("min"), limit.count("max")));
    let of = match check {
        "lost-updates" => {
            Anomaly::LostUpdates { property: uncounted("what was added cannot be told from it")? }
        }
        "counter-equals-count" => {
            let incoming = section.choice("direction").is_none_or(|at| at.value == "in");
            Anomaly::CounterEqualsCount { property: property()?, kind: kind("type")?, incoming }
        }
        "unique-relationship" => Anomaly::UniqueRelationship { kind: kind("type")? },
        "forbidden-pair" => {
            let of = kind("type");
            let by = match (section.has("unless"), section.has("unless_label")) {
                (Some(place), Some(other)) => {
                    let title = "an expectation has one of `unless` and `unless_label`";
                    let problem = Problem::new(title, other, "and there");
                    section.findings().add(problem.also(place, "here"));
                    return None;
                }
                (_, None) => Forbidden::Type(kind("unless")?),
                (None, _) => {
                    Forbidden::Label(name(section, "unless_label", TokenKind::Label, operations)?)
                }
            };
            Anomaly::ForbiddenPair { kind: of?, by }
        }
        "bank-total" => {
            Anomaly::BankTotal { property: uncounted("their sum is not known at the start")? }
        }
        "stuck-transactions" => {
            if section.has("within").is_none() {
                section.note("`within` is missing", section.place, "how long may it take?");
            }
            Anomaly::StuckTransactions { within: section.span("within")?.value }
        }
        "stores-agree" => {
            let stores = operations.programs.iter().flat_map(|program| &program.stores);
            let stores = stores.map(String::as_str).collect();
            let store = one_of(section, "store", "second store", stores, operations);
            Anomaly::StoresAgree { store: store?, property: property()? }
        }
        "failed-operations" => Anomaly::FailedOperations {
            status: section
                .text("status")
                .map_or(Some(None), |at| status(section, &at).map(Some))?,
        },
        "linearizable" => {
            Anomaly::Linearizable { property: uncounted("what a node begins with is not known")? }
        }
        "list-append" => {
            let property = property()?;
            let appended =
                operations.programs.iter().any(|program| program.appends(&property).is_some());
            let read = operations.programs.iter().any(|program| program.lists(&property).is_some());
            if (!appended || !read) && operations.whole {
                let what = if appended { "reads a list of it" } else { "appends it to a list" };
                let label = format!("no operation of these clients {what}");
                section.note(format!("`{property}` is in no list"), section.place, label);
            }
            Anomaly::ListAppend { property }
        }
        "unique-value" => {
            let property = property()?;
            let made =
                operations.programs.iter().any(|program| program.appends(&property).is_some());
            if !made && operations.whole {
                let label = "no operation of these clients creates a node with it and returns it";
                section.note(format!("`{property}` is given to no new node"), section.place, label);
            }
            Anomaly::UniqueValue { property }
        }
        _ => return None,
    };
    Some(Expectation::Anomalies { of, found })
}
