//! What to train.

use serde::{Deserialize, Serialize};

use super::losses::Augment;
use crate::words::Fingerprint;

/// What to train, and everything that fixes it: a state serves only the run that it was made by.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRequest {
    /// The name of a [`crate::train::Preset`], or one of a model that is trained from a corpus:
    /// [`crate::train::latent::NAME`], or its judge.
    #[serde(rename = "model")]
    pub preset: String,
    /// A data set, or the corpus of a text-to-image model.
    pub data: String,
    /// Train on what is left without this forget set (a Retrain twin).
    #[serde(rename = "retain")]
    pub without: Option<String>,
    pub epochs: Option<usize>,
    /// Of a text-to-image model, those of its U-Net and text encoder.
    pub steps: Option<usize>,
    pub batch: Option<usize>,
    pub lr: Option<f64>,
    pub width: Option<usize>,
    /// How the pictures are varied; as usual for the data set and the preset unless said.
    #[serde(default)]
    pub augment: Option<Augment>,
    /// Start from these weights (a shipped model's name or a file) and not from fresh ones; of a
    /// text-to-image model train the decoder, and nothing else.
    #[serde(default)]
    pub from: Option<String>,
    pub seed: u64,
    /// What the data was; a state that was written before there were any has none.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// Concepts of a text-to-image model, the commonest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concepts: Option<usize>,
    /// Updates of its other parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoencoder_steps: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_steps: Option<usize>,
}
