//! Gradient ascent on the forget set (Thudi et al. 2022; ALGORITHMS 5.9).

use burn::tensor::Tensor;

use super::registry::{Classify, ForgetBatch, ForgetNoise, Generate, Method};
use crate::{
    saliency::estimator::Estimator,
    train::losses::{cross_entropy, mse},
};

/// Gradient ascent. Collapses the model when the learning rate is a little too large.
pub const METHOD: Method = Method {
    name: "ga",
    title: "Gradient ascent",
    paper: "Thudi et al., EuroS&P 2022, arXiv 2109.13398",
    knobs: &["density", "mask", "epochs", "steps", "lr", "batch"],
    mask: Estimator::None,
    classify: Some(Classify { forget: Some(ascend), retain: false, lr: 5e-4, epochs: 5 }),
    generate: Some(Generate { forget: Some(ascend_noise), alpha: 0.0, lr: 1e-5, steps: 200 }),
};

fn ascend(batch: ForgetBatch) -> Tensor<1> {
    cross_entropy(batch.logits, batch.labels).neg()
}

fn ascend_noise(step: ForgetNoise) -> Tensor<1> {
    let out = step.unet.forward(step.pass, step.batch.x, &step.batch.t, &step.batch.class);
    mse(out, step.batch.eps).neg()
}
