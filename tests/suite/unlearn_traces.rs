//! Whole unlearning runs agree with PyTorch: the same weights, pictures, batches and labels give the
//! same losses and accuracies (tests/peers/unlearn_traces.py).
//!
//! `write_the_draws` writes what this side draws; the script replays it and writes its traces.

use std::{path::Path, sync::Arc};

use burn::tensor::Device;
use rand::RngExt;
use safetensors::Dtype;

use crate::common::{Fixture, classifier, close, pictures, wait};
use salun_studio::data::{Dataset, ForgetSet, Pictures, rng};
use salun_studio::eval::{Evaluator, Shown};
use salun_studio::job_context::JobContext;
use salun_studio::models::{Bits, Model, Weights, checkpoint};
use salun_studio::saliency::{Mask, Scores};
use salun_studio::subject::Subject;
use salun_studio::train::losses::Augment;
use salun_studio::train::trainer::finite;
use salun_studio::train::{LrSchedule, Rule, TrainPlan, Trainer};
use salun_studio::unlearn::{BatchPick, Plan, Scope, Unlearner};
use salun_studio::words::{Budget, Estimator, Recipe};

/// Pictures of the class to forget, of the others, and for the test.
const PICTURES: [usize; 3] = [64, 320, 200];
/// Whole batches only: normalisation over the few pictures of a last one magnifies rounding.
const BATCH: usize = 64;
const SEED: u64 = 4;
const FORGOTTEN: u8 = 7;

/// A run of the comparison. They are short, because training is chaotic: PyTorch in f32 and PyTorch
/// in f64 part after some twenty such updates.
struct Compared {
    name: &'static str,
    method: &'static str,
    lr: f64,
    epochs: usize,
    knobs: &'static [(&'static str, f64)],
}

const fn compared(name: &'static str, lr: f64, epochs: usize) -> Compared {
    Compared { name, method: name, lr, epochs, knobs: &[] }
}

const RUNS: [Compared; 8] = [
    compared("rl", 0.013, 2),
    compared("ga", 2e-3, 8),
    compared("ft", 0.01, 2),
    Compared { knobs: &[("alpha", 5e-4)], ..compared("l1-sparse", 0.01, 2) },
    compared("bs", 2e-3, 8),
    compared("salun", 0.013, 2),
    compared("salun-soft", 0.013, 2),
    Compared {
        name: "salun-soft-released",
        knobs: &[("released", 1.0)],
        ..compared("salun-soft", 0.005, 2)
    },
];

fn plan(run: &Compared, data: &Dataset, set: &ForgetSet) -> Plan {
    let recipe = Recipe {
        method: run.method.into(),
        budget: Budget::Full,
        epochs: Some(run.epochs),
        batch: Some(BATCH),
        lr: Some(run.lr),
        seed: SEED,
        knobs: run.knobs.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
        ..Recipe::new("m", "d", &set.spec)
    };
    let architecture = classifier(4).card.architecture;
    let scope = Scope::of_classes(&architecture, data, set, &recipe.redirect).unwrap();
    Plan::new(&recipe, scope).unwrap()
}

fn forget_set(data: &Dataset) -> ForgetSet {
    let (forget, retain) = (0..data.train.len()).partition(|&i| data.train.labels[i] == FORGOTTEN);
    ForgetSet { spec: "class:Sneaker".into(), class: Some(7), forget, retain, earlier: vec![] }
}

/// The first pictures of Fashion-MNIST of which enough are of the class to forget.
fn chosen() -> Arc<Dataset> {
    let [forget, retain, test] = PICTURES;
    let all = &pictures(2_000, test).train;
    let of = |forgotten: bool, n: usize| {
        let all = (0..all.len()).filter(move |&i| (all.labels[i] == FORGOTTEN) == forgotten);
        all.take(n)
    };
    let mut items: Vec<usize> = of(true, forget).chain(of(false, retain)).collect();
    items.sort_unstable();
    let train = Pictures {
        pixels: items.iter().flat_map(|&i| all.picture(i)).copied().collect(),
        labels: items.iter().map(|&i| all.labels[i]).collect(),
        shape: all.shape,
    };
    Arc::new(Dataset { train: Arc::new(train), ..pictures(1, test).as_ref().clone() })
}

/// The setting as the fixture has it.
struct Setting {
    inputs: Fixture,
    model: Model,
    data: Arc<Dataset>,
    set: ForgetSet,
    mask: Mask,
}

impl Setting {
    fn open() -> Self {
        let inputs = Fixture::open("unlearn_inputs.safetensors");
        let mut model = classifier(4);
        model.weights = inputs.weights(&model.weights.layout);
        let some = |part: &str| {
            let [pixels, labels] =
                ["pixels", "labels"].map(|n| inputs.bytes(&format!("{part}/{n}")));
            Arc::new(Pictures { pixels, labels, ..pictures(1, 1).train.as_ref().clone() })
        };
        let data =
            Dataset { train: some("train"), test: some("test"), ..pictures(1, 1).as_ref().clone() };
        let layout = model.weights.layout.clone();
        let bits: Vec<u8> =
            layout.params.iter().flat_map(|e| inputs.bytes(&format!("mask/{}", e.name))).collect();
        let k = bits.iter().map(|b| usize::from(*b)).sum();
        let mask = Mask {
            layout,
            estimator: Estimator::AbsSumGrad,
            density: 0.5,
            k,
            threshold: 0.0,
            bits: Bits::of(&bits),
        };
        Self { set: forget_set(&data), model, data: Arc::new(data), inputs, mask }
    }
}

fn accuracies(model: &Model, weights: &Weights, data: &Dataset, set: &ForgetSet) -> [f64; 3] {
    let net = model.classifier().unwrap();
    let test: Vec<usize> = (0..data.test.len()).collect();
    let parts = [(&data.train, &set.forget), (&data.train, &set.retain), (&data.test, &test)];
    parts.map(|(pixels, items)| {
        wait(Evaluator { net, weights }.accuracy(Shown(pixels, items), &mut JobContext::silent()))
    })
}

#[test]
fn losses_and_accuracies_agree_with_pytorch() {
    let setting = Setting::open();
    let traces = Fixture::open("unlearn_traces.safetensors");
    let device = Device::flex();
    for run in RUNS {
        let (name, plan) = (run.name, plan(&run, &setting.data, &setting.set));
        let mask = (name == "salun").then_some(&setting.mask);
        let free = mask.map(|mask| &mask.bits);
        let (data, mut job) = (setting.data.clone(), JobContext::silent());
        let subject = Subject::of_classes(&setting.model, data, plan.redirect.clone(), &device);
        let original = setting.model.weights.upload(&device);
        let mut unlearner = wait(Unlearner::begin(subject, original, plan, free, &mut job));
        let mut losses = Vec::new();
        while !unlearner.finished() {
            losses.push(wait(finite(wait(unlearner.step(&mut job)).whole)));
        }
        let weights = unlearner.weights();
        let got = accuracies(&setting.model, &weights, &setting.data, &setting.set);
        let expected = traces.values(&format!("{name}/accuracies"));
        eprintln!("{name}: {:.1?} and PyTorch {expected:.1?}; {} updates", got, losses.len());
        close(name, &losses, traces.values(&format!("{name}/losses")), 1e-3);
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - f64::from(*expected)).abs() <= 0.5, "{name}: {got} for {expected}");
        }
        if let Some(mask) = mask {
            let after = wait(weights.download());
            assert_eq!(mask.frozen_changed(&setting.model.weights, &after), 0);
        }
    }
}

/// The draws of a fixture are those of today's code: the runs are of the same pictures in the same
/// order.
#[test]
fn the_fixture_has_todays_draws() {
    let setting = Setting::open();
    for run in RUNS {
        let (name, plan) = (run.name, plan(&run, &setting.data, &setting.set));
        let draws = Draws::of(&plan, &setting.data);
        let read = |part: &str| setting.inputs.indices(&format!("{name}/{part}"));
        assert_eq!([read("items"), read("sizes"), read("labels")], draws.all(), "{name}");
    }
}

/// The pictures of every update, how many there are in each, and the labels that they are given.
#[derive(Default)]
struct Draws {
    items: Vec<usize>,
    sizes: Vec<usize>,
    labels: Vec<usize>,
}

impl Draws {
    /// Draws as a run does.
    fn of(plan: &Plan, data: &Dataset) -> Self {
        let mut draws = Self::default();
        for step in 0..plan.steps {
            let (epoch, _, turn) = plan.turn(step);
            let mut order = rng::seeded(plan.seed, &format!("unlearn epoch {epoch}"));
            let [forget, retain] = [&plan.forget, &plan.retain].map(|set| {
                let order = rng::shuffled(&mut order, set.len());
                order.into_iter().map(|j| set[j]).collect::<Vec<_>>()
            });
            let (items, at) = match turn {
                BatchPick::Forget(at) => (forget, at),
                BatchPick::Retain(at) => (retain, at),
                _ => panic!("no method here mixes"),
            };
            let items: Vec<usize> = items.into_iter().skip(at * BATCH).take(BATCH).collect();
            let mut labels = data.train.labels(&items);
            let relabels = ["rl", "salun", "salun-soft"].contains(&plan.method.name);
            if relabels && matches!(turn, BatchPick::Forget(_)) {
                let mut rng = rng::seeded(plan.seed, &format!("unlearn {step}"));
                labels.iter_mut().for_each(|y| *y = (*y + rng.random_range(1..10)) % 10);
            }
            draws.sizes.push(items.len());
            draws.items.extend(items);
            draws.labels.extend(labels);
        }
        draws
    }

    fn all(self) -> [Vec<usize>; 3] {
        [self.items, self.sizes, self.labels]
    }
}

/// `cargo test --release --test suite -- --ignored write_the_draws`, then
/// `/usr/bin/python3 tests/peers/unlearn_traces.py`.
#[test]
#[ignore = "writes a fixture"]
fn write_the_draws() {
    let device = Device::flex();
    let data = chosen();
    let mut model = classifier(4);
    let plan_of_training = TrainPlan {
        steps: 300,
        batch: 64,
        rule: Rule::SGD,
        lr: 0.05,
        schedule: LrSchedule::WarmCosine,
        ema: 0.0,
        augment: Augment::None,
        seed: 1,
    };
    let (network, start) = (model.network.clone(), model.weights.clone());
    let items = (0..data.train.len()).collect();
    let mut trainer =
        Trainer::of_classes(network, start, data.clone(), items, plan_of_training, &device);
    (0..300).for_each(|_| drop(trainer.step()));
    model.weights = wait(trainer.learners[0].result());
    let set = forget_set(&data);
    let before = accuracies(&model, &model.weights.upload(&device), &data, &set);
    eprintln!("forget, retain and test accuracy before: {before:.1?}");

    type Named = (String, Vec<usize>, (Dtype, Vec<u8>));
    let bytes = |name: String, values: &[u8]| -> Named {
        (name, vec![values.len()], (Dtype::U8, values.to_vec()))
    };
    let whole = |name: String, values: &[usize]| -> Named {
        let data = values.iter().flat_map(|v| (*v as i64).to_le_bytes()).collect();
        (name, vec![values.len()], (Dtype::I64, data))
    };
    let mut out: Vec<Named> = Vec::new();
    for run in RUNS {
        let (name, plan) = (run.name, plan(&run, &data, &set));
        let [items, sizes, labels] = Draws::of(&plan, &data).all();
        out.push(whole(format!("{name}/items"), &items));
        out.push(whole(format!("{name}/sizes"), &sizes));
        out.push(whole(format!("{name}/labels"), &labels));
    }
    let weights = &model.weights;
    let params = weights.layout.params.iter().map(|e| (e, &weights.values[..]));
    for (e, values) in
        params.chain(weights.layout.buffers.iter().map(|e| (e, &weights.buffers[..])))
    {
        let data = values[e.range()].iter().flat_map(|v| v.to_le_bytes()).collect();
        out.push((format!("weights/{}", e.name), e.shape.clone(), (Dtype::F32, data)));
    }
    // A mask of half of the weights by magnitude: the comparison is of the training under it.
    let mask = Scores::magnitude(weights, &set.spec).mask(0.5).unwrap();
    for e in &weights.layout.params {
        out.push(bytes(format!("mask/{}", e.name), &mask.bits.slice(e.range()).bytes()));
    }
    for (part, some) in [("train", &data.train), ("test", &data.test)] {
        out.push(bytes(format!("{part}/pixels"), &some.pixels));
        out.push(bytes(format!("{part}/labels"), &some.labels));
    }
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unlearn_inputs.safetensors");
    let file = checkpoint::write(&out, None).unwrap();
    assert!(file.len() < 1 << 20, "{} bytes", file.len());
    std::fs::write(path, file).unwrap();
}
