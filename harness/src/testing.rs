//! A small Plan for the unit tests of this crate.

use wavetank_world::Plan;

/// Three instances, one population of clients, no fault.
pub(crate) fn plan() -> Plan {
    plan_with("")
}

/// The same, with further tables.
pub(crate) fn plan_with(tables: &str) -> Plan {
    let head = r#"
format = 1
about = "For unit tests."
duration = "10s"
warm_up = "1s"

[[group]]
count = 3
machine = "aws:r3.xlarge"
volume = { size = "300GB" }

[graph]
generate = { kind = "social", users = 50, mean_follows = 5 }

[[clients]]
name = "app"
arrivals = { poisson = "20/s" }
workload = "social"
mix = { profile = 1, follow = 1 }
"#;
    wavetank_scenario::parse("unit.toml", &format!("{head}\n{tables}"))
        .and_then(|scenario| scenario.draw(1, &mut |_| unreachable!("no file is named")))
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}
