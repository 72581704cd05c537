//! A profile: what `wavetank calibrate` measured on a machine, in a file of its own.

use super::{COSTS, Kind, Table, key};
use crate::keys::Need::{Default, Optional};
use Kind::{Bandwidth, Count, Distribution, Text};

/// The keys of a profile file.
pub static PROFILE: Table = Table {
    name: "profile file",
    about: "What a machine was measured to do, as `wavetank calibrate` writes it. A scenario that names it as its `profile` has these figures in place of its own: those of the machines' cores, of all volumes, of the network within a data centre, and the cost table.",
    keys: &[
        key("about", Text, Default(""), "Where the figures come from."),
        key("machine", Kind::Table(&MACHINE), Optional, "The machine."),
        key("costs", Kind::Table(&COSTS), Optional, "What a step costs in core time."),
        key("volume", Kind::Table(&VOLUME), Optional, "The disk; its size is the scenario's."),
        key("network", Kind::Table(&NETWORK), Optional, "The network within a data centre."),
    ],
};

static MACHINE: Table = Table {
    name: "[machine]",
    about: "The machine of a profile; its memory is the scenario's.",
    keys: &[
        key("name", Text, Default("calibrated"), "What reports call the machine."),
        key("cores", Count(1, 1024), Optional, "Virtual processors."),
    ],
};

static VOLUME: Table = Table {
    name: "[volume]",
    about: "The disk of a profile.",
    keys: &[
        key("iops", Count(1, 10_000_000), Optional, "Operations per second."),
        key("throughput", Bandwidth, Optional, "Bytes per second."),
        key("access", Distribution, Optional, "Time of a page read or write, without queueing."),
        key("sync", Distribution, Optional, "Time of a sync, without queueing."),
    ],
};

static NETWORK: Table = Table {
    name: "[network] of a profile",
    about: "The network of a profile.",
    keys: &[
        key("latency", Distribution, Optional, "One way."),
        key("bandwidth", Bandwidth, Optional, "Of each link."),
    ],
};
