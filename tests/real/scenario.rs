//! The scenarios that are played on real processes: one head, which each of them goes on from.

/// A cluster of `count` instances with these settings, a line each, and these further keys of its
/// clients. `duration` is in seconds.
pub(crate) fn head(count: u16, duration: u32, settings: &str, clients: &str) -> String {
    format!(
        r#"
format = 1
about = "Played on real processes."
duration = "{duration}s"
warm_up = "5s"

[cluster]
compat = "2.3.6"
[cluster.settings]
{settings}

[[group]]
count = {count}
machine = "aws:r3.xlarge"
page_cache = "64MiB"
volume = {{ size = "300GB" }}

[graph]
generate = {{ kind = "social", users = 200, mean_follows = 5 }}

[[balancer]]
name = "front"
poll = "1s"

[[clients]]
name = "app"
arrivals = {{ poisson = "40/s" }}
mix = {{ profile = 50, status = 30, follow = 20 }}
{clients}
"#
    )
}

/// What clients of a cluster do whose master may fail.
const PATIENT: &str = r#"routing = { by = "reads-to-slaves" }
timeout = "5s"
retry = { on = ["transient", "connection"], attempts = 4, backoff = "50ms", factor = 2.0, jitter = 0.5 }"#;

/// Three instances, and what is expected of them whatever happens. `timeout` is
/// `ha.heartbeat_timeout` in seconds.
pub(crate) fn three(duration: u32, timeout: u32) -> String {
    let settings = format!(
        "\"ha.heartbeat_interval\" = \"1s\"\n\"ha.heartbeat_timeout\" = \"{timeout}s\"\n\
         \"ha.pull_interval\" = \"500ms\"\n\"ha.tx_push_factor\" = 1"
    );
    let expected = r#"
[[expect]]
check = "acknowledged-writes-lost"
explained = { max = 200 }
[[expect]]
check = "replicas-equal"
[[expect]]
check = "recovers"
within = "60s"
"#;
    head(3, duration, &settings, PATIENT) + expected
}

/// Three instances to which nothing happens.
pub(crate) fn calm() -> String {
    let expected = "\n[[expect]]\ncheck = \"replicas-equal\"\n";
    let settings = "\"ha.heartbeat_interval\" = \"1s\"\n\"ha.pull_interval\" = \"500ms\"";
    head(3, 40, settings, PATIENT) + expected
}

/// Three instances, of which the master is struck under load by a fault for so many seconds.
pub(crate) fn master_loss(fault: &str, seconds: u32) -> String {
    let fault = format!("\n[[faults]]\nat = \"15s\"\n{fault} = \"master\"\nfor = \"{seconds}s\"\n");
    let reign =
        "\n[[expect]]\ncheck = \"happens\"\nevent = \"reign begins\"\ncount = { min = 1 }\n";
    three(40, 3) + &fault + reign
}

/// A cluster of one, with further settings. It has an operation that is told step by step.
pub(crate) fn one(settings: &str) -> String {
    let settings = format!("\"ha.configuration_timeout\" = \"100ms\"\n{settings}");
    head(1, 40, &settings, "") + "\n[[operation]]\nname = \"follow\"\npattern = \"naive\"\n"
}
