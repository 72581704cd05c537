//! A statement that a client of a node has written itself: the step language, with parameters that
//! have values.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use wavetank_world::Program;
use wavetank_world::operation::{Exit, LOCKED_AT_ONCE, Operand, OperationStep};

use super::parser::{Parser, Slip};

/// What is wrong with a statement, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementError {
    /// The line, from 1.
    pub line: usize,
    /// The place in it, in characters, from 1.
    pub column: usize,
    /// What was expected there, or what is wrong, and what may have been meant.
    pub label: String,
    /// The line itself.
    text: String,
    /// How many characters are meant.
    width: usize,
}

impl StatementError {
    fn new(text: &str, at: &Range<usize>, label: String) -> StatementError {
        // Places are those of words, and so between characters.
        let boundary = |at: usize| if text.is_char_boundary(at) { at } else { text.len() };
        let (start, end) = (boundary(at.start), boundary(at.end.max(at.start)));
        let begin = text[..start].rfind('\n').map_or(0, |place| place + 1);
        let line = text[begin..].lines().next().unwrap_or_default();
        StatementError {
            line: text[..start].matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            label,
            text: line.to_owned(),
            // No further than the line.
            width: text[start..end].lines().next().map_or(1, |line| line.chars().count().max(1)),
        }
    }
}

impl Error for StatementError {}

impl fmt::Display for StatementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StatementError { line, column, label, text, width } = self;
        let (blank, carets) = (" ".repeat(column - 1), "^".repeat(*width));
        write!(f, "{label} (line {line}, column {column})\n{text}\n{blank}{carets}")
    }
}

/// Compiles a statement with the values of its parameters. Its program stands still at its end, as
/// after any statement, and commits when it is played on. It counts as one that writes: the next
/// statement of the same transaction may, and the instance must know that at its beginning.
///
/// # Errors
/// The first slip in the text; or a step that has no meaning within a client's own transaction
/// (`commit`, `call`).
pub fn compile_statement(
    text: &str,
    parameters: &BTreeMap<String, Operand>,
) -> Result<Program, StatementError> {
    let mut parser = Parser::new();
    parser.given.clone_from(parameters);
    parser.step(OperationStep::Lock([None; LOCKED_AT_ONCE]));
    parser.statement(0, text).map_err(|Slip { at, label, help }| {
        let label = help.map_or_else(|| label.clone(), |help| format!("{label}; {help}"));
        StatementError::new(text, &at, label)
    })?;
    let mut program = parser.finish();
    let end = program.steps.len();
    for (place, step) in program.steps.iter_mut().enumerate() {
        let why = match step {
            OperationStep::Commit => "`commit` is a request of its own here",
            OperationStep::Call { .. } => "a second store can be called by operations only",
            // To the end of the statement, and not of the transaction.
            OperationStep::Leave { exit, .. } if *exit == Exit::Done => {
                *exit = Exit::Skip((end - place - 1) as u16);
                continue;
            }
            _ => continue,
        };
        return Err(StatementError::new(text, &(0..text.len()), why.to_owned()));
    }
    program.steps.push(OperationStep::Statement);
    program.name = "statement".to_owned();
    program.source = vec![text.to_owned()];
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_world::operation::{Expression, Test};

    fn compiled(text: &str, parameters: &[(&str, Operand)]) -> Result<Program, StatementError> {
        let own = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        compile_statement(text, &own.collect())
    }

    #[test]
    fn parameters_have_values() {
        let text = "match u:User(id = $id)\nset u.status = $text";
        let given = [("id", Operand::Int(7)), ("text", Operand::Text("new".into()))];
        let program = compiled(text, &given).expect("it is sound");
        let id = |step: &OperationStep| match step {
            OperationStep::Node { id, .. } => Some(id.clone()),
            _ => None,
        };
        assert_eq!(program.steps.iter().find_map(id), Some(Expression::from(Operand::Int(7))));
        assert_eq!(program.steps.last(), Some(&OperationStep::Statement));
        assert!(program.writes());
        // A read might be followed by a write in its transaction.
        assert!(compiled("match u:User(id = 1)\nread u", &[]).expect("it is sound").writes());
    }

    #[test]
    fn slips_are_told_with_their_place() {
        let error = compiled("match u:User(id = $id)\n  sett u.status = 1", &[]).unwrap_err();
        assert_eq!((error.line, error.column), (1, 19));
        let error =
            compiled("match u:User(id = 1)\n  sett u.status = 1", &[]).unwrap_err().to_string();
        assert_eq!(
            error,
            "no step begins with `sett`; a similar word is `set` (line 2, column 3)\n  \
             sett u.status = 1\n  ^^^^"
        );
        for (text, why) in [
            ("", "there is no step in it"),
            ("match u:User(id = 1)\ncommit", "`commit` is a request of its own here"),
            ("match ü(", "ü"),
        ] {
            let told = compiled(text, &[]).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn done_ends_the_statement_and_not_the_transaction() {
        let text = "match u:User(id = 1)\ndone if u.count = 1\nset u.count = 1";
        let program = compiled(text, &[]).expect("it is sound");
        let place = program
            .steps
            .iter()
            .position(|step| matches!(step, OperationStep::Leave { test: Test::Compare(..), .. }));
        let place = place.expect("it asks");
        let OperationStep::Leave { exit: Exit::Skip(steps), .. } = program.steps[place] else {
            panic!("{:?}", program.steps[place]);
        };
        let next = &program.steps[place + usize::from(steps) + 1];
        assert_eq!(next, &OperationStep::Statement);
    }
}
