//! NegGrad+ (Kurmanji et al. 2023): descent on the retain set and ascent on the
//! forget set in one update.

use super::{Knob, Local, Losses, Method, MethodHooks, Order, Treatment, Update};
use crate::data::Rng;
use crate::error::Result;

/// NegGrad+.
pub const METHOD: Method = Method {
    name: "neggrad-plus",
    title: "NegGrad+",
    paper: "Kurmanji et al., NeurIPS 2023, arXiv 2302.09880",
    knobs: &[Knob::real("beta", 0.95, [0.0, 1.0])
        .says("Weight of the retain loss", "weight of the retain loss; the rest is ascent")],
    treatments: &[
        Treatment::classifier(Order::Pairs, 5, 0.01).quick(0.01),
        Treatment::classes(Losses::Pair, 200, 1e-4).quick(1e-4),
        Treatment::prompts(Losses::Pair),
    ],
    work: |knobs| Box::new(Signed { beta: knobs.get("beta") }),
    ..Method::PLAIN
};

struct Signed {
    beta: f64,
}

impl MethodHooks for Signed {
    fn combine<'a>(&'a self, both: [Update; 2], _: &'a mut Rng) -> Local<'a, Result<Update>> {
        let [forget, retain] = both;
        Box::pin(async move { Ok(forget.times(self.beta - 1.0).plus(retain.times(self.beta))) })
    }
}
