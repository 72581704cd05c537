//! Parameters against outcomes: `wavetank sweep`.
//!
//! A grid of points, each the scenario with other values set over it; every point is played with
//! the same seeds. Streams are keyed by seed and name, so a seed gives each point the same arrivals,
//! operations and faults. Results are kept one by one, and a sweep that is started again goes on.

mod outcomes;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use wavetank_reports::{Ended, SWEEP_SCHEMA, SweepResult, SweepRun};
use wavetank_scenario::Scenario;
use wavetank_world::{BaseGraph, Plan, QueueTotals, World};

use crate::campaign::build;
use crate::campaign::folder::write_whole;
use crate::campaign::{Bases, Seeds, panic_text, scenario_digest};
use crate::exit::Exit;
use crate::find::{self, InputError};
use crate::interrupt;
use crate::output::{OutputError, at};
use crate::play::UNLAWFUL;
use crate::workers::{Turn, in_turn, locked};

use outcomes::Meter;

/// More points than this are a slip of the pen.
const MOST_POINTS: usize = 10_000;
/// The file by which the folder of a sweep is known.
const MARK: &str = "sweep.json";
/// Events between two looks at whether somebody wants an end.
const STRIDE: u64 = 50_000;

/// A parameter and the values that it takes, in order.
pub type Varied = (String, Vec<String>);

/// Why a sweep could not be played.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The scenario is wrong, or a value that was put into it.
    #[error(transparent)]
    Input(#[from] InputError),
    /// What is varied makes no grid.
    #[error("{0}")]
    Grid(String),
    /// A result could not be kept.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The folder holds something else.
    #[error("{} holds {what}: choose another --out", path.display())]
    Mixes {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        what: String,
    },
}

impl SweepError {
    /// How the command ends.
    pub fn exit(&self) -> Exit {
        match self {
            SweepError::Output(error) => error.exit(),
            _ => Exit::Input,
        }
    }
}

/// Reads `KEY=VALUE,VALUE,..`.
///
/// # Errors
/// In words, when it is nothing of the kind.
pub fn parse_vary(text: &str) -> Result<Varied, String> {
    let wrong = || format!("`{text}` varies nothing: expected KEY=VALUE,VALUE,..");
    let (key, values) = text.split_once('=').ok_or_else(wrong)?;
    let values: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
    if key.trim().is_empty() || values.iter().any(String::is_empty) {
        return Err(wrong());
    }
    if let Some(twice) = values.iter().enumerate().find(|(n, v)| values[..*n].contains(v)) {
        return Err(format!("`{}` is named twice", twice.1));
    }
    Ok((key.trim().to_owned(), values))
}

/// All combinations, the last parameter varying fastest.
fn grid(vary: &[Varied]) -> Result<Vec<Vec<String>>, SweepError> {
    let points = vary.iter().try_fold(1usize, |n, (_, values)| n.checked_mul(values.len()));
    if points.is_none_or(|points| points > MOST_POINTS) {
        return Err(SweepError::Grid(format!("the grid has more than {MOST_POINTS} points")));
    }
    if let Some((n, (key, _))) =
        vary.iter().enumerate().find(|(n, (key, _))| vary[..*n].iter().any(|(k, _)| k == key))
    {
        return Err(SweepError::Grid(format!(
            "`{key}` is varied twice (the second is --vary {})",
            n + 1
        )));
    }
    let mut points = vec![Vec::new()];
    for (_, values) in vary {
        let longer = |point: &Vec<String>| {
            let point = point.clone();
            values.iter().map(move |value| [point.as_slice(), std::slice::from_ref(value)].concat())
        };
        points = points.iter().flat_map(longer).collect();
    }
    Ok(points)
}

/// What belongs to one sweep and to no other.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    schema: u32,
    version: String,
    /// The fingerprint of the program.
    #[serde(default)]
    build: String,
    /// A digest of each point's scenario.
    points: Vec<String>,
}

/// A sweep that is about to be played.
#[derive(Debug)]
pub struct Sweep {
    name: String,
    vary: Vec<Varied>,
    points: Vec<Vec<String>>,
    scenarios: Vec<Scenario>,
    seeds: Seeds,
    folder: Option<PathBuf>,
}

impl Sweep {
    /// Reads the scenario at every point; `set` is put over all of them.
    ///
    /// # Errors
    /// When a value cannot be put into the scenario, or the folder holds something else.
    pub fn new(
        file: &Path,
        set: &[String],
        vary: Vec<Varied>,
        seeds: Seeds,
        folder: Option<&Path>,
    ) -> Result<Self, SweepError> {
        let points = grid(&vary)?;
        let mut scenarios = Vec::new();
        for point in &points {
            let values = vary.iter().zip(point).map(|((key, _), value)| format!("{key}={value}"));
            let all: Vec<String> = set.iter().cloned().chain(values).collect();
            let scenario = find::one(file, &all)?;
            if scenario.copies() > 1 {
                let text = "a sweep plays one cluster at each point: --set cluster.copies=1";
                return Err(SweepError::Grid(text.to_owned()));
            }
            scenarios.push(scenario);
        }
        let folder = folder.map(Path::to_owned);
        let name = file.display().to_string();
        let sweep = Sweep { name, vary, points, scenarios, seeds, folder };
        sweep.open()?;
        Ok(sweep)
    }

    /// The scenario at the first point.
    pub fn first(&self) -> &Scenario {
        &self.scenarios[0]
    }

    /// How many runs there are.
    pub fn runs(&self) -> u64 {
        self.seeds.len() * self.points.len() as u64
    }

    /// Makes the folder, or finds it to be of this sweep.
    fn open(&self) -> Result<(), SweepError> {
        let mut digests = Vec::new();
        for scenario in &self.scenarios {
            digests.push(scenario_digest(scenario, &find::draw(scenario, self.seeds.at(0))?));
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let build = build::of_folder(folder)?.to_owned();
        let identity = Identity { schema: SWEEP_SCHEMA, version, build, points: digests };
        let mark = folder.join(MARK);
        let mixes = |what: &str| SweepError::Mixes { path: folder.clone(), what: what.to_owned() };
        match fs::read(&mark) {
            Ok(bytes) => match serde_json::from_slice::<Identity>(&bytes) {
                Ok(known) if known == identity => Ok(()),
                _ => Err(mixes("results of another sweep, version, build or text")),
            },
            Err(_) if holds_another(folder) => Err(mixes("something that is no sweep")),
            Err(_) => {
                at(folder, fs::create_dir_all(folder))?;
                let text = serde_json::to_string_pretty(&identity).expect("keys are text");
                Ok(write_whole(&mark, &(text + "\n"))?)
            }
        }?;
        // After the mark: a start that is killed in between leaves a folder that is known.
        let runs = folder.join("runs");
        Ok(at(&runs, fs::create_dir_all(&runs))?)
    }

    fn file(&self, point: usize, seed: u64) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("runs").join(format!("{point}-{seed}.json")))
    }

    /// Plays what is not there yet; `done` is told each run that is over.
    ///
    /// # Errors
    /// When a Plan cannot be drawn, or a result not be kept.
    pub fn play(
        &self,
        jobs: usize,
        done: impl Fn(&SweepRun) + Sync,
    ) -> Result<SweepResult, SweepError> {
        let bases = Mutex::new(Bases::default());
        let (mut runs, whole) = in_turn(self.runs(), jobs, |index| {
            // Seed by seed, so that a sweep that ends early has pairs.
            let point = (index % self.points.len() as u64) as usize;
            let seed = self.seeds.at(index / self.points.len() as u64);
            Ok::<_, SweepError>(match self.one(point, seed, &bases)? {
                Some(run) => {
                    done(&run);
                    Turn::Over(run)
                }
                None => Turn::NoTime,
            })
        })?;
        runs.sort_by_key(|run| (run.point, run.seed));
        Ok(SweepResult {
            schema: SWEEP_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.name.clone(),
            vary: self.vary.clone(),
            points: self.points.clone(),
            ended: if whole { Ended::Whole } else { Ended::Interrupted },
            runs,
        })
    }

    /// One run: from the folder if it is there, else played; none when somebody wants an end.
    fn one(
        &self,
        point: usize,
        seed: u64,
        bases: &Mutex<Bases>,
    ) -> Result<Option<SweepRun>, SweepError> {
        let file = self.file(point, seed);
        if let Some(file) = &file
            && let Ok(bytes) = fs::read(file)
        {
            return serde_json::from_slice(&bytes).map(Some).map_err(|error| SweepError::Mixes {
                path: file.clone(),
                what: format!("no run of a sweep ({error})"),
            });
        }
        if interrupt::asked() {
            return Ok(None);
        }
        let plan = Arc::new(find::draw(&self.scenarios[point], seed)?);
        let base = locked(bases).of(&plan.graph);
        let played = catch_unwind(AssertUnwindSafe(|| measure(&plan, base)));
        let failed = |error| SweepRun {
            point,
            seed,
            digest: format!("{:032x}", 0),
            error: Some(error),
            outcomes: BTreeMap::new(),
        };
        let run = match played {
            Ok(None) => return Ok(None),
            Ok(Some(Measured { digest, lawful: true, outcomes })) => {
                SweepRun { point, seed, digest: format!("{digest:032x}"), error: None, outcomes }
            }
            Ok(Some(_)) => failed(UNLAWFUL.to_owned()),
            Err(panic) => failed(panic_text(&*panic)),
        };
        if let Some(file) = &file {
            let text = serde_json::to_string_pretty(&run).expect("keys are text, floats finite");
            write_whole(file, &(text + "\n"))?;
        }
        Ok(Some(run))
    }

    /// Leaves the result in all its forms; gives the page.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn conclude(
        &self,
        result: &SweepResult,
        command: &str,
    ) -> Result<Option<PathBuf>, OutputError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        write_whole(&folder.join("result.json"), &result.to_json())?;
        write_whole(&folder.join("sweep.csv"), &result.to_csv())?;
        write_whole(&folder.join("runs.csv"), &result.runs_csv())?;
        let page = folder.join("report.html");
        write_whole(&page, &result.to_html(command))?;
        Ok(Some(page))
    }
}

/// Whether a folder without a mark holds anything but what a start that was killed has written of
/// one.
fn holds_another(folder: &Path) -> bool {
    let begun = format!(".{MARK}.");
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(&begun);
    let Ok(mut entries) = folder.read_dir() else { return false };
    !entries.all(|entry| entry.is_ok_and(|entry| ours(&entry.file_name())))
}

/// What a run came to.
struct Measured {
    digest: u128,
    /// Whether no work was lost: else nothing that was measured can be believed.
    lawful: bool,
    outcomes: BTreeMap<String, f64>,
}

/// Plays a Plan and measures; none when somebody wants an end.
fn measure(plan: &Arc<Plan>, base: Arc<BaseGraph>) -> Option<Measured> {
    let mut world = World::new(plan.clone(), base, Meter::new(plan));
    while world.advance(STRIDE) {
        if interrupt::asked() {
            return None;
        }
    }
    let digest = world.digest();
    let lawful = world.queues().iter().all(QueueTotals::little_holds);
    Some(Measured { digest, lawful, outcomes: world.into_observer().outcomes(plan) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_every_combination_and_the_last_varies_fastest() {
        let vary = [parse_vary("a=1,2").unwrap(), parse_vary("b = x, y,z").unwrap()];
        let points: Vec<String> = grid(&vary).unwrap().iter().map(|p| p.concat()).collect();
        assert_eq!(points, ["1x", "1y", "1z", "2x", "2y", "2z"]);
        for wrong in ["", "a", "a=", "=1", "a=1,,2", "a=1,1"] {
            assert!(parse_vary(wrong).is_err(), "{wrong}");
        }
        assert!(grid(&[parse_vary("a=1,2").unwrap(), parse_vary("a=3").unwrap()]).is_err());
    }

    fn sweep(jobs: usize, folder: Option<&Path>) -> SweepResult {
        let vary = vec![parse_vary("ha.pull_interval=100ms,4s").unwrap()];
        let file = Path::new("quick/slave-crash");
        let sweep = Sweep::new(file, &[], vary, Seeds::new(0..4, None), folder).unwrap();
        sweep.play(jobs, |_| {}).unwrap()
    }

    #[test]
    fn slower_pulls_make_reads_staler_for_every_number_of_workers() {
        let result = sweep(1, None);
        let stale = |point: usize| -> Vec<f64> {
            let runs = result.runs.iter().filter(|run| run.point == point);
            runs.map(|run| run.outcomes["stale reads [%]"]).collect()
        };
        let pairs: Vec<_> = stale(0).into_iter().zip(stale(1)).collect();
        assert!(pairs.len() == 4 && pairs.iter().all(|(fast, slow)| fast < slow), "{pairs:?}");
        assert!(result.to_text().contains("* +"), "{}", result.to_text());
        assert_eq!(result, sweep(2, None));
    }

    #[test]
    fn a_start_that_was_killed_before_its_first_run_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("sweep");
        fs::create_dir(&place).unwrap();
        // Killed while it wrote its mark, and after that.
        fs::write(place.join(".sweep.json.77"), "{").unwrap();
        let first = sweep(1, Some(&place));
        fs::remove_dir_all(place.join("runs")).unwrap();
        assert_eq!(first, sweep(1, Some(&place)));
        assert!(place.join("runs/1-3.json").exists());
        fs::remove_file(place.join(MARK)).unwrap();
        let vary = vec![parse_vary("ha.pull_interval=1s,2s").unwrap()];
        let file = Path::new("quick/slave-crash");
        let strange = Sweep::new(file, &[], vary, Seeds::new(0..1, None), Some(&place));
        assert!(matches!(strange.unwrap_err(), SweepError::Mixes { .. }));
    }

    #[test]
    fn a_sweep_goes_on_and_is_not_mixed_with_another() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("sweep");
        let first = sweep(1, Some(&place));
        fs::remove_file(place.join("runs/1-2.json")).unwrap();
        assert_eq!(first, sweep(1, Some(&place)));
        let vary = vec![parse_vary("ha.pull_interval=100ms,5s").unwrap()];
        let file = Path::new("quick/slave-crash");
        let other = Sweep::new(file, &[], vary, Seeds::new(0..4, None), Some(&place));
        assert!(matches!(other.unwrap_err(), SweepError::Mixes { .. }));
    }
}
