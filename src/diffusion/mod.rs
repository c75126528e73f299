//! Noise schedules, samplers and guidance.

pub mod embedding;
pub mod sampler;
pub mod schedule;
