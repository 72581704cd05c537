//! What the checks of the data have in common: each looks for one thing that should not happen,
//! counts it, and keeps the story of the first.

use std::fmt::Debug;

use serde_json::json;
use wavetank_reports::{ExpectationResult, Verdict, grouped};
use wavetank_vocabulary::{Classes, Fact, InstanceId, Observer, OperationId, Seq, Time};
use wavetank_world::{Anomaly, Bounds, Plan};

use super::bank_total::BankTotal;
use super::counters::Counters;
use super::failed::Failed;
use super::forbidden_pair::ForbiddenPair;
use super::linearizable::Linearizable;
use super::list_append::ListAppend;
use super::lost_updates::LostUpdates;
use super::stores_agree::StoresAgree;
use super::stuck::Stuck;
use super::unique::Unique;
use super::unique_value::UniqueValue;
use super::{less, limit_json};
use crate::explain::Evidence;

/// What a check has found.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// How often it could have found something.
    pub(super) looked: u64,
    pub(super) found: u64,
    pub(super) first: Option<(String, Evidence)>,
    /// Why it came to no verdict, if so.
    pub(super) undecided: Option<String>,
}

impl Tally {
    /// It happened once more, so often at once.
    pub(super) fn find(
        &mut self,
        times: u64,
        at: Option<Time>,
        operations: Vec<OperationId>,
        instances: Vec<InstanceId>,
        story: impl FnOnce() -> String,
    ) {
        self.found = self.found.saturating_add(times);
        if self.first.is_none() {
            self.first = Some((story(), Evidence { at, operations, instances }));
        }
    }
}

/// Looks for one thing.
pub(super) trait Watch: CloneWatch + Debug + Send {
    /// The facts that it reads.
    fn interests(&self) -> Classes;
    /// Reads one.
    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally);
    /// All facts were read.
    fn close(&self, _tally: &mut Tally) {}
    /// What it looks at, in the plural, e.g. `increments`.
    fn looks_at(&self) -> &'static str;
}

/// Copies what looks: checks are cloned with their World.
pub(super) trait CloneWatch {
    /// Another one that has read the same.
    fn clone_watch(&self) -> Box<dyn Watch>;
}

impl<W: Watch + Clone + 'static> CloneWatch for W {
    fn clone_watch(&self) -> Box<dyn Watch> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Watch> {
    fn clone(&self) -> Self {
        (**self).clone_watch()
    }
}

/// A check that counts one kind of anomaly.
#[derive(Clone, Debug)]
pub struct Anomalies {
    name: &'static str,
    limit: Bounds<u64>,
    tally: Tally,
    watch: Box<dyn Watch>,
}

impl Anomalies {
    /// A check for an anomaly, which may be found so often.
    pub fn new(plan: &Plan, of: &Anomaly, limit: Bounds<u64>) -> Self {
        let audited = plan.audited();
        // The Plan audits what its expectations name: the places are there.
        let property = |name: &str| audited.property(name).unwrap_or(u8::MAX);
        let place = |name: &str| audited.kind(name).unwrap_or(u8::MAX);
        let watch: Box<dyn Watch> = match of {
            Anomaly::LostUpdates { property: name } => {
                Box::new(LostUpdates::new(plan, name, property(name)))
            }
            Anomaly::CounterEqualsCount { property: name, kind, incoming } => {
                let counts = (kind.as_str(), place(kind), *incoming);
                Box::new(Counters::new(plan, (name, property(name)), counts))
            }
            Anomaly::UniqueRelationship { kind } => Box::new(Unique::new(plan, kind, place(kind))),
            Anomaly::ForbiddenPair { kind, by } => {
                Box::new(ForbiddenPair::new(plan, kind, by, place))
            }
            Anomaly::BankTotal { property: name } => {
                Box::new(BankTotal::new(plan, name, property(name)))
            }
            Anomaly::FailedOperations { status } => Box::new(Failed::new(plan, *status)),
            Anomaly::StuckTransactions { within } => Box::new(Stuck::new(*within)),
            Anomaly::StoresAgree { store, property: name } => {
                let names = (store.clone(), name.clone());
                Box::new(StoresAgree::new(plan, names, property(name)))
            }
            Anomaly::Linearizable { property } => Box::new(Linearizable::new(plan, property)),
            Anomaly::ListAppend { property } => Box::new(ListAppend::new(plan, property)),
            Anomaly::UniqueValue { property: name } => {
                Box::new(UniqueValue::new(plan, name, property(name)))
            }
        };
        Anomalies { name: of.name(), limit, tally: Tally::default(), watch }
    }

    /// What proves the first that was found.
    pub fn evidence(&self) -> Evidence {
        let mut tally = self.tally.clone();
        self.watch.close(&mut tally);
        tally.first.map(|(_, evidence)| evidence).unwrap_or_default()
    }

    /// The verdict.
    pub fn finish(&self) -> ExpectationResult {
        let mut tally = self.tally.clone();
        let watch = &self.watch;
        watch.close(&mut tally);
        let over = format!("{} {}", grouped(tally.looked), watch.looks_at());
        let holds = self.limit.hold(&tally.found);
        let (verdict, why) = match (&tally.first, tally.undecided) {
            (_, Some(why)) if tally.found == 0 => (Verdict::NotExercised, why),
            (None, _) if tally.looked == 0 => {
                (Verdict::NotExercised, format!("There were no {}.", watch.looks_at()))
            }
            (None, _) => {
                let verdict = if holds { Verdict::Held } else { Verdict::Broke };
                (verdict, format!("None among {over}.{}", less(&self.limit, &tally.found)))
            }
            (Some((story, _)), _) => {
                let verdict = if holds { Verdict::Held } else { Verdict::Broke };
                let few = less(&self.limit, &tally.found);
                (verdict, format!("{} among {over}. {story}{few}", grouped(tally.found)))
            }
        };
        ExpectationResult {
            check: self.name.to_owned(),
            verdict,
            measured: json!({ "found": tally.found }),
            limit: json!({ "found": limit_json(&self.limit, |count| (*count).into()) }),
            why,
        }
    }
}

impl Observer for Anomalies {
    fn interests(&self) -> Classes {
        self.watch.interests()
    }

    fn observe(&mut self, at: Time, _seq: Seq, fact: &Fact) {
        self.watch.observe(at, fact, &mut self.tally);
    }
}
