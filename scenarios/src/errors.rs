//! What is wrong with a scenario, and how that is shown: the line, a caret under the spot,
//! what was expected there and what may have been meant.

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

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    title: String,
    place: Place,
    label: String,
    also: Option<Box<(Place, String)>>,
    help: Vec<String>,
}

impl Problem {
    /// A problem at a place; the label stands beside the caret.
    pub(crate) fn new(title: impl Into<String>, place: Place, label: impl Into<String>) -> Self {
        Problem { title: title.into(), place, label: label.into(), also: None, help: Vec::new() }
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
        let mut group = Level::ERROR.primary_title(&self.title).element(main);
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

/// Everything that is wrong with a scenario, in the order of the text. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    sources: Vec<Source>,
    problems: Vec<Problem>,
}

impl Errors {
    pub(crate) fn new(sources: Vec<Source>, mut problems: Vec<Problem>) -> Self {
        assert!(!problems.is_empty(), "errors without a problem");
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        Errors { sources, problems }
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
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in self.problems.iter().take(SHOWN) {
            text.push_str(&renderer.render(&[problem.group(&self.sources)]));
            text.push_str("\n\n");
        }
        let count = self.problems.len();
        let left_out = match count.saturating_sub(SHOWN) {
            0 => String::new(),
            n => format!(", {n} of them not shown"),
        };
        let plural = if count == 1 { "" } else { "s" };
        let name = &self.sources[0].name;
        text.push_str(&format!("{name}: {count} error{plural}{left_out}\n"));
        text
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Errors {}
