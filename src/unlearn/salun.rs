//! SalUn: random labelling under a mask of the weights that matter to the forget set (Fan et al. 2024, eq. 5).

use super::{Method, rl};
use crate::words::Estimator;

/// SalUn with its hard mask.
pub const METHOD: Method = Method {
    name: "salun",
    title: "SalUn",
    paper: "Fan et al., ICLR 2024, arXiv 2310.12508",
    mask: Estimator::AbsSumGrad,
    ..rl::METHOD
};
