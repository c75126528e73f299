//! The ways to score weights for a mask (docs/methods.md#scores).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How weights are scored. A larger score is kept first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// |sum of g| over the forget set: SalUn's (eq. 3).
    AbsSumGrad,
    /// Sum of |g| over batches of the forget set: SalUn's code before December 2023.
    SumAbsGrad,
    /// Diagonal of the Fisher information on the forget set.
    Fisher,
    /// The same over that on the retain set (SFR-on, arXiv 2409.19732).
    FisherRatio,
    /// |weight|, whatever is forgotten.
    Magnitude,
    /// A random order: the control of equal size.
    Random,
    /// The least salient by |sum of g|: the control that should be the worst.
    Inverted,
    /// The most salient of each layer, the same share of every layer.
    LayerBalanced,
    /// No mask: every weight may change.
    None,
    /// A mask out of a file, which scores nothing; offered nowhere, since a file goes with it.
    Given,
}

impl Estimator {
    /// All, in the order of the menus.
    pub const ALL: [Self; 9] = [
        Self::AbsSumGrad,
        Self::SumAbsGrad,
        Self::Fisher,
        Self::FisherRatio,
        Self::Magnitude,
        Self::Random,
        Self::Inverted,
        Self::LayerBalanced,
        Self::None,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AbsSumGrad => "abs-sum-grad",
            Self::SumAbsGrad => "sum-abs-grad",
            Self::Fisher => "fisher",
            Self::FisherRatio => "fisher-ratio",
            Self::Magnitude => "magnitude",
            Self::Random => "random",
            Self::Inverted => "inverted",
            Self::LayerBalanced => "layer-balanced",
            Self::None => "none",
            Self::Given => "given",
        }
    }

    /// The name for a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::AbsSumGrad => "Gradient sum",
            Self::SumAbsGrad => "|Gradient| sum",
            Self::Fisher => "Fisher",
            Self::FisherRatio => "Fisher ratio",
            Self::Magnitude => "Weight size",
            Self::Random => "Random",
            Self::Inverted => "Least salient",
            Self::LayerBalanced => "Layer-balanced",
            Self::None => "No mask",
            Self::Given => "From a file",
        }
    }

    /// What it is, in a line for a person.
    pub fn about(self) -> &'static str {
        match self {
            Self::AbsSumGrad => "|sum of gradients| over the forget set, the paper's (SalUn eq. 3)",
            Self::SumAbsGrad => {
                "sum of |gradient| over batches of the forget set: of 128, of prompts 32"
            }
            Self::Fisher => "diagonal Fisher: mean squared gradient of single forgotten pictures",
            Self::FisherRatio => "Fisher of the forget set over that of as many retained pictures",
            Self::Magnitude => "|weight|, whatever is forgotten",
            Self::Random => "a random order: the control of equal size",
            Self::Inverted => "the least salient by abs-sum-grad: a control",
            Self::LayerBalanced => "the most salient of each layer, the same share of every layer",
            Self::None => "no mask: every weight may change",
            Self::Given => "a mask out of a file",
        }
    }

    /// What the kept weights are, in a word or two that begin a title.
    pub fn kept(self) -> &'static str {
        match self {
            Self::Magnitude => "Largest",
            Self::Random => "Random",
            Self::Inverted => "Least salient",
            _ => "Salient",
        }
    }

    /// Whether pictures are looked at for it.
    pub fn looks(self) -> bool {
        !matches!(self, Self::Magnitude | Self::Random)
    }

    /// Whether scores are amounts of something, and not only places in an order.
    pub fn measures(self) -> bool {
        !matches!(self, Self::Random | Self::LayerBalanced)
    }

    /// The estimator whose scores this one puts into another order; itself where it has its own.
    pub fn base(self) -> Self {
        match self {
            Self::Inverted | Self::LayerBalanced | Self::None | Self::Given => Self::AbsSumGrad,
            own => own,
        }
    }

    /// By name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn find(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|e| e.name() == name)
            .ok_or_else(|| Error::unknown("mask", name, Self::ALL.map(Self::name)))
    }
}
