//! Text-to-image models agree with diffusers and transformers (tests/fixtures/latent, made by
//! tests/peers/make_latent_fixtures.py), and their folders are read, written and refused.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::Fixture;
use salun_studio::diffusion::{SchedulerConfig, Solver, SolverKind};
use salun_studio::error::Result;
use salun_studio::models::latent::{
    Autoencoder, Files, LatentModel, LatentUnet, OnDisk, TextEncoder, Tokenizer, folder,
};
use salun_studio::models::weights::read;
use salun_studio::models::{
    HostWeights, Mode, Pass, Precision, Scope, WeightLayout, Weights, checkpoint, read_all,
};
use salun_studio::sampling::predict;
use salun_studio::wire;

/// Largest share of the expected tensor's own size by which a result may be off.
const FORWARD: f64 = 1e-3;
const BACKWARD: f64 = 1e-2;
/// What is smaller than this share of the largest gradient is nothing but rounding: a bias before a normalisation.
const ROUNDING: f64 = 3e-5;
/// As [`FORWARD`], after twenty steps with guidance: random weights, and clipped samples even more, enlarge the rounding of
/// every step.
const STEPPED: f64 = 3e-3;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/latent").join(name)
}

/// What only the fixtures of these models have.
impl Fixture {
    /// The tensors `part/…` as weights of a layout; every one of both has its partner.
    fn part(&self, part: &str, layout: WeightLayout, device: &Device) -> Weights {
        let layout = Arc::new(layout);
        let prefix = format!("{part}/");
        let there = self.floats.keys().filter(|k| k.starts_with(&prefix)).count();
        assert_eq!(there, layout.params.len(), "{part}");
        let mut values = Vec::new();
        for e in &layout.params {
            let (shape, v) = &self.floats[&format!("{prefix}{}", e.name)];
            assert_eq!(shape, &e.shape, "{}", e.name);
            values.extend(v);
        }
        HostWeights { layout, values: values.into(), buffers: Vec::new() }.upload(device)
    }

    fn ids(&self) -> Vec<Vec<u32>> {
        let ids = &self.ints["ids"];
        ids.chunks(ids.len() / 2).map(|row| row.iter().map(|i| *i as u32).collect()).collect()
    }

    async fn close<const D: usize>(&self, name: &str, got: Tensor<D>) {
        let got = read(got).await.unwrap();
        off(name, self.values(name), &got, FORWARD, 0.0);
    }

    /// Gradients of every weight of these parts, each against its own size and the largest one's.
    async fn gradients_close(&self, parts: &[(&str, &Weights)], loss: Tensor<1>) {
        let mut all = loss.backward();
        let size = |v: &[f32]| v.iter().fold(0.0f64, |m, v| m.max(v.abs() as f64));
        for (part, weights) in parts {
            let flat = read_all(&weights.gradients(&mut all)).await.unwrap();
            let mut compared = 0;
            for e in &weights.layout.params {
                let name = format!("grad/{part}/{}", e.name);
                let Some((_, expected)) = self.floats.get(&name) else { continue };
                compared += 1;
                let most = size(&flat);
                off(&name, expected, &flat[e.range()], BACKWARD, ROUNDING * most);
            }
            assert!(compared + 1 >= weights.layout.params.len(), "{part}: {compared} compared");
        }
    }
}

fn off(name: &str, expected: &[f32], got: &[f32], tolerance: f64, floor: f64) {
    assert_eq!(expected.len(), got.len(), "{name}");
    assert!(expected.iter().chain(got).all(|v| v.is_finite()), "{name}: not all are numbers");
    let size = expected.iter().fold(floor, |m, v| m.max(v.abs() as f64));
    let difference =
        expected.iter().zip(got).fold(0.0f64, |m, (a, b)| m.max((*a as f64 - *b as f64).abs()));
    assert!(difference <= tolerance * size.max(1e-9), "{name}: off by {difference:e} of {size:e}");
}

/// A part's network and its layout.
fn built<C: serde::de::DeserializeOwned, N>(
    fixture: &Fixture,
    part: &str,
    new: impl Fn(C, Scope) -> N,
) -> (N, WeightLayout) {
    let mut layout = WeightLayout::default();
    let network = new(fixture.config(part), layout.root());
    (network, layout)
}

#[test]
fn text_encoder_unet_and_autoencoder_agree_with_diffusers_on_four_shapes() {
    let device = Device::flex();
    pollster::block_on(async {
        for name in ["a", "b", "c", "d"] {
            let f = Fixture::open(&format!("latent/{name}.safetensors"));
            let (text, layout) = built(&f, "text", TextEncoder::new);
            let weights = f.part("text", layout, &device).tracked();
            let (unet, unet_layout) = built(&f, "unet", LatentUnet::new);
            let unet_weights = f.part("unet", unet_layout, &device).tracked();
            let context = text.forward(&Pass::new(&weights, Mode::TRAIN), &f.ids());
            f.close("context", context.clone().without_autodiff()).await;
            let times: Vec<f32> = f.ints["t"].iter().map(|t| *t as f32).collect();
            let pass = Pass::new(&unet_weights, Mode::TRAIN);
            let eps = unet.forward(&pass, f.tensor("z", &device), &times, &context);
            f.close("eps", eps.clone().without_autodiff()).await;
            let loss = (eps - f.tensor("target", &device)).square().mean();
            f.gradients_close(&[("unet", &unet_weights), ("text", &weights)], loss).await;

            let (vae, layout) = built(&f, "vae", Autoencoder::new);
            let weights = f.part("vae", layout, &device).tracked();
            let pass = Pass::new(&weights, Mode::TRAIN);
            let x = f.tensor::<4>("x", &device);
            let [mean, logvar] = vae.encode(&pass, x.clone());
            f.close("mean", mean.clone().without_autodiff()).await;
            f.close("logvar", logvar.clone().without_autodiff()).await;
            let latent = mean + (logvar * 0.5).exp() * f.tensor("noise", &device);
            let decoded = vae.decode(&pass, latent);
            f.close("decoded", decoded.clone().without_autodiff()).await;
            f.gradients_close(&[("vae", &weights)], (decoded - x).abs().mean()).await;
        }
    });
}

/// The pipeline folder, as the program reads it.
pub fn pipeline() -> LatentModel {
    folder::read(&OnDisk(path("pipeline")), None).unwrap()
}

#[test]
fn twenty_guided_steps_agree_with_every_scheduler() {
    let device = Device::flex();
    let f = Fixture::open("latent/runs.safetensors");
    let model = pipeline();
    let network = &model.network;
    let (text, unet) = (model.text.upload(&device), model.unet.upload(&device));
    let guidance = f.settings["guidance"].as_f64().unwrap() as f32;
    let steps = f.settings["steps"].as_u64().unwrap() as usize;
    let context = network.text.forward(&Pass::new(&text, Mode::Eval), &f.ids());
    let mut rows = context.split(1, 0).into_iter();
    let context = [(); 2].map(|()| rows.next().unwrap());
    pollster::block_on(async {
        for (name, config) in f.settings["schedulers"].as_object().unwrap() {
            let config: SchedulerConfig = serde_json::from_value(config.clone()).unwrap();
            let mut solver = Solver::new(&config, steps);
            let times = f.values(&format!("{name}/times"));
            off(&format!("{name} times"), times, &solver.times, 1e-6, 0.0);
            let mut z = f.tensor::<4>(&format!("{name}/noise"), &device) * solver.start();
            for i in 0..solver.times.len() {
                let pass = Pass::new(&unet, Mode::Eval);
                let (shown, t) = (solver.input(i, z.clone()), [solver.times[i]]);
                let out = predict(&network.unet, &pass, shown, &t, context.clone(), guidance);
                z = solver.step(i, out, z, 0.0, || unreachable!("without eta there is no noise"));
            }
            let (name, z) = (format!("{name}/z"), read(z).await.unwrap());
            off(&name, f.values(&name), &z, STEPPED, 0.0);
        }
    });
}

#[test]
fn the_tokenizer_agrees_with_transformers_on_a_thousand_strings() {
    let bytes = std::fs::read(path("tokenizer.json")).unwrap();
    let f: Value = serde_json::from_slice(&bytes).unwrap();
    let vocabulary = serde_json::from_value(f["vocab"].clone()).unwrap();
    let merges = f["merges"].as_array().unwrap().iter().map(|m| {
        let (a, b) = m.as_str().unwrap().split_once(' ').unwrap();
        [a.to_string(), b.to_string()]
    });
    let length = f["length"].as_u64().unwrap() as usize;
    let end = "<|endoftext|>";
    let t = Tokenizer::new(vocabulary, merges.collect(), end, length, Path::new("f")).unwrap();
    let cases = f["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1000);
    for case in cases {
        let text = case[0].as_str().unwrap();
        let mut expected: Vec<u32> = serde_json::from_value(case[1].clone()).unwrap();
        let last = *expected.last().unwrap();
        expected.resize(length, last);
        assert_eq!(t.encode(text).ids, expected, "{text:?}");
    }
}

/// A folder in memory.
struct InMemory(HashMap<String, Vec<u8>>);

impl InMemory {
    fn open(model: &LatentModel, precision: Precision) -> Self {
        Self(folder::write(model, precision).unwrap().into_iter().collect())
    }

    fn without(mut self, name: &str) -> Self {
        self.0.remove(name).unwrap();
        self
    }

    fn changed(mut self, name: &str, change: impl Fn(&mut Vec<u8>)) -> Self {
        change(self.0.get_mut(name).unwrap());
        self
    }

    fn replaced(self, name: &str, from: &str, to: &str) -> Self {
        self.changed(name, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from), "{name} has {from}");
            *bytes = text.replace(from, to).into_bytes();
        })
    }
}

impl Files for InMemory {
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(name).cloned())
    }

    fn path(&self) -> PathBuf {
        "memory".into()
    }
}

#[test]
fn a_folder_that_was_written_is_read_back_bit_for_bit() {
    let model = pipeline();
    for precision in [Precision::Full, Precision::Half] {
        let written = InMemory::open(&model, precision);
        // What else lies in such a folder is a person's, and stays when it is replaced.
        assert!(
            written.0.keys().all(|name| salun_studio::words::PIPELINE.contains(&name.as_str()))
        );
        let back = folder::read(&written, None).unwrap();
        // The fixture is in half precision, so that nothing is lost either way.
        for (a, b) in
            [(&model.text, &back.text), (&model.unet, &back.unet), (&model.vae, &back.vae)]
        {
            assert_eq!(a.values, b.values);
        }
        let sent: LatentModel = wire::unpack(&wire::pack(&model).unwrap()).unwrap();
        assert_eq!(sent.unet.values, model.unet.values);
        assert_eq!(back.network.unet.config, model.network.unet.config);
        assert_eq!(back.network.scheduler, model.network.scheduler);
        let text = "a cat, flat style";
        assert_eq!(back.network.tokenizer.encode(text), model.network.tokenizer.encode(text));
    }
}

#[test]
fn a_folder_that_does_not_fit_is_refused_with_the_file_and_the_tensor() {
    let model = pipeline();
    let whole = || InMemory::open(&model, Precision::Full);
    let unet = "unet/diffusion_pytorch_model.safetensors";
    let cases: Vec<(InMemory, &str)> = vec![
        (InMemory(HashMap::new()), "model_index.json"),
        (
            whole().replaced("model_index.json", "StableDiffusionPipeline", "FluxPipeline"),
            "FluxPipeline",
        ),
        (whole().without("vae/config.json"), "vae/config.json"),
        (whole().without(unet), "unet/diffusion_pytorch_model.safetensors"),
        (whole().without("tokenizer/merges.txt"), "tokenizer/merges.txt"),
        (whole().changed(unet, |b| b.truncate(b.len() - 4)), "not a whole safetensors file"),
        (
            whole().replaced(
                "unet/config.json",
                "\"cross_attention_dim\": 8",
                "\"cross_attention_dim\": 16",
            ),
            "cross_attention_dim is 16",
        ),
        (
            whole().replaced(
                "unet/config.json",
                "\"norm_num_groups\": 4",
                "\"norm_num_groups\": 3",
            ),
            "3 groups do not divide",
        ),
        (
            whole().replaced("unet/config.json", "\"act_fn\": \"silu\"", "\"act_fn\": \"gelu\""),
            "act_fn",
        ),
        (
            whole().replaced(
                "unet/config.json",
                "\"layers_per_block\": 1",
                "\"layers_per_block\": 2",
            ),
            "tensor 'up_blocks",
        ),
        (
            whole().replaced(
                "scheduler/scheduler_config.json",
                "\"steps_offset\"",
                "\"new\": 1, \"steps_offset\"",
            ),
            "the setting new (1) is not known here",
        ),
        (
            whole().replaced("vae/config.json", "\"act_fn\": \"silu\"", "\"act_fn\": \"relu\""),
            "act_fn \"relu\" is not supported",
        ),
        (
            whole().replaced(
                "unet/config.json",
                "\"act_fn\"",
                "\"center_input_sample\": true, \"act_fn\"",
            ),
            "center_input_sample true is not supported",
        ),
        (whole().changed("tokenizer/vocab.json", |b| *b = b"{}".to_vec()), "the vocabulary has no"),
        (whole().changed("text_encoder/config.json", |b| *b = b"[".to_vec()), "cannot be read"),
    ];
    for (files, part) in cases {
        let error = folder::read(&files, None).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{part}: {error}");
    }
    // What a model needs is known before its weights are read.
    let weights = ["unet", "vae"].map(|part| format!("{part}/diffusion_pytorch_model.safetensors"));
    let bare = weights.iter().fold(whole(), |files, name| files.without(name));
    let error = folder::read(&bare, Some(1000)).unwrap_err().to_string();
    assert!(error.contains("too large for this device"), "{error}");
    assert!(folder::network(&bare, None).is_ok());
}

#[test]
fn folders_of_todays_diffusers_and_transformers_are_read() {
    let model = pipeline();
    let whole = || InMemory::open(&model, Precision::Full);
    let same = |files: &InMemory, what: &str| {
        let read = folder::read(files, None).unwrap_or_else(|e| panic!("{what}: {e}"));
        for (a, b) in
            [(&read.text, &model.text), (&read.unet, &model.unet), (&read.vae, &model.vae)]
        {
            assert_eq!(a.hash(), b.hash(), "{what}");
        }
        let prompt = "a cat, painted";
        let [a, b] = [&read, &model].map(|m| m.network.tokenizer.encode(prompt));
        assert_eq!(a, b, "{what}");
        read
    };
    // One file for the tokenizer, merges as pairs or as lines.
    for pairs in [true, false] {
        let mut files = whole();
        let text = |name: &str| String::from_utf8(files.0[name].clone()).unwrap();
        let vocab: Value = serde_json::from_str(&text("tokenizer/vocab.json")).unwrap();
        let lines: Vec<String> =
            text("tokenizer/merges.txt").lines().skip(1).map(str::to_string).collect();
        let merges: Vec<Value> = lines
            .iter()
            .map(|l| match pairs {
                true => serde_json::json!(l.split(' ').collect::<Vec<_>>()),
                false => serde_json::json!(l),
            })
            .collect();
        let one = serde_json::json!({
            "model": {"type": "BPE", "vocab": vocab, "merges": merges}, "added_tokens": [],
        });
        files.0.insert("tokenizer/tokenizer.json".into(), one.to_string().into_bytes());
        for gone in ["vocab.json", "merges.txt", "special_tokens_map.json"] {
            files.0.remove(&format!("tokenizer/{gone}"));
        }
        same(&files, "tokenizer.json");
    }
    // Names without `text_model.`.
    let mut files = whole();
    let bytes = files.0["text_encoder/model.safetensors"].clone();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let renamed: Vec<_> = tensors
        .iter()
        .map(|(name, t)| {
            let name = name.strip_prefix("text_model.").unwrap().to_string();
            (name, t.shape().to_vec(), (t.dtype(), t.data().to_vec()))
        })
        .collect();
    let renamed = checkpoint::write(&renamed, None).unwrap();
    files.0.insert("text_encoder/model.safetensors".into(), renamed);
    same(&files, "transformers 5");
    // Variants and shards under their names of today.
    let unet = "unet/diffusion_pytorch_model";
    for variant in ["fp16", "bf16", "non_ema"] {
        let mut files = whole();
        let bytes = files.0.remove(&format!("{unet}.safetensors")).unwrap();
        files.0.insert(format!("{unet}.{variant}.safetensors"), bytes.clone());
        same(&files, variant);
        let mut files = whole();
        files.0.remove(&format!("{unet}.safetensors"));
        files.0.insert(format!("{unet}.{variant}-00001-of-00001.safetensors"), bytes);
        let map = serde_json::json!({
            "weight_map": {"x": format!("diffusion_pytorch_model.{variant}-00001-of-00001.safetensors")},
        });
        let index = format!("{unet}.safetensors.index.{variant}.json");
        files.0.insert(index, map.to_string().into_bytes());
        same(&files, "shards");
    }
    // Settings at their defaults, written out, and Python's infinities.
    let files = whole()
        .replaced(
            "unet/config.json",
            "\"act_fn\"",
            "\"only_cross_attention\": [false, false], \"dropout\": 0.0, \"act_fn\"",
        )
        .replaced(
            "scheduler/scheduler_config.json",
            "\"steps_offset\"",
            "\"sigma_min\": -Infinity, \"steps_offset\"",
        );
    same(&files, "defaults");
    // A sampler that is not here.
    for name in ["UniPCMultistepScheduler", "EulerAncestralDiscreteScheduler"] {
        let files =
            whole().replaced("scheduler/scheduler_config.json", "PNDMScheduler", name).replaced(
                "scheduler/scheduler_config.json",
                "\"steps_offset\"",
                "\"solver_order\": 2, \"lambda_min_clipped\": -Infinity, \"steps_offset\"",
            );
        let read = same(&files, name);
        assert!(read.network.notes[0].contains(name), "{:?}", read.network.notes);
        assert_eq!(read.network.scheduler.kind, SolverKind::Euler);
        assert_eq!(read.network.scheduler.beta_end, model.network.scheduler.beta_end);
    }
    // One that is here, and in a form that is not.
    let class = "DPMSolverMultistepScheduler";
    for (algorithm, noted) in [("dpmsolver++", false), ("sde-dpmsolver++", true)] {
        let settings = format!(
            "\"algorithm_type\": \"{algorithm}\", \"lambda_min_clipped\": -Infinity, \"steps_offset\""
        );
        let files = whole()
            .replaced("scheduler/scheduler_config.json", "PNDMScheduler", class)
            .replaced("scheduler/scheduler_config.json", "\"steps_offset\"", &settings);
        let read = same(&files, algorithm);
        assert_eq!(read.network.scheduler.kind, SolverKind::Dpm);
        let said = read.network.notes.iter().any(|note| note.contains("algorithm_type"));
        assert_eq!(said, noted, "{:?}", read.network.notes);
    }
}

#[test]
fn another_solver_has_its_own_defaults_as_diffusers_from_config() {
    let read = |text: &str| serde_json::from_str::<SchedulerConfig>(text).unwrap();
    let euler =
        read(r#"{"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "linspace"}"#);
    // diffusers 0.42: DDIMScheduler.from_config(euler.config).config
    let ddim = euler.with(SolverKind::Ddim);
    assert_eq!((ddim.alpha_to_one(), ddim.clip()), (true, Some(1.0)));
    let own = read(
        r#"{"_class_name": "DDIMScheduler", "set_alpha_to_one": false, "clip_sample": false}"#,
    );
    let there_and_back = own.with(SolverKind::Euler).with(SolverKind::Ddim);
    assert_eq!((there_and_back.alpha_to_one(), there_and_back.clip()), (false, None));
    assert!(!own.with(SolverKind::Pndm).skip_prk());
}

#[test]
fn a_solver_in_the_place_of_another_goes_where_diffusers_goes() {
    // diffusers 0.42.1: `TO.from_config(FROM(**settings).config)`, six steps, float64; the network predicts
    // 0.4 of what it is shown plus 0.00005 t.
    const SETTINGS: [(&str, &str); 4] = [
        ("EulerDiscreteScheduler", r#""timestep_spacing": "linspace""#),
        ("EulerDiscreteScheduler", r#""timestep_spacing": "leading", "steps_offset": 1"#),
        (
            "PNDMScheduler",
            r#""skip_prk_steps": true, "steps_offset": 1, "set_alpha_to_one": false"#,
        ),
        ("DDIMScheduler", r#""clip_sample": false, "steps_offset": 1, "set_alpha_to_one": false"#),
    ];
    const ENDS: [(usize, SolverKind, [f32; 4]); 8] = [
        (0, SolverKind::Ddim, [0.613541, -0.681028, 0.852958, -0.488473]),
        (0, SolverKind::Pndm, [0.950359, -2.865671, 4.003182, -0.957656]),
        (1, SolverKind::Ddim, [0.623088, -0.822658, 0.936027, -0.6023]),
        (1, SolverKind::Pndm, [0.584578, -1.634648, 2.359959, -0.525035]),
        (2, SolverKind::Ddim, [0.630207, -0.832053, 0.94672, -0.609178]),
        (2, SolverKind::Euler, [1.107124, -3.608307, 4.879469, -1.250592]),
        (3, SolverKind::Pndm, [0.584578, -1.634648, 2.359959, -0.525035]),
        (3, SolverKind::Euler, [1.107124, -3.608307, 4.879469, -1.250592]),
    ];
    let device = Device::flex();
    for (from, to, expected) in ENDS {
        let (class, settings) = SETTINGS[from];
        let text = format!(
            r#"{{"_class_name": "{class}", "beta_start": 0.00085, "beta_end": 0.012,
                "beta_schedule": "scaled_linear", {settings}}}"#
        );
        let config: SchedulerConfig = serde_json::from_str(&text).unwrap();
        let mut solver = Solver::new(&config.with(to), 6);
        let start = Tensor::<1>::from_floats([0.3, -0.7, 1.1, -0.2], &device);
        let mut z = start.reshape([1, 1, 1, 4]) * solver.start();
        for i in 0..solver.times.len() {
            let out = solver.input(i, z.clone()) * 0.4 + 5e-5 * solver.times[i];
            z = solver.step(i, out, z, 0.0, || unreachable!("without eta there is no noise"));
        }
        let got: Vec<f32> = z.into_data().try_to_vec().unwrap();
        off(&format!("{class} to {to:?}"), &expected, &got, 2e-5, 1e-4);
    }
}

#[test]
fn prompts_of_any_content_and_length_are_drawn_and_long_ones_noted() {
    let out = std::env::temp_dir().join(format!("salun-prompts-{}.png", std::process::id()));
    let sample = |prompt: &str, more: &[&str]| {
        std::process::Command::new(env!("CARGO_BIN_EXE_salun"))
            .args(["sample", "--device", "cpu", "--n", "1", "--steps", "2", "--force", "--model"])
            .arg(path("pipeline"))
            .arg("--out")
            .arg(&out)
            .args(["--prompt", prompt])
            .args(more)
            .output()
            .unwrap()
    };
    let long = "a cat ".repeat(2_000);
    for (prompt, noted) in [("", false), ("猫 <b>&", false), (long.as_str(), true)] {
        for scheduler in ["ddim", "pndm", "euler"] {
            let done = sample(prompt, &["--scheduler", scheduler]);
            let said = String::from_utf8(done.stderr).unwrap();
            assert!(done.status.success(), "{said}");
            assert_eq!(said.contains("are not read"), noted, "{said}");
            let picture = image::open(&out).unwrap();
            // One picture is the picture itself.
            assert_eq!((picture.width(), picture.height()), (16, 16));
        }
    }
    std::fs::remove_file(out).unwrap();
}
