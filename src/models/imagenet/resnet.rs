//! ResNet as torchvision has it for ImageNet (He et al. 2016): a 7 x 7 stem and a pool, then blocks of two
//! convolutions, or bottlenecks of three whose second one strides (ResNet v1.5).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::gpu::ops;
use crate::models::classifier::{normalised, pooled};
use crate::models::layers::BatchNorm;
use crate::models::{Classifier, Conv, Linear, Pass, Scope, Sketch};

/// What shapes such a ResNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeepResnetConfig {
    /// Channels of the first stage: 64 as published.
    pub width: usize,
    /// Blocks of each of the four stages: 2, 2, 2, 2 in ResNet-18; 3, 4, 6, 3 in -34 and -50.
    pub blocks: Vec<usize>,
    /// Whether a block is a bottleneck, four times as wide outside as inside: ResNet-50 and deeper.
    pub bottleneck: bool,
    pub channels: usize,
    pub classes: usize,
    /// Mean and standard deviation of each input channel; the network's first operation uses them.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl DeepResnetConfig {
    /// Whether every size is within reason; colours and classes aside.
    pub fn usable(&self) -> bool {
        (1..=256).contains(&self.width)
            && self.blocks.len() == 4
            && self.blocks.iter().all(|n| (1..=64).contains(n))
    }
}

/// Convolutions with their normalisations, plus the shortcut, then ReLU.
#[derive(Debug, Clone)]
struct Block {
    convs: Vec<(Conv, BatchNorm)>,
    downsample: Option<(Conv, BatchNorm)>,
}

impl Block {
    /// A block from so many channels by so many inside, and what comes out of it.
    fn new(
        mut at: Scope,
        [c_in, inner]: [usize; 2],
        stride: usize,
        bottleneck: bool,
    ) -> (Self, usize) {
        let c_out = if bottleneck { 4 * inner } else { inner };
        let shapes = match bottleneck {
            true => vec![([c_in, inner], 1, 1), ([inner; 2], 3, stride), ([inner, c_out], 1, 1)],
            false => vec![([c_in, inner], 3, stride), ([inner; 2], 3, 1)],
        };
        let convs = shapes.into_iter().enumerate().map(|(i, (c, kernel, stride))| {
            let conv = Conv::plain(at.part(format!("conv{}", i + 1)), c, kernel, stride);
            (conv, BatchNorm::new(at.part(format!("bn{}", i + 1)), c[1]))
        });
        let convs = convs.collect();
        let changes = stride != 1 || c_in != c_out;
        let downsample = changes.then(|| {
            let conv = Conv::plain(at.part("downsample.0"), [c_in, c_out], 1, stride);
            (conv, BatchNorm::new(at.part("downsample.1"), c_out))
        });
        (Self { convs, downsample }, c_out)
    }

    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some((conv, bn)) => bn.forward(pass, conv.forward(pass, x.clone()), None, false),
            None => x.clone(),
        };
        let last = self.convs.len() - 1;
        let (mut h, mut shortcut) = (x, Some(shortcut));
        for (i, (conv, bn)) in self.convs.iter().enumerate() {
            let beside = if i == last { shortcut.take() } else { None };
            h = bn.forward(pass, conv.forward(pass, h), beside, true);
        }
        h
    }
}

impl Block {
    fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        let made = self
            .convs
            .iter()
            .fold(x, |h, (conv, bn)| to.layer(&[conv.params(), bn.params()], &[h]));
        let shortcut = match &self.downsample {
            Some((conv, bn)) => to.layer(&[conv.params(), bn.params()], &[x]),
            None => x,
        };
        to.residual(made, shortcut)
    }
}

/// The network: stem, pool, four stages, average pool, linear.
#[derive(Debug, Clone)]
pub struct DeepResnet {
    pub config: DeepResnetConfig,
    conv1: Conv,
    bn1: BatchNorm,
    stages: Vec<Vec<Block>>,
    fc: Linear,
}

impl DeepResnet {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: DeepResnetConfig, mut at: Scope) -> Self {
        let w = config.width;
        let conv1 = Conv::plain(at.part("conv1"), [config.channels, w], 7, 2);
        let bn1 = BatchNorm::new(at.part("bn1"), w);
        let mut c = w;
        let mut stages = Vec::new();
        for (i, &blocks) in config.blocks.iter().enumerate() {
            let mut stage = Vec::new();
            for b in 0..blocks {
                let stride = if i > 0 && b == 0 { 2 } else { 1 };
                let at = at.part(format!("layer{}.{b}", i + 1));
                let (block, c_out) = Block::new(at, [c, w << i], stride, config.bottleneck);
                stage.push(block);
                c = c_out;
            }
            stages.push(stage);
        }
        let fc = Linear::new(at.part("fc"), [c, config.classes]);
        Self { config, conv1, bn1, stages, fc }
    }
}

impl Classifier for DeepResnet {
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let x = normalised(x, &self.config.mean, &self.config.std);
        let mut h = self.bn1.forward(pass, self.conv1.forward(pass, x), None, true);
        seen(&h);
        h = ops::max_pool_3(h);
        for block in self.stages.iter().flatten() {
            h = block.forward(pass, h);
            seen(&h);
        }
        pooled(h)
    }

    fn sketch(&self, to: &mut Sketch) {
        to.block("In", 0);
        let x = to.input("picture");
        let mut h = to.layer(&[self.conv1.params(), self.bn1.params()], &[x]);
        for (level, stage) in self.stages.iter().enumerate() {
            for (i, block) in stage.iter().enumerate() {
                to.block(format!("Stage {}.{}", level + 1, i + 1), level);
                h = block.sketch(to, h);
            }
        }
        to.block("Head", self.stages.len() - 1);
        to.layer(&[self.fc.params()], &[h]);
    }

    fn stage_names(&self) -> Vec<String> {
        let stages = self.stages.iter().enumerate();
        let blocks = stages
            .flat_map(|(i, stage)| (0..stage.len()).map(move |b| format!("layer{}.{b}", i + 1)));
        std::iter::once("conv1".to_string()).chain(blocks).collect()
    }

    fn linear(&self) -> &Linear {
        &self.fc
    }
}
