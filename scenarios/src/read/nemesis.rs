//! `[[nemesis]]` and `[cluster.ranges]`: what a seed draws.

use wavetank_vocabulary::{FaultFamily, FaultKind, Span};
use wavetank_world::{Target, Trigger};

use super::cluster::Built;
use super::{or, settings};
use crate::errors::Problem;
use crate::nemesis::{MOST, NemesisDraft, RangeDraft, SHORTEST, can_be_drawn, joined, roles};
use crate::section::{At, Drawn, Section, meant};
use crate::tree::Value;
use crate::units::brief;

/// The tables, in their order.
pub(super) fn read(
    top: &Section<'_>,
    built: &Built,
    duration: Option<At<Span>>,
) -> Vec<NemesisDraft> {
    top.tables("nemesis").iter().filter_map(|section| one(section, built, duration)).collect()
}

fn one(section: &Section<'_>, built: &Built, duration: Option<At<Span>>) -> Option<NemesisDraft> {
    let kinds = kinds(section, built);
    let every = section.drawn("every");
    if let Some(At { value, place }) = every
        && value.high.is_zero()
    {
        section.note("there would be no end of faults", place, "no time between two of them");
    }
    let lasts = section.drawn("for");
    if let Some(At { value, place }) = lasts
        && value.low < SHORTEST
    {
        let label = format!("at least {SHORTEST}");
        section.note("some of these faults would be too short to be drawn", place, label);
    }
    let quiet = section.windows("quiet").map_or_else(Vec::new, |at| joined(at.value));
    if let (Some(duration), Some(place)) = (duration, section.has("quiet"))
        && quiet.iter().any(|(from, to)| from.is_zero() && *to >= duration.value)
    {
        section.note("no time is left for faults", place, "it is quiet all the time");
    }
    let on = section.choices("on").map_or_else(
        || vec![Target::Any],
        |names| {
            let named = |name: &&str| roles().into_iter().find(|(known, _)| known == name);
            names.value.iter().filter_map(named).map(|(_, target)| target).collect()
        },
    );
    let when = section.choices("when").map_or_else(Vec::new, |names| {
        let named = |name: &&str| Trigger::ALL.into_iter().find(|(_, known)| known == name);
        names.value.iter().filter_map(named).map(|(trigger, _)| trigger).collect()
    });
    if when.is_empty()
        && on.contains(&Target::Trigger)
        && let Some(place) = section.has("on")
    {
        section.note("\"trigger\" needs `when`", place, "nothing is waited for");
    }
    let none = Drawn { low: Span::ZERO, high: Span::ZERO };
    let every = every?;
    let draft = NemesisDraft {
        kinds: kinds?,
        every: every.value,
        lasts: lasts?.value,
        rest: or(section.drawn("rest"), none),
        quiet,
        when,
        on,
        most: or(section.count("most"), 1) as usize,
        swarm: or(section.flag("swarm"), false),
        spares_copy: or(section.choice("budget"), "none") != "none",
    };
    if let Some(duration) = duration
        && draft.draws(duration.value) > MOST
    {
        let title = format!("a nemesis draws {MOST} faults at the most");
        let count = draft.draws(duration.value);
        let label = format!("about {count} in {}", duration.value);
        section.note(title, every.place, label);
    }
    Some(draft)
}

fn kinds(section: &Section<'_>, built: &Built) -> Option<Vec<(FaultKind, u32)>> {
    let weights = section.weights("faults")?;
    let names: Vec<&str> =
        FaultKind::ALL.iter().filter(|kind| can_be_drawn(**kind)).map(|kind| kind.name()).collect();
    let mut kinds = Vec::new();
    for (At { value: name, place }, weight) in weights.value {
        let instances = built.instances.len();
        match FaultKind::from_name(&name).filter(|kind| can_be_drawn(*kind)) {
            Some(kind) if weight > 0 => {
                let needed = match kind {
                    FaultKind::Ring => 4,
                    FaultKind::Bridge => 3,
                    _ if kind.family() == FaultFamily::Network => 2,
                    _ => 1,
                };
                if instances < needed {
                    let label = format!("`{name}` needs {needed} instances");
                    section.note("the cluster is too small", place, label);
                }
                kinds.push((kind, weight));
            }
            Some(_) => {}
            None => section.findings().add(
                Problem::new(
                    format!("no fault `{}` can be drawn", brief(&name)),
                    place,
                    "this one",
                )
                .help(meant(&name, &names)),
            ),
        }
    }
    if kinds.is_empty() && section.findings().is_empty() {
        section.note("nothing would go wrong", weights.place, "all weights are zero");
    }
    Some(kinds)
}

/// `[cluster.ranges]`: settings that are drawn between two values.
pub(super) fn ranges(cluster: &Section<'_>, built: &Built) -> Vec<RangeDraft> {
    let mut ranges = Vec::new();
    for entry in cluster.settings("ranges") {
        let two = match &entry.node.value {
            Value::List(items) if items.len() == 2 => items,
            _ => {
                cluster.findings().add(
                    Problem::new(
                        format!("`{}` takes two values", brief(&entry.key)),
                        entry.node.place,
                        format!("this is {}", entry.node.describe()),
                    )
                    .help("write a list such as [\"100ms\", \"2s\"]"),
                );
                continue;
            }
        };
        let of = |item: usize| settings::single(&entry, &two[item], &built.configured, cluster);
        if let (Some((setting, low)), Some((_, high))) = (of(0), of(1)) {
            match settings::is_range(setting, &low, &high) {
                true => ranges.push(RangeDraft { setting, low, high }),
                false => cluster.note(
                    format!("`{}` is no range", brief(&entry.key)),
                    entry.node.place,
                    "the first value is the lower one",
                ),
            }
        }
    }
    ranges
}
