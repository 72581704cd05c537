//! `store-speed`: the store's graph transaction and point read beside SQLite's `:memory:`, in
//! one run, so that the machine's mood is the same for both.
//!
//! The same graph for both: 100,000 nodes, 100,000 relationships, a number on each node. A
//! transaction creates a relationship at the head of both nodes' chains and sets both nodes'
//! numbers; a read fetches one node. Rounds of the two alternate; medians are told.

#[cfg(have_sqlite)]
mod sqlite;
mod store;

use std::hint::black_box;
use std::time::Instant;

const NODES: u64 = 100_000;
const TRANSACTIONS: u64 = 20_000;
const READS: u64 = 200_000;
const ROUNDS: usize = 7;

/// Somebody who keeps the graph.
trait Keeper {
    fn name(&self) -> String;
    fn transaction(&mut self, from: u64, to: u64, number: i64);
    fn read(&mut self, node: u64) -> i64;
}

fn nanoseconds(times: u64, mut work: impl FnMut(u64)) -> f64 {
    let began = Instant::now();
    for n in 0..times {
        work(n);
    }
    began.elapsed().as_nanos() as f64 / times as f64
}

fn median(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (figures[figures.len() / 2], figures[0], figures[figures.len() - 1])
}

fn main() {
    let mut keepers: Vec<Box<dyn Keeper>> = vec![Box::new(store::Kept::new(NODES))];
    #[cfg(have_sqlite)]
    keepers.push(Box::new(sqlite::Memory::new(NODES)));
    #[cfg(not(have_sqlite))]
    eprintln!(
        "\n*** NOT COMPARED: no SQLite to link with was found when this was built.\n\
         *** Install libsqlite3 with its header, `touch build.rs`, and run again.\n"
    );

    let mut figures = vec![(Vec::new(), Vec::new()); keepers.len()];
    for round in 0..ROUNDS as u64 {
        for (keeper, (transactions, reads)) in keepers.iter_mut().zip(&mut figures) {
            transactions.push(nanoseconds(TRANSACTIONS, |n| {
                let n = round * TRANSACTIONS + n;
                keeper.transaction(n % NODES, n.wrapping_mul(7919) % NODES, n as i64);
            }));
            reads.push(nanoseconds(READS, |n| {
                black_box(keeper.read(n.wrapping_mul(7919) % NODES));
            }));
        }
    }
    // The graph is the same afterwards.
    let nodes = (0..NODES).step_by(997);
    let sums: Vec<Vec<i64>> =
        keepers.iter_mut().map(|k| nodes.clone().map(|n| k.read(n)).collect()).collect();
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "the keepers differ");

    println!("{:<28} {:>28} {:>28}", "medians of 7 rounds", "transaction", "point read");
    let mut first = None;
    for (keeper, (transactions, reads)) in keepers.iter().zip(figures) {
        let (t, r) = (median(transactions), median(reads));
        let cell = |(m, low, high): (f64, f64, f64)| format!("{m:.0} ns ({low:.0} to {high:.0})");
        println!("{:<28} {:>28} {:>28}", keeper.name(), cell(t), cell(r));
        match first {
            None => first = Some((t.0, r.0)),
            Some((t0, r0)) => {
                println!("{:<28} {:>27.1}x {:>27.1}x", "  against the store", t.0 / t0, r.0 / r0);
            }
        }
    }
}
