//! The networks, their gradients and the optimisers agree with PyTorch (tests/fixtures).

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::common::{Fixture, close, wait};
use salun_studio::models::weights::read;
use salun_studio::models::{
    Architecture, Bits, HostWeights, Mode, Network, Pass, ResnetConfig, SwinConfig, UnetConfig,
    VggConfig, WeightLayout, Weights, read_all, swin,
};
use salun_studio::saliency::Scores;
use salun_studio::sampling::predict;
use salun_studio::train::{Optimizer, Rule, WeightFreeze, clip_norm, cross_entropy, mse};
use salun_studio::words::Estimator;

struct Tiny {
    fixture: Fixture,
    network: Network,
    layout: Arc<WeightLayout>,
    host: HostWeights,
    weights: Weights,
    device: Device,
}

impl Tiny {
    fn new(file: &str, architecture: Architecture) -> Self {
        let device = Device::flex();
        let fixture = Fixture::open(file);
        let (network, layout) = architecture.build();
        let host = fixture.weights(&layout);
        Self { weights: host.upload(&device), fixture, network, layout, host, device }
    }

    fn resnet() -> Self {
        let config = ResnetConfig {
            width: 3,
            channels: 1,
            classes: 10,
            mean: vec![0.2860],
            std: vec![0.3530],
        };
        Self::new("resnet_tiny.safetensors", Architecture::Resnet(config))
    }

    fn vgg() -> Self {
        let (mean, std) = cifar();
        let config = VggConfig { width: 2, channels: 3, classes: 10, mean, std };
        Self::new("vgg_tiny.safetensors", Architecture::Vgg(config))
    }

    fn swin() -> Self {
        let (mean, std) = cifar();
        let config = SwinConfig {
            embed: 8,
            depths: vec![2, 2, 2],
            heads: vec![2, 4, 8],
            patch: 2,
            window: 4,
            drop_path: 0.0,
            channels: 3,
            classes: 10,
            mean,
            std,
        };
        Self::new("swin_tiny.safetensors", Architecture::Swin(config))
    }

    fn unet() -> Self {
        let config = UnetConfig {
            ch: 8,
            mult: vec![1, 2, 2],
            res_blocks: 1,
            attention: vec![7],
            groups: 8,
            dropout: 0.0,
            channels: 1,
            resolution: 28,
            classes: 10,
        };
        Self::new("unet_tiny.safetensors", Architecture::Unet(config))
    }

    /// Logits, loss gradients and moved running statistics of the fixture's batch.
    fn classify(
        &self,
        weights: &Weights,
        mode: Mode,
    ) -> (Vec<f32>, Vec<Tensor<1>>, Vec<(usize, Tensor<1>)>) {
        let Network::Classifier(net) = &self.network else { unreachable!() };
        let tracked = weights.tracked();
        let pass = Pass::new(&tracked, mode);
        let logits = net.forward(&pass, self.fixture.tensor("x", &self.device));
        let loss = cross_entropy(logits.clone(), &self.fixture.indices("y"));
        let gradients = tracked.gradients(&mut loss.backward());
        (wait(read(logits.without_autodiff())), gradients, pass.into_moved())
    }

    fn classes(&self) -> Vec<Option<usize>> {
        let null = self.fixture.indices("null");
        let classes = self.fixture.indices("c");
        classes.into_iter().zip(null).map(|(c, null)| (null == 0).then_some(c)).collect()
    }

    fn times(&self) -> Vec<f32> {
        self.fixture.indices("t").into_iter().map(|t| t as f32).collect()
    }

    fn noise_gradients(&self, weights: &Weights) -> (Vec<f32>, Vec<Tensor<1>>) {
        let Network::Unet(net) = &self.network else { unreachable!() };
        let tracked = weights.tracked();
        let pass = Pass::new(&tracked, Mode::Eval);
        let x = self.fixture.tensor("x", &self.device);
        let out = net.forward(&pass, x, &self.times(), &self.classes());
        let loss = mse(out.clone(), self.fixture.tensor("eps", &self.device));
        let gradients = tracked.gradients(&mut loss.backward());
        (wait(read(out.without_autodiff())), gradients)
    }
}

fn cifar() -> (Vec<f32>, Vec<f32>) {
    (vec![0.4914, 0.4822, 0.4465], vec![0.2470, 0.2435, 0.2616])
}

#[test]
fn resnet_forward_and_gradients_agree_in_both_modes() {
    agrees_in_both_modes(&Tiny::resnet());
}

#[test]
fn vgg_forward_and_gradients_agree_in_both_modes() {
    agrees_in_both_modes(&Tiny::vgg());
}

#[test]
fn swin_forward_and_gradients_agree_where_windows_are_shifted_and_padded() {
    let tiny = Tiny::swin();
    let (logits, gradients, _) = tiny.classify(&tiny.weights, Mode::Eval);
    close("logits", &logits, tiny.fixture.values("eval/logits"), 1e-4);
    tiny.fixture.all_close(&tiny.layout, "eval/grad", &wait(read_all(&gradients)), 1e-3);
    let index: Vec<usize> = swin::relative_index(4).into_iter().map(|i| i as usize).collect();
    assert_eq!(index, tiny.fixture.indices("index"));
}

#[test]
fn every_classifier_gives_its_logits_from_the_last_of_its_stages() {
    for tiny in [Tiny::resnet(), Tiny::vgg(), Tiny::swin()] {
        let Network::Classifier(net) = &tiny.network else { unreachable!() };
        let pass = Pass::new(&tiny.weights, Mode::Eval);
        let x: Tensor<4> = tiny.fixture.tensor("x", &tiny.device);
        let stages = net.stages(&pass, x.clone());
        assert_eq!(stages.len(), net.stage_names().len());
        assert!(stages.iter().all(|s| s.dims()[0] == x.dims()[0]));
        let from_stage = net.head(&pass, stages.into_iter().next_back().unwrap());
        let logits = tiny.fixture.values("eval/logits");
        close("head", &wait(read(from_stage)), logits, 1e-4);
        assert_eq!(wait(read(net.features(&pass, x))).len() % tiny.fixture.indices("y").len(), 0);
    }
}

fn agrees_in_both_modes(tiny: &Tiny) {
    for (mode, name) in [(Mode::Eval, "eval"), (Mode::TRAIN, "train")] {
        let (logits, gradients, moved) = tiny.classify(&tiny.weights, mode);
        let prefix = format!("{name}/logits");
        close(&prefix, &logits, tiny.fixture.values(&prefix), 1e-4);
        let flat = wait(read_all(&gradients));
        tiny.fixture.all_close(&tiny.layout, &format!("{name}/grad"), &flat, 1e-3);
        assert_eq!(moved.is_empty(), mode == Mode::Eval);
        for (buffer, value) in moved {
            let name = format!("train/stats/{}", tiny.layout.buffers[buffer].name);
            close(&name, &wait(read(value)), tiny.fixture.values(&name), 1e-4);
        }
    }
}

/// Three steps of SGD in training mode on the fixture's batch.
fn descend(tiny: &Tiny, freeze: Option<WeightFreeze>) -> Vec<f32> {
    let mut weights = tiny.weights.clone();
    let mut optimizer = Optimizer::new(Rule::SGD, freeze);
    for _ in 0..3 {
        let (_, gradients, moved) = tiny.classify(&weights, Mode::TRAIN);
        for (buffer, value) in moved {
            weights.buffers[buffer] = value;
        }
        optimizer.step(&mut weights, gradients, 0.05).unwrap();
    }
    wait(read_all(&weights.params))
}

#[test]
fn sgd_agrees() {
    let tiny = Tiny::resnet();
    tiny.fixture.all_close(&tiny.layout, "sgd", &descend(&tiny, None), 1e-3);
}

#[test]
fn the_mask_and_masked_sgd_agree_and_frozen_bits_stay() {
    let tiny = Tiny::resnet();
    let (_, gradients, _) = tiny.classify(&tiny.weights, Mode::Eval);
    let scores: Vec<f32> = wait(read_all(&gradients)).iter().map(|g| g.abs()).collect();
    let ranking = Scores::new(tiny.layout.clone(), Estimator::AbsSumGrad, "class:0", scores);
    let mask = ranking.mask(0.5).unwrap();
    assert_eq!(mask.bits.ones(), tiny.layout.n() / 2);
    let theirs: Vec<u8> = tiny
        .layout
        .params
        .iter()
        .flat_map(|e| tiny.fixture.values(&format!("mask/{}", e.name)))
        .map(|v| *v as u8)
        .collect();
    let differing = mask.bits.bytes().iter().zip(&theirs).filter(|(a, b)| a != b).count();
    assert!(differing <= tiny.layout.n() / 1000, "{differing} bits differ");

    let bits = Bits::of(&theirs);
    let freeze = WeightFreeze::new(&bits, &tiny.layout, &tiny.weights, &tiny.weights, false);
    let after = descend(&tiny, Some(freeze));
    tiny.fixture.all_close(&tiny.layout, "masked_sgd", &after, 1e-3);
    let changed = tiny.host.values.iter().zip(&after).zip(&theirs);
    assert_eq!(changed.filter(|((a, b), m)| **m == 0 && a.to_bits() != b.to_bits()).count(), 0);
}

#[test]
fn unet_forward_guidance_and_gradients_agree() {
    let tiny = Tiny::unet();
    let (out, gradients) = tiny.noise_gradients(&tiny.weights);
    close("out", &out, tiny.fixture.values("out"), 1e-4);
    let flat = wait(read_all(&gradients));
    tiny.fixture.all_close(&tiny.layout, "grad", &flat, 1e-3);

    let Network::Unet(net) = &tiny.network else { unreachable!() };
    let pass = Pass::new(&tiny.weights, Mode::Eval);
    let classes: Vec<_> = tiny.fixture.indices("c").into_iter().map(Some).collect();
    let x = tiny.fixture.tensor("x", &tiny.device);
    let conditions = [classes.clone(), vec![None; classes.len()]];
    let guided = predict(&**net, &pass, x, &tiny.times(), conditions, 2.0);
    close("guided", &wait(read(guided)), tiny.fixture.values("guided"), 1e-4);
}

#[test]
fn clipped_adam_agrees() {
    let tiny = Tiny::unet();
    let mut weights = tiny.weights.clone();
    let mut optimizer = Optimizer::new(Rule::ADAM, None);
    for _ in 0..3 {
        let (_, gradients) = tiny.noise_gradients(&weights);
        optimizer.step(&mut weights, clip_norm(gradients, 1.0), 1e-3).unwrap();
    }
    let after = wait(read_all(&weights.params));
    for e in &tiny.layout.params {
        // Adam makes full-size moves of pure rounding where the gradient is zero by construction.
        let zero = tiny.fixture.values(&format!("grad/{}", e.name)).iter().all(|g| g.abs() < 1e-12);
        let limit = if zero { 3.1e-3 } else { 3e-4 };
        let expected = tiny.fixture.values(&format!("adam/{}", e.name));
        for (a, b) in after[e.range()].iter().zip(expected) {
            assert!((a - b).abs() < limit, "adam/{}: {a} for {b}", e.name);
        }
    }
}

#[test]
fn clipping_leaves_the_common_norm_at_its_limit() {
    let tiny = Tiny::unet();
    let (_, gradients) = tiny.noise_gradients(&tiny.weights);
    let norm = |gradients: &[Tensor<1>]| {
        let flat = wait(read_all(gradients));
        flat.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt()
    };
    let expected = f64::from(tiny.fixture.values("grad_norm")[0]);
    assert!((norm(&gradients) - expected).abs() < 1e-4 * expected);
    assert!((norm(&clip_norm(gradients, 1.0)) - 1.0).abs() < 1e-4);
}

#[test]
fn golden_12_3_signs_cancel_before_the_absolute_value() {
    let device = Device::flex();
    let batch = |v: [f32; 4]| Tensor::<1>::from_floats(v, &device);
    let sum = batch([0.5, -0.3, 0.2, 0.1]) + batch([-0.5, -0.3, 0.1, 0.3]);
    let scores: Vec<f32> = wait(read(sum)).iter().map(|g| g.abs()).collect();
    close("scores", &scores, &[0.0, 0.6, 0.3, 0.4], 1e-6);
}

#[test]
fn cross_entropy_agrees() {
    let fixture = Fixture::open("losses.safetensors");
    let device = Device::flex();
    let name = |part: &str| {
        let all = fixture.floats.keys();
        all.into_iter().find(|k| k.contains(part)).unwrap_or_else(|| panic!("no {part}")).clone()
    };
    let logits = fixture.tensor::<2>(&name("logits"), &device).autodiff().require_grad();
    let labels =
        fixture.ints.values().next().unwrap().iter().map(|i| *i as usize).collect::<Vec<_>>();
    let loss = cross_entropy(logits.clone(), &labels);
    let gradient = logits.grad(&loss.backward()).unwrap().without_autodiff();
    close("gradient", &wait(read(gradient)), fixture.values(&name("grad")), 1e-4);
}
