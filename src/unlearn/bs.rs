//! Boundary shrink (Chen et al. 2023): a picture to forget is given the class that
//! lies nearest behind the original's decision boundary.

use burn::tensor::Tensor;

use super::{Batch, Knob, Method, MethodHooks, Order, Treatment};
use crate::models::{Classifier, Mode, Pass, Weights};
use crate::train::{cross_entropy, log_likelihood};

/// Boundary shrink.
pub const METHOD: Method = Method {
    name: "bs",
    title: "Boundary shrink",
    paper: "Chen et al., CVPR 2023, arXiv 2303.11570",
    knobs: &[Knob::real("radius", 0.1, [0.0, 1.0])
        .says("Radius", "how far a picture is moved, in [0, 1] of a pixel")],
    treatments: &[Treatment::classifier(Order::Forget, 10, 1e-5).quick(1e-3)],
    work: |knobs| Box::new(Shrink { radius: knobs.get("radius") }),
    ..Method::PLAIN
};

struct Shrink {
    radius: f64,
}

impl MethodHooks for Shrink {
    fn loss(&self, batch: Batch) -> Tensor<1> {
        let moved = adversarial(batch.net, batch.original, batch.x, batch.labels, self.radius);
        let pass = Pass::new(batch.original, Mode::Eval);
        let nearest = batch.net.forward(&pass, moved).argmax(1);
        log_likelihood(batch.logits, nearest).mean().neg()
    }
}

/// Pictures one step up the sign of their loss's slope (FGSM, Goodfellow et al. 2015), within
/// [0, 1] and rounded to 1/255.
pub fn adversarial(
    net: &dyn Classifier,
    weights: &Weights,
    x: Tensor<4>,
    labels: &[usize],
    radius: f64,
) -> Tensor<4> {
    let tracked = x.clone().autodiff().require_grad();
    let loss = cross_entropy(net.forward(&Pass::new(weights, Mode::Eval), tracked.clone()), labels);
    let slope = match tracked.grad_remove(&mut loss.backward()) {
        Some(slope) => slope.without_autodiff(),
        None => x.zeros_like(),
    };
    let moved = (x + slope.sign() * radius).clamp(0.0, 1.0);
    (moved * 255.0).round() / 255.0
}
