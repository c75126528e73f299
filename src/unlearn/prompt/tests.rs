use std::sync::Arc;

use burn::tensor::Device;

use super::{
    embedding::Learner,
    items::{Items, Noising},
    *,
};
use crate::{
    data::emoji::{self, Emoji, target::Target},
    models::latent::{LatentModel, LatentNetwork, unet::PerLevel},
    train::latent::preset,
};

/// The preset's model with a few channels and random weights.
fn tiny(emoji: &Emoji) -> LatentModel {
    let full = preset::network(emoji);
    let mut unet = full.unet.config.clone();
    unet.block_out_channels = vec![8, 8, 16];
    unet.norm_num_groups = 4;
    unet.attention_head_dim = PerLevel::All(2);
    unet.cross_attention_dim = 16;
    let mut text = full.text.config.clone();
    (text.hidden_size, text.intermediate_size, text.num_hidden_layers) = (16, 32, 1);
    let mut vae = full.vae.config.clone();
    vae.block_out_channels = vec![4, 4, 8];
    vae.norm_num_groups = 4;
    let network = LatentNetwork::new(full.tokenizer, text, unet, vae, full.scheduler);
    LatentModel {
        text: network.text_layout.init(1),
        unet: network.unet_layout.init(1),
        vae: network.vae_layout.init(1),
        network: Arc::new(network),
        card: None,
    }
}

struct Scene {
    emoji: Arc<Emoji>,
    target: Target,
    model: LatentModel,
    forget: Items,
    retain: Items,
    weights: LatentWeights,
    schedule: crate::diffusion::schedule::Schedule,
    device: Device,
}

impl Scene {
    async fn new() -> Self {
        let device = Device::flex();
        let emoji = emoji::open().unwrap();
        let target = Target::parse("prompt:a cat", "next", &emoji, usize::MAX).unwrap();
        let model = tiny(&emoji);
        let schedule = model.network.scheduler.schedule();
        let mut monitor = Monitor::silent();
        let noising = Noising {
            network: &model.network,
            emoji: &emoji,
            target: &target,
            schedule: &schedule,
            device: &device,
        };
        let pairs = noising.pairs(20).unwrap();
        let mut sets = Vec::new();
        for (pairs, purpose) in pairs.iter().zip(["f", "r"]) {
            let of = Items::of_pairs(&model, &emoji, pairs, 8, (1, purpose), &device, &mut monitor);
            sets.push(of.await.unwrap());
        }
        let (retain, forget) = (sets.pop().unwrap(), sets.pop().unwrap());
        let weights = LatentWeights::upload(&model, &device);
        Self { emoji, target, model, forget, retain, weights, schedule, device }
    }

    fn noising(&self) -> Noising<'_> {
        Noising {
            network: &self.model.network,
            emoji: &self.emoji,
            target: &self.target,
            schedule: &self.schedule,
            device: &self.device,
        }
    }

    fn plan(method: PromptMethod) -> PromptPlan {
        PromptPlan {
            method,
            steps: 3,
            batch: 4,
            lr: 1e-2,
            alpha: 0.5,
            share: 0.5,
            anchor: false,
            eta: 1.0,
            drift: false,
            seed: 1,
        }
    }

    fn run(&self, method: PromptMethod, free: Option<&[u8]>) -> PromptUnlearner<'_> {
        let sets = [&self.forget, &self.retain];
        let weights = self.weights.clone();
        PromptUnlearner::new(self.noising(), sets, Self::plan(method), weights, free)
    }
}

#[test]
fn weights_outside_the_mask_keep_every_bit_and_the_mask_repeats() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let mut monitor = Monitor::silent();
        let mut ranking = async || {
            let named = ("prompt:a cat", 1);
            score(&scene.noising(), &scene.forget, &scene.weights, named, &mut monitor).await
        };
        let (first, second) = (ranking().await.unwrap(), ranking().await.unwrap());
        assert_eq!(first.scores, second.scores);
        assert!(first.scores.iter().any(|s| *s > 0.0));
        let mask = first.mask(0.5).unwrap();
        let mut run = scene.run(PromptMethod::Redirect, Some(&mask.bits));
        while !run.finished() {
            let loss = read(run.update().unwrap()).await.unwrap()[0];
            assert!(loss.is_finite());
        }
        let after = run.weights.unet.download().await.unwrap();
        assert_eq!(mask.frozen_changed(&scene.model.unet, &after), 0);
        assert!(after.values != scene.model.unet.values);
    });
}

#[test]
fn cross_attention_alone_can_be_trained() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let free = cross_attention(&scene.model.network.unet_layout);
        let mut run = scene.run(PromptMethod::Esd, Some(&free));
        while !run.finished() {
            run.update().unwrap();
        }
        let after = run.weights.unet.download().await.unwrap();
        for e in &after.layout.params {
            let same = after.values[e.range()] == scene.model.unet.values[e.range()];
            assert_eq!(same, !is_cross_attention(&e.name), "{}", e.name);
        }
    });
}

#[test]
fn every_method_takes_its_steps_and_none_touches_the_rest_of_the_model() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        use PromptMethod::{Ascend, Finetune, Redirect, Soft};
        for method in [Ascend, Finetune, Redirect, Soft] {
            let mut run = scene.run(method, None);
            while !run.finished() {
                run.update().unwrap();
                run.settle().await.unwrap();
            }
            let after = run.weights.unet.download().await.unwrap();
            assert!(after.values != scene.model.unet.values);
            assert_eq!(run.step, 3);
            let vae = run.weights.vae.download().await.unwrap();
            assert_eq!(vae.values, scene.model.vae.values);
        }
        let mut run = scene.run(PromptMethod::Uce, None);
        run.solve().await.unwrap();
        assert!(run.finished());
        assert!(run.weights.unet.download().await.unwrap().values != scene.model.unet.values);
    });
}

#[test]
fn the_soft_step_puts_the_smallest_movements_back_to_the_bit() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let mut run = scene.run(PromptMethod::Soft, None);
        run.update().unwrap();
        run.settle().await.unwrap();
        // A share of 0.5 that falls to 0: a third after the first of three updates.
        let after = run.weights.unet.download().await.unwrap();
        let pairs = after.values.iter().zip(&scene.model.unet.values);
        let same = pairs.filter(|(a, b)| a.to_bits() == b.to_bits()).count();
        assert!(same >= after.values.len() / 3, "{same} of {}", after.values.len());
    });
}

#[test]
fn a_learnt_prompt_changes_and_the_model_does_not() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let noising = scene.noising();
        let ids = [scene.model.network.tokenizer.encode("a cat").ids];
        let start = contexts(&scene.model.network, &scene.weights, &ids);
        let mut learner = Learner::new(&noising, &scene.weights, start.clone(), 1);
        for step in 0..3 {
            let loss = read(learner.update(&scene.forget, 4, step, 3).unwrap()).await.unwrap()[0];
            assert!(loss.is_finite());
        }
        let moved = read((learner.context() - start).abs().max().reshape([1])).await.unwrap()[0];
        assert!(moved > 1e-3 && moved < 1.0, "{moved}");
    });
}
