//! What a model does.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// What a model does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Task {
    Classify,
    Generate,
    TextToImage,
}

impl Task {
    /// In the order of the studio's tabs.
    pub const ALL: [Self; 3] = [Self::Generate, Self::Classify, Self::TextToImage];

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

    /// Whether what is forgotten are prompts, and not pictures or a class.
    pub fn forgets_prompts(self) -> bool {
        self == Self::TextToImage
    }

    /// Whether a run can be audited.
    pub fn is_audited(self) -> bool {
        self == Self::Classify
    }
}
