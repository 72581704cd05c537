//! What is done to a cluster, and what must hold: clients and expectations.

use super::{Kind, MILLISECOND, Need, Table, YEAR, key, later};
use Kind::{Choice, Choices, Count, Counts, Name, Ratio, SeedRule, Text, Time, Weights};
use Need::{Default, Optional, Required};
use wavetank_vocabulary::{Rate, Span};

pub(super) static CLIENTS: Table = Table {
    name: "[[clients]]",
    about: "A population of clients.",
    keys: &[
        key("name", Name, Required, "Its name, for `of = \"NAME.OPERATION\"`."),
        key(
            "arrivals",
            Kind::Table(&ARRIVALS),
            Optional,
            "When operations begin; either this or `users`.",
        ),
        key(
            "users",
            Count(1, 1_000_000),
            Optional,
            "Users that wait for each answer and think before they ask again: a closed loop instead of `arrivals`. Each is one user of the graph, and its operations are its session.",
        ),
        key("think", Kind::Distribution, Default("1s"), "How long such a user thinks."),
        key(
            "workload",
            Choice(crate::workloads::WORKLOADS, &[]),
            Default("social"),
            "Which operations there are.",
        ),
        key(
            "mix",
            Weights,
            Optional,
            "The weight of each operation; that of the workload unless told.",
        ),
        key(
            "deployment",
            Choice(&["embedded", "server", "extension"], &[]),
            Default("extension"),
            "Where the application runs: in the database's process, behind its transactional endpoint with a round trip for each statement, or as an extension of the server with one.",
        ),
        key(
            "clock_ahead",
            Time(Span::ZERO, Span::from_secs(3600)),
            Optional,
            "By how much the application server's clock is ahead.",
        ),
        key(
            "clock_behind",
            Time(Span::ZERO, Span::from_secs(3600)),
            Optional,
            "By how much it is behind.",
        ),
        key(
            "routing",
            Kind::Table(&ROUTING),
            Default("{ by = \"reads-to-slaves\" }"),
            "How the balancer spreads requests.",
        ),
        key("balancer", Name, Optional, "Through which balancer; needed where there are several."),
        key(
            "popularity",
            Kind::Table(&POPULARITY),
            Default("{ zipf = 0.8 }"),
            "Which users are asked for.",
        ),
        key(
            "credentials",
            Kind::Flag,
            Default("true"),
            "Whether they log in: else the server answers 401, unless the application is in its process.",
        ),
        key(
            "timeout",
            Time(MILLISECOND, YEAR),
            Default("10s"),
            "How long a client waits for an answer.",
        ),
        key("retry", Kind::Table(&RETRY), Optional, "What is tried again; nothing unless told."),
        key("skip", Counts(u32::MAX as u64), Optional, "Operations left out, by their index."),
        key("only", Counts(u32::MAX as u64), Optional, "The only operations not left out."),
    ],
};

pub(super) static OPERATION: Table = Table {
    name: "[[operation]]",
    about: "An operation of one's own, or a pattern for one of the workload.",
    keys: &[
        key("name", Name, Required, "Its name, for a mix."),
        key("about", Text, Optional, "What it does, in a sentence."),
        key(
            "pattern",
            Text,
            Optional,
            "One of the patterns in which the library has it, such as \"double-checked\".",
        ),
        key(
            "steps",
            Kind::Texts,
            Optional,
            "Its steps, instead of a pattern: a text for each statement.",
        ),
    ],
};

pub(super) static ARRIVALS: Table = Table {
    name: "arrivals",
    about: "When operations begin.",
    keys: &[
        key(
            "poisson",
            Kind::Rate(Rate::per_second(1_000_000)),
            Optional,
            "Independently of each other, at this rate; either this or `recorded`.",
        ),
        key(
            "recorded",
            Text,
            Optional,
            "As they were recorded: a file, plain or gzip, with a line for each: who, about whom, when in seconds; numbers, a header and comments after # may be there. Which operation it is, the mix says.",
        ),
        key(
            "speed",
            Count(1, 100_000_000),
            Default("1"),
            "Of `recorded`: by what it is played faster than it was recorded.",
        ),
        key(
            "start",
            Time(Span::ZERO, YEAR),
            Default("0s"),
            "Of `recorded`: when the first one is due.",
        ),
        later("bursts", "bursts"),
        later("daily", "a curve over the day"),
    ],
};

pub(super) static ROUTING: Table = Table {
    name: "routing",
    about: "How a balancer spreads requests.",
    keys: &[
        key(
            "by",
            Choice(
                &[
                    "reads-to-slaves",
                    "all-to-master",
                    "reads-to-all",
                    "consistency",
                    "sticky",
                    "range-sharding",
                    "hash-sharding",
                    "all-to-slaves",
                    "anywhere",
                ],
                &[],
            ),
            Required,
            "Which rule; writes go to the master but in the last two, where slaves forward them.",
        ),
        key(
            "read_after_write",
            Time(Span::ZERO, Span::from_secs(3600)),
            Optional,
            "Of `consistency`: for how long after its last write a user's reads go to the master.",
        ),
        key(
            "auth_lookup",
            Kind::Flag,
            Default("false"),
            "Whether each attempt that is about a user begins with the operation `auth` at the master, whatever the rule, which returns when the user last wrote. `consistency` goes by that; without, by what the application keeps in the user's session.",
        ),
    ],
};

pub(super) static POPULARITY: Table = Table {
    name: "popularity",
    about: "Which users are asked for.",
    keys: &[
        key(
            "zipf",
            Ratio(0, 10),
            Optional,
            "The exponent of a Zipf law; 0 is uniform. One of `zipf`, `degree` and `table`.",
        ),
        key(
            "degree",
            Kind::Flag,
            Optional,
            "Users in proportion to how many relationships they have at the start.",
        ),
        key(
            "table",
            Text,
            Optional,
            "A file that says how often users are asked for, as LinkBench has it: lines of a number and the percentage of users that are asked for so often or less.",
        ),
        key("section", Text, Optional, "Of `table`: the line after which it begins."),
    ],
};

pub(super) static RETRY: Table = Table {
    name: "retry",
    about: "What is tried again, and how.",
    keys: &[
        key(
            "on",
            Choices(&[
                "transient",
                "connection",
                "timeout",
                "503",
                "refused",
                "reset",
                "401",
                "Neo.TransientError.Transaction.DeadlockDetected",
                "Neo.TransientError.General.DatabaseUnavailable",
                "Neo.TransientError.Transaction.Outdated",
                "Neo.TransientError.Schema.ModifiedConcurrently",
                "Neo.ClientError.Statement.EntityNotFound",
                "Neo.ClientError.Transaction.UnknownId",
                "Neo.ClientError.Transaction.ConcurrentRequest",
                "Neo.ClientError.Transaction.ValidationFailed",
                "Neo.ClientError.Schema.ConstraintViolation",
                "Neo.DatabaseError.Transaction.CouldNotWriteToLog",
                "Neo.DatabaseError.Statement.ExecutionFailure",
            ]),
            Required,
            "After which failures: \"transient\" is what Neo4j classifies so, and a balancer's 503; \"connection\" a refused or reset one; \"timeout\" the client's own; or single codes.",
        ),
        key("attempts", Count(1, 1000), Default("5"), "Attempts in all."),
        key(
            "backoff",
            Time(Span::ZERO, Span::from_secs(3600)),
            Default("50ms"),
            "The wait before the second attempt.",
        ),
        key("factor", Ratio(1, 100), Default("2.0"), "By what the wait grows each time."),
        key("jitter", Ratio(0, 1), Default("0.5"), "The part of the wait that is drawn anew."),
        key(
            "deadline",
            Time(Span::ZERO, Span::from_secs(86_400)),
            Optional,
            "No attempt begins so long after the operation was due; zero is the same as none.",
        ),
    ],
};

pub(super) static EXPECT: Table = Table {
    name: "[[expect]]",
    about: "Something that must hold.",
    keys: &[
        key("check", Choice(&crate::checks::NAMES, crate::checks::LATER), Required, "Which check."),
        key(
            "explained",
            Kind::Table(&EXPLAINED),
            Optional,
            "Of `acknowledged-writes-lost`: writes lost with a branch that was discarded; none unless told.",
        ),
        key(
            "of",
            Text,
            Optional,
            "Of `latency` and `availability`: a client, or one operation of it as \"CLIENT.OPERATION\". Of `read-your-writes` and `monotonic-reads`: a client; all of them unless told.",
        ),
        key(
            "stale",
            Kind::Table(&SHARE),
            Optional,
            "Of `read-your-writes` and `monotonic-reads`: the part of the reads that may miss something; none unless told.",
        ),
        key("p50", Kind::Table(&LIMIT), Optional, "Of `latency`: the median."),
        key("p90", Kind::Table(&LIMIT), Optional, "Of `latency`: the 90th percentile."),
        key("p99", Kind::Table(&LIMIT), Optional, "Of `latency`: the 99th percentile."),
        key("p999", Kind::Table(&LIMIT), Optional, "Of `latency`: the 99.9th percentile."),
        key(
            "within",
            Time(MILLISECOND, YEAR),
            Optional,
            "Of `recovers`: from the start of each fault. Of `stuck-transactions`: the longest that is right.",
        ),
        key("property", Text, Optional, "Which property of nodes the check is about."),
        key("type", Text, Optional, "Which type of relationships the check is about."),
        key(
            "direction",
            Choice(&["in", "out"], &[]),
            Default("in"),
            "Of `counter-equals-count`: whether relationships that end at the node are counted, or those that begin there.",
        ),
        key(
            "unless",
            Text,
            Optional,
            "Of `forbidden-pair`: the type of the relationships that exclude one the other way.",
        ),
        key(
            "unless_label",
            Text,
            Optional,
            "Of `forbidden-pair`: the label that excludes relationships to the node.",
        ),
        key(
            "status",
            Text,
            Optional,
            "Of `failed-operations`: the code, such as \"Neo.TransientError.Transaction.DeadlockDetected\".",
        ),
        key("store", Text, Optional, "Of `stores-agree`: the name of the second store."),
        key(
            "found",
            Kind::Table(&FOUND),
            Optional,
            "How often the check may find what it looks for; never unless told.",
        ),
        key("lasts", Kind::Table(&LIMIT), Optional, "Of `two-masters`: the longest time with two."),
        key(
            "outage",
            Kind::Table(&LIMIT),
            Optional,
            "Of `availability`: the longest time without a success, between warm-up and the end of the duration.",
        ),
        key(
            "lag",
            Kind::Table(&LIMIT),
            Optional,
            "Of `slave-lag`: the longest time for which a slave lacked something.",
        ),
        key(
            "event",
            Choice(super::faults::EVENTS, &[]),
            Optional,
            "Of `happens`: what is counted.",
        ),
        key("count", Kind::Table(&EVENTS), Optional, "Of `happens`: how often."),
        key(
            "seeds",
            SeedRule,
            Default("every"),
            "How a campaign judges it: it must hold for \"every\" seed, for \"any\", or for a part of them, such as \">= 95%\".",
        ),
    ],
};

pub(super) static EXPLAINED: Table = Table {
    name: "explained",
    about: "Writes lost with a branch that was discarded.",
    keys: &[
        key("max", Count(0, u64::MAX), Optional, "How many are accepted; none unless told."),
        key("min", Count(0, u64::MAX), Optional, "How many there must be at the least."),
    ],
};

pub(super) static FOUND: Table = Table {
    name: "found",
    about: "How often a check finds what it looks for.",
    keys: &[
        key("max", Count(0, u64::MAX), Optional, "At the most."),
        key("min", Count(0, u64::MAX), Optional, "At the least."),
    ],
};

pub(super) static EVENTS: Table = Table {
    name: "count",
    about: "How often something happens.",
    keys: &[
        key("max", Count(0, u64::MAX), Optional, "At the most."),
        key("min", Count(0, u64::MAX), Optional, "At the least."),
    ],
};

pub(super) static SHARE: Table = Table {
    name: "stale",
    about: "The part of the reads that may be stale.",
    keys: &[
        key("max", Ratio(0, 1), Optional, "At the most, such as \"0.1%\"."),
        key("min", Ratio(0, 1), Optional, "At the least."),
    ],
};

pub(super) static LIMIT: Table = Table {
    name: "limit",
    about: "The limit of a time.",
    keys: &[
        key("max", Time(Span::ZERO, YEAR), Optional, "At the most."),
        key("min", Time(Span::ZERO, YEAR), Optional, "At the least."),
    ],
};

pub(super) static SWEEP: Table = Table {
    name: "[sweep]",
    about: "What `wavetank sweep` varies; everything else plays the scenario as it stands.",
    keys: &[
        key(
            "vary",
            Kind::Grid,
            Required,
            "Lists of values by setting or path, such as \"ha.pull_interval\" = [\"100ms\", \"2s\"]; every combination is a point, and the last key varies fastest.",
        ),
        key("seeds", Count(1, 1_000_000), Default("20"), "The seeds of each point, from 0."),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_vocabulary::Status;

    #[test]
    fn whatever_an_attempt_can_fail_with_can_be_tried_again() {
        let on = RETRY.keys.iter().find(|key| key.name == "on").expect("it is there");
        let Choices(names) = on.kind else { panic!("a list of choices") };
        for status in Status::ALL {
            let gives_up = matches!(status, Status::Ok | Status::Aborted);
            assert_ne!(names.contains(&status.seen_as()), gives_up, "{status:?}");
        }
    }
}
