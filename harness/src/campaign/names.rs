//! By which names a campaign knows its scenarios: that of the user, and that of their folders.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A scenario of a campaign: by what its results are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its name, from where the command was started.
    pub scenario: String,
    /// Its digest.
    pub digest: String,
}

impl Known {
    /// Whether the other is the same scenario, perhaps named from another folder.
    pub(super) fn is(&self, scenario: &str, digest: &str) -> bool {
        self.digest == digest && slug(&self.scenario) == slug(scenario)
    }
}

/// The name of a scenario as part of a path: the stem of its file.
pub fn slug(scenario: &str) -> String {
    let stem = Path::new(scenario).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    plain(&stem.unwrap_or_else(|| scenario.to_owned()))
}

/// Only characters that are the same on every file system, and no leading dot.
pub(super) fn plain(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.trim_start_matches(['.', '/']).chars().map(keep).collect();
    if name.is_empty() { "scenario".to_owned() } else { name }
}

/// A name for each scenario, different ones for different scenarios.
pub(super) fn slugs(scenarios: &[Known]) -> BTreeMap<String, Known> {
    let mut named = BTreeMap::new();
    for known in scenarios {
        let mut name = slug(&known.scenario);
        if scenarios.iter().any(|other| other != known && slug(&other.scenario) == name) {
            let path = known.scenario.strip_suffix(".toml").unwrap_or(&known.scenario);
            name = format!("{}-{}", plain(path), &known.digest[..known.digest.len().min(8)]);
        }
        named.insert(name, known.clone());
    }
    named
}

/// A scenario, for tests.
#[cfg(test)]
pub(super) fn known(scenario: &str, digest: &str) -> Known {
    Known { scenario: scenario.into(), digest: digest.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_of_the_same_name_have_folders_of_their_own() {
        let named = slugs(&[
            known("a/calm.toml", "0123456789"),
            known("b/calm.toml", "9876543210"),
            known("../quick/one.toml", "00"),
        ]);
        let names: Vec<&str> = named.keys().map(String::as_str).collect();
        assert_eq!(names, ["a-calm-01234567", "b-calm-98765432", "one"]);
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for (wrong, right) in [("../../etc", "etc"), ("...", "scenario"), ("a b/\u{e4}", "-")] {
            assert_eq!(slug(wrong), right, "{wrong}");
        }
        assert_eq!(plain("../.."), "scenario");
    }
}
