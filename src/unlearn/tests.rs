//! Methods on a text-to-image model.

use std::sync::Arc;

use burn::tensor::Device;

use super::{METHODS, Plan, Scope, Unlearner, registry};
use crate::data::corpus;
use crate::data::corpus::{Corpus, Target};
use crate::job_context::JobContext;
use crate::models::latent::{LatentModel, LatentNetwork, PerLevel, is_cross_attention};
use crate::models::weights::read;
use crate::models::{Bits, HostWeights};
use crate::saliency::{Scoring, rank};
use crate::sampling::{LatentWeights, contexts};
use crate::subject::{Items, Learner, Noising, Prompts, Subject};
use crate::train::latent::preset;
use crate::words::{Estimator, Recipe, Redirect, Task};

/// The preset's model with a few channels and random weights.
fn tiny(corpus: &Corpus) -> LatentModel {
    let full = preset::network(corpus);
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
    LatentModel::fresh(Arc::new(network), 1)
}

struct Scene {
    noising: Noising,
    model: LatentModel,
    sets: Arc<[Items; 2]>,
    weights: LatentWeights,
}

impl Scene {
    async fn new() -> Self {
        let device = Device::flex();
        let corpus = corpus::open().unwrap();
        let model = tiny(&corpus);
        let mut job = JobContext::silent();
        let noising = Noising {
            network: model.network.clone(),
            target: Target::parse("prompt:a cat", &Redirect::Next, &corpus, usize::MAX).unwrap(),
            schedule: model.network.scheduler.schedule(),
            corpus: corpus.clone(),
            device: device.clone(),
        };
        let weights = LatentWeights::upload(&model, &device);
        let pairs = noising.pairs(20).unwrap();
        let mut sets = Vec::new();
        for (pairs, purpose) in pairs.iter().zip(["f", "r"]) {
            let of = Items::of_pairs(&weights, &corpus, pairs, 8, (1, purpose), &mut job);
            sets.push(of.await.unwrap());
        }
        let (retain, forget) = (sets.pop().unwrap(), sets.pop().unwrap());
        Self { noising, model, sets: [forget, retain].into(), weights }
    }

    fn subject(&self) -> Subject {
        Subject::Diffusion(Box::new(Prompts {
            noising: self.noising.clone(),
            text: self.weights.text.clone(),
            sets: self.sets.clone(),
        }))
    }

    /// A run of three updates of a method, to its end.
    async fn run(&self, method: &str, free: Option<&Bits>) -> HostWeights {
        let mut run = self.begin(method, free).await;
        while !run.finished() {
            let loss = run.step(&mut JobContext::silent()).await.unwrap().whole;
            let loss = read(loss).await.unwrap()[0];
            assert!(loss.is_finite(), "{method}");
        }
        run.weights().download().await.unwrap()
    }

    async fn begin(&self, method: &str, free: Option<&Bits>) -> Unlearner {
        let (batch, lr) = (Some(4), Some(1e-2));
        let recipe = Recipe { method: method.into(), ..Recipe::new("m", "emoji", "prompt:a cat") };
        let trains = registry::find(method).unwrap().trains(Task::TextToImage);
        let recipe = if trains { Recipe { steps: Some(3), batch, lr, ..recipe } } else { recipe };
        let scope = Scope::of_prompts(self.sets.each_ref().map(Items::len));
        let plan = Plan::new(&recipe, scope).unwrap();
        let original = self.weights.unet.clone();
        let mut job = JobContext::silent();
        Unlearner::begin(self.subject(), original, plan, free, &mut job).await.unwrap()
    }
}

#[test]
fn every_mask_has_its_scores_and_weights_outside_keep_every_bit() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let subject = scene.subject();
        let (items, retain): (Vec<usize>, Vec<usize>) = ((0..8).collect(), (8..16).collect());
        for &estimator in Estimator::ALL {
            let of = Scoring {
                subject: &subject,
                original: &scene.model.unet,
                weights: &scene.weights.unet,
                forget: "prompt:a cat",
                items: &items,
                retain: &retain,
                seed: 1,
            };
            let mut job = JobContext::silent();
            let mut scores = async || rank(estimator, &of, &mut job, None).await.unwrap();
            let (first, second) = (scores().await, scores().await);
            assert_eq!(first.scores, second.scores, "{estimator:?}");
            assert!(first.scores.iter().any(|s| *s > 0.0), "{estimator:?}");
            let mask = first.mask(0.5).unwrap();
            let after = scene.run("salun", Some(&mask.bits)).await;
            assert_eq!(mask.frozen_changed(&scene.model.unet, &after), 0);
            assert!(after.values != scene.model.unet.values);
        }
    });
}

#[test]
fn cross_attention_alone_can_be_trained() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let free = scene.model.unet.layout.bits_of(is_cross_attention);
        let after = scene.run("esd", Some(&free)).await;
        for e in &after.layout.params {
            let same = after.values[e.range()] == scene.model.unet.values[e.range()];
            assert_eq!(same, !is_cross_attention(&e.name), "{}", e.name);
        }
    });
}

#[test]
fn every_method_takes_its_steps() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        for method in METHODS.iter().filter(|m| m.treats(Task::TextToImage).is_some()) {
            let changed = scene.run(method.name, None).await.values != scene.model.unet.values;
            assert_eq!(changed, method.name != "noop", "{}", method.name);
        }
    });
}

#[test]
fn the_soft_step_puts_the_smallest_movements_back_to_the_bit() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let mut run = scene.begin("salun-soft", None).await;
        run.step(&mut JobContext::silent()).await.unwrap();
        // A share of 0.5 that falls to 0: a third after the first of three updates.
        let after = run.weights().download().await.unwrap();
        let pairs = after.values.iter().zip(&scene.model.unet.values);
        let same = pairs.filter(|(a, b)| a.to_bits() == b.to_bits()).count();
        assert!(same >= after.values.len() / 3, "{same} of {}", after.values.len());
    });
}

#[test]
fn a_learnt_prompt_changes_and_the_model_does_not() {
    pollster::block_on(async {
        let scene = Scene::new().await;
        let ids = [scene.model.network.tokenizer.encode("a cat").ids];
        let start = contexts(&scene.model.network, &scene.weights.text, &ids);
        let mut learner = Learner::new(&scene.noising, &scene.weights, start.clone(), 1);
        for step in 0..3 {
            let loss = read(learner.update(&scene.sets[0], 4, step, 3).unwrap()).await.unwrap()[0];
            assert!(loss.is_finite());
        }
        let moved = read((learner.context() - start).abs().max().reshape([1])).await.unwrap()[0];
        assert!(moved > 1e-3 && moved < 1.0, "{moved}");
    });
}
