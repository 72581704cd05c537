//! `replicas-equal`: do all instances hold the same graph once the cluster has recovered?
//!
//! Compared is the logical content, not where records lie. And no record of the final master's
//! store may contradict another: what is damaged alike everywhere is equal, too.
//!
//! Exercised: at least one transaction was committed, and every instance's store was read.

use std::collections::BTreeMap;

use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::{Classes, Fact, InstanceId, LogMark, Observer, Seq, Time};

use crate::explain::Evidence;

/// The check.
#[derive(Clone, Debug)]
pub struct ReplicasEqual {
    total: usize,
    committed: u64,
    contents: BTreeMap<InstanceId, (LogMark, Option<[u64; 2]>)>,
    /// Whose records contradict others, and how many.
    inconsistent: Option<(InstanceId, u32)>,
}

impl ReplicasEqual {
    /// A check of a cluster of `total` instances that have a store.
    pub fn new(total: usize) -> Self {
        ReplicasEqual { total, committed: 0, contents: BTreeMap::new(), inconsistent: None }
    }

    /// The instances whose contents fewer others have, or nobody could read.
    pub fn evidence(&self) -> Evidence {
        let holders = |mine: &Option<[u64; 2]>| {
            self.contents.values().filter(|(_, contents)| contents == mine).count()
        };
        let most = self.contents.values().map(|(_, contents)| holders(contents)).max();
        let odd = |(_, (_, contents)): &(&InstanceId, &(LogMark, Option<[u64; 2]>))| {
            contents.is_none() || Some(holders(contents)) < most
        };
        let inconsistent = self.inconsistent.map(|(id, _)| id);
        let odd = self.contents.iter().filter(odd).map(|(id, _)| *id);
        let instances = odd.chain(inconsistent).collect();
        Evidence { instances, ..Evidence::default() }
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let mut kinds: Vec<[u64; 2]> =
            self.contents.values().filter_map(|(_, contents)| *contents).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let unread: Vec<InstanceId> = self
            .contents
            .iter()
            .filter(|(_, (_, contents))| contents.is_none())
            .map(|(id, _)| *id)
            .collect();
        let places: Vec<String> = self
            .contents
            .iter()
            .map(|(id, (log, contents))| match contents {
                Some(contents) => {
                    format!("instance {}: {:08x} at {}", id.0, contents[0] >> 32, log.tx.0)
                }
                None => format!("instance {}: unreadable", id.0),
            })
            .collect();
        let (verdict, why) = if self.total < 2 {
            (Verdict::NotExercised, "There is only one instance.".to_owned())
        } else if !unread.is_empty() || self.contents.len() < self.total {
            (Verdict::Broke, format!("Not every store could be read: {}.", places.join("; ")))
        } else if kinds.len() > 1 {
            (Verdict::Broke, format!("The contents differ: {}.", places.join("; ")))
        } else if let Some((instance, records)) = self.inconsistent {
            let why = format!(
                "In the store of instance {}, {records} records contradict others.",
                instance.0
            );
            (Verdict::Broke, why)
        } else if self.committed == 0 {
            (Verdict::NotExercised, "No transaction was committed.".to_owned())
        } else {
            let why = format!("All {} instances hold the same graph.", self.total);
            (Verdict::Held, why)
        };
        ExpectationResult {
            check: "replicas-equal".into(),
            verdict,
            measured: kinds.len().into(),
            limit: 1.into(),
            why,
        }
    }
}

impl Observer for ReplicasEqual {
    fn interests(&self) -> Classes {
        Classes::TRANSACTIONS | Classes::AUDIT
    }

    fn observe(&mut self, _at: Time, _seq: Seq, fact: &Fact) {
        match *fact {
            Fact::Committed { .. } => self.committed += 1,
            Fact::Final { instance, log, contents, .. } => {
                self.contents.insert(instance, (log, contents));
            }
            Fact::Inconsistent { instance, records } => {
                self.inconsistent = Some((instance, records));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Role;

    fn verdict(contents: &[Option<[u64; 2]>], committed: bool) -> Verdict {
        let mut check = ReplicasEqual::new(3);
        if committed {
            let instance = InstanceId(1);
            let fact = Fact::Committed { instance, log: LogMark::BASE, operation: None };
            check.observe(Time::ZERO, 0, &fact);
        }
        for (index, contents) in contents.iter().enumerate() {
            let fact = Fact::Final {
                instance: InstanceId(index as u16 + 1),
                role: Role::Slave,
                log: LogMark::BASE,
                contents: *contents,
                open_transactions: 0,
            };
            check.observe(Time::ZERO, 0, &fact);
        }
        check.finish().verdict
    }

    #[test]
    fn one_content_holds_two_break_and_none_is_not_exercised() {
        let (a, b) = (Some([1, 2]), Some([1, 3]));
        assert_eq!(verdict(&[a, a, a], true), Verdict::Held);
        assert_eq!(verdict(&[a, a, b], true), Verdict::Broke);
        assert_eq!(verdict(&[a, a, None], true), Verdict::Broke);
        assert_eq!(verdict(&[a, a], true), Verdict::Broke);
        assert_eq!(verdict(&[a, a, a], false), Verdict::NotExercised);
    }

    #[test]
    fn what_is_damaged_alike_everywhere_breaks_it() {
        let mut check = ReplicasEqual::new(2);
        let (role, log, contents) = (Role::Slave, LogMark::BASE, Some([1, 2]));
        for instance in [InstanceId(1), InstanceId(2)] {
            let fact = Fact::Final { instance, role, log, contents, open_transactions: 0 };
            check.observe(Time::ZERO, 0, &fact);
        }
        let fact = Fact::Inconsistent { instance: InstanceId(1), records: 3 };
        check.observe(Time::ZERO, 0, &fact);
        let result = check.finish();
        assert_eq!(result.verdict, Verdict::Broke);
        assert_eq!(result.why, "In the store of instance 1, 3 records contradict others.");
    }
}
