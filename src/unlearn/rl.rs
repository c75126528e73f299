//! Random labelling (Golatkar et al. 2020), and SalUn, which is the same under a saliency mask
//! (Fan et al. 2024, eq. 5; ALGORITHMS 5.6, 5.7, 8.5).

use burn::tensor::Tensor;
use rand::RngExt;

use super::registry::{Classify, ForgetBatch, ForgetNoise, Generate, Method};
use crate::{
    models::layers::{Mode, Pass},
    saliency::estimator::Estimator,
    train::losses::{cross_entropy, mse},
};

const CLASSIFY: Classify =
    Classify { forget: Some(random_labels), retain: true, lr: 0.013, epochs: 10 };
/// Alpha is 1e-3 per pixel sum in the official code, 3.07 in mean units.
const GENERATE: Generate = Generate { forget: Some(redirect), alpha: 3.07, lr: 1e-4, steps: 1000 };

/// SalUn with its hard mask.
pub const SALUN: Method = Method {
    name: "salun",
    title: "SalUn",
    paper: "Fan et al., ICLR 2024, arXiv 2310.12508",
    knobs: &["density", "mask", "epochs", "steps", "lr", "batch", "alpha", "redirect"],
    mask: Estimator::AbsSumGrad,
    classify: Some(CLASSIFY),
    generate: Some(GENERATE),
};

/// The same without a mask.
pub const RL: Method = Method {
    name: "rl",
    title: "Random labels",
    paper: "Golatkar et al., CVPR 2020, arXiv 1911.04933",
    knobs: SALUN.knobs,
    mask: Estimator::None,
    classify: Some(CLASSIFY),
    generate: Some(GENERATE),
};

/// Cross-entropy to a label drawn from the wrong ones: y' is never y, as the paper writes.
fn random_labels(batch: ForgetBatch) -> Tensor<1> {
    let classes = batch.logits.dims()[1];
    let wrong: Vec<usize> =
        batch.labels.iter().map(|y| (y + batch.rng.random_range(1..classes)) % classes).collect();
    cross_entropy(batch.logits, &wrong)
}

/// The prediction for the forgotten class is pulled to what the current model predicts for the
/// redirect target, whose own pass has no condition drop and no dropout.
fn redirect(step: ForgetNoise) -> Tensor<1> {
    let target = {
        let pass = Pass::new(step.now, Mode::Eval);
        let class = vec![step.redirect; step.batch.t.len()];
        step.unet.forward(&pass, step.batch.x.clone(), &step.batch.t, &class)
    };
    let out = step.unet.forward(step.pass, step.batch.x, &step.batch.t, &step.batch.class);
    mse(out, target)
}
