//! The change of a run, Δ = θ − θ₀: taken in part, written by itself, and as a LoRA.

mod file;
mod lora;
mod strength;
mod svd;

pub use file::{Change, decode, encode, is_delta};
pub use lora::{Lora, lora};
pub use strength::{alike, blend, model_at};
pub use svd::{Svd, truncated};
