//! The graph that every instance starts with: generated or from an edge list, built once
//! into the pages of a store and shared by all disks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wavetank_instance::{FOLLOWS, OP, STATUS_BY, USER};
use wavetank_kernel::{Stream, Streams};
use wavetank_store::{Image, ImageBuilder, ImageFile, PAGE_SIZE, TokenId, TokenKind, Value};
use wavetank_vocabulary::{Bytes, Ratio};

use crate::plan::{EdgeList, GraphModel, GraphPlan, GraphSource};

/// Degree of a user by quantile (in thousandths), read off ego-Facebook (McAuley and
/// Leskovec 2012; SNAP): 4,039 users, mean degree 43.69, largest 1,045.
const DEGREES: [(u32, u32); 27] = [
    (0, 1),
    (10, 1),
    (20, 2),
    (50, 3),
    (100, 5),
    (150, 7),
    (200, 9),
    (250, 11),
    (300, 14),
    (350, 16),
    (400, 18),
    (450, 22),
    (500, 25),
    (550, 29),
    (600, 34),
    (650, 40),
    (700, 48),
    (750, 57),
    (800, 69),
    (850, 86),
    (900, 112),
    (925, 128),
    (950, 153),
    (975, 182),
    (990, 200),
    (999, 347),
    (1000, 1045),
];

/// The mean degree of the quantiles above, interpolated.
const MEAN_DEGREE: f64 = 43.69;

/// The parts that a user is split into: the type of the relationship that leads there, the
/// label, and the properties that are kept there.
const PARTS: [(&str, &str, &[&str]); 3] = [
    ("AUTH", "Auth", &["password", "email", "last_write"]),
    ("COUNTERS", "Counters", &["followers", "following", "notifications"]),
    ("STREAM", "Stream", &["posts"]),
];

impl GraphModel {
    /// The type of the relationship that leads from a user to the node that has this property
    /// of it; none if the user's own node has it.
    pub fn part(self, property: &str) -> Option<&'static str> {
        let has = |(_, _, keys): &&(_, _, &[&str])| keys.contains(&property);
        let part = PARTS.iter().find(has).map(|(kind, _, _)| *kind);
        part.filter(|_| self == GraphModel::SplitNodes)
    }
}

/// The graph as pages, ready to be put on disks.
#[derive(Clone, Debug)]
pub struct BaseGraph {
    /// The files of the store.
    pub image: Arc<Image>,
    /// How many users it has: they are the nodes from 0 on.
    pub nodes: u32,
    /// How many relationships it has.
    pub relationships: u64,
    /// The edges in the order of their relationships.
    pub edges: Arc<EdgeList>,
}

impl BaseGraph {
    /// The size of the store's pages.
    pub fn page_bytes(&self) -> Bytes {
        let pages = self.image.files.iter().map(|(_, file)| match file {
            ImageFile::Pages(pages) => pages.len() as u64,
            ImageFile::Bytes(_) => 0,
        });
        Bytes(pages.sum::<u64>() * PAGE_SIZE as u64)
    }

    /// Builds the graph of a Plan. The same Plan gives the same pages.
    pub fn build(plan: &GraphPlan) -> Self {
        let edges = match &plan.source {
            GraphSource::Social { users, mean_follows } => {
                Arc::new(social(plan.seed, *users, *mean_follows))
            }
            GraphSource::Edges { edges, .. } => edges.clone(),
        };
        // Any constant but zero: all instances of all runs hold the same store.
        let mut builder = ImageBuilder::new(plan.seed | 1);
        let mut token = |kind, name: &str| {
            builder.token(kind, name).expect("the programs' names are few and short")
        };
        let [name_key, ..] =
            ["name", OP, "status", STATUS_BY].map(|name| token(TokenKind::PropertyKey, name));
        let user = token(TokenKind::Label, USER);
        let follows = token(TokenKind::RelationshipType, FOLLOWS);
        for (kind, name) in &plan.names {
            token(*kind, name);
        }
        let mut constraints = Vec::new();
        for (label, key) in &plan.unique {
            constraints.push((token(TokenKind::Label, label), token(TokenKind::PropertyKey, key)));
        }
        let numbers: Vec<_> = plan
            .properties
            .iter()
            .map(|(key, number)| (token(TokenKind::PropertyKey, key), Value::Int(*number)))
            .collect();
        let parts = match plan.model {
            GraphModel::MonolithicNode => Vec::new(),
            GraphModel::SplitNodes => PARTS
                .iter()
                .map(|(kind, label, keys)| {
                    let of =
                        |(key, _): &&(alloc::string::String, i64)| keys.contains(&key.as_str());
                    let start = plan.properties.iter().filter(of).map(|(key, number)| {
                        (token(TokenKind::PropertyKey, key), Value::Int(*number))
                    });
                    let start: Vec<_> = start.collect();
                    let kind = token(TokenKind::RelationshipType, kind);
                    (kind, token(TokenKind::Label, label), start)
                })
                .collect(),
        };
        // What a part of the user has, the user's own node has not.
        let split = |key: &alloc::string::String| plan.model.part(key).is_some();
        let own: Vec<_> = plan
            .properties
            .iter()
            .zip(&numbers)
            .filter(|((key, _), _)| !split(key))
            .map(|(_, number)| number.clone())
            .collect();
        let counters = Counters::of(&edges, |key| {
            let asked = plan.properties.iter().any(|(known, _)| known == key);
            asked.then(|| token(TokenKind::PropertyKey, key))
        });
        for (label, key) in constraints {
            builder.unique(label, key).expect("each is named once");
        }
        let mut name = alloc::string::String::new();
        let mut ids = Vec::with_capacity(edges.nodes as usize);
        for number in 0..edges.nodes {
            name.clear();
            // Writing to a String cannot fail.
            let _ = core::fmt::Write::write_fmt(&mut name, format_args!("user {number}"));
            let mut properties = alloc::vec![(name_key, Value::Text(name.as_str().into()))];
            properties.extend(own.iter().cloned());
            counters.add(&mut properties, number);
            let id = builder.add_node(&[user], &properties);
            ids.push(id.expect("one label, a short name and a few numbers fit"));
        }
        // The parts come behind the users, whose numbers clients draw from.
        for (kind, label, start) in &parts {
            for (number, user) in ids.iter().enumerate() {
                let mut start = start.clone();
                counters.add(&mut start, number as u32);
                let part = builder.add_node(&[*label], &start).expect("a few numbers fit");
                builder
                    .add_relationship(*user, part, *kind, &[])
                    .expect("both nodes were added above");
            }
        }
        for (from, to) in &edges.edges {
            builder
                .add_relationship(ids[*from as usize], ids[*to as usize], follows, &[])
                .expect("both nodes were added above");
        }
        BaseGraph {
            image: Arc::new(builder.finish()),
            nodes: edges.nodes,
            relationships: edges.edges.len() as u64 + parts.len() as u64 * u64::from(edges.nodes),
            edges,
        }
    }
}

/// What users count of themselves begins with what the graph has.
struct Counters {
    /// The property, where users have it, and the number of each user.
    counts: [(Option<TokenId>, Vec<i64>); 2],
}

impl Counters {
    fn of(edges: &EdgeList, mut token: impl FnMut(&str) -> Option<TokenId>) -> Counters {
        let mut counts = ["followers", "following"].map(|key| (token(key), Vec::new()));
        for (at, (_, numbers)) in counts.iter_mut().enumerate().filter(|(_, of)| of.0.is_some()) {
            numbers.resize(edges.nodes as usize, 0);
            for (from, to) in &edges.edges {
                numbers[[*to, *from][at] as usize] += 1;
            }
        }
        Counters { counts }
    }

    fn add(&self, properties: &mut [(TokenId, Value)], user: u32) {
        for (property, value) in properties {
            let Value::Int(start) = value else { continue };
            let mut counts = self.counts.iter();
            if let Some((_, numbers)) = counts.find(|(key, _)| *key == Some(*property)) {
                *start += numbers[user as usize];
            }
        }
    }
}

/// A social network by the configuration model (Molloy and Reed 1995): every user gets as
/// many stubs as its degree, stubs are shuffled and joined, and a coin says who follows
/// whom. Self-loops and double edges are dropped, which costs about one edge in a hundred.
fn social(seed: u64, users: u32, mean_follows: Ratio) -> EdgeList {
    let streams = Streams::new(seed);
    let mut stream = streams.stream("graph", [0; 3]);
    // A relationship counts for the degree of both its ends.
    let scale = mean_follows.as_f64() * 2.0 / MEAN_DEGREE;
    let mut stubs: Vec<u32> = Vec::new();
    for user in 0..users {
        // One draw per stratum: the sample follows the quantiles closely.
        let quantile = (f64::from(user) + stream.unit()) / f64::from(users);
        let degree = degree_at(quantile) * scale;
        let whole = degree as u32;
        let extra = stream.unit() < degree - f64::from(whole);
        for _ in 0..whole + u32::from(extra) {
            stubs.push(user);
        }
    }
    // Ids should not tell the degree.
    let mut numbers: Vec<u32> = (0..users).collect();
    stream.shuffle(&mut numbers);
    stream.shuffle(&mut stubs);
    let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(stubs.len() / 2);
    pairs.extend(stubs.chunks_exact(2).map(|pair| (pair[0], pair[1])));
    let mut edges = join(pairs, &mut stream);
    for (from, to) in &mut edges {
        if stream.next_u64() & 1 == 0 {
            core::mem::swap(from, to);
        }
        *from = numbers[*from as usize];
        *to = numbers[*to as usize];
    }
    EdgeList { nodes: users, edges }
}

/// Keeps the good pairs; the ends of the bad ones are shuffled and tried again a few times.
fn join(mut pairs: Vec<(u32, u32)>, stream: &mut Stream) -> Vec<(u32, u32)> {
    let mut good: Vec<(u32, u32)> = Vec::with_capacity(pairs.len());
    for _ in 0..8 {
        for (a, b) in &mut pairs {
            if a > b {
                core::mem::swap(a, b);
            }
        }
        good.append(&mut pairs);
        good.sort_unstable();
        let mut again: Vec<u32> = Vec::new();
        let mut last = None;
        good.retain(|pair| {
            let keep = pair.0 != pair.1 && last != Some(*pair);
            if !keep {
                again.extend([pair.0, pair.1]);
            }
            last = Some(*pair);
            keep
        });
        if again.is_empty() {
            break;
        }
        stream.shuffle(&mut again);
        pairs = again.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    }
    good
}

/// The degree at a quantile in [0, 1), interpolated.
fn degree_at(quantile: f64) -> f64 {
    let thousandths = quantile * 1000.0;
    let upper = DEGREES
        .iter()
        .position(|(at, _)| f64::from(*at) > thousandths)
        .unwrap_or(DEGREES.len() - 1);
    let (x0, y0) = DEGREES[upper.max(1) - 1];
    let (x1, y1) = DEGREES[upper];
    let part = (thousandths - f64::from(x0)) / (f64::from(x1) - f64::from(x0));
    f64::from(y0) + part * (f64::from(y1) - f64::from(y0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn degrees(edges: &EdgeList) -> Vec<u32> {
        let mut degrees = alloc::vec![0u32; edges.nodes as usize];
        for (a, b) in &edges.edges {
            degrees[*a as usize] += 1;
            degrees[*b as usize] += 1;
        }
        degrees.sort_unstable();
        degrees
    }

    #[test]
    fn the_generated_network_has_the_degrees_that_it_follows() {
        let edges = social(1, 4039, Ratio::new(2184, 100));
        let degrees = degrees(&edges);
        let mean = degrees.iter().sum::<u32>() as f64 / degrees.len() as f64;
        assert!((mean - MEAN_DEGREE).abs() < 2.0, "mean {mean}");
        // Kolmogorov and Smirnov's distance to the table that it was drawn from.
        let n = degrees.len() as f64;
        let mut distance: f64 = 0.0;
        for (at, degree) in &DEGREES[3..DEGREES.len() - 1] {
            let below = degrees.partition_point(|d| d <= degree) as f64 / n;
            distance = distance.max((below - f64::from(*at) / 1000.0).abs());
        }
        assert!(distance < 0.05, "distance {distance}");
    }

    #[test]
    fn there_are_no_loops_and_no_double_edges() {
        let mut seen = social(7, 500, Ratio::new(22, 1)).edges;
        for (a, b) in &mut seen {
            assert_ne!(a, b);
            if *a > *b {
                core::mem::swap(a, b);
            }
        }
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn the_same_seed_gives_the_same_graph() {
        assert_eq!(social(3, 300, Ratio::new(5, 1)), social(3, 300, Ratio::new(5, 1)));
        assert_ne!(social(3, 300, Ratio::new(5, 1)), social(4, 300, Ratio::new(5, 1)));
    }
}
