//! How training pictures are varied.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use crate::error::Result;
use crate::words;

/// How training pictures of a classifier are varied.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Augment {
    None,
    /// Flip left to right half the time.
    Flip,
    /// Flip, and shift by up to two pixels with zero padding.
    ShiftFlip,
    /// Flip, and a crop after zero padding by four pixels: a shift by up to four (docs/methods.md#models).
    CropFlip,
}

impl Augment {
    /// By name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn find(name: &str) -> Result<Self> {
        words::find("augmentation", name, Self::VARIANTS)
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Pixels that a picture is shifted by at most.
    pub fn reach(self) -> i32 {
        match self {
            Self::None | Self::Flip => 0,
            Self::ShiftFlip => 2,
            Self::CropFlip => 4,
        }
    }
}
