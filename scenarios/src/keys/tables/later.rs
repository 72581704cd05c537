//! Tables that can be written and not be played yet.

use super::{Kind, MILLISECOND, Need, Table, YEAR, key};
use Kind::{Choice, Time};
use Need::{Optional, Required};
use wavetank_vocabulary::{Rate, Span};

pub(super) static OPERATIONS: Table = Table {
    name: "[[operations]]",
    about: "What operators do while it runs.",
    keys: &[
        key(
            "backup",
            Choice(&["master", "slave", "round-robin"], &[]),
            Optional,
            "Whose store is backed up.",
        ),
        key("every", Time(MILLISECOND, YEAR), Required, "How often."),
    ],
};

pub(super) static TARGETS: Table = Table {
    name: "[targets]",
    about: "What a search for a cluster aims at.",
    keys: &[
        key("load", Kind::Rate(Rate::per_second(1_000_000)), Required, "Operations in all."),
        key("p99", Time(Span::ZERO, YEAR), Optional, "The 99th percentile of latency."),
        key("machines", Kind::Texts, Optional, "The machines to choose from."),
    ],
};
