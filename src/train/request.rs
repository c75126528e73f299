//! What to train.

use serde::{Deserialize, Serialize};

use super::{losses::Augment, trainer::Snapshot};

/// What to train.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TrainRequest {
    /// The name of a [`crate::train::preset::Preset`].
    pub preset: String,
    pub data: String,
    /// Train on what is left without this forget set (a Retrain twin).
    pub without: Option<String>,
    pub epochs: Option<usize>,
    pub steps: Option<usize>,
    pub batch: Option<usize>,
    pub lr: Option<f64>,
    pub width: Option<usize>,
    /// How the pictures are varied; as usual for the data set and the preset unless said.
    pub augment: Option<Augment>,
    /// Start from these weights (a shipped model's name or a file) and not from fresh ones.
    pub from: Option<String>,
    pub seed: u64,
    /// State of a killed run to go on from.
    pub resume: Option<Box<Snapshot>>,
}
