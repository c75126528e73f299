//! Random labelling (Golatkar et al. 2020), and SalUn, which is the same under a saliency mask
//! (Fan et al. 2024, eq. 5).

use burn::tensor::Tensor;
use rand::RngExt;

use super::method::{Losses, Order, Treatment};
use super::{Batch, BatchSource, ForgetNoise, Knob, Knobs, Method, MethodHooks};
use crate::subject::Under;
use crate::train::{cross_entropy, mse};
use crate::words::Task;

// 1e-3 per pixel sum in the official code, 3.07 in mean units.
pub(super) const ALPHA: Knob = Knob::log("alpha", 3.07, [0.0, 1e6])
    .says("Weight of the retain loss", "weight of the retain loss, in mean units")
    .only(Task::Generate);
// 0.5 in the official code's README; the shipped model's neighbours suffer from so little.
pub(super) const ALPHA_OF_PROMPTS: Knob = Knob::log("alpha", 3.0, [0.0, 1e6])
    .says("Weight of the retain loss", "weight of the retain loss")
    .only(Task::TextToImage);
pub(super) const MOVING: Knob = Knob::switch("moving")
    .says(
        "Moving answer",
        "legacy: the other prompt is answered by the current model, which drifts",
    )
    .only(Task::TextToImage);
pub(super) const TRUE_LABEL: Knob = Knob::switch("true-label")
    .says("True label possible", "legacy: a random label may be the true one")
    .only(Task::Classify);

/// How the methods that relabel treat a classifier.
pub(super) const CLASSIFIER: Treatment = Treatment::classifier(Order::Passes, 10, 0.013);
/// How the methods that redirect treat a diffusion model of classes.
pub(super) const CLASSES: Treatment =
    Treatment { redirects: true, ..Treatment::classes(Losses::Sum, 1000, 1e-4) };
/// How they treat a text-to-image model.
pub(super) const PROMPTS: Treatment =
    Treatment { redirects: true, ..Treatment::prompts(Losses::Sum) };

/// Random labels.
pub const METHOD: Method = Method {
    name: "rl",
    title: "Random labels",
    paper: "Golatkar et al., CVPR 2020, arXiv 1911.04933",
    knobs: &[ALPHA, ALPHA_OF_PROMPTS, MOVING, TRUE_LABEL],
    treatments: &[CLASSIFIER, CLASSES, PROMPTS],
    work: |knobs| Box::new(Relabel::new(knobs)),
    ..Method::PLAIN
};

/// Random labels for a classifier, another class's prediction for a diffusion model.
pub struct Relabel {
    true_label: bool,
    /// Whether the original answers for what the forgotten is sent to: the current model may drift away.
    anchored: bool,
}

impl Relabel {
    /// With the knobs `true-label`, and `moving` where there is one.
    pub fn new(knobs: &Knobs) -> Self {
        let anchored = knobs.has("moving") && !knobs.on("moving");
        Self { true_label: knobs.on("true-label"), anchored }
    }
}

impl MethodHooks for Relabel {
    /// Cross-entropy to a label drawn from the wrong ones: y' is never y, as the paper writes. In
    /// the official code it may be.
    fn loss(&self, batch: Batch) -> Tensor<1> {
        if batch.at.part == BatchSource::Retain {
            return batch.cross_entropy();
        }
        let classes = batch.logits.dims()[1];
        let least = if self.true_label { 0 } else { 1 };
        let mut draw = |y: &usize| (y + batch.rng.random_range(least..classes)) % classes;
        let labels: Vec<usize> = batch.labels.iter().map(&mut draw).collect();
        cross_entropy(batch.logits, &labels)
    }

    /// The prediction for the forgotten is pulled to what the current model, or for prompts the original,
    /// predicts for what it is sent to, in a pass without condition drop and dropout; or noise is learnt
    /// for it.
    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        if step.batch.to_noise() {
            return step.denoising();
        }
        let of = if self.anchored { step.original } else { step.now };
        let target = step.predicted(of, Under::Sent);
        mse(step.prediction(), target)
    }
}
