//! `[cluster.settings]`: Neo4j's names, in Neo4j's own syntax or with our units.

use std::collections::BTreeMap;

use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::{Compat, Settings};

use crate::errors::{Place, Problem};
use crate::section::values::{between, digits, one_of, whole};
use crate::section::{At, Section, Wrong, nearest};
use crate::settings::{Field, KNOWN, STRATEGIES, Setting};
use crate::tree::{Entry, Node, Value};
use crate::units::{self, brief};

/// What the settings say.
pub(super) struct Read {
    pub(super) settings: Settings,
    /// The heap of every group that does not say.
    pub(super) heap: Option<At<Bytes>>,
    /// The page cache of every group that does not say.
    pub(super) page_cache: Option<At<Bytes>>,
}

pub(super) fn read(cluster: &Section<'_>, compat: Compat) -> Read {
    let mut read = Read { settings: Settings::defaults(compat), heap: None, page_cache: None };
    // By the place in the table: where each was set, under whatever name.
    let mut set: BTreeMap<&'static str, Place> = BTreeMap::new();
    let mut entries = Vec::new();
    flatten("", cluster.settings("settings"), &mut entries);
    for entry in entries {
        let Some(setting) = Setting::by_name(&entry.key) else {
            cluster.findings().add(unknown(&entry));
            continue;
        };
        let field = match setting.field {
            Field::HeapMegabytes => "dbms.memory.heap.max_size",
            _ => setting.name,
        };
        if let Some(first) = set.insert(field, entry.key_place) {
            cluster.findings().add(
                Problem::new(
                    "this is set twice",
                    entry.key_place,
                    format!("the same setting as `{field}`"),
                )
                .also(first, "first set here"),
            );
        }
        if let Err(wrong) = apply(&setting.field, &entry.node, &mut read) {
            let problem = wrong.problem(&entry.key, &wants(&setting.field), entry.node.place);
            cluster.findings().add(problem);
        }
    }
    let beats = &read.settings.cluster;
    if beats.heartbeat_timeout < beats.heartbeat_interval {
        let interval = set.get("ha.heartbeat_interval");
        let timeout = set.get("ha.heartbeat_timeout");
        let place = timeout.or(interval).copied().unwrap_or(cluster.place);
        let mut problem = Problem::new(
            "every member would be suspected between two heartbeats",
            place,
            format!(
                "heartbeats come every {}, and after {} a member is suspected",
                beats.heartbeat_interval, beats.heartbeat_timeout
            ),
        )
        .help("make ha.heartbeat_timeout longer than ha.heartbeat_interval");
        if let (Some(interval), Some(_)) = (interval, timeout) {
            problem = problem.also(*interval, "the interval");
        }
        cluster.findings().add(problem);
    }
    read
}

fn unknown(entry: &Entry) -> Problem {
    let name = brief(&entry.key);
    if let Some((_, instead)) = KNOWN.iter().find(|(known, _)| *known == entry.key) {
        let problem = Problem::new(
            format!("the setting `{name}` is not there yet"),
            entry.key_place,
            "Neo4j has it, this version does not model it",
        );
        return if instead.is_empty() { problem } else { problem.help(*instead) };
    }
    let problem = Problem::new(
        format!("unknown setting `{name}`"),
        entry.key_place,
        "no setting of Neo4j that is modelled",
    );
    match nearest(&entry.key, Setting::names().chain(KNOWN.iter().map(|(known, _)| *known))) {
        Some(near) => problem.help(format!("a similar setting is `{near}`")),
        None => problem.help("`wavetank list settings` names them all"),
    }
}

fn wants(field: &Field) -> String {
    match field {
        Field::Span(..) | Field::SpanOrOff(..) => {
            "a length of time such as \"500ms\"; a bare number is in seconds".into()
        }
        Field::Bytes(..) | Field::Heap | Field::PageCache => {
            "a number of bytes such as \"2M\", \"512MiB\" or \"8GB\"".into()
        }
        Field::Count(..) | Field::LongCount(..) => "a whole number".into(),
        Field::HeapMegabytes => "a whole number of MB".into(),
        Field::Strategy(_) => {
            let names = STRATEGIES.map(|(name, _)| format!("\"{name}\""));
            format!("one of {}", names.join(", "))
        }
    }
}

/// The settings with their whole names: `ha.pull_interval = 5` without quotes is a table in
/// a table to TOML, and to everybody else a setting.
fn flatten(prefix: &str, entries: Vec<Entry>, flat: &mut Vec<Entry>) {
    for mut entry in entries {
        if !prefix.is_empty() {
            entry.key = format!("{prefix}.{}", entry.key);
        }
        match entry.node.value {
            Value::Table(inner) if Setting::by_name(&entry.key).is_none() && !inner.is_empty() => {
                flatten(&entry.key, inner, flat);
            }
            _ => flat.push(entry),
        }
    }
}

fn apply(field: &Field, node: &Node, read: &mut Read) -> Result<(), Wrong> {
    let settings = &mut read.settings;
    let span = |low: &Span, high: &Span| -> Result<Span, Wrong> {
        between(units::setting_span(digits(node)?)?, low, high, Span::to_string)
    };
    let bytes = |low: &Bytes, high: &Bytes| -> Result<Bytes, Wrong> {
        between(units::setting_bytes(digits(node)?)?, low, high, |b| units::bytes_text(*b))
    };
    let most = Bytes::gib(1 << 20);
    let at = |value| Some(At { value, place: node.place });
    match field {
        Field::Span(field, low, high) => *field(settings) = span(low, high)?,
        Field::SpanOrOff(field, low, high) => {
            let value = units::setting_span(digits(node)?)?;
            let value = if value.is_zero() { value } else { span(low, high)? };
            *field(settings) = value;
        }
        Field::Bytes(field, low, high) => *field(settings) = bytes(low, high)?,
        Field::Count(field, low, high) => {
            *field(settings) = whole(node, u64::from(*low), u64::from(*high))? as u32;
        }
        Field::LongCount(field, low, high) => *field(settings) = whole(node, *low, *high)?,
        Field::Strategy(field) => {
            let name = one_of(node, &STRATEGIES.map(|(name, _)| name), &[])?;
            if let Some((_, strategy)) = STRATEGIES.iter().find(|(known, _)| *known == name) {
                *field(settings) = *strategy;
            }
        }
        Field::Heap => read.heap = at(bytes(&Bytes::mib(1), &most)?),
        Field::HeapMegabytes => {
            read.heap = at(Bytes::mib(whole(node, 1, most.0 >> 20)?));
        }
        Field::PageCache => read.page_cache = at(bytes(&Bytes(245_760), &most)?),
    }
    Ok(())
}
