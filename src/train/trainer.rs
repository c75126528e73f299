//! One training run, a step at a time: resumable at any step with the same result.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::{
    losses::{Augment, Noised, cross_entropy, drop_condition, mse, noised_varied, pictures},
    optimizer::{LrSchedule, Optimizer, Rule, clip_norm},
    preset::CONDITION_DROP,
    shards,
};
use crate::{
    data::{Dataset, rng},
    diffusion::schedule::Schedule,
    error::{Error, Result},
    models::{
        Network,
        classifier::Classifier,
        layers::{Mode, Pass},
        unet::Unet,
        weights::{HostWeights, WeightLayout, Weights, read, read_all, vector},
    },
};

/// Everything that fixes a training run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TrainPlan {
    pub steps: usize,
    pub batch: usize,
    pub rule: Rule,
    pub lr: f64,
    pub schedule: LrSchedule,
    pub ema: f64,
    /// How the pictures are varied.
    pub augment: Augment,
    pub seed: u64,
}

/// The state of a run after some steps, in main memory.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    pub step: usize,
    /// Seconds that those steps took.
    pub seconds: f64,
    pub weights: HostWeights,
    #[serde(with = "crate::wire::numbers")]
    pub first: Vec<f32>,
    #[serde(with = "crate::wire::numbers")]
    pub second: Vec<f32>,
    #[serde(with = "crate::wire::numbers")]
    pub ema: Vec<f32>,
}

/// A run under way.
pub struct Trainer {
    network: Arc<Network>,
    data: Arc<Dataset>,
    /// Indices into the training pictures.
    items: Vec<usize>,
    plan: TrainPlan,
    schedule: Schedule,
    device: Device,
    layout: Arc<WeightLayout>,
    pub weights: Weights,
    optimizer: Optimizer,
    ema: Vec<Tensor<1>>,
    pub step: usize,
    /// Seconds spent on the steps so far; the loop that drives the run keeps it.
    pub seconds: f64,
    order: (usize, Vec<usize>),
}

impl Trainer {
    /// A run from these weights.
    pub fn new(
        network: Arc<Network>,
        start: HostWeights,
        data: Arc<Dataset>,
        items: Vec<usize>,
        plan: TrainPlan,
        device: &Device,
    ) -> Self {
        let weights = start.upload(device);
        let ema = if plan.ema > 0.0 { weights.params.clone() } else { Vec::new() };
        Self {
            optimizer: Optimizer::new(plan.rule, None),
            schedule: Schedule::linear(),
            device: device.clone(),
            order: (usize::MAX, Vec::new()),
            step: 0,
            seconds: 0.0,
            layout: start.layout,
            network,
            data,
            items,
            plan,
            weights,
            ema,
        }
    }

    /// Steps in one pass over the items.
    pub fn steps_per_epoch(items: usize, batch: usize) -> usize {
        items.div_ceil(batch)
    }

    /// Goes on from a snapshot.
    pub fn resume(&mut self, snapshot: &Snapshot) {
        let vectors = |flat: &[f32]| -> Vec<Tensor<1>> {
            if flat.is_empty() {
                return Vec::new();
            }
            self.layout.params.iter().map(|e| vector(&flat[e.range()], &self.device)).collect()
        };
        self.step = snapshot.step;
        self.seconds = snapshot.seconds;
        self.weights = snapshot.weights.upload(&self.device);
        self.optimizer.first = vectors(&snapshot.first);
        self.optimizer.second = vectors(&snapshot.second);
        self.optimizer.steps = snapshot.step;
        self.ema = vectors(&snapshot.ema);
    }

    /// The state now.
    ///
    /// # Errors
    /// The device failed.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot {
            step: self.step,
            seconds: self.seconds,
            weights: self.weights.download().await?,
            first: read_all(&self.optimizer.first).await?,
            second: read_all(&self.optimizer.second).await?,
            ema: read_all(&self.ema).await?,
        })
    }

    /// The weights to ship: the moving average where there is one.
    ///
    /// # Errors
    /// The device failed.
    pub async fn result(&self) -> Result<HostWeights> {
        let mut weights = self.weights.download().await?;
        if !self.ema.is_empty() {
            weights.values = read_all(&self.ema).await?;
        }
        Ok(weights)
    }

    /// One update; returns the loss as a tensor so that a GPU need not be waited for.
    ///
    /// # Errors
    /// The device failed.
    pub fn step(&mut self) -> Result<Tensor<1>> {
        let batch = self.batch();
        let mut rng = rng::seeded(self.plan.seed, &format!("step {}", self.step));
        let lr = self.plan.schedule.at(self.plan.lr, self.step, self.plan.steps);
        let network = self.network.clone();
        let (loss, gradients) = match &*network {
            Network::Classifier(net) => self.classify(&**net, &batch, &mut rng),
            Network::Unet(net) => self.generate(net, &batch, &mut rng),
        };
        self.optimizer.step(&mut self.weights, gradients, lr)?;
        self.step += 1;
        average(&mut self.ema, &self.weights.params, self.plan.ema, self.step);
        Ok(loss)
    }

    fn classify(
        &mut self,
        net: &dyn Classifier,
        batch: &[usize],
        rng: &mut rng::Rng,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let pixels = &self.data.train;
        let x = pictures(pixels, batch, self.plan.augment, rng, &self.device);
        let weights = self.weights.tracked();
        let pass = Pass::new(&weights, Mode::train(self.plan.seed, self.step, 0));
        let loss = cross_entropy(net.forward(&pass, x), &pixels.labels(batch));
        for (buffer, value) in pass.into_moved() {
            self.weights.buffers[buffer] = value;
        }
        let gradients = weights.gradients(&mut loss.backward());
        (loss.without_autodiff(), gradients)
    }

    fn generate(
        &self,
        net: &Unet,
        batch: &[usize],
        rng: &mut rng::Rng,
    ) -> (Tensor<1>, Vec<Tensor<1>>) {
        let (pixels, augment) = (&self.data.train, self.plan.augment);
        let mut b = noised_varied(pixels, batch, augment, &self.schedule, rng, &self.device);
        drop_condition(&mut b.class, CONDITION_DROP, rng);
        let parts = b.split(shards::size(&self.weights, batch.len()));
        let mode = Mode::train(self.plan.seed, self.step, 0);
        let (loss, gradients) = shards::gradients(&self.weights, mode, parts, |pass, b: Noised| {
            let share = b.t.len() as f64 / batch.len() as f64;
            mse(net.forward(pass, b.x, &b.t, &b.class), b.eps) * share
        });
        (loss, clip_norm(gradients, 1.0))
    }

    /// The items of the next batch: each epoch is one shuffled pass.
    fn batch(&mut self) -> Vec<usize> {
        let per_epoch = Self::steps_per_epoch(self.items.len(), self.plan.batch);
        let (epoch, at) = (self.step / per_epoch, self.step % per_epoch);
        if self.order.0 != epoch {
            let mut rng = rng::seeded(self.plan.seed, &format!("epoch {epoch}"));
            self.order = (epoch, rng::shuffled(&mut rng, self.items.len()));
        }
        let order = &self.order.1[at * self.plan.batch..];
        order.iter().take(self.plan.batch).map(|&j| self.items[j]).collect()
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

/// Reads a loss and refuses one that is not a number.
///
/// # Errors
/// The device failed, or training diverged.
pub async fn finite(loss: Tensor<1>) -> Result<f32> {
    let value = read(loss).await?[0];
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Diverged("the loss is no longer a number; choose a smaller --lr".into()))
    }
}
