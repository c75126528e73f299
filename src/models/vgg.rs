//! VGG-16 with batch normalisation in its CIFAR form (Simonyan and Zisserman 2015; the official
//! code's `vgg16_bn`): thirteen convolutions, five pools, one linear layer.
//!
//! Weights of the trunk have torchvision's names (`features.0.weight` on); the head is
//! `classifier`, because there is one layer where torchvision has three.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{
    classifier::{Classifier, normalised, pooled},
    layers::{BatchNorm, Conv, Linear, Pass},
    weights::WeightLayout,
};
use crate::gpu::ops;

/// Convolutions of each stage, and their channels in multiples of the base width.
const STAGES: [(usize, usize); 5] = [(2, 1), (2, 2), (3, 4), (3, 8), (3, 8)];

/// What shapes a VGG-16.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VggConfig {
    /// Channels of the first stage: 64 in the paper.
    pub width: usize,
    pub channels: usize,
    pub classes: usize,
    /// Mean and standard deviation of each input channel; the network's first operation uses them.
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

/// The network: five stages of convolutions, each with a pool after it, average pool, linear.
#[derive(Debug, Clone)]
pub struct Vgg {
    pub config: VggConfig,
    stages: Vec<Vec<(Conv, BatchNorm)>>,
    classifier: Linear,
}

impl Vgg {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: VggConfig, layout: &mut WeightLayout) -> Self {
        let mut stages = Vec::new();
        let mut c_in = config.channels;
        // torchvision counts convolution, normalisation, ReLU and pool as layers of one list.
        let mut place = 0;
        for (convs, fold) in STAGES {
            let c_out = config.width * fold;
            let mut stage = Vec::new();
            for _ in 0..convs {
                let conv = format!("features.{place}");
                let conv = Conv::fan_out(layout, conv, [c_in, c_out], 3);
                stage
                    .push((conv, BatchNorm::new(layout, format!("features.{}", place + 1), c_out)));
                c_in = c_out;
                place += 3;
            }
            place += 1;
            stages.push(stage);
        }
        let classifier = Linear::new(layout, "classifier", [c_in, config.classes]);
        Self { config, stages, classifier }
    }

    /// The trunk; `seen` is shown what each stage makes.
    fn trunk(&self, pass: &Pass, x: Tensor<4>, seen: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let mut h = normalised(x, &self.config.mean, &self.config.std);
        for stage in &self.stages {
            for (conv, bn) in stage {
                h = bn.forward(pass, conv.forward(pass, h), None, true);
            }
            // Pictures of 28 pixels are down to one before the last pool.
            let [_, _, height, width] = h.dims();
            if height > 1 && width > 1 {
                h = ops::max_pool(h);
            }
            seen(&h);
        }
        pooled(h)
    }
}

impl Classifier for Vgg {
    fn channels(&self) -> usize {
        self.config.channels
    }

    fn classes(&self) -> usize {
        self.config.classes
    }

    fn features(&self, pass: &Pass, x: Tensor<4>) -> Tensor<2> {
        self.trunk(pass, x, &mut |_| {})
    }

    fn stages(&self, pass: &Pass, x: Tensor<4>) -> Vec<Tensor<2>> {
        let mut stages = Vec::new();
        self.trunk(pass, x, &mut |h| stages.push(pooled(h.clone())));
        stages
    }

    fn stage_names(&self) -> Vec<String> {
        (1..=self.stages.len()).map(|i| format!("stage{i}")).collect()
    }

    fn head_params(&self) -> Vec<usize> {
        self.classifier.params()
    }

    fn head(&self, pass: &Pass, features: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(pass, features)
    }
}
