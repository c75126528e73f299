//! CLIP's vision tower: a Vision Transformer (Dosovitskiy et al. 2021) with a norm before its layers.

use burn::tensor::Tensor;

use super::VisionConfig;
use crate::gpu::Padding;
use crate::models::attention::tokens;
use crate::models::latent::EncoderLayer;
use crate::models::{Conv, Init, LayerNorm, Pass, Scope};

/// Patches and a class token, layers, and what the class token has become.
#[derive(Debug, Clone)]
pub struct VisionTower {
    config: VisionConfig,
    class: usize,
    patches: Conv,
    positions: usize,
    before: LayerNorm,
    layers: Vec<EncoderLayer>,
    after: LayerNorm,
}

impl VisionTower {
    /// Declares the weights under transformers' names, one of which is misspelt.
    pub fn new(config: VisionConfig, mut root: Scope) -> Self {
        let VisionConfig { hidden_size: d, patch_size, layer_norm_eps: eps, .. } = config;
        let mut root = root.part("vision_model");
        let mut at = root.part("embeddings");
        let spread = Init::Normal(0.02);
        let class = at.param("class_embedding", &[d], spread);
        let patches = Conv::plain(at.part("patch_embedding"), [3, d], patch_size, patch_size)
            .strided(patch_size, Padding::Same(0));
        let mut table = at.part("position_embedding");
        let positions = table.param("weight", &[config.tokens(), d], spread);
        let before = LayerNorm::new(root.part("pre_layrnorm"), d, eps);
        let sizes = [d, config.intermediate_size, config.num_attention_heads];
        let layer = |i| {
            let at = root.part(format!("encoder.layers.{i}"));
            EncoderLayer::new(at, sizes, eps, &config.hidden_act)
        };
        let layers = (0..config.num_hidden_layers).map(layer).collect();
        let after = LayerNorm::new(root.part("post_layernorm"), d, eps);
        Self { class, patches, positions, before, layers, after, config }
    }

    /// [n, 3, side, side] to [n, width].
    pub fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        let (n, d) = (x.dims()[0], self.config.hidden_size);
        let patches = tokens(self.patches.forward(pass, x));
        let class = pass.weights.params[self.class].clone().reshape([1, 1, d]).expand([n, 1, d]);
        let positions = pass.weights.get::<2>(self.positions).unsqueeze();
        let mut x = self.before.forward(pass, Tensor::cat(vec![class, patches], 1) + positions);
        for layer in &self.layers {
            x = layer.forward(pass, x, None);
        }
        self.after.forward(pass, x.slice([0..n, 0..1, 0..d]).reshape([n, d]))
    }
}
