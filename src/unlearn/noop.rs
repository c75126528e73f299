//! No operation: the baseline row that every comparison needs.

use super::{Losses, Method, Order, Treatment};

/// Leaves the model as it is.
pub const METHOD: Method = Method {
    name: "noop",
    title: "Original",
    masked: false,
    treatments: &[
        Treatment::classifier(Order::Nothing, 0, 0.0),
        Treatment::classes(Losses::Retain, 0, 0.0),
        Treatment::prompts(Losses::Retain).closed(),
    ],
    ..Method::PLAIN
};
