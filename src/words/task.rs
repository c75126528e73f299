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
}
