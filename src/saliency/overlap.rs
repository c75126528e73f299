//! How much masks have in common: intersection over union of every pair.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::mask::Mask;
use crate::error::{Error, Result};
use crate::gpu::cpu::par;
use crate::models::{WeightEntry, WeightLayout};

/// What is told apart by the masks that are compared.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// One mask for each class of the data.
    Classes,
    /// One mask for each of some seeds, counted from the recipe's.
    Seeds,
    /// One mask for each estimator.
    Estimators,
}

impl By {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What two masks keep of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Common {
    /// Weights that both keep, and that either keeps.
    pub both: usize,
    pub either: usize,
}

impl Common {
    /// Of each layer of a network; `free`: whether a weight, by its position among all N, is kept.
    pub fn of_layers(
        layout: &WeightLayout,
        free: [&(dyn Fn(usize) -> bool + Sync); 2],
    ) -> Vec<Self> {
        par::map(layout.params.iter().collect(), |entry: &WeightEntry| {
            let count = |common: Self, at: usize| {
                let [a, b] = free.map(|free| free(at));
                Self {
                    both: common.both + usize::from(a && b),
                    either: common.either + usize::from(a || b),
                }
            };
            entry.range().fold(Self::default(), count)
        })
    }

    /// Both layers' together.
    pub fn plus(self, other: Self) -> Self {
        Self { both: self.both + other.both, either: self.either + other.either }
    }

    /// The Jaccard index, intersection over union; nothing of layers that neither keeps.
    pub fn jaccard(self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }
}

/// The intersection over union of every pair of some masks of one network and one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    pub by: By,
    /// What each mask is for, in the order of rows and columns.
    pub names: Vec<String>,
    /// Row by row; symmetric, 1 on the diagonal.
    pub iou: Vec<Vec<f64>>,
    pub density: f64,
    /// Ones of each mask.
    pub k: usize,
    /// Weights of the network.
    pub n: usize,
    /// What two random masks of this density have in common: density / (2 - density).
    pub chance: f64,
}

impl Overlap {
    /// Compares masks.
    ///
    /// # Errors
    /// There are none, or they are of different sizes.
    pub fn between(by: By, masks: &[(String, Mask)]) -> Result<Self> {
        let Some((_, first)) = masks.first() else {
            return Err(Error::Request("there are no masks to compare".into()));
        };
        let (k, n, density) = (first.k, first.bits.len(), first.density);
        if masks.iter().any(|(_, m)| m.k != k || m.bits.len() != n) {
            return Err(Error::Request("masks of different sizes cannot be compared".into()));
        }
        // Each pair once: the other half of the matrix is the same.
        let rows = par::map((0..masks.len()).collect(), |row| {
            (0..row).map(|column| masks[row].1.overlap(&masks[column].1)).collect::<Vec<_>>()
        });
        let cell = |a: usize, b: usize| match a.cmp(&b) {
            std::cmp::Ordering::Greater => rows[a][b],
            std::cmp::Ordering::Less => rows[b][a],
            std::cmp::Ordering::Equal => 1.0,
        };
        let all = 0..masks.len();
        Ok(Self {
            by,
            names: masks.iter().map(|(name, _)| name.clone()).collect(),
            iou: all.clone().map(|a| all.clone().map(|b| cell(a, b)).collect()).collect(),
            density,
            k,
            n,
            chance: density / (2.0 - density),
        })
    }

    /// Comma-separated values with a head.
    pub fn csv(&self) -> String {
        let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
        let head: Vec<String> = self.names.iter().map(quoted).collect();
        let mut text = format!("{},{}\n", self.by.name(), head.join(","));
        for (name, row) in head.iter().zip(&self.iou) {
            let row: Vec<String> = row.iter().map(|v| format!("{v:.6}")).collect();
            text += &format!("{name},{}\n", row.join(","));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::models::Init;
    use crate::saliency::Scores;
    use crate::words::Estimator;

    fn masks(density: f64) -> Vec<(String, Mask)> {
        let mut layout = WeightLayout::default();
        layout.param("only".into(), &[20_000], Init::Constant(0.0));
        let layout = Arc::new(layout);
        let random = |seed| Scores::random(layout.clone(), "class:0", seed);
        let one = random(1);
        let inverted = one.clone().ordered(Estimator::Inverted).unwrap();
        [("one", one.clone()), ("same", one), ("other", random(2)), ("inverted", inverted)]
            .map(|(name, ranking)| (name.to_string(), ranking.mask(density).unwrap()))
            .into()
    }

    #[test]
    fn the_matrix_is_symmetric_with_ones_on_its_diagonal() {
        for density in [0.1, 0.5, 0.9] {
            let overlap = Overlap::between(By::Seeds, &masks(density)).unwrap();
            for (a, row) in overlap.iou.iter().enumerate() {
                assert_eq!((row.len(), row[a]), (4, 1.0));
                for (b, value) in row.iter().enumerate() {
                    assert_eq!(*value, overlap.iou[b][a]);
                    assert!((0.0..=1.0).contains(value));
                }
            }
            assert_eq!(overlap.iou[0][1], 1.0);
            let random = overlap.iou[0][2];
            assert!((random - overlap.chance).abs() < 0.03, "{random} {}", overlap.chance);
        }
        let half = Overlap::between(By::Seeds, &masks(0.5)).unwrap();
        assert!(half.iou[0][3] < 1e-3, "a mask and what it leaves share nothing");
    }

    #[test]
    fn the_table_has_a_row_and_a_column_for_each_mask() {
        let csv = Overlap::between(By::Classes, &masks(0.5)).unwrap().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], r#"classes,"one","same","other","inverted""#);
        assert!(lines.len() == 5 && lines[1].starts_with(r#""one",1.000000,1.000000,0."#));
    }

    #[test]
    fn layers_have_in_common_what_the_whole_masks_have() {
        let mut layout = WeightLayout::default();
        for (name, n) in [("a", 700), ("b", 1), ("c", 2_000)] {
            layout.param(name.into(), &[n], Init::Constant(0.0));
        }
        let layout = Arc::new(layout);
        let mask = |seed| Scores::random(layout.clone(), "class:0", seed).mask(0.3).unwrap();
        let [one, two] = [mask(1), mask(2)];
        let free = |mask: &Mask| {
            let bits = mask.bits.clone();
            move |at: usize| bits.get(at)
        };
        let common = Common::of_layers(&layout, [&free(&one), &free(&two)]);
        assert_eq!(common.len(), 3);
        let all = common.iter().fold(Common::default(), |sum, layer| sum.plus(*layer));
        assert_eq!(all.jaccard(), Some(one.overlap(&two)));
        let alone = Common::of_layers(&layout, [&free(&one), &free(&one)]);
        assert!(alone.iter().all(|layer| layer.jaccard().is_none_or(|j| j == 1.0)));
        let kept: Vec<usize> = one.layers().iter().map(|layer| layer.kept).collect();
        assert!(alone.iter().map(|layer| layer.both).eq(kept));
        assert_eq!(Common::of_layers(&layout, [&|_| false, &|_| false])[0].jaccard(), None);
    }

    #[test]
    fn masks_of_different_sizes_are_refused() {
        let mut two = masks(0.5);
        two.extend(masks(0.1));
        assert!(Overlap::between(By::Seeds, &two).is_err());
        assert!(Overlap::between(By::Seeds, &[]).is_err());
    }
}
