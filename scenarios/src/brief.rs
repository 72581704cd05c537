//! A Plan as a short scenario: what is left when every line is gone that says only what the
//! language takes for granted.
//!
//! Nothing is known here of what the defaults are: a table or a line is left out if the text
//! without it still gives the same Plan. So this never has to be told of a new key.

use std::io;
use std::path::Path;

use wavetank_vocabulary::Ratio;
use wavetank_world::{GraphSource, Plan};

use crate::scenario::parse;
use crate::text::to_text;

/// Writes a Plan as a scenario, without what need not be said.
pub fn to_brief_text(plan: &Plan) -> String {
    // An edge list is not read again and again: its table is put back at the end.
    let mut stand_in = plan.clone();
    let edges = matches!(plan.graph.source, GraphSource::Edges { .. });
    if edges {
        let mean_follows = Ratio::new(1, 1);
        stand_in.graph.source = GraphSource::Social { users: 1, mean_follows };
    }
    let mut tables = split(&to_text(&stand_in));
    let graph = tables.iter().position(|table| table.starts_with("[graph]"));
    let gives = |tables: &[String]| {
        let scenario = parse(&format!("{}.toml", plan.name), &tables.join("\n"));
        let Ok(scenario) = scenario else { return false };
        let no_file = |_: &Path| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
        scenario.seed() == Some(plan.seed)
            && scenario.draw(plan.seed, &mut { no_file }).is_ok_and(|drawn| drawn == stand_in)
    };
    // From the end, so that what is left is found where it was.
    for table in (1..tables.len()).rev() {
        let whole = std::mem::take(&mut tables[table]);
        if !gives(&tables) {
            tables[table] = whole;
            shorten(&mut tables, table, &gives);
        }
    }
    shorten(&mut tables, 0, &gives);
    if edges && let Some(graph) = graph {
        let full = split(&to_text(plan));
        tables[graph] =
            full.into_iter().find(|table| table.starts_with("[graph]")).unwrap_or_default();
    }
    tables.retain(|table| !table.is_empty());
    tables.join("\n")
}

/// The head, and each table from its name to the next one.
fn split(text: &str) -> Vec<String> {
    let mut tables = vec![String::new()];
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            tables.push(String::new());
        }
        if let Some(table) = tables.last_mut() {
            table.push_str(line);
            table.push('\n');
        }
    }
    tables
}

/// Leaves lines of a table out.
fn shorten(tables: &mut [String], table: usize, gives: &impl Fn(&[String]) -> bool) {
    let count = tables[table].lines().count();
    for line in (0..count).rev() {
        let lines: Vec<String> = tables[table].lines().map(str::to_owned).collect();
        if lines[line].starts_with('[') {
            continue;
        }
        let mut attempt = |replaced: Option<String>| {
            let kept = lines.iter().enumerate().filter_map(|(at, text)| {
                if at == line { replaced.clone() } else { Some(text.clone()) }
            });
            let text: String = kept.map(|line| line + "\n").collect();
            let before = std::mem::replace(&mut tables[table], text);
            let same = gives(tables);
            if !same {
                tables[table] = before;
            }
            same
        };
        if attempt(None) {
            continue;
        }
        // A machine that is one by name.
        if let Some((key, rest)) = lines[line].split_once(" = { name = ")
            && let Some((name, _)) = rest.split_once(", ")
        {
            attempt(Some(format!("{key} = {name}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::LIBRARY;

    #[test]
    fn every_scenario_of_the_library_is_short_and_gives_the_same_plan() {
        for builtin in LIBRARY {
            let name = format!("{}.toml", builtin.name);
            let none = |_: &Path| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
            let plan = parse(&name, builtin.text).unwrap().draw(7, &mut { none }).unwrap();
            let text = to_brief_text(&plan);
            let again = parse(&name, &text).unwrap_or_else(|e| panic!("{}", e.render(false)));
            assert_eq!(again.draw(7, &mut { none }).unwrap(), plan, "{name}");
            assert_eq!(again.seed(), Some(7));
            let lines = |text: &str| text.lines().count();
            assert!(lines(&text) + 20 < lines(&to_text(&plan)), "{name}:\n{text}");
        }
    }
}
