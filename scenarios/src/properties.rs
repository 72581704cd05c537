//! `neo4j.properties` and `neo4j.conf`: Java properties as operators write them, as entries
//! of a scenario's tree, so that their values meet the same checks.
//!
//! Of Java's format (`java.util.Properties`, "load"): `#` and `!` begin a comment, `=`, `:`
//! or white space ends the key, a backslash at the end of a line joins the next. Escapes
//! within a line are taken as they stand: settings have none.

use crate::errors::Place;
use crate::tree::{Entry, Node};

/// The settings of a file, in its order. `source` is the number of its text.
pub(crate) fn entries(text: &str, source: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut lines = lines(text).peekable();
    while let Some((start, line)) = lines.next() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with(['#', '!']) {
            continue;
        }
        let start = start + (line.len() - content.len());
        let mut content = content.trim_end().to_owned();
        let first_line_end = start + content.len();
        while content.ends_with('\\') {
            content.pop();
            match lines.next() {
                Some((_, next)) => content.push_str(next.trim()),
                None => break,
            }
        }
        entries.push(entry(&content, start, first_line_end, source));
    }
    entries
}

fn entry(content: &str, start: usize, line_end: usize, source: usize) -> Entry {
    let ends = |c: char| c == '=' || c == ':' || c.is_whitespace();
    let key_end = content.find(ends).unwrap_or(content.len());
    let rest = content[key_end..].trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    let value = rest.trim();
    let value_start = (start + content.len() - rest.trim_start().len()).min(line_end);
    Entry {
        key: content[..key_end].to_owned(),
        key_place: Place::new(source, start..start + key_end),
        node: Node::bare(value, Place::new(source, value_start..line_end)),
    }
}

/// The lines with the byte at which each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line.trim_end_matches(['\n', '\r']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_java_reads_it() {
        let text = "# a comment\n! another\n\nha.pull_interval=10\r\n  ha.tx_push_factor : 2\n\
                    keep_logical_logs\t7 days\nha.initial_hosts=a:5001,\\\n   b:5001\nempty=\n";
        let read: Vec<(String, Option<String>)> =
            entries(text, 3).into_iter().map(|entry| (entry.key, entry.node.bare)).collect();
        let expected = [
            ("ha.pull_interval", "10"),
            ("ha.tx_push_factor", "2"),
            ("keep_logical_logs", "7 days"),
            ("ha.initial_hosts", "a:5001,b:5001"),
            ("empty", ""),
        ];
        let expected: Vec<(String, Option<String>)> = expected
            .iter()
            .map(|(key, value)| (key.to_string(), Some(value.to_string())))
            .collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let text = "# x\n ha.pull_interval = 10\n";
        let entry = &entries(text, 0)[0];
        let at = |place: Place| &text[place.start..place.end];
        assert_eq!(at(entry.key_place), "ha.pull_interval");
        assert_eq!(at(entry.node.place), "10");
    }
}
