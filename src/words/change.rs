//! What is made of a run's change Δ: how much of it is taken, and how it is written.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// How much of a run's change is taken: 0 is the original, 1 the run, above 1 lies beyond it.
pub const STRENGTHS: RangeInclusive<f64> = 0.0..=1.5;

/// Ranks that a LoRA may have.
pub const RANKS: RangeInclusive<usize> = 1..=2048;

/// How the tensors of a LoRA file are called.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LoraLayout {
    /// As kohya's scripts and most user interfaces have it: `lora_unet_…lora_down.weight`.
    Kohya,
    /// As diffusers writes it, with PEFT's names: `unet.….lora_A.weight`.
    Diffusers,
}

impl LoraLayout {
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether files of this layout have a part for a weight: kohya's networks have none outside the U-Net's
    /// blocks.
    pub fn holds(self, weight: &str) -> bool {
        let blocks = ["down_blocks.", "mid_block.", "up_blocks."];
        self == Self::Diffusers || blocks.iter().any(|block| weight.starts_with(block))
    }
}

/// A form of a run's change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Export {
    /// Exactly the free weights, sparse.
    Delta,
    /// Low-rank factors of each layer's change.
    Lora { rank: usize, layout: LoraLayout },
    /// The model with this much of the change.
    Weights { strength: f64 },
}

impl Export {
    /// What its file's name ends with.
    pub fn file(&self) -> String {
        match self {
            Self::Delta => "delta.safetensors".into(),
            Self::Lora { rank, layout } => format!("lora-{}-{rank}.safetensors", layout.name()),
            Self::Weights { strength } => format!("strength-{strength}.safetensors"),
        }
    }
}

/// How well a LoRA holds a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraReport {
    pub rank: usize,
    pub layout: LoraLayout,
    /// Layers that changed and that it holds.
    pub layers: usize,
    /// Frobenius norm of what the factors miss of those layers' change, relative to that change.
    pub error: f64,
    /// The layer with the largest such error of its own, and that error.
    pub worst: (String, f64),
    /// Tensors that changed and that it cannot hold, such as biases and norms.
    pub left: usize,
    /// Their share of the squared norm of the whole change.
    pub left_share: f64,
}

impl LoraReport {
    /// The report in a line for a person.
    pub fn line(&self) -> String {
        let Self { rank, layers, error, worst: (name, most), left, left_share, .. } = self;
        let [error, most, left_share] = [error, most, left_share].map(|share| match *share {
            share if share < 1e-3 => format!("{share:.1e}"),
            share => format!("{:.1} %", 100.0 * share),
        });
        let held = format!(
            "A LoRA of rank {rank} holds the change of {layers} layers with a relative error of {error}, {most} \
             in the worst ({name})"
        );
        match left {
            0 => held,
            _ => format!(
                "{held}; {left} changed tensors are not in it, such as biases and norms: {left_share} of the \
                 change's squared norm"
            ),
        }
    }
}
