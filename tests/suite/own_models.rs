//! Weights and masks of a person's own: what they do not say of themselves is taken from the data and said, or
//! set; what does not fit is refused with both sides.

use std::fs;

use crate::{
    binary::{Ran, Scratch, open},
    common::packed,
};
use salun_studio::models::torch::{Format, export};
use salun_studio::saliency::Mask;

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

/// A classifier of the classes `a` and `b` that tells them apart, its weights as PyTorch has them.
fn imported(name: &str, normalised: bool) -> Scratch {
    let scratch = Scratch::new(name);
    scratch.pictures("mine", 40);
    let train =
        "train fashion-classifier --data folder:mine --width 4 --seed 3 --out own.safetensors";
    done(scratch.run(train));
    let model = open(&scratch.path("own.safetensors"));
    scratch.put("own.pth", export::encode(&model, Format::Pth, !normalised).unwrap());
    scratch
}

const UNLEARN: &str =
    "unlearn --data folder:mine --forget class:a --method noop --budget tiny --out run";

#[test]
fn what_a_file_does_not_say_is_assumed_and_said_or_set() {
    let scratch = imported("assumed", false);
    let ran = done(scratch.run(&format!("{UNLEARN} --model own.pth")));
    for words in [
        "own.pth does not say what its classes are; they are taken for those of folder:mine",
        "(a, b)",
        "own.pth does not say how pixels are normalised",
        "own.pth does not say which pictures it was trained on",
    ] {
        assert!(ran.stderr.contains(words), "no '{words}' in {ran:?}");
    }
    // Said behind the name, in the recipe, too.
    let said = format!("{UNLEARN} --model own.pth --classes b,a --normalize 0.2,0.3 --force");
    let ran = done(scratch.run(&said));
    assert!(
        !ran.stderr.contains("does not say what") && !ran.stderr.contains("how pixels"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("another order than those of"), "{ran:?}");
    let recipe = fs::read_to_string(scratch.path("run/recipe.toml")).unwrap();
    assert!(recipe.contains("own.pth?classes=b%2Ca&normalize=0.2%2C0.3"), "{recipe}");
    done(scratch.run("unlearn run/recipe.toml --out again"));
    // A model that was hardly trained is told, before anything is forgotten.
    done(scratch.run(
        "train fashion-classifier --data folder:mine --width 4 --steps 1 --out new.safetensors",
    ));
    let ran = done(scratch.run(&format!("{UNLEARN} --model new.safetensors --force")));
    assert!(ran.stderr.contains("and chance is 50.0 %"), "{ran:?}");
    for (more, words) in [
        ("--classes a", "the network has 2 classes, these are 1"),
        ("--classes a,,b", "none of them empty"),
        ("--normalize half", "unit, imagenet,"),
        ("--normalize 1,2,3,4", "it has 2 channels, the network looks at 1"),
        ("--unet own.pth", "only a text-to-image model takes one"),
    ] {
        let ran = scratch.run(&format!("{UNLEARN} --model own.pth --force {more}"));
        assert!(ran.status == Some(2) && ran.stderr.contains(words), "{more}: {ran:?}");
    }
    let ran = scratch.run(&format!("{UNLEARN} --model own.safetensors --force --classes a,b"));
    assert!(ran.stderr.contains("the file says it by itself"), "{ran:?}");
}

#[test]
fn a_file_that_says_how_it_is_normalised_is_believed() {
    let scratch = imported("believed", true);
    let ran = done(scratch.run(&format!("{UNLEARN} --model own.pth")));
    assert!(!ran.stderr.contains("how pixels are normalised"), "{ran:?}");
    assert!(!ran.stderr.contains("chance"), "{ran:?}");
}

#[test]
fn classes_are_mapped_by_their_names_or_refused_with_both_lists() {
    let scratch = imported("mapped", true);
    fs::rename(scratch.path("mine/a"), scratch.path("mine/zebra")).unwrap();
    let ran =
        scratch.run(&format!("{UNLEARN} --model own.safetensors").replace("class:a", "class:b"));
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("its classes are (a, b), the data's are (b, zebra)"), "{ran:?}");
    fs::rename(scratch.path("mine/zebra"), scratch.path("mine/A")).unwrap();
    fs::rename(scratch.path("mine/b"), scratch.path("mine/B")).unwrap();
    done(scratch.run(&format!("{UNLEARN} --model own.safetensors").replace("class:a", "class:A")));
    let accuracy = |ran: &Ran| {
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        report["before"]["TA"].as_f64().unwrap()
    };
    // What is said to be the other way round is always wrong.
    fs::rename(scratch.path("mine/A"), scratch.path("mine/a")).unwrap();
    fs::rename(scratch.path("mine/B"), scratch.path("mine/b")).unwrap();
    let straight = done(scratch.run(&format!("{UNLEARN} --model own.pth --force --json")));
    let turned = format!("{UNLEARN} --model own.pth --classes b,a --force --json");
    let turned = done(scratch.run(&turned));
    assert_eq!(accuracy(&straight) + accuracy(&turned), 100.0);
}

#[test]
fn a_mask_comes_out_of_a_file_of_ours_or_of_the_official_code() {
    let scratch = imported("given", true);
    let base = "--model own.safetensors --data folder:mine --forget class:a";
    done(scratch.run(&format!("saliency {base} --density 0.3 --out mask.safetensors")));
    let run = format!("unlearn {base} --budget tiny --steps 2 --batch 8 --json");
    let ours = done(scratch.run(&format!("{run} --mask mask.safetensors --out ours")));
    let report: serde_json::Value = serde_json::from_str(&ours.stdout).unwrap();
    let mask = fs::read(scratch.path("mask.safetensors")).unwrap();
    let layout = open(&scratch.path("own.safetensors")).weights.layout;
    let bits = Mask::decode_bits(&mask, &layout, "mask".as_ref()).unwrap();
    let k = bits.iter().filter(|bit| **bit == 1).count();
    assert_eq!(report["mask"]["k"], k);
    assert_eq!(report["mask"]["frozen_changed"], 0);
    assert_eq!(report["mask"]["estimator"], "given");
    let written = fs::read(scratch.path("ours/mask.safetensors")).unwrap();
    assert_eq!(Mask::decode_bits(&written, &layout, "mask".as_ref()).unwrap(), bits);
    // The recipe repeats it, and its control is exactly as large.
    done(scratch.run("unlearn ours/recipe.toml --out again"));
    let control = done(scratch.run("unlearn ours/recipe.toml --mask random --json --out control"));
    let report: serde_json::Value = serde_json::from_str(&control.stdout).unwrap();
    assert_eq!(report["mask"]["k"], k);

    scratch.put("with_0.5.pt", packed("mask.pth"));
    let other = scratch.run(&format!("{run} --mask with_0.5.pt --out other"));
    assert_eq!(other.status, Some(2));
    assert!(other.stderr.contains("has not the weight's shape"), "{other:?}");
    scratch.put("extras.pth", packed("extras.pth"));
    let bits = Mask::given(
        &scratch.path("with_0.5.pt").to_string_lossy(),
        &open_any(&scratch, "extras.pth"),
    );
    // Of every seven weights of the file three are above 0.
    let bits = bits.unwrap();
    assert!((bits.density - 3.0 / 7.0).abs() < 0.01, "{}", bits.density);
    let wrong = scratch.run(&format!("{run} --mask nowhere.pt --out other"));
    assert!(wrong.status == Some(2) && wrong.stderr.contains("unknown mask"), "{wrong:?}");
}

fn open_any(scratch: &Scratch, name: &str) -> std::sync::Arc<salun_studio::models::WeightLayout> {
    open(&scratch.path(name)).weights.layout
}

#[test]
fn few_pictures_are_learnt_and_a_class_of_them_forgotten_with_the_defaults() {
    let scratch = Scratch::new("few-pictures");
    scratch.pictures("mine", 60);
    let trained = done(
        scratch.run("train fashion-classifier --data folder:mine --width 8 --out own.safetensors"),
    );
    assert!(trained.stdout.contains("TA 100.00"), "{trained:?}");
    for method in ["salun", "rl", "neggrad-plus", "salun-soft", "delete"] {
        let ran = done(scratch.run(&format!(
            "unlearn --model own.safetensors --data folder:mine --forget class:a --method {method} \
             --json --force --out run"
        )));
        let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let [ua, ra] = ["UA", "RA"].map(|m| report["after"][m].as_f64().unwrap());
        assert!(ua >= 95.0 && ra >= 95.0, "{method}: UA {ua}, RA {ra}");
    }
    // What does not move says what to try.
    let stuck = "unlearn --model own.safetensors --data folder:mine --forget class:a --method ft --lr 1e-6 \
                 --force --out run";
    let ran = done(scratch.run(stuck));
    assert!(ran.stderr.contains("; try --epochs") && ran.stderr.contains("--lr"), "{ran:?}");
}

#[test]
fn a_run_can_be_repeated_from_anywhere_and_its_pictures_asked_for_by_name() {
    let scratch = imported("anywhere", true);
    let run = "unlearn --model own.safetensors --data folder:mine --budget tiny --method ga";
    done(scratch.run(&format!("{run} --forget items:0-5 --out run")));
    let names = fs::read_to_string(scratch.path("run/forgotten.txt")).unwrap();
    assert!(names.lines().count() > 3 && names.lines().all(|n| n.starts_with("a/")), "{names}");
    // From another folder, by the recipe and by the run.
    fs::create_dir(scratch.path("elsewhere")).unwrap();
    for line in ["unlearn ../run/recipe.toml --out again", "eval --run ../run"] {
        let mut command = scratch.salun(&line.split(' ').collect::<Vec<_>>());
        done(Ran::of(command.current_dir(scratch.path("elsewhere")).output().unwrap()));
    }
    let weights = |run: &str| fs::read(scratch.path(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("elsewhere/again"));
    // A recipe that somebody wrote, beside the pictures.
    scratch.put(
        "elsewhere/mine.toml",
        "model = \"../own.safetensors\"\ndata = \"folder:../mine\"\nforget = \"class:a\"\nmethod = \"noop\"\nbudget = \"tiny\"\n",
    );
    done(scratch.run("unlearn elsewhere/mine.toml --out beside"));
    scratch.put(
        "windows.toml",
        "model = \"own.safetensors\"\ndata = \"folder:C:\\users\\me\"\nforget = \"class:a\"\n",
    );
    let ran = scratch.run("unlearn windows.toml --out x");
    assert!(ran.stderr.contains("single quotes"), "{ran:?}");
    // Another picture comes first now; the same ones are forgotten all the same.
    let first = scratch.path("mine/a").join("0.png");
    fs::copy(&first, scratch.path("mine/a/!new.png")).unwrap();
    fs::copy(&first, scratch.path("mine/a/!newer.png")).unwrap();
    done(scratch.run(&format!("{run} --forget indices:run/forgotten.txt --out named")));
    let again = fs::read_to_string(scratch.path("named/forgotten.txt")).unwrap();
    assert_eq!(again, names);
    fs::remove_file(scratch.path("mine").join(names.lines().next().unwrap())).unwrap();
    let ran = scratch.run(&format!("{run} --forget indices:run/forgotten.txt --out gone"));
    assert!(ran.stderr.contains("is no training picture of folder:mine"), "{ran:?}");
}

#[test]
fn one_picture_is_itself_and_many_are_a_sheet_or_a_folder() {
    let scratch = Scratch::new("drawn");
    let sample = "sample --model fashion-ddpm --class Bag --steps 2";
    done(scratch.run(&format!("{sample} --n 1 --out one.png")));
    let size = |name: &str| {
        let picture = image::open(scratch.path(name)).unwrap();
        [picture.width(), picture.height()]
    };
    assert_eq!(size("one.png"), [28, 28]);
    done(scratch.run(&format!("{sample} --n 2 --out sheet.png")));
    assert!(size("sheet.png")[0] > 56);
    let quiet = done(scratch.run(&format!("{sample} --n 2 --out folder --quiet")));
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    assert_eq!(size("folder/001-bag-2.png"), [28, 28]);
    done(scratch.run(&format!("{sample} --n 1 --out folder --force")));
    assert!(!scratch.path("folder/001-bag-2.png").exists());
    scratch.put("folder/notes.txt", "mine");
    let ran = scratch.run(&format!("{sample} --n 1 --out folder --force"));
    assert!(ran.stderr.contains("is not a folder of PNG pictures"), "{ran:?}");
    let ran = scratch.run("nosuch");
    assert!(ran.status == Some(2) && ran.stderr.contains("unknown command 'nosuch'"), "{ran:?}");
}

#[test]
fn a_single_file_checkpoint_is_told_the_same_by_every_command() {
    let scratch = Scratch::new("single");
    let tensor =
        ("model.diffusion_model.x".to_string(), vec![1], (safetensors::Dtype::F32, vec![0; 4]));
    let file = salun_studio::models::checkpoint::write(&[tensor], None).unwrap();
    scratch.put("sd.safetensors", file);
    for line in [
        "sample --model sd.safetensors --prompt cat --out x.png",
        "unlearn --model sd.safetensors --data emoji --forget prompt:cat --out x",
        "export --model sd.safetensors --out x.pth",
    ] {
        let ran = scratch.run(line);
        let told = ran.stderr.contains("looks like a single-file Stable Diffusion checkpoint");
        assert!(ran.status == Some(2) && told, "{line}: {ran:?}");
    }
    // It is one for prompts, whatever is to be forgotten.
    scratch
        .run("unlearn --model sd.safetensors --data fashion-mnist --forget class:Bag --out x")
        .refused("unknown data set of captioned pictures 'fashion-mnist'");
    scratch.put("own.safetensors", crate::binary::bytes(&scratch.classifier()));
    let ran = scratch.run("sample --model own.safetensors --prompt cat --out x.png");
    assert!(ran.stderr.contains("takes classes and no prompts"), "{ran:?}");
}

/// A diffusion model of a person's own is judged by a classifier of their own.
#[test]
fn what_an_own_diffusion_model_draws_is_judged_by_the_classifier_that_is_named() {
    let scratch = Scratch::new("judge");
    scratch.pictures("mine", 30);
    scratch.pictures("other", 30);
    fs::rename(scratch.path("other/b"), scratch.path("other/c")).unwrap();
    for line in [
        "train fashion-classifier --data folder:mine --width 4 --steps 20 --out judge.safetensors",
        "train fashion-classifier --data folder:other --width 4 --steps 1 --out other.safetensors",
        "train fashion-ddpm --data folder:mine --width 8 --steps 2 --batch 4 --out ddpm.safetensors",
    ] {
        done(scratch.run(&format!("{line} --device cpu")));
    }
    let line = "unlearn --model ddpm.safetensors --data folder:mine --forget class:a --budget tiny \
                --steps 1 --device cpu --out run";
    for (judge, told) in [
        ("--judge ddpm.safetensors", "a classifier is needed"),
        ("--judge other.safetensors", "it tells a, c apart, the model draws a, b: it lacks b"),
        ("--judge nothing.safetensors", "nothing.safetensors"),
    ] {
        let ran = scratch.run(&format!("{line} {judge}"));
        assert!(ran.status == Some(2) && ran.stderr.contains(told), "{judge}: {ran:?}");
        assert!(!scratch.path("run").exists(), "{judge}");
    }
    let ran = done(scratch.run(&format!("{line} --judge judge.safetensors")));
    assert!(ran.stderr.contains("judge.safetensors judges: it is right on"), "{ran:?}");
    let again = done(scratch.run("eval --run run --device cpu"));
    assert!(again.stdout.contains("verdict"), "the recipe names the judge: {again:?}");
    let classifier = "unlearn --model judge.safetensors --judge judge.safetensors --data folder:mine \
                      --forget class:a --out no";
    let ran = scratch.run(classifier);
    assert!(ran.stderr.contains("only what a class-conditional diffusion model draws"), "{ran:?}");
}
