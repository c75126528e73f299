//! Other orders of the same scores, written as scores again: one selection, one live threshold and
//! one path on the GPU serve every mask, and its densities stay nested.

use super::select::MIRROR;
use super::{Scores, select};
use crate::error::Result;
use crate::gpu::cpu::par;
use crate::words::Estimator;

/// Bits between the first and the last place of a layer: 24 powers of two, which tell the places of
/// a layer of 200 million weights apart.
const SPAN: u64 = 24 << 23;

impl Scores {
    /// This ranking in the order of another estimator.
    ///
    /// # Errors
    /// A score is not a finite number.
    pub fn ordered(self, estimator: Estimator) -> Result<Self> {
        let scores = match estimator {
            Estimator::Inverted => inverted(&self.scores)?,
            Estimator::LayerBalanced => {
                let layers = self.layout.params.iter().map(|e| &self.scores[e.range()]).collect();
                balanced(layers)?
            }
            _ => return Ok(self),
        };
        let Self { n_forget, seconds, .. } = self;
        Ok(Self { n_forget, seconds, ..Self::new(self.layout, estimator, &self.forget, scores) })
    }
}

/// The reverse order: the bits of a score taken from those of 2^127. Powers of two become their
/// reciprocals, and what lies between follows, without rounding two scores into one.
fn inverted(scores: &[f32]) -> Result<Vec<f32>> {
    select::check(scores)?;
    Ok(scores.iter().map(|s| f32::from_bits(MIRROR - s.to_bits().min(MIRROR))).collect())
}

/// Places within each layer: 2^(-24 q) of the weight that is q of the way down its layer. The k
/// largest are then a layer's most salient, and every layer has its share of k as parties have
/// seats by Sainte-Laguë's method: as near to proportion as whole numbers come, exactly k in all,
/// and none lost when k grows.
fn balanced(layers: Vec<&[f32]>) -> Result<Vec<f32>> {
    layers.iter().try_for_each(|layer| select::check(layer))?;
    let places = par::map(layers, |layer| {
        let mut order: Vec<u32> = (0..layer.len() as u32).collect();
        let bits = |i: u32| layer[i as usize].to_bits();
        order.sort_unstable_by(|&a, &b| bits(b).cmp(&bits(a)).then(a.cmp(&b)));
        let mut places = vec![0.0; layer.len()];
        let n = layer.len() as u64;
        for (place, at) in (0u64..).zip(order) {
            let down = (2 * place + 1) * SPAN / (2 * n);
            places[at as usize] = f32::from_bits(1f32.to_bits() - down as u32);
        }
        places
    });
    Ok(places.concat())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::{Init, WeightLayout};
    use crate::saliency::mask::Mask;

    fn ranking(sizes: &[usize], score: impl Fn(usize) -> f32) -> Scores {
        let mut layout = WeightLayout::default();
        for (i, &n) in sizes.iter().enumerate() {
            layout.param(format!("layer{i}"), &[n], Init::Constant(0.0));
        }
        let scores = (0..layout.n()).map(score).collect();
        Scores::new(Arc::new(layout), Estimator::AbsSumGrad, "class:0", scores)
    }

    fn ones(mask: &Mask) -> usize {
        mask.bits.ones()
    }

    #[test]
    fn golden_of_the_inverted_mask() {
        let g = [0.3f32, -0.1, 0.2, -0.4, 0.0, 0.05, 0.1, -0.25, 0.15, -0.35];
        let ranking = ranking(&[10], |i| g[i].abs()).ordered(Estimator::Inverted).unwrap();
        // The five that golden 12.2 leaves.
        assert_eq!(ranking.mask(0.5).unwrap().bits.bytes(), [0, 1, 0, 0, 1, 1, 1, 0, 1, 0]);
        // Of the two that are equal, the first.
        assert_eq!(ranking.mask(0.3).unwrap().bits.bytes(), [0, 1, 0, 0, 1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn golden_of_the_layer_balanced_mask() {
        // Layer 1 has far larger scores than layer 0 and gets no more than its share.
        let scores = [0.4f32, 0.1, 0.3, 0.2, 50.0, 60.0, 20.0, 10.0, 40.0, 30.0];
        let ranking = ranking(&[4, 6], |i| scores[i]).ordered(Estimator::LayerBalanced).unwrap();
        assert_eq!(ranking.mask(0.5).unwrap().bits.bytes(), [1, 0, 1, 0, 1, 1, 0, 0, 1, 0]);
        assert_eq!(ranking.mask(0.1).unwrap().bits.bytes(), [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn every_order_selects_exactly_k_nested_and_the_live_threshold_follows() {
        let spread = |i: usize| (((i * 7919) % 12_018) as f32 / 1_201.8).exp2() - 1.0;
        for (at, of) in [ranking(&[1, 3_000, 17, 9_000], spread), ranking(&[700, 5], |_| 0.5)]
            .into_iter()
            .enumerate()
        {
            for &estimator in Estimator::ALL {
                let ranking = of.clone().ordered(estimator).unwrap();
                let live = &ranking.live;
                let mut before = vec![0u8; of.scores.len()];
                for tenth in 1..=10 {
                    let density = f64::from(tenth) / 10.0;
                    let mask = ranking.mask(density).unwrap();
                    assert_eq!(ones(&mask), (of.scores.len() as f64 * density) as usize);
                    let bits = mask.bits.bytes();
                    assert!(before.iter().zip(&bits).all(|(a, b)| a <= b), "{estimator:?}");
                    let kept = live.keep(mask.k);
                    assert_eq!(kept.layers.iter().sum::<usize>(), mask.k);
                    if at == 0 {
                        let ratio = kept.threshold / mask.threshold;
                        let none = mask.threshold == 0.0;
                        assert!(none || (0.94..1.06).contains(&ratio), "{estimator:?} {ratio}");
                    }
                    before = bits;
                }
            }
        }
    }

    #[test]
    fn the_inverted_mask_is_the_complement_where_no_scores_are_equal() {
        let of = ranking(&[1_000], |i| ((i * 7919) % 1_000) as f32 * 1e-6);
        let inverted = of.clone().ordered(Estimator::Inverted).unwrap();
        let [few, rest] = [of.mask(0.2).unwrap(), inverted.mask(0.8).unwrap()];
        assert!(few.bits.iter().zip(rest.bits.iter()).all(|(a, b)| a != b));
        assert_eq!(inverted.scores.iter().copied().fold(0.0, f32::max), 2f32.powi(127));
    }

    #[test]
    fn every_layer_has_its_share_within_one_weight() {
        let sizes = [1, 3_000, 17, 9_000, 250];
        let of = ranking(&sizes, |i| ((i * 31) % 97) as f32 * if i > 3_000 { 1e6 } else { 1e-6 });
        let balanced = of.ordered(Estimator::LayerBalanced).unwrap();
        for density in [0.001, 0.1, 0.33, 0.5, 0.9] {
            for layer in balanced.mask(density).unwrap().layers() {
                let off = (layer.kept as f64 - density * layer.n as f64).abs();
                assert!(off <= 1.0, "{density}: {} of {}", layer.kept, layer.n);
            }
        }
    }

    #[test]
    fn scores_that_are_no_numbers_stay_errors() {
        for bad in [f32::NAN, f32::INFINITY] {
            let of = ranking(&[3], |i| if i == 1 { bad } else { 1.0 });
            for estimator in [Estimator::Inverted, Estimator::LayerBalanced] {
                assert!(of.clone().ordered(estimator).is_err());
            }
        }
    }
}
