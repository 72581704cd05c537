//! The step language: what an operation does, as text. `docs/operations.md` describes it.
//!
//! A text goes through `lexer` (words with places) and `parser` (steps, one by one; `values`
//! reads their values, conditions and paths) to the [`Program`] that instances play.

mod around;
mod escapes;
mod free;
mod lexer;
mod parser;
mod scope;
mod values;

use std::ops::Range;

pub use free::{StatementError, compile_statement};
use wavetank_world::Program;

use crate::errors::Problem;
use crate::section::{At, Findings};

/// What is wrong with the steps of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StepError {
    /// In which statement, from 0.
    pub(crate) statement: usize,
    /// Where in it, in bytes.
    pub(crate) at: Range<usize>,
    /// What was expected there, or what is wrong.
    pub(crate) label: String,
    /// What may have been meant.
    pub(crate) help: Option<String>,
}

/// Compiles an operation. Each text is a statement of one or more steps; with `deployment =
/// "server"`, each is a round trip.
///
/// # Errors
/// The first slip in the text.
pub(crate) fn compile(
    name: &str,
    about: &str,
    statements: &[String],
) -> Result<Program, StepError> {
    let mut parser = parser::Parser::new();
    for (statement, text) in statements.iter().enumerate() {
        parser.statement(statement, text).map_err(|slip| StepError {
            statement,
            at: slip.at,
            label: slip.label,
            help: slip.help,
        })?;
    }
    let mut program = parser.finish();
    program.name = name.into();
    program.about = about.into();
    program.source = statements.to_vec();
    Ok(program)
}

/// Compiles the steps of a scenario's operation; slips are noted where they stand in the
/// text of the scenario.
pub(crate) fn compile_at(
    name: &str,
    about: &str,
    statements: &[At<String>],
    source: &str,
    findings: &Findings,
) -> Option<Program> {
    let texts: Vec<String> = statements.iter().map(|at| at.value.clone()).collect();
    let error = match compile(name, about, &texts) {
        Ok(program) => return Some(program),
        Err(error) => error,
    };
    let At { value, place } = &statements[error.statement];
    let mut place = *place;
    // Where the text stands in the file as it is, a slip in it has its own place.
    let raw = source.get(place.start..place.end).unwrap_or_default();
    if let Some(offset) = raw.find(value.as_str()) {
        place.end = place.start + offset + error.at.end;
        place.start += offset + error.at.start;
    } else if let (Some(start), Some(end)) =
        (escapes::offset(raw, error.at.start), escapes::offset(raw, error.at.end))
    {
        place.end = place.start + end;
        place.start += start;
    }
    let problem = Problem::new("this step cannot be read", place, error.label);
    findings.add(match error.help {
        Some(help) => problem.help(help),
        None => problem,
    });
    None
}
