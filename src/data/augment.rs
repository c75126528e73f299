//! How training pictures are varied.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How training pictures of a classifier are varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// All, by name on the command line.
    pub const ALL: [(&str, Self); 4] = [
        ("none", Self::None),
        ("flip", Self::Flip),
        ("shift-flip", Self::ShiftFlip),
        ("crop-flip", Self::CropFlip),
    ];

    /// By name.
    ///
    /// # Errors
    /// The name is unknown.
    pub fn find(name: &str) -> Result<Self> {
        let names = Self::ALL.map(|(n, _)| n);
        let found = Self::ALL.into_iter().find(|(n, _)| *n == name);
        found.map(|(_, a)| a).ok_or_else(|| Error::unknown("augmentation", name, names))
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Flip => "flip",
            Self::ShiftFlip => "shift-flip",
            Self::CropFlip => "crop-flip",
        }
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
