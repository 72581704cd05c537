//! The built command, and folders to run it in.

mod command;

use std::fs;

pub(crate) use command::*;

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
