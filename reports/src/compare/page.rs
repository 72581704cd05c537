//! The comparison as a page.

use maud::{Markup, PreEscaped, html};

use super::chart::{self, REAL, SIMULATED};
use super::{Comparison, Row, percent, runs};
use crate::page::page;

impl Comparison {
    /// A page with the figures and the table.
    pub fn to_html(&self) -> String {
        let title = format!("{}: real and simulated", self.scenario);
        page(&title, &html! { h1 { (title) } (self.section()) })
    }

    /// The figures and the table, as a part of a page.
    pub(crate) fn section(&self) -> Markup {
        let is_time = |row: &&Row| matches!(row.unit.as_str(), "ms" | "s");
        let times: Vec<&Row> = self.rows.iter().filter(is_time).collect();
        let all: Vec<&Row> = self.rows.iter().collect();
        html! {
            p.soft {
                (runs(self.real_runs)) " on real processes beside "
                (runs(self.simulated_runs)) " of the simulator, with the cost table "
                b { (self.costs) } "."
            }
            @for caveat in &self.caveats { p.verdict.open { (caveat) } }
            (figure("Times", chart::times(&times), &html! {
                span style={ "color:var(" (REAL) ")" } { "● real" } " · "
                span style={ "color:var(" (SIMULATED) ")" } { "◆ simulated" }
                ": the mean, and the lowest to the highest run."
            }))
            (figure("Error of the simulation", chart::errors(&all), &html! {
                "The simulated mean over the real one, less one; the box is what its goal allows."
            }))
            h3 { "Table" }
            div.scroll { table {
                tr {
                    th { "Quantity" } th.n { "Real" } th.n { "Simulated" } th.n { "Error" }
                    th { "Intervals" } th { "Goal" }
                }
                @for row in &self.rows { (line(row)) }
            } }
            p.soft {
                "Mean, and the lowest to the highest run. Intervals part where the 95 % "
                "confidence intervals of the two means have nothing in common."
            }
            @if !self.one_sided.is_empty() {
                p.soft { "On one side only: " (self.one_sided.join(", ")) "." }
            }
        }
    }
}

fn figure(title: &str, svg: Option<String>, caption: &Markup) -> Markup {
    html! {
        @if let Some(svg) = svg {
            h3 { (title) }
            figure { (PreEscaped(svg)) figcaption { p { (caption) } } }
        }
    }
}

fn line(row: &Row) -> Markup {
    html! {
        tr {
            td { (row.quantity) }
            td.n { (row.real.shown()) }
            td.n { (row.simulated.shown()) }
            td.n { (row.error.map_or_else(|| "–".into(), percent)) }
            td {
                @match row.parted {
                    Some(true) => "part",
                    Some(false) => "overlap",
                    None => "–",
                }
            }
            td {
                @match row.met() {
                    Some(true) => span.word.held { (row.remark()) },
                    Some(false) => span.word.broke { (row.remark()) },
                    None => "",
                }
            }
        }
    }
}
