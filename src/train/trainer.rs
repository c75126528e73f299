//! One training run, a step at a time: resumable at any step with the same result.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::latent::Stage;
use super::losses::{Augment, pictures};
use super::snapshot::Vectors;
use super::{
    CONDITION_DROP, Learner, LrSchedule, NoisedClasses, Rule, Snapshot, clip_norm, cross_entropy,
    drop_condition, mse, noised, shards,
};
use crate::data::{Dataset, rng};
use crate::diffusion::Schedule;
use crate::error::{Error, Result, ensure};
use crate::models::weights::read;
use crate::models::{HostWeights, Mode, Network, Pass, Training};

/// Everything that fixes a training run or a stage of one.
#[derive(Debug, Clone, Copy, PartialEq)]
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

impl TrainPlan {
    /// What a model's card says of a run that took so many seconds.
    pub fn done(&self, seconds: f64) -> Training {
        Training {
            steps: self.steps,
            batch: self.batch,
            optimizer: format!("{:?}", self.rule),
            lr: self.lr,
            schedule: self.schedule.describe().into(),
            ema: self.ema,
            augmentation: self.augment.name().into(),
            from: None,
            seed: self.seed,
            seconds,
        }
    }
}

/// A loss, and its gradients: those of each learner, in their order.
pub type Descent = (Tensor<1>, Vec<Vec<Tensor<1>>>);

/// What a step makes smaller.
pub trait Objective {
    /// The loss of the batch of a step.
    ///
    /// # Errors
    /// A picture cannot be read any more.
    fn gradients(&mut self, learners: &mut [Learner], step: usize) -> Result<Descent>;
}

/// A run under way, or a stage of one.
pub struct Trainer {
    objective: Box<dyn Objective>,
    pub learners: Vec<Learner>,
    pub plan: TrainPlan,
    pub step: usize,
    pub stage: Option<Stage>,
    /// Seconds spent on each stage so far; the loop that drives the run keeps that of this one, the last.
    pub seconds: Vec<f64>,
    /// What the stages before it made, which goes into every snapshot.
    made: Vectors,
}

impl Trainer {
    /// A run of one stage.
    pub fn new(
        objective: impl Objective + 'static,
        learners: Vec<Learner>,
        plan: TrainPlan,
    ) -> Self {
        let (objective, seconds) = (Box::new(objective), vec![0.0]);
        Self { objective, learners, plan, step: 0, stage: None, seconds, made: Vec::new() }
    }

    /// The same as a stage of a longer run, after those before it, which made so much.
    pub fn staged(self, stage: Stage, made: Vectors) -> Self {
        Self { stage: Some(stage), seconds: vec![0.0; stage as usize + 1], made, ..self }
    }

    /// A classifier or a diffusion model of classes from these weights, on these items of the training
    /// pictures.
    pub fn of_classes(
        network: Arc<Network>,
        start: HostWeights,
        data: Arc<Dataset>,
        items: Vec<usize>,
        plan: TrainPlan,
        device: &Device,
    ) -> Self {
        let learner = Learner::new(&start, &plan, "", device);
        let schedule = Schedule::linear();
        let (device, epochs) = (device.clone(), Epochs::default());
        let pictures = OfClasses { network, data, items, plan, schedule, device, epochs };
        Self::new(pictures, vec![learner], plan)
    }

    /// Goes on from a snapshot of this stage.
    ///
    /// # Errors
    /// A vector is missing or has another length.
    pub fn resume(&mut self, from: &Snapshot) -> Result<()> {
        let stages = self.seconds.len();
        self.step = from.step;
        self.seconds = from.seconds.clone();
        // Older states have a place for stages to come.
        self.seconds.resize(stages, 0.0);
        self.learners.iter_mut().try_for_each(|learner| learner.resume(from))
    }

    /// The state now.
    ///
    /// # Errors
    /// The device failed.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let mut vectors = self.made.clone();
        for learner in &self.learners {
            vectors.extend(learner.vectors().await?);
        }
        let Self { stage, step, seconds, .. } = self;
        let (stage, step, seconds) = (*stage, *step, seconds.clone());
        Ok(Snapshot { stage, step, seconds, vectors, ..Snapshot::default() })
    }

    /// One update; returns the loss as a tensor so that a GPU need not be waited for.
    ///
    /// # Errors
    /// A picture cannot be read any more, or the device failed.
    pub fn step(&mut self) -> Result<Tensor<1>> {
        let (loss, gradients) = self.objective.gradients(&mut self.learners, self.step)?;
        let lr = self.plan.schedule.at(self.plan.lr, self.step, self.plan.steps);
        for (learner, gradients) in self.learners.iter_mut().zip(gradients) {
            learner.update(gradients, lr)?;
        }
        self.step += 1;
        Ok(loss)
    }
}

/// A model of classes on pictures.
struct OfClasses {
    network: Arc<Network>,
    data: Arc<Dataset>,
    items: Vec<usize>,
    plan: TrainPlan,
    schedule: Schedule,
    device: Device,
    epochs: Epochs,
}

impl Objective for OfClasses {
    fn gradients(&mut self, learners: &mut [Learner], step: usize) -> Result<Descent> {
        let (n, TrainPlan { batch, seed, .. }) = (self.items.len(), self.plan);
        let places = self.epochs.batch(step, [n, batch, n.div_ceil(batch)], seed, "epoch");
        let batch: Vec<usize> = places.iter().map(|&j| self.items[j]).collect();
        let mut rng = rng::seeded(seed, &format!("step {step}"));
        let mode = Mode::train(seed, step, 0);
        let (pixels, augment, device) = (&self.data.train, self.plan.augment, &self.device);
        let weights = &mut learners[0].weights;
        let (loss, gradients) = match &*self.network {
            Network::Classifier(net) => {
                let x = pictures(pixels, &batch, augment, &mut rng, device);
                let tracked = weights.tracked();
                let pass = Pass::new(&tracked, mode);
                let loss = cross_entropy(net.forward(&pass, x), &pixels.labels(&batch));
                for (buffer, value) in pass.into_moved() {
                    weights.buffers[buffer] = value;
                }
                let gradients = tracked.gradients(&mut loss.backward());
                (loss.without_autodiff(), gradients)
            }
            Network::Unet(net) => {
                let mut b = noised(pixels, &batch, augment, &self.schedule, &mut rng, device);
                drop_condition(&mut b.own, CONDITION_DROP, &mut rng);
                let most = net.activations().together();
                let size = shards::size(weights, batch.len()).min(most);
                let parts = (b.split(size), size);
                let loss = |pass: &Pass, b: NoisedClasses| {
                    let share = b.t.len() as f64 / batch.len() as f64;
                    mse(net.forward(pass, b.x, &b.t, &b.own), b.target) * share
                };
                let (loss, gradients) = shards::gradients(weights, mode, parts, loss);
                (loss, clip_norm(gradients, 1.0))
            }
        };
        Ok((loss, vec![gradients]))
    }
}

/// Batches of places: each epoch is one shuffled pass.
#[derive(Debug, Default)]
pub struct Epochs {
    /// Of the epoch whose order this is, counted from one.
    current: usize,
    order: Vec<usize>,
}

impl Epochs {
    /// The batch of a step: of `n` places so many, `per_epoch` batches before they are shuffled anew;
    /// `stream` names the random numbers.
    pub fn batch(
        &mut self,
        step: usize,
        [n, batch, per_epoch]: [usize; 3],
        seed: u64,
        stream: &str,
    ) -> &[usize] {
        let (epoch, at) = (step / per_epoch, step % per_epoch);
        if self.current != epoch + 1 {
            let mut rng = rng::seeded(seed, &format!("{stream} {epoch}"));
            (self.current, self.order) = (epoch + 1, rng::shuffled(&mut rng, n));
        }
        let rest = &self.order[at * batch..];
        &rest[..batch.min(rest.len())]
    }
}

/// Reads a loss and refuses one that is not a number.
///
/// # Errors
/// The device failed, or training diverged.
pub async fn finite(loss: Tensor<1>) -> Result<f32> {
    number(read(loss).await?[0])
}

/// A loss that was read.
///
/// # Errors
/// Training diverged.
pub fn number(value: f32) -> Result<f32> {
    let why = "the loss is no longer a number; choose a smaller --lr";
    ensure(value.is_finite(), || Error::Diverged(why.into()))?;
    Ok(value)
}
