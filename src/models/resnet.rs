//! ResNet-18 in its CIFAR form (He et al. 2016), base width a parameter.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::classifier::{normalised, pooled};
use super::layers::BatchNorm;
use super::{Classifier, Conv, Linear, Pass, Scope, Sketch};

/// What shapes a ResNet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResnetConfig {
    /// Channels of the first stage: 64 in the paper, 16 in the shipped model.
    pub width: usize,
    pub channels: usize,
    pub classes: usize,
    /// Mean and standard deviation of each input channel; the network's first operation uses them.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// conv-BN-ReLU-conv-BN, plus the shortcut, then ReLU.
#[derive(Debug, Clone)]
struct Block {
    conv1: Conv,
    bn1: BatchNorm,
    conv2: Conv,
    bn2: BatchNorm,
    downsample: Option<(Conv, BatchNorm)>,
}

impl Block {
    fn new(mut at: Scope, [c_in, c_out]: [usize; 2], stride: usize) -> Self {
        let changes = stride != 1 || c_in != c_out;
        Self {
            conv1: Conv::plain(at.part("conv1"), [c_in, c_out], 3, stride),
            bn1: BatchNorm::new(at.part("bn1"), c_out),
            conv2: Conv::plain(at.part("conv2"), [c_out, c_out], 3, 1),
            bn2: BatchNorm::new(at.part("bn2"), c_out),
            downsample: changes.then(|| {
                let conv = Conv::plain(at.part("downsample.0"), [c_in, c_out], 1, stride);
                (conv, BatchNorm::new(at.part("downsample.1"), c_out))
            }),
        }
    }

    fn forward(&self, pass: &Pass, x: Tensor<4>) -> Tensor<4> {
        let h = self.bn1.forward(pass, self.conv1.forward(pass, x.clone()), None, true);
        let h = self.conv2.forward(pass, h);
        let shortcut = match &self.downsample {
            Some((conv, bn)) => bn.forward(pass, conv.forward(pass, x), None, false),
            None => x,
        };
        self.bn2.forward(pass, h, Some(shortcut), true)
    }

    fn sketch(&self, to: &mut Sketch, x: usize) -> usize {
        let h = to.layer(&[self.conv1.params(), self.bn1.params()], &[x]);
        let h = to.layer(&[self.conv2.params(), self.bn2.params()], &[h]);
        let shortcut = match &self.downsample {
            Some((conv, bn)) => to.layer(&[conv.params(), bn.params()], &[x]),
            None => x,
        };
        to.residual(h, shortcut)
    }
}

/// The network: stem, four stages of two blocks, average pool, linear.
#[derive(Debug, Clone)]
pub struct Resnet {
    pub config: ResnetConfig,
    conv1: Conv,
    bn1: BatchNorm,
    blocks: Vec<Block>,
    fc: Linear,
}

impl Resnet {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: ResnetConfig, mut at: Scope) -> Self {
        let w = config.width;
        let conv1 = Conv::plain(at.part("conv1"), [config.channels, w], 3, 1);
        let bn1 = BatchNorm::new(at.part("bn1"), w);
        let mut blocks = Vec::new();
        let mut c_in = w;
        for stage in 0..4 {
            let c_out = w << stage;
            for block in 0..2 {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let name = format!("layer{}.{block}", stage + 1);
                blocks.push(Block::new(at.part(name), [c_in, c_out], stride));
                c_in = c_out;
            }
        }
        let fc = Linear::new(at.part("fc"), [c_in, config.classes]);
        Self { config, conv1, bn1, blocks, fc }
    }
}

impl Classifier for Resnet {
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let x = normalised(x, &self.config.mean, &self.config.std);
        let mut h = self.bn1.forward(pass, self.conv1.forward(pass, x), None, true);
        seen(&h);
        for block in &self.blocks {
            h = block.forward(pass, h);
            seen(&h);
        }
        pooled(h)
    }

    fn sketch(&self, to: &mut Sketch) {
        to.block("In", 0);
        let x = to.input("picture");
        let mut h = to.layer(&[self.conv1.params(), self.bn1.params()], &[x]);
        for (i, block) in self.blocks.iter().enumerate() {
            to.block(format!("Stage {}.{}", i / 2 + 1, i % 2 + 1), i / 2);
            h = block.sketch(to, h);
        }
        to.block("Head", 3);
        to.layer(&[self.fc.params()], &[h]);
    }

    fn stage_names(&self) -> Vec<String> {
        let blocks = (0..self.blocks.len()).map(|i| format!("layer{}.{}", i / 2 + 1, i % 2));
        std::iter::once("conv1".to_string()).chain(blocks).collect()
    }

    fn linear(&self) -> &Linear {
        &self.fc
    }
}
