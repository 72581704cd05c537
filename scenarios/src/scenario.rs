//! A scenario that has been read and found sound, and the Plans drawn from it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wavetank_kernel::Stream;
use wavetank_kernel::Streams;
use wavetank_vocabulary::{FaultId, FaultKind, Span, Time};
use wavetank_world::{
    ClientPlan, EdgeList, FaultPlan, GraphSource, Plan, Popularity, Strength, Target, Trigger,
};

use crate::edges;
use crate::errors::{Errors, Place, Problem, Source, Warnings};
use crate::nemesis::{NemesisDraft, RangeDraft};
use crate::section::{At, Drawn};
use crate::settings::SETTINGS;
use crate::tree::{LONGEST, Node};
use crate::{overlay, read};

/// A scenario: sound as far as can be told without its files. Some of its quantities are
/// ranges, which [`Scenario::draw`] turns into figures.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where the scenario file is; other files are found from there.
    pub(crate) directory: PathBuf,
    pub(crate) sources: Vec<Source>,
    pub(crate) warnings: Warnings,
    /// Where each of Neo4j's settings was set, by its name in the 2.3 line.
    pub(crate) origins: BTreeMap<&'static str, Place>,
    /// The Plan without what is drawn or loaded: seed, faults and edges.
    pub(crate) plan: Plan,
    pub(crate) seed: Option<u64>,
    pub(crate) edges: Option<At<String>>,
    /// The edge list, once it was read.
    pub(crate) loaded: OnceLock<Arc<EdgeList>>,
    pub(crate) faults: Vec<FaultDraft>,
    pub(crate) nemeses: Vec<NemesisDraft>,
    pub(crate) ranges: Vec<RangeDraft>,
    pub(crate) copies: u32,
    pub(crate) soak: bool,
    pub(crate) sweep: Option<SweepPlan>,
}

/// What a sweep varies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPlan {
    /// Settings or paths, as `--set` takes them, each with its values in order.
    pub vary: Vec<(String, Vec<String>)>,
    /// How many seeds each point has, from 0.
    pub seeds: u64,
}

/// A setting, its value, and where that came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingOrigin {
    /// Its name in the 2.3 line.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// File and line, `--set`, or the version whose default it is.
    pub origin: String,
}

/// A fault before its times are drawn.
#[derive(Clone, Debug)]
pub(crate) struct FaultDraft {
    pub(crate) id: FaultId,
    pub(crate) kind: FaultKind,
    pub(crate) target: Target,
    pub(crate) peer: Option<Target>,
    pub(crate) at: Drawn,
    pub(crate) when: Option<(Trigger, Drawn)>,
    pub(crate) lasts: Option<Drawn>,
    pub(crate) strength: Strength,
    pub(crate) spares_copy: bool,
}

/// Gives the contents of a file.
pub type Reader<'a> = &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>;

/// Reads a scenario that needs no other file. `name` is the path as the user gave it: errors
/// show it, and its stem is the scenario's name.
pub fn parse(name: &str, source: &str) -> Result<Scenario, Errors> {
    let alone =
        |_: &Path| Err(io::Error::new(io::ErrorKind::Unsupported, "no files are read here"));
    parse_with(name, source.as_bytes(), &[], &mut { alone })
}

/// Reads a scenario from a file's bytes, with values put in or over it: each of `sets` is
/// `KEY=VALUE`, where the key is one of Neo4j's settings (`ha.pull_interval`) or a path into
/// the scenario (`clients.app.arrivals.poisson`), and the value needs no quotes. `read` gives
/// the contents of the files that the scenario names, which are looked for beside it.
pub fn parse_with(
    name: &str,
    source: &[u8],
    sets: &[String],
    read: Reader<'_>,
) -> Result<Scenario, Errors> {
    let text = decode(name, source)?;
    let mut sources = vec![Source { name: name.into(), text: text.into(), first_line: 1 }];
    sources.extend(sets.iter().map(|set| Source {
        name: "--set".into(),
        text: set.clone(),
        first_line: 1,
    }));
    let mut root = match Node::document(&sources[0].text, 0) {
        Ok(root) => root,
        Err(problems) => return Err(Errors::new(sources, problems)),
    };
    let problems: Vec<Problem> = sets
        .iter()
        .enumerate()
        .filter_map(|(index, set)| overlay::set(&mut root, set, index + 1).err())
        .collect();
    if !problems.is_empty() {
        return Err(Errors::new(sources, problems));
    }
    read::scenario(root, &sources, read)
}

fn decode<'s>(name: &str, source: &'s [u8]) -> Result<&'s str, Errors> {
    let refuse = |line: usize, text: String, title: &str, label: String| {
        let place = Place::new(0, text.len()..text.len());
        Err(Errors::at_line(name.into(), line, text, Problem::new(title, place, label)))
    };
    if source.len() > LONGEST {
        let label = format!("{} bytes; at most {LONGEST} are read", source.len());
        return refuse(1, String::new(), "this is too large for a scenario", label);
    }
    std::str::from_utf8(source).or_else(|error| {
        let good = &source[..error.valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = good.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&good[start..]).into_owned();
        refuse(line, text, "this is not a text file", "here it is no longer valid UTF-8".into())
    })
}

impl Scenario {
    /// Its name: that of the file, without the ending.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// What it is for, in its author's words.
    pub fn about(&self) -> &str {
        &self.plan.about
    }

    /// What Neo4j would accept and its operator regret.
    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// Every setting of the cluster, with its value and where that came from.
    pub fn settings(&self) -> Vec<SettingOrigin> {
        let settings = &self.plan.settings;
        let compat = settings.compat().name();
        SETTINGS
            .iter()
            .filter_map(|setting| {
                let value = setting.text(settings)?.trim_matches('"').to_owned();
                let origin = match self.origins.get(setting.name) {
                    Some(place) => self.whence(*place),
                    None => format!("default of {compat}"),
                };
                Some(SettingOrigin { name: setting.name, value, origin })
            })
            .collect()
    }

    fn whence(&self, place: Place) -> String {
        let Some(source) = self.sources.get(place.source) else { return String::new() };
        if source.name == "--set" {
            return "--set".into();
        }
        let before = source.text.get(..place.start).unwrap_or_default();
        let line = source.first_line + before.matches('\n').count();
        format!("{}:{line}", source.name)
    }

    /// Every text that it was read from, the file's own first: with the same texts and the same
    /// edge list it is the same scenario.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.text.as_str())
    }

    /// How many clusters there are, each a Plan drawn with a seed of its own.
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// Whether it plays for hours, so that nobody should meet it unasked.
    pub fn is_soak(&self) -> bool {
        self.soak
    }

    /// What its `[sweep]` table varies.
    pub fn sweep(&self) -> Option<&SweepPlan> {
        self.sweep.as_ref()
    }

    /// The seed that stands in the file.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// The Plan of a seed: times drawn, edge list loaded. `read` gives the contents of a
    /// file; it is asked for nothing but the edge list. Each fault draws from a stream of
    /// its own, so that leaving one out changes no other.
    ///
    /// # Errors
    /// When the edge list cannot be read or is not one.
    pub fn draw(&self, seed: u64, read: Reader<'_>) -> Result<Plan, Errors> {
        let mut plan = self.plan.clone();
        plan.seed = seed;
        let streams = Streams::new(seed);
        for range in &self.ranges {
            range.draw(streams, &mut plan.settings);
            for instance in &mut plan.instances {
                if let Some(own) = &mut instance.settings {
                    range.draw(streams, Arc::make_mut(own));
                }
            }
        }
        plan.faults = self.faults.iter().map(|fault| fault.draw(streams)).collect();
        for (index, nemesis) in self.nemeses.iter().enumerate() {
            nemesis.draw(index as u64, streams, &mut plan);
        }
        if let Some(path) = &self.edges {
            // All seeds share one list.
            let edges = match self.loaded.get() {
                Some(edges) => edges.clone(),
                None => {
                    let edges = Arc::new(self.load(path, read)?);
                    self.loaded.get_or_init(|| edges).clone()
                }
            };
            plan.graph.source = GraphSource::Edges { path: path.value.clone(), edges };
        }
        Ok(plan)
    }

    fn load(&self, path: &At<String>, read: Reader<'_>) -> Result<EdgeList, Errors> {
        let file = self.directory.join(&path.value);
        let refuse = |title: String, label: String| {
            Errors::new(self.sources.clone(), vec![Problem::new(title, path.place, label)])
        };
        let bytes = read(&file).map_err(|error| {
            refuse("the edge list cannot be read".into(), format!("{}: {error}", file.display()))
        })?;
        match edges::parse(&bytes) {
            Ok(loaded) => {
                let recorded = self.plan.clients.iter().filter_map(|it| it.recorded.as_ref());
                let most = recorded.map(|recorded| recorded.users()).max().unwrap_or(0);
                if most > loaded.list.nodes {
                    let title = format!("the recorded arrivals are of {most} users");
                    let label = format!("this graph has {}", loaded.list.nodes);
                    return Err(refuse(title, label));
                }
                let nodes = loaded.list.nodes;
                let nobody = |client: &ClientPlan| match &client.popularity {
                    Popularity::Table(table) => table.most(u64::from(nodes)) == 0,
                    Popularity::Zipf(_) | Popularity::Degree => false,
                };
                if let Some(client) = self.plan.clients.iter().find(|client| nobody(client)) {
                    let title = format!("`{}` asks for none of the users", client.name);
                    let label =
                        format!("this graph has {nodes}: in its table only more popular ones are");
                    return Err(refuse(title, label));
                }
                Ok(loaded.list)
            }
            Err(edges::EdgeError { line: Some((line, text)), why }) => {
                let place = Place::new(0, 0..text.len());
                let problem = Problem::new("this is not an edge list", place, why).help(
                    "one edge a line: two node numbers with a space between; # begins a comment",
                );
                Err(Errors::at_line(file.display().to_string(), line, text, problem))
            }
            Err(edges::EdgeError { line: None, why }) => {
                Err(refuse("the edge list cannot be used".into(), why))
            }
        }
    }
}

impl FaultDraft {
    fn draw(&self, streams: Streams) -> FaultPlan {
        let mut stream = streams.stream("plan fault", [u64::from(self.id.0), 0, 0]);
        let at = self.at.draw(&mut stream);
        FaultPlan {
            id: self.id,
            kind: self.kind,
            target: self.target,
            peer: self.peer,
            at: Time::ZERO + at,
            when: self.when.map(|(trigger, after)| (trigger, after.draw(&mut stream))),
            lasts: self.lasts.map(|lasts| lasts.draw(&mut stream)),
            strength: self.strength.clone(),
            spares_copy: self.spares_copy,
        }
    }
}

impl Drawn {
    /// A value of the range, in the coarsest of ns, us and ms that both ends are multiples
    /// of, so that a Plan is readable.
    pub(crate) fn draw(self, stream: &mut Stream) -> Span {
        let (low, high) = (self.low.as_nanos(), self.high.as_nanos());
        let whole = |grain: &u64| low.is_multiple_of(*grain) && high.is_multiple_of(*grain);
        let grain = [1_000_000, 1_000].into_iter().find(whole).unwrap_or(1);
        if low == high {
            return self.low;
        }
        Span::from_nanos(low + stream.up_to((high - low) / grain) * grain)
    }
}
