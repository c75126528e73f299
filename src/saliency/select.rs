//! The k largest of N values by a radix histogram over their bits: no sort, O(N), a fixed scratch.
//! Counts are whole numbers, so that how many threads count does not matter.

use crate::error::{Error, Result};
use crate::gpu::cpu::par;
use crate::models::Bits;

/// The bits of 2^127, from which those of a score are taken to reverse an order.
pub const MIRROR: u32 = 254 << 23;

/// Refuses what is no score.
///
/// # Errors
/// A score is negative, infinite or not a number; its position is named.
pub fn check(scores: &[f32]) -> Result<()> {
    let bad = |s: &f32| !s.is_finite() || s.is_sign_negative();
    match scores.iter().position(bad) {
        Some(at) => Err(Error::Diverged(format!("the score of weight {at} is {}", scores[at]))),
        None => Ok(()),
    }
}

/// Which values are selected: all above the threshold's bits, and the first `ties` equal to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    bits: u32,
    pub(super) ties: usize,
}

impl Cut {
    /// The smallest selected value; infinite where nothing is selected.
    pub fn threshold(self) -> f32 {
        f32::from_bits(self.bits)
    }

    /// The mask of the scores: 1 for each selected value and 0 for the others; ties are taken by
    /// position.
    pub fn mark(self, scores: &[f32]) -> Bits {
        /// Scores of a part, whose bits are whole words.
        const PART: usize = 1 << 16;
        let tied = par::map(scores.chunks(PART).collect(), |scores| {
            scores.iter().filter(|s| s.to_bits() == self.bits).count()
        });
        // Of the scores equal to the threshold, each part takes as many as are left for it.
        let mut left = self.ties;
        let share = |tied: usize| {
            let taken = tied.min(left);
            left -= taken;
            taken
        };
        let taken: Vec<usize> = tied.into_iter().map(share).collect();
        let mut words = vec![0u32; scores.len().div_ceil(32)];
        let parts = scores.chunks(PART).zip(words.chunks_mut(PART / 32)).zip(taken);
        par::each(parts.collect(), |((scores, words), mut ties)| {
            for (scores, word) in scores.chunks(32).zip(words) {
                for (i, score) in scores.iter().enumerate() {
                    let tied = score.to_bits() == self.bits && ties > 0;
                    ties -= usize::from(tied);
                    *word |= u32::from(tied || score.to_bits() > self.bits) << i;
                }
            }
        });
        Bits::from_words(words, scores.len())
    }
}

/// Finds the cut that selects exactly `k` of `scores`. The bit pattern of a non-negative float
/// grows with its value, so two passes over 16 bits each find the k-th largest.
///
/// # Errors
/// A score is negative, infinite or not a number; its position is named.
pub fn top_k(scores: &[f32], k: usize) -> Result<Cut> {
    let highs = histogram(scores, |bits| Some(bits >> 16));
    if highs[(f32::INFINITY.to_bits() >> 16) as usize..].iter().any(|&count| count > 0) {
        check(scores)?;
    }
    if k == 0 || scores.is_empty() {
        return Ok(Cut { bits: f32::INFINITY.to_bits(), ties: 0 });
    }
    let mut left = k.min(scores.len());
    let high = descend(&highs, &mut left);
    let lows = histogram(scores, |bits| (bits >> 16 == high).then_some(bits & 0xffff));
    let low = descend(&lows, &mut left);
    Ok(Cut { bits: high << 16 | low, ties: left })
}

/// How many scores have their bits in each of 2^16 bins.
fn histogram(scores: &[f32], bin: impl Fn(u32) -> Option<u32> + Sync + Send) -> Vec<usize> {
    const BINS: usize = 1 << 16;
    let part = scores.len().div_ceil(par::threads()).max(BINS);
    let parts = par::map(scores.chunks(part).collect(), |scores| {
        let mut counts = vec![0; BINS];
        for bin in scores.iter().filter_map(|s| bin(s.to_bits())) {
            counts[bin as usize] += 1;
        }
        counts
    });
    let mut total = vec![0; BINS];
    for counts in parts {
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    total
}

/// The bin that holds the `left`-th largest; `left` becomes its rank within that bin.
fn descend(histogram: &[usize], left: &mut usize) -> u32 {
    for (bin, &count) in histogram.iter().enumerate().rev() {
        if *left <= count {
            return bin as u32;
        }
        *left -= count;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(scores: &[f32], k: usize) -> Vec<u8> {
        top_k(scores, k).unwrap().mark(scores).bytes()
    }

    #[test]
    fn golden_12_2() {
        let g = [0.3f32, -0.1, 0.2, -0.4, 0.0, 0.05, 0.1, -0.25, 0.15, -0.35];
        let scores = g.map(f32::abs);
        assert_eq!(selected(&scores, 5), [1, 0, 1, 1, 0, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn exactly_k_on_hard_input_and_nested() {
        let denormals: Vec<f32> = (0..1000).map(|i| f32::from_bits(i * 7 % 97)).collect();
        let mixed: Vec<f32> = (0..1003u32).map(|i| ((i * 7919) % 1003) as f32 * 1e-3).collect();
        for scores in [vec![0.0; 1001], vec![2.5; 333], denormals, mixed, vec![1.0]] {
            let n = scores.len();
            let mut before = vec![0u8; n];
            for k in [0, 1, n / 3, n / 2, n - 1, n] {
                let mask = selected(&scores, k);
                assert_eq!(mask.iter().map(|b| *b as usize).sum::<usize>(), k);
                if k >= before.iter().map(|b| *b as usize).sum() {
                    assert!(before.iter().zip(&mask).all(|(a, b)| a <= b), "nested at {k}");
                }
                before = mask;
            }
        }
    }

    #[test]
    fn agrees_with_a_stable_sort() {
        // The second is more than one part, and all of its ties cross parts.
        for n in [5000, 300_000] {
            let scores: Vec<f32> =
                (0..n as u64).map(|i| ((i * i * 2_654_435_761) % 613) as f32 / 613.0).collect();
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
            for k in [1, 17, n / 2, n - 1] {
                let mut expected = vec![0u8; n];
                order[..k].iter().for_each(|&i| expected[i] = 1);
                assert_eq!(selected(&scores, k), expected, "{k} of {n}");
            }
        }
    }

    #[test]
    fn infinities_and_nan_are_refused() {
        for bad in [f32::INFINITY, f32::NAN, -1.0] {
            assert!(top_k(&[1.0, bad], 1).is_err());
        }
    }
}
