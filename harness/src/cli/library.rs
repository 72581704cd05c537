//! Beginning and checking scenarios: `new`, `check-scenario`, `schema`.

use std::fs;
use std::io::Write;
use std::path::Path;

use wavetank_scenario::{FIRST, builtin, json_schema, nearest_builtin};

use super::play_once::load_text;
use super::{CheckArgs, Failure, NewArgs, SchemaOf, find, say, warn};
use crate::campaign::Bases;
use crate::exit::Exit;
use crate::load::Load;

/// `wavetank new`: writes a first scenario, and never over anything.
pub(super) fn new(args: &NewArgs) -> Result<Exit, Failure> {
    let path = args.name.with_extension("toml");
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_toml = args.name.extension().is_none_or(|ending| ending == "toml");
    if name.is_empty() || !name.chars().all(allowed) || !is_toml {
        return Err(Failure::input(format!(
            "`{}` cannot be the name of a scenario: expected letters, digits, `-` and `_`",
            args.name.display()
        )));
    }
    let text = match &args.from {
        None => FIRST.replace("NAME.toml", &format!("{name}.toml")),
        Some(from) => match builtin(from) {
            Some(builtin) => builtin.text.to_owned(),
            None => {
                let near = nearest_builtin(from).map(|near| format!("; a similar one is `{near}`"));
                return Err(Failure::input(format!(
                    "the library has no scenario `{from}`{}",
                    near.unwrap_or_else(|| ": `wavetank list scenarios` names them".into())
                )));
            }
        },
    };
    write_new(&path, &text)?;
    let path = path.display();
    say(&format!(
        "wrote {path}\nnext:  wavetank check-scenario {path}\n       wavetank run {path}"
    ));
    Ok(Exit::Held)
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    let refuse = |error: &std::io::Error| {
        let why = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "it is there already, and is left as it is".into(),
            _ => error.to_string(),
        };
        Failure::input(format!("cannot write {}: {why}", path.display()))
    };
    let mut file = fs::File::create_new(path).map_err(|error| refuse(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| refuse(&error))
}

/// `wavetank check-scenario`: all of them are read, whatever is wrong with the first.
pub(super) fn check_scenario(args: &CheckArgs) -> Result<Exit, Failure> {
    let mut wrong = Vec::new();
    let mut warnings = 0;
    let mut bases = Bases::default();
    for path in &args.paths {
        let entries = match find::all(std::slice::from_ref(path), &args.set) {
            Ok(entries) => entries,
            Err(failure) => {
                wrong.push(failure.message);
                continue;
            }
        };
        for entry in entries {
            let seed = entry.scenario.seed().unwrap_or(1);
            let plan = match find::draw(&entry.scenario, seed) {
                Ok(plan) => plan,
                Err(failure) => {
                    wrong.push(failure.message);
                    continue;
                }
            };
            warn(&entry.scenario);
            let count = entry.scenario.warnings().count();
            warnings += count;
            let base = bases.of(&plan.graph);
            let sound = match count {
                0 => "sound".to_owned(),
                1 => "sound, 1 warning".to_owned(),
                n => format!("sound, {n} warnings"),
            };
            say(&format!("{}: {sound}\n{}", entry.name, load_text(&Load::of(&plan, &base))));
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::input(wrong.join("\n")));
    }
    if args.strict && warnings > 0 {
        return Err(Failure::input("there are warnings, and --strict was given"));
    }
    Ok(Exit::Held)
}

/// `wavetank schema`
pub(super) fn schema(of: SchemaOf) -> Result<Exit, Failure> {
    match of {
        SchemaOf::Scenario => {
            let text = serde_json::to_string_pretty(&json_schema())
                .map_err(|error| Failure { exit: Exit::Internal, message: error.to_string() })?;
            say(&text);
        }
        SchemaOf::Result => say(wavetank_reports::RESULT_SCHEMA),
        SchemaOf::Campaign => say(wavetank_reports::CAMPAIGN_RESULT_SCHEMA),
    }
    Ok(Exit::Held)
}
