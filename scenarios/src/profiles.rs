//! Machines by name: what a cloud's own tables say about them.

use wavetank_vocabulary::Bytes;

/// A kind of machine.
#[derive(Debug)]
pub struct Profile {
    /// The name that scenarios use.
    pub name: &'static str,
    /// Virtual processors.
    pub cores: u32,
    /// Physical memory.
    pub memory: Bytes,
    /// Megabits per second reserved for disks when EBS-optimised; none where that is not
    /// on offer.
    pub disk_mbit: Option<u32>,
}

const fn profile(
    name: &'static str,
    cores: u32,
    memory_mib: u64,
    disk_mbit: Option<u32>,
) -> Profile {
    Profile { name, cores, memory: Bytes::mib(memory_mib), disk_mbit }
}

/// The known machines. Source: Amazon EC2, "Previous Generation Instances" (vCPU and GiB)
/// and "EBS-optimized instance types" (dedicated bandwidth in Mbps).
pub static PROFILES: &[Profile] = &[
    profile("aws:m3.medium", 1, 3_840, None),
    profile("aws:m3.large", 2, 7_680, None),
    profile("aws:m3.xlarge", 4, 15_360, Some(500)),
    profile("aws:m3.2xlarge", 8, 30_720, Some(1_000)),
    profile("aws:c3.large", 2, 3_840, None),
    profile("aws:c3.xlarge", 4, 7_680, Some(500)),
    profile("aws:c3.2xlarge", 8, 15_360, Some(1_000)),
    profile("aws:c3.4xlarge", 16, 30_720, Some(2_000)),
    profile("aws:r3.large", 2, 15_616, None),
    profile("aws:r3.xlarge", 4, 31_232, Some(500)),
    profile("aws:r3.2xlarge", 8, 62_464, Some(1_000)),
    profile("aws:r3.4xlarge", 16, 124_928, Some(2_000)),
    profile("aws:r3.8xlarge", 32, 249_856, None),
    profile("aws:i2.xlarge", 4, 31_232, Some(500)),
    profile("aws:i2.2xlarge", 8, 62_464, Some(1_000)),
    profile("aws:i2.4xlarge", 16, 124_928, Some(2_000)),
    profile("aws:i2.8xlarge", 32, 249_856, None),
];

/// The machine of that name.
pub(crate) fn by_name(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}
