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
    /// Stated subsets, minutes on two cores.
    #[default]
    Quick,
    /// Everything.
    Full,
}

/// What a budget sets, where it does not leave it to the method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Items that the scores are taken over, at the most.
    pub score: usize,
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
    /// Forgotten, retained and test pictures that a classifier is measured on, at the most.
    pub measured: [usize; 3],
    /// Samples of each class that a diffusion model is measured on.
    pub samples: usize,
    /// Tiles in a row of a grid; no more than `samples`.
    pub columns: usize,
    /// Steps of the sampler, unless a recipe says otherwise.
    pub sampler: usize,
    /// Grids that a run sends while it trains, at the most.
    pub previews: usize,
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
            score: usize::MAX,
            each: [usize::MAX; 2],
            length: [usize::MAX; 3],
            batch: [128, 128, 16],
            lr: None,
            measured: [usize::MAX; 3],
            samples: 100,
            columns: 6,
            sampler: 20,
            previews: 8,
        };
        const QUICK: Sizes = Sizes {
            score: 2_048,
            each: [1_536, 6_144],
            length: [4, 150, 120],
            batch: [128, 32, 16],
            lr: Some([0.02, 4e-4, 2e-4]),
            measured: [1_000, 3_000, 3_000],
            samples: 40,
            ..FULL
        };
        const TINY: Sizes = Sizes {
            score: 16,
            each: [32, 32],
            length: [1, 4, 10],
            batch: [16, 4, 8],
            lr: Some([0.02, 6e-4, 2e-4]),
            measured: [20, 20, 20],
            samples: 1,
            columns: 1,
            sampler: 5,
            previews: 0,
        };
        match self {
            Self::Tiny => TINY,
            Self::Quick => QUICK,
            Self::Full => FULL,
        }
    }

    /// The sizes of an audit.
    pub fn audit(self) -> AuditSizes {
        let [probe, asked, layers, relearn, held, references] = match self {
            Self::Tiny => [4, 40, 20, 2, 20, 4],
            Self::Quick => [100, 1_000, 300, 10, 300, 200],
            Self::Full => [300, 3_000, 1_000, 20, 500, 600],
        };
        AuditSizes { probe, asked, layers, relearn, held, references }
    }
}
