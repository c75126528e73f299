//! What a model does.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// What a model does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Task {
    Classify,
    #[default]
    Generate,
    TextToImage,
}

impl Task {
    /// In the order of the studio's tabs.
    pub const ALL: [Self; 3] = [Self::TextToImage, Self::Generate, Self::Classify];

    /// Whether it tells classes of pictures apart: then single pictures can be forgotten, and a run be audited.
    pub fn classifies(self) -> bool {
        self == Self::Classify
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What is measured on what is kept, in words.
    pub fn kept(self) -> &'static str {
        match self {
            Self::TextToImage => "accuracies on what is kept",
            _ => "share of the kept classes",
        }
    }

    /// Whether what is to be forgotten is written as a prompt, and not picked from a data set.
    pub fn prompted(self) -> bool {
        matches!(self, Self::TextToImage)
    }

    /// Which part of its data a model is shown with, the test pictures or the others; one that is sampled
    /// needs none.
    pub fn shows(self) -> Option<usize> {
        match self {
            Self::Classify => Some(0),
            Self::Generate => None,
            Self::TextToImage => Some(1),
        }
    }
}
