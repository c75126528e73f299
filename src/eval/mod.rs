//! What a model still knows: accuracies, shares of generations, the verdict.

pub mod classify;
pub mod generate;
pub mod verdict;
