//! Every setting of diffusers' and transformers' configs: read here, or harmless at its usual value, or
//! refused by name (`settings.json`). A setting that is passed over in silence makes another picture.

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ensure;

/// A config's settings.
#[derive(Deserialize)]
pub struct Settings {
    /// Those that are read.
    read: Vec<String>,
    /// What some of those are where a config is silent.
    defaults: Map<String, Value>,
    /// Those that may have any value.
    any: Vec<String>,
    /// Those that change what is computed, with the values at which they do not.
    usual: HashMap<String, Vec<Value>>,
}

/// The settings of each config.
#[derive(Deserialize)]
pub struct Known {
    /// Of `UNet2DConditionModel`.
    pub unet: Settings,
    /// Of `AutoencoderKL`.
    pub autoencoder: Settings,
    /// Of `CLIPTextModel`.
    pub text: Settings,
    /// Of the schedulers.
    pub scheduler: Settings,
    /// What every scheduler's config says of the noise schedule; the rest is its own solver's.
    pub schedule: Vec<String>,
}

/// All that is known.
pub static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    serde_json::from_str(include_str!("settings.json")).expect("a test reads the file")
});

impl Settings {
    /// A config with what it is silent of.
    pub fn filled(&self, mut config: Value) -> Value {
        if let Value::Object(given) = &mut config {
            for (name, value) in &self.defaults {
                given.entry(name).or_insert_with(|| value.clone());
            }
        }
        config
    }

    /// Refuses a setting that asks for what is not computed here. A list of equal values is that value.
    ///
    /// # Errors
    /// The first such setting.
    pub fn check(&self, config: &Value) -> Result<(), String> {
        for (name, given) in config.as_object().into_iter().flatten() {
            if name.starts_with('_') || self.read.contains(name) || self.any.contains(name) {
                continue;
            }
            let short: String = given.to_string().chars().take(60).collect();
            let shown: String = name.escape_default().take(60).collect();
            let unknown = || format!("the setting {shown} ({short}) is not known here");
            let usual = self.usual.get(name).ok_or_else(unknown)?;
            let right = |value: &Value| usual.iter().any(|usual| same(value, usual));
            let fits = match given {
                Value::Array(all) => all.iter().all(right),
                value => right(value),
            };
            ensure(fits, || format!("{shown} {short} is not supported, only {}", usual[0]))?;
        }
        Ok(())
    }
}

/// Whether two values are the same; numbers by their value.
fn same(value: &Value, usual: &Value) -> bool {
    value == usual || value.as_f64().is_some_and(|n| usual.as_f64() == Some(n))
}

/// Refuses a named number that is 0 or above its bound.
///
/// # Errors
/// The first such number.
pub fn bounded(sizes: &[(&str, usize, usize)]) -> Result<(), String> {
    sizes.iter().try_for_each(|(name, v, most)| {
        ensure((1..=*most).contains(v), || format!("{name} is {v}, 1 to {most} is needed"))
    })
}

/// Refuses pictures that cannot be halved between so many levels.
///
/// # Errors
/// They cannot.
pub fn halves(sample_size: usize, levels: usize) -> Result<(), String> {
    let times = levels - 1;
    let message = || format!("sample_size {sample_size} cannot be halved {times} times");
    ensure(sample_size.is_multiple_of(1 << times), message)
}

/// Python's way to write JSON: numbers that JSON lacks become nothing.
pub fn without_infinities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut quoted) = (text, false);
    while let Some(c) = rest.chars().next() {
        let bare = ["-Infinity", "Infinity", "NaN"].into_iter().find(|n| rest.starts_with(n));
        if let Some(number) = bare.filter(|_| !quoted) {
            out += "null";
            rest = &rest[number.len()..];
            continue;
        }
        let length = match (quoted, c) {
            // What is escaped ends no text.
            (true, '\\') => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => c.len_utf8(),
        };
        quoted ^= c == '"';
        out += &rest[..length];
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_setting_that_is_not_read_is_usual_or_refused_by_name() {
        for fine in [
            json!({"_class_name": "x", "sample_size": 4, "upcast_attention": true}),
            json!({"only_cross_attention": [false, false], "resnet_out_scale_factor": 1.0}),
            json!({"mid_block_only_cross_attention": false, "act_fn": "silu"}),
        ] {
            assert_eq!(KNOWN.unet.check(&fine), Ok(()), "{fine}");
        }
        for (wrong, name) in [
            (json!({"center_input_sample": true}), "center_input_sample"),
            (json!({"time_embedding_act_fn": "gelu"}), "time_embedding_act_fn"),
            (json!({"timestep_post_act": "silu"}), "timestep_post_act"),
            (json!({"only_cross_attention": [false, true]}), "only_cross_attention"),
            (json!({"something_new": 1}), "something_new"),
        ] {
            assert!(KNOWN.unet.check(&wrong).unwrap_err().contains(name), "{wrong}");
        }
        let relu = KNOWN.autoencoder.check(&json!({"act_fn": "relu"})).unwrap_err();
        assert!(relu.starts_with("act_fn \"relu\" is not supported, only \"silu\""), "{relu}");
        assert!(KNOWN.scheduler.check(&json!({"use_exponential_sigmas": true})).is_err());
    }

    #[test]
    fn infinities_of_python_are_nothing() {
        let text = r#"{"a": -Infinity, "b": [Infinity, NaN], "c": "-Infinity \" NaN"}"#;
        let value: Value = serde_json::from_str(&without_infinities(text)).unwrap();
        assert_eq!(value, json!({"a": null, "b": [null, null], "c": "-Infinity \" NaN"}));
    }
}
