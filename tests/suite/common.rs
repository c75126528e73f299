//! What several test files use: fixtures, tiny networks and an engine that is asked.

use std::{collections::HashMap, io::Read, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use salun_studio::data;
use salun_studio::data::{Dataset, Pictures};
use salun_studio::engine::{Command, Engine, Event, Job, Outcome, Run};
use salun_studio::error::Result;
use salun_studio::gpu::{DeviceChoice, DeviceKind, device};
use salun_studio::models::{
    Architecture, Card, HostWeights, Model, Stored, Tensors, UnetConfig, WeightLayout, checkpoint,
    registry,
};
use salun_studio::words::Recipe;

/// Whether there is a GPU here, if only a software one, which CI must have.
pub fn vulkan() -> bool {
    let there = device::list().iter().any(|d| d.kind != DeviceKind::Cpu);
    assert!(there || std::env::var_os("CI").is_none(), "CI must have software Vulkan");
    there
}

/// Whether this process is for one test alone; else runs that test in such a process, which may open
/// the GPU as a process can do once.
pub fn alone(test: &str) -> bool {
    const ALONE: &str = "SALUN_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    let ended = itself.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let passed = String::from_utf8_lossy(&ended.stdout).contains("1 passed");
    assert!(ended.status.success() && passed, "{test}: {said}");
    eprintln!("{said}");
    false
}

/// The bytes of a file of `tests/fixtures`, which are packed (`tests/peers/pack.py`).
pub fn packed(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let file = std::fs::File::open(folder.join(format!("{name}.gz"))).unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A fixture: every tensor by name, and settings as JSON.
pub struct Fixture {
    pub floats: HashMap<String, (Vec<usize>, Vec<f32>)>,
    pub ints: HashMap<String, Vec<i64>>,
    pub settings: HashMap<String, Value>,
    bytes: HashMap<String, Vec<u8>>,
}

impl Fixture {
    pub fn open(name: &str) -> Self {
        let bytes = packed(name);
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let settings = metadata.metadata().clone().unwrap_or_default();
        // PyTorch's version is no JSON.
        let parsed = |v: String| serde_json::from_str(&v).unwrap_or(Value::String(v));
        let settings = settings.into_iter().map(|(k, v)| (k, parsed(v))).collect();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let (mut floats, mut ints, mut small) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (name, view) in file.iter() {
            if view.dtype() == Dtype::I64 {
                let read = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap());
                ints.insert(name.into(), view.data().chunks_exact(8).map(read).collect());
            } else if view.dtype() == Dtype::U8 {
                small.insert(name.into(), view.data().to_vec());
            } else {
                let values = Stored::of(&view).values().unwrap();
                floats.insert(name.into(), (view.shape().to_vec(), values));
            }
        }
        Self { floats, ints, settings, bytes: small }
    }

    pub fn config<T: serde::de::DeserializeOwned>(&self, name: &str) -> T {
        serde_json::from_value(self.settings[name].clone()).unwrap()
    }

    pub fn values(&self, name: &str) -> &[f32] {
        &self.floats.get(name).unwrap_or_else(|| panic!("the fixture has no {name}")).1
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.floats[name];
        let shape: [usize; D] = shape.as_slice().try_into().unwrap();
        Tensor::from_data(TensorData::new(values.clone(), shape), device)
    }

    pub fn indices(&self, name: &str) -> Vec<usize> {
        self.ints[name].iter().map(|i| *i as usize).collect()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.bytes[name].clone()
    }

    pub fn weights(&self, layout: &Arc<WeightLayout>) -> HostWeights {
        let tensors: Vec<_> = self
            .floats
            .iter()
            .filter_map(|(name, (shape, values))| {
                let name = name.strip_prefix("weights/")?;
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                Some((name.to_string(), shape.clone(), (Dtype::F32, bytes)))
            })
            .collect();
        let bytes = checkpoint::write(&tensors, None).unwrap();
        let path = Path::new("fixture");
        let (file, _) = Tensors::read(&bytes, path).unwrap();
        checkpoint::fill(layout, &file, bytes.len(), path).unwrap()
    }

    /// Compares a flat vector over all parameters with the tensors `prefix/name`. A tensor whose
    /// gradient is zero by construction (a bias before a normalisation) holds only rounding.
    pub fn all_close(&self, layout: &WeightLayout, prefix: &str, got: &[f32], tolerance: f64) {
        let all = layout.params.iter().flat_map(|e| self.values(&format!("{prefix}/{}", e.name)));
        let rounding = 1e-5 * all.fold(0.1f32, |m, v| m.max(v.abs()));
        for e in &layout.params {
            let name = format!("{prefix}/{}", e.name);
            let expected = self.values(&name);
            if expected.iter().all(|v| v.abs() < 1e-12) {
                let most = got[e.range()].iter().fold(0f32, |m, v| m.max(v.abs()));
                assert!(most < rounding, "{name} is {most:.1e} and not zero");
            } else {
                close(&name, &got[e.range()], expected, tolerance);
            }
        }
    }
}

/// Largest difference relative to the largest expected value.
pub fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    assert!(expected.iter().all(|v| v.is_finite()), "{what}: a fixture that is no numbers");
    let scale = expected.iter().fold(1e-6f64, |m, v| m.max(f64::from(v.abs())));
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        let difference = f64::from((a - b).abs()) / scale;
        assert!(difference < tolerance, "{what} at {i}: {a} for {b} ({difference:.1e})");
    }
}

pub fn wait<T>(future: impl Future<Output = Result<T>>) -> T {
    pollster::block_on(future).unwrap()
}

/// An engine that does one job after another; test files add what only they ask for.
pub struct Client {
    pub engine: Engine,
    /// The number of the last job: an engine wants them to grow.
    job: u64,
}

impl Client {
    pub fn new(choice: DeviceChoice) -> Self {
        Self { engine: Engine::spawn(device::open(choice).expect("a device")), job: 0 }
    }

    /// Queues a job, and does not wait for it.
    pub fn start(&mut self, job: Job) {
        self.job += 1;
        self.engine.tell(Command::Start { id: self.job, job: Box::new(job) });
    }

    /// Runs a job to its end, and hands on what is heard of it on the way.
    pub fn heard(&mut self, job: Job, mut hear: impl FnMut(Event)) -> Result<Outcome> {
        self.start(job);
        loop {
            match self.engine.wait().expect("the engine lives") {
                Event::Done { outcome, .. } => return Ok(outcome),
                Event::Failed { error, .. } => return Err(error),
                event => hear(event),
            }
        }
    }

    /// Runs a job to its end, and tells the phases that it goes through.
    pub fn told(&mut self, job: Job, mut phase: impl FnMut(&str)) -> Result<Outcome> {
        self.heard(job, |event| {
            if let Event::Progress { progress, .. } = event {
                phase(&progress.phase);
            }
        })
    }

    pub fn answer(&mut self, job: Job) -> Result<Outcome> {
        self.told(job, |_| {})
    }

    /// Runs a job that must not fail.
    pub fn run(&mut self, job: Job) -> Outcome {
        self.answer(job).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn unlearn(&mut self, recipe: Recipe) -> Arc<Run> {
        match self.run(Job::Unlearn(recipe)) {
            Outcome::Unlearned(run) => run,
            other => panic!("{other:?}"),
        }
    }
}

/// The card of a model that nothing was done to.
pub fn card(architecture: Architecture, data: &str, classes: Vec<String>) -> Card {
    Card::new("tiny", architecture, data, classes)
}

/// The card's model with fresh weights.
pub fn fresh(card: Card, seed: u64) -> Model {
    let (network, layout) = card.architecture.build();
    Model { card, network: Arc::new(network), weights: layout.init(seed) }
}

/// A classifier of this base width with fresh weights, on Fashion-MNIST.
pub fn classifier(width: usize) -> Model {
    let mut card = registry::open("fashion-classifier").unwrap().card;
    if let Architecture::Resnet(config) = &mut card.architecture {
        config.width = width;
    }
    if let Some(training) = &mut card.training {
        training.augmentation = "none".into();
    }
    fresh(card, 1)
}

/// A diffusion model that is small enough for tests, with fresh weights.
pub fn unet() -> Model {
    let mut card = registry::open("fashion-ddpm").unwrap().card;
    card.architecture = Architecture::Unet(UnetConfig {
        ch: 4,
        mult: vec![1, 2],
        res_blocks: 1,
        attention: vec![14],
        groups: 4,
        dropout: 0.1,
        channels: 1,
        resolution: 28,
        classes: 10,
    });
    fresh(card, 1)
}

/// The first pictures of Fashion-MNIST.
pub fn pictures(train: usize, test: usize) -> Arc<Dataset> {
    let whole = data::open("fashion-mnist").unwrap();
    let first = |from: &Pictures, n: usize| Pictures {
        pixels: from.pixels[..n * from.shape.n()].to_vec(),
        labels: from.labels[..n].to_vec(),
        shape: from.shape,
    };
    Arc::new(Dataset {
        train: Arc::new(first(&whole.train, train)),
        test: Arc::new(first(&whole.test, test)),
        ..Dataset::clone(&whole)
    })
}
