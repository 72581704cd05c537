//! A scenario that has been read and found sound, and the Plans drawn from it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use wavetank_kernel::Stream;
use wavetank_kernel::Streams;
use wavetank_vocabulary::{FaultId, FaultKind, Span, Time};
use wavetank_world::{EdgeList, FaultPlan, GraphSource, Plan, Target};

use crate::edges;
use crate::errors::{Errors, Place, Problem, Source};
use crate::section::{At, Drawn};
use crate::tree::{LONGEST, Node};
use crate::{overlay, read};

/// A scenario: sound as far as can be told without its files. Some of its quantities are
/// ranges, which [`Scenario::draw`] turns into figures.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where the scenario file is; other files are found from there.
    pub(crate) directory: PathBuf,
    pub(crate) sources: Vec<Source>,
    /// The Plan without what is drawn or loaded: seed, faults and edges.
    pub(crate) plan: Plan,
    pub(crate) seed: Option<u64>,
    pub(crate) edges: Option<At<String>>,
    /// The edge list, once it was read.
    pub(crate) loaded: OnceLock<Arc<EdgeList>>,
    pub(crate) faults: Vec<FaultDraft>,
}

/// A fault before its times are drawn.
#[derive(Clone, Debug)]
pub(crate) struct FaultDraft {
    pub(crate) id: FaultId,
    pub(crate) kind: FaultKind,
    pub(crate) target: Target,
    pub(crate) peer: Option<Target>,
    pub(crate) at: Drawn,
    pub(crate) lasts: Option<Drawn>,
}

/// Reads a scenario. `name` is the path as the user gave it: errors show it, other files
/// are looked for beside it, and its stem is the scenario's name.
pub fn parse(name: &str, source: &str) -> Result<Scenario, Errors> {
    parse_with(name, source.as_bytes(), &[])
}

/// Reads a scenario from a file's bytes, with values put in or over it: each of `sets` is
/// `KEY=VALUE`, where the key is one of Neo4j's settings (`ha.pull_interval`) or a path into
/// the scenario (`clients.app.arrivals.poisson`), and the value needs no quotes.
pub fn parse_with(name: &str, source: &[u8], sets: &[String]) -> Result<Scenario, Errors> {
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
    read::scenario(root, sources)
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
    pub fn draw(
        &self,
        seed: u64,
        read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<Plan, Errors> {
        let mut plan = self.plan.clone();
        plan.seed = seed;
        plan.faults = self.faults.iter().map(|fault| fault.draw(Streams::new(seed))).collect();
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

    fn load(
        &self,
        path: &At<String>,
        read: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    ) -> Result<EdgeList, Errors> {
        let file = self.directory.join(&path.value);
        let refuse = |title: String, label: String| {
            Errors::new(self.sources.clone(), vec![Problem::new(title, path.place, label)])
        };
        let bytes = read(&file).map_err(|error| {
            refuse("the edge list cannot be read".into(), format!("{}: {error}", file.display()))
        })?;
        match edges::parse(&bytes) {
            Ok(loaded) => Ok(loaded.list),
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
            lasts: self.lasts.map(|lasts| lasts.draw(&mut stream)),
        }
    }
}

impl Drawn {
    /// A value of the range, in the coarsest of ns, us and ms that both ends are multiples
    /// of, so that a Plan is readable.
    fn draw(self, stream: &mut Stream) -> Span {
        let (low, high) = (self.low.as_nanos(), self.high.as_nanos());
        let whole = |grain: &u64| low.is_multiple_of(*grain) && high.is_multiple_of(*grain);
        let grain = [1_000_000, 1_000].into_iter().find(whole).unwrap_or(1);
        if low == high {
            return self.low;
        }
        Span::from_nanos(low + stream.up_to((high - low) / grain) * grain)
    }
}
