//! Whether the processes of a soak stay as large as they are: the expectations `memory-flat` and
//! `file-handles-flat`, which every soak has whose processes lived long enough.
//!
//! A process counts that lived for two real minutes at the least. Its first quarter is its start and
//! is left out; the median of its second quarter is set against that of its last one. Of its memory,
//! the pages in its page cache are left out: the cache grows with the graph up to its configured
//! size, and that is no leak.

use std::collections::BTreeMap;

use wavetank_real::NodeSize;
use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::InstanceId;

/// Sizes are taken once a second: a process of which there are fewer lived too short.
const LEAST: usize = 120;
/// KiB by which memory may grow between the two quarters: the last transactions that a node keeps
/// for those that pull fill up for longer than a process may live.
const MORE_KIB: u64 = 4 << 10;
/// And this part of what it was, in hundredths: allocators do not give everything back.
const MORE_PERCENT: u64 = 10;
/// Open files and sockets by which it may grow: clients and balancers come and go.
const MORE_FILES: u64 = 8;

/// How one process grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Growth {
    instance: InstanceId,
    seconds: usize,
    from: u64,
    to: u64,
    most: u64,
}

impl Growth {
    fn by(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// How much more than allowed it is; below zero, how much less.
    fn beyond(self) -> i64 {
        self.by() as i64 - self.most as i64
    }
}

/// The verdicts; none when no process lived long enough.
pub(crate) fn flat(sizes: &[NodeSize]) -> Vec<ExpectationResult> {
    let mut lives: BTreeMap<(InstanceId, u32), Vec<NodeSize>> = BTreeMap::new();
    for size in sizes {
        lives.entry((size.instance, size.pid)).or_default().push(*size);
    }
    lives.retain(|_, sizes| sizes.len() >= LEAST);
    let judge = |check: &str, unit: &str, of: fn(&NodeSize) -> u64, most: fn(u64) -> u64| {
        let grown = lives.iter().map(|((instance, _), sizes)| {
            let values: Vec<u64> = sizes.iter().map(of).collect();
            let quarter = values.len() / 4;
            let from = median(&values[quarter..2 * quarter]);
            let to = median(&values[3 * quarter..]);
            Growth { instance: *instance, seconds: values.len(), from, to, most: most(from) }
        });
        let worst = grown.max_by_key(|growth| growth.beyond())?;
        let verdict = if worst.beyond() > 0 { Verdict::Broke } else { Verdict::Held };
        let Growth { instance, seconds, from, to, most } = worst;
        Some(ExpectationResult {
            check: check.to_owned(),
            verdict,
            measured: worst.by().into(),
            limit: most.into(),
            why: format!(
                "Of {} processes that lived for two minutes or more, that of instance {} grew most, \
                 in {seconds} s: from {from} to {to} {unit} (medians of its second and last quarter).",
                lives.len(),
                instance.0
            ),
        })
    };
    let memory = judge(
        "memory-flat",
        "KiB beside the pages in its cache",
        |size| size.kibibytes.saturating_sub(size.page_cache_kib),
        |from| MORE_KIB + from * MORE_PERCENT / 100,
    );
    let files =
        judge("file-handles-flat", "open files and sockets", |size| size.files, |_| MORE_FILES);
    memory.into_iter().chain(files).collect()
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Time;

    /// A life of so many seconds.
    fn life(pid: u32, seconds: u64, size: impl Fn(u64) -> (u64, u64, u64)) -> Vec<NodeSize> {
        let sizes = (0..seconds).map(|second| {
            let (kibibytes, page_cache_kib, files) = size(second);
            let at = Time::from_nanos(second * 1_000_000_000);
            NodeSize { at, instance: InstanceId(2), pid, kibibytes, page_cache_kib, files }
        });
        sizes.collect()
    }

    fn verdicts(sizes: &[NodeSize]) -> Vec<Verdict> {
        flat(sizes).iter().map(|found| found.verdict).collect()
    }

    #[test]
    fn what_grows_without_end_is_told_and_what_settles_is_not() {
        let settles = life(7, 600, |s| (20_000 + 100 * s.min(100), 0, 20 + s.min(30)));
        assert_eq!(verdicts(&settles), [Verdict::Held, Verdict::Held]);
        let cache_fills = life(7, 600, |s| (20_000 + 100 * s, 1_000 + 100 * s, 20));
        assert_eq!(verdicts(&cache_fills), [Verdict::Held, Verdict::Held]);
        let leaks = life(7, 600, |s| (20_000 + 50 * s, 0, 20 + s / 10));
        assert_eq!(verdicts(&leaks), [Verdict::Broke, Verdict::Broke]);
        let told = &flat(&leaks)[0];
        assert!(told.why.contains("instance 2 grew most, in 600 s: from 31"), "{}", told.why);
        // Lives are told apart: a process that was killed begins anew.
        let mut lives = life(7, 119, |s| (20_000 + 500 * s, 0, s));
        assert!(flat(&lives).is_empty());
        lives.extend(life(8, 130, |_| (90_000, 0, 90)));
        assert_eq!(verdicts(&lives), [Verdict::Held, Verdict::Held]);
    }
}
