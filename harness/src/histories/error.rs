//! What is wrong with a history's text, and where.

use std::fmt;

/// A place in a history and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryError {
    file: String,
    line: usize,
    column: usize,
    source_line: String,
    reason: String,
}

/// Longest part of a line that an error shows, characters.
const SHOWN: usize = 96;

impl HistoryError {
    /// About the byte at `offset` of `text`.
    pub(super) fn at(name: &str, text: &str, offset: usize, reason: impl Into<String>) -> Self {
        let offset = offset.min(text.len());
        let before = text.get(..offset).unwrap_or(text);
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        let line = text[begin..].lines().next().unwrap_or("");
        HistoryError {
            file: name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[begin..].chars().count() + 1,
            source_line: line.to_owned(),
            reason: reason.into(),
        }
    }

    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        // Of a long line, what surrounds the place.
        let skip = (self.column.saturating_sub(1)).saturating_sub(SHOWN / 2);
        let shown: String = self
            .source_line
            .chars()
            .skip(skip)
            .take(SHOWN)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let ahead = if skip > 0 { "..." } else { "" };
        let caret = " ".repeat(ahead.len() + self.column - 1 - skip);
        writeln!(f, "error: {}", self.reason)?;
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {ahead}{shown}")?;
        write!(f, "{margin} | {caret}^")
    }
}

impl std::error::Error for HistoryError {}
