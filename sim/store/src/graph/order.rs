//! An order of a graph's nodes that depends on the graph alone, not on where its records lie.
//!
//! Colour refinement: classes of nodes with the same text are split until all nodes of a class
//! have the same relationships to the same classes. Then one node of the first class with
//! several is taken out and it goes on, until each class is one node; nodes with the very same
//! neighbours are taken out together. Among nodes that an automorphism exchanges it does not
//! matter which one is taken; among others of one class (there are some in regular graphs) the
//! choice is by place.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// A relationship: its ends, and what it is, as a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) kind: u32,
}

/// What a node is to a neighbour: the direction and kind of the relationship, and its class.
type Signature = Vec<(bool, u32, u32)>;

/// The number of each node in the order.
pub(super) fn canonical_order(texts: &[&str], edges: &[Edge]) -> Vec<u32> {
    let mut classes = Classes::new(texts, edges);
    classes.refine();
    let mut first = 0;
    while first < texts.len() {
        let start = classes.class[classes.order[first] as usize];
        let length = classes.lengths[start as usize];
        let apart = length > 1 && !classes.neighbours[classes.order[first] as usize].is_empty();
        if !apart {
            // Nodes without relationships are all the same.
            first += length as usize;
            continue;
        }
        if classes.are_twins(start) {
            classes.take_all_out(start);
        } else {
            classes.take_one_out(start);
        }
        classes.refine();
    }
    let mut numbers = vec![0; texts.len()];
    for (number, node) in classes.order.iter().enumerate() {
        numbers[*node as usize] = number as u32;
    }
    numbers
}

struct Classes {
    /// Of each node: the direction and kind of each relationship, and the other end.
    neighbours: Vec<Vec<(bool, u32, u32)>>,
    /// The nodes, class by class, and where each stands there.
    order: Vec<u32>,
    place: Vec<u32>,
    /// Of each node, where its class begins.
    class: Vec<u32>,
    /// How many nodes the class has that begins there.
    lengths: Vec<u32>,
    /// Nodes with a neighbour whose class is new since they were compared, by class.
    stale: BTreeMap<u32, Vec<u32>>,
    is_stale: Vec<bool>,
}

impl Classes {
    fn new(texts: &[&str], edges: &[Edge]) -> Classes {
        let count = texts.len();
        let mut neighbours = vec![Vec::new(); count];
        for edge in edges {
            neighbours[edge.from as usize].push((true, edge.kind, edge.to));
            neighbours[edge.to as usize].push((false, edge.kind, edge.from));
        }
        for of_node in &mut neighbours {
            of_node.sort_unstable();
        }
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_by(|a, b| texts[*a as usize].cmp(texts[*b as usize]));
        let (place, class, lengths) = (vec![0; count], vec![0; count], vec![0; count]);
        let (stale, is_stale) = (BTreeMap::new(), vec![false; count]);
        let mut classes = Classes { neighbours, order, place, class, lengths, stale, is_stale };
        let mut start = 0;
        for place in 0..count {
            let node = classes.order[place] as usize;
            if place > 0 && texts[classes.order[place - 1] as usize] != texts[node] {
                start = place;
            }
            classes.place[node] = place as u32;
            classes.class[node] = start as u32;
            classes.lengths[start] += 1;
        }
        for node in 0..count as u32 {
            classes.mark(node);
        }
        classes
    }

    /// The node must be compared with its class again.
    fn mark(&mut self, node: u32) {
        let class = self.class[node as usize];
        if self.lengths[class as usize] > 1
            && !core::mem::replace(&mut self.is_stale[node as usize], true)
        {
            self.stale.entry(class).or_default().push(node);
        }
    }

    fn signature(&self, node: u32) -> Signature {
        let seen = self.neighbours[node as usize].iter();
        let mut signature: Signature =
            seen.map(|(out, kind, other)| (*out, *kind, self.class[*other as usize])).collect();
        signature.sort_unstable();
        signature
    }

    fn put(&mut self, place: u32, node: u32) {
        self.order[place as usize] = node;
        self.place[node as usize] = place;
    }

    /// Puts a node where another stands, and that one where it stood.
    fn exchange(&mut self, node: u32, place: u32) {
        let (from, other) = (self.place[node as usize], self.order[place as usize]);
        self.put(from, other);
        self.put(place, node);
    }

    /// Splits classes until their nodes are alike.
    fn refine(&mut self) {
        while let Some((start, nodes)) = self.stale.pop_first() {
            for node in &nodes {
                self.is_stale[*node as usize] = false;
            }
            self.split(start, &nodes);
        }
    }

    /// Splits a class of which only these nodes can differ from the rest.
    fn split(&mut self, start: u32, nodes: &[u32]) {
        let end = start + self.lengths[start as usize];
        let tail = end - nodes.len() as u32;
        // These to the end, whatever stands there to where they were.
        let mut moved: Vec<u32> = nodes.to_vec();
        moved.sort_unstable_by_key(|node| core::cmp::Reverse(self.place[*node as usize]));
        for (at, node) in moved.into_iter().enumerate() {
            self.exchange(node, end - 1 - at as u32);
        }
        let rest = (tail > start).then(|| self.signature(self.order[start as usize]));
        let mut signed: Vec<(Signature, u32)> =
            nodes.iter().map(|node| (self.signature(*node), *node)).collect();
        // Those that are like the rest stay with it, in front.
        signed.sort_by(|a, b| {
            let differs = |one: &Signature| rest.as_ref().is_some_and(|rest| rest != one);
            match differs(&a.0).cmp(&differs(&b.0)) {
                Ordering::Equal => a.0.cmp(&b.0),
                order => order,
            }
        });
        let mut class = start;
        let mut before = rest.or_else(|| signed.first().map(|(signature, _)| signature.clone()));
        let mut renewed = Vec::new();
        for (at, (signature, node)) in signed.into_iter().enumerate() {
            let place = tail + at as u32;
            self.put(place, node);
            if before.as_ref() != Some(&signature) {
                self.lengths[class as usize] = place - class;
                class = place;
                before = Some(signature);
            }
            if class != start {
                self.class[node as usize] = class;
                renewed.push(node);
            }
        }
        self.lengths[class as usize] = end - class;
        self.mark_neighbours(&renewed);
    }

    /// Makes one node of a class a class of its own, behind the others.
    fn take_one_out(&mut self, start: u32) {
        let (length, node) = (self.lengths[start as usize], self.order[start as usize]);
        let last = start + length - 1;
        self.exchange(node, last);
        self.lengths[start as usize] = length - 1;
        self.lengths[last as usize] = 1;
        self.class[node as usize] = last;
        self.mark_neighbours(&[node]);
    }

    fn members(&self, start: u32) -> core::ops::Range<usize> {
        start as usize..(start + self.lengths[start as usize]) as usize
    }

    /// Whether the nodes of a class have the same relationships to the very same nodes. Any two
    /// of them can then be exchanged, whatever else was taken out.
    fn are_twins(&self, start: u32) -> bool {
        let neighbours = |node: u32| &self.neighbours[node as usize];
        let members = &self.order[self.members(start)];
        members.windows(2).all(|two| neighbours(two[0]) == neighbours(two[1]))
    }

    /// Makes each node of a class a class of its own.
    fn take_all_out(&mut self, start: u32) {
        let members = self.order[self.members(start)].to_vec();
        for (place, node) in (start..).zip(&members) {
            self.class[*node as usize] = place;
            self.lengths[place as usize] = 1;
        }
        self.mark_neighbours(&members);
    }

    fn mark_neighbours(&mut self, nodes: &[u32]) {
        for node in nodes {
            for at in 0..self.neighbours[*node as usize].len() {
                let (_, _, other) = self.neighbours[*node as usize][at];
                self.mark(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Instant;

    /// The graph as a list that does not name the nodes' places.
    fn listed(texts: &[&str], edges: &[Edge]) -> (Vec<(u32, std::string::String)>, Vec<[u32; 3]>) {
        let numbers = canonical_order(texts, edges);
        let mut nodes: Vec<_> =
            numbers.iter().copied().zip(texts.iter().map(|text| (*text).into())).collect();
        nodes.sort();
        let number = |node: u32| numbers[node as usize];
        let mut edges: Vec<_> =
            edges.iter().map(|edge| [number(edge.from), number(edge.to), edge.kind]).collect();
        edges.sort_unstable();
        (nodes, edges)
    }

    proptest! {
        /// Refinement tells all forests apart, whatever their texts.
        #[test]
        fn forests_are_listed_alike_in_any_order(
            parents in prop::collection::vec((any::<bool>(), any::<u32>(), 0..2u32, 0..3usize), 1..40),
            shuffle in any::<[u64; 40]>(),
        ) {
            let count = parents.len();
            let texts: Vec<&str> = parents.iter().map(|(.., text)| ["", "a", "b"][*text]).collect();
            let mut edges = Vec::new();
            for (node, (root, parent, kind, _)) in parents.iter().enumerate().skip(1) {
                if !root {
                    edges.push(Edge { from: node as u32, to: parent % node as u32, kind: *kind });
                }
            }
            let mut to: Vec<u32> = (0..count as u32).collect();
            to.sort_by_key(|node| shuffle[*node as usize]);
            let mut other_texts = vec![""; count];
            for (node, text) in texts.iter().enumerate() {
                other_texts[to[node] as usize] = text;
            }
            let move_edge = |edge: &Edge| Edge {
                from: to[edge.from as usize], to: to[edge.to as usize], kind: edge.kind,
            };
            let other_edges: Vec<Edge> = edges.iter().rev().map(move_edge).collect();
            prop_assert_eq!(listed(&texts, &edges), listed(&other_texts, &other_edges));
        }
    }

    /// Many pairs that nothing tells apart: each is taken out by itself.
    #[test]
    fn alike_pairs_take_no_more_than_their_number() {
        let pairs = 50_000;
        let texts = vec![""; 2 * pairs as usize];
        let edges: Vec<Edge> =
            (0..pairs).map(|pair| Edge { from: pair, to: 2 * pairs - 1 - pair, kind: 0 }).collect();
        let started = Instant::now();
        let (_, listed) = listed(&texts, &edges);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
        assert_eq!(listed.len(), pairs as usize);
    }

    /// Many nodes with the very same neighbours: a star, and two sides that are wholly joined.
    /// One at a time they took the square of their number, and more.
    #[test]
    fn twins_are_taken_out_together() {
        let joined = |left: u32, right: u32| -> Vec<Edge> {
            let of = |from| (left..left + right).map(move |to| Edge { from, to, kind: 0 });
            (0..left).flat_map(of).collect()
        };
        let started = Instant::now();
        for (left, right) in [(1, 200_000), (500, 500)] {
            let texts = vec![""; (left + right) as usize];
            let (nodes, edges) = listed(&texts, &joined(left, right));
            assert_eq!(nodes.len(), (left + right) as usize);
            assert_eq!(edges.len(), (left * right) as usize);
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
