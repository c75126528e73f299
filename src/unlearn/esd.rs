//! Erased stable diffusion (Gandikota et al. 2023): the prediction for the
//! forgotten class is pulled to the original's, guided away from the class. The noised pictures are
//! those of the forget set; the paper's, which has none, come from the model itself.

use burn::tensor::Tensor;

use super::{ForgetNoise, Knob, Losses, Method, MethodHooks, Treatment};
use crate::subject::Under;
use crate::train::mse;

/// ESD.
pub const METHOD: Method = Method {
    name: "esd",
    title: "ESD",
    paper: "Gandikota et al., ICCV 2023, arXiv 2303.07345",
    knobs: &[
        Knob::real("eta", 1.0, [0.0, 10.0])
            .says("Guidance away", "how far the prediction is guided away"),
        Knob::log("alpha", 0.0, [0.0, 1e6])
            .says("Weight of the retain loss", "weight of a retain loss, in mean units"),
    ],
    treatments: &[
        Treatment::classes(Losses::Sum, 1000, 1e-5).quick(1e-4),
        // Its authors train cross-attention alone for prompts.
        Treatment { attention: true, ..Treatment::prompts(Losses::Sum) },
    ],
    work: |knobs| Box::new(Erase { eta: knobs.get("eta") }),
    ..Method::PLAIN
};

struct Erase {
    eta: f64,
}

impl MethodHooks for Erase {
    fn forget_noise(&self, step: ForgetNoise) -> Tensor<1> {
        let given = step.predicted(step.original, Under::Own);
        let free = step.predicted(step.original, Under::Nothing);
        mse(step.prediction(), away(free, given, self.eta))
    }
}

/// free - eta (given - free): negative guidance. [n, c, h, w].
pub fn away(free: Tensor<4>, given: Tensor<4>, eta: f64) -> Tensor<4> {
    free.clone() - (given - free) * eta
}
