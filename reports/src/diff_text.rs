//! A diff for people: on a terminal of 80 columns, and as a page.

use maud::{Markup, html};

use crate::diff::{Diff, FigureChange, Side};
use crate::page::page;
use crate::verdict::Verdict;
use crate::words;

impl Diff {
    /// What changed, in words, without an end of line at the end.
    pub fn to_text(&self) -> String {
        let mut text = format!("base  {}\nnew   {}\n", side(&self.base), side(&self.new));
        for caveat in &self.caveats {
            text += &format!("note  {caveat}\n");
        }
        text += &self.headline();
        text.push('\n');
        if !self.expectations.is_empty() {
            text += "\nExpectations\n";
            for change in &self.expectations {
                text += &format!(
                    "  {}\n    {} -> {}\n",
                    change.check,
                    expected(change.base, &change.measured[0]),
                    expected(change.new, &change.measured[1])
                );
            }
        }
        let (noise, real): (Vec<_>, Vec<_>) = self.figures.iter().partition(|change| change.noise);
        if !real.is_empty() {
            text += "\nOperations, beyond noise\n";
            real.iter().for_each(|change| text += &figure_line(change));
        }
        if !noise.is_empty() {
            text += "\nOperations, within noise\n";
            noise.iter().for_each(|change| text += &figure_line(change));
        }
        if !self.settings.is_empty() {
            text += "\nSettings\n";
            for change in &self.settings {
                let [base, new] = [&change.base, &change.new].map(|s| s.as_deref().unwrap_or("-"));
                text += &format!("  {:<34} {base} -> {new}\n", change.name);
            }
        }
        if !self.counters.is_empty() {
            text += "\nCounters\n";
            for change in &self.counters {
                text += &format!(
                    "  {:<34} {:>14} -> {:>14}\n",
                    change.counter,
                    words::grouped(change.base),
                    words::grouped(change.new)
                );
            }
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// What to know first, in a sentence.
    fn headline(&self) -> String {
        if self.same_run {
            return "The same run, to the last bit.".into();
        }
        match (&self.worst_of, self.worst) {
            (None, _) => "Nothing is worse beyond noise.".into(),
            (Some(what), worst) if worst.is_infinite() => format!("Worse: {what}."),
            (Some(what), worst) => format!("Worst: {what}, worse by {:.1} %.", worst * 100.0),
        }
    }

    /// The diff as a page of its own.
    pub fn to_html(&self) -> String {
        let body = html! {
            h1 { "What changed" }
            dl {
                dt { "Base" } dd { (side(&self.base)) }
                dt { "New" } dd { (side(&self.new)) }
                @for caveat in &self.caveats { dt { "Note" } dd { (caveat) } }
            }
            section class=(if self.worst > 0.0 { "verdict broke" } else { "verdict held" }) {
                p.sentence { (self.headline()) }
            }
            (self.expectation_table())
            (figure_table("Operations, beyond noise", self.figures.iter().filter(|f| !f.noise)))
            (figure_table("Operations, within noise", self.figures.iter().filter(|f| f.noise)))
            (table("Settings", ["Setting", "Base", "New"], self.settings.iter().map(|s| {
                let text = |side: &Option<String>| side.clone().unwrap_or_else(|| "-".into());
                [s.name.clone(), text(&s.base), text(&s.new)]
            })))
            (table("Counters", ["Counter", "Base", "New"], self.counters.iter().map(|c| {
                [c.counter.clone(), words::grouped(c.base), words::grouped(c.new)]
            })))
        };
        let title = format!("What changed: {} to {}", self.base.scenario, self.new.scenario);
        page(&title, &body)
    }

    fn expectation_table(&self) -> Markup {
        table(
            "Expectations",
            ["Check", "Base", "New"],
            self.expectations.iter().map(|change| {
                [
                    change.check.clone(),
                    expected(change.base, &change.measured[0]),
                    expected(change.new, &change.measured[1]),
                ]
            }),
        )
    }
}

fn side(side: &Side) -> String {
    format!(
        "{} seed {}, wavetank {}: {}",
        side.scenario,
        side.seed,
        side.version,
        side.verdict.name()
    )
}

fn expected(verdict: Option<Verdict>, measured: &str) -> String {
    match verdict {
        None => "not expected".into(),
        Some(verdict) if measured.is_empty() => verdict.name().into(),
        Some(verdict) => format!("{} ({measured})", verdict.name()),
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "-".into(),
        Some(value) if value.fract() == 0.0 => words::grouped(value as u64),
        Some(value) => format!("{value:.3}"),
    }
}

fn change(of: &FigureChange) -> String {
    of.change.map_or_else(|| "-".into(), |part| format!("{:+.1} %", part * 100.0))
}

fn figure_line(of: &FigureChange) -> String {
    let worse = if of.worse && !of.noise { "  worse" } else { "" };
    format!(
        "  {:<22} {:<8} {:>12} -> {:>12} {:>10}{worse}\n",
        of.operation,
        of.figure,
        number(of.base),
        number(of.new),
        change(of)
    )
}

fn table(title: &str, heads: [&str; 3], rows: impl Iterator<Item = [String; 3]>) -> Markup {
    let rows: Vec<[String; 3]> = rows.collect();
    html! {
        @if !rows.is_empty() {
            h2 { (title) }
            div.scroll { table {
                thead { tr { @for head in heads { th { (head) } } } }
                tbody { @for row in &rows { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
    }
}

fn figure_table<'a>(title: &str, figures: impl Iterator<Item = &'a FigureChange>) -> Markup {
    let figures: Vec<&FigureChange> = figures.collect();
    let interval = |of: Option<[f64; 2]>| {
        of.map_or_else(|| "-".into(), |[low, high]| format!("{low:.3} to {high:.3}"))
    };
    html! {
        @if !figures.is_empty() {
            h2 { (title) }
            div.scroll { table {
                thead { tr {
                    th { "Operation" } th { "Figure" } th { "Base" } th { "95 % interval" }
                    th { "New" } th { "95 % interval" } th { "Change" } th {}
                } }
                tbody { @for of in figures { tr {
                    td { (of.operation) } td { (of.figure) }
                    td { (number(of.base)) } td { (interval(of.intervals[0])) }
                    td { (number(of.new)) } td { (interval(of.intervals[1])) }
                    td { (change(of)) }
                    td { @if of.worse && !of.noise { b { "worse" } } }
                } } }
            } }
        }
    }
}
