//! Unified concept editing (Gandikota et al. 2024; ALGORITHMS 6.11) as the registry lists it; what it
//! does is in [`super::prompt::uce`].

use super::{registry::Method, work::Work};
use crate::words::estimator::Estimator;

/// UCE: for prompts alone.
pub const METHOD: Method = Method {
    name: "uce",
    title: "UCE",
    paper: "Gandikota et al., WACV 2024, arXiv 2308.14761",
    knobs: &[],
    mask: Estimator::None,
    classify: None,
    generate: None,
    work: |_| Box::new(Nothing),
};

/// It has no step for classes.
struct Nothing;

impl Work for Nothing {}
