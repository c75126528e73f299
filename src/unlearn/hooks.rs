//! What a method does: the hooks of a run. Each method overrides the few that it differs in.

use std::pin::Pin;

use burn::tensor::Tensor;

use super::Plan;
use crate::data::Rng;
use crate::error::Result;
use crate::job_context::JobContext;
use crate::models::{Classifier, Mode, Pass, Weights};
use crate::subject::{Noisy, Subject, Under};
use crate::train::optimizer::plus;
use crate::train::{cross_entropy, mse};

/// A future on the engine's own thread.
pub type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepInfo {
    /// The update, counted from 0, and how many there are.
    pub step: usize,
    pub steps: usize,
    pub epoch: usize,
    pub epochs: usize,
    /// The update within its epoch.
    pub turn: usize,
    /// Of a batch that is one of two: which of them.
    pub part: BatchSource,
}

/// What an update looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSource {
    Forget,
    Retain,
    /// Both, in one batch or in one of each.
    Both,
}

/// The loss of an update, and its gradient in parameter order.
#[derive(Debug, Clone)]
pub struct Update {
    pub loss: Tensor<1>,
    pub gradients: Vec<Tensor<1>>,
}

impl Update {
    /// Another length of the same step.
    pub fn times(self, s: f64) -> Self {
        let gradients = self.gradients.into_iter().map(|g| g * s).collect();
        Self { loss: self.loss * s, gradients }
    }

    /// Both steps together.
    pub fn plus(self, other: Self) -> Self {
        let gradients = plus(self.gradients, other.gradients);
        Self { loss: self.loss + other.loss, gradients }
    }
}

/// A batch of pictures for a classifier.
pub struct Batch<'a> {
    pub net: &'a dyn Classifier,
    /// [n, c, h, w] in [0, 1].
    pub x: Tensor<4>,
    /// [n, classes] of the weights that are trained.
    pub logits: Tensor<2>,
    pub labels: &'a [usize],
    /// Which pictures are to be forgotten.
    pub forgotten: &'a [bool],
    /// The weights before the run.
    pub original: &'a Weights,
    pub rng: &'a mut Rng,
    pub at: StepInfo,
}

impl Batch<'_> {
    /// The logits of other weights for the same pictures, in evaluation mode and outside any graph.
    pub fn logits_of(&self, weights: &Weights) -> Tensor<2> {
        self.net.forward(&Pass::new(weights, Mode::Eval), self.x.clone())
    }

    /// Cross-entropy to the true labels.
    pub fn cross_entropy(self) -> Tensor<1> {
        cross_entropy(self.logits, self.labels)
    }
}

/// A noised batch of the forget set for a diffusion model.
pub struct ForgetNoise<'a> {
    pub batch: &'a dyn Noisy,
    /// The weights that are trained.
    pub pass: &'a Pass<'a>,
    /// The same weights outside the graph.
    pub now: &'a Weights,
    /// The weights before the run.
    pub original: &'a Weights,
    pub at: StepInfo,
}

impl ForgetNoise<'_> {
    /// What other weights predict under one condition, outside any graph and without dropout.
    /// [n, c, h, w].
    pub fn predicted(&self, weights: &Weights, under: Under) -> Tensor<4> {
        self.batch.predict(&Pass::new(weights, Mode::Eval), under)
    }

    /// What the trained weights predict for the forgotten. [n, c, h, w].
    pub fn prediction(&self) -> Tensor<4> {
        self.batch.predict(self.pass, Under::Own)
    }

    /// The denoising loss.
    pub fn denoising(&self) -> Tensor<1> {
        mse(self.prediction(), self.batch.target())
    }
}

/// A run before its first update.
pub struct MethodContext<'a> {
    pub subject: &'a Subject,
    pub plan: &'a Plan,
    pub original: &'a Weights,
    /// What the run starts from: the original, until a method says otherwise.
    pub weights: &'a mut Weights,
    pub job: &'a mut JobContext,
}

/// A method at work. Losses are called on several threads at once; everything else in turn.
///
/// Whatever a hook does to the weights, the run puts the frozen ones back: no method knows masks.
pub trait MethodHooks: Send + Sync {
    /// Before the first update: teachers, statistics, another start, or the whole of a method that
    /// needs no updates.
    fn begin<'a>(&'a mut self, _scene: &'a mut MethodContext<'_>) -> Local<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// The loss of a classifier's batch.
    fn loss(&self, batch: Batch) -> Tensor<1> {
        batch.cross_entropy()
    }

    /// Whether the loss of a diffusion model's forget batch is of the whole batch, and not a mean over its
    /// pictures that can be taken a part at a time.
    fn whole(&self) -> bool {
        false
    }

    /// The loss of a diffusion model's forget batch.
    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        step.denoising()
    }

    /// One update of both, of the forget and of the retain set, where each has its own gradient.
    fn combine<'a>(&'a self, both: [Update; 2], _: &'a mut Rng) -> Local<'a, Result<Update>> {
        let [forget, retain] = both;
        Box::pin(async move { Ok(forget.plus(retain)) })
    }

    /// Whether [`Self::combine`] or [`Self::adjust`] look at the gradients of weights that may not change: else they
    /// are let go of where they are found.
    fn weighs_all(&self) -> bool {
        false
    }

    /// Regularises an update. A diffusion model's gradient is clipped after this.
    fn adjust(&self, update: Update, _weights: &Weights, _at: StepInfo) -> Update {
        update
    }

    /// Before an update.
    fn before(&mut self, _weights: &Weights, _at: StepInfo) {}

    /// After the optimiser's step. Says whether it moved the weights.
    fn after<'a>(&'a mut self, _: &'a mut Weights, _at: StepInfo) -> Local<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    /// What the next update depends on beside the weights and [`Self::begin`] does not make again, where there is
    /// such a thing: a vector a parameter.
    fn carried(&mut self) -> Option<&mut Vec<Tensor<1>>> {
        None
    }

    /// The weights as they are to be used.
    fn delivered(&self, weights: &Weights) -> Weights {
        weights.clone()
    }
}

/// A method that overrides nothing.
impl MethodHooks for () {}
