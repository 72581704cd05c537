//! The state machines of the table, and what its page says of them.

/// How the page begins.
pub(crate) const INTRODUCTION: &str = "\
# What each state machine answers

Instance 2 of the initial hosts 1 to 4 is put into each state and given each message; 1 to 3
are members, 1 is coordinator, version 2.3.6. The test `sim/cluster/tests/states.rs` drives the
real machines through every row and compares the answer, so that each cell is tested there.
The state *entered* of the cluster is the working state of all other machines. *Ignored* means
that nothing is sent, no timer moves and no state changes; such a message does come from peers
that are slow, restarted or wrong. Answers to oneself are handled within the step and do not
show.
";

/// The machines in the order of the page: key, title, remarks.
pub(crate) const MACHINES: &[(&str, &str, &str)] = &[
    (
        "cluster",
        "Cluster membership",
        "`createResponse`, `joinResponse` and `leaveResponse` of the original are the return of a call; here the effects say the same. `joining` is part of `configurationRequest`; `joinFailure` is the failed start. Who asks from another address asked from its first one before. `MemberAt(3)` tells where a member is of which the configuration said only that it moved; the configuration of the original says both.",
    ),
    (
        "heartbeat",
        "Heartbeat",
        "`join` and `leave` are those of the cluster; `reset_send_heartbeat` is the timer that every message puts off.",
    ),
    (
        "proposer",
        "Proposer",
        "The states of a Paxos instance are p1_pending and p2_pending; p1_ready lasts no longer than the step in which the quorum is there, and one that is closed or delivered is no longer booked.",
    ),
    (
        "acceptor",
        "Acceptor",
        "In state promised it has promised ballot 2001 in that Paxos instance.",
    ),
    (
        "learner",
        "Learner",
        "In state hole it knows instance 6 and lacks instance 5. `learnRequest` asks for instance 6. `catchUp` is caused by a heartbeat that says that its sender has learned more: see *i_am_alive of 1, ahead*.",
    ),
    (
        "broadcast",
        "Atomic broadcast",
        "The value that is broadcast is that 2 leaves; at `broadcastTimeout` it is what 2 last said of itself, if that is not learned: in state announced that it is slave, without a majority that it is not available. In the states start and joining it had announced itself before it left. `broadcastResponse` is the delivery of a value: see the rows of the cluster and of the role. `failed` is the last phase1Timeout.",
    ),
    (
        "election",
        "Election",
        "`created`, `join` and `leave` are those of the cluster, `promote` is the delivery of the result (masterIsElected). In state elector, instance 1 has failed and 2 counts.",
    ),
    ("snapshot", "Snapshot", ""),
    (
        "role",
        "HA member",
        "`memberIsAlive` is the heartbeat's row. `memberIsUnavailable` of itself has none: such a word is outdated, and is answered with the newer one (`docs/model.md`). Version 2.3.6: in 2.3.0 what is illegal is only logged.",
    ),
];
