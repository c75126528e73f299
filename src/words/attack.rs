//! What attacks on a model that forgot a prompt found: `attacks.json`, and in `report.json`.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// A way to bring back what a model no longer draws.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AttackKind {
    /// The best of many paraphrases, and a prompt embedding that is learnt from pictures of the
    /// forgotten (concept inversion, Pham et al. 2024).
    Prompt,
    /// Pictures of the forgotten are walked back to noise, and drawn again from there (after TINA,
    /// Li et al. 2024).
    Inversion,
}

impl AttackKind {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The name for a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::Prompt => "Prompt search",
            Self::Inversion => "Inversion",
        }
    }
}

/// What one attack found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttackReport {
    pub kind: AttackKind,
    /// The forget set.
    pub forget: String,
    /// First the prompt as it is, then what the attack made of it.
    pub tries: Vec<Try>,
    /// Pictures of each try, from each model.
    pub n: usize,
    /// Prompts or pictures that the attack chose from.
    pub searched: usize,
    /// Updates of what was learnt; 0 where nothing was.
    pub steps: usize,
    pub seed: u64,
    pub seconds: f64,
}

/// One way, tried on the original and on the model that forgot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Try {
    pub name: String,
    /// What was asked for; empty where it was no text.
    pub prompt: String,
    /// Share of the pictures in which the judge sees what was forgotten, in percent.
    pub before: f64,
    pub after: f64,
    /// Whether it shows what the attack does by itself, and not what the model holds.
    #[serde(default)]
    pub control: bool,
}

impl AttackReport {
    /// The most that any way brought back beyond the prompt as it is, in points.
    pub fn gain(&self) -> f64 {
        let plain = self.tries.first().map_or(0.0, |t| t.after);
        let best = self.tries.iter().filter(|t| !t.control).map(|t| t.after).fold(plain, f64::max);
        best - plain
    }

    /// The best way that is no control.
    pub fn best(&self) -> Option<&Try> {
        self.tries.iter().filter(|t| !t.control).max_by(|a, b| a.after.total_cmp(&b.after))
    }
}
