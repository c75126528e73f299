//! Noise schedules and solvers.

mod schedule;
mod scheduler;
mod solver;

pub use schedule::Schedule;
pub use scheduler::{Prediction, SchedulerConfig, SolverKind};
pub use solver::Solver;
