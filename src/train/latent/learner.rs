//! A set of weights that learns: optimiser and moving average beside it.

use burn::tensor::{Device, Tensor};

use super::LatentSnapshot;
use crate::{
    error::{Error, Result},
    models::weights::{HostWeights, Weights, read_all, vector},
    train::optimizer::{Optimizer, Rule, clip_norm},
};

/// Weights, their optimiser, and their moving average.
pub struct Learner {
    pub weights: Weights,
    optimizer: Optimizer,
    average: Vec<Tensor<1>>,
    /// Decay of the moving average.
    decay: f64,
}

impl Learner {
    /// Learning from these weights.
    pub fn new(start: &HostWeights, decay: f64, device: &Device) -> Self {
        let weights = start.upload(device);
        let optimizer = Optimizer::new(Rule::ADAM, None);
        Self { average: weights.params.clone(), weights, optimizer, decay }
    }

    /// One Adam update with the gradient's norm held to 1.
    ///
    /// # Errors
    /// The device failed.
    pub fn update(&mut self, gradients: Vec<Tensor<1>>, lr: f64) -> Result<()> {
        self.optimizer.step(&mut self.weights, clip_norm(gradients, 1.0), lr)?;
        // Early averages forget the random start faster (as TensorFlow's `num_updates`).
        let steps = self.optimizer.steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        for (average, now) in self.average.iter_mut().zip(&self.weights.params) {
            *average = average.clone() * decay + now.clone() * (1.0 - decay);
        }
        Ok(())
    }

    /// The moving average.
    ///
    /// # Errors
    /// The device failed.
    pub async fn result(&self) -> Result<HostWeights> {
        let values = read_all(&self.average).await?;
        Ok(HostWeights { layout: self.weights.layout.clone(), values, buffers: Vec::new() })
    }

    /// The whole state under names that start with `prefix`.
    ///
    /// # Errors
    /// The device failed.
    pub async fn vectors(&self, prefix: &str) -> Result<Vec<(String, Vec<f32>)>> {
        let mut all = Vec::new();
        for (name, tensors) in [
            ("weights", &self.weights.params),
            ("first", &self.optimizer.first),
            ("second", &self.optimizer.second),
            ("average", &self.average),
        ] {
            all.push((format!("{prefix}/{name}"), read_all(tensors).await?));
        }
        Ok(all)
    }

    /// Goes on from a snapshot.
    ///
    /// # Errors
    /// A vector is missing or has another length.
    pub fn resume(&mut self, snapshot: &LatentSnapshot, prefix: &str) -> Result<()> {
        let layout = self.weights.layout.clone();
        let device = self.weights.device();
        let read = |name: &str| -> Result<Vec<Tensor<1>>> {
            let flat = vector_of(snapshot, &format!("{prefix}/{name}"), layout.n())?;
            Ok(layout.params.iter().map(|e| vector(&flat[e.range()], &device)).collect())
        };
        self.weights.params = read("weights")?;
        self.average = read("average")?;
        if snapshot.step > 0 {
            self.optimizer.first = read("first")?;
            self.optimizer.second = read("second")?;
        }
        self.optimizer.steps = snapshot.step;
        Ok(())
    }
}

/// A vector of a snapshot by name.
///
/// # Errors
/// It is missing, has another length, or holds what is not a number.
pub fn vector_of(snapshot: &LatentSnapshot, name: &str, n: usize) -> Result<Vec<f32>> {
    let found = snapshot.vectors.iter().find(|(given, _)| given == name);
    match found {
        Some((_, v)) if v.len() == n && v.iter().all(|v| v.is_finite()) => Ok(v.clone()),
        Some((_, v)) => Err(Error::Request(format!(
            "the state's '{name}' has {} values or some that are no numbers; {n} are needed",
            v.len()
        ))),
        None => Err(Error::Request(format!("the state has no '{name}'"))),
    }
}
