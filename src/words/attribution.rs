//! Ways to say which pixels of a picture a classifier's answer hangs on.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// A way to score a picture's pixels by the gradient of the logarithm of a class's probability.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Attribution {
    /// The mean gradient over noisy copies (Smilkov et al. 2017).
    #[default]
    SmoothGrad,
    /// The gradient itself (Simonyan et al. 2014).
    Gradient,
    /// The gradient times the picture (Shrikumar et al. 2016).
    GradientInput,
}

impl Attribution {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// What it is called, and where it comes from.
    pub fn about(self) -> [&'static str; 2] {
        match self {
            Self::SmoothGrad => [
                "SmoothGrad",
                "The gradient of the class's log-probability, averaged over noisy copies of the picture \
                 (Smilkov et al. 2017)",
            ],
            Self::Gradient => {
                ["Gradient", "The gradient of the class's log-probability (Simonyan et al. 2014)"]
            }
            Self::GradientInput => [
                "Gradient × input",
                "The gradient times the picture: black pixels count for nothing (Shrikumar et al. 2016)",
            ],
        }
    }
}
