//! The live threshold: a histogram of every layer, computed once, answers for any density how many
//! weights are kept and where, without a look at the weights. The exact mask follows.

use super::{ranking::Ranking, select};
use crate::{
    error::Result,
    gpu::{
        cpu::par,
        kernels::{BINS, Statistics, bin_of},
    },
};

/// What a density keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Scores from here on are kept; of [`Live::keep`] nearly: within a bin, 3 to 6 % of the value.
    pub threshold: f32,
    /// Scores equal to the threshold are kept before this position.
    pub ties_end: usize,
    /// Kept weights of every layer, in forward order; they add up to exactly k.
    pub layers: Vec<usize>,
}

/// Histograms of a ranking.
#[derive(Debug, Clone)]
pub struct Live {
    /// For every layer and bin, the scores in that bin or above; one more entry, which is 0.
    above: Vec<Vec<u32>>,
    /// The same of all layers together.
    total: Vec<usize>,
}

impl Live {
    /// Takes the histograms: the only pass over the scores.
    ///
    /// # Errors
    /// A score is negative, infinite or not a number.
    pub fn new(ranking: &Ranking) -> Result<Self> {
        let layers = ranking.layout.params.iter().map(|e| &ranking.scores[e.range()]).collect();
        let layers = par::map(layers, Statistics::of);
        let suffix = |s: &Statistics| {
            let mut above = vec![0; BINS + 1];
            for bin in (0..BINS).rev() {
                above[bin] = above[bin + 1] + s.counts[bin];
            }
            above
        };
        let above: Vec<Vec<u32>> = layers.iter().map(suffix).collect();
        let of_bin = |bin: usize| above.iter().map(|above| above[bin] as usize).sum();
        let total: Vec<usize> = (0..=BINS).map(of_bin).collect();
        if total[NUMBERS] > 0 {
            select::check(&ranking.scores)?;
        }
        Ok(Self { above, total })
    }

    /// What the `k` largest scores are, nearly; takes time for the layers only.
    pub fn keep(&self, k: usize) -> Kept {
        let Some((k, bin)) = self.bin(k) else { return self.nothing() };
        let inside = self.total[bin] - self.total[bin + 1];
        let wanted = k - self.total[bin + 1];
        let share = wanted as f64 / inside as f64;
        let threshold =
            f32::from_bits(((bin as f64 + 1.0 - share) * f64::from(BIN)).round() as u32);
        // A bin's scores are shared out between the layers that have some in it.
        let mut given = 0;
        let mut seen = 0;
        let layers = self.above.iter().map(|above| {
            seen += (above[bin] - above[bin + 1]) as usize;
            let until = (seen as f64 * share).round() as usize;
            let own = until - given;
            given = until;
            above[bin + 1] as usize + own
        });
        Kept { layers: layers.collect(), threshold, ties_end: usize::MAX }
    }

    /// What the `k` largest scores are, exactly: a pass over the scores of this ranking that counts
    /// the lower bits of those in the bin of the k-th largest, and a pass that counts what is kept.
    /// The same selection as [`select::top_k`].
    pub fn exact(&self, ranking: &Ranking, k: usize) -> Kept {
        let Some((k, bin)) = self.bin(k) else { return self.nothing() };
        let inside = |bits: u32| bin_of(bits) == bin;
        let low = |bits: u32| (bits & (BIN - 1)) as usize;
        let mut counts = vec![0u32; BIN as usize];
        for bits in ranking.scores.iter().map(|s| s.to_bits()).filter(|bits| inside(*bits)) {
            counts[low(bits)] += 1;
        }
        let mut ties = k - self.total[bin + 1];
        let mut last = BIN as usize - 1;
        while ties > counts[last] as usize {
            ties -= counts[last] as usize;
            last -= 1;
        }
        let (mut ties_end, mut layers) = (0, Vec::with_capacity(self.above.len()));
        for (entry, above) in ranking.layout.params.iter().zip(&self.above) {
            let mut kept = above[bin + 1] as usize;
            for at in entry.range() {
                let bits = ranking.scores[at].to_bits();
                if inside(bits) && low(bits) >= last {
                    let tied = low(bits) == last;
                    if tied && ties == 0 {
                        continue;
                    }
                    if tied {
                        (ties, ties_end) = (ties - 1, at + 1);
                    }
                    kept += 1;
                }
            }
            layers.push(kept);
        }
        let threshold = f32::from_bits(bin as u32 * BIN + last as u32);
        Kept { threshold, ties_end, layers }
    }

    /// `k`, at most all, and the bin that holds the k-th largest; `None` where k is 0.
    fn bin(&self, k: usize) -> Option<(usize, usize)> {
        let k = k.min(self.total[0]);
        (k > 0).then(|| (k, self.total.partition_point(|&from| from >= k) - 1))
    }

    fn nothing(&self) -> Kept {
        Kept { threshold: f32::INFINITY, ties_end: 0, layers: vec![0; self.above.len()] }
    }

    /// The density whose mask has this threshold, nearly.
    pub fn density_at(&self, threshold: f32) -> f64 {
        let at = f64::from(threshold.max(0.0).to_bits()) / f64::from(BIN);
        let bin = (at as usize).min(BINS - 1);
        let inside = (self.total[bin] - self.total[bin + 1]) as f64;
        let kept = self.total[bin + 1] as f64 + inside * (bin as f64 + 1.0 - at).clamp(0.0, 1.0);
        kept / self.total[0].max(1) as f64
    }
}

/// Bit patterns in a bin.
const BIN: u32 = 1 << 19;
/// The bin from which on there are no numbers.
const NUMBERS: usize = (f32::INFINITY.to_bits() >> 19) as usize;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::weights::{Init, WeightLayout};

    fn ranking(score: impl Fn(usize) -> f32) -> Ranking {
        let mut layout = WeightLayout::default();
        for (i, n) in [1, 3_000, 17, 9_000].into_iter().enumerate() {
            layout.param(format!("layer{i}"), &[n], Init::Constant(0.0));
        }
        let layout = Arc::new(layout);
        let scores = (0..layout.n()).map(score).collect();
        Ranking { scores, ..Ranking::random(layout, "class:0", 1) }
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            let ranking = ranking(|i| if i == 7 { bad } else { 1.0 });
            assert!(Live::new(&ranking).unwrap_err().to_string().contains("weight 7"));
        }
    }

    #[test]
    fn counts_add_up_to_k_and_are_close_to_the_exact_mask() {
        let spread = |i: usize| (((i * 7919) % 12_018) as f32 / 1_201.8).exp2();
        let hard: [Ranking; 3] = [ranking(spread), ranking(|_| 0.5), ranking(|_| 0.0)];
        for ranking in &hard {
            let live = Live::new(ranking).unwrap();
            for density in [0.0, 0.001, 0.1, 0.5, 0.9, 1.0] {
                let exact = ranking.mask(density).unwrap();
                let found = live.exact(ranking, exact.k);
                let counts: Vec<usize> = exact.layers().iter().map(|l| l.kept).collect();
                assert_eq!((found.threshold, found.layers), (exact.threshold, counts));
                let free = |at: usize| {
                    let score = ranking.scores[at];
                    score > found.threshold || score == found.threshold && at < found.ties_end
                };
                let bits: Vec<u8> = (0..ranking.scores.len()).map(|at| free(at).into()).collect();
                assert!(bits == exact.bits, "{density}");
                let kept = live.keep(exact.k);
                assert_eq!(kept.layers.iter().sum::<usize>(), exact.k);
                for (kept, layer) in kept.layers.iter().zip(exact.layers()) {
                    assert!(*kept <= layer.n);
                    let distinct = ranking.scores[0] != ranking.scores[5];
                    let off = kept.abs_diff(layer.kept);
                    assert!(!distinct || off <= 60, "{density}: {kept}, {}", layer.kept);
                }
                if exact.k > 0 && ranking.scores[0] != ranking.scores[5] {
                    let ratio = kept.threshold / exact.threshold;
                    assert!((0.96..1.04).contains(&ratio), "{density}: {ratio}");
                    assert!((live.density_at(kept.threshold) - density).abs() < 1e-3);
                }
            }
        }
    }
}
