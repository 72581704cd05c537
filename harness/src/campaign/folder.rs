//! Where a campaign keeps its results: a folder from which it goes on when it is started again,
//! and from which several are put together.
//!
//! ```text
//! campaign.json                  which scenarios, by their digests; which seeds were asked for
//! seeds/SCENARIO/SEED.json       one result each, written beside and renamed into place
//! failures/SCENARIO-SEED/        what is kept of a failure; of another copy of the cluster than
//!                                the first, SCENARIO-SEED-COPYSEED
//! result.json  summary.md  junit.xml  coverage.svg
//! ```
//! A result counts only for the version, the build and the text of the scenario that it was played
//! with; a folder that holds others is refused, not mixed. Nothing is ever removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use wavetank_reports::{CAMPAIGN_SCHEMA, CampaignResult, SeedResult, Smallest};

use super::build::another_build;
use super::names::{Known, plain, slugs};
use super::parts::Asked;
use crate::exit::Exit;
use crate::output::{OutputError, at};

/// The file by which a campaign's folder is known.
const MARK: &str = "campaign.json";
/// A file beside [`MARK`] that a campaign leaves; anything else is a stranger's.
const OURS: [&str; 7] =
    [MARK, "seeds", "failures", "result.json", "summary.md", "junit.xml", "coverage.svg"];

/// Why a campaign's folder cannot be used.
#[derive(Debug, Error)]
pub enum FolderError {
    /// It could not be read or written, or is not ours.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// It holds results that do not belong to this campaign.
    #[error(
        "{} holds results of {what}: they do not mix. Choose another --out, or start a new one",
        path.display()
    )]
    Mixes {
        /// The folder or file.
        path: PathBuf,
        /// Of what.
        what: String,
    },
    /// Two folders were played by different builds.
    #[error(
        "{} was played by another build of this version than {}: they need not play the same. \
         --mixed-builds takes them for one",
        paths[0].display(), paths[1].display()
    )]
    Builds {
        /// The folders.
        paths: [PathBuf; 2],
    },
    /// It is no campaign's folder.
    #[error("{} is no folder of a campaign: expected one with {MARK} in it", .0.display())]
    NoCampaign(PathBuf),
    /// The same seed came to two results.
    #[error(
        "{scenario} seed {seed} has two results: digest {} in one folder, {} in another",
        digests[0], digests[1]
    )]
    Contradicts {
        /// The scenario.
        scenario: String,
        /// The seed.
        seed: u64,
        /// The digests of the two.
        digests: [String; 2],
    },
}

impl FolderError {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            FolderError::Output(error) => error.exit(),
            FolderError::Mixes { .. } | FolderError::Builds { .. } | FolderError::NoCampaign(_) => {
                Exit::Input
            }
            FolderError::Contradicts { .. } => Exit::Internal,
        }
    }
}

/// `campaign.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    schema: u32,
    version: String,
    /// The fingerprint of the program that played it.
    #[serde(default)]
    build: String,
    /// By the name of their folder.
    scenarios: BTreeMap<String, Known>,
    /// What was set over each scenario.
    #[serde(default)]
    set: Vec<String>,
    /// What each start was asked for.
    #[serde(default)]
    asked: Vec<Asked>,
}

/// The file of a seed: what it came to, and by which build.
#[derive(Serialize, Deserialize)]
struct Kept<R> {
    #[serde(default)]
    build: String,
    #[serde(flatten)]
    result: R,
}

/// The folder of a campaign.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    mark: Mark,
}

fn read_mark(path: &Path) -> Result<Option<Mark>, FolderError> {
    let file = path.join(MARK);
    match fs::read(&file) {
        Ok(bytes) => match serde_json::from_slice::<Mark>(&bytes) {
            Ok(mark)
                if mark.schema == CAMPAIGN_SCHEMA && mark.asked.iter().all(Asked::is_sound) =>
            {
                Ok(Some(mark))
            }
            _ => Err(FolderError::NoCampaign(path.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OutputError::Io { path: file, source }.into()),
    }
}

/// Writes a file beside its place and renames it there, so that nobody sees half of it.
pub fn write_whole(path: &Path, text: &str) -> Result<(), OutputError> {
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(hidden);
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What was begun is ours to take away.
        let _ = fs::remove_file(&beside);
    }
    at(path, written)
}

impl Folder {
    /// Opens the folder for what the program of that [fingerprint](super::build) plays of these
    /// scenarios, or makes it.
    ///
    /// # Errors
    /// When it is not ours, or holds results of another version, another build or another text.
    pub fn open(
        path: &Path,
        scenarios: &[Known],
        set: &[String],
        build: &str,
    ) -> Result<Self, FolderError> {
        let scenarios = slugs(scenarios);
        let version = env!("CARGO_PKG_VERSION");
        let mut mark = match read_mark(path)? {
            Some(mark) => mark,
            None => {
                check_empty(path)?;
                Mark {
                    schema: CAMPAIGN_SCHEMA,
                    version: version.to_owned(),
                    build: build.to_owned(),
                    scenarios: BTreeMap::new(),
                    set: set.to_vec(),
                    asked: Vec::new(),
                }
            }
        };
        let mixes = |what: String| FolderError::Mixes { path: path.to_owned(), what };
        if mark.version != version {
            return Err(mixes(format!("version {}, this is {version}", mark.version)));
        }
        if mark.build != build {
            return Err(mixes(another_build(version, &mark.build, build)));
        }
        if mark.set != set {
            return Err(mixes("scenarios with other values of --set".to_owned()));
        }
        for (name, known) in scenarios {
            match mark.scenarios.get(&name) {
                // It may have been started in another folder before.
                Some(there) if there.digest == known.digest => {}
                Some(there) => {
                    return Err(mixes(format!("another text of {}", there.scenario)));
                }
                None => {
                    mark.scenarios.insert(name, known);
                }
            }
        }
        let folder = Folder { path: path.to_owned(), mark };
        folder.make()?;
        Ok(folder)
    }

    fn make(&self) -> Result<(), OutputError> {
        for name in self.mark.scenarios.keys() {
            let seeds = self.path.join("seeds").join(name);
            at(&seeds, fs::create_dir_all(&seeds))?;
        }
        let mark = serde_json::to_string_pretty(&self.mark).expect("names are text");
        write_whole(&self.path.join(MARK), &(mark + "\n"))
    }

    /// Keeps what a start was asked for of `scenarios`, in place of what was known of the same
    /// runs. A scenario that an earlier start has named from another folder keeps that name: by it
    /// its results are known.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn record(&mut self, scenarios: &[Known], asked: Vec<Asked>) -> Result<(), OutputError> {
        for mut asked in asked {
            for name in &mut asked.scenarios {
                let known = scenarios.iter().find(|known| known.scenario == *name);
                let there = known.and_then(|it| self.name_of(&it.scenario, &it.digest));
                if let Some(there) = there {
                    name.clone_from(&self.mark.scenarios[there].scenario);
                }
            }
            asked.scenarios.sort();
            match self.mark.asked.iter_mut().find(|known| known.same_runs(&asked)) {
                Some(known) => *known = asked,
                None => self.mark.asked.push(asked),
            }
        }
        self.make()
    }

    fn name_of(&self, scenario: &str, digest: &str) -> Option<&str> {
        let exactly = |known: &Known| known.scenario == scenario && known.digest == digest;
        let all = || self.mark.scenarios.iter();
        let found = all().find(|(_, known)| exactly(known));
        let found = found.or_else(|| all().find(|(_, known)| known.is(scenario, digest)));
        found.map(|(name, _)| name.as_str())
    }

    fn file_of(&self, scenario: &str, digest: &str, seed: u64) -> Option<PathBuf> {
        let name = self.name_of(scenario, digest)?;
        Some(self.path.join("seeds").join(name).join(format!("{seed}.json")))
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn keep(&self, result: &SeedResult) -> Result<(), OutputError> {
        let file = self.file_of(&result.scenario, &result.scenario_digest, result.seed);
        let Some(file) = file else { return Err(OutputError::NoName(self.path.clone())) };
        let kept = Kept { build: self.mark.build.clone(), result };
        let text = serde_json::to_string_pretty(&kept).expect("keys are text, floats finite");
        write_whole(&file, &(text + "\n"))
    }

    /// The result of a seed, if it is there.
    ///
    /// # Errors
    /// When it is there but belongs to something else.
    pub fn find(&self, known: &Known, seed: u64) -> Result<Option<SeedResult>, FolderError> {
        match self.file_of(&known.scenario, &known.digest, seed) {
            Some(file) => read_seed(&file, known, &self.mark),
            None => Ok(None),
        }
    }

    /// Where what is kept of a failure goes, in that copy of the cluster if there are several; none
    /// if the campaign has no such scenario.
    pub fn failure(
        &self,
        scenario: &str,
        digest: &str,
        seed: u64,
        copy_seed: Option<u64>,
    ) -> Option<PathBuf> {
        let name = self.name_of(scenario, digest)?;
        // The first copy has the seed of all of them.
        let copy = copy_seed.filter(|copy| *copy != seed);
        let copy = copy.map_or_else(String::new, |copy| format!("-{copy}"));
        Some(self.path.join("failures").join(format!("{name}-{seed}{copy}")))
    }

    /// What earlier starts have shrunk failures to: nothing if none has ended yet.
    pub fn shrunk(&self) -> Shrunk {
        let text = fs::read(self.path.join("result.json")).unwrap_or_default();
        let ended = serde_json::from_slice::<CampaignResult>(&text);
        let failures = ended.map_or_else(|_| Vec::new(), |it| it.failures);
        failures.into_iter().filter_map(|it| Some((run_of(&it.result), it.smallest?))).collect()
    }

    /// Leaves the campaign's result in all its forms.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn conclude(&self, result: &CampaignResult) -> Result<(), OutputError> {
        write_whole(&self.path.join("result.json"), &result.to_json())?;
        write_whole(&self.path.join("summary.md"), &result.to_markdown())?;
        write_whole(&self.path.join("coverage.svg"), &result.coverage.reached.to_svg())?;
        write_whole(&self.path.join("junit.xml"), &result.to_junit())
    }

    /// Whether a campaign's folder is there.
    pub fn is_at(path: &Path) -> bool {
        path.join(MARK).exists()
    }

    /// A campaign's folder that is there.
    ///
    /// # Errors
    /// When it is none, or of another version.
    pub fn there(path: &Path) -> Result<Self, FolderError> {
        let Some(mark) = read_mark(path)? else {
            return Err(FolderError::NoCampaign(path.to_owned()));
        };
        let version = env!("CARGO_PKG_VERSION");
        if mark.version != version {
            let what = format!("version {}, this is {version}", mark.version);
            return Err(FolderError::Mixes { path: path.to_owned(), what });
        }
        Ok(Folder { path: path.to_owned(), mark })
    }

    /// What it holds: its scenarios, what was set over them, its results.
    ///
    /// # Errors
    /// When it cannot be read, or its results are not of one version and text.
    pub fn load(&self) -> Result<Loaded, FolderError> {
        let Folder { path, mark } = self;
        let mut results = Vec::new();
        for (name, known) in &mark.scenarios {
            let seeds = path.join("seeds").join(plain(name));
            let mut files = Vec::new();
            for entry in at(&seeds, fs::read_dir(&seeds))? {
                files.push(at(&seeds, entry)?.path());
            }
            files.sort();
            let is_result = |file: &&PathBuf| {
                let number = file.file_stem().and_then(|stem| stem.to_str());
                file.extension().is_some_and(|e| e == "json")
                    && number.is_some_and(|number| number.parse::<u64>().is_ok())
            };
            for file in files.iter().filter(is_result) {
                results.extend(read_seed(file, known, mark)?);
            }
        }
        let scenarios = mark.scenarios.values().cloned().collect();
        let Mark { build, set, asked, .. } = mark.clone();
        Ok(Loaded { scenarios, build, set, asked, results })
    }
}

/// What failures were shrunk to, by [`run_of`].
pub type Shrunk = BTreeMap<(String, u64, String), Smallest>;

/// By what a failure is known wherever its scenario is named from: the digest of its text, the seed,
/// and the digest of the run.
pub fn run_of(result: &SeedResult) -> (String, u64, String) {
    (result.scenario_digest.clone(), result.seed, result.digest.clone())
}

/// What a campaign's folder holds.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its scenarios.
    pub scenarios: Vec<Known>,
    /// The fingerprint of the program that played it.
    pub build: String,
    /// What was set over them.
    pub set: Vec<String>,
    /// What each of its starts was asked for.
    pub asked: Vec<Asked>,
    /// Its results, in no particular order.
    pub results: Vec<SeedResult>,
}

/// A result; none when there is none, or not a whole one.
fn read_seed(file: &Path, known: &Known, mark: &Mark) -> Result<Option<SeedResult>, FolderError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OutputError::Io { path: file.to_owned(), source }.into()),
    };
    // It is played again then.
    let Ok(kept) = serde_json::from_slice::<Kept<SeedResult>>(&bytes) else { return Ok(None) };
    let Kept { build, result } = kept;
    let mixes = |what| Err(FolderError::Mixes { path: file.to_owned(), what });
    if result.version != mark.version || !known.is(&result.scenario, &result.scenario_digest) {
        return mixes(format!("{} in version {}", result.scenario, result.version));
    }
    if build != mark.build {
        return mixes(another_build(&mark.version, &build, &mark.build));
    }
    Ok(Some(SeedResult { scenario: known.scenario.clone(), ..result }))
}

/// Whether a folder is not there, or holds nothing but what a campaign left that had no time
/// for its mark.
fn check_empty(path: &Path) -> Result<(), OutputError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(OutputError::NotAFolder(path.to_owned()));
        }
        Err(source) => return Err(OutputError::Io { path: path.to_owned(), source }),
    };
    for entry in entries {
        let name = at(path, entry)?.file_name().to_string_lossy().into_owned();
        if name != "seeds" {
            let found =
                if OURS.contains(&name.as_str()) { format!("{name} but no {MARK}") } else { name };
            return Err(OutputError::NotOurs { path: path.to_owned(), found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::names::known;

    #[test]
    fn another_version_or_text_does_not_mix_and_a_strangers_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("out");
        let calm = [known("calm.toml", "1")];
        Folder::open(&place, &calm, &[], "b1").unwrap();
        Folder::open(&place, &calm, &[], "b1").unwrap();
        Folder::open(&place, &[known("calm.toml", "1"), known("b.toml", "2")], &[], "b1").unwrap();
        let other = Folder::open(&place, &[known("calm.toml", "2")], &[], "b1").unwrap_err();
        assert!(matches!(other, FolderError::Mixes { .. }), "{other}");
        let set = ["ha.pull_interval=1s".to_owned()];
        let other = Folder::open(&place, &[known("calm.toml", "1")], &set, "b1").unwrap_err();
        assert!(other.to_string().contains("other values of --set"), "{other}");
        let other = Folder::open(&place, &calm, &[], "b2").unwrap_err();
        let said =
            concat!("another build of version ", env!("CARGO_PKG_VERSION"), " (b1, this is b2)");
        assert!(other.to_string().contains(said), "{other}");
        assert_eq!(other.exit(), Exit::Input);
        let text = fs::read_to_string(place.join(MARK)).unwrap();
        let old = text.replace(env!("CARGO_PKG_VERSION"), "0.0.1");
        fs::write(place.join(MARK), old).unwrap();
        let other = Folder::open(&place, &calm, &[], "b1").unwrap_err();
        assert!(other.to_string().contains("version 0.0.1"), "{other}");
        assert_eq!(other.exit(), Exit::Input);
        let strange = folder.path().join("strange");
        fs::create_dir(&strange).unwrap();
        fs::write(strange.join("thesis.txt"), "years of work").unwrap();
        assert!(Folder::open(&strange, &calm, &[], "b1").is_err());
        assert_eq!(fs::read_dir(&strange).unwrap().count(), 1);
    }
}
