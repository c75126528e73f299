//! The change of a run, Δ = θ − θ₀: taken in part, written by itself, as a LoRA, and as it was on the way.

mod file;
mod lora;
mod snapshots;
mod strength;
mod svd;

pub use file::{Change, decode, encode, is_delta};
pub use lora::{Lora, lora};
pub use snapshots::{MOST as SNAPSHOT_BYTES, Snapshots};
pub use strength::{alike, blend, model_at};
pub use svd::{Svd, truncated};
