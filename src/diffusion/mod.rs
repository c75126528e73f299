//! Noise schedules, samplers and guidance.

pub mod latent;
pub mod sampler;
pub mod schedule;
pub mod scheduler;
