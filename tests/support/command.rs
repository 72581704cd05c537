//! Runs the built command.

use std::process::{Command, Output};

/// What a run of the command gave.
pub(crate) struct Done {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// The built command, without colours.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
    command.env("NO_COLOR", "1");
    command
}

/// Runs the command with these arguments.
pub(crate) fn wavetank(arguments: &[String]) -> Done {
    let output = command().args(arguments).output().expect("the built command can be run");
    done(&output)
}

/// What became of it.
pub(crate) fn done(output: &Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The same, for literals.
pub(crate) fn run(arguments: &[&str]) -> Done {
    wavetank(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
}
