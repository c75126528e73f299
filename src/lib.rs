//! SalUn Studio: watch a model forget.
//!
//! Dependencies point one way, as ARCHITECTURE.md draws them.

pub mod assets;
pub mod data;
pub mod diffusion;
#[cfg(not(target_arch = "wasm32"))]
pub mod disk;
pub mod engine;
pub mod error;
pub mod eval;
pub mod gpu;
pub mod job_context;
pub mod models;
pub mod pickle;
pub mod platform;
pub mod run;
pub mod saliency;
pub mod sampling;
pub mod studio;
pub mod subject;
pub mod table;
pub mod train;
pub mod unlearn;
#[cfg(target_arch = "wasm32")]
pub mod web;
pub mod wire;
pub mod words;
#[cfg(target_arch = "wasm32")]
pub mod worker;
