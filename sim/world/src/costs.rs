//! What a step costs in core time. The ledger of the store says what was done; a cost table
//! says how long that takes.

use alloc::string::String;

use wavetank_kernel::Distribution;
use wavetank_store::Ledger;
use wavetank_vocabulary::Span;

/// Core time per unit of work. The name says how far to trust it: `assumed`, `fitted` or
/// `calibrated` (measured on the store itself).
#[derive(Clone, Debug, PartialEq)]
pub struct CostTable {
    /// Which table this is.
    pub name: String,
    /// Each step: dispatch, query overhead.
    pub step: Span,
    /// Each record touched.
    pub record: Span,
    /// Each page found resident.
    pub hit: Span,
    /// Each page loaded: the processor's part of it.
    pub fault: Span,
    /// Each KiB appended to the log.
    pub logged_kib: Span,
    /// What every slice of work takes beside that, drawn anew each time by the machine's own
    /// stream: what the ledger does not see. None draws nothing. No scenario sets it; it is for
    /// Plans that play queues of the textbook.
    pub drawn: Option<Distribution>,
}

impl CostTable {
    /// Round figures for a Java process answering over HTTP, between a tenth and a few
    /// milliseconds per request: an assumption, and every report says so.
    pub fn assumed() -> Self {
        CostTable {
            name: String::from("assumed"),
            step: Span::from_micros(150),
            record: Span::from_micros(2),
            hit: Span::from_nanos(300),
            fault: Span::from_micros(10),
            logged_kib: Span::from_micros(5),
            drawn: None,
        }
    }

    /// The core time of one slice, without what is drawn.
    pub fn of(&self, ledger: &Ledger) -> Span {
        self.step
            + self.record * u64::from(ledger.records)
            + self.hit * u64::from(ledger.hits)
            + self.fault * u64::from(ledger.faults)
            + Span::from_nanos(self.logged_kib.as_nanos() * ledger.logged / 1024)
    }
}
