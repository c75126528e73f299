//! What the original code (Rombach et al. 2022) calls in one file what diffusers calls in three.

use super::super::{AutoencoderConfig, UnetConfig};

/// Begins the names of the U-Net's weights.
pub const UNET: &str = "model.diffusion_model.";
/// Begins those of the autoencoder.
pub const VAE: &str = "first_stage_model.";
/// Begins those of the text encoder.
pub const TEXT: &str = "cond_stage_model.";

/// How the text encoder's weights are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextNames {
    /// transformers' (Stable Diffusion 1.x).
    Clip,
    /// The same without `text_model.`.
    BareClip,
    /// OpenCLIP's, queries, keys and values in one (Stable Diffusion 2.x).
    OpenClip,
}

impl TextNames {
    /// What stands between [`TEXT`] and a layer's name.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Clip => "cond_stage_model.transformer.text_model.",
            Self::BareClip => "cond_stage_model.transformer.",
            Self::OpenClip => "cond_stage_model.model.",
        }
    }

    /// Where a layer begins: what follows is its number.
    pub fn layers(self) -> &'static str {
        match self {
            Self::Clip | Self::BareClip => "encoder.layers.",
            Self::OpenClip => "transformer.resblocks.",
        }
    }
}

/// Where a weight lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// Which third of the tensor's rows it is, where queries, keys and values are one.
    pub third: Option<usize>,
    /// Whether a map [a, b] is a convolution [a, b, 1, 1] there.
    pub conv: bool,
}

impl From<String> for Place {
    fn from(name: String) -> Self {
        Self { name, third: None, conv: false }
    }
}

/// The file's names of a model's weights.
#[derive(Debug, Clone)]
pub struct Names {
    /// Residual blocks of a level of the U-Net on the way down.
    blocks: usize,
    /// Which levels of the U-Net on the way up attend, the coarsest first.
    attends: Vec<bool>,
    /// Levels of the autoencoder.
    levels: usize,
    text: TextNames,
    /// Whether the autoencoder's attention is stored as linear maps.
    linear: bool,
}

impl Names {
    /// The names of a model of these configs.
    pub fn new(unet: &UnetConfig, vae: &AutoencoderConfig, text: TextNames, linear: bool) -> Self {
        let attends = unet.up_block_types.iter().map(|kind| kind.starts_with("CrossAttn"));
        let levels = vae.block_out_channels.len();
        Self { blocks: unet.layers_per_block, attends: attends.collect(), levels, text, linear }
    }

    /// Where the weight of a part (text encoder, U-Net, autoencoder) with diffusers' name lies.
    pub fn place(&self, part: usize, name: &str) -> Place {
        let pieces: Vec<&str> = name.split('.').collect();
        match part {
            0 => self.text(name, &pieces),
            1 => format!("{UNET}{}", self.unet(&pieces)).into(),
            _ => self.vae(&pieces),
        }
    }

    /// The name of a weight of the U-Net without [`UNET`].
    pub fn unet(&self, pieces: &[&str]) -> String {
        let each = self.blocks + 1;
        let number = |n: &str| n.parse::<usize>().unwrap_or(0);
        let place = |i: &str, j: &str| number(i) * each + number(j);
        match pieces {
            ["conv_in", rest @ ..] => format!("input_blocks.0.0.{}", rest.join(".")),
            ["time_embedding", "linear_1", rest @ ..] => format!("time_embed.0.{}", rest.join(".")),
            ["time_embedding", "linear_2", rest @ ..] => format!("time_embed.2.{}", rest.join(".")),
            ["conv_norm_out", rest @ ..] => format!("out.0.{}", rest.join(".")),
            ["conv_out", rest @ ..] => format!("out.2.{}", rest.join(".")),
            ["mid_block", "resnets", j, rest @ ..] => {
                format!("middle_block.{}.{}", 2 * number(j), in_block(rest))
            }
            ["mid_block", "attentions", _, rest @ ..] => {
                format!("middle_block.1.{}", rest.join("."))
            }
            ["down_blocks", i, "resnets", j, rest @ ..] => {
                format!("input_blocks.{}.0.{}", 1 + place(i, j), in_block(rest))
            }
            ["down_blocks", i, "attentions", j, rest @ ..] => {
                format!("input_blocks.{}.1.{}", 1 + place(i, j), rest.join("."))
            }
            ["down_blocks", i, "downsamplers", _, _, rest @ ..] => {
                format!("input_blocks.{}.0.op.{}", (number(i) + 1) * each, rest.join("."))
            }
            ["up_blocks", i, "resnets", j, rest @ ..] => {
                format!("output_blocks.{}.0.{}", place(i, j), in_block(rest))
            }
            ["up_blocks", i, "attentions", j, rest @ ..] => {
                format!("output_blocks.{}.1.{}", place(i, j), rest.join("."))
            }
            ["up_blocks", i, "upsamplers", _, rest @ ..] => {
                let level = number(i);
                // It follows what attends, where something does.
                let after = 1 + usize::from(self.attends.get(level) == Some(&true));
                format!("output_blocks.{}.{after}.{}", level * each + self.blocks, rest.join("."))
            }
            other => other.join("."),
        }
    }

    fn vae(&self, pieces: &[&str]) -> Place {
        let [half @ ("encoder" | "decoder"), inside @ ..] = pieces else {
            return format!("{VAE}{}", pieces.join(".")).into();
        };
        let shortcut = |rest: &[&str]| rest.join(".").replace("conv_shortcut", "nin_shortcut");
        let mut conv = false;
        let name = match inside {
            ["conv_norm_out", rest @ ..] => format!("norm_out.{}", rest.join(".")),
            ["mid_block", "resnets", j, rest @ ..] => {
                let block = if *j == "0" { 1 } else { 2 };
                format!("mid.block_{block}.{}", shortcut(rest))
            }
            ["mid_block", "attentions", _, rest @ ..] => {
                let (layer, end) = (&rest[..rest.len() - 1], rest[rest.len() - 1]);
                let layer = match layer {
                    ["group_norm"] => "norm",
                    ["to_q"] => "q",
                    ["to_k"] => "k",
                    ["to_v"] => "v",
                    _ => "proj_out",
                };
                conv = !self.linear && layer != "norm" && end == "weight";
                format!("mid.attn_1.{layer}.{end}")
            }
            ["down_blocks", i, "resnets", j, rest @ ..] => {
                format!("down.{i}.block.{j}.{}", shortcut(rest))
            }
            ["down_blocks", i, "downsamplers", _, rest @ ..] => {
                format!("down.{i}.downsample.{}", rest.join("."))
            }
            ["up_blocks", i, "resnets", j, rest @ ..] => {
                format!("up.{}.block.{j}.{}", self.decoders(i), shortcut(rest))
            }
            ["up_blocks", i, "upsamplers", _, rest @ ..] => {
                format!("up.{}.upsample.{}", self.decoders(i), rest.join("."))
            }
            other => other.join("."),
        };
        Place { conv, ..format!("{VAE}{half}.{name}").into() }
    }

    /// A level of the decoder, which diffusers counts from the coarsest.
    fn decoders(&self, level: &str) -> usize {
        let level = level.parse().unwrap_or(0);
        (self.levels - 1).saturating_sub(level)
    }

    fn text(&self, name: &str, pieces: &[&str]) -> Place {
        let prefix = self.text.prefix();
        if self.text != TextNames::OpenClip {
            return format!("{prefix}{}", name.trim_start_matches("text_model.")).into();
        }
        let (mut third, layers) = (None, self.text.layers());
        let name = match pieces {
            [_, "embeddings", "token_embedding", end] => format!("token_embedding.{end}"),
            [_, "embeddings", ..] => "positional_embedding".into(),
            [_, "final_layer_norm", end] => format!("ln_final.{end}"),
            [_, _, _, i, "self_attn", map, end] => {
                third = ["q_proj", "k_proj", "v_proj"].iter().position(|known| known == map);
                match third {
                    Some(_) => format!("{layers}{i}.attn.in_proj_{end}"),
                    None => format!("{layers}{i}.attn.{map}.{end}"),
                }
            }
            [_, _, _, i, rest @ ..] => {
                let layer = match rest {
                    ["layer_norm1", ..] => "ln_1",
                    ["layer_norm2", ..] => "ln_2",
                    [_, "fc1", ..] => "mlp.c_fc",
                    _ => "mlp.c_proj",
                };
                format!("{layers}{i}.{layer}.{}", rest[rest.len() - 1])
            }
            other => other.join("."),
        };
        Place { third, ..format!("{prefix}{name}").into() }
    }
}

/// Within a residual block of the U-Net.
fn in_block(rest: &[&str]) -> String {
    let layer = match rest[0] {
        "norm1" => "in_layers.0",
        "conv1" => "in_layers.2",
        "time_emb_proj" => "emb_layers.1",
        "norm2" => "out_layers.0",
        "conv2" => "out_layers.3",
        _ => "skip_connection",
    };
    format!("{layer}.{}", rest[1..].join("."))
}
