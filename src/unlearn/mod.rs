//! Unlearning: a method is data plus the few hooks that it overrides; a mask is a plug-in for every
//! method.

pub mod bad_teacher;
pub mod be;
pub mod bs;
pub mod delete;
pub mod distil;
pub mod esd;
pub mod ft;
pub mod ga;
pub mod hooks;
pub mod iu;
pub mod knob;
pub mod l1_sparse;
pub mod munba;
pub mod neggrad_plus;
pub mod noop;
pub mod plan;
pub mod prompt;
mod recipe;
pub mod registry;
pub mod retrain;
pub mod rl;
pub mod salun_soft;
pub mod scrub;
pub mod sfr_on;
pub mod ssd;
pub mod statistics;
pub mod uce;
pub mod unlearner;
