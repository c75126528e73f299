//! The ways to score weights for a mask (ALGORITHMS 4).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How weights are scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// |sum of g| over the forget set: SalUn's (eq. 3).
    AbsSumGrad,
    /// A random order: the control of equal size.
    Random,
    /// No mask: every weight may change.
    None,
}

impl Estimator {
    /// All, in the order of the menus.
    pub const ALL: [Self; 3] = [Self::AbsSumGrad, Self::Random, Self::None];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::AbsSumGrad => "abs-sum-grad",
            Self::Random => "random",
            Self::None => "none",
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
