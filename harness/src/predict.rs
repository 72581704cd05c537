//! What the simulator says beforehand of a soak: the same scenario on a machine as it was
//! calibrated, with the soak's clock.

use wavetank_kernel::Distribution;
use wavetank_vocabulary::{Bytes, Span};
use wavetank_world::Plan;

/// Makes of a Plan, drawn with a profile of this machine, one that runs as a soak does:
///
/// * one thread does all work of an instance, so it has one core;
/// * when the clock of a run goes faster than the real one, everything that hardware does takes so
///   many times as long on that clock.
pub fn as_soaked(plan: &mut Plan, time_scale: f64) {
    let longer =
        |span: Span| Span::from_nanos((span.as_nanos() as f64 * time_scale).round() as u64);
    let fewer = |bytes: Bytes| Bytes(((bytes.0 as f64 / time_scale) as u64).max(1));
    for instance in &mut plan.instances {
        instance.cores = 1;
        let volume = &mut instance.volume;
        volume.iops = ((f64::from(volume.iops) / time_scale) as u32).max(1);
        volume.throughput = fewer(volume.throughput);
        volume.access = stretched(volume.access, longer);
        volume.sync = stretched(volume.sync, longer);
    }
    let network = &mut plan.network;
    network.local = stretched(network.local, longer);
    network.bandwidth = fewer(network.bandwidth);
    // On loopback every way is alike.
    network.links.clear();
    let costs = &mut plan.costs;
    for cost in [
        &mut costs.step,
        &mut costs.record,
        &mut costs.hit,
        &mut costs.fault,
        &mut costs.logged_kib,
    ] {
        *cost = longer(*cost);
    }
}

/// A distribution whose every value is changed in proportion.
fn stretched(all: Distribution, longer: impl Fn(Span) -> Span) -> Distribution {
    match all {
        Distribution::Constant(span) => Distribution::Constant(longer(span)),
        Distribution::Uniform { low, high } => {
            Distribution::Uniform { low: longer(low), high: longer(high) }
        }
        Distribution::Exponential { mean } => Distribution::Exponential { mean: longer(mean) },
        Distribution::Normal { mean, deviation } => {
            Distribution::Normal { mean: longer(mean), deviation: longer(deviation) }
        }
        Distribution::LogNormal { median, sigma } => {
            Distribution::LogNormal { median: longer(median), sigma }
        }
        Distribution::Pareto { scale, shape } => {
            Distribution::Pareto { scale: longer(scale), shape }
        }
        Distribution::Quantiles(values) => Distribution::Quantiles(values.map(longer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank_scenario::parse;

    #[test]
    fn a_faster_clock_makes_hardware_slower() {
        let text = "format = 1\nduration = \"10s\"\n[[group]]\ncount = 2\n\
                    machine = \"aws:r3.xlarge\"\n[costs]\nstep = \"100us\"\n";
        let scenario = parse("x.toml", text).expect("it is sound");
        let drawn = scenario.draw(1, &mut |_| unreachable!("no edge list")).expect("it is drawn");
        let mut plan = drawn.clone();
        as_soaked(&mut plan, 4.0);
        assert_eq!(plan.costs.step, drawn.costs.step * 4);
        assert_eq!(plan.instances[1].cores, 1);
        assert_eq!(plan.instances[1].volume.iops, drawn.instances[1].volume.iops / 4);
        let (now, before) = (plan.network.local, drawn.network.local);
        let Distribution::LogNormal { median, sigma } = before else { panic!("{before:?}") };
        assert_eq!(now, Distribution::LogNormal { median: median * 4, sigma });
        // Timeouts and arrivals are those of the run's clock.
        assert_eq!((plan.settings, plan.clients), (drawn.settings, drawn.clients));
    }
}
