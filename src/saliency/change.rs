//! How far a run moved every weight: what the saliency allowed, beside what training did with it.

use serde::{Deserialize, Serialize};

use crate::models::HostWeights;

/// Movement of all N weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// |after - before|; exactly 0 outside the mask.
    #[serde(with = "crate::wire::numbers")]
    pub values: Vec<f32>,
    /// Mean movement of a weight of every layer, in forward order.
    pub layers: Vec<f32>,
}

impl Change {
    /// Compares two states of one network; rows that only the later one has are left out.
    pub fn between(before: &HostWeights, after: &HostWeights) -> Self {
        let values: Vec<f32> = before.pairs(after).map(|(a, b)| (b - a).abs()).collect();
        let mean = |of: &[f32]| {
            (of.iter().copied().map(f64::from).sum::<f64>() / of.len().max(1) as f64) as f32
        };
        let layers = before.layout.params.iter().map(|e| mean(&values[e.range()])).collect();
        Self { values, layers }
    }

    /// The largest layer mean; never 0, so that it can be divided by.
    pub fn most(&self) -> f32 {
        self.layers.iter().copied().fold(f32::MIN_POSITIVE, f32::max)
    }
}
