//! The live threshold: a histogram of every layer, computed once, answers for any density how many
//! weights are kept and where, without a look at the weights. The exact mask follows.

use serde::{Deserialize, Serialize};

use super::select::MIRROR;
use super::{Scores, select, top_k};
use crate::error::Result;
use crate::gpu::cpu::par;
use crate::gpu::kernels::{BIN, BINS, bin_of, layer_histogram};
use crate::models::WeightLayout;

/// What a density keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Scores from here on are kept; of [`LayerHistograms::keep`] nearly: within a bin, 3 to 6 % of the value.
    pub threshold: f32,
    /// Scores equal to the threshold are kept before this position.
    pub ties_end: usize,
    /// Kept weights of every layer, in forward order; they add up to exactly k.
    pub layers: Vec<usize>,
}

impl Kept {
    /// What the `k` largest scores are, exactly: the selection of [`select::top_k`], counted by layers.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn exact(layout: &WeightLayout, scores: &[f32], k: usize) -> Result<Self> {
        let cut = top_k(scores, k)?;
        let (threshold, mut ties, mut ties_end) = (cut.threshold(), cut.ties, 0);
        let mut is_kept = |at: usize| {
            let tied = scores[at] == threshold && ties > 0;
            if tied {
                (ties, ties_end) = (ties - 1, at + 1);
            }
            tied || scores[at] > threshold
        };
        let layers = layout.params.iter().map(|e| e.range().filter(|at| is_kept(*at)).count());
        Ok(Self { layers: layers.collect(), threshold, ties_end })
    }
}

/// Histograms of a ranking.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LayerHistograms {
    /// For every layer and bin, the scores in that bin or above; one more entry each, which is 0.
    #[serde(with = "crate::wire::numbers")]
    above: Vec<u32>,
    /// The same of all layers together.
    #[serde(with = "crate::wire::numbers")]
    total: Vec<u32>,
}

/// Counts of scores in equal steps of their base-10 logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Base-10 logarithm of the left edge of the first bar.
    pub start: f64,
    /// Width of a bar in powers of ten.
    pub step: f64,
    pub counts: Vec<usize>,
    /// Scores that are zero or below the first bar.
    pub below: usize,
}

impl Histogram {
    /// Base-10 logarithm of the right edge of the last bar.
    pub fn end(&self) -> f64 {
        self.start + self.step * self.counts.len() as f64
    }
}

impl LayerHistograms {
    /// Takes the histograms on the CPU: the only pass over the scores.
    pub fn of(layout: &WeightLayout, scores: &[f32]) -> Self {
        let layers = layout.params.iter().map(|e| &scores[e.range()]).collect();
        Self::from_counts(&par::map(layers, layer_histogram).concat())
    }

    /// From the histograms of all layers ([`layer_histogram`]), one after another.
    pub fn from_counts(counts: &[u32]) -> Self {
        let (mut above, mut total) = (Vec::new(), vec![0; BINS + 1]);
        for layer in counts.chunks_exact(BINS) {
            let from = above.len();
            above.resize(from + BINS + 1, 0);
            for bin in (0..BINS).rev() {
                above[from + bin] = above[from + bin + 1] + layer[bin];
                total[bin] += above[from + bin];
            }
        }
        Self { above, total }
    }

    /// Refuses a ranking whose scores are not all scores.
    ///
    /// # Errors
    /// A score is negative, infinite or not a number.
    pub fn check(&self, ranking: &Scores) -> Result<()> {
        if self.total[NUMBERS] > 0 { select::check(&ranking.scores) } else { Ok(()) }
    }

    fn layers(&self) -> impl Iterator<Item = &[u32]> {
        self.above.chunks_exact(BINS + 1)
    }

    /// Of some counts from the top: the upper edge of the highest bin that holds a score. The reverse
    /// of a zero is beyond any other score and does not count.
    fn top(above: &[u32]) -> f32 {
        let last = bin_of(MIRROR);
        let highest = above[..last].partition_point(|&from| from > above[last]);
        f32::from_bits((highest as u32 * BIN).max(f32::MIN_POSITIVE.to_bits()))
    }

    /// The largest score of a layer, within 6 %.
    pub fn largest(&self, layer: usize) -> f32 {
        Self::top(&self.above[layer * (BINS + 1)..][..BINS + 1])
    }

    /// Eight powers of ten below the largest score, in `bars` steps; a bin that lies in two bars is
    /// shared out. The reverse of a zero stands in the last bar.
    pub fn histogram(&self, bars: usize) -> Histogram {
        let end = f64::from(Self::top(&self.total)).log10();
        let (start, step) = (end - 8.0, 8.0 / bars as f64);
        // No bar holds zeros.
        let edge = |bar: usize| 10f64.powf(start + bar as f64 * step) as f32;
        let from = |bar: usize| self.from(edge(bar).max(f32::MIN_POSITIVE)).round();
        let mut left: Vec<usize> = (0..bars).map(|bar| from(bar) as usize).collect();
        let below = self.total[0] as usize - left[0];
        left.push(0);
        let counts = left.windows(2).map(|pair| pair[0] - pair[1]).collect();
        Histogram { start, step, counts, below }
    }

    /// What the `k` largest scores are, nearly; takes time for the layers only.
    pub fn keep(&self, k: usize) -> Kept {
        let k = k.min(self.total[0] as usize);
        if k == 0 {
            let layers = vec![0; self.layers().count()];
            return Kept { threshold: f32::INFINITY, ties_end: 0, layers };
        }
        // The bin that holds the k-th largest.
        let bin = self.total.partition_point(|&from| from as usize >= k) - 1;
        let inside = self.total[bin] - self.total[bin + 1];
        let wanted = k - self.total[bin + 1] as usize;
        let share = wanted as f64 / f64::from(inside);
        let threshold =
            f32::from_bits(((bin as f64 + 1.0 - share) * f64::from(BIN)).round() as u32);
        // A bin's scores are shared out between the layers that have some in it.
        let mut given = 0;
        let mut seen = 0;
        let layers = self.layers().map(|above| {
            seen += (above[bin] - above[bin + 1]) as usize;
            let until = (seen as f64 * share).round() as usize;
            let own = until - given;
            given = until;
            above[bin + 1] as usize + own
        });
        Kept { layers: layers.collect(), threshold, ties_end: usize::MAX }
    }

    /// The density whose mask has this threshold, nearly.
    pub fn density_at(&self, threshold: f32) -> f64 {
        self.from(threshold) / f64::from(self.total[0].max(1))
    }

    /// How many scores are as large as this or larger, nearly: a bin's are spread evenly over it.
    fn from(&self, threshold: f32) -> f64 {
        let at = f64::from(threshold.max(0.0).to_bits()) / f64::from(BIN);
        let bin = (at as usize).min(BINS - 1);
        let inside = f64::from(self.total[bin] - self.total[bin + 1]);
        f64::from(self.total[bin + 1]) + inside * (bin as f64 + 1.0 - at).clamp(0.0, 1.0)
    }
}

/// The bin from which on there are no numbers.
const NUMBERS: usize = (f32::INFINITY.to_bits() / BIN) as usize;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::{Init, WeightLayout};
    use crate::words::Estimator;

    fn ranking(score: impl Fn(usize) -> f32) -> Scores {
        let mut layout = WeightLayout::default();
        for (i, n) in [1, 3_000, 17, 9_000].into_iter().enumerate() {
            layout.param(format!("layer{i}"), &[n], Init::Constant(0.0));
        }
        let layout = Arc::new(layout);
        let scores = (0..layout.n()).map(score).collect();
        Scores::new(layout, Estimator::AbsSumGrad, "class:0", scores)
    }

    #[test]
    fn what_is_no_score_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, -1.0] {
            let ranking = ranking(|i| if i == 7 { bad } else { 1.0 });
            let refused = ranking.live.check(&ranking).unwrap_err();
            assert!(refused.to_string().contains("weight 7"));
        }
    }

    #[test]
    fn counts_add_up_to_k_and_are_close_to_the_exact_mask() {
        let spread = |i: usize| (((i * 7919) % 12_018) as f32 / 1_201.8).exp2();
        let hard: [Scores; 3] = [ranking(spread), ranking(|_| 0.5), ranking(|_| 0.0)];
        for ranking in &hard {
            let live = &ranking.live;
            live.check(ranking).unwrap();
            for density in [0.0, 0.001, 0.1, 0.5, 0.9, 1.0] {
                let exact = ranking.mask(density).unwrap();
                let found = Kept::exact(&ranking.layout, &ranking.scores, exact.k).unwrap();
                let counts: Vec<usize> = exact.layers().iter().map(|l| l.kept).collect();
                assert_eq!((found.threshold, found.layers), (exact.threshold, counts));
                let free = |at: usize| {
                    let score = ranking.scores[at];
                    score > found.threshold || score == found.threshold && at < found.ties_end
                };
                assert!((0..ranking.scores.len()).map(free).eq(exact.bits.iter()), "{density}");
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

    #[test]
    fn the_bars_are_those_that_a_look_at_every_score_gives() {
        // Even over the octaves, so that a bin's scores are where the bars take them to be.
        let ranking = ranking(|i| if i % 10 == 0 { 0.0 } else { (i as f32 / -600.0).exp2() });
        let bars = ranking.live.histogram(64);
        assert_eq!(bars.counts.iter().sum::<usize>() + bars.below, ranking.scores.len());
        let top = 10f64.powf(bars.start + 8.0);
        assert!((1.0..1.07).contains(&top), "{top}");
        let bar = |s: &f32| ((f64::from(*s).log10() - bars.start) / bars.step).floor();
        let below = ranking.scores.iter().filter(|s| bar(s) < 0.0).count();
        assert!(below.abs_diff(bars.below) <= 2, "{below}, {}", bars.below);
        for (i, found) in bars.counts.iter().enumerate() {
            let exact = ranking.scores.iter().filter(|s| bar(s) == i as f64).count();
            assert!(exact.abs_diff(*found) <= 12, "bar {i}: {exact}, {found}");
        }
    }

    #[test]
    fn zeros_are_below_every_bar() {
        let bars = ranking(|_| 0.0).live.histogram(64);
        assert_eq!((bars.below, bars.counts.iter().sum::<usize>()), (12_018, 0));
    }

    #[test]
    fn the_reverse_of_a_zero_is_not_the_largest_score() {
        let with = |s: f32| ranking(|i| if i == 5 { s } else { 0.25 }).live;
        for live in [with(f32::from_bits(MIRROR)), with(0.25)] {
            assert!((0.25..0.27).contains(&live.largest(1)) && live.largest(0) > 0.0);
            assert_eq!(live.histogram(8).counts.iter().sum::<usize>(), 12_018);
        }
    }
}
