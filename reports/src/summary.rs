//! The short summary that ends a run on the terminal, at most 80 columns wide.

use crate::result::{OperationResult, RunResult};
use crate::verdict::{Overall, Verdict};
use crate::words;

const WIDTH: usize = 80;

/// Text in colour where asked for.
struct Paint(bool);

impl Paint {
    fn verdict(&self, verdict: Verdict, text: &str) -> String {
        let code = match verdict {
            Verdict::Held => "32",
            Verdict::Broke => "31",
            Verdict::NotExercised => "33",
        };
        self.with(code, text)
    }

    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What a run came to, for a terminal: the verdict in a sentence, the expectations, the
/// operations, the faults. ANSI colours only when `colour` is set; a file gets none.
pub fn summary(result: &RunResult, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = String::new();
    let code = match result.verdict {
        _ if result.partial => "1;33",
        Overall::Held => "1;32",
        Overall::Broke | Overall::NotRecovered => "1;31",
    };
    for line in wrapped(&words::verdict_sentence(result), WIDTH) {
        text += &paint.with(code, &line);
        text.push('\n');
    }
    expectations(&mut text, result, &paint);
    operations(&mut text, result, &paint);
    for (client, row) in result.visibility.iter().filter(|(_, row)| row.stale > 0) {
        let window = words::millis(row.window_99_ms);
        let after = row
            .window_99_ms
            .map_or_else(String::new, |_| format!("; 99 % see them {window} ms after"));
        let line = format!(
            "{client} ({}): {} of {} reads missed their user's own last write{after}",
            row.routing,
            words::grouped(row.stale),
            words::grouped(row.reads)
        );
        text.push('\n');
        for line in wrapped(&line, WIDTH) {
            text += &line;
            text.push('\n');
        }
    }
    if let Some(sentence) = result.locks.sentence(result.simulated_seconds) {
        text.push('\n');
        for line in wrapped(&sentence, WIDTH) {
            text += &line;
            text.push('\n');
        }
    }
    if !result.faults.is_empty() {
        text += &paint.with("1", "\nFaults");
        text.push('\n');
        for fault in &result.faults {
            indented(&mut text, &words::fault(fault), 2);
        }
    }
    text.push('\n');
    let speed = result.simulated_seconds / result.wall_seconds.max(1e-9);
    let how = if result.real { "played on real processes" } else { "played" };
    let played = format!(
        "{} seed {}: {:.1} s {how} in {:.2} s ({:.0}x), {}",
        result.scenario,
        result.seed,
        result.simulated_seconds,
        result.wall_seconds,
        speed,
        words::counted(result.events, "event"),
    );
    for line in wrapped(&played, WIDTH) {
        text += &line;
        text.push('\n');
    }
    for note in &result.notes {
        for line in wrapped(&format!("Note: {note}"), WIDTH) {
            text += &line;
            text.push('\n');
        }
    }
    // No two real runs are the same: only a simulated one has a digest.
    if !result.real {
        text += &format!("digest {}\n", result.digest);
    }
    text
}

fn expectations(text: &mut String, result: &RunResult, paint: &Paint) {
    for expectation in &result.expectations {
        text.push('\n');
        let label = format!("{:<13}", expectation.verdict.name());
        // The name may be long; the verdict keeps its column.
        let mut lines = wrapped(&expectation.check, WIDTH - 15).into_iter();
        let first = lines.next().unwrap_or_default();
        *text += &format!("{}  {first}\n", paint.verdict(expectation.verdict, &label));
        for line in lines {
            *text += &format!("{:15}{line}\n", "");
        }
        let measured = words::value(&expectation.measured);
        let limit = words::value(&expectation.limit);
        indented(text, &format!("measured {measured}; limit {limit}"), 15);
        indented(text, &expectation.why, 15);
    }
}

fn operations(text: &mut String, result: &RunResult, paint: &Paint) {
    if result.operations.is_empty() {
        return;
    }
    let longest = result.operations.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let name_width = longest.clamp(9, 22);
    let header = format!(
        "\n{:<name_width$} {:>8} {:>7} {:>7} {:>7} {:>6} {:>6} {:>7}",
        "Operation", "offered", "failed", "unknown", "retries", "p50", "p99", "max"
    );
    *text += &paint.with("1", &header);
    *text += " ms\n";
    for (name, operation) in &result.operations {
        let OperationResult { offered, failed, unknown, retries, .. } = operation;
        let name: String = if name.chars().count() > name_width {
            name.chars().take(name_width - 1).chain(['…']).collect()
        } else {
            name.clone()
        };
        *text += &format!(
            "{name:<name_width$} {offered:>8} {failed:>7} {unknown:>7} {retries:>7} {:>6} {:>6} {:>7}\n",
            words::millis(operation.p50_ms),
            words::millis(operation.p99_ms),
            words::millis(operation.max_ms),
        );
    }
}

fn indented(text: &mut String, sentence: &str, by: usize) {
    for line in wrapped(sentence, WIDTH - by) {
        *text += &format!("{:by$}{line}\n", "");
    }
}

/// Breaks text between words; a word longer than a line is cut.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        if length > 0 && length + 1 + rest.len() > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        while rest.len() > width {
            let tail = rest.split_off(width);
            lines.push(rest.into_iter().collect());
            rest = tail;
        }
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        length += rest.len();
        line.extend(rest);
    }
    if length > 0 {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_are_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a abcdefgh b", 3), ["a", "abc", "def", "gh", "b"]);
        assert!(wrapped("  ", 5).is_empty());
    }
}
