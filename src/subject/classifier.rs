//! A classifier and its pictures.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::Settings;
use crate::data::{Dataset, Rng};
use crate::models::Classifier;
use crate::train::Rule;
use crate::train::losses::{Augment, pictures};

/// The network and the training pictures; items are their indices.
pub struct Pictured {
    pub net: Arc<dyn Classifier>,
    pub data: Arc<Dataset>,
    /// Pictures are varied as they were when the model was trained.
    pub augment: Augment,
    pub device: Device,
}

impl Pictured {
    /// These items as an update sees them, [n, c, h, w].
    pub fn learnt(&self, items: &[usize], rng: &mut Rng) -> Tensor<4> {
        pictures(&self.data.train, items, self.augment, rng, &self.device)
    }

    /// How it is scored and updated.
    pub fn settings(&self) -> Settings {
        Settings { augment: Some(self.augment), rule: Rule::SGD, ..Settings::PLAIN }
    }

    /// These items as they are, [n, c, h, w].
    pub fn plain(&self, items: &[usize], rng: &mut Rng) -> Tensor<4> {
        pictures(&self.data.train, items, Augment::None, rng, &self.device)
    }
}
