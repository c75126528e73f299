//! Noise schedules, samplers and guidance.

pub mod embedding;
pub mod latent;
pub mod sampler;
pub mod schedule;
pub mod scheduler;
