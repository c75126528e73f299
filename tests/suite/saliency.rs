//! The estimators on a network whose gradients are known, and through the engine.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use pollster::block_on;

use crate::{
    binary::Scratch,
    common::{Client, alone, card, vulkan},
};
use salun_studio::data::{Dataset, PictureShape, Pictures, rng};
use salun_studio::engine::{Job, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::job_context::JobContext;
use salun_studio::models::{
    Architecture, Classifier, Linear, Model, Network, Pass, ResnetConfig, Sketch, WeightLayout,
};
use salun_studio::saliency::{By, Overlap, Scores, Scoring, rank};
use salun_studio::subject::{Sent, Subject};
use salun_studio::words::{Budget, Estimator, Recipe};

/// One pixel, two classes, logits w x + b with w = b = 0: both classes have probability 1/2, so the
/// gradient of class c's weight is (1/2 - [c is the label]) x, and of its bias the same without x.
#[derive(Debug)]
struct OnePixel(Linear);

impl Classifier for OnePixel {
    fn trunk(&self, _: &Pass, x: Tensor<4>, _: &mut dyn FnMut(&Tensor<4>)) -> Tensor<2> {
        let n = x.dims()[0];
        x.reshape([n, 1])
    }
    fn sketch(&self, to: &mut Sketch) {
        to.block("Head", 0);
        let x = to.input("pixel");
        to.layer(&[self.0.params()], &[x]);
    }
    fn stage_names(&self) -> Vec<String> {
        vec!["pixel".into()]
    }
    fn linear(&self) -> &Linear {
        &self.0
    }
}

fn one_pixel() -> Model {
    let mut layout = WeightLayout::default();
    let net = OnePixel(Linear::new(layout.root().part("fc"), [1, 2]));
    let mut weights = Arc::new(layout).init(1);
    weights.values.fill(0.0);
    let architecture = Architecture::Resnet(ResnetConfig {
        width: 1,
        channels: 1,
        classes: 2,
        mean: vec![0.0],
        std: vec![1.0],
    });
    let network = Arc::new(Network::Classifier(Arc::new(net)));
    let card = card(architecture, "fashion-mnist", vec!["a".into(), "b".into()]);
    Model { card, network, weights }
}

/// Pictures of one pixel each: (value times 255, label).
fn pixels(all: &[(u8, u8)]) -> Dataset {
    let train = Pictures {
        pixels: all.iter().map(|p| p.0).collect(),
        labels: all.iter().map(|p| p.1).collect(),
        shape: PictureShape { channels: 1, height: 1, width: 1 },
    };
    Dataset {
        name: "pixels".into(),
        classes: vec!["a".into(), "b".into()],
        train: train.into(),
        test: Arc::default(),
        names: Default::default(),
        skipped: 0,
        notes: Vec::new(),
        fingerprint: None,
        added: None,
    }
}

fn score(estimator: Estimator, data: &Dataset, items: &[usize], retain: &[usize]) -> Scores {
    let model = one_pixel();
    let (data, sent) = (Arc::new(data.clone()), Sent::To(None));
    let subject = &Subject::of_classes(&model, data, sent, &Device::flex());
    let original = &model.weights;
    let weights = &original.upload(&Device::flex());
    let of = Scoring { subject, original, weights, forget: "some", items, retain, seed: 1 };
    let ranking = block_on(rank(estimator, &of, &mut JobContext::silent(), None));
    ranking.unwrap().ordered(estimator).unwrap()
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= 1e-5 * e.abs().max(1.0), "{found:?} and not {expected:?}");
    }
}

#[test]
fn each_estimator_has_the_scores_that_a_hand_computes() {
    // 256 pictures, two batches of 128: x = 1 of class a, then x = 0.4 of class b.
    let mut all = vec![(255, 0); 128];
    all.extend([(102, 1); 128]);
    // What is retained: x = 0.2 of class a, and of class b.
    all.extend([(51, 0), (51, 1)]);
    let data = pixels(&all);
    let items: Vec<usize> = (0..256).collect();
    let retain = [256, 257];
    let of = |estimator| score(estimator, &data, &items, &retain).scores;
    // Weights of a and b, biases of a and b. In the signed sum the biases cancel.
    close(&of(Estimator::AbsSumGrad), &[38.4, 38.4, 0.0, 0.0]);
    close(&of(Estimator::SumAbsGrad), &[89.6, 89.6, 128.0, 128.0]);
    // Means of (x / 2)^2 and of 1/4: by single pictures, so that nothing cancels.
    close(&of(Estimator::Fisher), &[0.145, 0.145, 0.25, 0.25]);
    close(&of(Estimator::FisherRatio), &[14.5, 14.5, 1.0, 1.0]);
    close(&of(Estimator::Magnitude), &[0.0; 4]);
    assert_eq!(of(Estimator::None), of(Estimator::AbsSumGrad));
    let bits = |estimator| score(estimator, &data, &items, &retain).mask(0.5).unwrap().bits.bytes();
    assert_eq!(bits(Estimator::AbsSumGrad), [1, 1, 0, 0]);
    assert_eq!(bits(Estimator::Inverted), [0, 0, 1, 1]);
    let balanced = bits(Estimator::LayerBalanced);
    assert_eq!([balanced[0] + balanced[1], balanced[2] + balanced[3]], [1, 1]);
}

#[test]
fn the_size_of_the_last_batch_changes_no_fisher_score() {
    let data = pixels(&[(255, 0); 40]);
    let fisher = |n: usize| {
        let items: Vec<usize> = (0..n).collect();
        score(Estimator::Fisher, &data, &items, &[]).scores
    };
    close(&fisher(1), &[0.25; 4]);
    close(&fisher(16), &[0.25; 4]);
    close(&fisher(33), &[0.25; 4]);
}

/// A classifier and a diffusion model with fresh weights that fit Fashion-MNIST, as files.
fn models(scratch: &Scratch) -> [String; 2] {
    [("classifier", scratch.classifier()), ("unet", scratch.diffusion())]
        .map(|(name, model)| scratch.keep(&format!("{name}.safetensors"), &model))
}

impl Client {
    fn rank(&mut self, recipe: Recipe) -> Arc<Scores> {
        match self.run(Job::Rank(recipe)) {
            Outcome::Ranked(ranking) => ranking,
            other => panic!("{other:?}"),
        }
    }

    fn overlap(&mut self, recipe: Recipe, by: By, seeds: usize) -> Arc<Overlap> {
        match self.run(Job::Overlap { recipe, by, seeds }) {
            Outcome::Overlapped(overlap) => overlap,
            other => panic!("{other:?}"),
        }
    }
}

/// A recipe that looks at a few pictures.
fn recipe(model: &str, forget: &str, estimator: Estimator) -> Recipe {
    Recipe {
        mask: Some(estimator),
        budget: Budget::Tiny,
        ..Recipe::new(model, "fashion-mnist", forget)
    }
}

#[test]
fn every_estimator_masks_exactly_k_of_both_networks_at_every_density() {
    let scratch = Scratch::new("every");
    let mut client = Client::new(DeviceChoice::Cpu);
    for model in models(&scratch) {
        let mut all = Vec::new();
        for &estimator in Estimator::ALL {
            let ranking = client.rank(recipe(&model, "class:Bag", estimator));
            let again = client.rank(recipe(&model, "class:Bag", estimator));
            assert_eq!(ranking.scores, again.scores, "the same request, the same scores");
            let mut before = vec![0u8; ranking.scores.len()];
            for tenth in 1..=10 {
                let density = f64::from(tenth) / 10.0;
                let mask = ranking.mask(density).unwrap();
                assert_eq!(mask.bits.ones(), (ranking.scores.len() as f64 * density) as usize);
                let bits = mask.bits.bytes();
                assert!(before.iter().zip(&bits).all(|(a, b)| a <= b), "{estimator:?}");
                before = bits;
            }
            assert_eq!(ranking.n_forget > 0, estimator.looks(), "{estimator:?}");
            if estimator != Estimator::None {
                assert_eq!(ranking.estimator, estimator);
                all.push(ranking);
            }
        }
        let first = |ranking: &Scores| ranking.mask(0.3).unwrap().bits;
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                // Of one batch, the sum of |g| is |the sum of g|.
                let pair = [a.estimator, b.estimator];
                let same = pair == [Estimator::SumAbsGrad, Estimator::AbsSumGrad];
                assert_eq!(first(a) == first(b), same, "{pair:?}");
            }
        }
    }
}

#[test]
fn masks_of_classes_seeds_and_estimators_are_compared() {
    let scratch = Scratch::new("compared");
    let [classifier, _] = models(&scratch);
    let mut client = Client::new(DeviceChoice::Cpu);
    let of = |forget, estimator| recipe(&classifier, forget, estimator);
    let classes = client.overlap(of("", Estimator::AbsSumGrad), By::Classes, 3);
    assert_eq!(classes.names.len(), 10);
    let seeds = client.overlap(of("random:1%", Estimator::Random), By::Seeds, 3);
    assert_eq!(seeds.names, ["seed 1", "seed 2", "seed 3"]);
    assert!((seeds.iou[0][1] - seeds.chance).abs() < 0.02, "random masks agree by chance");
    let estimators = client.overlap(of("class:Bag", Estimator::AbsSumGrad), By::Estimators, 3);
    assert_eq!(estimators.names.len(), Estimator::ALL.len() - 1);
    for overlap in [&classes, &seeds, &estimators] {
        for (a, row) in overlap.iou.iter().enumerate() {
            assert_eq!(row[a], 1.0);
            assert!((0..row.len()).all(|b| row[b] == overlap.iou[b][a]));
        }
    }
    let refused = client.answer(Job::Overlap {
        recipe: of("class:Bag", Estimator::None),
        by: By::Seeds,
        seeds: 2,
    });
    assert_eq!(refused.unwrap_err().exit_code(), 2);
}

#[test]
fn the_hardest_items_are_those_with_the_largest_loss_of_the_original_model() {
    let scratch = Scratch::new("hardest");
    let [classifier, unet] = models(&scratch);
    let mut client = Client::new(DeviceChoice::Cpu);
    let mut items = |forget: &str| {
        let recipe = recipe(&classifier, forget, Estimator::None);
        client.unlearn(Recipe { method: "noop".into(), ..recipe })
    };
    let (hard, easy) = (items("hardest:1%"), items("easiest:540"));
    assert_eq!((hard.report.forget.n, easy.report.forget.n), (540, 540));
    // The hardest training pictures are those that the model gets wrong.
    assert!(hard.report.before.UA >= 95.0, "{:?}", hard.report.before);
    assert_eq!(easy.report.before.UA, 0.0);
    let refused = client.answer(Job::Rank(recipe(&unet, "hardest:10%", Estimator::AbsSumGrad)));
    assert_eq!(refused.unwrap_err().exit_code(), 2);
}

#[test]
fn estimators_agree_on_the_cpu_and_on_a_gpu() {
    if !vulkan() || !alone("saliency::estimators_agree_on_the_cpu_and_on_a_gpu") {
        return;
    }
    let scratch = Scratch::new("devices-agree");
    let mut clients = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(Client::new);
    let [classifier, _] = models(&scratch);
    let masks = [
        Estimator::AbsSumGrad,
        Estimator::SumAbsGrad,
        Estimator::Fisher,
        Estimator::Inverted,
        Estimator::LayerBalanced,
    ];
    for estimator in masks {
        let [cpu, gpu] =
            clients.each_mut().map(|c| c.rank(recipe(&classifier, "class:Bag", estimator)));
        let selected = block_on(gpu.cut(0.5)).unwrap();
        assert_eq!(selected.bits, gpu.mask(0.5).unwrap().bits, "{estimator:?}");
        let overlap = cpu.mask(0.5).unwrap().overlap(&selected);
        eprintln!("{}: overlap {overlap:.4}", estimator.name());
        assert!(overlap > 0.98, "{estimator:?}: {overlap}");
    }
}

#[test]
fn random_scores_are_one_stream_for_one_seed() {
    let layout = one_pixel().weights.layout;
    let [a, b] = [1, 1].map(|seed| Scores::random(layout.clone(), "class:0", seed).scores);
    assert_eq!(a, b);
    assert_ne!(a, Scores::random(layout, "class:0", 2).scores);
    assert_ne!(rng::normal(&mut rng::seeded(1, "random mask")), 0.0);
}
