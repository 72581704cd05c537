//! What a hit and a miss cost under each cache policy: the cache's tables and the policy's,
//! without a disk. A plain program: `cargo bench -p wavetank-store --bench cache`.

use std::hint::black_box;
use std::time::Instant;

use wavetank_store::{CachePolicy, TraceCache};

/// 80 MB of pages, the size of a small page cache.
const FRAMES: u32 = 10_000;
const TIMES: u32 = 2_000_000;

/// The median of five rounds, in nanoseconds per request.
fn median(mut round: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            round();
            started.elapsed().as_nanos() as f64 / f64::from(TIMES)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[2]
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() {
    println!("{FRAMES} frames, a number of a page after another by a step of 7919");
    println!(
        "{:<12} {:>10} {:>14} {:>10} {:>14}",
        "policy", "ns / hit", "hits/s", "ns / miss", "misses/s"
    );
    for policy in CachePolicy::ALL {
        let mut cache = TraceCache::new(policy, FRAMES as usize);
        let mut page = 0;
        // All of the pages fit: after the first time around everything is a hit.
        for page in 0..FRAMES {
            cache.access(page);
        }
        let hit = median(|| {
            for _ in 0..TIMES {
                page = (page + 7919) % FRAMES;
                assert!(black_box(cache.access(page)));
            }
        });
        // Ten times as many pages as frames, each in turn.
        let mut misses = 0;
        let miss = median(|| {
            for _ in 0..TIMES {
                page = (page + 7919) % (10 * FRAMES);
                misses += u32::from(!black_box(cache.access(page)));
            }
        });
        let share = f64::from(misses) / f64::from(5 * TIMES);
        let (hits, all) = (1e9 / hit, 1e9 / miss);
        println!(
            "{:<12} {hit:>10.1} {hits:>14.0} {miss:>10.1} {all:>14.0}  ({share:.2} miss)",
            policy.name()
        );
    }
}
