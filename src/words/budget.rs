//! How much is trained on and measured.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// How much is evaluated and trained on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Budget {
    /// A first look: too few pictures for figures to be trusted.
    Tiny,
    /// A verdict in half a minute to a minute on two cores: few updates, and pictures in rounds until the figures are
    /// certain enough.
    Brief,
    /// Stated subsets, minutes on two cores.
    #[default]
    Quick,
    /// Everything.
    Full,
}

/// What a budget sets, where it does not leave it to the method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Items that the scores are taken over, by task, at the most.
    pub score: [usize; 3],
    /// Items of the forget set and the retain set in a classifier's epoch, at the most.
    pub each: [usize; 2],
    /// Epochs of a classifier, updates of a diffusion model of classes or of prompts, at the most. These
    /// three are by task, in the order of its variants.
    pub length: [usize; 3],
    /// Items in an update: of a classifier, of a diffusion model of classes or of prompts.
    pub batch: [usize; 3],
    /// Learning rates that suit few updates: of a classifier and of a diffusion model of classes along a
    /// cosine to 0, of one of prompts throughout.
    pub lr: Option<[f64; 3]>,
    /// How many pictures are looked at, by task.
    pub measured: [Extent; 3],
    /// Whether the distance of samples to real pictures is measured.
    pub frechet: bool,
    /// Tiles in a row of a grid; no more than samples of a class.
    pub columns: usize,
    /// Steps of the sampler by task, unless a recipe says otherwise.
    pub sampler: [usize; 3],
    /// Grids that a run sends while it trains, at the most.
    pub previews: usize,
}

/// How many pictures a measurement is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// At the most: of a classifier forgotten, retained and test pictures; of a diffusion model samples of the
    /// forgotten class and of each other; of one of prompts forgotten and kept prompts.
    pub most: [usize; 3],
    /// The rounds that they are looked at in; at once where there are none.
    pub rounds: Option<Rounds>,
}

/// When a measurement in rounds has seen enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rounds {
    /// Pictures of the forgotten and of the rest in a round, counted as [`Extent::most`].
    pub each: [usize; 2],
    /// Half the width of the 95 % interval of UA, and of RA and TA, that is narrow enough, in points.
    pub narrow: [f64; 2],
}

impl Extent {
    /// So many, all at once.
    pub const fn exactly(most: [usize; 3]) -> Self {
        Self { most, rounds: None }
    }

    /// So many at the most, in rounds.
    const fn in_rounds(most: [usize; 3], each: [usize; 2], narrow: [f64; 2]) -> Self {
        Self { most, rounds: Some(Rounds { each, narrow }) }
    }

    /// How many are looked at first.
    pub fn first(&self) -> [usize; 3] {
        match self.rounds {
            None => self.most,
            Some(Rounds { each: [forgotten, rest], .. }) => self.cut([forgotten, rest, rest]),
        }
    }

    /// How many are looked at once `seen` were, whose 95 % intervals are these; `None` where that is enough: the
    /// intervals of UA, RA and TA are narrow, or there are no more.
    pub fn next(&self, seen: [usize; 3], intervals: &[[f64; 2]]) -> Option<[usize; 3]> {
        let Rounds { each, narrow } = self.rounds?;
        let wide = |i: usize| {
            let limit = narrow[i.min(1)];
            intervals.get(i).is_some_and(|[low, high]| (high - low) / 2.0 > limit)
        };
        let [forgotten, rest] = [wide(0), wide(1) || wide(2)];
        let grow = |i: usize, on: bool| seen[i] + if on { each[i.min(1)] } else { 0 };
        let next = self.cut([grow(0, forgotten), grow(1, rest), grow(2, rest)]);
        (next != seen).then_some(next)
    }

    /// The same of what there is.
    pub fn within(&self, there: [usize; 3]) -> Self {
        Self { most: self.cut(there), ..*self }
    }

    fn cut(&self, n: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|i| n[i].min(self.most[i]))
    }
}

/// How much an audit looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditSizes {
    /// Training pictures of each class that a probe is fitted to.
    pub probe: usize,
    /// Test pictures, and pictures of the forget set, that a probe is asked about.
    pub asked: usize,
    /// Pictures of each set that layers are compared on.
    pub layers: usize,
    /// Updates of a relearn curve, and pictures that it is measured on.
    pub relearn: usize,
    pub held: usize,
    /// Updates of each reference model.
    pub references: usize,
}

impl Budget {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line, in recipes and in links.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The budget's sizes.
    pub fn sizes(self) -> Sizes {
        const FULL: Sizes = Sizes {
            score: [usize::MAX; 3],
            each: [usize::MAX; 2],
            length: [usize::MAX; 3],
            batch: [128, 128, 16],
            lr: None,
            measured: [
                Extent::exactly([usize::MAX; 3]),
                Extent::exactly([100, 100, 0]),
                Extent::exactly([200, 400, 0]),
            ],
            frechet: true,
            columns: 6,
            sampler: [20, 20, 50],
            previews: 8,
        };
        const QUICK: Sizes = Sizes {
            score: [2_048; 3],
            each: [1_536, 6_144],
            length: [4, 150, 120],
            batch: [128, 32, 16],
            lr: Some([0.02, 4e-4, 2e-4]),
            measured: [
                Extent::exactly([1_000, 3_000, 3_000]),
                Extent::exactly([40, 40, 0]),
                Extent::exactly([48, 96, 0]),
            ],
            sampler: [20; 3],
            ..FULL
        };
        const BRIEF: Sizes = Sizes {
            score: [128, 128, 32],
            each: [384, 1_536],
            length: [3, 60, 30],
            batch: [64, 32, 16],
            // At quick's rate the model that draws keeps less (docs/figures.md).
            lr: Some([0.02, 2.5e-4, 2e-4]),
            measured: [
                Extent::in_rounds([1_000, 3_000, 3_000], [250, 750], [1.2, 1.5]),
                Extent::in_rounds([80, 40, 0], [20, 10], [6.0, 5.0]),
                Extent::in_rounds([48, 96, 0], [12, 24], [8.0, 7.0]),
            ],
            frechet: false,
            // Judges see what was asked for as often as after ten (docs/figures.md).
            sampler: [6; 3],
            previews: 3,
            ..QUICK
        };
        const TINY: Sizes = Sizes {
            score: [16; 3],
            each: [32, 32],
            length: [1, 4, 10],
            batch: [16, 4, 8],
            lr: Some([0.02, 6e-4, 2e-4]),
            measured: [
                Extent::exactly([20, 20, 20]),
                Extent::exactly([1, 1, 0]),
                Extent::exactly([6, 6, 0]),
            ],
            columns: 1,
            sampler: [5, 5, 8],
            frechet: true,
            previews: 0,
        };
        match self {
            Self::Tiny => TINY,
            Self::Brief => BRIEF,
            Self::Quick => QUICK,
            Self::Full => FULL,
        }
    }

    /// The sizes of an audit.
    pub fn audit(self) -> AuditSizes {
        let [probe, asked, layers, relearn, held, references] = match self {
            Self::Tiny => [4, 40, 20, 2, 20, 4],
            Self::Brief | Self::Quick => [100, 1_000, 300, 10, 300, 200],
            Self::Full => [300, 3_000, 1_000, 20, 500, 600],
        };
        AuditSizes { probe, asked, layers, relearn, held, references }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_on_where_an_interval_is_wide_and_there_is_more() {
        let of = Extent::in_rounds([80, 40, 0], [20, 10], [4.0, 3.0]);
        assert_eq!(of.first(), [20, 10, 0]);
        let next = |seen, reach: [f64; 3]| of.next(seen, &reach.map(|r| [90.0 - r, 90.0 + r]));
        assert_eq!(next([20, 10, 0], [8.0, 3.5, 1.0]), Some([40, 20, 0]));
        assert_eq!(next([40, 20, 0], [4.5, 2.5, 1.0]), Some([60, 20, 0]));
        assert_eq!(next([60, 20, 0], [3.5, 2.5, 3.5]), Some([60, 30, 0]), "TA counts, too");
        assert_eq!(next([60, 30, 0], [3.5, 2.5, 2.5]), None);
        assert_eq!(next([80, 40, 0], [9.0, 9.0, 9.0]), None, "there are no more");
        assert_eq!(of.next([20, 10, 0], &[]), None, "nobody judged");
        let once = Extent::exactly([5, 6, 7]);
        assert_eq!((once.first(), once.next([5, 6, 7], &[[0.0, 100.0]; 3])), ([5, 6, 7], None));
    }

    #[test]
    fn a_grid_is_part_of_the_first_round() {
        for budget in Budget::ALL {
            let sizes = budget.sizes();
            let [forgotten, rest, _] = sizes.measured[1].first();
            assert!(sizes.columns <= forgotten.min(rest), "{}", budget.name());
        }
    }
}
