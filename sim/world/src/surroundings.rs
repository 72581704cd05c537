//! What faults make of links, disks, clocks and page caches of instances that run elsewhere: states
//! for whoever owns them to bring about. What has no state here, nobody does to a process.

use wavetank_vocabulary::{InstanceId, Observer, WALL_START_MS};

use crate::disk::DiskState;
use crate::network::LinkState;
use crate::world::World;

/// The surroundings of an instance, as faults have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Its wall clock is so many milliseconds ahead of the true one.
    pub wall_ahead_ms: i64,
    /// So many pages its cache may hold.
    pub frames: u64,
    /// Its disk.
    pub disk: DiskState,
}

impl<O: Observer> World<O> {
    /// What is wrong with a link between instances, by index.
    pub fn link(&self, from: usize, to: usize) -> LinkState {
        self.network.state(from, to)
    }

    /// The surroundings of an instance; none when there is no such instance.
    pub fn surroundings(&self, id: InstanceId) -> Option<Surroundings> {
        let index = self.index_of(id)?;
        let machine = &self.machines[usize::from(index)];
        // The fold over offsets wants a time to start from.
        let wall = machine.wall_ms(self.kernel.now(), WALL_START_MS);
        Some(Surroundings {
            wall_ahead_ms: wall.cast_signed() - WALL_START_MS.cast_signed(),
            frames: self.frames(index) as u64,
            disk: machine.disk.state(),
        })
    }

    /// A fault that lay in wait on the disk of an instance has struck there.
    pub fn outside_struck(&mut self, id: InstanceId, fault: u16) {
        let Some(on) = self.index_of(id) else { return };
        if self.machines[usize::from(on)].disk.has_struck(fault) {
            self.disk_fault_strikes(on, fault);
        }
    }
}
