//! No method of ours: weights that others made forget, which are looked at as the end of a run.

use super::{Losses, Method, Order, Treatment, salun};

/// Takes the weights as they are. What stands for the weights that were free, which nobody says, is SalUn's mask.
pub const METHOD: Method = Method {
    name: "given",
    title: "Given weights",
    mask: salun::METHOD.mask,
    treatments: &[
        Treatment::classifier(Order::Nothing, 0, 0.0),
        Treatment::classes(Losses::Retain, 0, 0.0),
        Treatment::prompts(Losses::Retain).closed(),
    ],
    ..Method::PLAIN
};
