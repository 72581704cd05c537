//! `[sweep]`: what `wavetank sweep` varies. Every value is put into the scenario once and read
//! there, so that a slip in one is told where it stands, before anything is played.

use crate::errors::{Errors, Source};
use crate::overlay;
use crate::scenario::{Reader, SweepPlan};
use crate::section::{At, Section, Wrong};
use crate::tree::{Entry, Node, Value};
use crate::units::brief;

/// A key, and the values that it takes.
type Varied = (At<String>, Vec<At<String>>);

/// The table as it was read.
#[derive(Debug)]
pub(super) struct Sweep {
    vary: Vec<Varied>,
    seeds: u64,
}

impl Sweep {
    /// Reads the table, if there is one.
    pub(super) fn read(top: &Section<'_>) -> Option<Sweep> {
        top.has("sweep")?;
        let sweep = top.table("sweep")?;
        let mut entries = Vec::new();
        flatten("", sweep.settings("vary"), &mut entries);
        if entries.is_empty()
            && let Some(place) = sweep.has("vary")
        {
            sweep.note("`vary` names nothing to vary", place, "this table is empty");
        }
        let vary = entries.iter().filter_map(|entry| {
            let key = At { value: entry.key.clone(), place: entry.key_place };
            match values(&entry.node) {
                Ok(values) => Some((key, values)),
                Err(wrong) => {
                    let wants = "a list of values such as [\"100ms\", \"2s\"]";
                    let problem = wrong.problem(&entry.key, wants, entry.node.place);
                    sweep.findings().add(problem);
                    None
                }
            }
        });
        let vary = vary.collect();
        Some(Sweep { vary, seeds: sweep.count("seeds")?.value })
    }

    /// Reads the scenario once with each of the values.
    pub(super) fn check(
        &self,
        root: &Node,
        sources: &[Source],
        read: Reader<'_>,
    ) -> Result<(), Errors> {
        for (key, values) in &self.vary {
            for value in values {
                let mut root = root.clone();
                let node = Node::bare(&value.value, value.place);
                overlay::place(&mut root, &key.value, key.place, node)
                    .map_err(|problem| Errors::new(sources.to_vec(), vec![problem]))?;
                super::once(root, sources.to_vec(), &mut *read)?;
            }
        }
        Ok(())
    }

    /// What the command plays.
    pub(super) fn plan(self) -> SweepPlan {
        let texts = |(key, values): Varied| {
            (key.value, values.into_iter().map(|value| value.value).collect())
        };
        SweepPlan { vary: self.vary.into_iter().map(texts).collect(), seeds: self.seeds }
    }
}

/// The keys with their whole names: without quotes, `ha.pull_interval` is tables to TOML.
fn flatten(prefix: &str, entries: Vec<Entry>, flat: &mut Vec<Entry>) {
    for mut entry in entries {
        if !prefix.is_empty() {
            entry.key = format!("{prefix}.{}", entry.key);
        }
        match entry.node.value {
            Value::Table(inner) if !inner.is_empty() => flatten(&entry.key, inner, flat),
            _ => flat.push(entry),
        }
    }
}

fn values(node: &Node) -> Result<Vec<At<String>>, Wrong> {
    let Value::List(items) = &node.value else {
        return Err(format!("this is {}", node.describe()).into());
    };
    let mut values: Vec<At<String>> = Vec::new();
    for item in items {
        let value = match &item.value {
            Value::Text(text) | Value::Integer(text) | Value::Float(text) => text.clone(),
            Value::Flag(flag) => flag.to_string(),
            _ => return Err(format!("{} is in it", item.describe()).into()),
        };
        if values.iter().any(|known| known.value == value) {
            return Err(format!("`{}` is in it twice", brief(&value)).into());
        }
        values.push(At { value, place: item.place });
    }
    if values.is_empty() { Err(String::from("there is none in it").into()) } else { Ok(values) }
}
