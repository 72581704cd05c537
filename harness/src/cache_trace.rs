//! Somebody else's requests against the store's page cache: how many miss, under each policy
//! and with each number of frames.
//!
//! A trace is read once, from front to back, and given to every cache in pieces. What runs is
//! the page cache of `wavetank-store` itself, with one key as one page.

pub mod command;
mod optimal;
pub mod reader;
#[cfg(test)]
mod tests;

use serde::Serialize;
use wavetank_store::{CachePolicy, TraceCache};

use reader::{TraceError, TraceReader};

/// Requests that are given to one cache after another at a time.
const PIECE: usize = 1 << 14;

/// A policy to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TracePolicy {
    /// One that a page cache can have.
    Cache(CachePolicy),
    /// The one that knows the future. Keeps 8 bytes for each request.
    Optimal,
}

impl TracePolicy {
    /// Its name on the command line and in results.
    pub const fn name(self) -> &'static str {
        match self {
            TracePolicy::Cache(policy) => policy.name(),
            TracePolicy::Optimal => "opt",
        }
    }

    /// All of them, [`TracePolicy::Optimal`] first.
    pub fn all() -> Vec<TracePolicy> {
        let policies = CachePolicy::ALL.into_iter().map(TracePolicy::Cache);
        std::iter::once(TracePolicy::Optimal).chain(policies).collect()
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<TracePolicy> {
        Self::all().into_iter().find(|policy| policy.name() == name)
    }
}

/// What one cache made of a trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The policy's name.
    pub policy: &'static str,
    /// Frames of the cache, a page each.
    pub frames: usize,
    /// Requests for a page that was not there.
    pub misses: u64,
    /// Misses by requests.
    pub miss_ratio: f64,
}

/// What a trace is, and what the caches made of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replay {
    /// How many requests it has.
    pub requests: u64,
    /// For how many different keys.
    pub distinct: u64,
    /// By policy, then frames, in the order asked for.
    pub outcomes: Vec<Outcome>,
}

/// Plays a trace to its end against a cache for every policy and number of frames.
///
/// # Errors
/// Whatever is wrong with the trace; a trace without requests; one of more than 2^32 - 2 if
/// [`TracePolicy::Optimal`] is asked for.
pub fn replay(
    trace: &mut TraceReader,
    policies: &[TracePolicy],
    frames: &[usize],
) -> Result<Replay, TraceError> {
    let mut caches = Vec::new();
    for policy in policies {
        for frames in frames {
            let cache = match policy {
                TracePolicy::Cache(policy) => Some(TraceCache::new(*policy, *frames)),
                TracePolicy::Optimal => None,
            };
            caches.push((*policy, *frames, cache, 0));
        }
    }
    let remembers = policies.contains(&TracePolicy::Optimal);
    let mut history = Vec::new();
    let mut piece = Vec::with_capacity(PIECE);
    let mut requests = 0;
    loop {
        piece.clear();
        while piece.len() < PIECE {
            let Some(page) = trace.next_key()? else { break };
            piece.push(page);
        }
        if piece.is_empty() {
            break;
        }
        requests += piece.len() as u64;
        for (_, _, cache, misses) in &mut caches {
            if let Some(cache) = cache {
                *misses += piece.iter().filter(|page| !cache.access(**page)).count() as u64;
            }
        }
        if remembers {
            if requests >= u64::from(u32::MAX) {
                return Err(trace.refuse("it has too many requests for `opt`"));
            }
            history.extend_from_slice(&piece);
        }
    }
    if requests == 0 {
        return Err(trace.refuse("there is no request in it"));
    }
    let next = optimal::next_requests(&history, trace.distinct());
    let outcome = |(policy, frames, cache, misses): (TracePolicy, usize, Option<_>, u64)| {
        let misses = match cache {
            Some(_) => misses,
            None => optimal::misses(&history, &next, trace.distinct(), frames),
        };
        let miss_ratio = misses as f64 / requests as f64;
        Outcome { policy: policy.name(), frames, misses, miss_ratio }
    };
    let outcomes = caches.into_iter().map(outcome).collect();
    Ok(Replay { requests, distinct: trace.distinct() as u64, outcomes })
}
