//! Training from data: the optimisers, the recipes of the shipped models, one resumable loop.

pub mod latent;
mod learner;
pub mod losses;
pub mod optimizer;
mod preset;
mod request;
pub mod shards;
mod snapshot;
pub mod trainer;

pub use learner::{Learner, average};
pub use losses::{
    Noised, NoisedClasses, column, cross_entropy, drop_condition, log_likelihood, mse, noised,
};
pub use optimizer::{LrSchedule, Optimizer, Rule, WeightFreeze, clip_norm};
pub use preset::{CONDITION_DROP, PRESETS, Preset};
pub use request::TrainRequest;
pub use snapshot::Snapshot;
pub use trainer::{Descent, Epochs, Objective, TrainPlan, Trainer};
