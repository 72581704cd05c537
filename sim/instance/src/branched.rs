//! The management bean "Branched Store" (HA specification 2.8 and 5): the stores that were set
//! aside because they had parted from the master's history.
//!
//! It lists those of this process's life: what an earlier process set aside is on the disk, and is
//! not looked at again.

use alloc::string::String;
use alloc::vec::Vec;

use wavetank_store::BranchedDataPolicy;
use wavetank_vocabulary::{Date, TxId};

use crate::bean::{Attribute, bean};
use crate::instance::Instance;

/// One store that was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchedStore {
    /// Its number: it is in the directory `branched/N`.
    pub number: u16,
    /// `largestTxId`: its last transaction.
    pub largest_tx: TxId,
    /// `creationTime`: when it was set aside, by the wall clock.
    pub created: Date,
}

/// What was set aside so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branches {
    stores: Vec<BranchedStore>,
    /// The one that is being set aside: its last transaction, and when that began.
    parting: Option<(TxId, Date)>,
}

impl Branches {
    /// The store is being set aside.
    pub(crate) fn parts(&mut self, largest_tx: TxId, wall_ms: u64) {
        self.parting = Some((largest_tx, Date::from_unix_ms(wall_ms)));
    }

    /// It is done, if it was under way: as the branch of that number, or as none.
    pub(crate) fn set_aside(&mut self, number: Option<u16>, policy: BranchedDataPolicy) {
        let Some((largest_tx, created)) = self.parting.take() else { return };
        if policy != BranchedDataPolicy::KeepAll {
            self.stores.clear();
        }
        let kept = number.map(|number| BranchedStore { number, largest_tx, created });
        self.stores.extend(kept);
    }
}

impl Instance {
    /// The stores that were set aside in the life of this process and are still there, the
    /// oldest first.
    pub fn branched_stores(&self) -> &[BranchedStore] {
        &self.branches.stores
    }

    /// The bean "Branched Store" as the web server's JMX resource answers it: a list with this one
    /// bean.
    pub fn branched_store_bean(&self) -> String {
        let stores: Vec<String> = self.branched_stores().iter().map(to_json).collect();
        let list = alloc::format!("[{}]", stores.join(","));
        let about = "The stores that parted from the history of a master";
        let kind = "[Ljavax.management.openmbean.CompositeData;";
        let attributes = [Attribute::new("BranchedStores", about, kind, &list)];
        bean(self.id(), "Branched Store", "What was set aside on this instance", &attributes)
    }
}

fn to_json(store: &BranchedStore) -> String {
    alloc::format!(
        "{{\"value\":[{{\"name\":\"creationTime\",\"value\":\"{}\"}},\
         {{\"name\":\"directory\",\"value\":\"branched/{}\"}},\
         {{\"name\":\"largestTxId\",\"value\":{}}}]}}",
        store.created,
        store.number,
        store.largest_tx.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_says_what_stays() {
        use BranchedDataPolicy::{KeepAll, KeepLast, KeepNone};
        let numbers = |policy, told: [Option<u16>; 2]| {
            let mut branches = Branches::default();
            for number in told {
                branches.parts(TxId(7), 0);
                branches.set_aside(number, policy);
                // A second copy without anything set aside adds nothing.
                branches.set_aside(number, policy);
            }
            branches.stores.iter().map(|store| store.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(KeepAll, [Some(1), Some(2)]), [1, 2]);
        assert_eq!(numbers(KeepLast, [Some(1), Some(2)]), [2]);
        assert!(numbers(KeepNone, [None, None]).is_empty());
    }

    #[test]
    fn a_store_is_told_by_directory_transaction_and_time() {
        let created = Date::from_unix_ms(wavetank_vocabulary::WALL_START_MS);
        let store = BranchedStore { number: 3, largest_tx: TxId(17), created };
        assert_eq!(
            to_json(&store),
            "{\"value\":[{\"name\":\"creationTime\",\"value\":\"2015-10-21 00:00:00.000+0000\"},\
             {\"name\":\"directory\",\"value\":\"branched/3\"},\
             {\"name\":\"largestTxId\",\"value\":17}]}"
        );
    }
}
