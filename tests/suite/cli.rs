//! The commands do what docs/use.md says, in a terminal's own terms: files, streams, exit status.

use std::{fs, process::Command};

use crate::binary::{Ran, Scratch, bytes, open};
#[cfg(unix)]
use crate::binary::{ended, send, started};
use serde_json::Value;
#[cfg(unix)]
use std::io::BufRead;

use crate::common::vulkan;

fn done(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

fn json(ran: &Ran) -> Value {
    done(ran);
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn help_and_version_are_no_failures() {
    let scratch = Scratch::new("help");
    for line in ["--help", "--version", "train --help", "unlearn -h"] {
        let ran = scratch.run(line);
        done(&ran);
        assert!(ran.stdout.contains("salun"), "{ran:?}");
    }
}

#[test]
fn info_has_the_fixed_form() {
    let scratch = Scratch::new("info");
    let info = json(&scratch.run("info --json"));
    assert_eq!(info["device"]["api"], "cpu");
    assert!(info["devices"].as_array().unwrap().iter().any(|d| d["kind"] == "cpu"));
    for name in ["fashion-classifier", "fashion-ddpm", "emoji-t2i"] {
        let models = info["models"].as_array().unwrap();
        let model = models.iter().find(|m| m["name"] == name).unwrap();
        assert!(model["params"].as_u64().unwrap() > 100_000);
        assert!(["shipped", "not shipped"].contains(&model["weights"].as_str().unwrap()));
    }
    let data = &info["data"][0];
    assert_eq!(data["name"], "fashion-mnist");
    assert_eq!([&data["classes"], &data["train"], &data["test"]], [10, 60_000, 10_000]);
    let methods = info["methods"].as_array().unwrap();
    let salun = methods.iter().find(|m| m["name"] == "salun").unwrap();
    assert_eq!(salun["tasks"], serde_json::json!(["classify", "generate", "text-to-image"]));
    for key in ["title", "paper", "knobs"] {
        assert!(!salun[key].is_null(), "{key}");
    }
    let masks: Vec<_> = info["masks"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert!(masks.len() == 9 && masks.iter().any(|name| *name == "layer-balanced"));
    done(&scratch.run("info"));
}

#[test]
fn data_is_listed_fetched_and_checked() {
    let scratch = Scratch::new("data");
    let listed = scratch.run("data list").stdout;
    for words in ["fashion-mnist", "inside the program", "not here; run: salun data fetch cifar10"]
    {
        assert!(listed.contains(words), "no '{words}' in {listed}");
    }
    assert!(listed.contains("emoji"), "{listed}");
    let emoji = json(&scratch.run("data check emoji --json"));
    assert!(emoji["classes"].as_u64().unwrap() > 100 && emoji["train"].as_u64().unwrap() > 500);
    let part = json(&scratch.run("data check fashion-mnist@4000 --json"));
    assert_eq!([&part["train"], &part["test"]], [4_000, 10_000]);
    assert!(scratch.run("data fetch fashion-mnist").stdout.contains("is inside the program"));
    let checked = json(&scratch.run("data check fashion-mnist --json"));
    assert_eq!(checked["files"].as_array().unwrap().len(), 4);

    scratch.pictures("mine", 12);
    fs::write(scratch.path("mine/a/broken.png"), "not a picture").unwrap();
    let checked = json(&scratch.run("data check folder:mine --json"));
    assert_eq!(checked["skipped"], 1);
    assert_eq!(checked["train"].as_u64().unwrap() + checked["test"].as_u64().unwrap(), 24);
    assert_eq!(checked["class_names"], serde_json::json!(["a", "b"]));
}

/// SVHN is read from the official files only, so other files of the right form are refused; what
/// is in the folder is taken for what it says it is only once its hashes are right.
#[test]
fn a_stored_data_set_is_opened_and_its_damage_is_found() {
    let scratch = Scratch::new("stored");
    let records = |n: usize, classes: usize| -> Vec<u8> {
        let record = |i: usize| {
            let mut record = vec![(i % 100 % 20) as u8, (i % classes) as u8];
            record.resize(3074, (i % 251) as u8);
            record
        };
        (0..n).flat_map(record).collect()
    };
    let folder = scratch.path("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("train.bin"), records(50_000, 100)).unwrap();
    fs::write(folder.join("test.bin"), records(10_000, 100)).unwrap();
    done(&scratch.run("data fetch cifar100 --from ."));
    let checked = json(&scratch.run("data check cifar100 --json"));
    assert_eq!([&checked["classes"], &checked["train"], &checked["test"]], [100, 50_000, 10_000]);
    assert!(scratch.run("data fetch cifar100").stdout.contains("--force"));
    let stored = scratch.path("data-sets/cifar100/test.bin");
    let mut bytes = fs::read(&stored).unwrap();
    bytes[5000] ^= 1;
    fs::write(&stored, &bytes).unwrap();
    let damaged = scratch.run("data check cifar100");
    assert_eq!(damaged.status, Some(2));
    assert!(damaged.stderr.contains("is damaged"), "{damaged:?}");
    bytes.truncate(5000);
    fs::write(&stored, &bytes).unwrap();
    let cut = scratch.run("train cifar-classifier --data cifar100 --steps 1 --out w");
    assert!(cut.stderr.contains("30740000"), "{cut:?}");
    assert_eq!(fs::read_dir(scratch.path("data-sets")).unwrap().count(), 1);
    let kept = json(&scratch.run("info --json"))["kept"]["data_bytes"].as_u64().unwrap();
    assert!(kept > 100_000_000, "{kept}");
    let unknown = scratch.run("data clear fashion-mnist");
    assert!(unknown.stderr.contains("cifar100"), "{unknown:?}");
    fs::write(scratch.path("data-sets/cifar100/mine.txt"), "mine").unwrap();
    let removed = json(&scratch.run("data clear --json"));
    assert_eq!(removed["removed"][0]["name"], "cifar100");
    let left: Vec<_> = fs::read_dir(scratch.path("data-sets/cifar100")).unwrap().collect();
    assert_eq!(left.len(), 1, "a person's own file stays");
    assert!(scratch.run("data clear cifar100").stdout.contains("is not here"));
}

#[test]
fn a_model_is_exported_and_its_export_is_a_model() {
    let scratch = Scratch::new("export");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    for out in ["out.pth", "out.safetensors"] {
        done(&scratch.run(&format!("export --model tiny.safetensors --out {out}")));
        let (given, again) = (scratch.classifier(), open(&scratch.path(out)));
        assert_eq!(again.weights.hash(), given.weights.hash(), "{out}");
        assert_eq!(again.card.data, "fashion-mnist");
    }
}

#[test]
fn saliency_writes_mask_statistics_and_picture() {
    let scratch = Scratch::new("saliency");
    let model = scratch.classifier();
    scratch.put("tiny.safetensors", bytes(&model));
    let line = "saliency --model tiny.safetensors --data fashion-mnist --forget random:64 \
                --density 0.3 --out mask.safetensors";
    let statistics = json(&scratch.run(&format!("{line} --json")));
    let n = model.weights.values.len();
    let k = (n as f64 * 0.3) as usize;
    assert_eq!([&statistics["mask"]["k"], &statistics["mask"]["n"]], [k, n]);
    assert_eq!(statistics["n_forget"], 64);

    let path = scratch.path("mask.safetensors");
    let mask = fs::read(&path).unwrap();
    let layout = &model.weights.layout;
    let bits = salun_studio::saliency::Mask::decode_bits(&mask, layout, &path).unwrap();
    assert_eq!(bits.iter().filter(|b| **b == 1).count(), k);
    let beside: Value =
        serde_json::from_slice(&fs::read(scratch.path("mask.json")).unwrap()).unwrap();
    assert_eq!(beside["mask"], statistics["mask"]);
    let picture = image::open(scratch.path("mask.png")).unwrap();
    assert!(picture.width() > 300 && picture.height() > 300);
    if let Some(keep) = std::env::var_os("SALUN_KEEP") {
        fs::copy(scratch.path("mask.png"), std::path::Path::new(&keep).join("mask.png")).unwrap();
    }

    assert_eq!(scratch.run(line).status, Some(2), "it is already there");
    done(&scratch.run(&format!("{line} --force")));
    assert_eq!(fs::read(&path).unwrap(), mask, "same request, same mask");
    assert_eq!(scratch.names().len(), 4, "{:?}", scratch.names());
}

#[test]
fn masks_are_compared_in_a_folder() {
    let scratch = Scratch::new("overlap");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    let line = "saliency --model tiny.safetensors --data fashion-mnist --budget tiny --out common";
    let estimators = format!("{line} --overlap estimators --forget items:0-99 --density 0.3");
    let said = json(&scratch.run(&format!("{estimators} --json")));
    let names: Vec<_> = said["names"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 8);
    assert_eq!(said["iou"][0][0], 1.0);
    assert_eq!(said["iou"][0][6], said["iou"][6][0]);
    let inside = Scratch(scratch.path("common"));
    assert_eq!(inside.names(), ["overlap.csv", "overlap.json", "overlap.png"]);
    let csv = fs::read_to_string(inside.path("overlap.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    assert!(image::open(inside.path("overlap.png")).unwrap().width() > 300);
    if let Some(keep) = std::env::var_os("SALUN_KEEP") {
        let to = std::path::Path::new(&keep).join("overlap.png");
        fs::copy(inside.path("overlap.png"), to).unwrap();
    }
    let again = scratch.run(&format!("{line} --overlap classes --force"));
    done(&again);
    assert!(again.stdout.contains("Ankle boot") && again.stdout.contains("two random masks"));
    assert_eq!(scratch.names(), ["common", "tiny.safetensors"]);
}

#[test]
fn samples_are_a_sheet_and_the_same_for_the_same_seed() {
    let scratch = Scratch::new("sample");
    scratch.put("unet.safetensors", bytes(&scratch.diffusion()));
    let line = "sample --model unet.safetensors --n 3 --steps 2 --seed 5 --out sheet.png";
    let said = json(&scratch.run(&format!("{line} --class bag --json")));
    assert_eq!(said["rows"][0]["class"], "Bag");
    let first = fs::read(scratch.path("sheet.png")).unwrap();
    assert!(image::load_from_memory(&first).unwrap().width() > 150);
    let again = scratch.run(&format!("{line} --class 8 --force --quiet"));
    done(&again);
    assert_eq!(again.stderr, "");
    assert_eq!(fs::read(scratch.path("sheet.png")).unwrap(), first);
}

#[test]
fn a_run_is_a_folder_that_a_recipe_repeats() {
    let scratch = Scratch::new("run");
    let model = scratch.classifier();
    scratch.put("tiny.safetensors", bytes(&model));
    let flags = "--model tiny.safetensors --data fashion-mnist --forget class:Sneaker --steps 4 \
                 --batch 8 --seed 3";
    let report = json(&scratch.run(&format!("unlearn {flags} --out one --json")));
    let n = model.weights.values.len();
    assert_eq!(report["mask"]["frozen_changed"], 0);
    assert_eq!(report["mask"]["k"], n / 2);
    assert_eq!(report["forget"]["spec"], "class:Sneaker");
    let files = [
        "after.png",
        "before.png",
        "log.jsonl",
        "mask.safetensors",
        "model.safetensors",
        "recipe.toml",
        "report.html",
        "report.json",
        "saliency.png",
        "side-by-side.png",
        "snapshots.safetensors",
    ];
    let inside = Scratch(scratch.path("one"));
    assert_eq!(inside.names(), files);

    done(&scratch.run("unlearn one/recipe.toml --out two"));
    for file in ["mask.safetensors", "recipe.toml", "log.jsonl"].into_iter().take(2) {
        let read = |dir: &str| fs::read(scratch.path(dir).join(file)).unwrap();
        assert_eq!(read("one"), read("two"), "{file}");
    }
    let hash = |dir: &str| open(&scratch.path(dir).join("model.safetensors")).weights.hash();
    assert_eq!(hash("one"), hash("two"));
    assert_ne!(hash("one"), model.weights.hash());

    let measured = json(&scratch.run("eval --run one --against two --json"));
    assert_eq!(measured["metrics"], report["after"]);
    assert_eq!(measured["gap"]["average"], 0.0);
    done(&scratch.run("unlearn one/recipe.toml --mask random --out two --force"));
    assert_ne!(hash("one"), hash("two"));
    assert_eq!(scratch.names(), ["one", "tiny.safetensors", "two"]);
}

#[test]
fn without_a_display_the_demo_runs() {
    let scratch = Scratch::new("display");
    fs::create_dir(scratch.path("salun-demo")).unwrap();
    let ran = scratch.run("");
    assert_eq!(ran.status, Some(2));
    let lines = ran.complaints();
    assert!(lines[0].contains("no display") && lines[0].contains("salun demo"), "{ran:?}");
    assert!(lines[1].contains("salun-demo is already there"), "{ran:?}");
}

#[test]
fn the_demo_forgets_a_prompt_beside_its_control() {
    let scratch = Scratch::new("prompt-demo");
    let line = "demo --task text-to-image --budget tiny --json --out d --forget";
    let arguments: Vec<&str> = line.split(' ').chain(["a cat"]).collect();
    let said = json(&Ran::of(scratch.salun(&arguments).output().unwrap()));
    let runs = said["runs"].as_array().unwrap();
    let masks: Vec<_> = runs.iter().map(|r| &r["report"]["mask"]["estimator"]).collect();
    assert_eq!(masks, ["abs-sum-grad", "random"]);
    assert_eq!(runs[0]["report"]["before"], runs[1]["report"]["before"]);
    for folder in ["text-to-image-salun", "text-to-image-random"] {
        for file in ["model/unet/config.json", "side-by-side.png", "report.json"] {
            assert!(scratch.path("d").join(folder).join(file).is_file(), "{folder}/{file}");
        }
    }
}

/// Enough updates that an interruption falls among them.
const STEPS: &str = "400";

fn train(scratch: &Scratch, more: &[&str]) -> Command {
    let line = format!(
        "train fashion-classifier --data folder:mine --width 4 --batch 8 --steps {STEPS} --seed 3"
    );
    let arguments: Vec<&str> = line.split(' ').chain(more.iter().copied()).collect();
    scratch.salun(&arguments)
}

/// Waits until it computes, then sends the signal.
#[cfg(unix)]
fn interrupt(command: Command) -> Ran {
    let running = started(command);
    send(&running.0, "-INT");
    ended(running)
}

#[cfg(unix)]
#[test]
fn an_interrupted_training_resumes_to_the_very_same_weights() {
    let scratch = Scratch::new("resume");
    scratch.pictures("mine", 40);
    done(&Ran::of(train(&scratch, &["--out", "whole.safetensors"]).output().unwrap()));
    assert_eq!(
        scratch.names(),
        ["mine", "whole.json", "whole.safetensors", "whole.safetensors.log.jsonl"]
    );

    let ran = interrupt(train(&scratch, &["--out", "parts.safetensors"]));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(ran.stderr.lines().last(), Some("salun: cancelled"), "{ran:?}");
    let left: Vec<_> = scratch.names().into_iter().filter(|n| n.contains("parts")).collect();
    assert_eq!(left, ["parts.safetensors.state"], "nothing half-written");

    let anew = Ran::of(train(&scratch, &["--out", "parts.safetensors"]).output().unwrap());
    assert_eq!(anew.status, Some(2), "{anew:?}");
    let other = Ran::of(
        train(&scratch, &["--out", "parts.safetensors", "--resume", "--retain", "class:a"])
            .output()
            .unwrap(),
    );
    assert!(other.stderr.contains("retain was not given, now \"class:a\""), "{other:?}");

    let resumed = train(&scratch, &["--out", "parts.safetensors", "--resume", "--json"]);
    let card = json(&Ran::of({ resumed }.output().unwrap()))["card"].clone();
    assert_eq!(card["training"]["steps"].to_string(), STEPS);
    let hash = |name: &str| open(&scratch.path(name)).weights.hash();
    assert_eq!(hash("whole.safetensors"), hash("parts.safetensors"));
    assert!(!scratch.path("parts.safetensors.state").exists());
    let steps = |name: &str| -> Vec<u64> {
        let log = fs::read_to_string(scratch.path(name)).unwrap();
        let lines = log.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        lines.map(|l| l["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(steps("whole.safetensors.log.jsonl"), steps("parts.safetensors.log.jsonl"));
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_to_the_very_same_bytes() {
    let scratch = Scratch::new("cancel");
    scratch.put("tiny.safetensors", bytes(&scratch.classifier()));
    let line = "unlearn --model tiny.safetensors --data fashion-mnist@400 --forget class:Sneaker \
                --budget tiny --steps 800 --out";
    let arguments = |more: &[&'static str]| -> Vec<&str> {
        line.split(' ').filter(|a| !a.is_empty()).chain(more.iter().copied()).collect()
    };
    done(&Ran::of(scratch.salun(&arguments(&["whole"])).output().unwrap()));
    let mut command = scratch.salun(&arguments(&["run"]));
    command.env("RUST_LOG", "salun_studio=debug");
    let (child, mut said) = started(command);
    // Some of its updates are done.
    let mut line = String::new();
    while !line.trim_end().ends_with(": SalUn") || line.contains(" at 0 of ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it was stopped");
    }
    send(&child, "-INT");
    let ran = ended((child, said));
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("is kept; --resume goes on from it"), "{ran:?}");
    assert_eq!(ran.stderr.lines().last(), Some("salun: cancelled"), "{ran:?}");
    assert_eq!(scratch.names(), ["run.state", "tiny.safetensors", "whole"], "nothing half-written");

    let anew = Ran::of(scratch.salun(&arguments(&["run"])).output().unwrap());
    assert_eq!(anew.status, Some(2), "{anew:?}");
    assert!(anew.stderr.contains("pass --resume to go on from it"), "{anew:?}");
    let other = scratch.run("unlearn --resume --density 0.3 --out run");
    assert!(other.stderr.contains("density was 0.5, now 0.3"), "{other:?}");

    done(&scratch.run("unlearn --resume --out run"));
    assert_eq!(scratch.names(), ["run", "tiny.safetensors", "whole"]);
    for name in
        ["model.safetensors", "mask.safetensors", "recipe.toml", "saliency.png", "after.png"]
    {
        let of = |run: &str| fs::read(scratch.path(run).join(name)).unwrap();
        assert!(of("run") == of("whole"), "{name}");
    }
}

#[test]
fn half_precision_weights_are_half_the_size() {
    let scratch = Scratch::new("half");
    scratch.pictures("mine", 12);
    let line = "train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 2";
    done(&scratch.run(&format!("{line} --out full.safetensors")));
    done(&scratch.run(&format!("{line} --out half.safetensors --half")));
    let size = |name: &str| fs::metadata(scratch.path(name)).unwrap().len() as f64;
    assert!(size("half.safetensors") < 0.65 * size("full.safetensors"));
    assert_eq!(open(&scratch.path("half.safetensors")).card.classes, ["a", "b"]);
}

#[test]
fn a_few_pictures_of_ones_own_are_enough_to_forget_some() {
    let scratch = Scratch::new("own");
    scratch.pictures("mine", 12);
    let train = "train fashion-classifier --data folder:mine --width 4 --batch 8 --steps 2";
    done(&scratch.run(&format!("{train} --out own.safetensors")));
    let unlearn = "unlearn --model own.safetensors --data folder:mine --forget class:a --steps 2";
    done(&scratch.run(&format!("{unlearn} --batch 8 --out run")));
    let card = open(&scratch.path("run/model.safetensors")).card;
    let forgotten: Vec<_> = card.unlearned.iter().map(|u| u.forget.as_str()).collect();
    assert_eq!(forgotten, ["class:a"]);
}

#[test]
fn the_cpu_is_held_against_nothing() {
    let scratch = Scratch::new("check-cpu");
    let ran = scratch.run("check");
    done(&ran);
    assert!(ran.stdout.lines().count() == 1 && ran.stdout.contains("nothing to check"), "{ran:?}");
    let found = json(&scratch.run("check --only kernels,classify --json"));
    assert_eq!((&found["ok"], found["parts"].as_array().unwrap().len()), (&true.into(), 0));
    let wrong = scratch.run("check --only kernels,shaders");
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.stderr.contains("valid: operations, kernels, classify"), "{wrong:?}");
}

#[test]
fn a_gpu_is_held_against_the_cpu() {
    if !vulkan() {
        return;
    }
    let scratch = Scratch::new("check-gpu");
    let found = json(&scratch.run("check --device gpu --only operations --only classify --json"));
    assert_eq!(found["ok"], true);
    let parts = found["parts"].as_array().unwrap();
    let names: Vec<_> = parts.iter().map(|p| &p["part"]).collect();
    assert_eq!(names, ["operations", "classify"]);
    let compared = |part: usize| parts[part]["compared"].as_array().unwrap();
    assert!(compared(0).len() > 80 && compared(1).len() == 3, "{found}");
    for off in compared(0).iter().chain(compared(1)) {
        assert!(off["by"].as_f64().unwrap() <= off["limit"].as_f64().unwrap(), "{off}");
    }
    let said = parts[0]["said"].as_str().unwrap();
    assert!(said.starts_with("operations: ") && said.contains("as on the CPU"), "{said}");
    assert!(parts[1]["first_update_s"][0].as_f64().unwrap() > 0.0);
    let said = scratch.run("check --device gpu --only kernels");
    done(&said);
    assert!(said.stdout.contains("results as on the CPU; furthest, "), "{said:?}");
    assert_eq!(said.stdout.lines().count(), 2, "{said:?}");
}
