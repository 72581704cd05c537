//! Any steps in any order in several transactions at once, with arguments that need not make
//! sense, commits and rollbacks at any moment, and restarts: errors are typed, nothing leaks,
//! and the store stays consistent.

use std::process::ExitCode;

use wavetank_store::{Ledger, Step, StoreConfig, StoreState, TxHandle};
use wavetank_store_fuzz::{Dice, Driver, Outcome, corpus, random_step, run};

/// Gives a transaction up, or applies it if it has committed.
fn end(driver: &mut Driver, tx: TxHandle) {
    driver.store.rollback(tx);
    while let Step::Wait(_) = driver.store.apply(tx, &mut Ledger::default()) {
        driver.run();
    }
}

fn main() -> ExitCode {
    let corpus = corpus();
    run("operations", |dice: &mut Dice| {
        let frames = 2 + dice.place(9);
        let config = StoreConfig { frames, dense_node_threshold: 5, ..StoreConfig::default() };
        let config = StoreConfig { id_reuse_safe_zone_ms: 0, ..config };
        let config = StoreConfig { checkpoint_interval_tx: 5, ..config };
        let disk = corpus[dice.place(corpus.len())].clone();
        let mut driver = Driver::open(config.clone(), disk);
        let mut open: Vec<_> = (0..3).map(|_| driver.store.begin(0, 0)).collect();
        for _ in 0..20 + dice.below(120) {
            let place = dice.place(open.len());
            let tx = open[place];
            let (nodes, relationships) = (driver.store.node_ids(), driver.store.relationship_ids());
            let ends = match dice.below(30) {
                0 => {
                    driver.store.rollback(tx);
                    true
                }
                1 => {
                    // Without preparing it, or the other way round.
                    let _ = driver.store.commit(tx, &mut Ledger::default());
                    let _ = driver.store.apply(tx, &mut Ledger::default());
                    driver.run();
                    matches!(driver.store.apply(tx, &mut Ledger::default()), Step::Done(_))
                }
                2..=4 => matches!(driver.commit(tx), Outcome::Value(_)),
                5 if dice.below(3) == 0 => {
                    driver = Driver::open(config.clone(), driver.disk.clone());
                    open.iter_mut().for_each(|tx| *tx = driver.store.begin(0, 0));
                    false
                }
                _ => {
                    let step = random_step(dice, nodes, relationships);
                    // Who would close a cycle gives up, as the interface demands.
                    matches!(driver.step(tx, &step), Outcome::Error(_)) && dice.below(3) == 0
                }
            };
            if ends {
                end(&mut driver, tx);
                open[place] = driver.store.begin(0, dice.below(1000));
            }
        }
        for tx in open {
            end(&mut driver, tx);
        }
        driver.run();
        let store = &driver.store;
        let left = (store.open_transactions(), store.held_locks(), store.lock_waiters());
        if left != (0, 0, 0) || store.pinned_pages() != 0 {
            let state = store.state();
            return Err(format!("left: {left:?}, {} pinned, {state:?}", store.pinned_pages()));
        }
        let reopened = Driver::open(config, driver.disk.clone());
        if *reopened.store.state() != StoreState::Ready {
            return Err(format!("{:?}", reopened.store.state()));
        }
        for driver in [&driver, &reopened] {
            match driver.store.check(&driver.disk) {
                Ok(found) if found.is_empty() => {}
                other => return Err(format!("{other:?}")),
            }
        }
        Ok(())
    })
}
