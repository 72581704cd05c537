//! Where a run's settings came from, and what its load amounts to: what the caller knows
//! of the scenario beyond the Plan.

use wavetank_vocabulary::Span;
use wavetank_world::{Distribution, Plan, Settings};

use crate::words::grouped;

/// One setting that mattered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// By Neo4j's or the scenario language's name.
    pub name: String,
    /// Its value, with its unit.
    pub value: String,
    /// Where it came from: `default of 2.3.6`, `scenario`, `neo4j.properties, line 12`.
    pub origin: String,
}

/// One line of what the load amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLine {
    /// What: `requests per instance`.
    pub what: String,
    /// How much, with its unit.
    pub value: String,
    /// What follows from it; may be empty.
    pub note: String,
}

/// What the caller of [`crate::report_html`] knows beyond the Plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The settings with where they came from. When there are none, they are taken from the
    /// Plan, and what equals the version's default counts as that.
    pub settings: Vec<SettingRow>,
    /// The derived load; left out when empty.
    pub load: Vec<LoadLine>,
    /// What Neo4j would accept and its operator regret, each in a line.
    pub warnings: Vec<String>,
}

/// The settings of a Plan by comparison with the defaults of its version.
pub(crate) fn settings_of(plan: &Plan) -> Vec<SettingRow> {
    let compat = plan.settings.compat();
    let default = values(&Settings::defaults(compat));
    let row = |name: &str, value: String, default: bool| SettingRow {
        name: name.to_owned(),
        value,
        origin: if default {
            format!("default of {}", compat.name())
        } else {
            String::from("scenario")
        },
    };
    let mut rows = vec![row("compat", compat.name().to_owned(), false)];
    for ((name, value), (_, default)) in values(&plan.settings).into_iter().zip(default) {
        let same = value == default;
        rows.push(row(name, value, same));
    }
    rows.push(SettingRow {
        name: String::from("quantities sampled every"),
        value: plan.sample_every.to_string(),
        origin: String::from("Plan"),
    });
    rows.push(SettingRow {
        name: String::from("monitoring asks every"),
        value: plan.monitor_every.to_string(),
        origin: String::from("Plan"),
    });
    rows
}

fn values(settings: &Settings) -> Vec<(&'static str, String)> {
    let or_off = |span: Span| if span.is_zero() { String::from("off") } else { span.to_string() };
    vec![
        ("ha.heartbeat_interval", settings.cluster.heartbeat_interval.to_string()),
        ("ha.heartbeat_timeout", settings.cluster.heartbeat_timeout.to_string()),
        ("ha.election_timeout", settings.cluster.election_timeout.to_string()),
        ("ha.pull_interval", or_off(settings.pull_interval)),
        ("ha.pull_apply_batch_size", grouped(u64::from(settings.pull_apply_batch_size))),
        ("ha.tx_push_factor", settings.tx_push_factor.to_string()),
        ("ha.tx_push_strategy", settings.tx_push_strategy.name().to_owned()),
        ("ha.read_timeout", settings.read_timeout.to_string()),
        ("ha.state_switch_timeout", settings.state_switch_timeout.to_string()),
        ("ha.com_chunk_size", settings.com_chunk_size.to_string()),
        ("logical_log_rotation_threshold", settings.log_rotation_threshold.to_string()),
        ("dbms.checkpoint.interval.tx", grouped(settings.checkpoint_interval_tx)),
        ("dbms.checkpoint.interval.time", settings.checkpoint_interval_time.to_string()),
    ]
}

/// A distribution in words.
pub(crate) fn distribution(of: &Distribution) -> String {
    match *of {
        Distribution::Constant(span) => format!("always {span}"),
        Distribution::Uniform { low, high } => format!("{low} to {high}, equally likely"),
        Distribution::Exponential { mean } => format!("exponential, mean {mean}"),
        Distribution::Normal { mean, deviation } => {
            format!("normal, mean {mean}, deviation {deviation}")
        }
        Distribution::LogNormal { median, sigma } => {
            format!("log-normal, median {median}, sigma {sigma}")
        }
        Distribution::Pareto { scale, shape } => {
            format!("Pareto, from {scale}, exponent {shape}")
        }
        Distribution::Quantiles([_, _, _, p50, _, p90, p99, _, _]) => {
            format!("measured: p50 {p50}, p90 {p90}, p99 {p99}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;

    #[test]
    fn what_differs_from_the_default_came_from_the_scenario() {
        let mut plan = synthetic::plan(60);
        plan.settings.pull_interval = Span::from_secs(1);
        let rows = settings_of(&plan);
        let origin =
            |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.origin.as_str());
        assert_eq!(origin("ha.pull_interval"), Some("scenario"));
        assert_eq!(origin("ha.heartbeat_timeout"), Some("default of 2.3.6"));
    }

    #[test]
    fn distributions_read_as_words() {
        let mean = Span::from_micros(600);
        assert_eq!(distribution(&Distribution::Exponential { mean }), "exponential, mean 600us");
        assert_eq!(distribution(&Distribution::Constant(mean)), "always 600us");
        let all = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(Span::from_millis);
        let measured = distribution(&Distribution::Quantiles(all));
        assert_eq!(measured, "measured: p50 4ms, p90 6ms, p99 7ms");
    }
}
