//! VGG-16 with batch normalisation in its CIFAR form (Simonyan and Zisserman 2015; the official
//! code's `vgg16_bn`): thirteen convolutions, five pools, one linear layer.
//!
//! Weights of the trunk have torchvision's names (`features.0.weight` on); the head is
//! `classifier`, because there is one layer where torchvision has three.

use burn::tensor::Tensor;

use super::classifier::{normalised, pooled};
use super::layers::BatchNorm;
use super::{Classifier, Conv, Linear, Pass, ResnetConfig, Scope, Sketch};
use crate::gpu::ops;

/// Convolutions of each stage, and their channels in multiples of the base width.
const STAGES: [(usize, usize); 5] = [(2, 1), (2, 2), (3, 4), (3, 8), (3, 8)];

/// What shapes a VGG-16: as a ResNet, the channels of the first stage, 64 in the paper, and the pictures.
pub type VggConfig = ResnetConfig;

/// The network: five stages of convolutions, each with a pool after it, average pool, linear.
#[derive(Debug, Clone)]
pub struct Vgg {
    pub config: VggConfig,
    stages: Vec<Vec<(Conv, BatchNorm)>>,
    classifier: Linear,
}

impl Vgg {
    /// Declares the weights in state-dictionary order.
    pub fn new(config: VggConfig, mut at: Scope) -> Self {
        let mut stages = Vec::new();
        let mut c_in = config.channels;
        // torchvision counts convolution, normalisation, ReLU and pool as layers of one list.
        let mut place = 0;
        for (convs, fold) in STAGES {
            let c_out = config.width * fold;
            let mut stage = Vec::new();
            for _ in 0..convs {
                let mut features = at.part("features");
                let conv = Conv::fan_out(features.part(place), [c_in, c_out], 3);
                stage.push((conv, BatchNorm::new(features.part(place + 1), c_out)));
                c_in = c_out;
                place += 3;
            }
            place += 1;
            stages.push(stage);
        }
        let classifier = Linear::new(at.part("classifier"), [c_in, config.classes]);
        Self { config, stages, classifier }
    }
}

impl Classifier for Vgg {
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

    fn sketch(&self, to: &mut Sketch) {
        to.block("In", 0);
        let mut h = to.input("picture");
        for (level, stage) in self.stages.iter().enumerate() {
            to.block(format!("Stage {}", level + 1), level);
            for (conv, bn) in stage {
                h = to.layer(&[conv.params(), bn.params()], &[h]);
            }
        }
        to.block("Head", self.stages.len() - 1);
        to.layer(&[self.classifier.params()], &[h]);
    }

    fn stage_names(&self) -> Vec<String> {
        (1..=self.stages.len()).map(|i| format!("stage{i}")).collect()
    }

    fn linear(&self) -> &Linear {
        &self.classifier
    }
}
