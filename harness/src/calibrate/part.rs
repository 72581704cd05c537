//! The parts of a time that was measured as a whole: a request crosses several ways, and a write
//! waits for syncs besides, and only all of them together can be seen.

use wavetank_kernel::{Distribution, QUANTILES, Streams};
use wavetank_vocabulary::Span;

/// Values at [`QUANTILES`].
pub(super) type Quantiles = [Span; QUANTILES.len()];

/// Sums that are drawn: the 99th percentile rests on a hundredth of them.
const SUMS: usize = 8_192;
/// How much it matters that a sum's value at each of [`QUANTILES`] is right. Those that have goals
/// when runs are compared matter most; the ends are what a few samples happened to be.
const WEIGHTS: [f64; QUANTILES.len()] = [0.1, 1.0, 1.0, 2.0, 1.0, 1.0, 2.0, 0.5, 0.05];
/// By what factors the search begins to change a value, and where it ends (natural logarithms).
const STEPS: (f64, f64) = (0.7, 0.02);
/// No search takes longer. About 800 are enough for what machines do.
const TRIES: usize = 4_000;

/// The distribution so many independent draws of which take, together with so many of each of
/// `others`, about as long as `whole`.
///
/// It is searched for coordinate by coordinate (the rise from each quantile to the next), with
/// steps that are halved, so that the squared logarithms of what the quantiles of the sums are
/// beside are least; sums are drawn from always the same numbers. There is no exact answer for a
/// whole that is no sum of equal parts.
pub(super) fn part(whole: &Quantiles, of: usize, others: &[(Quantiles, usize)]) -> Quantiles {
    let wanted = whole.map(nanos);
    let mut rest = vec![0; SUMS];
    let mut stream = Streams::new(1).stream("calibrate others", [0; 3]);
    for (other, times) in others {
        let other = Distribution::Quantiles(*other);
        for sum in &mut rest {
            *sum += (0..*times).map(|_| other.sample(&mut stream).as_nanos()).sum::<u64>();
        }
    }
    let beside = |rises: &[f64; QUANTILES.len()]| {
        let sums = sums(&rest, &summed(rises), of);
        let each = sums.iter().zip(wanted).zip(WEIGHTS);
        each.map(|((sum, wanted), weight)| weight * (nanos(*sum) / wanted).ln().powi(2))
            .sum::<f64>()
    };
    let mut rises = [0.0; QUANTILES.len()];
    let usual = sums(&rest, &[Span::ZERO; QUANTILES.len()], 0).map(nanos);
    let mut before = 0.0;
    for ((rise, wanted), usual) in rises.iter_mut().zip(wanted).zip(usual) {
        // A rise of nothing could not be changed by a factor.
        let left = ((wanted - usual) / of as f64).max(before + 1.0);
        *rise = left - before;
        before = left;
    }
    let (mut step, least) = STEPS;
    let (mut best, mut tries) = (beside(&rises), 0);
    while step > least && tries < TRIES {
        let mut better = false;
        for index in 0..rises.len() {
            for factor in [step.exp(), (-step).exp()] {
                let mut tried = rises;
                tried[index] *= factor;
                let found = beside(&tried);
                tries += 1;
                if found < best {
                    (best, rises, better) = (found, tried, true);
                    break;
                }
            }
        }
        if !better {
            step /= 2.0;
        }
    }
    summed(&rises)
}

/// Nanoseconds, one at the least: zero has no logarithm.
fn nanos(span: Span) -> f64 {
    span.as_nanos().max(1) as f64
}

fn summed(rises: &[f64; QUANTILES.len()]) -> Quantiles {
    let mut value = 0.0;
    rises.map(|rise| {
        value += rise;
        Span::from_nanos((value.round() as u64).max(1))
    })
}

/// The quantiles of sums of so many draws, each beside the rest of a sum.
fn sums(rest: &[u64], one: &Quantiles, of: usize) -> Quantiles {
    let one = Distribution::Quantiles(*one);
    let mut stream = Streams::new(1).stream("calibrate", [0; 3]);
    let mut more = || (0..of).map(|_| one.sample(&mut stream).as_nanos()).sum::<u64>();
    let mut sums: Vec<u64> = rest.iter().map(|rest| rest + more()).collect();
    sums.sort_unstable();
    let last = sums.len() - 1;
    QUANTILES.map(|thousandths| Span::from_nanos(sums[last * thousandths as usize / 1_000]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_what_was_measured() {
        // Requests of quiet and of busy machines: narrow, with a tail that is far away.
        let wholes: [[u64; QUANTILES.len()]; 3] = [
            [150, 200, 240, 294, 360, 564, 5_670, 32_000, 60_000],
            [200, 240, 260, 300, 340, 400, 900, 3_000, 8_000],
            [150, 200, 240, 285, 330, 450, 1_280, 6_000, 20_000],
        ];
        for whole in wholes {
            let whole = whole.map(Span::from_micros);
            let one = Distribution::Quantiles(part(&whole, 4, &[]));
            let mut stream = Streams::new(7).stream("test", [0; 3]);
            let sum = |_| (0..4).map(|_| one.sample(&mut stream).as_nanos()).sum::<u64>();
            let mut sums: Vec<u64> = (0..40_000).map(sum).collect();
            sums.sort_unstable();
            for (index, within) in [(1, 0.1), (3, 0.06), (5, 0.1), (6, 0.1)] {
                let found = sums[sums.len() * QUANTILES[index] as usize / 1_000] as f64;
                let error = found / whole[index].as_nanos() as f64 - 1.0;
                assert!(error.abs() < within, "{found} for {}: {whole:?}", whole[index]);
            }
        }
    }

    #[test]
    fn what_is_known_of_a_whole_is_left_out() {
        let micros = |values: [u64; QUANTILES.len()]| values.map(Span::from_micros);
        let request = micros([150, 200, 240, 285, 330, 450, 1_280, 6_000, 20_000]);
        let sync = micros([200, 240, 255, 270, 300, 400, 1_800, 40_000, 300_000]);
        // A write that was made of them: a request and two syncs.
        let known = sums(&vec![0; SUMS], &request, 1);
        let mut stream = Streams::new(9).stream("test", [0; 3]);
        let (one, two) = (Distribution::Quantiles(request), Distribution::Quantiles(sync));
        let mut write: Vec<u64> = (0..40_000)
            .map(|_| {
                let syncs = two.sample(&mut stream) + two.sample(&mut stream);
                (one.sample(&mut stream) + syncs).as_nanos()
            })
            .collect();
        write.sort_unstable();
        let whole = QUANTILES.map(|part| Span::from_nanos(write[39_999 * part as usize / 1_000]));
        let found = part(&whole, 2, &[(known, 1)]);
        for (index, within) in [(1, 0.15), (3, 0.1), (5, 0.2), (6, 0.2)] {
            let error = nanos(found[index]) / nanos(sync[index]) - 1.0;
            assert!(error.abs() < within, "{} for {}", found[index], sync[index]);
        }
    }

    #[test]
    fn one_part_is_the_whole_and_nothing_takes_next_to_nothing() {
        let whole = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(Span::from_millis);
        let found = part(&whole, 1, &[]);
        assert!((0.95..1.05).contains(&(nanos(found[3]) / nanos(whole[3]))), "{found:?}");
        let nothing = part(&[Span::ZERO; QUANTILES.len()], 4, &[]);
        assert!(nothing.iter().all(|value| value.as_nanos() <= 10), "{nothing:?}");
        // Less than what is known of it.
        let less = part(&[Span::from_micros(1); QUANTILES.len()], 2, &[(whole, 1)]);
        assert!(less.iter().all(|value| *value < Span::from_millis(1)), "{less:?}");
    }
}
