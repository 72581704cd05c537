//! What clients take from files: when operations came, as somebody recorded it, and how often
//! users are asked for, as somebody measured it.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use wavetank_vocabulary::{Ratio, Span};
use wavetank_world::{AccessTable, Popularity, Recorded};

use super::or;
use crate::errors::Problem;
use crate::section::Section;
use crate::units::brief;

/// Reads a file beside the scenario; fails with a sentence.
pub(super) type Files<'f> = &'f mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

/// More lines than this were not recorded for a run.
const MOST_LINES: usize = 20_000_000;
/// No line of these files is this long.
const LONGEST_LINE: u64 = 4_096;

/// Notes what of `arrivals` does not go together.
pub(super) fn check(arrivals: &Section<'_>) {
    let (poisson, recorded) = (arrivals.has("poisson"), arrivals.has("recorded"));
    match (poisson, recorded) {
        (Some(poisson), Some(recorded)) => arrivals.findings().add(
            Problem::new("arrivals are either drawn or recorded", recorded, "recorded")
                .also(poisson, "and drawn"),
        ),
        (None, None) => {
            if !arrivals.misspelt(&["poisson", "recorded"]) {
                let label = "`poisson` is missing, or `recorded`";
                arrivals.note("when do they come?", arrivals.place, label);
            }
        }
        (Some(_), None) => {
            for key in ["speed", "start"] {
                if let Some(place) = arrivals.has(key) {
                    let label = "nothing is recorded here";
                    arrivals.note(format!("`{key}` goes with `recorded`"), place, label);
                }
            }
        }
        (None, Some(_)) => {}
    }
}

/// A recorded sequence, if these clients have one.
pub(super) fn arrivals(section: &Section<'_>, files: Files<'_>) -> Option<Arc<Recorded>> {
    section.has("arrivals")?;
    let arrivals = section.table("arrivals")?;
    let path = arrivals.text("recorded")?;
    let speed = or(arrivals.count("speed"), 1) as u32;
    let start = or(arrivals.span("start"), Span::ZERO);
    let lines = files(&path.value).and_then(|bytes| {
        sequence(&bytes, speed).map_err(|why| format!("{}: {why}", brief(&path.value)))
    });
    match lines {
        Ok(arrivals) => Some(Arc::new(Recorded { path: path.value, speed, start, arrivals })),
        Err(why) => {
            let title = "the recorded arrivals cannot be used";
            arrivals
                .findings()
                .add(Problem::new(title, path.place, why).help(
                    "a line for each: who, about whom, when in seconds, with spaces between",
                ));
            None
        }
    }
}

/// Which users are asked for, of so many `nodes` if that is known yet.
pub(super) fn popularity(
    section: &Section<'_>,
    nodes: Option<u32>,
    files: Files<'_>,
) -> Popularity {
    let table = section.table_or_empty("popularity");
    let named: Vec<_> = ["zipf", "degree", "table"]
        .into_iter()
        .filter_map(|key| Some((key, table.has(key)?)))
        .collect();
    if let [(_, first), (_, second), ..] = named.as_slice() {
        table.findings().add(
            Problem::new("users are popular for one reason", *second, "and this")
                .also(*first, "this"),
        );
    }
    let default = Popularity::Zipf(Ratio::new(4, 5));
    if named.is_empty() {
        if section.has("popularity").is_some() && !table.misspelt(&["zipf", "degree", "table"]) {
            let label = "one of `zipf`, `degree` and `table` is missing";
            table.note("who is popular?", table.place, label);
        }
        return default;
    }
    if let Some(place) = table.has("section").filter(|_| table.has("table").is_none()) {
        table.note("`section` goes with `table`", place, "there is no table");
    }
    if let Some(degree) = table.flag("degree") {
        if !degree.value {
            let label = "say `zipf = 0` for users that are all alike";
            table.note("this chooses nothing", degree.place, label);
        }
        return Popularity::Degree;
    }
    if let Some(exponent) = table.ratio("zipf") {
        return Popularity::Zipf(exponent.value);
    }
    let Some(path) = table.text("table") else { return default };
    let wanted = table.text("section").map(|at| at.value);
    let steps = files(&path.value).and_then(|bytes| {
        steps(&bytes, wanted.as_deref()).map_err(|why| format!("{}: {why}", brief(&path.value)))
    });
    match steps {
        Ok(steps) => {
            let access = AccessTable { path: path.value, section: wanted, steps };
            if let Some(nodes) = nodes.filter(|nodes| access.most(u64::from(*nodes)) == 0) {
                let label = format!("so says this table of a graph of {nodes}");
                table.findings().add(
                    Problem::new("none of the users is ever asked for", path.place, label)
                        .help("only the most popular are; with more nodes some of them are there"),
                );
            }
            Popularity::Table(Arc::new(access))
        }
        Err(why) => {
            let title = "the table of popularity cannot be used";
            table.findings().add(Problem::new(title, path.place, why).help(
                "lines of a number and a percentage: so many percent of the users are asked for so often or less",
            ));
            default
        }
    }
}

/// The lines of a file, plain or gzip by its first bytes, without comments and empty ones.
fn lines(
    bytes: &[u8],
    mut each: impl FnMut(usize, &str) -> Result<(), String>,
) -> Result<(), String> {
    let mut text: Box<dyn BufRead + '_> = match bytes.starts_with(&[0x1f, 0x8b]) {
        true => Box::new(BufReader::new(MultiGzDecoder::new(bytes))),
        false => Box::new(bytes),
    };
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = text.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| format!("the gzip file is damaged: {error}"))? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST_LINE {
            return Err(format!("line {number} is too long"));
        }
        if number > MOST_LINES {
            return Err(format!("it has more than {MOST_LINES} lines"));
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            return Err(format!("line {number}: this is no text"));
        };
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            each(number, text)?;
        }
    }
    Ok(())
}

/// Who, about whom, when: as offsets from the first at that speed. Users are renumbered from 0
/// in the order of their numbers.
fn sequence(bytes: &[u8], speed: u32) -> Result<Vec<(Span, u32, u32)>, String> {
    let mut rows: Vec<(f64, u64, u64)> = Vec::new();
    let mut header = true;
    lines(bytes, |number, text| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let first = std::mem::take(&mut header);
        if first && words.first().is_some_and(|word| word.parse::<u64>().is_err()) {
            return Ok(());
        }
        let wrong = |what: &str| format!("line {number}: {what}: `{}`", brief(text));
        let [who, whom, when] = words[..] else {
            return Err(wrong("expected who, about whom and when"));
        };
        let user = |word: &str| word.parse::<u64>().map_err(|_| wrong("a user is a number"));
        let at: f64 = when.parse().map_err(|_| wrong("the time is a number of seconds"))?;
        if !at.is_finite() || at < 0.0 {
            return Err(wrong("the time is a number of seconds"));
        }
        rows.push((at, user(who)?, user(whom)?));
        Ok(())
    })?;
    // Files are in the order of time more or less; equal times keep their order.
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(start) = rows.first().map(|(at, ..)| *at) else {
        // A first line that begins with no number was taken for names of columns.
        let why = if header { "it is empty" } else { "it has no line of who, about whom and when" };
        return Err(why.into());
    };
    let mut users: Vec<u64> = rows.iter().flat_map(|(_, who, whom)| [*who, *whom]).collect();
    users.sort_unstable();
    users.dedup();
    if users.len() > u32::MAX as usize {
        return Err("it has more users than any graph".into());
    }
    let place = |user: u64| users.partition_point(|known| *known < user) as u32;
    let offset = |at: f64| Span::from_nanos(((at - start) / f64::from(speed) * 1e9) as u64);
    Ok(rows.iter().map(|(at, who, whom)| (offset(*at), place(*who), place(*whom))).collect())
}

/// The rows of a table, of the section that begins with that line if one is named.
fn steps(bytes: &[u8], section: Option<&str>) -> Result<Vec<(u64, f64)>, String> {
    let mut rows: Vec<(u64, f64)> = Vec::new();
    let mut sections: Vec<String> = Vec::new();
    let mut inside = section.is_none();
    lines(bytes, |number, text| {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [name] = words[..]
            && name.parse::<f64>().is_err()
        {
            sections.push(brief(name));
            inside = section.map_or(sections.len() == 1, |wanted| wanted == name);
            return Ok(());
        }
        if !inside {
            return Ok(());
        }
        let wrong = |what: &str| format!("line {number}: {what}: `{}`", brief(text));
        let [count, part] = words[..] else {
            return Err(wrong("expected a number and a percentage"));
        };
        let count = count.parse().map_err(|_| wrong("the number is a whole one"))?;
        let part: f64 = part.parse().map_err(|_| wrong("the percentage is a number"))?;
        let before = rows.last().copied().unwrap_or((0, 0.0));
        if !(before.1..=100.0).contains(&part) || !rows.is_empty() && count <= before.0 {
            return Err(wrong("numbers and percentages grow, the latter up to 100"));
        }
        rows.push((count, part));
        Ok(())
    })?;
    if rows.is_empty() {
        return Err(match section {
            Some(section) => {
                let known = if sections.is_empty() { "none".into() } else { sections.join(", ") };
                format!("it has no section `{}`; there are: {known}", brief(section))
            }
            None => "it has no rows".into(),
        });
    }
    if rows.iter().all(|(count, _)| *count == 0) {
        return Err("nobody is ever asked for".into());
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_read_in_the_order_of_time() {
        let text = b"src dst time\n7 3 100\n# a comment\n3 9 101.5\n9 7 100.5\n";
        let ms = Span::from_millis;
        let read = sequence(text, 10).unwrap();
        assert_eq!(read, [(ms(0), 1, 0), (ms(50), 2, 1), (ms(150), 0, 2)]);
    }

    #[test]
    fn what_is_no_sequence_is_refused_with_its_line() {
        let wrong = |text: &str| sequence(text.as_bytes(), 1).unwrap_err();
        assert_eq!(wrong(""), "it is empty");
        assert_eq!(wrong("garbage here\n"), "it has no line of who, about whom and when");
        assert_eq!(wrong("1 2 3\n1 2\n"), "line 2: expected who, about whom and when: `1 2`");
        assert_eq!(wrong("1 2 3\n1 b 3\n"), "line 2: a user is a number: `1 b 3`");
        assert_eq!(wrong("1 2 soon\n"), "line 1: the time is a number of seconds: `1 2 soon`");
        assert!(sequence(&[0x1f, 0x8b, 1, 2, 3], 1).unwrap_err().contains("damaged"));
    }

    #[test]
    fn a_table_has_sections() {
        let text = b"reads\n0 50\n2 100\nwrites\n0 90\n5 99.9\n";
        assert_eq!(steps(text, None).unwrap(), [(0, 50.0), (2, 100.0)]);
        assert_eq!(steps(text, Some("writes")).unwrap(), [(0, 90.0), (5, 99.9)]);
        let unknown = steps(text, Some("scans")).unwrap_err();
        assert_eq!(unknown, "it has no section `scans`; there are: reads, writes");
        let wrong = |text: &str| steps(text.as_bytes(), None).unwrap_err();
        let grow = "numbers and percentages grow, the latter up to 100";
        assert_eq!(wrong("1 50\n2 40\n"), format!("line 2: {grow}: `2 40`"));
        assert_eq!(wrong("1 50\n1 60\n"), format!("line 2: {grow}: `1 60`"));
        assert_eq!(wrong("0 100\n"), "nobody is ever asked for");
        assert_eq!(wrong("\n"), "it has no rows");
    }
}
