//! Fine-tuning on the retain set (Warnecke et al. 2021).

use super::{Losses, Method, Order, Treatment};

/// Fine-tuning: what a run does where no hook is overridden.
pub const METHOD: Method = Method {
    name: "ft",
    title: "Fine-tune",
    paper: "Warnecke et al., NDSS 2023, arXiv 2108.11577",
    treatments: &[
        Treatment::classifier(Order::Retain, 10, 0.01).quick(0.01),
        Treatment::classes(Losses::Retain, 1000, 1e-4).quick(1e-4),
        Treatment::prompts(Losses::Retain),
    ],
    ..Method::PLAIN
};
