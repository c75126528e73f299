//! The class-conditional DDPM U-Net (Ho et al. 2020 as conditioned in docs/methods.md#models).

use burn::tensor::{Int, Tensor, TensorData, activation};
use serde::{Deserialize, Serialize};

use super::levels::DDPM;
use super::{
    Activations, Attends, Beside, Conv, Groups, Init, Mlp, Pass, Scope, Sinusoid, Sketch, Style,
    Trunk,
};
use crate::gpu::Padding;

/// GroupNorm's epsilon (docs/methods.md#models).
const EPS: f64 = 1e-6;

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

impl UnetConfig {
    /// The same for pictures of another side, with attention on the same levels.
    pub fn with_side(self, side: usize) -> Self {
        let attends = |level: &usize| self.attention.contains(&(self.resolution >> level));
        let attention = (0..self.mult.len()).filter(attends).map(|level| side >> level).collect();
        Self { attention, resolution: side, ..self }
    }
}

/// The network that predicts the noise in x_t given the time step and the class.
#[derive(Debug, Clone)]
pub struct Unet {
    pub config: UnetConfig,
    temb: Mlp,
    classes_emb: usize,
    null_classes_emb: usize,
    cemb: Mlp,
    trunk: Trunk,
}

impl Unet {
    /// Declares the weights in the order of the forward pass.
    pub fn new(config: UnetConfig, mut at: Scope) -> Self {
        let UnetConfig { ch, classes, channels, .. } = config;
        let temb = Mlp::new(at.part("temb.dense"), ["0", "1"], ch);
        let classes_emb = at.param("classes_emb.weight", &[classes, ch], Init::Normal(1.0));
        let null_classes_emb = at.param("null_classes_emb", &[ch], Init::Normal(1.0));
        let cemb = Mlp::new(at.part("cemb.dense"), ["0", "1"], ch);
        let conv_in = Conv::same(at.part("conv_in"), [channels, ch], 3);
        let style = Style {
            names: &DDPM,
            widths: &config.mult.iter().map(|m| ch * m).collect::<Vec<_>>(),
            blocks: config.res_blocks,
            groups: Groups { n: config.groups, eps: EPS },
            embedding: Some(8 * ch),
            dropout: config.dropout,
            padding: Padding::BottomRight,
        };
        let attends = |level: usize| {
            config.attention.contains(&(config.resolution >> level)).then_some(Attends::Pixels)
        };
        let attends = (Some(&attends as _), Attends::Pixels, Some(&attends as _));
        let trunk = Trunk::new(at, &style, (conv_in, ch), channels, attends);
        Self { config, temb, classes_emb, null_classes_emb, cemb, trunk }
    }

    /// Channels, height and width of a picture.
    pub fn picture_shape(&self) -> [usize; 3] {
        let side = self.config.resolution;
        [self.config.channels, side, side]
    }

    /// What a picture's gradient keeps of the way forward.
    pub fn activations(&self) -> Activations {
        self.trunk.activations([self.config.resolution; 2])
    }

    /// Draws [`Unet::forward`].
    pub fn sketch(&self, to: &mut Sketch) {
        to.beside("Time and class");
        let (time, class) = (to.input("time step"), to.input("class"));
        let temb = self.temb.sketch(to, time);
        let row = to.layer(&[vec![self.classes_emb, self.null_classes_emb]], &[class]);
        let cemb = self.cemb.sketch(to, row);
        let embedding = to.join(temb, cemb);
        to.block("In", 0);
        let x = to.input("noisy picture");
        self.trunk.sketch(to, x, [Some(embedding), None]);
    }

    /// Predicted noise. `x` [n, c, h, w] in [-1, 1] scale, `t` n time steps, `class` n classes or
    /// `None` for the null condition, to [n, c, h, w].
    pub fn forward(
        &self,
        pass: &Pass,
        x: Tensor<4>,
        t: &[f32],
        class: &[Option<usize>],
    ) -> Tensor<4> {
        let UnetConfig { ch, classes, .. } = self.config;
        let device = x.device().without_autodiff();
        let time = Sinusoid { width: ch, shift: 1.0, cosines_first: false }.rows(t, &device);
        let temb = self.temb.forward(pass, time);
        let table = Tensor::cat(
            vec![
                pass.weights.get::<2>(self.classes_emb),
                pass.weights.get::<1>(self.null_classes_emb).reshape([1, ch]),
            ],
            0,
        );
        let rows: Vec<i32> = class.iter().map(|c| c.unwrap_or(classes) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [t.len()]), &device);
        let cemb = self.cemb.forward(pass, table.select(0, rows));
        let emb = activation::silu(Tensor::cat(vec![temb, cemb], 1));
        self.trunk.forward(pass, x, Beside { embedding: Some(&emb), context: None })
    }
}
