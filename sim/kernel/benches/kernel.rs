//! Event queues and the whole kernel on two workloads, in interleaved rounds: prints a table
//! of medians, and of ratios to a plain binary heap measured in the same rounds.
//!
//! `cargo bench -p wavetank-kernel --bench kernel`, or with `-- PHOLD` after it only the
//! workloads whose name contains that.

mod queues;
mod table;
mod workloads;

use queues::{Calendar, PlainHeap, QuadHeap};
use table::Table;
use wavetank_kernel::EventQueue;
use workloads::{
    Event, descending, equal, far, fill_and_drain, kernel_mesh, kernel_phold, mesh, phold,
    short_streams,
};

const ROUNDS: usize = 7;

/// The time of the n-th of so many events.
type Schedule = fn(u64, u64) -> u64;

fn main() {
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let mut table = Table::new(ROUNDS, only.unwrap_or_default());
    // Padding of the event in words: 2 and 5 words in all.
    queues_by_workload::<0>(&mut table, "16 B");
    queues_by_workload::<3>(&mut table, "40 B");
    // The calendar is left out: events of one time share a day, and it becomes quadratic.
    let schedules: [(&str, Schedule); 3] =
        [("descending", descending), ("all equal", equal), ("all magnitudes", far)];
    for (name, fill) in schedules {
        let count = 200_000;
        table.workload(
            &format!("{name}, 200,000 at once, 40 B"),
            &mut [
                ("plain heap", &mut || fill_and_drain::<PlainHeap<Event<3>>>(count, fill)),
                ("quad heap", &mut || fill_and_drain::<QuadHeap<Event<3>>>(count, fill)),
                ("ladder", &mut || fill_and_drain::<EventQueue<Event<3>>>(count, fill)),
            ],
        );
    }
    for (name, nodes, messages) in [("mesh 10", 10, 2_000_000), ("mesh 100", 100, 1_500_000)] {
        table.workload(
            &format!("{name}, all on, 40 B"),
            &mut [
                ("plain heap", &mut || mesh::<PlainHeap<Event<3>>, 3>(nodes, messages, false)),
                ("kernel", &mut || kernel_mesh(nodes, messages)),
            ],
        );
    }
    for (pending, events) in [(1024, 1_500_000), (65_536, 1_000_000)] {
        table.workload(
            &format!("PHOLD {pending}, all on, 40 B"),
            &mut [
                ("plain heap", &mut || phold::<PlainHeap<Event<3>>, 3>(pending, events)),
                ("kernel", &mut || kernel_phold(pending, events)),
            ],
        );
    }
    table.workload(
        "streams made for 4 numbers each",
        &mut [
            ("rand_chacha", &mut || short_streams(200_000, false)),
            ("kernel", &mut || short_streams(200_000, true)),
        ],
    );
    table.print();
}

fn queues_by_workload<const PAD: usize>(table: &mut Table, size: &str) {
    let meshes = [
        ("mesh 10", 10, 2_000_000, false),
        ("mesh 10, eager", 10, 1_500_000, true),
        ("mesh 100", 100, 1_500_000, false),
    ];
    for (name, nodes, messages, eager) in meshes {
        table.workload(
            &format!("{name}, {size}"),
            &mut [
                ("plain heap", &mut || mesh::<PlainHeap<Event<PAD>>, PAD>(nodes, messages, eager)),
                ("quad heap", &mut || mesh::<QuadHeap<Event<PAD>>, PAD>(nodes, messages, eager)),
                ("calendar", &mut || mesh::<Calendar<Event<PAD>>, PAD>(nodes, messages, eager)),
                ("ladder", &mut || mesh::<EventQueue<Event<PAD>>, PAD>(nodes, messages, eager)),
            ],
        );
    }
    for (pending, events) in [(1024, 1_500_000), (65_536, 1_000_000)] {
        table.workload(
            &format!("PHOLD {pending}, {size}"),
            &mut [
                ("plain heap", &mut || phold::<PlainHeap<Event<PAD>>, PAD>(pending, events)),
                ("quad heap", &mut || phold::<QuadHeap<Event<PAD>>, PAD>(pending, events)),
                ("calendar", &mut || phold::<Calendar<Event<PAD>>, PAD>(pending, events)),
                ("ladder", &mut || phold::<EventQueue<Event<PAD>>, PAD>(pending, events)),
            ],
        );
    }
}
