//! Breadth-first search: the first violation that it meets is one of the nearest.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use wavetank_cluster::Settings;

use crate::heal::heal;
use crate::model::{Action, Model, State, Violation};

/// Where to stop.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many actions away from the beginning.
    pub depth: u32,
    /// How many states at most.
    pub states: usize,
    /// How long at most.
    pub time: Duration,
    /// One in that many states, picked by fingerprint, has to converge when all heals; 0: none.
    pub heal_one_in: u64,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// The way to the violation.
    pub way: Vec<Action>,
    /// What is violated at its end.
    pub violation: Violation,
}

/// What a search did.
#[derive(Debug)]
pub struct Report {
    /// A violation; none if all properties hold as far as it went.
    pub found: Option<Found>,
    /// All states up to this distance were visited.
    pub depth: u32,
    /// Nothing more can happen within the bounds: every state was visited.
    pub exhausted: bool,
    /// Different states.
    pub states: usize,
    /// Steps from a state to a state.
    pub transitions: u64,
    /// States from which all was healed.
    pub healed: u64,
    /// Wall time.
    pub time: Duration,
}

/// Fingerprints are random enough as they are.
#[derive(Default)]
struct Take(u64);

impl Hasher for Take {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}

type Visited = HashSet<u128, BuildHasherDefault<Take>>;

/// Visits all states up to the limits; stops at the first violation. `progress` is told
/// each depth that is done, and the states so far.
pub fn explore(
    model: &mut Model,
    settings: &Settings,
    root: &State,
    limits: Limits,
    mut progress: impl FnMut(u32, usize),
) -> Report {
    let began = Instant::now();
    let mut report = Report {
        found: None,
        depth: 0,
        exhausted: false,
        states: 1,
        transitions: 0,
        healed: 0,
        time: Duration::ZERO,
    };
    let mut visited = Visited::default();
    visited.insert(root.fingerprint());
    // Per state, in the order of discovery: where it was reached from, and how.
    let mut parents: Vec<(u32, u32)> = vec![(0, 0)];
    let mut frontier = vec![(0u32, root.clone())];
    let mut actions = Vec::new();
    'search: while report.depth < limits.depth {
        let mut next = Vec::new();
        for (index, state) in frontier.drain(..) {
            model.actions(&state, &mut actions);
            for action in &actions {
                report.transitions += 1;
                let (reached, violation) = model.apply(&state, *action);
                if let Some(violation) = violation {
                    let mut way = way_to(&parents, index);
                    way.push(*action);
                    report.found = Some(Found { way, violation });
                    break 'search;
                }
                let fingerprint = reached.fingerprint();
                if !visited.insert(fingerprint) {
                    continue;
                }
                let number = parents.len() as u32;
                parents.push((index, action.pack()));
                report.states += 1;
                if limits.heal_one_in > 0
                    && ((fingerprint >> 64) as u64).is_multiple_of(limits.heal_one_in)
                {
                    report.healed += 1;
                    if let Err(violation) = heal(model, settings, &reached) {
                        let way = way_to(&parents, number);
                        report.found = Some(Found { way, violation });
                        break 'search;
                    }
                }
                next.push((number, reached));
            }
            if report.states >= limits.states || began.elapsed() >= limits.time {
                break 'search;
            }
        }
        report.depth += 1;
        progress(report.depth, report.states);
        if next.is_empty() {
            report.exhausted = true;
            break;
        }
        frontier = next;
    }
    report.time = began.elapsed();
    report
}

fn way_to(parents: &[(u32, u32)], mut index: u32) -> Vec<Action> {
    let mut way = Vec::new();
    while index != 0 {
        let (parent, action) = parents[index as usize];
        way.push(Action::unpack(action));
        index = parent;
    }
    way.reverse();
    way
}
