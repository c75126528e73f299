//! EfficientNet-lite0 (Tan and Le 2019; the lite form has neither squeezing nor swish), under the names that
//! `efficientnet-lite-pytorch` gives its weights. Zeros are laid around as TensorFlow does: where they are
//! odd in number, one more below and on the right.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::gpu::ops;
use crate::models::classifier::{normalised, pooled};
use crate::models::layers::BatchNorm;
use crate::models::{Classifier, Conv, Init, Linear, Pass, Scope, Sketch};

/// Epsilon and momentum of its batch normalisations.
const EPS: f64 = 1e-3;
const MOMENTUM: f32 = 0.01;
/// Channels after the stem, and of the features.
const STEM: usize = 32;
const FEATURES: usize = 1280;
/// Of each stage: blocks, kernel, stride of the first, how much wider it is inside, channels that come out.
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];
/// Mean and deviation that its pixels are normalised with.
pub const STATISTICS: [f32; 2] = [0.498, 0.502];

/// What shapes it: its widths are fixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetConfig {
    pub channels: usize,
    pub classes: usize,
    /// Mean and standard deviation of each input channel; the network's first operation uses them.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl EfficientNetConfig {
    /// One for so many channels and classes, with the published normalisation.
    pub fn new(channels: usize, classes: usize) -> Self {
        let [mean, std] = STATISTICS.map(|v| vec![v; channels.min(4)]);
        Self { channels, classes, mean, std }
    }
}

/// A layer without bias and its normalisation.
type Normed<L> = (L, BatchNorm);

/// A convolution of each channel by itself.
#[derive(Debug, Clone)]
struct Depthwise {
    weight: usize,
    stride: usize,
}

/// Wider, each channel by itself, narrow again; beside a shortcut where nothing changes size.
#[derive(Debug, Clone)]
struct Block {
    expand: Option<Normed<Conv>>,
    depthwise: Normed<Depthwise>,
    project: Normed<Conv>,
    shortcut: bool,
}

/// Declares a normalisation.
fn norm(at: Scope, c: usize) -> BatchNorm {
    BatchNorm::new(at, c).settled(EPS, MOMENTUM)
}

/// Normalisation, then values between 0 and 6.
fn relu6(pass: &Pass, norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    norm.forward(pass, x, None, false).clamp(0.0, 6.0)
}

impl Block {
    fn new(mut at: Scope, [c_in, c_out]: [usize; 2], [kernel, stride, wider]: [usize; 3]) -> Self {
        let inner = wider * c_in;
        let expand = (wider > 1).then(|| {
            let conv = Conv::plain(at.part("_expand_conv"), [c_in, inner], 1, 1);
            (conv, norm(at.part("_bn0"), inner))
        });
        // As many values go out of a place as its kernel has.
        let spread = Init::Normal((2.0 / (kernel * kernel) as f32).sqrt());
        let shape = [inner, 1, kernel, kernel];
        let weight = at.part("_depthwise_conv").param("weight", &shape, spread);
        let depthwise = (Depthwise { weight, stride }, norm(at.part("_bn1"), inner));
        let conv = Conv::plain(at.part("_project_conv"), [inner, c_out], 1, 1);
        let project = (conv, norm(at.part("_bn2"), c_out));
        Self { expand, depthwise, project, shortcut: stride == 1 && c_in == c_out }
    }

    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let h = match &self.expand {
            Some((conv, norm)) => relu6(pass, norm, conv.forward(pass, x.clone())),
            None => x.clone(),
        };
        let (Depthwise { weight, stride }, norm) = &self.depthwise;
        let h = relu6(pass, norm, ops::depthwise(h, pass.weights.get(*weight), *stride));
        let (conv, norm) = &self.project;
        norm.forward(pass, conv.forward(pass, h), self.shortcut.then_some(x), false)
    }

    fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        let mut h = x;
        if let Some((conv, norm)) = &self.expand {
            h = to.layer(&[conv.params(), norm.params()], &[h]);
        }
        let (Depthwise { weight, .. }, norm) = &self.depthwise;
        h = to.layer(&[vec![*weight], norm.params()], &[h]);
        let (conv, norm) = &self.project;
        h = to.layer(&[conv.params(), norm.params()], &[h]);
        if self.shortcut { to.residual(h, x) } else { h }
    }
}

/// The network: stem, sixteen blocks, head, average pool, linear.
#[derive(Debug, Clone)]
pub struct EfficientNet {
    pub config: EfficientNetConfig,
    stem: Normed<Conv>,
    blocks: Vec<Block>,
    head: Normed<Conv>,
    fc: Linear,
}

impl EfficientNet {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: EfficientNetConfig, mut at: Scope) -> Self {
        let conv = Conv::plain(at.part("_conv_stem"), [config.channels, STEM], 3, 2)
            .strided(2, crate::gpu::Padding::Same(0));
        let stem = (conv, norm(at.part("_bn0"), STEM));
        let (mut blocks, mut c) = (Vec::new(), STEM);
        for [repeats, kernel, stride, wider, c_out] in STAGES {
            for i in 0..repeats {
                let stride = if i == 0 { stride } else { 1 };
                let at = at.part(format!("_blocks.{}", blocks.len()));
                blocks.push(Block::new(at, [c, c_out], [kernel, stride, wider]));
                c = c_out;
            }
        }
        let conv = Conv::plain(at.part("_conv_head"), [c, FEATURES], 1, 1);
        let head = (conv, norm(at.part("_bn1"), FEATURES));
        let fc = Linear::new(at.part("_fc"), [FEATURES, config.classes]);
        Self { config, stem, blocks, head, fc }
    }

    /// How many blocks it has.
    pub fn blocks() -> usize {
        STAGES.iter().map(|[repeats, ..]| repeats).sum()
    }
}

impl Classifier for EfficientNet {
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let x = normalised(x, &self.config.mean, &self.config.std);
        let (conv, norm) = &self.stem;
        let mut h = relu6(pass, norm, conv.forward(pass, ops::around(x, 3, 2)));
        seen(&h);
        for block in &self.blocks {
            h = block.forward(pass, h);
            seen(&h);
        }
        let (conv, norm) = &self.head;
        pooled(relu6(pass, norm, conv.forward(pass, h)))
    }

    fn sketch(&self, to: &mut Sketch) {
        to.block("In", 0);
        let x = to.input("picture");
        let mut h = to.layer(&[self.stem.0.params(), self.stem.1.params()], &[x]);
        let mut level = 0;
        for (i, block) in self.blocks.iter().enumerate() {
            level += usize::from(block.depthwise.0.stride > 1);
            to.block(format!("Block {i}"), level);
            h = block.sketch(to, h);
        }
        to.block("Head", level);
        let h = to.layer(&[self.head.0.params(), self.head.1.params()], &[h]);
        to.layer(&[self.fc.params()], &[h]);
    }

    fn stage_names(&self) -> Vec<String> {
        let blocks = (0..self.blocks.len()).map(|i| format!("block{i}"));
        std::iter::once("stem".to_string()).chain(blocks).collect()
    }

    fn linear(&self) -> &Linear {
        &self.fc
    }
}
