//! Files that a command writes over those it wrote before, and over no others.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// Whether nothing is there, or something that begins with the mark of this command.
pub(super) fn allowed(path: &Path, mark: &str) -> Result<(), String> {
    let mut begin = vec![0; mark.len()];
    match fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin)) {
        Ok(()) if begin == mark.as_bytes() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error.to_string()),
        _ => Err("what is there was not written by this command, and is left as it is".into()),
    }
}

/// Writes a new file, or one over another of ours, whole or not at all.
pub(super) fn write(path: &Path, mark: &str, text: &str) -> Result<(), String> {
    allowed(path, mark)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let name = path.file_name().ok_or("this is not the name of a file")?.to_string_lossy();
    let draft = folder.unwrap_or(Path::new(".")).join(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create_new(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // Nothing of a draft is of use; that it could not be removed is not the first failure.
        let _ = fs::remove_file(&draft);
    }
    written.map_err(|error| error.to_string())
}
