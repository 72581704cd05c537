//! What is wrong with a scenario, or will be regretted, and how that is shown: the line, a
//! caret under the spot, what was expected there and what may have been meant.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How many problems are shown; a file with more of them has one cause.
const SHOWN: usize = 20;

/// A stretch of one of the texts that a scenario is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Which text: 0 is the scenario file.
    pub(crate) source: usize,
    /// First byte.
    pub(crate) start: usize,
    /// The byte after the last.
    pub(crate) end: usize,
}

impl Place {
    pub(crate) fn new(source: usize, span: Range<usize>) -> Self {
        Place { source, start: span.start, end: span.end }
    }
}

/// A text that problems point into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file's name as the user gave it, or `--set`.
    pub(crate) name: String,
    /// The text, or the one line of it that matters.
    pub(crate) text: String,
    /// The number of the text's first line.
    pub(crate) first_line: usize,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    /// Nothing can be played.
    Error,
    /// It is played as written; Neo4j would accept it, too, and its operator regret it.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    severity: Severity,
    title: String,
    place: Place,
    label: String,
    also: Option<Box<(Place, String)>>,
    help: Vec<String>,
}

impl Problem {
    /// A problem at a place; the label stands beside the caret.
    pub(crate) fn new(title: impl Into<String>, place: Place, label: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            title: title.into(),
            place,
            label: label.into(),
            also: None,
            help: Vec::new(),
        }
    }

    /// Something that is accepted and said.
    pub(crate) fn warning(
        title: impl Into<String>,
        place: Place,
        label: impl Into<String>,
    ) -> Self {
        Problem { severity: Severity::Warning, ..Problem::new(title, place, label) }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Adds a line of advice.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Points at a second place that has to do with it.
    pub(crate) fn also(mut self, place: Place, label: impl Into<String>) -> Self {
        self.also = Some(Box::new((place, label.into())));
        self
    }

    fn group<'a>(&'a self, sources: &'a [Source]) -> Group<'a> {
        let snippet = |source: &'a Source| {
            Snippet::source(source.text.as_str()).line_start(source.first_line).path(&source.name)
        };
        let first = &sources[self.place.source];
        let mut main = snippet(first).annotation(
            AnnotationKind::Primary.span(within(&first.text, self.place)).label(&self.label),
        );
        let mut second = None;
        if let Some((place, label)) = self.also.as_deref() {
            let source = &sources[place.source];
            let note = AnnotationKind::Context.span(within(&source.text, *place)).label(label);
            if place.source == self.place.source {
                main = main.annotation(note);
            } else {
                second = Some(snippet(source).annotation(note));
            }
        }
        let level = if self.is_error() { Level::ERROR } else { Level::WARNING };
        let mut group = level.primary_title(&self.title).element(main);
        if let Some(second) = second {
            group = group.element(second);
        }
        group.elements(self.help.iter().map(|help| Level::HELP.message(help)))
    }
}

/// The place as a range that lies within the text and on character boundaries.
fn within(text: &str, place: Place) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(place.start);
    start..floor(place.end).max(start)
}

/// The problems one below the other, and how many were left out.
fn render(sources: &[Source], problems: &[Problem], colour: bool) -> (String, usize) {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for problem in problems.iter().take(SHOWN) {
        text.push_str(&renderer.render(&[problem.group(sources)]));
        text.push_str("\n\n");
    }
    (text, problems.len().saturating_sub(SHOWN))
}

/// Everything that is wrong with a scenario, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| problem.place);
    problems.dedup();
    problems
}

impl Errors {
    pub(crate) fn new(sources: Vec<Source>, problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "errors without a problem");
        Errors { sources, problems: sorted(problems) }
    }

    /// One problem in a text of its own.
    pub(crate) fn at_line(name: String, line: usize, text: String, problem: Problem) -> Self {
        let source = Source { name, text, first_line: line };
        Errors { sources: vec![source], problems: vec![problem] }
    }

    /// How many problems there are.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The text to show, with escape sequences for colours if asked for; ends with a line
    /// that counts the problems.
    pub fn render(&self, colour: bool) -> String {
        let (mut text, left_out) = render(&self.sources, &self.problems, colour);
        text.push_str(&format!("{}: {}", self.sources[0].name, counted(self.count(), "error")));
        if left_out > 0 {
            text.push_str(&format!(", {left_out} of them not shown"));
        }
        text.push('\n');
        text
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Errors {}

/// What Neo4j would accept and its operator regret, in the order of the text. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

impl Warnings {
    pub(crate) fn new(sources: &[Source], problems: Vec<Problem>) -> Self {
        Warnings { sources: sources.to_vec(), problems: sorted(problems) }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// The text to show, like that of errors, without a line that counts them.
    pub fn render(&self, colour: bool) -> String {
        let (mut text, left_out) = render(&self.sources, &self.problems, colour);
        if left_out > 0 {
            text.push_str(&format!("... and {}\n", counted(left_out, "more warning")));
        }
        text
    }

    /// Each as one line: what, where, and why.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| {
            let mut line = format!("{}: {}", problem.title, problem.label);
            for help in &problem.help {
                line.push_str("; ");
                line.push_str(help);
            }
            line
        })
    }
}
