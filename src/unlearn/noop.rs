//! No operation: the baseline row that every comparison needs.

use super::{
    hooks::MethodHooks,
    registry::{Classify, Generate, Method, Order},
};
use crate::words::estimator::Estimator;

/// Leaves the model as it is.
pub const METHOD: Method = Method {
    name: "noop",
    title: "Original",
    paper: "-",
    knobs: &[],
    mask: Estimator::None,
    classify: Some(Classify { order: Order::Nothing, ..Classify::CLOSED }),
    generate: Some(Generate::CLOSED),
    prompts: Some(Generate::CLOSED),
    work: |_| Box::new(Nothing),
};

struct Nothing;

impl MethodHooks for Nothing {}
