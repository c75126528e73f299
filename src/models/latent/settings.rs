//! Every setting of diffusers' and transformers' configs: read here, or harmless at its usual value, or
//! refused by name. A setting that is passed over in silence makes another picture.

use serde_json::Value;

/// A config's settings: those that are read, those that may have any value, and those that change what is
/// computed, with the values (as JSON, a bar between) at which they do not.
pub struct Settings {
    read: &'static [&'static str],
    any: &'static [&'static str],
    usual: &'static [(&'static str, &'static str)],
}

/// Of `UNet2DConditionModel`.
pub const UNET: Settings = Settings {
    read: &[
        "sample_size",
        "in_channels",
        "out_channels",
        "block_out_channels",
        "down_block_types",
        "up_block_types",
        "layers_per_block",
        "cross_attention_dim",
        "attention_head_dim",
        "norm_num_groups",
        "norm_eps",
        "transformer_layers_per_block",
        "use_linear_projection",
        "downsample_padding",
        "flip_sin_to_cos",
        "freq_shift",
    ],
    any: &["upcast_attention", "addition_embed_type_num_heads"],
    usual: &[
        ("center_input_sample", "false"),
        ("mid_block_type", "\"UNetMidBlock2DCrossAttn\""),
        ("only_cross_attention", "false"),
        ("mid_block_scale_factor", "1"),
        ("dropout", "0"),
        ("act_fn", "\"silu\"|\"swish\""),
        ("reverse_transformer_layers_per_block", "null"),
        ("encoder_hid_dim", "null"),
        ("encoder_hid_dim_type", "null"),
        ("num_attention_heads", "null"),
        ("dual_cross_attention", "false"),
        ("class_embed_type", "null"),
        ("addition_embed_type", "null"),
        ("addition_time_embed_dim", "null"),
        ("num_class_embeds", "null"),
        ("resnet_time_scale_shift", "\"default\""),
        ("resnet_skip_time_act", "false"),
        ("resnet_out_scale_factor", "1"),
        ("time_embedding_type", "\"positional\""),
        ("time_embedding_dim", "null"),
        ("time_embedding_act_fn", "null"),
        ("timestep_post_act", "null"),
        ("time_cond_proj_dim", "null"),
        ("conv_in_kernel", "3"),
        ("conv_out_kernel", "3"),
        ("projection_class_embeddings_input_dim", "null"),
        ("attention_type", "\"default\""),
        ("class_embeddings_concat", "false"),
        ("mid_block_only_cross_attention", "null|false"),
        ("cross_attention_norm", "null"),
    ],
};

/// Of `AutoencoderKL`.
pub const AUTOENCODER: Settings = Settings {
    read: &[
        "sample_size",
        "in_channels",
        "out_channels",
        "latent_channels",
        "block_out_channels",
        "layers_per_block",
        "norm_num_groups",
        "scaling_factor",
    ],
    any: &["force_upcast"],
    usual: &[
        ("down_block_types", "\"DownEncoderBlock2D\""),
        ("up_block_types", "\"UpDecoderBlock2D\""),
        ("act_fn", "\"silu\"|\"swish\""),
        ("shift_factor", "null"),
        ("latents_mean", "null"),
        ("latents_std", "null"),
        ("use_quant_conv", "true"),
        ("use_post_quant_conv", "true"),
        ("mid_block_add_attention", "true"),
    ],
};

/// Of `CLIPTextModel`.
pub const TEXT: Settings = Settings {
    read: &[
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "max_position_embeddings",
        "hidden_act",
        "layer_norm_eps",
    ],
    any: &[
        "architectures",
        "attention_dropout",
        "bos_token_id",
        "chunk_size_feed_forward",
        "dropout",
        "dtype",
        "eos_token_id",
        "gradient_checkpointing",
        "id2label",
        "initializer_factor",
        "initializer_range",
        "is_encoder_decoder",
        "label2id",
        "output_attentions",
        "output_hidden_states",
        "pad_token_id",
        "problem_type",
        "projection_dim",
        "return_dict",
        "tie_word_embeddings",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    ],
    usual: &[("model_type", "\"clip_text_model\"")],
};

/// Of the schedulers.
pub const SCHEDULER: Settings = Settings {
    read: &[
        "num_train_timesteps",
        "beta_start",
        "beta_end",
        "beta_schedule",
        "prediction_type",
        "timestep_spacing",
        "steps_offset",
        "set_alpha_to_one",
        "skip_prk_steps",
        "clip_sample",
        "clip_sample_range",
    ],
    any: &["dynamic_thresholding_ratio", "sample_max_value"],
    usual: &[
        ("trained_betas", "null"),
        ("thresholding", "false"),
        ("rescale_betas_zero_snr", "false"),
        ("use_karras_sigmas", "false|null"),
        ("use_exponential_sigmas", "false|null"),
        ("use_beta_sigmas", "false|null"),
        ("use_flow_sigmas", "false|null"),
        ("sigma_min", "null"),
        ("sigma_max", "null"),
        ("timestep_type", "\"discrete\""),
        ("interpolation_type", "\"linear\""),
        ("final_sigmas_type", "\"zero\""),
    ],
};

impl Settings {
    /// The first setting that asks for what is not computed here. A list of equal values is that value.
    pub fn unsupported(&self, config: &Value) -> Option<String> {
        let config = config.as_object()?;
        config.iter().find_map(|(name, given)| {
            let name = name.as_str();
            let own = name.starts_with('_');
            if own || self.read.contains(&name) || self.any.contains(&name) {
                return None;
            }
            let short: String = given.to_string().chars().take(60).collect();
            let shown: String = name.escape_default().take(60).collect();
            let Some((_, usual)) = self.usual.iter().find(|(known, _)| *known == name) else {
                return Some(format!("the setting {shown} ({short}) is not known here"));
            };
            let right = |value: &Value| usual.split('|').any(|usual| same(value, usual));
            let fits = match given {
                Value::Array(all) => all.iter().all(right),
                value => right(value),
            };
            let only = usual.split('|').next().unwrap_or_default();
            (!fits).then(|| format!("{shown} {short} is not supported, only {only}"))
        })
    }
}

/// Whether a value is one that is written as JSON; numbers by their value.
fn same(value: &Value, usual: &str) -> bool {
    let right: Value = serde_json::from_str(usual).unwrap_or_default();
    *value == right || value.as_f64().is_some_and(|n| right.as_f64() == Some(n))
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
            assert_eq!(UNET.unsupported(&fine), None, "{fine}");
        }
        for (wrong, name) in [
            (json!({"center_input_sample": true}), "center_input_sample"),
            (json!({"time_embedding_act_fn": "gelu"}), "time_embedding_act_fn"),
            (json!({"timestep_post_act": "silu"}), "timestep_post_act"),
            (json!({"only_cross_attention": [false, true]}), "only_cross_attention"),
            (json!({"something_new": 1}), "something_new"),
        ] {
            assert!(UNET.unsupported(&wrong).unwrap().contains(name), "{wrong}");
        }
        let relu = AUTOENCODER.unsupported(&json!({"act_fn": "relu"})).unwrap();
        assert!(relu.starts_with("act_fn \"relu\" is not supported, only \"silu\""), "{relu}");
        assert!(SCHEDULER.unsupported(&json!({"use_exponential_sigmas": true})).is_some());
    }

    #[test]
    fn infinities_of_python_are_nothing() {
        let text = r#"{"a": -Infinity, "b": [Infinity, NaN], "c": "-Infinity \" NaN"}"#;
        let value: Value = serde_json::from_str(&without_infinities(text)).unwrap();
        assert_eq!(value, json!({"a": null, "b": [null, null], "c": "-Infinity \" NaN"}));
    }
}
