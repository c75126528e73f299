//! SCRUB (Kurmanji et al. 2023; ALGORITHMS 6.3): away from the original on the forget set, then
//! back to it on the retain set, in turn.

use burn::tensor::Tensor;

use super::{
    distil::divergence,
    hooks::{Batch, BatchSource, MethodHooks},
    knob::{Knob, Knobs, NORMS, TRAINING},
    registry::{Classify, Method, Order, Rate},
};
use crate::{train::losses::cross_entropy, words::estimator::Estimator};

/// SCRUB.
pub const METHOD: Method = Method {
    name: "scrub",
    title: "SCRUB",
    paper: "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    knobs: &[
        &[
            Knob::log(
                "gamma",
                "Weight of the true labels",
                0.99,
                [0.0, 10.0],
                "weight of the true labels on the retain set",
            ),
            Knob::log(
                "alpha",
                "Weight of the original",
                1e-3,
                [0.0, 10.0],
                "weight of the original on the retain set",
            ),
            Knob::real(
                "temperature",
                "Temperature",
                4.0,
                [0.5, 20.0],
                "temperature of both models' outputs",
            ),
            Knob::whole(
                "forget-epochs",
                "Forget epochs",
                2.0,
                [0.0, 1e4],
                "first epochs that move away as well",
            ),
        ],
        NORMS,
        TRAINING,
    ],
    mask: Estimator::None,
    classify: Some(Classify {
        order: Order::Passes,
        rate: Rate::Constant,
        lr: 5e-4,
        quick_lr: Some(2e-3),
        epochs: 6,
    }),
    generate: None,
    prompts: None,
    work: |knobs: &Knobs| {
        Box::new(Scrub {
            gamma: knobs.get("gamma"),
            alpha: knobs.get("alpha"),
            temperature: knobs.get("temperature"),
        })
    },
};

/// The weights of SCRUB's terms.
pub struct Scrub {
    pub gamma: f64,
    pub alpha: f64,
    pub temperature: f64,
}

impl Scrub {
    /// -KL(teacher || student). Logits [n, classes].
    pub fn away(&self, teacher: Tensor<2>, student: Tensor<2>) -> Tensor<1> {
        divergence(teacher, student, self.temperature).neg()
    }

    /// gamma CE + alpha KL(teacher || student). Logits [n, classes].
    pub fn back(&self, teacher: Tensor<2>, student: Tensor<2>, labels: &[usize]) -> Tensor<1> {
        cross_entropy(student.clone(), labels) * self.gamma
            + divergence(teacher, student, self.temperature) * self.alpha
    }
}

impl MethodHooks for Scrub {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        let teacher = batch.logits_of(batch.original);
        match batch.part {
            BatchSource::Forget => self.away(teacher, batch.logits),
            _ => self.back(teacher, batch.logits, batch.labels),
        }
    }
}
