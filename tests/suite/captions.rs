//! Text-to-image models that are not ours forget what a person's own captioned pictures show, or what the model itself
//! draws of prompts.

use std::{fs, sync::Arc};

use image::{DynamicImage, Rgb, RgbImage};
use serde_json::Value;

use crate::{
    binary::{Ran, Scratch},
    common::{Client, card, fresh},
    judges::clip,
};
use salun_studio::data::corpus::Corpus;
use salun_studio::engine::{Job, Opened, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::latent::{LatentModel, LatentNetwork, PerLevel, folder};
use salun_studio::models::{Architecture, ResnetConfig};
use salun_studio::train::latent::preset;
use salun_studio::words::{Budget, Recipe, Redirect};

/// A model with random weights that draws at a side, of other widths than ours, with `levels` in its U-Net.
fn foreign(side: usize, levels: usize, seed: u64) -> LatentModel {
    let words = ["an image of a red blue square circle star", "bars in the sea at night"];
    let mut corpus = Corpus::of_prompts("words", words.map(String::from).to_vec());
    corpus.index.side = side;
    let full = preset::network(&corpus);
    let (mut unet, mut text) = (full.unet.config.clone(), full.text.config.clone());
    let types = |first: &str, second: &str| vec![first.to_string(), second.to_string()];
    if levels == 2 {
        unet.down_block_types = types("CrossAttnDownBlock2D", "DownBlock2D");
        unet.up_block_types = types("UpBlock2D", "CrossAttnUpBlock2D");
    }
    unet.block_out_channels = [8, 12, 16][..levels].to_vec();
    unet.norm_num_groups = 4;
    unet.attention_head_dim = PerLevel::All(2);
    unet.cross_attention_dim = 24;
    (text.hidden_size, text.intermediate_size, text.num_hidden_layers) = (24, 40, 1);
    let mut vae = full.vae.config.clone();
    vae.block_out_channels = vec![4, 8, 8];
    vae.norm_num_groups = 4;
    let network = LatentNetwork::new(full.tokenizer, text, unet, vae, full.scheduler);
    LatentModel::fresh(Arc::new(network), seed)
}

const CLASSES: [&str; 4] = ["bars", "blue_circle", "red_square", "star"];

/// A picture that is not square, of a class and a number.
fn picture(class: usize, i: u32) -> DynamicImage {
    let dot = |x: u32, y: u32| {
        let inside = match class {
            0 => (x / 6).is_multiple_of(2),
            1 => (x as i32 - 32).pow(2) + (y as i32 - 24).pow(2) < 200 + 10 * i as i32,
            2 => x.abs_diff(32) < 14 && y.abs_diff(24) < 10 + i,
            _ => x.abs_diff(32) + y.abs_diff(24) < 16,
        };
        let colour = [[90, 90, 90], [30, 60, 220], [220, 40, 30], [240, 200, 20]][class];
        Rgb(if inside { colour } else { [250, 250, 245] })
    };
    let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(64, 48, dot));
    // As they come: some grey, some with transparency, some of 16 bits.
    match i % 4 {
        1 => picture.grayscale(),
        2 => picture.to_rgba8().into(),
        3 => picture.to_rgb16().into(),
        _ => picture,
    }
}

/// A folder with a sub-folder a class, JPEG and PNG mixed.
fn pictures(scratch: &Scratch) {
    for (class, name) in CLASSES.iter().enumerate() {
        let folder = scratch.path("pictures").join(name);
        fs::create_dir_all(&folder).unwrap();
        for i in 0..6 {
            let end = if i % 2 == 0 { "jpg" } else { "png" };
            let picture = picture(class, i);
            let picture = if end == "jpg" { picture.to_rgb8().into() } else { picture };
            picture.save(folder.join(format!("{i}.{end}"))).unwrap();
        }
    }
}

const UNLEARN: &str = "--budget tiny --steps 2 --json --quiet";

/// A run of a model, as its report tells it.
fn forgotten(scratch: &Scratch, model: &str, out: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["unlearn", "--model", model, "--out", out];
    arguments.extend(UNLEARN.split(' '));
    arguments.extend(more);
    let done = scratch.salun(&arguments).output().unwrap();
    assert!(done.status.success(), "{more:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// What holds of every run that nobody judged.
fn sound(scratch: &Scratch, model: &LatentModel, out: &str, report: &Value) {
    assert_eq!(report["task"], "text-to-image");
    assert_eq!(report["mask"]["frozen_changed"], 0, "{report}");
    let k = report["mask"]["k"].as_u64().unwrap() as usize;
    assert_eq!(k, model.unet.layout.n() / 2);
    assert_eq!(report["after"]["n"], serde_json::json!([0, 0, 0]), "{report}");
    assert_eq!(report["verdict"]["label"], "unjudged", "{report}");
    assert!(report["after"]["UA"].is_null(), "{report}");
    let after = folder::read(&folder::OnDisk(scratch.path(out).join("model")), None).unwrap();
    assert!(after.unet.values != model.unet.values && after.vae.values == model.vae.values);
    for file in ["before.png", "after.png", "side-by-side.png", "saliency.png", "recipe.toml"] {
        assert!(scratch.path(out).join(file).is_file(), "{file}");
    }
}

#[test]
fn models_that_are_not_ours_forget_captioned_pictures_and_prompts_that_they_draw() {
    let scratch = Scratch::new("captions");
    pictures(&scratch);
    let described = |line: &dyn Fn(&str, &str) -> String| -> String {
        let mut text = String::new();
        for (class, words) in CLASSES.iter().zip(["bars", "blue circle", "red square", "star"]) {
            for i in 0..6 {
                let end = if i % 2 == 0 { "jpg" } else { "png" };
                let size = if i < 3 { "small" } else { "large" };
                text += &line(&format!("{class}/{i}.{end}"), &format!("a {size} {words}"));
            }
        }
        text
    };
    fs::create_dir_all(scratch.path("lines")).unwrap();
    fs::create_dir_all(scratch.path("commas/train")).unwrap();
    for class in CLASSES {
        for to in ["lines", "commas/train"] {
            let to = scratch.path(to).join(class);
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(scratch.path("pictures").join(class)).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        }
    }
    let json =
        |name: &str, text: &str| format!("{{\"file_name\":\"{name}\",\"text\":\"{text}\"}}\n");
    scratch.put("lines/metadata.jsonl", described(&json));
    let commas = |name: &str, text: &str| format!("\"{text}\",{name}\n");
    scratch.put("commas/train/metadata.csv", format!("text,file_name\n{}", described(&commas)));
    scratch.put(
        "prompts.txt",
        "# what is drawn\na red square\na blue circle\n\nbars in the sea\na star at night\na star at night\n",
    );
    let template = "an image of a {class}";
    for (name, model) in [("a", foreign(32, 3, 1)), ("b", foreign(48, 2, 2))] {
        scratch.pipeline(name, &model);
        let all: [(&str, &[&str], u64); 6] = [
            (
                "class",
                &[
                    "--data",
                    "folder:pictures",
                    "--caption",
                    template,
                    "--forget",
                    "class:red_square",
                ],
                16,
            ),
            (
                "words",
                &[
                    "--data",
                    "folder:pictures",
                    "--caption",
                    template,
                    "--forget",
                    "prompt:a red square; a star",
                    "--redirect",
                    "random",
                ],
                16,
            ),
            (
                "strange",
                &[
                    "--data",
                    "folder:pictures",
                    "--caption",
                    template,
                    "--forget",
                    "prompt:a purple cow",
                    "--redirect",
                    "noise",
                ],
                16,
            ),
            (
                "lines",
                &[
                    "--data",
                    "folder:lines",
                    "--forget",
                    "prompt:circles",
                    "--redirect",
                    "a red square at night",
                ],
                16,
            ),
            (
                "commas",
                &[
                    "--data",
                    "folder:commas",
                    "--forget",
                    "prompt:a large star",
                    "--redirect",
                    "null",
                ],
                16,
            ),
            ("made", &["--data", "made:prompts.txt", "--forget", "prompt:star"], 16),
        ];
        for (what, arguments, n) in all {
            let out = format!("{name}-{what}");
            let report = forgotten(&scratch, name, &out, arguments);
            assert_eq!(report["forget"]["n"], n, "{out}");
            sound(&scratch, &model, &out, &report);
        }
    }
    // The pictures that the model drew are kept, and the recipe gives the same weights again.
    let made = fs::read_dir(scratch.path("data-sets/made")).unwrap().count();
    for run in ["a-made", "b-class"] {
        let recipe = format!("{run}/recipe.toml");
        scratch.run(&format!("unlearn {recipe} --out again-{run} --quiet")).succeeds();
        let weights = |out: &str| {
            let model = folder::OnDisk(scratch.path(out).join("model"));
            folder::read(&model, None).unwrap().unet.values
        };
        assert!(weights(run) == weights(&format!("again-{run}")), "{run}");
    }
    assert_eq!(fs::read_dir(scratch.path("data-sets/made")).unwrap().count(), made);
    // A picture more, and it is not the data that the recipe was run on.
    picture(3, 9).save(scratch.path("pictures/star/9.png")).unwrap();
    scratch
        .run("unlearn b-class/recipe.toml --out other --quiet")
        .refused("it had 24 pictures, now 25");
}

#[test]
fn a_model_is_trained_on_captioned_pictures_and_forgets_one_of_its_classes() {
    let scratch = Scratch::new("captions-train");
    pictures(&scratch);
    let mut arguments = vec!["train", "text-to-image", "--data", "folder:pictures?size=16"];
    arguments.extend(["--caption", "an image of a {class}", "--out", "own", "--quiet"]);
    arguments.extend(["--autoencoder-steps", "2", "--steps", "2", "--batch", "4"]);
    Ran::of(scratch.salun(&arguments).output().unwrap()).succeeds();
    let model = folder::read(&folder::OnDisk(scratch.path("own")), None).unwrap();
    assert_eq!(model.network.picture_shape(), [3, 16, 16]);
    let card = model.card.as_ref().unwrap();
    assert_eq!(card.concepts, ["bars", "blue circle", "red square", "star"]);
    // Its card says which pictures it was trained on.
    let data = card.data.clone();
    let mut arguments = vec!["unlearn", "--model", "own", "--data", &data, "--out", "run"];
    arguments.extend(["--forget", "class:star", "--budget", "tiny", "--steps", "1", "--quiet"]);
    Ran::of(scratch.salun(&arguments).output().unwrap()).succeeds();
    for (data, words) in [
        ("folder:pictures?size=20", "a side that is a multiple of 16 is needed"),
        ("folder:pictures", "has no captions"),
    ] {
        let mut arguments = vec!["train", "text-to-image", "--data", data, "--out", "other"];
        if data.contains("size") {
            arguments.extend(["--caption", "a {class}"]);
        }
        Ran::of(scratch.salun(&arguments).output().unwrap()).refused(words);
    }
    scratch.put("prompts.txt", "a star\na cat\n");
    scratch
        .run("train text-to-image --data made:prompts.txt --out other")
        .refused("a model is trained on pictures");
    scratch
        .run("train emoji-judge --data made:prompts.txt --out other.safetensors")
        .refused("it tells emoji apart");
}

#[test]
fn a_persons_judge_says_how_good_it_is_and_then_what_prompts_still_show() {
    let scratch = Scratch::new("captions-judge");
    pictures(&scratch);
    for (name, model) in [("a", foreign(32, 3, 1)), ("b", foreign(48, 2, 2))] {
        scratch.pipeline(name, &model);
    }
    clip(&scratch, "clip");
    // A classifier calls the classes as their folders are called; one of them it does not know.
    let classes = ["bars", "blue_circle", "red_square"].map(String::from).to_vec();
    let (mean, std) = (vec![0.5; 3], vec![0.5; 3]);
    let config = ResnetConfig { width: 4, channels: 3, classes: 3, mean, std };
    let own = card(Architecture::Resnet(config), "folder:pictures?rgb", classes);
    scratch.keep("judge.safetensors", &fresh(own, 1));
    let folder = ["--data", "folder:pictures", "--caption", "an image of a {class}"];
    let made = ["--data", "made:prompts.txt"];
    scratch.put("prompts.txt", "a red square\na blue circle\nbars in the sea\na star\n");
    for (model, judge, data, forget, audited) in [
        ("a", "clip", &folder[..], "class:red_square", true),
        ("b", "judge.safetensors", &folder[..], "prompt:red square", false),
        ("b", "clip", &made[..], "prompt:a purple cow", true),
        ("a", "judge.safetensors", &made[..], "prompt:bars", false),
    ] {
        let out = format!("{model}-{judge}-{}", data.len());
        let mut arguments = vec!["unlearn", "--model", model, "--judge", judge, "--out", &out];
        arguments.extend(data);
        arguments.extend(["--forget", forget, "--budget", "tiny", "--steps", "2", "--json"]);
        if audited {
            arguments.push("--audit");
        }
        let ran = Ran::of(scratch.salun(&arguments).output().unwrap());
        ran.succeeds();
        let heard = match data.len() {
            4 => format!("{judge} judges: it is right on"),
            _ => format!("{judge} judges; there are no pictures to hear first how good it is"),
        };
        assert!(ran.stderr.contains(&heard), "{}", ran.stderr);
        let lacks = format!("{judge} does not know ");
        assert_eq!(ran.stderr.contains(&lacks), judge == "judge.safetensors", "{}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["after"]["n"][0], 6, "{report}");
        assert!((0.0..=100.0).contains(&report["after"]["UA"].as_f64().unwrap()), "{report}");
        assert_eq!(report["after"]["RA"], report["after"]["TA"], "there are no styles");
        let attacks = report["attacks"].as_array().map_or(0, Vec::len);
        // Without pictures none is walked back to noise.
        assert_eq!(attacks, if audited { data.len() / 2 } else { 0 }, "{report}");
        let recipe = fs::read_to_string(scratch.path(&out).join("recipe.toml")).unwrap();
        assert!(recipe.contains("judge="), "{recipe}");
    }
    let line = "unlearn --model a --data folder:pictures --budget tiny --quiet --out other";
    for (judge, words) in [
        ("birds.safetensors", "it knows none of what folder:pictures"),
        ("none.pth", "none.pth"),
        ("pictures", "a folder of CLIP in transformers' layout has"),
    ] {
        let birds = ["wren", "robin"].map(String::from).to_vec();
        let (mean, std) = (vec![0.5; 3], vec![0.5; 3]);
        let config = ResnetConfig { width: 4, channels: 3, classes: 2, mean, std };
        let own = card(Architecture::Resnet(config), "folder:birds?rgb", birds);
        scratch.keep("birds.safetensors", &fresh(own, 1));
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["--caption", "a {class}", "--forget", "class:star", "--judge", judge]);
        Ran::of(scratch.salun(&arguments).output().unwrap()).refused(words);
    }
    assert!(!scratch.path("other").exists());
}

#[test]
fn what_is_no_captioned_folder_is_refused_in_one_line_that_says_what_would_be_right() {
    let scratch = Scratch::new("captions-refused");
    pictures(&scratch);
    scratch.pipeline("model", &foreign(32, 3, 1));
    let metadata = |name: &str, text: &str| {
        fs::create_dir_all(scratch.path(name)).unwrap();
        picture(0, 0).save(scratch.path(name).join("a.png")).unwrap();
        let file = if text.starts_with('{') { "metadata.jsonl" } else { "metadata.csv" };
        fs::write(scratch.path(name).join(file), text).unwrap();
    };
    metadata(
        "gone",
        "{\"file_name\":\"a.png\",\"text\":\"x\"}\n{\"file_name\":\"b.png\",\"text\":\"y\"}",
    );
    metadata("out", "{\"file_name\":\"../model/a.png\",\"text\":\"x\"}");
    metadata("root", "{\"file_name\":\"/etc/passwd\",\"text\":\"x\"}");
    metadata("keys", "{\"file_name\":\"a.png\",\"caption\":\"x\"}");
    metadata("empty", "{\"file_name\":\"a.png\",\"text\":\"  \"}");
    metadata("broken", "{\"file_name\":\"a.png\",");
    metadata("columns", "file,text\na.png,x\n");
    metadata("one", "file_name,text\na.png,x\n");
    scratch.put("one.txt", "a cat\n");
    scratch.put("binary.txt", [0xc3, 0x28, 0xa0]);
    let all = [
        ("folder:pictures", "", "has no captions: --caption \"an image of a {class}\""),
        ("folder:pictures", "a picture", "{class} is needed in it"),
        ("folder:gone", "", "line 2: 'b.png' is not there"),
        ("folder:out", "", "line 1: '../model/a.png' is no name within the folder"),
        ("folder:root", "", "'/etc/passwd' is no name within the folder"),
        ("folder:keys", "", "has no text \"text\" but caption, file_name"),
        ("folder:empty", "", "'a.png' has no text"),
        ("folder:broken", "", "line 1: is no JSON"),
        ("folder:columns", "", "the columns are file, text; file_name and text are needed"),
        ("folder:one", "", "1 readable pictures; at least 2 are needed"),
        ("folder:one", "a {class}", "has the captions; leave it out"),
        ("folder:none", "a {class}", "none"),
        ("made:none.txt", "", "none.txt"),
        ("made:one.txt", "", "1 prompts; 2 to 100000 are needed"),
        ("made:binary.txt", "", "is not text"),
        ("made:one.txt", "a {class}", "only the pictures of a folder are captioned by it"),
        ("emoji", "a {class}", "only the pictures of a folder are captioned by it"),
        ("fashion-mnist", "", "valid: emoji, emoji:PATH, folder:PATH, made:FILE.txt"),
    ];
    for (data, caption, words) in all {
        let mut arguments = vec!["unlearn", "--model", "model", "--data", data, "--out", "run"];
        arguments.extend(["--forget", "prompt:star", "--budget", "tiny", "--quiet"]);
        if !caption.is_empty() {
            arguments.extend(["--caption", caption]);
        }
        Ran::of(scratch.salun(&arguments).output().unwrap()).refused(words);
        assert!(!scratch.path("run").exists(), "{data}");
    }
    for (forget, redirect, words) in [
        ("prompt:red square; blue circle; bars; star", "next", "nothing would be left to keep"),
        ("class:moon", "next", "unknown class 'moon'"),
        ("random:10%", "next", "write prompt:"),
        ("prompt:;", "next", "the prompt is empty"),
    ] {
        let mut arguments = vec!["unlearn", "--model", "model", "--data", "folder:pictures"];
        arguments.extend(["--caption", "a {class}", "--out", "run", "--budget", "tiny", "--quiet"]);
        arguments.extend(["--forget", forget, "--redirect", redirect]);
        Ran::of(scratch.salun(&arguments).output().unwrap()).refused(words);
    }
}

/// A model, opened.
fn opened(client: &mut Client, name: &str) -> Arc<Opened> {
    let job = Job::Open { model: name.into(), seed: 1, budget: Budget::Tiny };
    let Outcome::Opened(opened) = client.run(job) else { panic!("{name} is not open") };
    opened
}

#[test]
fn two_requests_to_a_model_of_ones_own_are_undone_bit_by_bit() {
    let scratch = Scratch::new("captions-undo");
    pictures(&scratch);
    let model = scratch.pipeline("model", &foreign(32, 2, 3));
    let data = format!("folder:{}?caption=a+%7Bclass%7D", scratch.path("pictures").display());
    let asked = |forget: &str, redirect| Recipe {
        budget: Budget::Tiny,
        steps: Some(1),
        redirect,
        ..Recipe::new(&model, &data, forget)
    };
    let mut client = Client::new(DeviceChoice::Cpu);
    let original = opened(&mut client, &model);
    let first = client.unlearn(asked("class:red_square", Redirect::Next));
    let job = Job::Adopt { run: first.clone(), seed: 1, budget: Budget::Tiny };
    let Outcome::Opened(one) = client.run(job) else { panic!("it is not taken up") };
    let next = Recipe { after: one.after.clone(), ..asked("prompt:star", Redirect::Null) };
    let second = client.unlearn(next);
    assert!(second.model.weights().values != first.model.weights().values);
    assert!(second.report.earlier.is_empty(), "nobody judged whether it stayed forgotten");
    assert_eq!(opened(&mut client, &one.name).grid.pixels, one.grid.pixels);
    assert_eq!(opened(&mut client, &model).grid.pixels, original.grid.pixels);
}
