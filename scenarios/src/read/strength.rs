//! How bad a fault is: the quantities of its kind.

use wavetank_vocabulary::{FaultKind, InstanceId};
use wavetank_world::{Members, Strength};

use super::cluster::Built;
use super::settings;
use crate::errors::{Place, Problem};
use crate::section::Section;

/// The quantities that were written over those that hold else.
pub(super) fn read(
    section: &Section<'_>,
    kind: FaultKind,
    (action, place): (&str, Place),
    built: &Built,
) -> Strength {
    let mut strength = Strength::of(kind, &built.settings);
    let known: Vec<&str> =
        taken(&strength).into_iter().filter_map(|(key, is)| is.then_some(key)).collect();
    for (key, is_taken) in taken(&strength) {
        if let (Some(wrong), false) = (section.has(key), is_taken) {
            let help = match known.as_slice() {
                [] => format!("`{action}` has no quantity"),
                known => format!("`{action}` has {}", known.join(", ")),
            };
            section.findings().add(
                Problem::new(format!("`{key}` does not go with `{action}`"), wrong, "not of it")
                    .also(place, "what happens")
                    .help(help),
            );
        }
    }
    fn over<T>(old: &mut Option<T>, new: Option<T>) {
        if old.is_some() && new.is_some() {
            *old = new;
        }
    }
    over(&mut strength.factor, section.ratio("factor").map(|at| at.value));
    over(&mut strength.part, section.ratio("part").map(|at| at.value));
    over(&mut strength.by, section.span("by").map(|at| at.value));
    over(&mut strength.every, section.span("every").map(|at| at.value));
    over(&mut strength.iops, section.count("iops").map(|at| at.value as u32));
    over(&mut strength.bandwidth, section.bandwidth("bandwidth").map(|at| at.value));
    over(&mut strength.backwards, section.flag("backwards").map(|at| at.value));
    match kind {
        FaultKind::WrongHosts => hosts(section, place, built, &mut strength),
        FaultKind::ChangeSetting => match settings::of_group(section, &built.configured).1 {
            Some(settings) => strength.settings = Some(settings),
            None => section.findings().add(
                Problem::new("nothing would be changed", place, "which settings?")
                    .help("add settings = { \"ha.pull_interval\" = \"5s\" }, for example"),
            ),
        },
        FaultKind::Flap | FaultKind::ClockJump
            if strength.every.is_some_and(|every| every.is_zero()) =>
        {
            let place = section.has("every").unwrap_or(place);
            section.note("it has to take some time", place, "this is none");
        }
        _ => {}
    }
    strength
}

/// Which keys go with it.
fn taken(strength: &Strength) -> [(&'static str, bool); 9] {
    [
        ("factor", strength.factor.is_some()),
        ("part", strength.part.is_some()),
        ("by", strength.by.is_some()),
        ("every", strength.every.is_some()),
        ("iops", strength.iops.is_some()),
        ("bandwidth", strength.bandwidth.is_some()),
        ("backwards", strength.backwards.is_some()),
        ("hosts", strength.hosts.is_some()),
        ("settings", strength.settings.is_some()),
    ]
}

fn hosts(section: &Section<'_>, place: Place, built: &Built, strength: &mut Strength) {
    let Some(hosts) = section.counts("hosts") else {
        if section.has("hosts").is_none() {
            section.findings().add(
                Problem::new("`hosts` is missing", place, "which hosts would it be given?")
                    .help("a list such as hosts = [1]; the instance itself need not be in it"),
            );
        }
        return;
    };
    let mut members = Members::default();
    for id in &hosts.value {
        if *id == 0 || *id > built.instances.len() as u64 {
            let label = format!("they are numbered from 1 to {}", built.instances.len());
            section.note(format!("there is no instance {id}"), hosts.place, label);
            return;
        }
        members = members.with(InstanceId(*id as u16));
    }
    strength.hosts = Some(members);
}
