//! The patterns of writes, each written once: an operation of the library that gives its parts
//! comes in every pattern that it names. `workloads/patterns.toml` says what the parts are.

use super::{tables, text};
use crate::tree::{Entry, Node, Value};

/// A pattern: statements in which `{part}` stands for a part of an operation.
pub(super) struct Pattern {
    pub(super) name: String,
    /// How it makes a write, in a sentence.
    pub(super) about: String,
    steps: Vec<String>,
}

/// A part of an operation: one statement or several.
pub(super) type Part = (String, Vec<String>);

/// The texts in a list, or the one text.
pub(super) fn texts(node: &Node) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(Node::text).map(String::from).collect(),
        _ => node.text().map(String::from).into_iter().collect(),
    }
}

/// The patterns of the embedded file.
pub(super) fn read(file: &str) -> Vec<Pattern> {
    let root = Node::document(file, 0).expect("the patterns are TOML");
    let Value::Table(root) = root.value else { unreachable!("a document is a table") };
    let pattern = |table: Vec<Entry>| Pattern {
        name: text(&table, "name").expect("a pattern has a name").to_owned(),
        about: text(&table, "about").expect("a pattern says what it does").to_owned(),
        steps: super::get(&table, "steps").map(texts).expect("a pattern has steps"),
    };
    tables(&root, "pattern").into_iter().map(pattern).collect()
}

impl Pattern {
    /// The statements of an operation with these parts.
    pub(super) fn steps(&self, parts: &[Part]) -> Vec<String> {
        let mut statements = Vec::new();
        for statement in &self.steps {
            let whole = statement.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match whole.and_then(|name| part(parts, name)) {
                Some(part) => statements.extend(part.iter().cloned()),
                None => statements.extend(filled(statement, parts)),
            }
        }
        statements
    }
}

fn part<'p>(parts: &'p [Part], name: &str) -> Option<&'p [String]> {
    parts.iter().find(|(of, _)| of == name).map(|(_, part)| part.as_slice())
}

/// The statement with the parts that there are; none if nothing is left of it.
fn filled(statement: &str, parts: &[Part]) -> Option<String> {
    let step = |step: &str| {
        let mut words = Vec::new();
        for word in step.split_whitespace() {
            match word.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => words.push(part(parts, name)?.join("; ")),
                None => words.push(word.to_owned()),
            }
        }
        Some(words.join(" "))
    };
    let steps: Vec<String> = statement.split("; ").filter_map(step).collect();
    (!steps.is_empty()).then(|| steps.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_their_places_and_what_is_missing_is_left_out() {
        let steps = ["{find}; {early}", "lock {all}", "{again}; {late}", "{write}", "merge {new}"];
        let pattern = Pattern {
            name: "p".into(),
            about: String::new(),
            steps: steps.map(String::from).to_vec(),
        };
        let part = |name: &str, texts: &[&str]| {
            (name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())
        };
        let parts = [
            part("find", &["match a(id = $me)"]),
            part("all", &["a, b"]),
            part("late", &["verify a:User"]),
            part("write", &["create p:Post()", "set a.posts = 1"]),
        ];
        let expected = [
            "match a(id = $me)",
            "lock a, b",
            "verify a:User",
            "create p:Post()",
            "set a.posts = 1",
        ];
        assert_eq!(pattern.steps(&parts), expected);
    }
}
