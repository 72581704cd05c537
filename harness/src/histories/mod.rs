//! Histories that somebody else recorded, judged: what clients asked and were told, and whether
//! any store that keeps its promises could have answered so.
//!
//! A file is recognised by its content (`read.rs`). [`linearizable`] is the core that a check of
//! a running simulation can feed as well: calls and returns in the order of time, bounded by
//! what is under way at once. [`sessions`] judges histories without times by what causality
//! proves, [`list_append`] judges transactions over lists.

mod edn;
mod error;
mod graph;
mod jepsen;
pub mod linearizable;
pub mod list_append;
mod read;
pub mod register;
pub mod sessions;
#[cfg(test)]
mod tests;

use serde::Serialize;

pub use error::HistoryError;
pub use read::Format;

/// What a history is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// A register with read, write and compare-and-set: linearizable.
    Register,
    /// Keys with unique values: every session reads its writes, never goes back, and reads nothing
    /// that nobody wrote.
    Session,
    /// Keys with unique values, in transactions: causally consistent.
    Causal,
    /// Transactions over lists that only grow: serializable.
    ListAppend,
}

impl Model {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Model::Register => "register",
            Model::Session => "session",
            Model::Causal => "causal",
            Model::ListAppend => "list-append",
        }
    }
}

/// How the judging is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// The model.
    pub model: Model,
    /// States that may be looked at for one history before it stays undecided.
    pub budget: u64,
    /// What a register or key holds at first; `None` is what the format says. Lists are empty.
    pub initial: Option<String>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The model explains the history.
    Held,
    /// It cannot.
    Violated,
    /// The budget was spent first.
    Undecided,
}

/// What became of one promise that a model makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The promise, e.g. `linearizable`, `read-your-writes`.
    pub promise: &'static str,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// Which operations cannot be put in order, or what made the search too long. Lines.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub story: String,
}

impl Finding {
    fn held(promise: &'static str) -> Finding {
        Finding { promise, verdict: Verdict::Held, story: String::new() }
    }

    fn of(promise: &'static str, story: Option<String>) -> Finding {
        match story {
            None => Finding::held(promise),
            Some(story) => Finding { promise, verdict: Verdict::Violated, story },
        }
    }
}

/// One history of a file, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The line that it begins at.
    pub line: usize,
    /// Operations (of a transactional history: transactions) in it.
    pub operations: usize,
    /// Of the verdicts below: violated if one is, then undecided if one is.
    pub verdict: Verdict,
    /// Every promise of the model. The verdict is about those that the model requires; others
    /// only say how far the history falls short.
    pub findings: Vec<Finding>,
}

impl Judged {
    fn new(line: usize, operations: usize, findings: Vec<Finding>) -> Judged {
        let any = |wanted| findings.iter().any(|finding| finding.verdict == wanted);
        let verdict = if any(Verdict::Violated) {
            Verdict::Violated
        } else if any(Verdict::Undecided) {
            Verdict::Undecided
        } else {
            Verdict::Held
        };
        Judged { line, operations, verdict, findings }
    }
}

/// Judges every history in a text. `name` is what errors call it.
///
/// # Errors
/// A text that is no history, one that breaks off or contradicts itself, one of a kind that the
/// model says nothing about, and an initial value for lists: with the place.
pub fn judge(
    name: &str,
    text: &str,
    options: &Options,
) -> Result<(Format, Vec<Judged>), HistoryError> {
    let format = read::recognise(name, text)?;
    let judged = match options.model {
        Model::Register => read::registers(name, text, format, options.initial.as_deref())?
            .into_iter()
            .map(|history| register::judge(&history, options.budget))
            .collect(),
        Model::Session | Model::Causal => {
            let history = read::sessions(name, text, format, options.initial.as_deref())?;
            vec![sessions::judge(&history, options.model == Model::Causal)]
        }
        Model::ListAppend if options.initial.is_some() => {
            let reason = "lists are empty at first: `--initial` has no meaning for them";
            return Err(HistoryError::at(name, text, 0, reason));
        }
        Model::ListAppend => {
            vec![list_append::judge(&read::transactions(name, text, format)?)]
        }
    };
    Ok((format, judged))
}
