//! What is of prompts alone: learnt prompts, and the equations of concept editing.

pub mod embedding;
pub mod uce;

use crate::models::{
    latent::unet::is_cross_attention,
    weights::{WeightEntry, WeightLayout},
};

/// A 1 for every weight of the cross-attention layers.
pub fn cross_attention(layout: &WeightLayout) -> Vec<u8> {
    let reads = |e: &WeightEntry| vec![u8::from(is_cross_attention(&e.name)); e.n()];
    layout.params.iter().flat_map(reads).collect()
}

#[cfg(test)]
mod tests;
