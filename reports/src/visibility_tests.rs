//! The t-visibility curve of a played cluster against the closed form for fixed pulls.

use std::sync::Arc;

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{OperationKind, Rate, Ratio, Span};
use wavetank_world::{BaseGraph, GraphSource, Routing, World};

use crate::synthetic::plan;
use crate::visibility::Visibility;

/// A slave that pulls at a fixed rate P over a way that takes L lacks a write at age t with
/// probability 1 - (t - L)/P; reads all go to slaves, nothing is pushed. Through the master
/// nothing is ever stale.
#[expect(clippy::print_stdout, reason = "the page about truth quotes what was found")]
#[test]
fn reads_at_slaves_that_pull_are_as_stale_as_the_closed_form_says() {
    let pull = 10.0;
    let mut plan = plan(1_500);
    plan.faults.clear();
    plan.expectations.clear();
    plan.graph.source = GraphSource::Social { users: 60, mean_follows: Ratio::new(3, 1) };
    plan.network.local = Distribution::Constant(Span::from_micros(250));
    plan.settings.pull_interval = Span::from_secs(10);
    plan.settings.tx_push_factor = 0;
    plan.sample_every = Span::from_secs(100_000);
    plan.clients[0].rate = Rate::per_second(120);
    plan.clients[0].popularity = wavetank_world::Popularity::Zipf(Ratio::ZERO);
    // A user writes every 20 seconds or so, and reads in between.
    plan.clients[0].mix = vec![(OperationKind(1), 39), (OperationKind(3), 1)];
    plan.clients[1] = plan.clients[0].clone();
    plan.clients[1].rate = Rate::per_second(20);
    plan.clients[1].routing = Routing::AllToMaster;
    let base = Arc::new(BaseGraph::build(&plan.graph));
    let visibility = Visibility::new(&plan);
    let mut world = World::new(Arc::new(plan), base, visibility);
    while world.advance(u64::MAX) {}
    let visibility = world.into_observer();
    let [slaves, master] = visibility.curves() else { panic!("there are two clients") };

    // Half a round trip and the way to the slave, append, sync and apply.
    let l = 0.004;
    let (mut stale, mut expected) = (0.0, 0.0);
    for bin in slaves.bins().filter(|bin| bin.to_ms.is_finite()) {
        let age = (bin.from_ms + bin.to_ms) / 2e3;
        let part = (1.0 - (age - l) / pull).clamp(0.0, 1.0);
        stale += bin.stale as f64;
        expected += part * bin.reads as f64;
        if bin.reads > 800 {
            assert!((bin.part() - part).abs() < 0.05, "at {age} s: {} is not {part}", bin.part());
        }
    }
    let off = (stale / expected - 1.0) * 100.0;
    println!("stale reads: {stale}, closed form {expected:.0} ({off:+.2} %)");
    assert!(off.abs() < 2.0, "{stale} stale reads, not {expected}");
    for (limit, part) in [(0.01, 0.99), (0.001, 0.999)] {
        let window = slaves.window(limit).expect("there are enough reads") / 1e3;
        let closed = l + part * pull;
        println!("window of {part}: {window:.3} s, closed form {closed:.3} s");
        // Never less than it takes: who relies on it would read what is stale.
        assert!(
            (0.995..1.05).contains(&(window / closed)),
            "{part} after {window} s, not {closed}"
        );
    }
    assert!(master.totals().0 > 10_000);
    assert_eq!(master.totals().1, 0);
    assert_eq!(master.window(0.001), Some(0.0));
}
