//! Fine-tuning on the retain set (Warnecke et al. 2021; ALGORITHMS 5.3).

use super::registry::{Classify, Generate, Method};
use crate::saliency::estimator::Estimator;

/// Fine-tuning.
pub const METHOD: Method = Method {
    name: "ft",
    title: "Fine-tune",
    paper: "Warnecke et al., NDSS 2023, arXiv 2108.11577",
    knobs: &["density", "mask", "epochs", "steps", "lr", "batch"],
    mask: Estimator::None,
    classify: Some(Classify { forget: None, retain: true, lr: 0.01, epochs: 10 }),
    generate: Some(Generate { forget: None, alpha: 1.0, lr: 1e-4, steps: 1000 }),
};
