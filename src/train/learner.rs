//! A set of weights that learns: its optimiser and its moving average beside it.

use burn::tensor::{Device, Tensor};

use super::snapshot::Vectors;
use super::{Optimizer, Rule, Snapshot, TrainPlan};
use crate::error::Result;
use crate::models::weights::vector;
use crate::models::{HostWeights, Weights, read_all};

/// Weights, their optimiser, and their moving average.
pub struct Learner {
    pub weights: Weights,
    optimizer: Optimizer,
    rule: Rule,
    /// Empty where there is none.
    average: Vec<Tensor<1>>,
    /// Decay of the moving average; 0 for none.
    decay: f64,
    /// What the names of its vectors in a state begin with.
    prefix: &'static str,
}

impl Learner {
    /// Learning from these weights.
    pub fn new(
        start: &HostWeights,
        plan: &TrainPlan,
        prefix: &'static str,
        device: &Device,
    ) -> Self {
        let (weights, TrainPlan { rule, ema: decay, .. }) = (start.upload(device), *plan);
        let average = if decay > 0.0 { weights.params.clone() } else { Vec::new() };
        Self { average, weights, optimizer: Optimizer::new(rule, None), rule, decay, prefix }
    }

    /// One update.
    ///
    /// # Errors
    /// The device failed.
    pub fn update(&mut self, gradients: Vec<Tensor<1>>, lr: f64) -> Result<()> {
        self.optimizer.step(&mut self.weights, gradients, lr)?;
        average(&mut self.average, &self.weights.params, self.decay, self.optimizer.steps);
        Ok(())
    }

    /// The weights to ship: the moving average where there is one.
    ///
    /// # Errors
    /// The device failed.
    pub async fn result(&self) -> Result<HostWeights> {
        let mut weights = self.weights.clone();
        if !self.average.is_empty() {
            weights.params = self.average.clone();
        }
        weights.download().await
    }

    /// The whole state, by name.
    ///
    /// # Errors
    /// The device failed.
    pub async fn vectors(&self) -> Result<Vectors> {
        let mut all = Vec::new();
        for (name, tensors) in [
            ("weights", &self.weights.params),
            ("buffers", &self.weights.buffers),
            ("first", &self.optimizer.first),
            ("second", &self.optimizer.second),
            ("average", &self.average),
        ] {
            if !tensors.is_empty() {
                all.push((format!("{}{name}", self.prefix), read_all(tensors).await?));
            }
        }
        Ok(all)
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// A vector is missing or has another length.
    pub fn resume(&mut self, from: &Snapshot) -> Result<()> {
        let (layout, device) = (self.weights.layout.clone(), self.weights.device());
        let read = |name: &str, buffers: bool| -> Result<Vec<Tensor<1>>> {
            let entries = if buffers { &layout.buffers } else { &layout.params };
            let n = entries.last().map_or(0, |e| e.range().end);
            let flat = from.vector(&format!("{}{name}", self.prefix), n)?;
            Ok(entries.iter().map(|e| vector(&flat[e.range()], &device)).collect())
        };
        self.weights.params = read("weights", false)?;
        self.weights.buffers = read("buffers", true)?;
        if from.step > 0 {
            self.optimizer.first = read("first", false)?;
        }
        if from.step > 0 && matches!(self.rule, Rule::Adam { .. }) {
            self.optimizer.second = read("second", false)?;
        }
        if self.decay > 0.0 {
            self.average = read("average", false)?;
        }
        self.optimizer.steps = from.step;
        Ok(())
    }
}

/// Takes the weights after `step` updates into their moving average, where there is one. Early
/// averages forget the random start faster (as TensorFlow's `num_updates`).
pub fn average(average: &mut [Tensor<1>], now: &[Tensor<1>], decay: f64, step: usize) {
    let decay = decay.min((1.0 + step as f64) / (10.0 + step as f64));
    for (average, now) in average.iter_mut().zip(now) {
        *average = average.clone() * decay + now.clone() * (1.0 - decay);
    }
}
