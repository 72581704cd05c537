//! The reference chapter of the book, made from the tables that the parser reads by, so that
//! it cannot say anything else.

use std::fmt::Write;

use wavetank_world::{Compat, Flaws, Trigger};

use crate::checks::CHECKS;
use crate::keys::{Key, Kind, Need, PROFILE, ROOT, Table};
use crate::profiles::PROFILES;
use crate::settings::{KNOWN, SETTINGS};
use crate::units::bytes_text;

const HEAD: &str = "\
# Reference

Made by `wavetank list reference` from the tables that the parser reads by.

A scenario is a TOML file. Unknown keys are errors. Quantities are written in quotes and with
their unit:

| quantity | units | example |
|---|---|---|
| time | ns, us, ms, s, m, h, d | `\"500ms\"` |
| size | B, KB, MB, GB, TB (decimal), KiB, MiB, GiB, TiB (binary) | `\"300GB\"` |
| rate | /s, /m, /h, /d | `\"200/s\"` |
| bandwidth | bit/s, kbit/s, Mbit/s, Gbit/s, B/s, KB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s | `\"1Gbit/s\"` |
| ratio | none, or % | `0.5`, `\"1/64\"`, `\"95%\"` |
| range of times | as time; the seed draws from it, both ends included | `\"1m..2m\"` |
| distribution of times | | `\"1ms\"`, `{ uniform = [\"1ms\", \"2ms\"] }`, `{ exponential = \"1ms\" }`, `{ normal = \"1ms\", deviation = \"100us\" }`, `{ lognormal = \"1ms\", sigma = 0.3 }` (its median), `{ pareto = \"1ms\", shape = 2.5 }` (its least), `{ quantiles = [...] }` (nine times: the least, the 10th, 25th, 50th, 75th, 90th, 99th and 99.9th percentile, the greatest) |

## What a run is

From zero to `duration` clients and faults are at work; the `warm_up` is part of it, and
percentiles and rates leave it out. Then the clients stop, every fault heals, and play goes on
until the cluster has recovered or the longest `within` of the expectations is over (60 s when
there is none). The whole scenario is drawn from one seed; the graph has a seed of its own.
";

/// The chapter, in Markdown.
pub fn reference() -> String {
    let mut text = String::from(HEAD);
    let mut tables: Vec<&'static Table> = Vec::new();
    collect(&ROOT, &mut tables);
    collect(&PROFILE, &mut tables);
    for table in tables {
        one_table(table, &mut text);
    }
    settings(&mut text);
    text.push_str("\n## Checks\n\n| check | keys | what must hold |\n|---|---|---|\n");
    for check in &CHECKS {
        let keys: Vec<String> = check.keys.iter().map(|key| format!("`{key}`")).collect();
        let _ = writeln!(text, "| `{}` | {} | {} |", check.name, keys.join(", "), check.about);
    }
    text.push_str(
        "\nA check that had nothing to judge (no fault took effect, too few operations for a \
         percentile) is `not exercised`, and counts as broken.\n",
    );
    text.push_str("\n## Triggers\n\nWhat the `when` of a fault can wait for:\n\n");
    for (trigger, name) in Trigger::ALL {
        let state = if trigger.is_told() { "" } else { ": an instance is in the middle of it" };
        let _ = writeln!(text, "- `{name}`{state}");
    }
    text.push_str(
        "\n## Flaws of old releases\n\n| flaw | source | what it does |\n|---|---|---|\n",
    );
    for (_, name, source, about) in Flaws::ALL {
        let _ = writeln!(text, "| `{name}` | {source} | {about} |");
    }
    text.push_str("\n## Machine profiles\n\n| name | virtual processors | memory | disk bandwidth when EBS-optimised |\n|---|---|---|---|\n");
    for profile in PROFILES {
        let disk = profile.disk_mbit.map_or("not on offer".into(), |mbit| format!("{mbit} Mbit/s"));
        let memory = bytes_text(profile.memory);
        let _ = writeln!(text, "| `{}` | {} | {memory} | {disk} |", profile.name, profile.cores);
    }
    text
}

/// A table and those below it, each once, in the order in which they are mentioned.
fn collect(table: &'static Table, tables: &mut Vec<&'static Table>) {
    if tables.iter().any(|known| std::ptr::eq(*known, table)) {
        return;
    }
    tables.push(table);
    for inner in table.keys.iter().filter_map(|key| key.kind.table()) {
        collect(inner, tables);
    }
}

fn one_table(table: &Table, text: &mut String) {
    let name = if std::ptr::eq(table, &ROOT) { "The top".to_owned() } else { code(table.name) };
    let _ = write!(
        text,
        "\n## {name}\n\n{}\n\n| key | takes | default | meaning | since |\n|---|---|---|---|---|\n",
        table.about
    );
    for key in table.keys {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            cell(&key.kind.takes()),
            default(key),
            cell(&about(key)),
            if matches!(key.kind, Kind::Later | Kind::LaterTable(_)) {
                "not yet"
            } else {
                key.since
            },
        );
    }
}

fn about(key: &Key) -> String {
    let mut chars = key.about.chars();
    let first: String = chars.next().map(char::to_uppercase).into_iter().flatten().collect();
    let text = format!("{first}{}", chars.as_str());
    if text.ends_with('.') { text } else { format!("{text}.") }
}

fn default(key: &Key) -> String {
    match key.need {
        Need::Required => "required".into(),
        Need::Optional => String::new(),
        Need::Default("") => "empty".into(),
        Need::Default(text) => code(text),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn settings(text: &mut String) {
    text.push_str(
        "\n## Settings\n\nNeo4j's names, for `[cluster.settings]`, the `settings` of a group, a \
         `neo4j_conf` file and `--set`. In times a bare number is in seconds; sizes also take \
         Neo4j's `k`, `M` and `G` (binary).\n\n| setting | also called | takes | default in 2.2 | \
         2.3.0 | 2.3.6 | 3.2 | since Neo4j | effect |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for setting in SETTINGS {
        let also: Vec<String> = setting.also.iter().map(|name| code(name)).collect();
        let defaults = Compat::ALL.map(|compat| setting.default(compat));
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} |",
            setting.name,
            also.join(", "),
            setting.takes(),
            defaults.join(" | "),
            setting.since,
            setting.about
        );
    }
    text.push_str("\nKnown, and without effect here:\n\n");
    for (name, instead) in KNOWN {
        let _ = match *instead {
            "" => writeln!(text, "- `{name}`"),
            instead => writeln!(text, "- `{name}`: {instead}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chapter in the book is this text. `UPDATE_REFERENCE=1 cargo test` writes it.
    #[test]
    fn the_chapter_in_the_book_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, reference()).expect("docs/ can be written");
        }
        let book = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            book == reference(),
            "docs/reference.md is not what the tables say: UPDATE_REFERENCE=1 cargo test -p wavetank-scenario writes it"
        );
    }

    #[test]
    fn every_key_has_a_sentence() {
        let mut tables = Vec::new();
        collect(&ROOT, &mut tables);
        for key in tables.iter().flat_map(|table| table.keys) {
            assert!(!key.about.is_empty(), "{}", key.name);
        }
        let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
        assert!(names.contains(&"[[faults]]") && names.contains(&"retry"), "{names:?}");
    }
}
