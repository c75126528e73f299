//! SCRUB (Kurmanji et al. 2023): away from the original on the forget set, then
//! back to it on the retain set, in turn.

use burn::tensor::Tensor;

use super::{Batch, BatchSource, Knob, Method, MethodHooks, Order, Treatment, divergence};
use crate::train::cross_entropy;

/// SCRUB.
pub const METHOD: Method = Method {
    name: "scrub",
    title: "SCRUB",
    paper: "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    knobs: &[
        Knob::log("gamma", 0.99, [0.0, 10.0])
            .says("Weight of the true labels", "weight of the true labels on the retain set"),
        Knob::log("alpha", 1e-3, [0.0, 10.0])
            .says("Weight of the original", "weight of the original on the retain set"),
        Knob::real("temperature", 4.0, [0.5, 20.0])
            .says("Temperature", "temperature of both models' outputs"),
        Knob::whole("forget-epochs", 2.0, [0.0, 1e4])
            .says("Forget epochs", "first epochs that move away as well"),
    ],
    treatments: &[Treatment::classifier(Order::Passes, 6, 5e-4).quick(2e-3)],
    work: |knobs| {
        let [gamma, alpha, temperature] =
            ["gamma", "alpha", "temperature"].map(|name| knobs.get(name));
        Box::new(Scrub { gamma, alpha, temperature })
    },
    ..Method::PLAIN
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
        match batch.at.part {
            BatchSource::Forget => self.away(teacher, batch.logits),
            _ => self.back(teacher, batch.logits, batch.labels),
        }
    }
}
