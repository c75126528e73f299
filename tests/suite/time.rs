//! What a run was on its way: its steps come back bit for bit, others go on from them, and recipes repeat all that.

use serde_json::Value;

use crate::{
    binary::{Ran, Scratch},
    common::{Client, alone},
};
use salun_studio::engine::{Job, Outcome, Past, Run};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::{HostWeights, registry};
use salun_studio::run::{Recovery, recovery};
use salun_studio::words::{Budget, Estimator, Fingerprint, Recipe};

fn done(ran: &Ran) {
    assert_eq!(ran.status, Some(0), "{ran:?}");
}

fn json(ran: &Ran) -> Value {
    done(ran);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// A request of so many updates to a shipped model.
fn request(model: &str, data: &str, forget: &str, steps: usize) -> Recipe {
    Recipe { budget: Budget::Tiny, steps: Some(steps), ..Recipe::new(model, data, forget) }
}

fn sneaker() -> Recipe {
    Recipe { batch: Some(8), ..request("fashion-classifier", "fashion-mnist", "class:Sneaker", 16) }
}

fn original(recipe: &Recipe) -> HostWeights {
    match registry::is_latent(&recipe.model) {
        true => registry::open_latent(&recipe.model).unwrap().unet,
        false => registry::open(&recipe.model).unwrap().weights,
    }
}

fn hash(run: &Run) -> String {
    run.model.weights().hash()
}

#[test]
fn every_snapshot_is_what_the_run_was_there_and_frozen_bits_never_change() {
    let all = [
        sneaker(),
        Recipe { mask: Some(Estimator::None), ..sneaker() },
        Recipe { method: "l1-sparse".into(), density: 0.1, ..sneaker() },
        request("fashion-ddpm", "fashion-mnist", "class:Bag", 4),
        request("emoji-t2i", "emoji", "prompt:a cat", 3),
    ];
    for recipe in all {
        let run = Client::new(DeviceChoice::Cpu).unlearn(recipe.clone());
        let original = original(&recipe);
        let steps: Vec<usize> = run.snapshots.steps().collect();
        assert!(steps.len() > 1 && steps.last() == Some(&run.log.len()), "{steps:?}");
        for &step in &steps {
            let then = run.snapshots.at(&original, step).unwrap().unwrap();
            let frozen = run.mask.as_ref().map_or(0, |mask| mask.frozen_changed(&original, &then));
            assert_eq!(frozen, 0, "{} at {step}", recipe.method);
        }
        let last = run.snapshots.at(&original, run.log.len()).unwrap().unwrap();
        assert_eq!(last.hash(), hash(&run), "the last one is the result");
        // Another engine, which has seen nothing of it, makes its first updates alone.
        let step = steps[steps.len() / 2 - 1];
        let then = run.snapshots.at(&original, step).unwrap().unwrap().hash();
        let until = Recipe { until: Some(step), ..recipe.clone() };
        let short = Client::new(DeviceChoice::Cpu).unlearn(until);
        assert_eq!(hash(&short), then, "{} at {step}", recipe.method);
        assert_eq!(short.log.len(), step);
        assert_eq!(short.report.training.steps, step);
        let loss = |run: &Run| run.log[..step].iter().map(|l| l.loss).collect::<Vec<_>>();
        assert_eq!(loss(&short), loss(&run));
    }
}

#[test]
fn snapshots_take_less_than_the_free_weights_as_numbers() {
    let run = Client::new(DeviceChoice::Cpu).unlearn(sneaker());
    let mask = run.mask.as_ref().unwrap();
    let numbers = 4 * (mask.k + original(&run.recipe).buffers.len());
    let n = run.snapshots.steps().count();
    let each = (run.snapshots.bytes() - mask.bits.len().div_ceil(8)) / n;
    eprintln!(
        "{n} snapshots of {each} bytes; the free weights are {numbers}, all {}",
        4 * mask.bits.len()
    );
    assert!(each * 100 < numbers * 85, "{each} of {numbers}");
}

#[test]
fn a_run_goes_on_from_a_step_of_another_and_its_recipe_repeats_that() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let first = client.unlearn(sneaker());
    let step = first.snapshots.steps().nth(2).unwrap();
    let then = first.snapshots.at(&original(&first.recipe), step).unwrap().unwrap();
    let from = Recipe { until: Some(step), ..first.recipe.clone() };
    let mask = Some(Estimator::AbsSumGrad);
    let other = Recipe { method: "ga".into(), mask, density: 0.2, steps: Some(6), ..sneaker() };
    let branch = client.unlearn(other.clone().going_on(&from));
    let report = &branch.report;
    assert_eq!(report.mask.as_ref().unwrap().frozen_changed, 0);
    assert!(branch.mask.as_ref().unwrap().frozen_changed(&then, branch.model.weights()) == 0);
    assert_eq!(report.before, first.report.before, "it is measured against the unchanged model");
    assert!(report.notes.iter().any(|note| note.contains(&format!("goes on from update {step}"))));
    assert_ne!(hash(&branch), hash(&client.unlearn(other)));
    // The recipe alone, on an engine that has made none of it; and from there once more.
    let text = branch.recipe.to_toml().unwrap();
    let recipe = Recipe::parse(&text, "recipe").unwrap();
    let mut fresh = Client::new(DeviceChoice::Cpu);
    let again = fresh.unlearn(recipe);
    assert_eq!(hash(&again), hash(&branch));
    let on = |run: &Run| Recipe { seed: 9, ..sneaker() }.going_on(&run.recipe);
    let [one, two] = [client.unlearn(on(&branch)), fresh.unlearn(on(&again))];
    assert_eq!(hash(&one), hash(&two));
    assert_ne!(hash(&one), hash(&branch));
}

#[test]
fn a_step_is_kept_as_the_model_and_undone_to_the_bit() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let whole = client.unlearn(sneaker());
    let step = whole.snapshots.steps().next().unwrap();
    let part = client.unlearn(Recipe { until: Some(step), ..sneaker() });
    let then = whole.snapshots.at(&original(&whole.recipe), step).unwrap().unwrap();
    assert_eq!(hash(&part), then.hash());
    let adopt = Job::Adopt { run: part.clone(), seed: 1, budget: Budget::Tiny };
    let Outcome::Opened(kept) = client.run(adopt) else { panic!("no model") };
    let noop = Recipe {
        method: "noop".into(),
        batch: None,
        ..request("fashion-classifier", "fashion-mnist", "class:Bag", 1)
    };
    let noop = Recipe { steps: None, ..noop };
    let of = |after: &[Recipe]| Recipe { after: after.to_vec(), ..noop.clone() };
    assert_eq!(hash(&client.unlearn(of(&kept.after))), then.hash());
    // Undo is to open the model before; and an engine that adopted nothing comes to the same by the recipe.
    let untouched = original(&whole.recipe).hash();
    assert_eq!(hash(&client.unlearn(of(&[]))), untouched);
    assert_eq!(hash(&Client::new(DeviceChoice::Cpu).unlearn(of(&kept.after))), then.hash());
    // A branch of it is a model, too.
    let branch = client.unlearn(Recipe { seed: 3, ..sneaker() }.going_on(&part.recipe));
    let adopt = Job::Adopt { run: branch.clone(), seed: 1, budget: Budget::Tiny };
    let Outcome::Opened(kept) = client.run(adopt) else { panic!("no model") };
    assert_eq!(hash(&Client::new(DeviceChoice::Cpu).unlearn(of(&kept.after))), hash(&branch));
}

#[test]
fn what_is_remembered_of_a_run_is_not_made_again() {
    let first = Client::new(DeviceChoice::Cpu).unlearn(sneaker());
    let step = first.snapshots.steps().nth(1).unwrap();
    let until = Recipe { until: Some(step), ..sneaker() };
    // Losses that no training gives tell that none was made.
    let mut log = first.log.clone();
    log.iter_mut().for_each(|line| line.loss = -1.0);
    let past = Past { snapshots: first.snapshots.clone(), log };
    let mut client = Client::new(DeviceChoice::Cpu);
    client.run(Job::Remember { recipe: sneaker(), past: past.clone(), model: None });
    let found = client.unlearn(until.clone());
    assert!(found.log.iter().all(|line| line.loss == -1.0) && found.log.len() == step);
    // Those of other weights are none of this run's, and it is made.
    let scratch = Scratch::new("remembered");
    let model = scratch.keep("own.safetensors", &scratch.classifier());
    let other = Recipe { model, ..until };
    client.run(Job::Remember { recipe: other.whole(), past, model: None });
    assert!(client.unlearn(other).log.iter().all(|line| line.loss >= 0.0));
}

#[test]
fn runs_that_cannot_be_gone_on_from_are_told() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let short = |until| Recipe { until: Some(until), ..sneaker() };
    for (recipe, named) in [
        (short(9_999), "until"),
        (sneaker().going_on(&short(9_999)), "until"),
        (
            Recipe { method: "retrain".into(), steps: Some(2), ..sneaker() }.going_on(&short(2)),
            "branch",
        ),
        (
            Recipe { method: "ssd".into(), steps: None, batch: None, ..sneaker() }
                .going_on(&short(2)),
            "branch",
        ),
        (Recipe { forget: "class:Bag".into(), ..sneaker() }.going_on(&short(2)), "branch"),
    ] {
        let error = client.answer(Job::Unlearn(recipe)).unwrap_err().to_string();
        assert!(error.contains(named) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn the_command_line_branches_from_a_folder_and_repeats_it_by_the_recipe_alone() {
    let scratch = Scratch::new("branch");
    let flags = "--model fashion-classifier --data fashion-mnist --forget class:Sneaker --budget tiny --steps 16 \
                 --batch 8";
    done(&scratch.run(&format!("unlearn {flags} --out one")));
    let line = "--branch one@4 --density 0.2 --seed 7";
    let report = json(&scratch.run(&format!("unlearn {line} --out two --json")));
    assert_eq!(report["mask"]["frozen_changed"], 0);
    done(&scratch.run("unlearn two/recipe.toml --out three"));
    std::fs::remove_file(scratch.path("one/snapshots.safetensors")).unwrap();
    done(&scratch.run(&format!("unlearn {line} --out four")));
    let read = |dir: &str| std::fs::read(scratch.path(dir).join("model.safetensors")).unwrap();
    assert!(read("two") == read("three") && read("two") == read("four"));
    assert!(read("two") != read("one"));
    std::fs::write(scratch.path("one/snapshots.safetensors"), b"no").unwrap();
    let refused = scratch.run(&format!("unlearn {line} --out five"));
    assert!(refused.stderr.contains("snapshots.safetensors"), "{}", refused.stderr);
}

#[test]
fn a_sitting_that_was_killed_is_found_by_the_next_and_one_that_lives_is_not() {
    if !alone("time::a_sitting_that_was_killed_is_found_by_the_next_and_one_that_lives_is_not") {
        return;
    }
    let scratch = Scratch::new("sittings");
    // SAFETY: this process is for this test alone.
    unsafe { std::env::set_var("SALUN_DATA", scratch.path("data")) };
    let place = scratch.path("data/recovered");
    let sitting = |name: &str| place.join(format!("sitting-{name}"));
    // What a process left that was killed: its lock is free.
    let memory = sitting("1").join("memory");
    std::fs::create_dir_all(&memory).unwrap();
    std::fs::write(sitting("1").join("lock"), "").unwrap();
    for (name, bytes) in [("shown", "a"), ("run-x", "bcd"), (".half-written", "e")] {
        std::fs::write(memory.join(name), bytes).unwrap();
    }
    assert_eq!(recovery::remembered(), Some(sitting("1")));
    let mut files = recovery::recall(&sitting("1")).unwrap();
    files.sort();
    assert_eq!(files, [("run-x".into(), b"bcd".to_vec()), ("shown".into(), b"a".to_vec())]);
    assert!(recovery::left().is_empty() && memory.is_dir(), "what can be brought back stays");
    // Its own is locked, and is none that has ended.
    let own = Recovery::default();
    own.remember("run-y", b"1").unwrap();
    own.remember("shown", b"2").unwrap();
    own.remember("run-y", b"3").unwrap();
    assert_eq!(recovery::remembered(), Some(sitting("1")));
    let of_this = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(&format!("sitting-{}", std::process::id()))
    };
    let mut folders = std::fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
    let mine = folders.find(of_this).expect("its own folder");
    assert_eq!(std::fs::read(mine.join("memory/run-y")).unwrap(), b"3");
    own.forget("run-y");
    assert!(!mine.join("memory/run-y").exists());
    recovery::discard(&sitting("1"), None);
    recovery::discard(&mine, None);
    assert!(!sitting("1").exists() && mine.exists(), "a living one stays");
    own.end(true);
    assert!(mine.join("memory/shown").is_file());
    drop(own);
    assert_eq!(recovery::remembered(), Some(mine.clone()));
    let again = Recovery::default();
    again.end(false);
    // A run that was kept and did not come back stays, and is offered as before.
    std::fs::create_dir_all(mine.join("a-run")).unwrap();
    for file in ["recipe.toml", "report.json"] {
        std::fs::write(mine.join("a-run").join(file), "{}").unwrap();
    }
    recovery::discard(&mine, Some(&["hash".into()]));
    assert_eq!((recovery::remembered(), recovery::left()), (None, vec![mine.join("a-run")]));
    recovery::discard(&mine, None);
    assert!(!mine.exists());
}

#[test]
fn states_of_killed_windows_are_found_taken_over_and_let_go_of() {
    if !alone("time::states_of_killed_windows_are_found_taken_over_and_let_go_of") {
        return;
    }
    let scratch = Scratch::new("states");
    // SAFETY: this process is for this test alone.
    unsafe { std::env::set_var("SALUN_DATA", scratch.path("data")) };
    let sitting = |n: usize| scratch.path("data/recovered").join(format!("sitting-{n}"));
    let states: Vec<_> = (1..=2)
        .map(|n| {
            std::fs::create_dir_all(sitting(n)).unwrap();
            std::fs::write(sitting(n).join("lock"), "").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(20));
            let state = sitting(n).join(format!("running-{n}.state"));
            std::fs::write(&state, "1").unwrap();
            state
        })
        .collect();
    assert!(recovery::left().is_empty(), "no run is whole");
    assert_eq!(recovery::interrupted(), [states[1].clone(), states[0].clone()]);
    let own = Recovery::default();
    let recipe = Recipe::new("fashion-classifier", "fashion-mnist", "class:Bag");
    let other = Recipe { seed: 7, ..recipe.clone() };
    assert_ne!(own.state(&recipe).unwrap(), own.state(&other).unwrap());
    let print = Fingerprint { classes: vec!["a".into()], pictures: 1, sha256: "b".into() };
    let ended = Recipe { fingerprint: Some(print), ..recipe.clone() };
    assert_eq!(own.state(&recipe).unwrap(), own.state(&ended).unwrap(), "when it has ended, too");
    let taken = own.take_state(&states[1], &recipe);
    assert_eq!(taken, own.state(&recipe).unwrap());
    assert!(taken.is_file() && !sitting(2).exists(), "an ended one that is empty goes");
    assert_eq!(recovery::interrupted(), [states[0].clone()], "those of a living one are its own");
    // What else a sitting left was brought back.
    recovery::discard(&sitting(1), Some(&[]));
    assert!(states[0].is_file());
    recovery::forget_state(&states[0]);
    assert!(!sitting(1).exists());
    own.end(true);
    assert!(!taken.exists(), "closing ends a run");
}
