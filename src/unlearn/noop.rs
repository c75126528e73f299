//! No operation: the baseline row that every comparison needs.

use super::registry::{Classify, Generate, Method};
use crate::saliency::estimator::Estimator;

/// Leaves the model as it is.
pub const METHOD: Method = Method {
    name: "noop",
    title: "Original",
    paper: "-",
    knobs: &[],
    mask: Estimator::None,
    classify: Some(Classify { forget: None, retain: false, lr: 0.0, epochs: 0 }),
    generate: Some(Generate { forget: None, alpha: 0.0, lr: 0.0, steps: 0 }),
};
