//! Weight saliency: score every weight, select exactly k, describe the selection.

pub mod batch;
pub mod change;
pub mod fisher;
pub mod live;
pub mod mask;
pub mod order;
pub mod overlap;
pub mod picture;
pub mod score;
pub mod scores;
pub mod select;

pub use mask::Mask;
