//! What faults do to disks, clocks and page caches.

use wavetank_vocabulary::{FaultKind, Observer, Ratio, Span};

use super::{ActiveFault, FaultPlan};
use crate::disk::DiskIll;
use crate::event::Event;
use crate::machine::ClockIll;
use crate::world::World;

impl<O: Observer> World<O> {
    pub(super) fn disk_fault_begins(&mut self, fault: u16, plan: &FaultPlan, active: &ActiveFault) {
        let factor = plan.strength.factor.unwrap_or(Ratio::new(1, 1));
        let ill = match plan.kind {
            FaultKind::SlowDisk => DiskIll::Slow(factor),
            FaultKind::StallDisk => DiskIll::Stalled,
            FaultKind::IopsCap => DiskIll::Iops(plan.strength.iops.unwrap_or(1)),
            FaultKind::FullDisk => DiskIll::Full,
            FaultKind::BitFlip => DiskIll::BitFlip,
            FaultKind::LogDamage => DiskIll::LogDamage,
            FaultKind::ReadError => DiskIll::ReadError,
            FaultKind::WriteError => DiskIll::WriteError,
            FaultKind::SyncError => DiskIll::SyncError,
            FaultKind::LostWrite => DiskIll::LostWrite,
            FaultKind::MisdirectedWrite => DiskIll::MisdirectedWrite,
            FaultKind::TornWrite => DiskIll::TornWrite,
            FaultKind::BadTransfer => DiskIll::BadTransfer,
            FaultKind::MisdirectedRead => DiskIll::MisdirectedRead,
            FaultKind::LyingSync => DiskIll::LyingSync,
            FaultKind::ReadOnly => DiskIll::ReadOnly,
            _ => DiskIll::Gone,
        };
        for (place, on) in (0..).zip(active.on.iter().copied()) {
            let stream = self.streams.stream("fault-disk", [u64::from(plan.id.0), place, 0]);
            self.machines[usize::from(on)].disk.sicken(fault, ill, stream);
        }
    }

    /// The disk is as good as new, and the operator starts what had given up.
    pub(super) fn disk_fault_ends(&mut self, fault: u16, active: &ActiveFault) {
        for on in active.on.iter().copied() {
            let machine = &mut self.machines[usize::from(on)];
            let life = machine.life;
            for (op, at) in machine.disk.cure(fault, self.kernel.now()) {
                // What it was due at before finds it gone.
                self.kernel.schedule(at, Event::DiskDone { instance: on, life, op });
            }
            self.kernel.schedule_in(Span::ZERO, Event::Start { instance: on });
        }
    }

    pub(super) fn clock_fault_begins(
        &mut self,
        fault: u16,
        plan: &FaultPlan,
        active: &ActiveFault,
    ) {
        for on in &active.on {
            let ill = clock_ill(plan, active);
            self.machines[usize::from(*on)].clock.push((fault, ill));
        }
    }

    pub(super) fn clock_fault_ends(&mut self, fault: u16, active: &ActiveFault) {
        for on in &active.on {
            self.machines[usize::from(*on)].clock.retain(|(of, _)| *of != fault);
        }
    }

    /// The clock jumps, there or back.
    pub(super) fn clock_fault_turns(
        &mut self,
        fault: u16,
        plan: &FaultPlan,
        active: &ActiveFault,
    ) -> bool {
        if active.turns % 2 == 1 {
            self.clock_fault_ends(fault, active);
        } else {
            self.clock_fault_begins(fault, plan, active);
        }
        true
    }

    /// A page cache is left with part of its frames, or has them back.
    pub(super) fn cache_fault_changes(
        &mut self,
        fault: u16,
        active: &ActiveFault,
        part: Option<Ratio>,
    ) {
        for on in active.on.iter().copied() {
            let parts = &mut self.machines[usize::from(on)].cache_parts;
            match part {
                Some(part) => parts.push((fault, part)),
                None => parts.retain(|(of, _)| *of != fault),
            }
            let frames = self.frames(on);
            if let Some(process) = &mut self.machines[usize::from(on)].instance {
                process.limit_frames(frames);
            }
        }
    }
}

fn clock_ill(plan: &FaultPlan, active: &ActiveFault) -> ClockIll {
    let backwards = plan.strength.backwards == Some(true);
    match plan.kind {
        FaultKind::ClockDrift => ClockIll::Drift {
            part: plan.strength.part.unwrap_or(Ratio::ZERO),
            backwards,
            since: active.began,
        },
        _ => ClockIll::Offset { by: plan.strength.by.unwrap_or(Span::ZERO), backwards },
    }
}
