//! The results of several folders put together: `wavetank merge`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wavetank_reports::SeedResult;

use super::build::MIXED;
use super::folder::{FolderError, Loaded};
use super::names::{Known, slug};

/// Gives a scenario one name in all parts, the shortest of those that it has in them: shards may
/// have been started in different folders. One that a part has under two names keeps both.
pub fn name_alike(parts: &mut [(PathBuf, Loaded)]) {
    let mut names: BTreeMap<(String, String), String> = BTreeMap::new();
    let key = |known: &Known| (slug(&known.scenario), known.digest.clone());
    for known in parts.iter().flat_map(|(_, part)| &part.scenarios) {
        let name = names.entry(key(known)).or_insert_with(|| known.scenario.clone());
        let shorter = (known.scenario.len(), &known.scenario) < (name.len(), &*name);
        if shorter {
            name.clone_from(&known.scenario);
        }
    }
    for (_, part) in parts {
        let mut renamed: BTreeMap<String, String> = BTreeMap::new();
        for known in &part.scenarios {
            let twice = part.scenarios.iter().filter(|other| key(other) == key(known)).count() > 1;
            let name = if twice { &known.scenario } else { &names[&key(known)] };
            renamed.insert(known.scenario.clone(), name.clone());
        }
        let rename = |name: &mut String| {
            if let Some(new) = renamed.get(name) {
                name.clone_from(new);
            }
        };
        part.scenarios.iter_mut().for_each(|known| rename(&mut known.scenario));
        part.asked.iter_mut().flat_map(|asked| &mut asked.scenarios).for_each(rename);
        part.results.iter_mut().for_each(|result| rename(&mut result.scenario));
    }
}

/// The build that played all of these; [`MIXED`] if there were several and `mixed` allows that.
///
/// # Errors
/// When there were several and it does not.
pub fn build_of(parts: &[(PathBuf, Loaded)], mixed: bool) -> Result<&str, FolderError> {
    let Some((first, of_first)) = parts.first() else { return Ok(MIXED) };
    let mut others = parts.iter().filter(|(_, part)| part.build != of_first.build);
    match others.next() {
        None => Ok(&of_first.build),
        Some(_) if mixed => Ok(MIXED),
        Some((other, _)) => Err(FolderError::Builds { paths: [other.clone(), first.clone()] }),
    }
}

/// Puts results of several folders together; the same seed may be in more than one of them.
///
/// # Errors
/// When two folders hold different texts of a scenario, or different results of a seed.
pub fn merged(parts: Vec<(PathBuf, Loaded)>) -> Result<(Vec<Known>, Vec<SeedResult>), FolderError> {
    let mut scenarios: BTreeMap<String, Known> = BTreeMap::new();
    let mut all: BTreeMap<(String, u64), SeedResult> = BTreeMap::new();
    for (path, part) in parts {
        for known in part.scenarios {
            let there = scenarios.entry(known.scenario.clone()).or_insert_with(|| known.clone());
            if *there != known {
                let what = format!("another text of {}", known.scenario);
                return Err(FolderError::Mixes { path, what });
            }
        }
        for result in part.results {
            let key = (result.scenario.clone(), result.seed);
            if let Some(other) = all.get(&key)
                && other.digest != result.digest
            {
                let digests = [other.digest.clone(), result.digest];
                return Err(FolderError::Contradicts { scenario: key.0, seed: key.1, digests });
            }
            all.insert(key, result);
        }
    }
    Ok((scenarios.into_values().collect(), all.into_values().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::names::known;

    #[test]
    fn a_scenario_named_from_two_folders_is_one() {
        let part = |names: &[(&str, &str)]| {
            let loaded = Loaded {
                scenarios: names.iter().map(|(name, digest)| known(name, digest)).collect(),
                build: String::new(),
                set: Vec::new(),
                asked: Vec::new(),
                results: Vec::new(),
            };
            (PathBuf::new(), loaded)
        };
        let mut parts = [
            part(&[("scenarios/quick/calm.toml", "1"), ("scenarios/storm.toml", "2")]),
            part(&[("quick/calm.toml", "1"), ("storm.toml", "3")]),
            part(&[("a/calm.toml", "1"), ("b/calm.toml", "1")]),
        ];
        name_alike(&mut parts);
        let names: Vec<Vec<&str>> = parts
            .iter()
            .map(|(_, part)| part.scenarios.iter().map(|known| &*known.scenario).collect())
            .collect();
        // Another text is another scenario.
        assert_eq!(names[0], ["a/calm.toml", "scenarios/storm.toml"]);
        assert_eq!(names[1], ["a/calm.toml", "storm.toml"]);
        assert_eq!(names[2], ["a/calm.toml", "b/calm.toml"]);
    }
}
