//! `report.html`: one file that needs nothing else, and no scripts. The verdict comes first,
//! then what it rests on, then the figures over one time axis, then tables and set-up.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use wavetank_vocabulary::Role;
use wavetank_world::Plan;

use crate::bands::{Band, RoleChart, role_class};
use crate::chart::{Chart, Format, Ink, TimeAxis};
use crate::recorder::Recorder;
use crate::result::{ExpectationResult, Overall, RunResult, Verdict};
use crate::{figures, tables, words};

const STYLE: &str = include_str!("style.css");

/// The report of a run. `command` is what plays it again. The text depends on the run
/// alone: real time is left out of it.
pub fn report_html(plan: &Plan, recorder: &Recorder, result: &RunResult, command: &str) -> String {
    let sentence = words::verdict_sentence(result);
    let title = format!("{} seed {}: {}", plan.name, plan.seed, short(result.verdict));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (plan.name) }
                @if !plan.about.is_empty() { p { (plan.about) } }
                p.soft {
                    "Seed " (plan.seed) ", "
                    (words::counted(plan.instances.len() as u64, "instance")) ", "
                    (plan.duration) " of virtual time, the first " (plan.warm_up)
                    " of which rates and percentiles leave out."
                }
                (verdict(result, &sentence))
                h2 #expectations { "Expectations" }
                (expectations(&result.expectations))
                h2 #figures { "What happened" }
                (all_figures(plan, recorder))
                (tables::operations(plan, result))
                (tables::errors(recorder))
                (tables::faults(result))
                (tables::instances(result))
                (tables::events(recorder))
                (tables::setup(plan, result))
                (reproduce(result, command))
            }
        }
    };
    page.into_string()
}

const fn short(overall: Overall) -> &'static str {
    match overall {
        Overall::Held => "held",
        Overall::Broke => "broke",
        Overall::NotRecovered => "did not recover",
    }
}

fn verdict(result: &RunResult, sentence: &str) -> Markup {
    let class = if result.verdict == Overall::Held { "verdict held" } else { "verdict broke" };
    let failed = result.expectations.iter().filter(|e| e.verdict != Verdict::Held);
    let failed: Vec<_> = failed.collect();
    html! {
        section class=(class) {
            p.sentence { (sentence) }
            @if !failed.is_empty() {
                ul {
                    @for expectation in failed {
                        li {
                            b { (expectation.check) } ": " (compared(expectation)) " "
                            (expectation.why) " "
                            @if expectation.verdict == Verdict::Broke {
                                span.soft { (words::look_at(&expectation.check)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn compared(expectation: &ExpectationResult) -> String {
    let measured = words::value(&expectation.measured);
    format!("measured {measured}, limit {}.", words::value(&expectation.limit))
}

fn word(verdict: Verdict) -> Markup {
    let text = match verdict {
        Verdict::Held => "✓ held",
        Verdict::Broke => "✗ broke",
        Verdict::NotExercised => "○ not exercised",
    };
    html! { span class=(format!("word {}", verdict.name())) { (text) } }
}

fn expectations(results: &[ExpectationResult]) -> Markup {
    html! {
        @if results.is_empty() {
            p { "The scenario expects nothing." }
        } @else {
            div.scroll { table.stack {
                thead { tr { th { "Check" } th { "Verdict" } th { "Measured" } th { "Limit" } th { "Why" } } }
                tbody { @for result in results {
                    tr {
                        td { b { (result.check) } }
                        td { (word(result.verdict)) }
                        td data-label="measured" { (words::value(&result.measured)) }
                        td data-label="limit" { (words::value(&result.limit)) }
                        td.why { (result.why) }
                    }
                } }
            } }
        }
    }
}

fn all_figures(plan: &Plan, recorder: &Recorder) -> Markup {
    let time = figures::time_axis(plan, recorder);
    let roles = figures::roles(recorder);
    let shown = role_legend(&roles);
    html! {
        p.soft { "All figures share one time axis, from the start of the run; 1:30 is a minute and a half." }
        ul.legend {
            @if !time.faults.is_empty() { li { i.area.fault {} "a fault is active" } }
            @if !time.masters.is_empty() { li { i.mark {} "an instance became master" } }
            @if time.warm_up > 0.0 || time.stop < time.end {
                li { i.area.outside {} "outside the measured window: warm-up, or after the clients stopped" }
            }
        }
        figure #roles {
            figcaption {
                h3 { "Roles and faults" }
                ul.legend { @for (class, names) in shown {
                    li { i class=(format!("area {class}")) {} (names.join(", ")) }
                } }
            }
            (drawn(&roles, &time, "Roles of the instances over time"))
        }
        @for figure in figures::lines(plan, recorder) {
            figure id=(figure.id) {
                figcaption {
                    h3 { (figure.title) }
                    p { (figure.note) }
                    (legend(&figure.legend))
                }
                (drawn(figure.chart.as_ref(), &time, figure.title))
            }
        }
    }
}

/// The colours that occur, with the roles that each stands for.
fn role_legend(chart: &RoleChart) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut entries: Vec<(&str, Vec<&str>)> = Vec::new();
    for role in ROLES {
        let occurs = |band: &Band| band.roles.iter().any(|&(_, known)| known == role);
        if !chart.bands.iter().any(occurs) {
            continue;
        }
        match entries.last_mut() {
            Some((class, names)) if *class == role_class(role) => names.push(role.name()),
            _ => entries.push((role_class(role), vec![role.name()])),
        }
    }
    entries
}

/// The roles in the order of the legend; those of one colour side by side.
const ROLES: [Role; 8] = [
    Role::Master,
    Role::Slave,
    Role::ToMaster,
    Role::ToSlave,
    Role::Pending,
    Role::Detached,
    Role::Starting,
    Role::Down,
];

fn legend(entries: &[(Ink, String)]) -> Markup {
    html! {
        ul.legend { @for (ink, name) in entries {
            li { i style=(format!("background:var({})", ink.variable())) {} (name) }
        } }
    }
}

fn drawn(chart: &dyn Chart, time: &TimeAxis, title: &str) -> Markup {
    html! { @for format in Format::BOTH { (PreEscaped(chart.svg(time, format, title))) } }
}

fn reproduce(result: &RunResult, command: &str) -> Markup {
    html! {
        h2 #reproduce { "To see it again" }
        pre { code { (command) } }
        p { "The same version, scenario and seed give the same digest on any machine." }
        dl {
            dt { "Digest" } dd { code { (result.digest) } }
            dt { "Version" } dd { "wavetank " (result.version) }
            dt { "Virtual time" } dd { (format!("{:.3} s", result.simulated_seconds)) }
            dt { "Events" } dd { (words::grouped(result.events)) }
        }
    }
}
