//! Fine-tuning on the retain set (Warnecke et al. 2021; ALGORITHMS 5.3).

use super::{
    hooks::MethodHooks,
    knob::{LAYERS, NORMS, TRAINING},
    registry::{Classify, Generate, Losses, Method, Order, Rate},
};
use crate::words::estimator::Estimator;

/// Fine-tuning.
pub const METHOD: Method = Method {
    name: "ft",
    title: "Fine-tune",
    paper: "Warnecke et al., NDSS 2023, arXiv 2108.11577",
    knobs: &[LAYERS, NORMS, TRAINING],
    mask: Estimator::None,
    classify: Some(Classify {
        order: Order::Retain,
        rate: Rate::Constant,
        lr: 0.01,
        quick_lr: Some(0.01),
        epochs: 10,
    }),
    generate: Some(Generate {
        losses: Losses::Retain,
        rate: Rate::Constant,
        lr: 1e-4,
        quick_lr: Some(1e-4),
        steps: 1000,
        redirects: false,
        attention: false,
    }),
    prompts: Some(Generate { losses: Losses::Retain, ..Generate::PROMPTS }),
    work: |_| Box::new(FineTune),
};

struct FineTune;

impl MethodHooks for FineTune {}
