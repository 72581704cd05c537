//! Which program plays. Two builds of one version may play differently, and then their results
//! must not be taken for those of one: folders of results keep a fingerprint of the program beside
//! its version. Results themselves and digests do not have it: they are the same for every build.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use xxhash_rust::xxh3::xxh3_128;

/// What stands in place of a fingerprint where results of several builds were put together.
pub const MIXED: &str = "mixed";

/// The fingerprint of the program that runs: XXH3 of its bytes, in hexadecimal digits. It is read
/// once.
///
/// # Errors
/// When the system does not let a program read itself.
pub fn fingerprint() -> io::Result<&'static str> {
    static KNOWN: OnceLock<String> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(known);
    }
    // On Linux this is the file that was started, even if another one lies in its place by now.
    let bytes = match fs::read("/proc/self/exe") {
        Ok(bytes) => bytes,
        Err(_) => fs::read(std::env::current_exe()?)?,
    };
    Ok(KNOWN.get_or_init(|| format!("{:032x}", xxh3_128(&bytes))))
}

/// The same, for a folder of results at that place.
///
/// # Errors
/// As [`fingerprint`], in words that name the folder.
pub fn of_folder(path: &Path) -> Result<&'static str, crate::output::OutputError> {
    crate::output::at(path, fingerprint())
}

/// Whose results there are, and who asks.
pub fn another_build(version: &str, there: &str, this: &str) -> String {
    let name = |build: &str| match build {
        "" => "one that did not say".to_owned(),
        MIXED => "several".to_owned(),
        build => build.chars().take(8).collect(),
    };
    format!("another build of version {version} ({}, this is {})", name(there), name(this))
}
