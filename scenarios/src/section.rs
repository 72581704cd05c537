//! Reading a table of a scenario against its keys: what is unknown, missing, of the wrong
//! kind or out of range is noted, and reading goes on.

pub(crate) mod distribution;
pub(crate) mod values;

use std::borrow::Cow;
use std::cell::RefCell;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, InstanceId, Rate, Ratio, Span};
use wavetank_world::Target;

use crate::errors::{Place, Problem};
use crate::keys::{Key, Kind, Need, Table};
use crate::tree::{Entry, Node, Value};
use crate::units::{self, brief};

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Findings(RefCell<Vec<Problem>>);

impl Findings {
    pub(crate) fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn into_inner(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A value and where it was written; a default stands where its table does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A length of time, or a range of them, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) low: Span,
    pub(crate) high: Span,
}

/// Why a value is not what its key takes: a label for the caret, and advice.
pub(crate) struct Wrong {
    pub(crate) label: String,
    pub(crate) help: Option<String>,
    /// A title in place of the one that says what the key takes.
    pub(crate) title: Option<String>,
}

impl From<String> for Wrong {
    fn from(label: String) -> Self {
        Wrong { label, help: None, title: None }
    }
}

impl Wrong {
    /// The problem of a key whose value this is.
    pub(crate) fn problem(self, key: &str, wants: &str, place: Place) -> Problem {
        let title = match self.title {
            Some(title) => format!("`{}` {title}", brief(key)),
            None => format!("`{}` takes {wants}", brief(key)),
        };
        let problem = Problem::new(title, place, self.label);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

/// A table that is being read.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    spec: &'static Table,
    pub(crate) place: Place,
    entries: Vec<Entry>,
    findings: &'a Findings,
}

/// The nearest of the names, if it is near enough to have been meant.
pub fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase().replace('-', "_");
    names
        .into_iter()
        .map(|other| {
            let near = strsim::jaro_winkler(&lower, &other.to_lowercase().replace('-', "_"));
            (near, other)
        })
        .filter(|(near, _)| *near >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// Help for a name that is not among the ones there are.
pub(crate) fn meant(name: &str, names: &[&str]) -> String {
    // `r3.xlarge` for `aws:r3.xlarge`.
    let tail = |known: &&&str| name.len() > 2 && known.ends_with(name);
    match names.iter().find(tail).copied().or_else(|| nearest(name, names.iter().copied())) {
        Some(near) => format!("a similar name is `{near}`"),
        None if names.is_empty() => "there is none".into(),
        None => format!("known: {}", names.join(", ")),
    }
}

impl<'a> Section<'a> {
    /// Begins to read a node as this table, and notes the keys that it does not have.
    pub(crate) fn open(spec: &'static Table, node: Node, findings: &'a Findings) -> Self {
        let place = node.place;
        let wrong = node.describe();
        let Value::Table(entries) = node.value else {
            findings.add(Problem::new(
                format!("{} is a table", spec.name),
                place,
                format!("this is {wrong}"),
            ));
            return Section { spec, place, entries: Vec::new(), findings };
        };
        let section = Section { spec, place, entries, findings };
        for entry in &section.entries {
            section.know(entry);
        }
        section
    }

    fn know(&self, entry: &Entry) {
        let name = brief(&entry.key);
        match self.spec.key(&entry.key) {
            Some(Key { kind: Kind::Later, about, .. }) => self.findings.add(
                Problem::new(
                    format!("`{name}` is not there yet"),
                    entry.key_place,
                    "not in this version",
                )
                .help(format!("the language knows it ({about}), this version cannot do it yet")),
            ),
            Some(Key { kind: Kind::LaterTable(table), .. }) => self.not_yet(&name, entry, table),
            Some(_) => {}
            None => {
                let names = self.spec.keys.iter().map(|key| key.name);
                let help = match nearest(&entry.key, names) {
                    Some(near) => format!("a similar name is `{near}`"),
                    None => {
                        let now =
                            self.spec.keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
                        let now: Vec<&str> = now.map(|key| key.name).collect();
                        format!("known: {}", now.join(", "))
                    }
                };
                self.findings.add(
                    Problem::new(
                        format!("unknown key `{name}`"),
                        entry.key_place,
                        format!("{} has no such key", self.spec.name),
                    )
                    .help(help),
                );
            }
        }
    }

    /// A table that can be written and not be played: what is wrong in it is told all the same.
    fn not_yet(&self, name: &str, entry: &Entry, table: &'static Table) {
        self.findings.add(
            Problem::new(
                format!("`{name}` is not there yet"),
                entry.key_place,
                "this version cannot play it",
            )
            .help(format!("the language knows it: {}", table.about)),
        );
        let nodes = match &entry.node.value {
            Value::List(nodes) if nodes.iter().all(|node| node.describe() == "a table") => {
                nodes.clone()
            }
            _ => vec![entry.node.clone()],
        };
        for node in nodes {
            Section::open(table, node, self.findings).check();
        }
    }

    /// Reads every key for its problems alone.
    fn check(&self) {
        for key in self.spec.keys {
            if self.has(key.name).is_some() {
                values::check(self, key);
            }
        }
    }

    /// Whether an unknown key is there that was probably meant to be one of these.
    pub(crate) fn misspelt(&self, keys: &[&str]) -> bool {
        self.entries.iter().filter(|entry| self.spec.key(&entry.key).is_none()).any(|entry| {
            let near = nearest(&entry.key, self.spec.keys.iter().map(|key| key.name));
            near.is_some_and(|near| keys.contains(&near))
        })
    }

    /// Notes a problem.
    pub(crate) fn note(&self, title: impl Into<String>, place: Place, label: impl Into<String>) {
        self.findings.add(Problem::new(title, place, label));
    }

    pub(crate) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// The place of a key, if it was written.
    pub(crate) fn has(&self, name: &str) -> Option<Place> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| entry.key_place)
    }

    /// The keys that were written and belong to the language, with their places.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&str, Place)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), entry.key_place))
    }

    fn key(&self, name: &str) -> &'static Key {
        match self.spec.key(name) {
            Some(key) => key,
            None => {
                panic!("{} is read for `{name}`, which the table of keys lacks", self.spec.name)
            }
        }
    }

    /// The node under a key, or that of its default.
    fn node(&self, name: &str) -> Option<(&'static Key, Cow<'_, Node>)> {
        let key = self.key(name);
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == name) {
            return Some((key, Cow::Borrowed(&entry.node)));
        }
        match key.need {
            Need::Default(text) => Some((key, Cow::Owned(Node::bare(text, self.place)))),
            Need::Optional => None,
            // The unknown key has been noted; one slip is one error.
            Need::Required if self.misspelt(&[name]) => None,
            Need::Required => {
                self.findings.add(
                    Problem::new(
                        format!("`{name}` is missing"),
                        self.place,
                        format!("{} needs it", self.spec.name),
                    )
                    .help(format!("{name}: {}", key.about)),
                );
                None
            }
        }
    }

    fn read<T>(
        &self,
        name: &str,
        wants: impl FnOnce(&Kind) -> String,
        read: impl FnOnce(&Node, &Kind) -> Result<T, Wrong>,
    ) -> Option<At<T>> {
        let (key, node) = self.node(name)?;
        match read(&node, &key.kind) {
            Ok(value) => Some(At { value, place: node.place }),
            Err(wrong) => {
                self.findings.add(wrong.problem(name, &wants(&key.kind), node.place));
                None
            }
        }
    }

    fn mismatch(&self, name: &str) -> ! {
        panic!("`{name}` of {} is read as what it is not", self.spec.name)
    }
}
