//! Finding scenarios: files, folders, and names of the library that is part of the command.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use thiserror::Error;
use wavetank_scenario::{
    LONGEST_SCENARIO, Scenario, builtin, builtin_folder, nearest_builtin, parse_with,
};
use wavetank_world::Plan;

use crate::campaign::{Entry, scenario_files};
use crate::terminal::colour_on_stderr;

/// What is wrong with what the user gave, told in full: file, line, what was expected.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct InputError {
    /// The rendered text.
    pub message: String,
}

impl InputError {
    fn new(message: impl Into<String>) -> Self {
        InputError { message: message.into() }
    }
}

/// The scenario that a file holds or that the library has under this name, with `KEY=VALUE`s put
/// over it.
///
/// # Errors
/// When there is no such scenario, or something is wrong in it.
pub fn one(file: &Path, set: &[String]) -> Result<Scenario, InputError> {
    let name = file.to_string_lossy();
    if !file.is_file()
        && let Some(builtin) = builtin(&name)
    {
        return parse(&format!("{}.toml", builtin.name), builtin.text.as_bytes(), set);
    }
    if file.is_dir() {
        let text = format!("{} is a folder: expected a scenario file", file.display());
        return Err(InputError::new(text));
    }
    let source = read(file).map_err(|error| {
        let mut text = format!("cannot read {}: {error}", file.display());
        if error.kind() == std::io::ErrorKind::NotFound {
            text += "\nno scenario of the library has that name either";
            match nearest_builtin(&name) {
                Some(near) => text += &format!("; a similar one is `{near}`"),
                None => text += ": `wavetank list scenarios` names them",
            }
        }
        InputError::new(text)
    })?;
    parse(&name, &source, set)
}

/// The bytes of a file, but no more of an endless one than a scenario may have and one.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(LONGEST_SCENARIO as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// All scenarios of files, folders and names. Whatever is wrong with one, the others are read,
/// so that every error is told at once.
///
/// # Errors
/// When something is wrong in one, or there is none.
pub fn all(paths: &[PathBuf], set: &[String]) -> Result<Vec<Entry>, InputError> {
    Ok(gather(paths, set)?.into_iter().map(|(entry, _)| entry).collect())
}

/// The same for many seeds of each: without those that play for hours (`soak = true`), unless
/// they are named themselves. Gives their names, too.
///
/// # Errors
/// As [`all`], and when nothing else is there.
pub fn without_soaks(
    paths: &[PathBuf],
    set: &[String],
) -> Result<(Vec<Entry>, Vec<String>), InputError> {
    let unasked = |(entry, named): &(Entry, bool)| entry.scenario.is_soak() && !named;
    let (left_out, entries): (Vec<_>, Vec<_>) = gather(paths, set)?.into_iter().partition(unasked);
    let left_out: Vec<String> = left_out.into_iter().map(|(entry, _)| entry.name).collect();
    if entries.is_empty() && !left_out.is_empty() {
        let text = format!(
            "every scenario there plays for hours (soak = true): name the one that you mean, {}",
            left_out.join(" or ")
        );
        return Err(InputError::new(text));
    }
    Ok((entries.into_iter().map(|(entry, _)| entry).collect(), left_out))
}

/// All scenarios, each with whether it was named itself, and not a folder that it lies in.
fn gather(paths: &[PathBuf], set: &[String]) -> Result<Vec<(Entry, bool)>, InputError> {
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    let mut add = |name: String, named: bool, scenario: Result<Scenario, InputError>| {
        let known = entries.iter().position(|(entry, _): &(Entry, bool)| entry.name == name);
        match (scenario, known) {
            // The same file named twice is played once.
            (Ok(_), Some(known)) => entries[known].1 |= named,
            (Ok(scenario), None) => entries.push((Entry { name, scenario }, named)),
            (Err(failure), _) => wrong.push(failure.message),
        }
    };
    for path in paths {
        let name = path.to_string_lossy();
        let folder = if path.exists() { Vec::new() } else { builtin_folder(&name) };
        for builtin in &folder {
            let scenario = parse(&format!("{}.toml", builtin.name), builtin.text.as_bytes(), set);
            add(builtin.name.to_owned(), builtin.name == name, scenario);
        }
        if !folder.is_empty() {
            continue;
        }
        if path.is_dir() && builtin(&name).is_some() && holds_no_scenario(path) {
            add(name.into_owned(), true, one(path, set));
            continue;
        }
        match scenario_files(std::slice::from_ref(path)) {
            Ok(files) => {
                for file in files {
                    add(name_of(&file), file == *path, one(&file, set));
                }
            }
            Err(error) => add(name.into_owned(), true, Err(InputError::new(error.to_string()))),
        }
    }
    if wrong.is_empty() { Ok(entries) } else { Err(InputError::new(wrong.join("\n"))) }
}

/// By what a file is known: its path from here if it lies below, however it was written; else as
/// it was written, without what leads nowhere.
fn name_of(file: &Path) -> String {
    let below = || {
        let here = std::env::current_dir().and_then(fs::canonicalize).ok()?;
        let whole = fs::canonicalize(file).ok()?;
        Some(whole.strip_prefix(&here).ok()?.to_path_buf())
    };
    let path = below().unwrap_or_else(|| {
        file.components().filter(|part| *part != std::path::Component::CurDir).collect()
    });
    path.display().to_string()
}

/// Whether a folder is the output of a run, say, that happens to have a scenario's name.
fn holds_no_scenario(folder: &Path) -> bool {
    scenario_files(&[folder.to_path_buf()]).is_err() || folder.join(".wavetank").exists()
}

/// A scenario from its text; other files are looked for beside `name`.
///
/// # Errors
/// When something is wrong in it.
pub fn parse(name: &str, source: &[u8], set: &[String]) -> Result<Scenario, InputError> {
    parse_with(name, source, set, &mut |path| fs::read(path)).map_err(|e| errors(&e))
}

fn errors(errors: &wavetank_scenario::Errors) -> InputError {
    InputError::new(errors.render(colour_on_stderr()))
}

/// The Plan of a seed.
///
/// # Errors
/// When the edge list cannot be read or is not one.
pub fn draw(scenario: &Scenario, seed: u64) -> Result<Plan, InputError> {
    scenario.draw(seed, &mut |path| fs::read(path)).map_err(|e| errors(&e))
}
