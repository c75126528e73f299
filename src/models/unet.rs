//! The class-conditional DDPM U-Net (Ho et al. 2020 as conditioned in docs/methods.md#models).

use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{
    embedding::time_embedding,
    layers::{Conv, GroupNorm, Linear, Pass},
    weights::{Init, WeightLayout},
};
use crate::gpu::ops::{self, Padding};

/// What shapes a U-Net.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetConfig {
    /// Channels of the first level: 128 in the paper.
    pub ch: usize,
    /// Channel multiplier of each level.
    pub mult: Vec<usize>,
    pub res_blocks: usize,
    /// Resolutions with self-attention.
    pub attention: Vec<usize>,
    pub groups: usize,
    pub dropout: f64,
    pub channels: usize,
    /// Side of the square image.
    pub resolution: usize,
    pub classes: usize,
}

#[derive(Debug, Clone)]
struct ResBlock {
    norm1: GroupNorm,
    conv1: Conv,
    temb_cemb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv,
    nin_shortcut: Option<Conv>,
}

impl ResBlock {
    fn new(l: &mut WeightLayout, name: &str, c: [usize; 2], config: &UnetConfig) -> Self {
        let same = Padding::Same(1);
        let groups = config.groups;
        Self {
            norm1: GroupNorm::new(l, format!("{name}.norm1"), c[0], groups),
            conv1: Conv::biased(l, format!("{name}.conv1"), c, 3, 1, same),
            temb_cemb_proj: Linear::new(
                l,
                &format!("{name}.temb_cemb_proj"),
                [8 * config.ch, c[1]],
            ),
            norm2: GroupNorm::new(l, format!("{name}.norm2"), c[1], groups),
            conv2: Conv::biased(l, format!("{name}.conv2"), [c[1], c[1]], 3, 1, same),
            nin_shortcut: (c[0] != c[1]).then(|| {
                Conv::biased(l, format!("{name}.nin_shortcut"), c, 1, 1, Padding::Same(0))
            }),
        }
    }

    /// `x` [n, c, h, w], `emb` [n, 8 ch] after SiLU.
    fn forward(&self, pass: &Pass, x: Tensor<4>, emb: &Tensor<2>, dropout: f64) -> Tensor<4> {
        let h = self.conv1.forward(pass, self.norm1.forward(pass, x.clone(), true));
        let shift = self.temb_cemb_proj.forward(pass, emb.clone());
        let [n, c] = shift.dims();
        let h = self.norm2.forward(pass, h + shift.reshape([n, c, 1, 1]), true);
        let [_, c, height, width] = h.dims();
        let h = pass.dropout(h, dropout, [c, height, width]);
        let h = self.conv2.forward(pass, h);
        match &self.nin_shortcut {
            Some(conv) => conv.forward(pass, x) + h,
            None => x + h,
        }
    }
}

#[derive(Debug, Clone)]
struct Attention {
    norm: GroupNorm,
    qkv: [Conv; 3],
    proj_out: Conv,
}

impl Attention {
    fn new(l: &mut WeightLayout, name: &str, c: usize, groups: usize) -> Self {
        let norm = GroupNorm::new(l, format!("{name}.norm"), c, groups);
        let mut one =
            |part: &str| Conv::biased(l, format!("{name}.{part}"), [c, c], 1, 1, Padding::Same(0));
        let qkv = [one("q"), one("k"), one("v")];
        Self { norm, qkv, proj_out: one("proj_out") }
    }

    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = x.dims();
        let normed = self.norm.forward(pass, x.clone(), false);
        let [q, k, v] =
            self.qkv.each_ref().map(|m| m.forward(pass, normed.clone()).reshape([n, c, h * w]));
        let out = ops::attention(q, k, v).reshape([n, c, h, w]);
        x + self.proj_out.forward(pass, out)
    }
}

#[derive(Debug, Clone)]
struct Level {
    blocks: Vec<(ResBlock, Option<Attention>)>,
    resample: Option<Conv>,
}

/// The network that predicts the noise in x_t given the time step and the class.
#[derive(Debug, Clone)]
pub struct Unet {
    pub config: UnetConfig,
    temb: [Linear; 2],
    classes_emb: usize,
    null_classes_emb: usize,
    cemb: [Linear; 2],
    conv_in: Conv,
    down: Vec<Level>,
    mid: (ResBlock, Attention, ResBlock),
    /// Indexed by level; run from the last to the first.
    up: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv,
}

impl Unet {
    /// Declares the weights in the order of the forward pass.
    pub fn new(config: UnetConfig, l: &mut WeightLayout) -> Self {
        let UnetConfig { ch, groups, .. } = config;
        let same = Padding::Same(1);
        let temb = ["temb.dense.0", "temb.dense.1"];
        let temb = [Linear::new(l, temb[0], [ch, 4 * ch]), Linear::new(l, temb[1], [4 * ch; 2])];
        let classes_emb =
            l.param("classes_emb.weight".into(), &[config.classes, ch], Init::Normal(1.0));
        let null_classes_emb = l.param("null_classes_emb".into(), &[ch], Init::Normal(1.0));
        let cemb = ["cemb.dense.0", "cemb.dense.1"];
        let cemb = [Linear::new(l, cemb[0], [ch, 4 * ch]), Linear::new(l, cemb[1], [4 * ch; 2])];
        let conv_in = Conv::biased(l, "conv_in".into(), [config.channels, ch], 3, 1, same);

        let widths: Vec<usize> = config.mult.iter().map(|m| ch * m).collect();
        let last = widths.len() - 1;
        let mut side = config.resolution;
        let mut c = ch;
        let mut skips = vec![ch];
        let mut down = Vec::new();
        for (level, &width) in widths.iter().enumerate() {
            let blocks = (0..config.res_blocks)
                .map(|b| {
                    let block =
                        ResBlock::new(l, &format!("down.{level}.block.{b}"), [c, width], &config);
                    c = width;
                    skips.push(c);
                    let attends = config.attention.contains(&side);
                    let name = format!("down.{level}.attn.{b}");
                    (block, attends.then(|| Attention::new(l, &name, c, groups)))
                })
                .collect();
            let resample = (level < last).then(|| {
                side /= 2;
                skips.push(c);
                let name = format!("down.{level}.downsample.conv");
                Conv::biased(l, name, [c, c], 3, 2, Padding::BottomRight)
            });
            down.push(Level { blocks, resample });
        }
        let mid = (
            ResBlock::new(l, "mid.block_1", [c, c], &config),
            Attention::new(l, "mid.attn_1", c, groups),
            ResBlock::new(l, "mid.block_2", [c, c], &config),
        );
        let mut up = Vec::new();
        for (level, &width) in widths.iter().enumerate().rev() {
            let blocks = (0..=config.res_blocks)
                .map(|b| {
                    let skip = skips.pop().expect("one skip for each up block");
                    let name = format!("up.{level}.block.{b}");
                    let block = ResBlock::new(l, &name, [c + skip, width], &config);
                    c = width;
                    let attends = config.attention.contains(&side);
                    let name = format!("up.{level}.attn.{b}");
                    (block, attends.then(|| Attention::new(l, &name, c, groups)))
                })
                .collect();
            let resample = (level > 0).then(|| {
                side *= 2;
                Conv::biased(l, format!("up.{level}.upsample.conv"), [c, c], 3, 1, same)
            });
            up.insert(0, Level { blocks, resample });
        }
        let norm_out = GroupNorm::new(l, "norm_out".into(), c, groups);
        let conv_out = Conv::biased(l, "conv_out".into(), [c, config.channels], 3, 1, same);
        Self {
            config,
            temb,
            classes_emb,
            null_classes_emb,
            cemb,
            conv_in,
            down,
            mid,
            up,
            norm_out,
            conv_out,
        }
    }

    /// Predicted noise. `x` [n, c, h, w] in [-1, 1] scale, `t` n time steps, `class` n classes or
    /// `None` for the null condition, to [n, c, h, w].
    pub fn forward(
        &self,
        pass: &Pass,
        x: Tensor<4>,
        t: &[usize],
        class: &[Option<usize>],
    ) -> Tensor<4> {
        let UnetConfig { ch, dropout, .. } = self.config;
        let device = x.device().without_autodiff();
        let n = t.len();
        let time = Tensor::<2>::from_data(TensorData::new(time_embedding(t, ch), [n, ch]), &device);
        let temb = self.mlp(pass, &self.temb, time);
        let table = Tensor::cat(
            vec![
                pass.weights.get::<2>(self.classes_emb),
                pass.weights.get::<1>(self.null_classes_emb).reshape([1, ch]),
            ],
            0,
        );
        let rows: Vec<i32> =
            class.iter().map(|c| c.unwrap_or(self.config.classes) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [n]), &device);
        let cemb = self.mlp(pass, &self.cemb, table.select(0, rows));
        let emb = ops::silu(Tensor::cat(vec![temb, cemb], 1));

        let attend = |a: &Option<Attention>, h| match a {
            Some(attention) => attention.forward(pass, h),
            None => h,
        };
        let mut h = self.conv_in.forward(pass, x);
        let mut skips = vec![h.clone()];
        for level in &self.down {
            for (block, attention) in &level.blocks {
                h = attend(attention, block.forward(pass, h, &emb, dropout));
                skips.push(h.clone());
            }
            if let Some(conv) = &level.resample {
                h = conv.forward(pass, h);
                skips.push(h.clone());
            }
        }
        h = self.mid.0.forward(pass, h, &emb, dropout);
        h = self.mid.1.forward(pass, h);
        h = self.mid.2.forward(pass, h, &emb, dropout);
        for level in self.up.iter().rev() {
            for (block, attention) in &level.blocks {
                let skip = skips.pop().expect("one skip for each up block");
                let joined = Tensor::cat(vec![h, skip], 1);
                h = attend(attention, block.forward(pass, joined, &emb, dropout));
            }
            if let Some(conv) = &level.resample {
                h = conv.forward(pass, ops::upsample(h));
            }
        }
        self.conv_out.forward(pass, self.norm_out.forward(pass, h, true))
    }

    fn mlp(&self, pass: &Pass, dense: &[Linear; 2], x: Tensor<2>) -> Tensor<2> {
        dense[1].forward(pass, ops::silu(dense[0].forward(pass, x)))
    }
}
