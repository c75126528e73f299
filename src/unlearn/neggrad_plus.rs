//! NegGrad+ (Kurmanji et al. 2023; ALGORITHMS 6.1): descent on the retain set and ascent on the
//! forget set in one update.

use super::{
    hooks::{Local, MethodHooks, Update},
    knob::{Knob, Knobs, LAYERS, NORMS, TRAINING},
    registry::{Classify, Generate, Losses, Method, Order, Rate},
};
use crate::{data::rng::Rng, error::Result, words::estimator::Estimator};

/// NegGrad+.
pub const METHOD: Method = Method {
    name: "neggrad-plus",
    title: "NegGrad+",
    paper: "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    knobs: &[
        &[Knob::real(
            "beta",
            "Weight of the retain loss",
            0.95,
            [0.0, 1.0],
            "weight of the retain loss; the rest is ascent",
        )],
        LAYERS,
        NORMS,
        TRAINING,
    ],
    mask: Estimator::None,
    classify: Some(Classify {
        order: Order::Pairs,
        rate: Rate::Constant,
        lr: 0.01,
        quick_lr: Some(0.01),
        epochs: 5,
    }),
    generate: Some(Generate {
        losses: Losses::Pair,
        rate: Rate::Constant,
        lr: 1e-4,
        quick_lr: Some(1e-4),
        steps: 200,
        redirects: false,
        attention: false,
    }),
    prompts: Some(Generate { losses: Losses::Pair, ..Generate::PROMPTS }),
    work: |knobs: &Knobs| Box::new(Signed { beta: knobs.get("beta") }),
};

struct Signed {
    beta: f64,
}

impl MethodHooks for Signed {
    fn combine<'a>(
        &'a self,
        forget: Update,
        retain: Update,
        _rng: &'a mut Rng,
    ) -> Local<'a, Result<Update>> {
        Box::pin(async move { Ok(forget.times(self.beta - 1.0).plus(retain.times(self.beta))) })
    }
}
