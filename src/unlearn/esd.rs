//! Erased stable diffusion (Gandikota et al. 2023; ALGORITHMS 6.11): the prediction for the
//! forgotten class is pulled to the original's, guided away from the class. The noised pictures are
//! those of the forget set; the paper's, which has none, come from the model itself.

use burn::tensor::Tensor;

use super::{
    hooks::{ForgetNoise, MethodHooks},
    knob::{Knob, Knobs, TRAINING},
    registry::{Generate, Losses, Method, Rate},
};
use crate::{subject::Under, train::losses::mse, words::estimator::Estimator};

/// ESD.
pub const METHOD: Method = Method {
    name: "esd",
    title: "ESD",
    paper: "Gandikota et al., ICCV 2023, arXiv 2303.07345",
    knobs: &[
        &[
            Knob::real(
                "eta",
                "Guidance away",
                1.0,
                [0.0, 10.0],
                "how far the prediction is guided away",
            ),
            Knob::log(
                "alpha",
                "Weight of the retain loss",
                0.0,
                [0.0, 1e6],
                "weight of a retain loss, in mean units",
            ),
        ],
        TRAINING,
    ],
    mask: Estimator::None,
    classify: None,
    generate: Some(Generate {
        losses: Losses::Sum,
        rate: Rate::Constant,
        lr: 1e-5,
        quick_lr: Some(1e-4),
        steps: 1000,
        redirects: false,
        attention: false,
    }),
    // Its authors train cross-attention alone for prompts.
    prompts: Some(Generate { attention: true, ..Generate::PROMPTS }),
    work: |knobs: &Knobs| Box::new(Erase { eta: knobs.get("eta") }),
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
