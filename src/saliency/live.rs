//! The live threshold: a histogram of every layer, computed once, answers for any density how many
//! weights are kept and where, without a look at the weights. The exact mask follows.

use super::ranking::Ranking;
use crate::gpu::{
    cpu::par,
    kernels::{BINS, Statistics},
};

/// What a density keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Scores from here on are kept, nearly: within a bin, 3 to 6 % of the value.
    pub threshold: f32,
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
    pub fn new(ranking: &Ranking) -> Self {
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
        let total = (0..=BINS).map(|b| above.iter().map(|a| a[b] as usize).sum()).collect();
        Self { above, total }
    }

    /// What the `k` largest scores are, nearly; takes time for the layers only.
    pub fn keep(&self, k: usize) -> Kept {
        let k = k.min(self.total[0]);
        if k == 0 {
            return Kept { threshold: f32::INFINITY, layers: vec![0; self.above.len()] };
        }
        // The bin that holds the k-th largest.
        let bin = self.total.partition_point(|&from| from >= k) - 1;
        let inside = self.total[bin] - self.total[bin + 1];
        let wanted = k - self.total[bin + 1];
        let share = wanted as f64 / inside as f64;
        let threshold = f32::from_bits(((bin as f64 + 1.0 - share) * BIN).round() as u32);
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
        Kept { layers: layers.collect(), threshold }
    }

    /// The density whose mask has this threshold, nearly.
    pub fn density_at(&self, threshold: f32) -> f64 {
        let at = f64::from(threshold.max(0.0).to_bits()) / BIN;
        let bin = (at as usize).min(BINS - 1);
        let inside = (self.total[bin] - self.total[bin + 1]) as f64;
        let kept = self.total[bin + 1] as f64 + inside * (bin as f64 + 1.0 - at).clamp(0.0, 1.0);
        kept / self.total[0].max(1) as f64
    }
}

/// Bit patterns in a bin.
const BIN: f64 = (1u32 << 19) as f64;

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
    fn counts_add_up_to_k_and_are_close_to_the_exact_mask() {
        let spread = |i: usize| (((i * 7919) % 12_018) as f32 / 1_201.8).exp2();
        let hard: [Ranking; 3] = [ranking(spread), ranking(|_| 0.5), ranking(|_| 0.0)];
        for ranking in &hard {
            let live = Live::new(ranking);
            for density in [0.0, 0.001, 0.1, 0.5, 0.9, 1.0] {
                let exact = ranking.mask(density).unwrap();
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
