//! Edge lists as SNAP publishes graphs: one edge a line, two node numbers, comments after
//! `#`, plain or gzip.
//!
//! Numbers may be anything up to 64 bits: nodes are renumbered from 0 in ascending order of
//! their numbers. Edges keep the order of the file, which is directed; edges of a node to
//! itself and repeated ones are left out and counted.

use std::io::{BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use wavetank_world::EdgeList;

/// The most nodes that are loaded.
const MOST_NODES: usize = 10_000_000;
/// The most edges that are loaded.
const MOST_EDGES: usize = 200_000_000;
/// No line of an edge list is this long.
const LONGEST_LINE: u64 = 64 << 10;

/// An edge list that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedEdges {
    /// Nodes and edges.
    pub list: EdgeList,
    /// The number that each node has in the file.
    pub numbers: Vec<u64>,
    /// Edges of a node to itself, left out.
    pub self_loops: u64,
    /// Edges that were there already, left out.
    pub repeated: u64,
}

/// Why a file is no edge list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{why}", .line.as_ref().map(|(n, _)| format!("line {n}: ")).unwrap_or_default())]
pub struct EdgeError {
    /// The number and the text of the line, if it is about one.
    pub line: Option<(usize, String)>,
    /// What is wrong.
    pub why: String,
}

fn whole(why: impl Into<String>) -> EdgeError {
    EdgeError { line: None, why: why.into() }
}

/// Reads an edge list, plain or gzip by its first bytes.
///
/// # Errors
/// For a line that is not two numbers, a list without edges or too long a one, and for a
/// damaged gzip file.
pub fn parse(bytes: &[u8]) -> Result<LoadedEdges, EdgeError> {
    parse_up_to(bytes, MOST_NODES, MOST_EDGES)
}

fn parse_up_to(
    bytes: &[u8],
    most_nodes: usize,
    most_edges: usize,
) -> Result<LoadedEdges, EdgeError> {
    let edges = if bytes.starts_with(&[0x1f, 0x8b]) {
        lines(BufReader::new(MultiGzDecoder::new(bytes)), most_edges)?
    } else {
        lines(bytes, most_edges)?
    };
    renumber(&edges, most_nodes)
}

/// Line by line, so that what a small file unpacks to is never held whole.
fn lines(mut text: impl BufRead, most: usize) -> Result<Vec<(u64, u64)>, EdgeError> {
    let mut edges = Vec::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = text.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        if read.map_err(|error| whole(format!("the gzip file is damaged: {error}")))? == 0 {
            break;
        }
        let fail = |why: &str| EdgeError { line: Some((number, shown(&line))), why: why.into() };
        if line.len() as u64 == LONGEST_LINE {
            return Err(fail("this line is too long"));
        }
        if let Some(edge) = edge(&line).map_err(fail)? {
            if edges.len() == most {
                return Err(whole(format!("it has more than {most} edges")));
            }
            edges.push(edge);
        }
    }
    if edges.is_empty() {
        return Err(whole("it has no edges"));
    }
    Ok(edges)
}

/// The edge of a line, if it is not empty or a comment.
fn edge(line: &[u8]) -> Result<Option<(u64, u64)>, &'static str> {
    let content = line.split(|byte| *byte == b'#').next().unwrap_or_default();
    let mut words = content.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let Some(from) = words.next() else { return Ok(None) };
    let from = number(from)?;
    let to = words.next().ok_or("the second node is missing")?;
    if words.next().is_some() {
        return Err("more than two numbers");
    }
    Ok(Some((from, number(to)?)))
}

/// The start of a line, fit to be shown.
fn shown(line: &[u8]) -> String {
    crate::units::brief(String::from_utf8_lossy(&line[..line.len().min(400)]).trim_end())
}

fn number(word: &[u8]) -> Result<u64, &'static str> {
    if word.first() == Some(&b'-') {
        return Err("a node number cannot be negative");
    }
    if word.contains(&b',') && word.is_ascii() {
        return Err("nodes are separated by blanks, not by commas");
    }
    if !word.iter().all(u8::is_ascii_digit) {
        return Err("a node is named by a number");
    }
    word.iter()
        .try_fold(0u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .ok_or("a node number has 64 bits at the most")
}

fn renumber(edges: &[(u64, u64)], most: usize) -> Result<LoadedEdges, EdgeError> {
    let mut names: Vec<u64> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > most {
        return Err(whole(format!("it has {} nodes; at most {most} are loaded", names.len())));
    }
    // Each name is in the list: its place is the new number.
    let place = |name: u64| names.partition_point(|known| *known < name) as u32;
    let mut placed: Vec<((u32, u32), u32)> = edges
        .iter()
        .enumerate()
        .filter(|(_, (from, to))| from != to)
        .map(|(index, (from, to))| ((place(*from), place(*to)), index as u32))
        .collect();
    let self_loops = (edges.len() - placed.len()) as u64;
    placed.sort_unstable();
    let with_repeats = placed.len();
    placed.dedup_by_key(|(edge, _)| *edge);
    let repeated = (with_repeats - placed.len()) as u64;
    // Back into the order of the file: the first of equal edges was kept.
    placed.sort_unstable_by_key(|(_, index)| *index);
    let list = EdgeList {
        nodes: names.len() as u32,
        edges: placed.into_iter().map(|(edge, _)| edge).collect(),
    };
    Ok(LoadedEdges { list, numbers: names, self_loops, repeated })
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
