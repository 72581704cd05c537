//! Where the time of operations went, as bars and in words.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use wavetank_vocabulary::Span;
use wavetank_world::Plan;

use crate::recorder::Recorder;
use crate::slowest::Breakdown;
use crate::words::millis;

/// The width of the longest bar.
const WIDTH: f64 = 300.0;

type Spans = [Span; Breakdown::PARTS];

/// Of each kind of operation on average, and of the slowest ones.
pub(crate) fn spent(plan: &Plan, recorder: &Recorder) -> Markup {
    let mut means: Vec<(String, Spans)> = Vec::new();
    for (index, client) in plan.clients.iter().enumerate() {
        for &(kind, _) in &client.mix {
            let named = plan.operations.get(kind.index());
            let stats = recorder.operation(index, kind);
            if let Some((program, spans)) = named.zip(stats.and_then(|stats| stats.mean_spent())) {
                means.push((format!("{}.{}", client.name, program.name), spans));
            }
        }
    }
    let slowest = recorder.slowest();
    let rows = slowest.iter().map(|slow| slow.breakdown.spans());
    let occur = occurring(rows.chain(means.iter().map(|(_, spans)| *spans)));
    let longest =
        |all: &mut dyn Iterator<Item = Spans>| all.map(|spans| total(&spans)).fold(0.0, f64::max);
    let mean_scale = longest(&mut means.iter().map(|(_, spans)| *spans));
    let slow_scale = longest(&mut slowest.iter().map(|slow| slow.breakdown.spans()));
    html! {
        @if !means.is_empty() {
            h2 #time-spent { "Where the time went" }
            p.soft { "Successful operations that were due within the measured window. Earlier attempts include the waits after them. A pause of the machine counts as such for requests that arrive meanwhile, and to the phase that it interrupts for those under way." }
            (legend(&occur))
            h3 { "On average" }
            div.scroll { table.spent {
                thead { tr { th { "Operation" } th.n { "Mean, ms" } th { "Parts" } th { "In ms" } } }
                tbody { @for (name, spans) in &means {
                    tr {
                        th { (name) }
                        td.n { (millis(Some(total(spans)))) }
                        td { (bar(spans, mean_scale)) }
                        td.words { (in_words(spans)) }
                    }
                } }
            } }
            h3 #slowest { "The slowest " (slowest.len()) }
            div.scroll { table.spent {
                thead { tr {
                    th { "Operation" } th.n { "Due at, s" } th.n { "Latency, ms" } th { "Parts" } th { "In ms" } th { "By" } th.n { "Attempts" }
                } }
                tbody { @for slow in slowest {
                    @let spans = slow.breakdown.spans();
                    tr {
                        th { (name(plan, slow)) }
                        td.n { (format!("{:.3}", slow.intended.as_secs_f64())) }
                        td.n { (millis(Some(slow.latency.as_millis_f64()))) }
                        td { (bar(&spans, slow_scale)) }
                        td.words { (in_words(&spans)) }
                        td { @if let Some(instance) = slow.instance { (instance) } }
                        td.n { (slow.attempts) }
                    }
                } }
            } }
        }
    }
}

fn name(plan: &Plan, slow: &crate::slowest::SlowOperation) -> String {
    let client = plan.clients.get(slow.operation.client.index());
    let program = plan.operations.get(slow.kind.index());
    let client = client.map_or("?", |client| client.name.as_str());
    format!("{client}.{}", program.map_or("?", |program| program.name.as_str()))
}

fn total(spans: &Spans) -> f64 {
    spans.iter().map(|span| span.as_millis_f64()).sum()
}

fn occurring(all: impl Iterator<Item = Spans>) -> Vec<usize> {
    let mut any = [false; Breakdown::PARTS];
    for spans in all {
        for (any, span) in any.iter_mut().zip(spans) {
            *any |= !span.is_zero();
        }
    }
    (0..Breakdown::PARTS).filter(|part| any[*part]).collect()
}

fn legend(parts: &[usize]) -> Markup {
    let names = Breakdown::names();
    html! {
        ul.legend { @for part in parts {
            li { i.area style=(format!("background:var(--p{part})")) {} (names[*part]) }
        } }
    }
}

/// Parts side by side; `scale` is what the longest bar stands for.
fn bar(spans: &Spans, scale: f64) -> Markup {
    let mut svg = String::from(
        "<svg class=\"bar\" viewBox=\"0 0 300 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
    );
    let mut x = 0.0;
    for (part, span) in spans.iter().enumerate() {
        let width = WIDTH * span.as_millis_f64() / scale.max(1e-9);
        if width >= 0.05 {
            // Writing to a string cannot fail.
            let _ = write!(
                svg,
                "<rect fill=\"var(--p{part})\" x=\"{x:.1}\" y=\"0\" width=\"{width:.1}\" height=\"12\"/>"
            );
            x += width;
        }
    }
    svg.push_str("</svg>");
    PreEscaped(svg)
}

/// The parts that matter, longest first.
fn in_words(spans: &Spans) -> String {
    let whole = total(spans);
    let mut parts: Vec<(f64, &str)> = spans
        .iter()
        .zip(Breakdown::names())
        .map(|(span, name)| (span.as_millis_f64(), name))
        .filter(|(ms, _)| *ms > 0.02 * whole)
        .collect();
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let part = |(ms, name): (f64, &str)| format!("{name} {}", millis(Some(ms)));
    parts.into_iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_part_comes_first_and_trifles_are_left_out() {
        let mut spans = [Span::ZERO; Breakdown::PARTS];
        spans[1] = Span::from_micros(500);
        spans[9] = Span::from_millis(12);
        spans[4] = Span::from_micros(10);
        assert_eq!(in_words(&spans), "log sync 12.0, network 0.500");
        assert_eq!(occurring([spans].into_iter()), [1, 4, 9]);
        let bar = bar(&spans, total(&spans)).into_string();
        assert_eq!(bar.matches("<rect").count(), 3);
        assert!(bar.contains("var(--p9)"));
    }
}
