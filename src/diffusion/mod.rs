//! Noise schedules and solvers.

pub mod schedule;
pub mod scheduler;
pub mod solver;
