//! What a run leaves behind: its folder, its figures, its links; training states and recovery.

pub mod animation;
pub mod bundle;
pub mod canvas;
pub mod charts;
pub mod figures;
#[cfg(not(target_arch = "wasm32"))]
pub mod folder;
#[cfg(not(target_arch = "wasm32"))]
pub mod fonts;
pub mod gallery;
pub mod html;
mod link;
pub mod plot;
pub mod record;
#[cfg(not(target_arch = "wasm32"))]
pub mod recovery;
#[cfg(not(target_arch = "wasm32"))]
pub mod state;

pub use canvas::{EMBER, GREEN, GREY, INK, MARGIN, PALE, Page, TRACK};
#[cfg(not(target_arch = "wasm32"))]
pub use folder::Saved;
#[cfg(not(target_arch = "wasm32"))]
pub use fonts::Font;
pub use link::Link;
pub use plot::{COLOURS, Frame, Scale};
pub use record::Record;
#[cfg(not(target_arch = "wasm32"))]
pub use recovery::Recovery;
