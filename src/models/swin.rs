//! Swin Transformer (Liu et al. 2021), torchvision's architecture and names, for small pictures.
//!
//! Patches are 2 x 2 and windows 4 x 4 pixels and tokens instead of 4 and 7: pictures of 32 or 28
//! pixels are 16 or 14 tokens wide, then 8 or 7, 4, 2. Sides that windows do not divide are padded
//! with zeros below and on the right, which take part in attention, as in torchvision.

mod block;
mod window;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::classifier::normalised;
use super::{Classifier, Conv, LayerNorm, Linear, Pass, Scope, Sketch};
use crate::gpu::Padding;
use block::{Block, Merge};
pub use window::relative_index;

/// Epsilon of the layer normalisations.
const EPS: f64 = 1e-5;

/// What shapes a Swin Transformer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinConfig {
    /// Values of a token in the first stage: 96 in Swin-T.
    pub embed: usize,
    /// Blocks of each stage: 2, 2, 6, 2 in Swin-T.
    pub depths: Vec<usize>,
    /// Attention heads of each stage: 3, 6, 12, 24 in Swin-T.
    pub heads: Vec<usize>,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Side of a window in tokens.
    pub window: usize,
    /// Probability, growing with depth, that a picture skips the last block while training.
    pub drop_path: f64,
    pub channels: usize,
    pub classes: usize,
    /// Mean and standard deviation of each input channel; the network's first operation uses them.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl SwinConfig {
    /// Whether every size is within reason and fits the others; colours and classes aside.
    pub fn usable(&self) -> bool {
        let tokens = |i: usize| self.embed << i;
        (1..=1024).contains(&self.embed)
            && (1..=6).contains(&self.depths.len())
            && self.depths.len() == self.heads.len()
            && self.depths.iter().all(|d| (1..=32).contains(d))
            && self.heads.iter().enumerate().all(|(i, h)| *h > 0 && tokens(i).is_multiple_of(*h))
            && (1..=16).contains(&self.patch)
            && (2..=16).contains(&self.window)
            && (0.0..1.0).contains(&self.drop_path)
    }
}

/// Blocks, and the merging of patches before the next stage.
#[derive(Debug, Clone)]
struct Stage {
    blocks: Vec<Block>,
    merge: Option<Merge>,
}

/// The network: patches, stages of attention within windows, norm, mean over tokens, linear.
#[derive(Debug, Clone)]
pub struct Swin {
    pub config: SwinConfig,
    patches: Conv,
    norm_in: LayerNorm,
    stages: Vec<Stage>,
    norm: LayerNorm,
    head: Linear,
}

impl Swin {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: SwinConfig, mut at: Scope) -> Self {
        let SwinConfig { embed, patch, window, .. } = config;
        let patches = Conv::same(at.part("features.0.0"), [config.channels, embed], patch)
            .strided(patch, Padding::Same(0));
        let norm_in = LayerNorm::new(at.part("features.0.2"), embed, EPS);
        let blocks: usize = config.depths.iter().sum();
        let mut stages = Vec::new();
        let (mut c, mut count) = (embed, 0);
        for (i, (&depth, &heads)) in config.depths.iter().zip(&config.heads).enumerate() {
            let stage = (0..depth)
                .map(|b| {
                    let at = at.part(format!("features.{}.{b}", 2 * i + 1));
                    let shift = if b % 2 == 0 { 0 } else { window / 2 };
                    let skip = config.drop_path * count as f64 / (blocks.max(2) - 1) as f64;
                    count += 1;
                    Block::new(at, c, heads, [window, shift], skip)
                })
                .collect();
            let merge = (i + 1 < config.depths.len()).then(|| {
                c *= 2;
                Merge::new(at.part(format!("features.{}", 2 * i + 2)), c / 2)
            });
            stages.push(Stage { blocks: stage, merge });
        }
        let norm = LayerNorm::new(at.part("norm"), c, EPS);
        let head = Linear::small(at.part("head"), [c, config.classes]);
        Self { config, patches, norm_in, stages, norm, head }
    }
}

/// The mean over tokens. [n, h, w, c] to [n, c].
fn mean(h: Tensor<4>) -> Tensor<2> {
    let [n, height, width, c] = h.dims();
    h.reshape([n, height * width, c]).mean_dim(1).reshape([n, c])
}

impl Classifier for Swin {
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let x = normalised(x, &self.config.mean, &self.config.std);
        let tokens = self.patches.forward(pass, x).permute([0, 2, 3, 1]);
        let mut h = self.norm_in.forward(pass, tokens);
        for stage in &self.stages {
            for block in &stage.blocks {
                h = block.forward(pass, h);
            }
            seen(&h);
            if let Some(merge) = &stage.merge {
                h = merge.forward(pass, h);
            }
        }
        mean(self.norm.forward(pass, h))
    }

    fn sketch(&self, to: &mut Sketch) {
        to.block("In", 0);
        let x = to.input("picture");
        let mut h = to.layer(&[self.patches.params(), self.norm_in.params()], &[x]);
        for (level, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.blocks.iter().enumerate() {
                to.block(format!("Stage {}.{}", level + 1, i + 1), level);
                h = block.sketch(to, h);
            }
            if let Some(merge) = &stage.merge {
                to.block(format!("Halve {}", level + 1), level + 1);
                h = merge.sketch(to, h);
            }
        }
        to.block("Head", self.stages.len() - 1);
        to.layer(&[self.head.params(), self.norm.params()], &[h]);
    }

    fn stage_names(&self) -> Vec<String> {
        (1..=self.stages.len()).map(|i| format!("stage{i}")).collect()
    }

    fn linear(&self) -> &Linear {
        &self.head
    }

    fn average(&self, h: Tensor<4>) -> Tensor<2> {
        mean(h)
    }
}
