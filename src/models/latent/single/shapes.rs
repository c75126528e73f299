//! What a single file's tensors say of the networks: every width, how many levels and layers there are.

use super::names::{TEXT, TextNames, UNET, VAE};
use crate::error::ensure;
use crate::models::Tensors;
use crate::models::latent::{AutoencoderConfig, PerLevel, TextConfig, UnetConfig};

/// Levels, blocks or layers that are looked for at most.
const MOST: usize = 256;
/// Heads of Stable Diffusion 1.x's U-Net.
const HEADS: usize = 8;
/// Channels of a head of Stable Diffusion 2.x's U-Net, and of every text encoder.
const HEAD: usize = 64;
/// Groups of every normalisation.
const GROUPS: usize = 32;
/// What the autoencoder's latents are multiplied by.
pub const SCALING: f64 = 0.18215;
/// Layers of the text encoder of Stable Diffusion 2.x as it was trained.
const WHOLE: usize = 24;

/// The shapes of a file's tensors.
pub struct Shapes<'a>(pub &'a Tensors<'a>);

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }

    /// How many follow one another, each by the name that its number makes.
    fn count(&self, name: impl Fn(usize) -> String) -> usize {
        (0..MOST).take_while(|i| self.has(&name(*i))).count()
    }

    /// The extent of an axis.
    fn axis(&self, name: &str, axis: usize) -> Result<usize, String> {
        let size = self.0.get(name).and_then(|tensor| tensor.shape.get(axis));
        size.copied().ok_or_else(|| format!("it has no tensor {name} with {} axes", axis + 1))
    }

    /// The U-Net's; `sample_size` is left at 1.
    ///
    /// # Errors
    /// A tensor that says something is missing.
    pub fn unet(&self) -> Result<UnetConfig, String> {
        let name = |rest: &str| format!("{UNET}{rest}");
        let input = |i: usize, rest: &str| name(&format!("input_blocks.{i}.{rest}"));
        let halves = |i: &usize| self.has(&input(*i, "0.op.weight"));
        let all =
            (1..MOST).take_while(|i| halves(i) || self.has(&input(*i, "0.in_layers.0.weight")));
        let all: Vec<usize> = all.collect();
        let blocks = all.iter().take_while(|i| !halves(i)).count();
        ensure(blocks > 0, || format!("it has no tensor {}", input(1, "0.in_layers.0.weight")))?;
        let each = blocks + 1;
        let levels = all.iter().filter(|i| halves(i)).count() + 1;
        let whole =
            || format!("its {} input_blocks are not {levels} levels of {blocks}", all.len());
        ensure(all.len() == levels * each - 1, whole)?;
        let width = |level: usize| self.axis(&input(1 + level * each, "0.out_layers.3.weight"), 0);
        let down = |level: usize| self.has(&input(1 + level * each, "1.norm.weight"));
        let up = |level| self.has(&name(&format!("output_blocks.{}.1.norm.weight", level * each)));
        let kind = |attends: bool, way: &str| match attends {
            true => format!("CrossAttn{way}Block2D"),
            false => format!("{way}Block2D"),
        };
        let block_out_channels: Vec<usize> = (0..levels).map(width).collect::<Result<_, _>>()?;
        let middle = |rest: &str| name(&format!("middle_block.1.{rest}"));
        let linear = self.0.shape::<2>(&middle("proj_in.weight")).is_some();
        let heads = match linear {
            true => PerLevel::Each(block_out_channels.iter().map(|c| c / HEAD).collect()),
            false => PerLevel::All(HEADS),
        };
        let depth = self.count(|k| middle(&format!("transformer_blocks.{k}.norm1.weight")));
        Ok(UnetConfig {
            sample_size: 1,
            in_channels: self.axis(&input(0, "0.weight"), 1)?,
            out_channels: self.axis(&name("out.2.weight"), 0)?,
            down_block_types: (0..levels).map(|level| kind(down(level), "Down")).collect(),
            up_block_types: (0..levels).map(|level| kind(up(level), "Up")).collect(),
            layers_per_block: blocks,
            cross_attention_dim: self.axis(&middle("transformer_blocks.0.attn2.to_k.weight"), 1)?,
            attention_head_dim: heads,
            block_out_channels,
            norm_num_groups: GROUPS,
            norm_eps: 1e-5,
            transformer_layers_per_block: depth,
            use_linear_projection: linear,
            downsample_padding: 1,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
        })
    }

    /// The autoencoder's; `sample_size` is left at 1.
    ///
    /// # Errors
    /// A tensor that says something is missing.
    pub fn vae(&self) -> Result<AutoencoderConfig, String> {
        let name = |rest: &str| format!("{VAE}{rest}");
        let conv = |level: usize, block: usize| {
            name(&format!("encoder.down.{level}.block.{block}.conv1.weight"))
        };
        let widths =
            (0..self.count(|level| conv(level, 0))).map(|level| self.axis(&conv(level, 0), 0));
        let block_out_channels: Vec<usize> = widths.collect::<Result<_, _>>()?;
        ensure(!block_out_channels.is_empty(), || format!("it has no tensor {}", conv(0, 0)))?;
        Ok(AutoencoderConfig {
            sample_size: 1,
            in_channels: self.axis(&name("encoder.conv_in.weight"), 1)?,
            out_channels: self.axis(&name("decoder.conv_out.weight"), 0)?,
            latent_channels: self.axis(&name("decoder.conv_in.weight"), 1)?,
            block_out_channels,
            layers_per_block: self.count(|block| conv(0, block)),
            norm_num_groups: GROUPS,
            scaling_factor: SCALING,
        })
    }

    /// Whether the autoencoder's attention is stored as linear maps.
    pub fn linear_vae(&self) -> bool {
        self.0.shape::<2>(&format!("{VAE}encoder.mid.attn_1.q.weight")).is_some()
    }

    /// How the text encoder's weights are called.
    ///
    /// # Errors
    /// They are called otherwise.
    pub fn text_names(&self) -> Result<TextNames, String> {
        let all = [
            (TextNames::OpenClip, "token_embedding.weight"),
            (TextNames::Clip, "embeddings.token_embedding.weight"),
            (TextNames::BareClip, "embeddings.token_embedding.weight"),
        ];
        let found =
            all.iter().find(|(names, first)| self.has(&format!("{}{first}", names.prefix())));
        let none = || format!("its text encoder ({TEXT}) is neither CLIP's nor OpenCLIP's");
        found.map(|(names, _)| *names).ok_or_else(none)
    }

    /// The text encoder's.
    ///
    /// # Errors
    /// A tensor that says something is missing, or its heads cannot be told.
    pub fn text(&self, names: TextNames) -> Result<TextConfig, String> {
        let (prefix, layers) = (names.prefix(), names.layers());
        let layer = |i: usize, rest: &str| format!("{prefix}{layers}{i}.{rest}");
        let open = names == TextNames::OpenClip;
        let [first, inner, tokens, positions] = match open {
            true => {
                ["ln_1.weight", "mlp.c_fc.weight", "token_embedding.weight", "positional_embedding"]
            }
            false => [
                "layer_norm1.weight",
                "mlp.fc1.weight",
                "embeddings.token_embedding.weight",
                "embeddings.position_embedding.weight",
            ],
        };
        let (tokens, positions) = (format!("{prefix}{tokens}"), format!("{prefix}{positions}"));
        let there = self.count(|i| layer(i, first));
        // Stable Diffusion 2.x reads the hidden states before the last layer. A file that was written from
        // diffusers' encoder has no such layer, and no projection of what comes after it.
        let whole = self.has(&format!("{prefix}text_projection")) || there == WHOLE;
        let width = self.axis(&tokens, 1)?;
        let right = || {
            format!(
                "its text encoder has {width} channels, no multiple of {HEAD}, so its heads cannot be told"
            )
        };
        ensure(width > 0 && width.is_multiple_of(HEAD), right)?;
        Ok(TextConfig {
            vocab_size: self.axis(&tokens, 0)?,
            hidden_size: width,
            intermediate_size: self.axis(&layer(0, inner), 0)?,
            num_hidden_layers: there - usize::from(open && whole && there > 0),
            num_attention_heads: width / HEAD,
            max_position_embeddings: self.axis(&positions, 0)?,
            hidden_act: if open { "gelu" } else { "quick_gelu" }.into(),
            layer_norm_eps: 1e-5,
        })
    }
}
