//! What a scenario says of its settings and load, for reports.

use wavetank_reports::{LoadLine, Provenance, SettingRow};
use wavetank_scenario::{Scenario, SettingOrigin};

use crate::load::Load;

/// Settings with their origins, the load that the scenario amounts to, its warnings.
pub(crate) fn provenance(scenario: &Scenario, load: &Load) -> Provenance {
    let setting =
        |s: SettingOrigin| SettingRow { name: s.name.to_owned(), value: s.value, origin: s.origin };
    let line = |(what, value, note): (&'static str, String, String)| LoadLine {
        what: what.to_owned(),
        value,
        note,
    };
    Provenance {
        settings: scenario.settings().into_iter().map(setting).collect(),
        load: load.lines().into_iter().map(line).collect(),
        warnings: scenario.warnings().lines().collect(),
    }
}
