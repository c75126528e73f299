//! What a model does.

use serde::{Deserialize, Serialize};

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    Classify,
    Generate,
    TextToImage,
}

impl Task {
    /// In the order of the studio's tabs.
    pub const ALL: [Self; 3] = [Self::Generate, Self::Classify, Self::TextToImage];

    /// Whether it tells classes of pictures apart.
    pub fn classifies(self) -> bool {
        self == Self::Classify
    }

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classify => "classify",
            Self::Generate => "generate",
            Self::TextToImage => "text-to-image",
        }
    }
}
