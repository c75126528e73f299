//! What a single file says of sampler and size, what lies beside it says, and what is assumed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::super::{Files, LatentCard};
use super::shapes::SCALING;
use crate::diffusion::{Prediction, SchedulerConfig, SolverKind};
use crate::error::Result;

/// The text in a file that was written here.
pub const SAID: &str = "salun_text_to_image";

/// What is said in it.
#[derive(Serialize, Deserialize)]
pub struct Said {
    pub scheduler: SchedulerConfig,
    /// Side of a latent.
    pub sample_size: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<LatentCard>,
}

/// Sampler and size of a file that was not written here, and a line that says which of it was assumed.
/// `second` is Stable Diffusion 2.x, `factor` how much smaller a latent's side is than a picture's.
///
/// # Errors
/// What lies beside it cannot be read.
pub fn found(
    files: &dyn Files,
    file: &str,
    metadata: &HashMap<String, String>,
    second: bool,
    factor: usize,
) -> Result<(Said, String)> {
    let beside = sidecar(file);
    let (kind, title) = match second {
        true => (SolverKind::Ddim, "Stable Diffusion 2"),
        false => (SolverKind::Pndm, "Stable Diffusion 1"),
    };
    let yaml = files.read(&beside)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let yaml = yaml.unwrap_or_default();
    let (mut prediction, mut side) = modelspec(metadata);
    prediction = prediction.or(line(&yaml, "parameterization").and_then(predicts));
    let latent = line(&yaml, "image_size").and_then(|side| side.parse::<usize>().ok());
    // Stability's own file for the model of 768 x 768 says so, too (v2-inference-v.yaml).
    let either =
        side.is_none() && latent == Some(64) && prediction == Some(Prediction::VPrediction);
    side = side.or(latent.map(|side| side.saturating_mul(factor)));
    let mut assumed = vec![format!("the sampler is {}", kind.class_name())];
    // Lines that would say it.
    let mut lines = Vec::new();
    let prediction = prediction.unwrap_or_else(|| {
        assumed.push(format!("the {} is predicted", if second { "velocity" } else { "noise" }));
        lines.push(format!("parameterization: \"{}\"", if second { "eps" } else { "v" }));
        if second { Prediction::VPrediction } else { Prediction::Epsilon }
    });
    let side = side.unwrap_or_else(|| {
        let [side, other] = if second { [768, 512] } else { [512, 768] };
        assumed.push(format!("pictures are {side} x {side}"));
        lines.push(format!("image_size: {} (a latent's side)", other / factor.max(1)));
        side
    });
    assumed.push(format!("latents are multiplied by {SCALING}"));
    assumed
        .push(format!("attention has {}", if second { "heads of 64 channels" } else { "8 heads" }));
    let (assumed, lines) = (assumed.join(", "), lines.join(", "));
    let mut note =
        format!("{file} is a single file, which does not say all; as of {title}, {assumed}");
    if !lines.is_empty() {
        note += &format!("; say otherwise in {beside} beside it: {lines}");
    }
    if either {
        note += &format!(
            "; {beside} says image_size: 64, as it often does of models for 768 x 768, too: write image_size: 96 \
             for one"
        );
    }
    let scheduler = SchedulerConfig::stable_diffusion(kind).predicting(prediction);
    Ok((Said { scheduler, sample_size: side / factor.max(1), card: None }, note))
}

/// The file of settings that the field's programs look for beside a checkpoint.
pub fn sidecar(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    format!("{stem}.yaml")
}

/// What the metadata that trainers write (Stability AI's model specification) say of what is predicted and of a
/// picture's side.
fn modelspec(metadata: &HashMap<String, String>) -> (Option<Prediction>, Option<usize>) {
    let said = |key: &str| metadata.get(&format!("modelspec.{key}")).map(String::as_str);
    let named = said("architecture").and_then(|name| match name {
        "stable-diffusion-v2-768-v" => Some(Prediction::VPrediction),
        "stable-diffusion-v1" | "stable-diffusion-v2-512" => Some(Prediction::Epsilon),
        _ => None,
    });
    let prediction = said("prediction_type").and_then(predicts).or(named);
    let side = said("resolution").and_then(|text| {
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        (width == height).then(|| width.trim().parse().ok())?
    });
    (prediction, side)
}

fn predicts(word: &str) -> Option<Prediction> {
    match word {
        "v" | "v_prediction" => Some(Prediction::VPrediction),
        "eps" | "epsilon" => Some(Prediction::Epsilon),
        _ => None,
    }
}

/// The first value of a key in a text of `key: value` lines.
fn line<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = |line: &'a str| line.trim().strip_prefix(key)?.trim_start().strip_prefix(':');
    let value = text.lines().find_map(value)?;
    let value = value.split('#').next().unwrap_or_default();
    Some(value.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_found_where_the_field_says_it() {
        let yaml =
            "model:\n  params:\n    parameterization: \"v\" # velocity\n    image_size: 96\n";
        assert_eq!(
            line(yaml, "parameterization").and_then(predicts),
            Some(Prediction::VPrediction)
        );
        assert_eq!(line(yaml, "image_size"), Some("96"));
        assert_eq!(line(yaml, "linear_start"), None);
        let spec = [
            ("modelspec.architecture", "stable-diffusion-v2-512"),
            ("modelspec.resolution", "512x512"),
        ];
        let spec = spec.map(|(key, value)| (key.to_string(), value.to_string())).into();
        assert_eq!(modelspec(&spec), (Some(Prediction::Epsilon), Some(512)));
        assert_eq!(sidecar("a.b.ckpt"), "a.b.yaml");
    }
}
