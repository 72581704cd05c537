//! `wavetank merge`: campaigns that were played apart, put together.

use std::path::PathBuf;

use clap::Args;
use wavetank_reports::{CampaignResult, SeedResult, Smallest};

use super::Failure;
use super::forms::{Forms, conclude, required};
use super::test::command;
use crate::campaign::digest_of;
use crate::campaign::folder::{Folder, FolderError, Shrunk, run_of};
use crate::campaign::merge::{build_of, merged, name_alike};
use crate::campaign::parts::{Asked, wholeness};
use crate::exit::Exit;
use crate::output::SMALLEST;

#[derive(Args, Debug)]
pub(super) struct MergeArgs {
    /// Folders that `wavetank test --out` left.
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Where the campaign of all of them goes; one that is there already is one of them.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Takes what different builds of this version have played for one campaign. A seed that came to
    /// two results is told all the same.
    #[arg(long)]
    mixed_builds: bool,
    #[command(flatten)]
    forms: Forms,
}

/// The folders that are merged, for what each has kept of failures: it stays where it is.
struct Homes(Vec<(Folder, Shrunk)>);

impl Homes {
    /// Where a seed is kept, in that copy of the cluster if there are several. Each folder has names
    /// of its own for its scenarios.
    fn kept(&self, scenario: &str, digest: &str, seed: u64, copy: Option<u64>) -> Option<String> {
        let places = self.0.iter().filter_map(|(it, _)| it.failure(scenario, digest, seed, copy));
        let mut kept = places.filter(|place| place.join("result.json").exists());
        kept.next().map(|place| place.display().to_string())
    }

    /// What a failure was shrunk to, in the folder that has it now: it may have been moved since.
    fn smallest(&self, of: &SeedResult) -> Option<Smallest> {
        self.0.iter().find_map(|(folder, shrunk)| {
            let small = shrunk.get(&run_of(of))?;
            let place = folder.failure(&of.scenario, &of.scenario_digest, of.seed, of.copy_seed)?;
            // One that was merged itself says where it found it.
            let mut files = [place.join(SMALLEST), PathBuf::from(&small.file)].into_iter();
            let file = files.find(|file| file.exists())?;
            Some(Smallest { file: file.display().to_string(), ..small.clone() })
        })
    }
}

pub(super) fn merge(args: &MergeArgs) -> Result<Exit, Failure> {
    let least = args.forms.require_coverage.as_deref().map(required).transpose()?;
    let (mut parts, mut homes) = (Vec::new(), Vec::new());
    let mut set = None;
    // A campaign that is there already is one more part.
    let there = Folder::is_at(&args.out).then_some(&args.out);
    for path in args.parts.iter().chain(there) {
        let folder = Folder::there(path)?;
        let part = folder.load()?;
        let set = set.get_or_insert_with(|| part.set.clone());
        if *set != part.set {
            let what = "scenarios with other values of --set".to_owned();
            return Err(FolderError::Mixes { path: path.clone(), what }.into());
        }
        parts.push((path.clone(), part));
        let shrunk = folder.shrunk();
        homes.push((folder, shrunk));
    }
    let homes = Homes(homes);
    let build = build_of(&parts, args.mixed_builds)?.to_owned();
    name_alike(&mut parts);
    let asked: Vec<Asked> = parts.iter().flat_map(|(_, part)| part.asked.iter().cloned()).collect();
    let set = set.unwrap_or_default();
    let (scenarios, results) = merged(parts)?;
    let mut folder = Folder::open(&args.out, &scenarios, &set, &build)?;
    args.forms.check_places()?;
    let names: Vec<String> = scenarios.iter().map(|known| known.scenario.clone()).collect();
    let (ended, missing) = wholeness(&names, &asked, &results);
    folder.record(&scenarios, asked)?;
    for result in &results {
        folder.keep(result)?;
    }
    let wall = results.iter().map(|result| result.wall_seconds).sum();
    let mut result =
        CampaignResult::new(results, ended, wall, digest_of, |result| command(result, &set));
    least.iter().for_each(|least| result.require(least));
    result.missing = missing;
    if result.runs == 0 {
        result.missing.push("no run is in any of the folders".to_owned());
    }
    for failed in &mut result.failures {
        let of = &failed.result;
        failed.folder = homes.kept(&of.scenario, &of.scenario_digest, of.seed, of.copy_seed);
        failed.smallest = homes.smallest(of);
    }
    for rule in &mut result.rules {
        let known = scenarios.iter().find(|known| known.scenario == rule.scenario);
        if let (Some(one), Some(known)) = (&mut rule.failing, known) {
            one.folder = homes.kept(&rule.scenario, &known.digest, one.seed, one.copy_seed);
        }
    }
    folder.conclude(&result)?;
    conclude(&result, &args.forms)
}
