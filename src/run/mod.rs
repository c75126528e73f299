//! What a run leaves behind: its folder, its figures, its links; training states and recovery.

pub mod bundle;
pub mod canvas;
mod charts;
pub mod figures;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
#[cfg(not(target_arch = "wasm32"))]
pub mod fonts;
pub mod link;
pub mod plot;
#[cfg(not(target_arch = "wasm32"))]
pub mod recovery;
#[cfg(not(target_arch = "wasm32"))]
pub mod state;
