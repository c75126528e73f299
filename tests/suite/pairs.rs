//! Two weights that others made, before and after forgetting, are looked at as a run of ours; what is no pair is
//! refused with both sides.

use std::fs;

use serde_json::Value;

use crate::binary::{Ran, Scratch, bytes, open};
use salun_studio::models::torch::{Format, export};
use salun_studio::models::{Architecture, Model};

fn done(ran: Ran) -> Ran {
    assert_eq!(ran.status, Some(0), "{ran:?}");
    ran
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"))
}

/// A classifier of the classes `a` and `b`, and the report of a run in which it forgot one.
fn forgot(name: &str) -> (Scratch, Value) {
    let scratch = Scratch::new(name);
    scratch.pictures("mine", 60);
    done(scratch.run(
        "train fashion-classifier --data folder:mine --width 4 --seed 3 --out own.safetensors",
    ));
    let run = "unlearn --model own.safetensors --data folder:mine --forget class:a --budget tiny \
               --audit --json --out run";
    let report = json(&done(scratch.run(run)));
    done(scratch.run("export --model run --out after.pth"));
    (scratch, report)
}

const PAIR: &str = "eval --data folder:mine --forget class:a --budget tiny --json";

#[test]
fn a_runs_result_opened_as_an_after_has_the_runs_own_figures() {
    let (scratch, ours) = forgot("pair");
    for (i, after) in ["run", "run/model.safetensors", "after.pth"].into_iter().enumerate() {
        let out = format!("pair-{i}");
        let line = format!("{PAIR} --before own.safetensors --after {after} --out {out}");
        let ran = done(scratch.run(&line));
        let report = json(&ran);
        for name in ["before", "after", "verdict", "forget", "changed"] {
            assert_eq!(report[name], ours[name], "{name} of {after}");
        }
        assert_eq!(report["audit"]["run"], ours["audit"]["run"], "{after}");
        assert_eq!(report["mask"]["hash"], ours["mask"]["hash"], "{after}");
        // Only the mask's weights were free in the run.
        let given = &report["mask"]["given"];
        assert_eq!(report["mask"]["frozen_changed"], 0);
        assert!(given["changed"].as_u64() > Some(0) && given["changed"] == given["within"]);
        assert_eq!(given["squares"], 100.0);
        let layers = given["layers"].as_array().unwrap();
        assert_eq!(layers.len(), report["mask"]["layers"].as_array().unwrap().len());
        assert!(layers.iter().any(|by| by.as_f64() > Some(0.0)));
        let name = after.rsplit('/').next().unwrap();
        assert_eq!((&report["method"], &report["training"]["steps"]), (&name.into(), &0.into()));
        let words = format!("the weights after are those of {after}: nothing was trained here");
        assert!(ran.stderr.contains(&words), "{ran:?}");
        let [run, pair] =
            ["run", &out].map(|run| open(&scratch.path(run).join("model.safetensors")));
        assert_eq!(run.weights.hash(), pair.weights.hash());
        for file in ["side-by-side.png", "saliency.png", "mask.safetensors", "audit.json"] {
            assert!(scratch.path(&out).join(file).is_file(), "{out}/{file}");
        }
    }
    // It is a run like others: measured again, repeated, forgotten more.
    let again = json(&done(scratch.run("eval --run pair-2 --against run --json")));
    assert_eq!((&again["metrics"], &again["gap"]["average"]), (&ours["after"], &0.0.into()));
    let again = done(scratch.run("unlearn pair-2/recipe.toml --json --out again"));
    assert_eq!(json(&again)["after"], ours["after"]);
    // Under another name, with a smaller mask, less of the change is in it.
    let less = format!(
        "{PAIR} --before own.safetensors --after run --method theirs --density 0.1 --out less"
    );
    let less = json(&done(scratch.run(&less)));
    assert_eq!(less["method"], "theirs");
    let outside = less["mask"]["frozen_changed"].as_u64().unwrap();
    let [changed, within] =
        ["changed", "within"].map(|n| less["mask"]["given"][n].as_u64().unwrap());
    assert!(outside > 0 && outside + within == changed, "{less}");
    // That mask froze nothing: all of the change is exported.
    done(scratch.run("export --run less --delta d.safetensors"));
    let apply = "apply --model own.safetensors --delta d.safetensors --out applied.safetensors";
    let ran = done(scratch.run(apply));
    assert!(ran.stdout.contains(&less["protocol"].as_str().unwrap()[..12]), "{ran:?}");
    let [run, applied] = ["run/model.safetensors", "applied.safetensors"]
        .map(|file| open(&scratch.path(file)).weights.hash());
    assert_eq!(run, applied);
}

#[test]
fn what_an_after_does_not_say_is_taken_from_the_before() {
    let (scratch, ours) = forgot("pair-bare");
    let model = open(&scratch.path("run/model.safetensors"));
    scratch.put("bare.pth", export::encode(&model, Format::Pth, true).unwrap());
    let line = format!("{PAIR} --before own.safetensors --after bare.pth");
    let ran = done(scratch.run(&line));
    assert_eq!(json(&ran)["after"], ours["after"]);
    assert!(!ran.stderr.contains("does not say"), "{ran:?}");
    // Nothing is known of either but by the data.
    let original = open(&scratch.path("own.safetensors"));
    scratch.put("before.pth", export::encode(&original, Format::Pth, true).unwrap());
    let ran = done(scratch.run(&format!("{PAIR} --before before.pth --after bare.pth")));
    assert!(ran.stderr.contains("before.pth does not say what its classes are"), "{ran:?}");
    let same = done(scratch.run(&format!("{PAIR} --before before.pth --after before.pth")));
    assert!(same.stderr.contains("has the weights of before, every bit"), "{same:?}");
    assert_eq!(json(&same)["mask"]["given"]["changed"], 0);
}

#[test]
fn what_is_no_pair_is_refused_with_both_sides_before_anything_is_measured() {
    let scratch = Scratch::new("no-pair");
    let own = scratch.classifier();
    let resnet = |change: &dyn Fn(&mut salun_studio::models::ResnetConfig, &mut Vec<String>)| {
        let mut card = own.card.clone();
        let Architecture::Resnet(config) = &mut card.architecture else { panic!() };
        change(config, &mut card.classes);
        crate::common::fresh(card, 2)
    };
    let models: [(&str, Model); 6] = [
        ("own", own.clone()),
        ("ddpm", scratch.diffusion()),
        ("wide", resnet(&|config, _| config.width = 8)),
        ("rgb", resnet(&|c, _| (c.channels, c.mean, c.std) = (3, vec![0.5; 3], vec![0.5; 3]))),
        ("other", resnet(&|_, classes| classes[8] = "Satchel".into())),
        ("scaled", resnet(&|config, _| config.mean = vec![0.5])),
    ];
    for (name, model) in &models {
        scratch.put(&format!("{name}.safetensors"), bytes(model));
    }
    let pair = "eval --data fashion-mnist --forget class:Bag --budget tiny --out x --before own.safetensors";
    for (after, words) in [
        ("ddpm.safetensors", "a network of the kind \"unet\", there it is \"resnet\""),
        ("wide.safetensors", "its width is 8, there it is 4"),
        ("rgb.safetensors", "it has 3 channels, there are 1"),
        ("other.safetensors", "Satchel, Ankle boot), there they are (T-shirt, Trouser"),
        ("scaled.safetensors", "its mean is [0.5], there it is [0.286]"),
        ("emoji-t2i", "is a text-to-image model, and own.safetensors is none"),
        ("nothing.pth", "nothing.pth"),
    ] {
        let ran = scratch.run(&format!("{pair} --after {after}"));
        assert!(
            ran.status == Some(2) || after == "nothing.pth" && ran.status == Some(1),
            "{ran:?}"
        );
        let told = ran.stderr.lines().last().unwrap();
        assert!(told.contains(words) && told.contains(after), "{after}: {ran:?}");
        assert!(!ran.stderr.contains("Looking at the model"), "{ran:?}");
        assert!(!scratch.path("x").exists(), "{after}");
    }
    for (line, words) in [
        ("eval", "--run <DIR>"),
        ("eval --before own.safetensors --after own.safetensors", "--data <D>"),
        ("eval --run x --before own.safetensors", "--run <DIR>"),
        ("eval --run x --method salun", "--before <M>"),
    ] {
        let ran = scratch.run(line);
        assert!(ran.status == Some(2) && ran.stderr.contains(words), "{line}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn diffusion_models_are_a_pair_too() {
    let scratch = Scratch::new("pair-ddpm");
    let before = scratch.diffusion();
    let mut after = before.clone();
    let first = after.weights.values.len() / 3;
    after.weights.values[first..2 * first].iter_mut().for_each(|v| *v *= 1.5);
    scratch.put("before.safetensors", bytes(&before));
    // Of a list, whose side and groups are the other's.
    scratch.put("after.pth", export::encode(&after, Format::Ddpm, false).unwrap());
    let ran = done(scratch.run(
        "eval --before before.safetensors --after after.pth --data fashion-mnist --forget class:Bag \
         --budget tiny --json --out pair",
    ));
    let report = json(&ran);
    assert!(ran.stderr.contains("after.pth: it is a list of 4"), "{ran:?}");
    assert_eq!((&report["task"], &report["audit"]), (&"generate".into(), &Value::Null));
    let changed = report["mask"]["given"]["changed"].as_u64().unwrap();
    let moved = before.weights.values[first..2 * first].iter().filter(|v| **v != 0.0).count();
    assert_eq!(changed, moved as u64);
    let again = done(scratch.run("unlearn pair/recipe.toml --json --out again"));
    assert_eq!(json(&again)["after"], report["after"]);
    assert!(fs::read_to_string(scratch.path("pair/recipe.toml")).unwrap().contains("given = "));
}
