//! The methods that the studio, the command line and the docs offer.

use burn::tensor::Tensor;

use super::{ft, ga, noop, rl};
use crate::{
    data::rng::Rng,
    error::{Error, Result},
    models::{Task, layers::Pass, unet::Unet, weights::Weights},
    saliency::estimator::Estimator,
    train::losses::Noised,
};

/// A way to unlearn.
#[derive(Debug)]
pub struct Method {
    /// Name on the command line.
    pub name: &'static str,
    /// Name for a person.
    pub title: &'static str,
    pub paper: &'static str,
    pub knobs: &'static [&'static str],
    /// The mask it takes unless another is asked for.
    pub mask: Estimator,
    pub classify: Option<Classify>,
    pub generate: Option<Generate>,
}

/// A batch of logits of the forget set, and its loss.
pub struct ForgetBatch<'a> {
    /// [n, classes].
    pub logits: Tensor<2>,
    pub labels: &'a [usize],
    pub rng: &'a mut Rng,
}

/// How a method treats a classifier: per epoch a pass over the forget set with `forget`, then a
/// pass over the retain set with cross-entropy.
#[derive(Debug)]
pub struct Classify {
    pub forget: Option<fn(ForgetBatch) -> Tensor<1>>,
    pub retain: bool,
    pub lr: f64,
    pub epochs: usize,
}

/// A noised batch of the forget set for the diffusion model.
pub struct ForgetNoise<'a> {
    pub unet: &'a Unet,
    /// The weights that are trained.
    pub pass: &'a Pass<'a>,
    /// The same weights outside the graph.
    pub now: &'a Weights,
    pub batch: Noised,
    /// Where the forgotten class goes; `None` is the null condition.
    pub redirect: Option<usize>,
}

/// How a method treats a diffusion model: each step, the forget loss plus `alpha` times the
/// denoising loss on a retain batch.
#[derive(Debug)]
pub struct Generate {
    pub forget: Option<fn(ForgetNoise) -> Tensor<1>>,
    /// Default weight of the retain loss in mean units; 0 leaves it out.
    pub alpha: f64,
    pub lr: f64,
    pub steps: usize,
}

/// Every method.
pub const METHODS: &[Method] = &[rl::SALUN, rl::RL, ft::METHOD, ga::METHOD, noop::METHOD];

impl Method {
    /// The tasks that it has a step for.
    pub fn tasks(&self) -> Vec<Task> {
        let classify = self.classify.is_some().then_some(Task::Classify);
        classify.into_iter().chain(self.generate.is_some().then_some(Task::Generate)).collect()
    }
}

/// A method by name.
///
/// # Errors
/// The name is unknown.
pub fn find(name: &str) -> Result<&'static Method> {
    METHODS
        .iter()
        .find(|m| m.name == name)
        .ok_or_else(|| Error::unknown("method", name, METHODS.iter().map(|m| m.name)))
}
