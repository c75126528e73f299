//! Gradient ascent on the forget set (Thudi et al. 2022; ALGORITHMS 5.9).

use burn::tensor::Tensor;

use super::{
    hooks::{Batch, ForgetNoise, MethodHooks},
    knob::{Knob, LAYERS, NORMS, TRAINING},
    registry::{Classify, Generate, Losses, Method, Order, Rate},
};
use crate::words::{estimator::Estimator, task::Task};

/// Gradient ascent. Collapses the model when the learning rate is a little too large.
pub const METHOD: Method = Method {
    name: "ga",
    title: "Gradient ascent",
    paper: "Thudi et al., EuroS&P 2022, arXiv 2109.13398",
    knobs: &[
        &[Knob::log(
            "alpha",
            "Weight of the retain loss",
            0.0,
            [0.0, 1e6],
            "weight of the retain loss, in mean units",
        )
        .only(Task::Generate)],
        LAYERS,
        NORMS,
        TRAINING,
    ],
    mask: Estimator::None,
    classify: Some(Classify {
        order: Order::Forget,
        rate: Rate::Constant,
        lr: 5e-4,
        quick_lr: Some(5e-4),
        epochs: 5,
    }),
    generate: Some(Generate {
        losses: Losses::Sum,
        rate: Rate::Constant,
        lr: 1e-5,
        quick_lr: Some(1e-5),
        steps: 200,
        redirects: false,
        attention: false,
    }),
    prompts: Some(Generate::PROMPTS),
    work: |_| Box::new(Ascent),
};

struct Ascent;

impl MethodHooks for Ascent {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        batch.cross_entropy().neg()
    }

    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        step.denoising().neg()
    }
}
