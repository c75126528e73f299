//! Training from data: the optimisers, the recipes of the shipped models, one resumable loop.

pub mod latent;
pub mod learner;
pub mod losses;
pub mod optimizer;
pub mod preset;
pub mod request;
pub mod shards;
pub mod snapshot;
pub mod trainer;
