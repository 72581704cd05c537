//! Test vectors (bit patterns), moments, and the probabilities of discrete values.

use super::*;
use crate::streams::Streams;
use alloc::vec::Vec;

fn stream(n: u64) -> Stream {
    Streams::new(42).stream("distribution", [n, 0, 0])
}

/// Mean and standard deviation of `n` samples.
fn moments(n: u32, mut sample: impl FnMut() -> f64) -> (f64, f64) {
    let values: Vec<f64> = (0..n).map(|_| sample()).collect();
    let mean = values.iter().sum::<f64>() / f64::from(n);
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, libm::sqrt(squares / f64::from(n)))
}

fn near(value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{value} is not {expected} ± {tolerance}");
}

#[test]
fn spans_have_the_moments_of_their_distribution() {
    let ms = Span::from_millis;
    let e = core::f64::consts::E;
    let cases = [
        (Distribution::Constant(ms(7)), 7.0, 0.0),
        (Distribution::Uniform { low: ms(2), high: ms(8) }, 5.0, 6.0 / libm::sqrt(12.0)),
        (Distribution::Exponential { mean: ms(3) }, 3.0, 3.0),
        (Distribution::Normal { mean: ms(50), deviation: ms(4) }, 50.0, 4.0),
        (
            Distribution::LogNormal { median: ms(10), sigma: 0.5 },
            10.0 * libm::exp(0.125),
            10.0 * libm::sqrt((libm::pow(e, 0.25) - 1.0) * libm::pow(e, 0.25)),
        ),
        (Distribution::Pareto { scale: ms(3), shape: 6.0 }, 3.6, 3.6 / libm::sqrt(24.0)),
    ];
    for (distribution, mean, deviation) in cases {
        let mut stream = stream(1);
        let (m, d) = moments(100_000, || distribution.sample(&mut stream).as_millis_f64());
        // The mean within four standard errors, the deviation within five per cent.
        near(m, mean, 4.0 * deviation / libm::sqrt(1e5) + 1e-9);
        near(d, deviation, 0.05 * deviation + 1e-9);
    }
}

#[test]
fn samples_stay_within_their_bounds() {
    let mut stream = stream(2);
    let (low, high) = (Span::from_nanos(3), Span::from_nanos(5));
    let mut seen = [false; 6];
    for _ in 0..200 {
        let uniform = Distribution::Uniform { low, high }.sample(&mut stream);
        assert!(low <= uniform && uniform <= high);
        seen[uniform.as_nanos() as usize] = true;
        let wide = Distribution::Normal { mean: low, deviation: Span::from_secs(1) };
        assert!(wide.sample(&mut stream) < Span::from_secs(10));
        assert!(Distribution::Pareto { scale: low, shape: 0.01 }.sample(&mut stream) >= low);
    }
    assert_eq!(&seen[3..], [true; 3]);
    let turned = Distribution::Uniform { low: high, high: low };
    assert_eq!(turned.sample(&mut stream), high);
    let all = Distribution::Uniform { low: Span::ZERO, high: Span::FOREVER };
    assert!(all.sample(&mut stream) > Span::from_secs(1));
}

#[test]
fn measured_quantiles_come_back() {
    // A disk that is fast or slow, and little in between.
    let micros = [200, 210, 230, 260, 300, 4_000, 4_500, 9_000, 20_000];
    let measured = Distribution::Quantiles(micros.map(Span::from_micros));
    let mut stream = stream(3);
    let mut values: Vec<Span> = (0..100_000).map(|_| measured.sample(&mut stream)).collect();
    values.sort_unstable();
    assert!(values[0] >= Span::from_micros(200) && values[99_999] <= Span::from_micros(20_000));
    for (quantile, expected) in QUANTILES.into_iter().zip(micros).skip(1).take(7) {
        // Between the neighbours that are four standard errors away.
        let share = quantile as f64 / 1e3;
        let error = 4.0 * libm::sqrt(share * (1.0 - share) / 1e5);
        let at = |share: f64| values[((share * 1e5) as usize).min(99_999)];
        let expected = Span::from_micros(expected);
        assert!(at(share - error) <= expected && expected <= at(share + error), "{quantile}");
    }
}

#[test]
fn quantiles_take_any_values() {
    let mut stream = stream(4);
    let mut all = [Span::from_nanos(7); QUANTILES.len()];
    assert_eq!(Distribution::Quantiles(all).sample(&mut stream), all[0], "all the same");
    all[4] = Span::ZERO;
    all[8] = Span::FOREVER;
    let far = (0..20_000).filter(|_| Distribution::Quantiles(all).sample(&mut stream) > all[0]);
    assert!((1..60).contains(&far.count()), "a thousandth lies behind the last but one");
    // A straight line is cut exactly.
    let line = Distribution::Quantiles(QUANTILES.map(|n| Span::from_nanos(n << 32)));
    let mut places = stream.clone();
    for _ in 0..2_000 {
        let place = places.up_to((1_000 << 32) - 1);
        assert_eq!(line.sample(&mut stream), Span::from_nanos(place));
    }
}

#[test]
fn the_normal_quantile_inverts_the_normal_distribution() {
    let below = |x: f64| 0.5 * libm::erfc(-x / core::f64::consts::SQRT_2);
    for n in 1..2000 {
        let p = f64::from(n) / 2000.0;
        near(below(normal_quantile(p)), p, 1e-15);
    }
    for exponent in 4..300 {
        let p = libm::pow(10.0, -f64::from(exponent));
        near(below(normal_quantile(p)) / p, 1.0, 1e-11);
    }
    assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(normal_quantile(1.0), f64::INFINITY);
    near(normal_quantile(0.975), 1.959_963_984_540_054, 1e-15);
}

/// Pearson's statistic of observed counts against probabilities, per degree of freedom.
fn misfit(counts: &[u32], probability: impl Fn(usize) -> f64) -> f64 {
    let total: f64 = counts.iter().map(|&n| f64::from(n)).sum();
    let cells: Vec<f64> = counts
        .iter()
        .enumerate()
        .map(|(k, &n)| (f64::from(n), total * probability(k)))
        .filter(|(_, expected)| *expected >= 5.0)
        .map(|(n, expected)| (n - expected) * (n - expected) / expected)
        .collect();
    cells.iter().sum::<f64>() / (cells.len() as f64 - 1.0)
}

#[test]
fn poisson_counts_have_their_probabilities() {
    for (n, mean) in [0.3, 4.0, 9.99, 10.0, 37.5, 900.0].into_iter().enumerate() {
        let mut stream = stream(10 + n as u64);
        let mut counts = [0u32; 1200];
        for _ in 0..60_000 {
            counts[poisson(&mut stream, mean) as usize] += 1;
        }
        let fit = misfit(&counts, |k| {
            libm::exp(k as f64 * libm::log(mean) - mean - libm::lgamma(k as f64 + 1.0))
        });
        assert!(fit < 2.2, "mean {mean}: {fit}");
    }
    let mut stream = stream(20);
    for nothing in [0.0, -1.0, f64::NAN] {
        assert_eq!(poisson(&mut stream, nothing), 0);
    }
    near(moments(2_000, || poisson(&mut stream, 1e12) as f64).0, 1e12, 1e5);
}

#[test]
fn zipf_ranks_have_their_probabilities() {
    for (n, exponent) in [0.0, 0.5, 0.99, 1.0, 1.000_000_001, 1.2, 3.0].into_iter().enumerate() {
        let zipf = Zipf::new(300, exponent);
        let mut stream = stream(30 + n as u64);
        let mut counts = [0u32; 300];
        for _ in 0..60_000 {
            counts[zipf.sample(&mut stream) as usize - 1] += 1;
        }
        let weight = |k: usize| libm::pow(k as f64 + 1.0, -exponent);
        let total: f64 = (0..300).map(weight).sum();
        let fit = misfit(&counts, |k| weight(k) / total);
        assert!(fit < 2.2, "exponent {exponent}: {fit}");
    }
    let mut stream = stream(40);
    assert_eq!(Zipf::new(0, 1.0).sample(&mut stream), 1);
    assert_eq!(Zipf::new(1, f64::NAN).sample(&mut stream), 1);
    let huge = Zipf::new(u64::MAX, 0.5);
    assert!((0..100).any(|_| huge.sample(&mut stream) > 1 << 60));
}

/// A golden value: it changes only in a commit that says why.
#[test]
fn values_are_the_same_on_every_machine() {
    let mut stream = stream(0);
    let mut bits = Vec::new();
    for _ in 0..3 {
        bits.push(stream.next_u64());
        bits.push(stream.unit().to_bits());
        bits.push(exponential(&mut stream).to_bits());
        bits.push(normal(&mut stream).to_bits());
        bits.push(pareto(&mut stream, 1.5).to_bits());
        bits.push(poisson(&mut stream, 3.0));
        bits.push(poisson(&mut stream, 300.0));
        bits.push(Zipf::new(1_000_000, 0.99).sample(&mut stream));
        let log_normal = Distribution::LogNormal { median: Span::from_millis(1), sigma: 0.4 };
        bits.push(log_normal.sample(&mut stream).as_nanos());
    }
    assert_eq!(bits, GOLDEN, "{bits:#x?}");
}

#[rustfmt::skip]
const GOLDEN: [u64; 27] = [
    0xad06_ff15_3417_64e8, 0x3fd5_3d84_5154_d716, 0x3fca_453f_c7cb_0bb5,
    0x3fd4_ec10_7e05_d080, 0x3ff9_0ce3_5b46_b5b2, 0x5, 0x123, 0x2c, 0x24_9af6,
    0x5b3c_39ae_04ef_cccf, 0x3fdb_21e2_914b_c6e6, 0x3fe1_1505_901b_ee77,
    0xbffb_8417_9f8e_0c7e, 0x3ff0_24a5_8cb9_0b94, 0x3, 0x10b, 0xa, 0x11_0fe0,
    0x0d9d_68c9_95ad_5675, 0x3fe1_a6c3_8496_e969, 0x3fbe_79f0_23d7_40b7,
    0x3ff0_d2f2_f270_97c7, 0x3ff3_8686_5cc2_f00c, 0x0, 0x135, 0x8d68, 0x10_3514,
];
