//! The main job for prompts: a model in a folder forgets one, through the program.

use std::{fs, path::Path, sync::Arc};

use crate::{
    binary::Scratch,
    common::{Client, card, fresh, vulkan},
};
use salun_studio::data::corpus;
use salun_studio::data::corpus::Corpus;
use salun_studio::engine::{Job, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::latent::{
    LatentModel, LatentNetwork, PerLevel, folder, is_cross_attention,
};
use salun_studio::models::{Architecture, Card, Model, ResnetConfig, WeightEntry};
use salun_studio::train::latent::preset;
use salun_studio::words::{Budget, Recipe};

/// The shipped model's shape with a few channels and random weights.
pub fn tiny(corpus: &Corpus) -> LatentModel {
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

/// A judge that has learnt nothing.
fn judge(corpus: &Corpus) -> Model {
    let classes = corpus.classes();
    let architecture = Architecture::Resnet(ResnetConfig {
        width: 4,
        channels: 3,
        classes: classes.len(),
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
    });
    fresh(Card { name: "judge".into(), ..card(architecture, "emoji", classes) }, 1)
}

pub fn put(scratch: &Scratch, model: &LatentModel, corpus: &Corpus) {
    scratch.pipeline("model", model);
    scratch.keep("model/judge.safetensors", &judge(corpus));
}

const UNLEARN: &str = "unlearn --model model --data emoji --budget tiny --steps 2 --quiet --json";

#[test]
fn a_prompt_is_forgotten_into_a_run_folder_and_frozen_weights_stay() {
    let corpus = corpus::open().unwrap();
    let scratch = Scratch::new("prompt");
    let model = tiny(&corpus);
    put(&scratch, &model, &corpus);
    let methods = [
        "--method salun",
        "--mask random",
        "--method uce",
        "--method salun-soft",
        "--method uce --mask random",
        "--method salun --set cross-attention=on",
        "--method salun --set cross-attention=on --mask random",
    ];
    for (i, more) in methods.into_iter().enumerate() {
        let out = format!("run{i}");
        // What is solved takes no updates.
        let line = format!("{UNLEARN} {more} --out {out}");
        let line = if more.contains("uce") { line.replace(" --steps 2", "") } else { line };
        let arguments: Vec<&str> =
            line.split(' ').chain(["--forget", "prompt:\"a 3d cat\""]).collect();
        let done = scratch.salun(&arguments).output().unwrap();
        assert!(done.status.success(), "{more}: {}", String::from_utf8_lossy(&done.stderr));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report["task"], "text-to-image");
        let changed = &report["mask"]["frozen_changed"];
        assert!(changed.is_null() || *changed == 0, "{report}");
        let folder = scratch.path(&out);
        for file in ["recipe.toml", "report.json", "before.png", "after.png", "side-by-side.png"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        let after = folder::read(&folder::OnDisk(folder.join("model")), None).unwrap();
        assert_eq!(after.text.values, model.text.values);
        assert_eq!(after.vae.values, model.vae.values);
        assert!(after.unet.values != model.unet.values);
        if more.contains("cross-attention") {
            let e = |name: &str| model.unet.layout.params.iter().find(|e| e.name == name).unwrap();
            let first = e("conv_in.weight").range();
            assert_eq!(after.unet.values[first.clone()], model.unet.values[first]);
            let reads = |e: &&WeightEntry| is_cross_attention(&e.name);
            let n: usize = model.unet.layout.params.iter().filter(reads).map(WeightEntry::n).sum();
            assert_eq!(report["mask"]["k"], n / 2);
        }
        if i == 0 {
            again(&scratch, &folder, &after);
            attacked(&scratch, &folder);
            paired(&scratch, &report);
        }
    }
}

#[test]
fn a_prompt_is_forgotten_on_a_gpu_as_on_the_cpu() {
    if !vulkan() {
        return;
    }
    let corpus = corpus::open().unwrap();
    let scratch = Scratch::new("prompt-gpu");
    put(&scratch, &tiny(&corpus), &corpus);
    // Masked updates and the proximal step in one run.
    let losses = ["cpu", "gpu"].map(|device| {
        let more = format!("--method salun-soft --mask abs-sum-grad --device {device}");
        let line = format!("{UNLEARN} {more} --out {device}");
        let arguments: Vec<&str> = line.split(' ').chain(["--forget", "prompt:cat"]).collect();
        let done = scratch.salun(&arguments).output().unwrap();
        assert!(done.status.success(), "{device}: {}", String::from_utf8_lossy(&done.stderr));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report["mask"]["frozen_changed"], 0, "{report}");
        let log = fs::read_to_string(scratch.path(device).join("log.jsonl")).unwrap();
        let loss = |line: &str| -> f64 {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["loss"].as_f64().unwrap()
        };
        log.lines().map(loss).collect::<Vec<_>>()
    });
    assert_eq!(losses.each_ref().map(Vec::len), [2; 2]);
    let close = losses[0].iter().zip(&losses[1]).all(|(a, b)| (a - b).abs() <= 0.01 * a);
    assert!(close, "{losses:?}");
}

/// The model and what a run made of it are a pair with the run's own figures; one with another text encoder is none.
fn paired(scratch: &Scratch, ours: &serde_json::Value) {
    let pair = |after: &str| {
        let line = format!("eval --before model --after {after} --data emoji --budget tiny --json");
        let arguments: Vec<&str> =
            line.split(' ').chain(["--forget", "prompt:\"a 3d cat\""]).collect();
        crate::binary::Ran::of(scratch.salun(&arguments).output().unwrap())
    };
    let ran = pair("run0");
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for name in ["task", "before", "after", "forget"] {
        assert_eq!(report[name], ours[name], "{name}");
    }
    let [theirs, own] = [&report["mask"], &ours["mask"]];
    assert_eq!((&theirs["hash"], &theirs["frozen_changed"]), (&own["hash"], &0.into()));
    assert!(theirs["given"]["changed"].as_u64() > Some(0), "{theirs}");
    assert_eq!(report["attacks"].as_array().map(Vec::len), Some(2));
    let other = scratch.path("run0/model/text_encoder/model.safetensors");
    let kept = fs::read(&other).unwrap();
    let mut changed = kept.clone();
    // The last number's sign.
    *changed.last_mut().unwrap() ^= 0x80;
    fs::write(&other, changed).unwrap();
    let ran = pair("run0/model");
    assert!(ran.status == Some(2) && ran.stderr.contains("its text encoder is another"), "{ran:?}");
    fs::write(&other, kept).unwrap();
}

/// The recipe of a run gives the same weights again.
fn again(scratch: &Scratch, folder: &Path, first: &LatentModel) {
    let recipe = folder.join("recipe.toml");
    let recipe = recipe.to_string_lossy();
    let arguments = ["unlearn", &*recipe, "--out", "again", "--quiet"];
    let done = scratch.salun(&arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let second = folder::OnDisk(scratch.path("again").join("model"));
    assert_eq!(folder::read(&second, None).unwrap().unet.values, first.unet.values);
}

/// A run's model is measured again as in its report, and attacked in both ways.
fn attacked(scratch: &Scratch, run: &Path) {
    let line = "eval --run run0 --attack prompt --attack inversion --json --quiet";
    let done = scratch.salun(&line.split(' ').collect::<Vec<_>>()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let report = fs::read(run.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(said["metrics"]["UA"], report["after"]["UA"]);
    let names = |attack: usize| -> Vec<String> {
        let tries = said["attacks"][attack]["tries"].as_array().unwrap();
        tries.iter().map(|t| t["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(0), ["as asked", "best paraphrase", "learnt prompt"]);
    assert_eq!(names(1)[..2], ["as asked", "from its own noise"]);
    for file in ["attacks.json", "attacks.png"] {
        assert!(run.join(file).is_file(), "{file}");
    }
}

#[test]
fn prompts_that_cannot_be_forgotten_are_refused_in_one_line() {
    let corpus = corpus::open().unwrap();
    let scratch = Scratch::new("prompts-refused");
    put(&scratch, &tiny(&corpus), &corpus);
    for (more, words) in [
        ("--forget prompt:", "the prompt is empty"),
        ("--forget prompt:cat --method scrub", "method 'scrub' is not valid"),
        ("--forget prompt:cat --mask fish", "'fish'"),
        ("--forget prompt:cat --data cats", "unknown data set of captioned pictures 'cats'"),
        ("--forget class:cat", "write prompt:"),
        ("--forget prompt:cat --method uce", "steps '2' is not valid"),
        ("--forget prompt:cat --model none", "is not a folder"),
    ] {
        let mut arguments: Vec<&str> = UNLEARN.split(' ').collect();
        // What is said again counts.
        let more: Vec<&str> = more.split(' ').collect();
        for pair in more.chunks(2) {
            if let Some(at) = arguments.iter().position(|a| a == &pair[0]) {
                arguments[at + 1] = pair[1];
            } else {
                arguments.extend(pair);
            }
        }
        arguments.extend(["--out", "run"]);
        let done = scratch.salun(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && said.trim().lines().count() == 1, "{said}");
        assert!(!scratch.path("run").exists());
    }
}

#[test]
fn one_prompt_after_another_is_forgotten_and_undo_is_exact() {
    let corpus = corpus::open().unwrap();
    let scratch = Scratch::new("prompts");
    put(&scratch, &tiny(&corpus), &corpus);
    let model = scratch.path("model").to_string_lossy().into_owned();
    let asked = |forget: &str| Recipe {
        budget: Budget::Tiny,
        steps: Some(1),
        ..Recipe::new(&model, "emoji", forget)
    };
    let open = |client: &mut Client, name: &str| match client.run(Job::Open {
        model: name.into(),
        seed: 1,
        budget: Budget::Tiny,
    }) {
        Outcome::Opened(opened) => opened,
        other => panic!("{other:?}"),
    };
    let mut client = Client::new(DeviceChoice::Cpu);
    let original = open(&mut client, &model);
    let first = client.unlearn(asked("prompt:a cat"));
    let adopted = client.run(Job::Adopt { run: first.clone(), seed: 1, budget: Budget::Tiny });
    let Outcome::Opened(one) = adopted else { panic!("{adopted:?}") };
    assert_eq!((one.model(), one.after.len()), (&*model, 1));

    let next = Recipe { after: one.after.clone(), ..asked("prompt:a dog") };
    let second = client.unlearn(next);
    let [earlier] = &second.report.earlier[..] else { panic!("{:?}", second.report.earlier) };
    assert_eq!(earlier.spec, "prompt:a cat");
    assert!(first.report.earlier.is_empty() && earlier.n > 0);
    assert!(second.model.weights().values != first.model.weights().values);
    // The recipe alone leads to the same weights on an engine that has adopted nothing.
    let recipe = Recipe::parse(&second.recipe.to_toml().unwrap(), "recipe").unwrap();
    let again = Client::new(DeviceChoice::Cpu).unlearn(recipe);
    assert_eq!(again.model.weights().hash(), second.model.weights().hash());
    assert_eq!(again.report.earlier, second.report.earlier);
    // Undo: no weights have changed.
    assert_eq!(open(&mut client, &one.name).grid.pixels, one.grid.pixels);
    assert_eq!(open(&mut client, &model).grid.pixels, original.grid.pixels);
}
