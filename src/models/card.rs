//! The model card: where weights come from. Stored inside the weights file and beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Architecture;

/// What a person must know to trust, repeat or use a set of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    pub name: String,
    pub architecture: Architecture,
    pub data: String,
    pub classes: Vec<String>,
    /// Seed of the one train/validation split, used again for unlearning and evaluation.
    pub split_seed: u64,
    /// What the training data was lacking, for a Retrain twin.
    #[serde(default)]
    pub without: Option<String>,
    #[serde(default)]
    pub training: Option<Training>,
    /// What was done to trained weights since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unlearned: Option<Unlearned>,
    /// Measured values by name, `TA` in percent and so on.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    #[serde(default)]
    pub device: String,
    #[serde(default)]
    pub version: String,
}

/// An unlearning run that the weights came out of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unlearned {
    pub method: String,
    pub forget: String,
    /// SHA-256 of the mask's bytes.
    pub mask: Option<String>,
    /// Protocol hash of the run.
    pub protocol: String,
}

/// How the weights were trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    pub steps: usize,
    pub batch: usize,
    pub optimizer: String,
    /// Peak of the learning-rate schedule.
    pub lr: f64,
    pub schedule: String,
    /// Decay of the exponential moving average; 0 where there is none.
    pub ema: f64,
    pub augmentation: String,
    /// The weights that training started from, as name and hash; fresh ones where there is none.
    #[serde(default)]
    pub from: Option<String>,
    pub seed: u64,
    pub seconds: f64,
}
