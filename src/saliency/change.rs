//! How far a run moved every weight: what the saliency allowed, beside what training did with it.

use serde::{Deserialize, Serialize};

use super::KEPT;
use crate::models::HostWeights;

/// Movement of all N weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// |after - before|; exactly 0 outside the mask. Of a network of more than [`KEPT`] bytes none is kept.
    #[serde(with = "crate::wire::numbers")]
    pub values: Vec<f32>,
    /// Mean movement of a weight of every layer, in forward order.
    pub layers: Vec<f32>,
}

impl Change {
    /// Compares two states of one network; rows that only the later one has are left out.
    pub fn between(before: &HostWeights, after: &HostWeights) -> Self {
        let keeps = size_of_val(&before.values[..]) as u64 <= KEPT;
        let (mut values, mut layers) = (Vec::new(), Vec::new());
        for (a, b) in before.layout.params.iter().zip(&after.layout.params) {
            let pairs = before.values[a.range()].iter().zip(&after.values[b.range()]);
            let moved: Vec<f32> = pairs.map(|(a, b)| (b - a).abs()).collect();
            let sum: f64 = moved.iter().copied().map(f64::from).sum();
            layers.push((sum / moved.len().max(1) as f64) as f32);
            if keeps {
                values.extend(moved);
            }
        }
        Self { values, layers }
    }

    /// The largest layer mean; never 0, so that it can be divided by.
    pub fn most(&self) -> f32 {
        self.layers.iter().copied().fold(f32::MIN_POSITIVE, f32::max)
    }
}
