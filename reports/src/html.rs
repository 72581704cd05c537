//! `report.html`: one file that needs nothing else. The verdict comes first, then what it
//! rests on, then the figures over one time axis, then tables and set-up. A script adds
//! values under the pointer and a closer look at the time axis; nothing needs it.

use maud::{Markup, PreEscaped, html};
use wavetank_vocabulary::Role;
use wavetank_world::Plan;

use crate::axis::TimeAxis;
use crate::bands::{Band, RoleChart, role_class};
use crate::chart::{Chart, Format, LineChart};
use crate::figures::{self, Figure};
use crate::ink::Ink;
use crate::notable::notable;
use crate::page::page;
use crate::page_data::page_data;
use crate::percentiles;
use crate::provenance::Provenance;
use crate::recorder::Recorder;
use crate::result::RunResult;
use crate::spent::spent;
use crate::verdict::{ExpectationResult, Overall, Verdict};
use crate::visibility_chart;
use crate::{lock_result, processes, setup, tables, words};

const SCRIPT: &str = include_str!("page.js");

/// The report of a run. `command` is what plays it again; `provenance` says where settings
/// came from. The text depends on the run alone: real time is left out of it.
pub fn report_html(
    plan: &Plan,
    recorder: &Recorder,
    result: &RunResult,
    command: &str,
    provenance: &Provenance,
) -> String {
    let sentence = words::verdict_sentence(result);
    let title = format!("{} seed {}: {}", plan.name, plan.seed, short(result));
    let time = figures::time_axis(plan, recorder, result.partial);
    let mut figures = figures::lines(plan, recorder);
    figures.extend(processes::figures(result));
    let body = html! {
        header {
            h1 { (plan.name) }
            @if !plan.about.is_empty() { p { (plan.about) } }
            p.soft {
                "Seed " (plan.seed) ", "
                (words::counted(plan.instances.len() as u64, "instance")) ", "
                (plan.duration) " of virtual time, the first " (plan.warm_up)
                " of which rates and percentiles leave out."
            }
        }
        (partial(plan, result))
        (verdict(result, &sentence, &notable(plan, recorder)))
        nav {
            @for (id, name) in CONTENTS { a href={ "#" (id) } { (name) } }
            @if result.comparison.is_some() { a href="#prediction" { "Prediction" } }
        }
        h2 #expectations { "Expectations" }
        (expectations(&result.expectations))
        (setup::regrets(provenance))
        h2 #figures { "What happened" }
        (all_figures(recorder, &time, &figures))
        @if let Some(comparison) = &result.comparison {
            h2 #prediction { "Beside the simulation" }
            (comparison.section())
        }
        (tables::operations(plan, result))
        (percentile_figure(plan, recorder, &time))
        (visibility_figure(plan, recorder, result, &time))
        (spent(plan, recorder))
        (lock_result::locks(&result.locks))
        (tables::errors(recorder))
        (tables::faults(result))
        (tables::instances(result))
        (tables::events(recorder))
        (setup::setup(plan, result, provenance))
        (reproduce(result, command))
        script #data type="application/json" {
            (PreEscaped(page_data(&time, recorder, &figures)))
        }
        script { (PreEscaped(SCRIPT)) }
    };
    page(&title, &body)
}

/// What to jump to.
const CONTENTS: [(&str, &str); 9] = [
    ("expectations", "Expectations"),
    ("figures", "Figures"),
    ("operations", "Operations"),
    ("locks", "Locks"),
    ("faults", "Faults"),
    ("instances", "Instances"),
    ("events", "Events"),
    ("setup", "Set-up"),
    ("reproduce", "Reproduce"),
];

fn partial(plan: &Plan, result: &RunResult) -> Markup {
    html! {
        @if result.real {
            p.partial {
                b { "Played on real processes." }
                " Sockets, files and time were this machine's, not those of the scenario's machines."
                @if let Some(scale) = result.time_scale.filter(|scale| *scale != 1.0) {
                    " The clock of the run was " (scale) " times as fast as the real one: every latency below is so many times as long as it was."
                }
                @for note in &result.notes { " " (note) }
            }
        }
        @if result.partial {
            p.partial {
                b { "Interrupted at " (format!("{:.1}", result.simulated_seconds)) " s of " (plan.duration) "." }
                " Everything below is about the part that was played; what would have come after can still break every expectation."
            }
        }
    }
}

const fn short(result: &RunResult) -> &'static str {
    if result.partial { "interrupted" } else { result.verdict.name() }
}

fn verdict(result: &RunResult, sentence: &str, notable: &[(String, &str)]) -> Markup {
    let class = match result.verdict {
        _ if result.partial => "verdict open",
        Overall::Held => "verdict held",
        Overall::Broke | Overall::NotRecovered => "verdict broke",
    };
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
                                @let (advice, figure) = words::look_at(&expectation.check);
                                span.soft { (advice) } " "
                                a href={ "#" (figure) } { "Show it" }
                            }
                        }
                    }
                }
            }
            @if !notable.is_empty() {
                p.notable {
                    "Worth a look: "
                    @for (index, (text, place)) in notable.iter().enumerate() {
                        @if index > 0 { "; " }
                        a href={ "#" (place) } { (text) }
                    }
                    "."
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

fn all_figures(recorder: &Recorder, time: &TimeAxis, figures: &[Figure]) -> Markup {
    let roles = figures::roles(recorder);
    let shown = role_legend(&roles);
    let pauses = roles.bands.iter().flat_map(|band| &band.faults).any(|hit| hit.2 == "pause");
    html! {
        p.soft {
            "All figures share one time axis, from the start of the run; 1:30 is a minute and a half."
            span data-script hidden {
                " Point at a figure for its values, drag across it to look closer, double-click for the whole run; with the keyboard: arrows, +, − and 0."
            }
        }
        ul.legend {
            @if !time.faults.is_empty() { li { i.area.fault {} "a fault is active" } }
            @if !time.masters.is_empty() { li { i.mark {} "an instance became master" } }
            @if time.warm_up > 0.0 || time.stop < time.end {
                li { i.area.outside {} "outside the measured window: warm-up, or after the clients stopped" }
            }
        }
        figure #roles data-figure="roles" {
            figcaption {
                h3 { "Roles and faults" }
                ul.legend {
                    @for (class, names) in shown {
                        li { i class=(format!("area {class}")) {} (names.join(", ")) }
                    }
                    @if pauses { li { i.area.stands {} "paused" } }
                }
            }
            (drawn(&roles, time, "Roles of the instances over time"))
        }
        @for figure in figures {
            figure id=(figure.id) data-figure=(figure.id) {
                figcaption {
                    h3 { (figure.title) }
                    p { (figure.note) }
                    (legend(&figure.chart))
                }
                (drawn(&figure.chart, time, figure.title))
            }
        }
    }
}

fn percentile_figure(plan: &Plan, recorder: &Recorder, time: &TimeAxis) -> Markup {
    let chart = percentiles::chart(plan, recorder);
    html! {
        @if !chart.curves.is_empty() {
            figure #percentiles {
                figcaption {
                    h3 { "Latency by percentile" }
                    p { "So many percent of the operations took no longer than that. Each curve ends where fewer than ten operations were slower: beyond that it would tell of chance." }
                    ul.legend { @for curve in &chart.curves { li { (key(curve.ink, "")) (curve.name) } } }
                }
                (drawn(&chart, time, "Latency of operations over percentiles"))
            }
        }
    }
}

fn visibility_figure(
    plan: &Plan,
    recorder: &Recorder,
    result: &RunResult,
    time: &TimeAxis,
) -> Markup {
    let chart = visibility_chart::chart(plan, recorder);
    let window = |ms: Option<f64>| match ms {
        Some(0.0) => String::from("0"),
        Some(ms) => words::millis(Some(ms)),
        None => String::from("–"),
    };
    html! {
        @if !chart.curves.is_empty() {
            figure #visibility {
                figcaption {
                    h3 { "Stale reads by age" }
                    p { "Of the reads that were due so long after their user's last own write, the part that did not see it. Each point rests on " (visibility_chart::ENOUGH) " reads at least." }
                    ul.legend { @for curve in &chart.curves { li { (key(curve.ink, "")) (curve.name) } } }
                }
                (drawn(&chart, time, "Part of stale reads over the age of the write"))
            }
            div.scroll { table {
                thead { tr {
                    th { "Client" } th { "Routing" } th.n { "Reads" } th.n { "Stale" }
                    th.n { "99 % see it after, ms" } th.n { "99.9 %" } th.n { "99.99 %" }
                } }
                tbody { @for (name, row) in &result.visibility {
                    tr {
                        td { b { (name) } }
                        td { (row.routing) }
                        td.n { (words::grouped(row.reads)) }
                        td.n { (words::grouped(row.stale)) }
                        td.n { (window(row.window_99_ms)) }
                        td.n { (window(row.window_999_ms)) }
                        td.n { (window(row.window_9999_ms)) }
                    }
                } }
            } }
            p.soft { "A window is given where 300, 3,000 and 30,000 reads are older: none stale among n still leaves a probability of 3/n." }
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
const ROLES: [Role; 9] = [
    Role::Master,
    Role::Slave,
    Role::ToMaster,
    Role::ToSlave,
    Role::Pending,
    Role::Detached,
    Role::Starting,
    Role::Arbiter,
    Role::Down,
];

fn legend(chart: &LineChart) -> Markup {
    let dots = chart.lines.iter().any(|line| line.dots);
    html! {
        ul.legend {
            @for line in chart.lines.iter().filter(|line| !line.dots) {
                li { (key(line.ink, "")) (line.name) }
            }
            @if dots { li { (key(Ink::Text, "dots")) "seen by monitoring" } }
            @if let Some(limit) = &chart.limit { li { (key(Ink::Mark, "limit")) (limit.name) } }
        }
    }
}

/// A piece of a line as it looks in the figure.
fn key(ink: Ink, class: &str) -> Markup {
    let path = if class == "dots" { "M13 4h0" } else { "M1 4h24" };
    html! {
        svg.key viewBox="0 0 26 8" aria-hidden="true" {
            path class=(class) d=(path) stroke=(format!("var({})", ink.variable()))
                stroke-dasharray=[(!ink.dash().is_empty()).then(|| ink.dash())] {}
        }
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
