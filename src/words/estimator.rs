//! The ways to score weights for a mask (docs/methods.md#scores).

use serde::{Deserialize, Serialize};
use strum::{EnumMessage, IntoStaticStr, VariantArray};

use crate::error::Result;

/// How weights are scored. A larger score is kept first. What is written above a variant is what a person
/// reads of it ([`Estimator::about`]).
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumMessage,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Estimator {
    /// |sum of gradients| over the forget set, the paper's (SalUn eq. 3)
    AbsSumGrad,
    // SalUn's code before December 2023.
    /// sum of |gradient| over batches of the forget set: of 128, of prompts 32
    SumAbsGrad,
    /// diagonal Fisher: mean squared gradient of single forgotten pictures
    Fisher,
    // SFR-on, arXiv 2409.19732.
    /// Fisher of the forget set over that of as many retained pictures
    FisherRatio,
    /// |weight|, whatever is forgotten
    Magnitude,
    /// a random order: the control of equal size
    Random,
    // By |sum of g|: the control that should be the worst.
    /// the least salient by abs-sum-grad: a control
    Inverted,
    /// the most salient of each layer, the same share of every layer
    LayerBalanced,
    /// no mask: every weight may change
    None,
    // It scores nothing, and is offered nowhere, since a file goes with it: so it is the last.
    /// a mask out of a file
    Given,
}

impl Estimator {
    /// All that are offered, in the order of the menus.
    pub const ALL: &[Self] = Self::VARIANTS.split_last().unwrap().1;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
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
        self.get_documentation().unwrap_or_default()
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
        super::find("mask", name, Self::ALL)
    }
}
