//! Unlearning: a method is data plus one step; a mask is a plug-in for every method.

pub mod ft;
pub mod ga;
pub mod noop;
pub mod plan;
pub mod registry;
pub mod rl;
pub mod unlearner;
