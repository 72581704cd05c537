//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE TSE 2002): the fewest items that still fail.

/// A list from which nothing can be left out without `fails` saying no: first the parts alone,
/// then everything but a part, in ever smaller parts. `items` must fail; `fails` may say no to
/// everything from some moment on, and the best so far is given then.
pub fn minimise<T: Clone>(items: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut items = items;
    if items.is_empty() || fails(&[]) {
        return Vec::new();
    }
    let mut parts = 2usize;
    while items.len() >= 2 {
        let size = items.len().div_ceil(parts);
        let alone = items.chunks(size).find(|part| part.len() < items.len() && fails(part));
        if let Some(part) = alone {
            items = part.to_vec();
            parts = 2;
            continue;
        }
        // In two parts, all but one is the other one, which was just tried.
        let without = (parts > 2)
            .then(|| {
                (0..items.len()).step_by(size).find_map(|start| {
                    let rest: Vec<T> = items
                        .iter()
                        .enumerate()
                        .filter(|(at, _)| !(start..start + size).contains(at))
                        .map(|(_, item)| item.clone())
                        .collect();
                    fails(&rest).then_some(rest)
                })
            })
            .flatten();
        match without {
            Some(rest) => {
                items = rest;
                parts = (parts - 1).max(2);
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(items.len()),
        }
    }
    items
}

/// The smallest number, down to `floor`, that still fails, by ever smaller steps down to
/// `grain`: smaller is taken to be likelier to hold.
pub fn descend(value: u64, floor: u64, grain: u64, mut fails: impl FnMut(u64) -> bool) -> u64 {
    let mut value = value;
    let mut step = value.saturating_sub(floor) / grain * grain;
    while step >= grain {
        let next = value.saturating_sub(step);
        if next >= floor && next < value && fails(next) {
            value = next;
        } else {
            step = step / 2 / grain * grain;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_needles_in_a_haystack_are_found_in_few_trials() {
        let mut trials = 0;
        let left = minimise((0..5_000).collect(), |items: &[u32]| {
            trials += 1;
            [17, 2_900, 4_999].iter().all(|needle| items.contains(needle))
        });
        assert_eq!(left, [17, 2_900, 4_999]);
        assert!(trials < 300, "{trials}");
    }

    #[test]
    fn what_fails_with_nothing_needs_nothing() {
        assert!(minimise(vec![1, 2, 3], |_| true).is_empty());
    }

    #[test]
    fn a_number_goes_down_to_where_it_holds() {
        assert_eq!(descend(70, 1, 1, |n| n >= 23), 23);
        assert_eq!(descend(70, 5, 1, |_| true), 5);
        assert_eq!(descend(70, 1, 1, |_| false), 70);
        assert_eq!(descend(7_300, 0, 1_000, |n| n >= 2_000), 2_300);
    }

    proptest! {
        #[test]
        fn nothing_more_can_be_left_out(
            all in prop::collection::btree_set(0u32..200, 1..60),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
        ) {
            let all: Vec<u32> = all.into_iter().collect();
            let needed: Vec<u32> = picks.iter().map(|pick| *pick.get(&all)).collect();
            let fails = |items: &[u32]| needed.iter().all(|item| items.contains(item));
            let mut expected = needed.clone();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(minimise(all, fails), expected);
        }
    }
}
