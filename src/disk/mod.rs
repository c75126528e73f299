//! Files: where they lie, and how they are written whole or not at all.

pub mod files;
pub mod kept;
pub mod output;

pub use files::{Stamp, expanded, open, read, read_at_most, read_text, stamp, stamps};
