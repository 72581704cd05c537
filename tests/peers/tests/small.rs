//! The explorer on bounds that take seconds.

use std::time::Duration;

use wavetank_cluster::{AcceptorMemory, Compat, Quorum, Settings};
use wavetank_peers::explore::{Limits, Report, explore};
use wavetank_peers::heal::{converged, heal};
use wavetank_peers::model::{Bounds, Model, Network, Violation};
use wavetank_peers::nodes::{Clocks, Library};
use wavetank_vocabulary::PlantedBugs;

fn settings(memory: AcceptorMemory, quorum: Quorum) -> Settings {
    Settings { acceptor_memory: memory, quorum, ..Settings::defaults(Compat::V2_3_6) }
}

fn run(settings: &Settings, bounds: [u8; 12], network: Network, depth: u32) -> Report {
    run_library(Library::new(settings.clone()), settings, bounds, network, depth, 100)
}

fn run_library(
    library: Library,
    settings: &Settings,
    bounds: [u8; 12],
    network: Network,
    depth: u32,
    heal_one_in: u64,
) -> Report {
    let mut model = Model::new(library, Bounds(bounds), network);
    let unborn = model.unborn();
    let formed = heal(&mut model, settings, &unborn).expect("a cluster forms");
    assert!(converged(&model, &formed));
    let limits = Limits { depth, states: 1 << 24, time: Duration::from_secs(600), heal_one_in };
    explore(&mut model, settings, &formed, limits, |_, _| {})
}

#[test]
fn quorums_of_the_alive_disagree_after_eight_events() {
    let settings = settings(AcceptorMemory::Durable, Quorum::OfTheAlive);
    let bounds = [0, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0];
    let found = run(&settings, bounds, Network::Fifo, 9).found.expect("a way to disagree");
    assert_eq!(found.way.len(), 8);
    assert!(matches!(found.violation, Violation::ChosenTwice(..)), "{:?}", found.violation);
}

#[test]
fn durable_acceptors_and_quorums_of_all_hosts_agree() {
    let settings = settings(AcceptorMemory::Durable, Quorum::OfAllHosts);
    for (bounds, network, depth) in [
        ([1, 0, 0, 1, 0, 4, 1, 1, 2, 0, 0, 0], Network::Fifo, 7),
        ([0, 0, 0, 0, 0, 4, 0, 0, 2, 0, 0, 0], Network::Fifo, 9),
        ([1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0], Network::Fifo, 14),
        ([1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], Network::Unordered, 11),
    ] {
        let report = run(&settings, bounds, network, depth);
        assert!(report.found.is_none(), "{:?}", report.found);
        assert_eq!(report.depth, depth);
        assert!(report.states > 1000 && report.healed > 0, "{report:?}");
    }
}

/// An election whose messages are lost is never held again by members with this bug.
#[test]
fn members_that_never_agree_are_found() {
    let settings = settings(AcceptorMemory::Durable, Quorum::OfAllHosts);
    let bounds = [1, 2, 0, 1, 0, 4, 1, 0, 0, 0, 0, 0];
    let library = Library::new(settings.clone()).with_bugs(PlantedBugs::ELECTION_NOT_RETRIED);
    let found = run_library(library, &settings, bounds, Network::Fifo, 6, 1).found;
    assert!(
        found.as_ref().is_some_and(|found| found.violation == Violation::NeverConverges),
        "{found:?}"
    );
    let library = Library::new(settings.clone());
    let sound = run_library(library, &settings, bounds, Network::Fifo, 6, 1).found;
    assert!(sound.is_none(), "without the bug: {sound:?}");
}

/// An elector's versions begin from its wall clock. Set that back at a restart, and it gives an
/// old version to another result: while it was away, somebody else became master.
#[test]
fn an_elector_whose_clock_was_set_back_elects_twice() {
    let settings = settings(AcceptorMemory::Durable, Quorum::OfAllHosts);
    let bounds = [1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
    let [set_back, ascending] = [Clocks::SetBack, Clocks::Ascending].map(|clocks| {
        let library = Library::new(settings.clone()).with_clocks(clocks);
        run_library(library, &settings, bounds, Network::Fifo, 4, 1).found
    });
    assert!(
        set_back.as_ref().is_some_and(|f| matches!(f.violation, Violation::ElectedTwice(..))),
        "{set_back:?}"
    );
    assert!(ascending.is_none(), "with clocks that go on: {ascending:?}");
}

#[test]
fn a_single_restart_is_explored_to_the_end() {
    let settings = settings(AcceptorMemory::Durable, Quorum::OfAllHosts);
    let report = run(&settings, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Network::Fifo, 1000);
    assert!(report.exhausted && report.found.is_none(), "{report:?}");
}
