//! `stuck-transactions`: does every request come to its end, and every transaction with it?
//!
//! Measured is how long an instance had a request, or a statement of it, from its coming to its
//! answer, and what is still open at the end.
//!
//! Exercised: an instance answered a request. Memory: none.

use wavetank_vocabulary::{Classes, Fact, Span, Time};

use super::anomalies::{Tally, Watch};

#[derive(Clone, Debug)]
pub(super) struct Stuck {
    within: Span,
}

impl Stuck {
    pub(super) fn new(within: Span) -> Self {
        Stuck { within }
    }
}

impl Watch for Stuck {
    fn interests(&self) -> Classes {
        Classes::TIMES | Classes::AUDIT
    }

    fn observe(&mut self, at: Time, fact: &Fact, tally: &mut Tally) {
        match *fact {
            Fact::Served { operation, instance, status, time, .. } => {
                tally.looked += 1;
                let took = time.total();
                if took > self.within {
                    tally.find(1, Some(at), vec![operation], vec![instance], || {
                        format!(
                            "{operation} was at instance {} for {took}, until {at} ({}).",
                            instance.0,
                            status.name()
                        )
                    });
                }
            }
            Fact::Final { instance, open_transactions, .. } if open_transactions > 0 => {
                tally.find(u64::from(open_transactions), None, Vec::new(), vec![instance], || {
                    format!("At the end {open_transactions} were open at instance {}.", instance.0)
                });
            }
            _ => {}
        }
    }

    fn looks_at(&self) -> &'static str {
        "requests"
    }
}
