//! A prompt that is learnt: vectors in the place of the text encoder's under which a model makes
//! given pictures (textual inversion, Gal et al. 2023, on the encoder's output).

use std::sync::Arc;

use burn::tensor::Tensor;
use rand::RngExt;

use super::items::Noised;
use super::{Items, Noising};
use crate::data::rng;
use crate::error::Result;
use crate::models::{Init, Mode, WeightLayout, Weights};
use crate::sampling::LatentWeights;
use crate::train::{Optimizer, Rule, mse, shards};

/// Largest learning rate; the vectors are layer-normalised, so their values are near 1, and far from
/// any prompt the model draws nothing.
const LR: f64 = 5e-3;

/// Vectors under way.
pub struct Learner<'a> {
    noising: &'a Noising,
    weights: &'a LatentWeights,
    vectors: Weights,
    optimizer: Optimizer,
    seed: u64,
}

impl<'a> Learner<'a> {
    /// Begins from a prompt's vectors, [1, tokens, d].
    pub fn new(
        noising: &'a Noising,
        weights: &'a LatentWeights,
        start: Tensor<3>,
        seed: u64,
    ) -> Self {
        let [_, tokens, d] = start.dims();
        let mut layout = WeightLayout::default();
        layout.param("prompt".into(), &[tokens, d], Init::Normal(1.0));
        let vectors = Weights {
            layout: Arc::new(layout),
            params: vec![start.reshape([tokens * d])],
            buffers: Vec::new(),
        };
        Self { noising, weights, vectors, optimizer: Optimizer::new(Rule::ADAM, None), seed }
    }

    /// One update towards the pictures, of `steps`; the loss.
    ///
    /// # Errors
    /// The device failed.
    pub fn update(
        &mut self,
        items: &Items,
        batch: usize,
        step: usize,
        steps: usize,
    ) -> Result<Tensor<1>> {
        let mut rng = rng::seeded(self.seed, &format!("learnt prompt {step}"));
        let indices: Vec<usize> = (0..batch).map(|_| rng.random_range(0..items.len())).collect();
        let noised = self.noising.batch(items, &indices, &mut rng);
        let unet = &self.noising.network.unet;
        let size = shards::size(&self.vectors, batch).min(unet.activations().together());
        let parts = (noised.split(size), size);
        let (loss, gradients) =
            shards::gradients(&self.vectors, Mode::Eval, parts, |pass, b: Noised| {
                let n = b.t.len();
                let vectors: Tensor<2> = pass.weights.get(0);
                let context = vectors.unsqueeze::<3>().repeat_dim(0, n);
                let frozen = pass.over(&self.weights.unet, Mode::Eval);
                mse(unet.forward(&frozen, b.x, &b.t, &context), b.target)
                    * (n as f64 / batch as f64)
            });
        let left = 1.0 - step as f64 / steps as f64;
        self.optimizer.step(&mut self.vectors, gradients, LR * left)?;
        Ok(loss)
    }

    /// The vectors, [1, tokens, d].
    pub fn context(&self) -> Tensor<3> {
        self.vectors.get::<2>(0).unsqueeze()
    }
}
