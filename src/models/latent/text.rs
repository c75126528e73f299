//! CLIP's text encoder (Radford et al. 2021), as Stable Diffusion 1.x uses it: the hidden states
//! of the last layer after the final normalisation.

use burn::tensor::{Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::settings::bounded;
use crate::error::ensure;
use crate::models::{Attention, AttentionNames, Init, LayerNorm, Linear, Pass, Scope};

/// `text_encoder/config.json`; what is not here is not used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
}

impl TextConfig {
    /// Refuses values that this network cannot have.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        bounded(&[
            ("vocab_size", self.vocab_size, 1 << 20),
            ("hidden_size", self.hidden_size, 1 << 13),
            ("intermediate_size", self.intermediate_size, 1 << 15),
            ("num_hidden_layers", self.num_hidden_layers, 64),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("max_position_embeddings", self.max_position_embeddings, 4096),
        ])?;
        let (heads, width) = (self.num_attention_heads, self.hidden_size);
        ensure(width.is_multiple_of(heads), || format!("{heads} heads do not divide {width}"))?;
        let act = self.hidden_act.as_str();
        let known = ["quick_gelu", "gelu"].contains(&act);
        ensure(known, || format!("hidden_act '{act}' is not supported"))?;
        let eps = self.layer_norm_eps;
        ensure(eps > 0.0 && eps < 1.0, || format!("layer_norm_eps is {eps}"))
    }
}

/// A layer of CLIP's transformers: attention, then two linear maps, each after a norm and beside a shortcut.
#[derive(Debug, Clone)]
pub struct EncoderLayer {
    attention: Attention,
    norm1: LayerNorm,
    fc: [Linear; 2],
    norm2: LayerNorm,
    /// Whether the function between the maps is GELU itself and not its quick form.
    exact: bool,
}

impl EncoderLayer {
    /// `sizes`: of a token, between the two maps, heads. `act`: `gelu` or `quick_gelu`.
    pub fn new(mut at: Scope, [d, inner, heads]: [usize; 3], eps: f64, act: &str) -> Self {
        let names =
            AttentionNames { parts: ["q_proj", "k_proj", "v_proj", "out_proj"], bias: true };
        Self {
            attention: Attention::new(at.part("self_attn"), [d, d], heads, names),
            norm1: LayerNorm::new(at.part("layer_norm1"), d, eps),
            fc: [
                Linear::new(at.part("mlp.fc1"), [d, inner]),
                Linear::new(at.part("mlp.fc2"), [inner, d]),
            ],
            norm2: LayerNorm::new(at.part("layer_norm2"), d, eps),
            exact: act == "gelu",
        }
    }

    /// [n, t, d] to the same; `mask` [1, 1, t, t] is added to the scores.
    pub fn forward(&self, pass: &Pass, x: Tensor<3>, mask: Option<&Tensor<4>>) -> Tensor<3> {
        let y = self.norm1.forward(pass, x.clone());
        let x = x + self.attention.forward(pass, y.clone(), y, mask);
        let y = self.fc[0].tokens(pass, self.norm2.forward(pass, x.clone()));
        let y = match self.exact {
            true => activation::gelu(y),
            false => y.clone() * activation::sigmoid(y * 1.702),
        };
        x + self.fc[1].tokens(pass, y)
    }
}

/// From token numbers to one vector a token.
#[derive(Debug, Clone)]
pub struct TextEncoder {
    pub config: TextConfig,
    tokens: usize,
    positions: usize,
    layers: Vec<EncoderLayer>,
    norm: LayerNorm,
}

impl TextEncoder {
    /// Declares the weights under transformers' names.
    pub fn new(config: TextConfig, mut root: Scope) -> Self {
        let (d, eps) = (config.hidden_size, config.layer_norm_eps);
        let mut at = root.part("text_model");
        let (init, rows) =
            (Init::Normal(0.02), [config.vocab_size, config.max_position_embeddings]);
        let mut embeddings = at.part("embeddings");
        let tokens = embeddings.part("token_embedding").table("weight", [rows[0], d], init);
        let positions = embeddings.part("position_embedding").param("weight", &[rows[1], d], init);
        let sizes = [d, config.intermediate_size, config.num_attention_heads];
        let layer = |i| {
            let at = at.part(format!("encoder.layers.{i}"));
            EncoderLayer::new(at, sizes, eps, &config.hidden_act)
        };
        let layers = (0..config.num_hidden_layers).map(layer).collect();
        let norm = LayerNorm::new(at.part("final_layer_norm"), d, eps);
        Self { config, tokens, positions, layers, norm }
    }

    /// `ids` of n prompts, all of the same length t, to [n, t, d].
    pub fn forward(&self, pass: &Pass, ids: &[Vec<u32>]) -> Tensor<3> {
        let (n, t, d) = (ids.len(), ids.first().map_or(0, Vec::len), self.config.hidden_size);
        let device = pass.weights.device().without_autodiff();
        let words = pass.weights.rows(self.tokens, &ids.concat()).reshape([n, t, d]);
        let places = pass.weights.get::<2>(self.positions).slice([0..t, 0..d]);
        let mut x = words + places.unsqueeze();
        let mask = causal(t, &device);
        for layer in &self.layers {
            x = layer.forward(pass, x, Some(&mask));
        }
        self.norm.forward(pass, x)
    }
}

/// [1, 1, t, t]: nothing where a token may look, a very negative number where it may not.
fn causal(t: usize, device: &burn::tensor::Device) -> Tensor<4> {
    let values: Vec<f32> = (0..t * t).map(|i| if i % t > i / t { -1e9 } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, t, t]), device)
}
