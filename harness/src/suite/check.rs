//! Checks in code: what must hold that no `[[expect]]` can say.

use std::fmt;

use serde_json::Value;
use wavetank_reports::{ExpectationResult, Verdict};
use wavetank_vocabulary::Observer;
use wavetank_world::Plan;

/// Judges a run by its facts, and by nothing else: they are told in order, in virtual time, and
/// only those of the classes that it names in `interests`.
///
/// ```
/// use wavetank::{Check, Classes, Fact, Finding, Observer, Role, Seq, Time};
///
/// /// The cluster changes its master at most so often.
/// #[derive(Clone, Debug)]
/// struct FewMasters {
///     most: u32,
///     reigns: u32,
/// }
///
/// impl Observer for FewMasters {
///     fn interests(&self) -> Classes {
///         Classes::CLUSTER
///     }
///
///     fn observe(&mut self, _at: Time, _seq: Seq, fact: &Fact) {
///         if let Fact::RoleChanged { to: Role::Master, .. } = fact {
///             self.reigns += 1;
///         }
///     }
/// }
///
/// impl Check for FewMasters {
///     fn name(&self) -> &str {
///         "few-masters"
///     }
///
///     fn finish(&self) -> Finding {
///         let FewMasters { most, reigns } = *self;
///         match reigns {
///             0 => Finding::not_exercised("No instance became master."),
///             n if n <= most => Finding::held(format!("{n} masters, {most} allowed.")),
///             n => Finding::broke(format!("{n} masters, {most} allowed.")).measured(n, most),
///         }
///     }
/// }
///
/// wavetank::scenario("quick/slave-crash")
///     .seeds(0..2)
///     .expect(FewMasters { most: 1, reigns: 0 })
///     .check();
/// ```
pub trait Check: Observer + CloneCheck + fmt::Debug + Send + Sync {
    /// The name that results and messages use.
    fn name(&self) -> &str;

    /// Before the first fact: what is going to be played. `Plan::operations` gives the kinds of
    /// operations their names.
    fn begin(&mut self, plan: &Plan) {
        let _ = plan;
    }

    /// The verdict, when all facts were told.
    fn finish(&self) -> Finding;
}

/// Makes a boxed check `Clone`: there for every check that is.
pub trait CloneCheck {
    /// A copy that goes on from here on its own.
    fn boxed(&self) -> Box<dyn Check>;
}

impl<C: Check + Clone + 'static> CloneCheck for C {
    fn boxed(&self) -> Box<dyn Check> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Check> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    verdict: Verdict,
    why: String,
    measured: Value,
    limit: Value,
}

impl Finding {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        Finding { verdict, why: why.into(), measured: Value::Null, limit: Value::Null }
    }

    /// It held; `why` is a sentence.
    #[must_use]
    pub fn held(why: impl Into<String>) -> Self {
        Finding::new(Verdict::Held, why)
    }

    /// It broke; `why` is a sentence that names what proves it.
    #[must_use]
    pub fn broke(why: impl Into<String>) -> Self {
        Finding::new(Verdict::Broke, why)
    }

    /// Nothing happened that could have broken it: a test that tested nothing, and so a failure.
    #[must_use]
    pub fn not_exercised(why: impl Into<String>) -> Self {
        Finding::new(Verdict::NotExercised, why)
    }

    /// With the figure that was measured and the one that was allowed.
    #[must_use]
    pub fn measured(mut self, measured: impl Into<Value>, limit: impl Into<Value>) -> Self {
        self.measured = measured.into();
        self.limit = limit.into();
        self
    }

    pub(crate) fn into_result(self, name: &str) -> ExpectationResult {
        let Finding { verdict, why, measured, limit } = self;
        ExpectationResult { check: name.to_owned(), verdict, measured, limit, why }
    }
}
