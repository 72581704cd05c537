//! Runs the built command.

use std::fs;
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

/// A folder of its own for each test, gone afterwards.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// With one file in it.
    pub(crate) fn with(name: &str, contents: &str) -> Self {
        let folder = Folder(tempfile::tempdir().expect("a temporary folder can be made"));
        fs::write(folder.path(name), contents).expect("a file can be written into it");
        folder
    }

    /// The path of something in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }
}
