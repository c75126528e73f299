//! Looks into a classifier: gradients of pixels, the map of pictures, weights of a layer.

use std::{collections::HashSet, sync::Arc};

use burn::tensor::Device;
use pollster::block_on;

use crate::{
    binary::Scratch,
    common::{Client, alone, classifier, close, fresh, pictures, vulkan, wait},
};
use salun_studio::data;
use salun_studio::engine::{Attributed, Beside, Embedding, Inspected, Inspection, Job, Outcome};
use salun_studio::eval::{Evaluator, Outputs, Shown};
use salun_studio::gpu::{DeviceChoice, tensor4};
use salun_studio::job_context::JobContext;
use salun_studio::models::{Architecture, Card, Model, SwinConfig, registry};
use salun_studio::words::{Attribution, Recipe};

fn swin() -> Model {
    let mut card: Card = registry::open("fashion-classifier").unwrap().card;
    card.architecture = Architecture::Swin(SwinConfig {
        embed: 8,
        depths: vec![2, 2],
        heads: vec![2, 4],
        patch: 2,
        window: 4,
        drop_path: 0.0,
        channels: 1,
        classes: 10,
        mean: vec![0.286],
        std: vec![0.353],
    });
    fresh(card, 1)
}

#[test]
fn the_gradient_of_pixels_is_what_the_log_probability_changes_by() {
    let data = pictures(4, 0);
    let items = [1usize, 2];
    let shipped = registry::open("fashion-classifier").unwrap();
    for (name, model) in [("shipped", shipped), ("fresh", classifier(4)), ("swin", swin())] {
        let weights = model.weights.upload(&Device::flex());
        let asked = Evaluator { net: model.classifier().unwrap(), weights: &weights };
        // Other classes than the true ones: those are as good as certain, and their gradients rounding.
        let labels: Vec<usize> =
            data.train.labels(&items).into_iter().map(|label| (label + 2) % 10).collect();
        let shape = [2, 1, 28, 28];
        let values = data.train.unit(&items);
        let x = tensor4(values.clone(), shape, &Device::flex());
        let gradient = wait(asked.input_gradient(x, &labels));
        assert_eq!(gradient.len(), values.len());
        // Along the gradient itself, and along directions without a plan: g · d for both pictures together.
        let told = |values: Vec<f32>| -> f64 {
            let shown = tensor4(values, shape, &Device::flex());
            let logits = model.classifier().unwrap().forward(
                &salun_studio::models::Pass::new(&weights, salun_studio::models::Mode::Eval),
                shown,
            );
            let logits = wait(salun_studio::models::weights::read(logits));
            let row = |(row, label): (&[f32], &usize)| {
                let most = row.iter().copied().fold(f32::MIN, f32::max);
                let sum: f64 = row.iter().map(|v| f64::from(v - most).exp()).sum();
                f64::from(row[*label] - most) - sum.ln()
            };
            logits.chunks_exact(10).zip(&labels).map(row).sum()
        };
        let length = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let waves = |phase: usize| -> Vec<f32> {
            (0..values.len()).map(|i| ((i * phase) as f32 * 0.37).sin()).collect()
        };
        let whole = length(&gradient);
        for (which, direction) in
            [("itself", gradient.clone()), ("waves", waves(3)), ("others", waves(7))]
        {
            let size = length(&direction);
            // Small enough that few of the rectified values change sign.
            let step = 0.004 / size;
            let moved = |sign: f64| -> Vec<f32> {
                let along = values.iter().zip(&direction);
                along.map(|(v, d)| v + (sign * step * f64::from(*d)) as f32).collect()
            };
            let slope = (told(moved(1.0)) - told(moved(-1.0))) / (2.0 * step * size);
            let dot: f64 = gradient
                .iter()
                .zip(&direction)
                .map(|(g, d)| f64::from(*g) * f64::from(*d) / size)
                .sum();
            assert!((slope - dot).abs() < 0.03 * whole, "{name} along {which}: {slope} for {dot}");
        }
        assert!(whole > 1e-6, "{name}: there is something to compare");
    }
}

#[test]
fn maps_of_pixels_are_made_of_those_gradients_and_are_the_same_twice() {
    let data = pictures(3, 0);
    let items = [0usize, 2];
    let model = classifier(4);
    let weights = model.weights.upload(&Device::flex());
    let asked = Evaluator { net: model.classifier().unwrap(), weights: &weights };
    let labels = data.train.labels(&items);
    let shown = Shown(&data.train, &items);
    let map = |way: Attribution, seed: u64| {
        let mut job = JobContext::silent();
        block_on(asked.attribute(shown, &labels, way, seed, &mut job)).unwrap()
    };
    let values = data.train.unit(&items);
    let x = tensor4(values.clone(), [2, 1, 28, 28], &Device::flex());
    let gradient = wait(asked.input_gradient(x, &labels));
    let absolute: Vec<f32> = gradient.iter().map(|g| g.abs()).collect();
    close("gradient", &map(Attribution::Gradient, 1), &absolute, 1e-4);
    let product: Vec<f32> = gradient.iter().zip(&values).map(|(g, v)| (g * v).abs()).collect();
    close("gradient x input", &map(Attribution::GradientInput, 1), &product, 1e-4);
    let smooth = map(Attribution::SmoothGrad, 1);
    assert_eq!(smooth, map(Attribution::SmoothGrad, 1));
    assert_ne!(smooth, map(Attribution::SmoothGrad, 2), "another seed, other noise");
    let angle = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    let other = map(Attribution::SmoothGrad, 2);
    // Of a network with random weights; of signs alone it would be 0.64, as of any two positive maps.
    let steady = angle(&smooth, &other);
    assert!(steady > 0.75, "the mean over copies is steady: {steady}");
    assert!(angle(&smooth, &absolute) < 0.999, "and not the gradient of the picture alone");
}

impl Client {
    fn inspect(&mut self, asked: Inspection) -> Inspected {
        match self.run(Job::Inspect(asked)) {
            Outcome::Inspected(seen) => seen,
            other => panic!("{other:?}"),
        }
    }

    fn embed(&mut self, recipe: &Recipe, after: Option<&Arc<Model>>) -> Arc<Embedding> {
        let of = Beside { recipe: recipe.clone(), models: [after.cloned(), None, None] };
        match self.inspect(Inspection::Embed(of)) {
            Inspected::Embedded(embedding) => embedding,
            other => panic!("{other:?}"),
        }
    }

    fn attribute(&mut self, recipe: &Recipe, after: Option<&Arc<Model>>) -> Arc<Attributed> {
        let of = Beside { recipe: recipe.clone(), models: [after.cloned(), None, None] };
        let asked = Inspection::Attribute { of, items: vec![3, 11], way: Attribution::SmoothGrad };
        match self.inspect(asked) {
            Inspected::Attributed(pixels) => pixels,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_map_shows_every_class_marks_the_forget_set_and_projects_both_by_the_same_axes() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let model = Arc::new(registry::open("fashion-classifier").unwrap());
    let plain = Recipe::new("fashion-classifier", "fashion-mnist", "");
    let started = std::time::Instant::now();
    let map = client.embed(&plain, None);
    eprintln!("a map of {} pictures took {:?}", map.items.len(), started.elapsed());
    assert!(map.items.windows(2).all(|pair| pair[0] < pair[1]));
    let data = data::open("fashion-mnist").unwrap();
    let training: HashSet<usize> = data.split(model.card.split_seed).train.into_iter().collect();
    assert!(map.items.iter().all(|item| training.contains(item)), "none that is held out");
    assert_eq!(map.labels, data.train.labels(&map.items));
    for class in 0..10 {
        assert_eq!(map.labels.iter().filter(|label| **label == class).count(), 150);
    }
    assert!(map.forgotten.iter().all(|f| !f) && map.maps[1..].iter().all(Option::is_none));
    let before = map.maps[0].as_ref().unwrap();
    assert_eq!(before.shared.as_ref(), Some(&before.own));
    assert!(before.held[0] > 0.2 && before.held[0] == before.held[1], "{:?}", before.held);
    assert!(before.moved.iter().all(|bits| *bits < 1e-6));
    let right = before.seen.iter().zip(&map.labels).filter(|(seen, label)| seen.0 == **label);
    assert!(right.count() > 1_300, "the shipped classifier knows its training pictures");

    // A class that is to be forgotten, and weights that changed.
    let recipe = Recipe { forget: "class:Bag".into(), ..plain };
    let mut other = Model::clone(&model);
    other
        .weights
        .values
        .iter_mut()
        .enumerate()
        .for_each(|(i, v)| *v *= 1.0 + 0.1 * (i as f32).sin());
    let map = client.embed(&recipe, Some(&Arc::new(other)));
    let bags = map.labels.iter().map(|label| *label == 8).collect::<Vec<_>>();
    assert_eq!(map.forgotten, bags);
    assert!((151..=650).contains(&bags.iter().filter(|bag| **bag).count()));
    let [before, after] = [0, 1].map(|place: usize| map.maps[place].as_ref().unwrap());
    assert!(after.shared.is_some() && after.shared != before.shared && after.own != before.own);
    assert!(after.held[0] <= after.held[1] + 1e-9, "its own axes hold most of its variance");
    assert!(after.moved.iter().any(|bits| *bits > 0.0));
    // Picked items are on the map, whatever else is.
    let items = Recipe { forget: "items:5,9,77-80".into(), ..recipe.clone() };
    let set: Vec<usize> = {
        let map = client.embed(&items, None);
        let marked = map.items.iter().zip(&map.forgotten).filter(|(_, f)| **f);
        marked.map(|(item, _)| *item).collect()
    };
    let wanted: Vec<usize> =
        [5, 9, 77, 78, 79, 80].into_iter().filter(|item| training.contains(item)).collect();
    assert_eq!(set, wanted);
    // The shipped Retrain has axes of its own and no others.
    let map = client.embed(&Recipe { forget: "class:Sneaker".into(), ..recipe }, None);
    let retrain = map.maps[3].as_ref().expect("one is shipped");
    assert!(retrain.shared.is_none() && retrain.own.len() == map.items.len());
}

#[test]
fn pixels_before_and_after_are_alike_where_nothing_changed() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let model = Arc::new(registry::open("fashion-classifier").unwrap());
    let recipe = Recipe::new("fashion-classifier", "fashion-mnist", "");
    let started = std::time::Instant::now();
    let of = client.attribute(&recipe, Some(&model));
    eprintln!("pixels of 2 pictures in 2 models took {:?}", started.elapsed());
    assert_eq!((of.side, of.pictures.columns, &of.items[..]), ([28, 28], 2, &[3, 11][..]));
    let [before, after] = [0, 1].map(|place: usize| of.maps[place].clone().unwrap());
    assert_eq!(before, after);
    assert!(before.values.len() == 2 * 784 && before.values.iter().any(|v| *v > 0.0));
    let refused = client.answer(Job::Inspect(Inspection::Attribute {
        of: Beside { recipe, models: [None, None, None] },
        items: vec![60_000],
        way: Attribution::Gradient,
    }));
    assert_eq!(refused.unwrap_err().exit_code(), 2);
}

#[test]
fn the_weights_of_a_layer_are_the_models_own() {
    let mut client = Client::new(DeviceChoice::Cpu);
    for name in ["fashion-classifier", "fashion-ddpm"] {
        let model = registry::open(name).unwrap();
        let layer = model.weights.layout.params.len() / 2;
        let seen = client.inspect(Inspection::Weights { model: name.into(), layer });
        let Inspected::Weights(weights) = seen else { panic!("weights were asked for") };
        let range = model.weights.layout.params[layer].range();
        assert_eq!((weights.layer, &weights.values[..]), (layer, &model.weights.values[range]));
        let refused = client.answer(Job::Inspect(Inspection::Weights {
            model: name.into(),
            layer: model.weights.layout.params.len(),
        }));
        assert_eq!(refused.unwrap_err().exit_code(), 2);
    }
    // A diffusion model sees nothing.
    let of = Beside {
        recipe: Recipe::new("fashion-ddpm", "fashion-mnist", ""),
        models: [None, None, None],
    };
    let refused = client.answer(Job::Inspect(Inspection::Embed(of))).unwrap_err();
    assert_eq!(refused.exit_code(), 2);
    assert!(refused.to_string().contains("a classifier is needed"), "{refused}");
}

#[test]
fn scores_of_another_request_are_those_that_ranking_finds() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let recipe = Recipe {
        budget: salun_studio::words::Budget::Tiny,
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Bag")
    };
    let Inspected::Scores(seen) = client.inspect(Inspection::Scores(recipe.clone())) else {
        panic!("scores were asked for")
    };
    let Outcome::Ranked(ranked) = client.run(Job::Rank(recipe)) else { panic!() };
    assert_eq!((&seen.scores, &seen.forget), (&ranked.scores, &ranked.forget));
}

#[test]
fn the_cpu_and_a_gpu_see_the_same() {
    if !vulkan() || !alone("inspect::the_cpu_and_a_gpu_see_the_same") {
        return;
    }
    let scratch = Scratch::new("inspect-devices");
    scratch.keep("tiny.safetensors", &classifier(4));
    let path = scratch.path("tiny.safetensors").to_string_lossy().into_owned();
    let mut clients = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(Client::new);
    let recipe = Recipe::new(&path, "fashion-mnist", "class:Bag");
    let [cpu, gpu] = clients.each_mut().map(|client| client.attribute(&recipe, None));
    let [a, b] = [&cpu, &gpu].map(|of| of.maps[0].clone().unwrap());
    close("pixels", &a.values, &b.values, 1e-2);
    let [cpu, gpu] = clients.each_mut().map(|client| client.embed(&recipe, None));
    assert_eq!((&cpu.items, &cpu.forgotten), (&gpu.items, &gpu.forgotten));
    let flat = |map: &Embedding| -> Vec<f32> {
        map.maps[0].as_ref().unwrap().own.iter().flatten().copied().collect()
    };
    close("points", &flat(&cpu), &flat(&gpu), 1e-2);
}

#[test]
fn what_a_classifier_says_of_pictures_is_read_from_its_logits_once() {
    let data = pictures(5, 0);
    let model = classifier(4);
    let weights = model.weights.upload(&Device::flex());
    let asked = Evaluator { net: model.classifier().unwrap(), weights: &weights };
    let items: Vec<usize> = (0..5).collect();
    let shown = Shown(&data.train, &items);
    let mut job = JobContext::silent();
    let logits = block_on(asked.logits(shown, &mut job)).unwrap();
    let whole = block_on(Outputs::of(&asked, shown, &mut job)).unwrap();
    let read = Outputs::from_logits(logits, 10, shown);
    assert_eq!((read.probabilities, read.seen), (whole.probabilities, whole.seen));
}
