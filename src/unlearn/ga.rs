//! Gradient ascent on the forget set (Thudi et al. 2022).

use burn::tensor::Tensor;

use super::{Batch, ForgetNoise, Knob, Losses, Method, MethodHooks, Order, Treatment};
use crate::words::Task;

/// Gradient ascent. Collapses the model when the learning rate is a little too large.
pub const METHOD: Method = Method {
    name: "ga",
    title: "Gradient ascent",
    paper: "Thudi et al., EuroS&P 2022, arXiv 2109.13398",
    knobs: &[Knob::log("alpha", 0.0, [0.0, 1e6])
        .says("Weight of the retain loss", "weight of the retain loss, in mean units")
        .only(Task::Generate)],
    treatments: &[
        Treatment::classifier(Order::Forget, 5, 5e-4).quick(5e-4),
        Treatment::classes(Losses::Sum, 200, 1e-5).quick(1e-5),
        Treatment::prompts(Losses::Sum),
    ],
    work: |_| Box::new(Ascent),
    ..Method::PLAIN
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
