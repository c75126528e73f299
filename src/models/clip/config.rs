//! What shapes a CLIP: `config.json`, and how its pictures are normalised: `preprocessor_config.json`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Result, ensure};
use crate::models::latent::{Files, TextConfig, folder, settings::bounded};

const CONFIG: &str = "config.json";
const PREPROCESSOR: &str = "preprocessor_config.json";
/// What a folder with the weights is to have besides.
pub const NEEDED: &str =
    "a folder of CLIP in transformers' layout has config.json, weights and the tokenizer's files";
/// Mean and deviation of the pictures that CLIP was trained on.
const STATISTICS: [[f32; 3]; 2] =
    [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// The whole.
#[derive(Debug, Clone)]
pub struct ClipConfig {
    pub text: TextConfig,
    pub vision: VisionConfig,
    /// Values of a vector in the common space.
    pub projection_dim: usize,
    /// Mean and deviation of each channel.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// `vision_config`; what is not here is not used.
#[derive(Debug, Clone, Deserialize)]
pub struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    /// Side of the pictures, and of a patch, in pixels.
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    num_channels: usize,
}

impl VisionConfig {
    /// Patches of a picture and the class token.
    pub fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    fn check(&self) -> std::result::Result<(), String> {
        bounded(&[
            ("hidden_size", self.hidden_size, 1 << 13),
            ("intermediate_size", self.intermediate_size, 1 << 15),
            ("num_hidden_layers", self.num_hidden_layers, 64),
            ("num_attention_heads", self.num_attention_heads, 256),
            ("image_size", self.image_size, 1024),
            ("patch_size", self.patch_size, self.image_size),
        ])?;
        let (heads, width) = (self.num_attention_heads, self.hidden_size);
        ensure(width.is_multiple_of(heads), || format!("{heads} heads do not divide {width}"))?;
        let (side, patch) = (self.image_size, self.patch_size);
        ensure(side.is_multiple_of(patch), || format!("patches of {patch} do not divide {side}"))?;
        ensure(self.tokens() <= 4096, || format!("{} patches are too many", self.tokens() - 1))?;
        ensure(self.num_channels == 3, || format!("num_channels is {}", self.num_channels))?;
        let act = self.hidden_act.as_str();
        let known = ["quick_gelu", "gelu"].contains(&act);
        ensure(known, || format!("hidden_act '{act}' is not supported"))?;
        let eps = self.layer_norm_eps;
        ensure(eps > 0.0 && eps < 1.0, || format!("layer_norm_eps is {eps}"))
    }
}

impl ClipConfig {
    /// Reads a folder's.
    ///
    /// # Errors
    /// It is missing or damaged, of another model, or asks for what is not supported; the file is named.
    pub fn read(files: &dyn Files) -> Result<Self> {
        let bad = |reason: String| files.bad(CONFIG, reason);
        let whole: Value =
            folder::json(files, CONFIG)?.ok_or_else(|| bad(format!("is missing; {NEEDED}")))?;
        let kind = whole.get("model_type").and_then(Value::as_str).unwrap_or("nothing");
        let kind: String = kind.escape_default().take(40).collect();
        ensure(kind == "clip", || bad(format!("is of a model '{kind}'; 'clip' is read")))?;
        // What a config is silent of is as transformers has it.
        let text: TextConfig = part(&whole, "text_config", text_usual()).map_err(bad)?;
        let vision: VisionConfig = part(&whole, "vision_config", vision_usual()).map_err(bad)?;
        text.check().map_err(|reason| bad(format!("text_config: {reason}")))?;
        vision.check().map_err(|reason| bad(format!("vision_config: {reason}")))?;
        let width = whole.get("projection_dim").map_or(Some(512), Value::as_u64).unwrap_or(0);
        let projection_dim = width as usize;
        bounded(&[("projection_dim", projection_dim, 1 << 13)]).map_err(bad)?;
        let said: Value = folder::json(files, PREPROCESSOR)?.unwrap_or_default();
        let statistic = |i: usize, name: &str| -> Result<Vec<f32>> {
            let Some(given) = said.get(name) else { return Ok(STATISTICS[i].to_vec()) };
            let numbers: Option<Vec<f32>> = serde_json::from_value(given.clone()).ok();
            let sound = |all: &Vec<f32>| {
                all.len() == 3 && all.iter().all(|v| v.is_finite() && (i == 0 || *v > 0.0))
            };
            let reason = || format!("{name} is not three numbers that pixels can be normalised by");
            numbers.filter(sound).ok_or_else(|| files.bad(PREPROCESSOR, reason()))
        };
        let (mean, std) = (statistic(0, "image_mean")?, statistic(1, "image_std")?);
        Ok(Self { text, vision, projection_dim, mean, std })
    }
}

/// A tower's settings, with what they are silent of.
fn part<T: DeserializeOwned>(
    whole: &Value,
    name: &str,
    mut usual: Value,
) -> std::result::Result<T, String> {
    if let (Value::Object(all), Some(Value::Object(given))) = (&mut usual, whole.get(name)) {
        all.extend(given.clone());
    }
    serde_json::from_value(usual).map_err(|e| format!("{name} cannot be read ({e})"))
}

fn text_usual() -> Value {
    json!({
        "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048,
        "num_hidden_layers": 12, "num_attention_heads": 8, "max_position_embeddings": 77,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    })
}

fn vision_usual() -> Value {
    json!({
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
        "num_attention_heads": 12, "num_channels": 3, "image_size": 224, "patch_size": 32,
        "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
    })
}
