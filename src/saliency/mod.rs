//! Weight saliency: score every weight, select exactly k, describe the selection.

mod batch;
mod change;
pub mod fisher;
mod live;
mod mask;
mod order;
mod overlap;
pub mod picture;
mod score;
mod scores;
pub mod select;

pub use batch::PlainBatch;
pub use change::Change;
pub use fisher::diagonal;
pub use live::{Histogram, Kept};
pub use overlap::{By, Common, Overlap};
pub use score::{Early, PART, Scoring, rank};
pub use scores::Scores;
pub use select::top_k;

pub use mask::Mask;

/// Bytes of scores and of movements, a number of each for every weight, that are kept beside the weights; of a
/// larger network only what they come to in its layers.
pub const KEPT: u64 = 1 << 30;
