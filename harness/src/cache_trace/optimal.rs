//! What no policy can beat: the cache that knows the future gives up the page that is wanted
//! last.
//!
//! L. A. Belady, *A study of replacement algorithms for a virtual-storage computer*, IBM
//! Systems Journal 5(2), 1966. It needs the whole trace before the first answer.

use std::collections::BinaryHeap;

/// For each request the place of the next one for the same page, or one past the end.
pub(super) fn next_requests(pages: &[u32], distinct: usize) -> Vec<u32> {
    let end = pages.len() as u32;
    let mut latest = vec![end; distinct];
    let mut next = vec![end; pages.len()];
    for (place, page) in pages.iter().enumerate().rev() {
        next[place] = std::mem::replace(&mut latest[*page as usize], place as u32);
    }
    next
}

/// How many requests miss a cache of that many frames.
pub(super) fn misses(pages: &[u32], next: &[u32], distinct: usize, frames: usize) -> u64 {
    const ABSENT: u32 = u32::MAX;
    // When each page is wanted again, and the same as a heap; what is no longer so there is
    // passed over.
    let mut wanted = vec![ABSENT; distinct];
    let mut heap = BinaryHeap::new();
    let (mut resident, mut misses) = (0, 0);
    for (page, next) in pages.iter().zip(next) {
        if wanted[*page as usize] == ABSENT {
            misses += 1;
            if resident < frames {
                resident += 1;
            } else {
                while let Some((when, victim)) = heap.pop() {
                    if wanted[victim as usize] == when {
                        wanted[victim as usize] = ABSENT;
                        break;
                    }
                }
            }
        }
        wanted[*page as usize] = *next;
        heap.push((*next, *page));
    }
    misses
}
