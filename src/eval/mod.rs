//! What a model still knows: accuracies, membership inference, shares of generations, the verdict;
//! and what it holds without showing it: probes, relearning, likeness of layers.

pub mod attacks;
pub mod changed;
pub mod classify;
pub mod emoji;
pub mod examine;
pub mod frechet;
pub mod generate;
pub mod judge;
pub mod linear;
pub mod metric;
pub mod mia;
pub mod outputs;
pub mod place;
pub mod prompts;
pub mod references;
pub mod relearn;
pub mod representation;
pub mod rmia;
pub mod roc;
pub mod stats;
pub mod svm;
pub mod verdict;
