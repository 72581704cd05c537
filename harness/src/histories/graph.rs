//! Who must come before whom, and a short circle in it if there is one.

/// Nodes and labelled edges.
#[derive(Clone, Debug)]
pub(super) struct Order<L> {
    after: Vec<Vec<(usize, L)>>,
}

/// Starting points from which the shortest circle is looked for.
const TRIED: usize = 64;

impl<L: Clone> Order<L> {
    pub(super) fn new(nodes: usize) -> Order<L> {
        Order { after: vec![Vec::new(); nodes] }
    }

    /// `before` comes before `after`, because of `why`.
    pub(super) fn edge(&mut self, before: usize, after: usize, why: L) {
        if before != after {
            self.after[before].push((after, why));
        }
    }

    /// Calls `f` for every edge, from and to.
    pub(super) fn for_each(&self, mut f: impl FnMut(usize, usize)) {
        for (from, edges) in self.after.iter().enumerate() {
            edges.iter().for_each(|(to, _)| f(from, *to));
        }
    }

    /// Every node after all that come before it, but for those on circles or behind them.
    pub(super) fn sorted(&self) -> Vec<usize> {
        let mut waiting = vec![0usize; self.after.len()];
        for (next, _) in self.after.iter().flatten() {
            waiting[*next] += 1;
        }
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|node| waiting[*node] == 0).collect();
        let mut at = 0;
        while at < ready.len() {
            for (next, _) in &self.after[ready[at]] {
                waiting[*next] -= 1;
                if waiting[*next] == 0 {
                    ready.push(*next);
                }
            }
            at += 1;
        }
        ready
    }

    /// A short circle: each node with the reason for which the following one comes after it.
    pub(super) fn circle(&self) -> Option<Vec<(usize, L)>> {
        let mut stuck = vec![true; self.after.len()];
        self.sorted().into_iter().for_each(|node| stuck[node] = false);
        // Behind a circle is not on it: from every stuck node walk until something comes twice,
        // which surely is on one.
        let starts = (0..stuck.len()).filter(|node| stuck[*node]).take(TRIED);
        let mut best: Option<Vec<(usize, L)>> = None;
        for start in starts {
            if let Some(found) = self.circle_through(start, &stuck)
                && best.as_ref().is_none_or(|best| found.len() < best.len())
            {
                best = Some(found);
            }
        }
        best.or_else(|| {
            (0..stuck.len())
                .filter(|node| stuck[*node])
                .find_map(|start| self.circle_through(start, &stuck))
        })
    }

    /// The shortest circle through a node, breadth first.
    fn circle_through(&self, start: usize, stuck: &[bool]) -> Option<Vec<(usize, L)>> {
        let mut from: Vec<Option<(usize, L)>> = vec![None; self.after.len()];
        let mut queue = vec![start];
        let mut at = 0;
        while at < queue.len() {
            let node = queue[at];
            at += 1;
            for (next, why) in &self.after[node] {
                if *next == start {
                    let mut path = vec![(node, why.clone())];
                    let mut here = node;
                    while let Some((before, why)) = &from[here] {
                        path.push((*before, why.clone()));
                        here = *before;
                    }
                    path.reverse();
                    return Some(path);
                }
                if stuck[*next] && from[*next].is_none() {
                    from[*next] = Some((node, why.clone()));
                    queue.push(*next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_circle_is_found() {
        let mut order = Order::new(6);
        for (before, after) in [(0, 1), (1, 2), (2, 3), (3, 1), (2, 1), (3, 4), (4, 5)] {
            order.edge(before, after, "");
        }
        let circle: Vec<usize> = order.circle().unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(circle, [1, 2]);
        assert_eq!(order.sorted(), [0]);
        let mut order = Order::new(3);
        order.edge(2, 1, "");
        order.edge(1, 0, "");
        order.edge(1, 1, "");
        assert!(order.circle().is_none());
        assert_eq!(order.sorted(), [2, 1, 0]);
    }
}
