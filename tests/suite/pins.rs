//! What recipes give, pinned: the same bytes and figures, whatever the code around them becomes.
//!
//! Sums, and so bits, differ between processors. What a processor computes is told apart by [`arithmetic`];
//! `tests/fixtures/pins.json` has a list for each that was recorded (`SALUN_RECORD=1`). On another the
//! figures are held against the first list that has them, within one answer of the few that are asked for, and that is
//! said.

use std::{collections::BTreeMap, path::PathBuf, sync::Mutex};

use burn::tensor::{
    Device, Tensor, TensorData, activation::softmax, module::conv2d, ops::ConvOptions,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::common::Client;
use salun_studio::gpu::{DeviceChoice, ops};
use salun_studio::words::{Budget, Estimator, Recipe, hex};

/// Method and mask of each pinned run.
const CLASSIFY: [(&str, Option<Estimator>); 12] = [
    ("salun", None),
    ("salun", Some(Estimator::Random)),
    ("rl", None),
    ("salun-soft", None),
    ("ga", Some(Estimator::Fisher)),
    ("ft", Some(Estimator::Magnitude)),
    ("l1-sparse", None),
    ("neggrad-plus", Some(Estimator::LayerBalanced)),
    ("scrub", None),
    ("sfr-on", None),
    ("munba", Some(Estimator::SumAbsGrad)),
    ("ssd", None),
];
const GENERATE: [(&str, Option<Estimator>); 7] = [
    ("salun", None),
    ("salun", Some(Estimator::Random)),
    ("ga", Some(Estimator::Inverted)),
    ("neggrad-plus", None),
    ("munba", Some(Estimator::FisherRatio)),
    ("sfr-on", None),
    ("esd", None),
];
const PROMPTS: [(&str, Option<Estimator>); 9] = [
    ("salun", None),
    ("salun", Some(Estimator::Random)),
    ("salun-soft", None),
    ("ga", Some(Estimator::AbsSumGrad)),
    ("esd", None),
    ("uce", None),
    ("neggrad-plus", Some(Estimator::LayerBalanced)),
    ("munba", Some(Estimator::FisherRatio)),
    ("sfr-on", None),
];

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Pin {
    mask: Option<String>,
    weights: String,
    /// UA, RA and TA before and after.
    figures: [f64; 6],
    losses: Vec<f32>,
}

/// Pins of one kind of processor by the runs' names.
type Pins = BTreeMap<String, Pin>;

/// Points of a figure that one of six answers is worth.
const ANSWER: f64 = 17.0;

fn known() -> BTreeMap<String, Pins> {
    let text = std::fs::read_to_string(file()).unwrap_or_else(|_| "{}".into());
    serde_json::from_str(&text).unwrap()
}

fn file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/pins.json"].iter().collect()
}

/// What tells apart how processors sum: a hash of products, convolutions and their gradients at a few shapes,
/// and of what only transformers do, where they are asked for.
fn arithmetic(transformers: bool) -> String {
    let device = Device::flex().autodiff();
    let numbers = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|i| ((i * 7919 % 1009) as f32 / 1009.0) - 0.5).collect();
        TensorData::new(values, shape.to_vec())
    };
    let mut hash = Sha256::new();
    let mut take = |data: TensorData| hash.update(data.as_bytes());
    for [m, k, n] in [[64, 64, 64], [128, 1_152, 96], [7, 2_000, 33]] {
        let a = Tensor::<2>::from_data(numbers(&[m, k]), &device);
        let b = Tensor::<2>::from_data(numbers(&[k, n]), &device);
        take(softmax(a.matmul(b), 1).into_data());
    }
    for [c, out, side, kernel, stride] in
        [[16, 16, 28, 3, 1], [16, 32, 14, 3, 2], [32, 64, 8, 1, 1]]
    {
        let x = Tensor::<4>::from_data(numbers(&[4, c, side, side]), &device).require_grad();
        let w = Tensor::<4>::from_data(numbers(&[out, c, kernel, kernel]), &device).require_grad();
        let pad = kernel / 2;
        let options = ConvOptions::new([stride; 2], [pad; 2], [1; 2], 1);
        let y = conv2d(x.clone(), w.clone(), None, options);
        let gradients = y.clone().powi_scalar(2).mean().backward();
        take(y.into_data());
        take(x.grad(&gradients).unwrap().into_data());
        take(w.grad(&gradients).unwrap().into_data());
    }
    if transformers {
        let affine = [0, 1].map(|_| Tensor::<1>::from_data(numbers(&[96]), &device));
        let x = Tensor::<3>::from_data(numbers(&[2, 65, 96]), &device).require_grad();
        let y = ops::geglu(ops::layer_norm(x.clone(), affine, 1e-5));
        let gradients = y.clone().powi_scalar(2).mean().backward();
        take(y.into_data());
        take(x.grad(&gradients).unwrap().into_data());
    }
    hex(&hash.finalize()[..8])
}

fn pin(client: &mut Client, recipe: Recipe) -> Pin {
    let run = client.unlearn(recipe);
    let weights = run.model.weights();
    let (a, b) = (&run.report.before, &run.report.after);
    Pin {
        mask: run.mask.as_ref().map(|mask| {
            Sha256::digest(mask.bits.bytes()).iter().map(|b| format!("{b:02x}")).collect()
        }),
        weights: weights.hash(),
        // As many digits as a JSON number keeps exactly.
        figures: [a.UA, a.RA, a.TA, b.UA, b.RA, b.TA].map(|v| (v * 1e4).round() / 1e4),
        losses: run.log.iter().map(|line| line.loss).collect(),
    }
}

fn hold(task: &str, of: Recipe, cells: &[(&str, Option<Estimator>)]) {
    let key = arithmetic(task == "prompts");
    let mut client = Client::new(DeviceChoice::Cpu);
    let mut got = Pins::new();
    for (method, mask) in cells {
        let name = match mask {
            Some(mask) => format!("{task}, {method}, {}", mask.name()),
            None => format!("{task}, {method}"),
        };
        let recipe = Recipe { method: method.to_string(), mask: *mask, ..of.clone() };
        got.insert(name, pin(&mut client, recipe));
    }
    if std::env::var_os("SALUN_RECORD").is_some() {
        // Others may have recorded theirs meanwhile.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap();
        let mut all = known();
        all.entry(key).or_default().extend(got);
        std::fs::write(file(), serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
        return;
    }
    let all = known();
    match all.get(&key) {
        Some(known) => got.iter().for_each(|(name, pin)| {
            assert_eq!(Some(pin), known.get(name), "{name} is what it was");
        }),
        None => {
            eprintln!(
                "no pins for a processor that sums like this one ({key}): figures within {ANSWER} points"
            );
            let known = all.values().find(|pins| got.keys().all(|name| pins.contains_key(name)));
            let known = known.expect("pins of some processor");
            for (name, pin) in &got {
                let known = &known[name];
                let close = |a: &f64, b: &f64| (a - b).abs() <= ANSWER;
                assert!(
                    pin.figures.iter().zip(&known.figures).all(|(a, b)| close(a, b)),
                    "{name}: {pin:?} {known:?}"
                );
                let first = |pin: &Pin| pin.losses.first().copied().unwrap_or_default();
                assert!((first(pin) - first(known)).abs() < 1e-3, "{name}: {pin:?} {known:?}");
            }
        }
    }
}

fn tiny(model: &str, data: &str, forget: &str) -> Recipe {
    Recipe { budget: Budget::Tiny, ..Recipe::new(model, data, forget) }
}

#[test]
fn runs_of_the_classifier_are_what_they_were() {
    hold("classify", tiny("fashion-classifier", "fashion-mnist", "class:Sneaker"), &CLASSIFY);
}

#[test]
fn a_quick_run_in_company_is_what_it_was() {
    let few = Recipe {
        budget: Budget::Quick,
        steps: Some(4),
        ..tiny("fashion-classifier", "fashion-mnist", "class:Bag")
    };
    hold("quick", few, &[("salun", None)]);
}

#[test]
fn runs_of_the_diffusion_model_are_what_they_were() {
    hold("generate", tiny("fashion-ddpm", "fashion-mnist", "class:Sneaker"), &GENERATE);
}

#[test]
fn runs_of_the_text_to_image_model_are_what_they_were() {
    hold("prompts", tiny("emoji-t2i", "emoji", "prompt:a cat"), &PROMPTS);
}
