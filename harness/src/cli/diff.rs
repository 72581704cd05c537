//! `wavetank diff`: what changed between two results.

use std::fs;
use std::io::Write;
use std::path::Path;

use wavetank_reports::{Diff, RunResult, SCHEMA};

use super::{DiffArgs, Failure, say, tell};
use crate::exit::Exit;

/// A part of a whole: `5%` or `0.05`.
pub(super) fn gate(text: &str) -> Result<f64, String> {
    let (number, hundredths) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    match number.parse::<f64>() {
        Ok(part) if hundredths == 1.0 && part > 1.0 => {
            Err(format!("`{text}` is {} %: write `{text}%` if that is meant", part * 100.0))
        }
        Ok(part) if part.is_finite() && part >= 0.0 => Ok(part / hundredths),
        _ => Err(format!("`{text}` is not a part: expected something like 5% or 0.05")),
    }
}

pub(super) fn diff(args: &DiffArgs) -> Result<Exit, Failure> {
    let diff = Diff::new(&read(&args.base)?, &read(&args.new)?);
    if let Some(path) = &args.html {
        write_page(path, &diff.to_html())?;
    }
    if args.json {
        say(&diff.to_json());
    } else {
        say(&diff.to_text());
    }
    let Some(gate) = args.gate else { return Ok(Exit::Held) };
    let percent = gate * 100.0;
    if let Some(partial) = diff.caveats.iter().find(|caveat| caveat.contains("interrupted")) {
        return Err(Failure::input(format!("the gate cannot judge: {partial}")));
    }
    if diff.exceeds(gate) {
        let what = diff.worst_of.as_deref().unwrap_or("something");
        tell(&format!("above the gate of {percent} %: {what}"));
        return Ok(Exit::Broke);
    }
    tell(&format!("nothing beyond noise is worse by more than {percent} %"));
    Ok(Exit::Held)
}

/// Writes a page, and never over a file that is there.
pub(super) fn write_page(path: &Path, text: &str) -> Result<(), Failure> {
    let written = fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let why = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "it is there already, and is left as it is".into(),
            _ => error.to_string(),
        };
        Failure::input(format!("cannot write {}: {why}", path.display()))
    })
}

/// The result in a file, or in the folder of a run.
pub(super) fn read(path: &Path) -> Result<RunResult, Failure> {
    read_marked(path).map(|(result, _)| result)
}

/// The same, and whether it says that it is of a real run.
pub(super) fn read_marked(path: &Path) -> Result<(RunResult, bool), Failure> {
    let file = if path.is_dir() { path.join("result.json") } else { path.to_owned() };
    let refuse = |why: String| Failure::input(format!("cannot read {}: {why}", file.display()));
    let bytes = fs::read(&file).map_err(|error| refuse(error.to_string()))?;
    let json: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| refuse(format!("this is not JSON: {error}")))?;
    match json["schema"].as_u64() {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            let why = format!("it is a result of schema {schema}, this version reads {SCHEMA}");
            return Err(refuse(why));
        }
        None => return Err(refuse("this is not a result of a run: it has no `schema`".into())),
    }
    let real = json["real"].as_bool() == Some(true);
    let result = serde_json::from_value(json);
    let result = result.map_err(|error| refuse(format!("not a whole result: {error}")))?;
    Ok((result, real))
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_parts() {
        assert_eq!(gate("5%"), Ok(0.05));
        assert_eq!(gate("0.1"), Ok(0.1));
        for wrong in ["5", "", "x", "-1%", "5 percent", "nan", "inf"] {
            assert!(gate(wrong).is_err(), "{wrong}");
        }
    }
}
