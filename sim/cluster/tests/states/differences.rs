//! Where the other versions answer otherwise than 2.3.6: the same members, made by the same
//! inputs, and the same messages.

/// How the section begins.
pub(crate) const INTRODUCTION: &str = "
## Where other versions answer otherwise

The cells that differ from 2.3.6 (above); in all others, the answers are the same. The members
are made by the same inputs: one that 2.3.6 calls *detached* is still a slave in 2.2 and 2.3.0.
The wait for a sign of life, 40 s in 3.2, shows in no cell; what a cluster of two does in 3.2 is
in `sim/cluster/tests/versions.rs`.

| version | machine | state | message | answer |
|---|---|---|---|---|
";

/// Versions, machine, state, message, answer.
pub(crate) type Difference = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// All of them, in the order of the cells.
pub(crate) const DIFFERENCES: &[Difference] = &[
    (
        "2.2, 2.3.0",
        "role",
        "entered",
        "memberIsFailed, no majority left",
        "Suspicions to 1, 3, 1, 3",
    ),
    ("2.2, 2.3.0", "role", "TO_MASTER", "masterIsAvailable(1)", "notes it"),
    ("2.2, 2.3.0", "role", "TO_MASTER", "masterIsAvailable(3)", "notes it"),
    (
        "2.2, 2.3.0",
        "role",
        "TO_MASTER",
        "memberIsFailed, no majority left",
        "Suspicions to 1, 3, 1, 3",
    ),
    ("2.2, 2.3.0", "role", "MASTER", "masterIsAvailable(1)", "notes it"),
    ("2.2, 2.3.0", "role", "MASTER", "masterIsAvailable(3)", "notes it"),
    (
        "2.2, 2.3.0",
        "role",
        "MASTER",
        "memberIsFailed, no majority left",
        "Suspicions to 1, 3, 1, 3",
    ),
    ("2.2, 2.3.0", "role", "TO_SLAVE", "masterIsAvailable(3)", "notes it"),
    (
        "2.2, 2.3.0",
        "role",
        "TO_SLAVE",
        "memberIsFailed, no majority left",
        "Suspicions to 1, 3, 1, 3",
    ),
    ("2.2, 2.3.0", "role", "SLAVE", "masterIsAvailable(3)", "notes it"),
    (
        "2.2, 2.3.0",
        "role",
        "SLAVE",
        "memberIsFailed(1), a majority left",
        "Suspicions to 1, 3; Vote to 3; arms Election; failed: 1; coordinator: none",
    ),
    ("2.2, 2.3.0", "role", "SLAVE", "memberIsFailed, no majority left", "Suspicions to 1, 3, 1, 3"),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "masterIsElected(me)",
        "Prepare to 3; arms Broadcast; arms Paxos; coordinator: 2; role: to master",
    ),
    ("2.2, 2.3.0", "role", "detached", "masterIsElected(1)", "coordinator: 1"),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "masterIsElected(3)",
        "Propose to 3; arms Broadcast; coordinator: 3; role: pending",
    ),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "masterIsAvailable(me)",
        "Prepare to 3; arms Broadcast; arms Paxos",
    ),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "masterIsAvailable(1)",
        "Prepare to 3; arms Broadcast; arms Paxos",
    ),
    ("2.2, 2.3.0", "role", "detached", "masterIsAvailable(3)", "notes it"),
    ("2.2, 2.3.0", "role", "detached", "slaveIsAvailable(me)", "notes it"),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "memberIsFailed, no majority left",
        "Suspicions to 3, 3; arms Broadcast; arms Election; failed: 1, 3; role: pending",
    ),
    (
        "2.2, 2.3.0",
        "role",
        "detached",
        "InvalidEpoch",
        "Prepare to 3; arms Broadcast; arms Paxos; role: pending",
    ),
    (
        "2.2, 2.3.0",
        "role",
        "ARBITER",
        "memberIsFailed, no majority left",
        "Suspicions to 1, 3, 1, 3",
    ),
];
