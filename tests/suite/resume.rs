//! A run that was stopped goes on from its state to the bytes of one that was not.

use std::{fs, path::Path};

use crate::binary::Scratch;
use crate::common::{Client, alone, vulkan};
use salun_studio::engine::{Event, Found, Job, Outcome, Run, StateFile};
use salun_studio::error::{Error, Result};
use salun_studio::gpu::{DeviceChoice, DeviceKind};
use salun_studio::words::{Budget, Estimator, Recipe, Report};

fn recipe(model: &str, data: &str, forget: &str) -> Recipe {
    let (budget, steps) = (Budget::Tiny, Some(12));
    Recipe { budget, steps, ..Recipe::new(model, data, forget) }
}

pub fn classes() -> Recipe {
    recipe("fashion-classifier", "fashion-mnist", "class:Sneaker")
}

fn run(outcome: Outcome) -> std::sync::Arc<Run> {
    outcome.try_as_unlearned().expect("a run")
}

/// Stops a run after its first update, or soon after.
pub fn stop(client: &mut Client, recipe: &Recipe, path: &Path, resume: bool) {
    let switches = client.engine.switches.clone();
    let file = StateFile { path: path.into(), resume, at_stop: true };
    let stopped = client.heard(Job::UnlearnKept(recipe.clone(), file), |event| {
        if matches!(event, Event::Step { .. }) {
            switches.cancel();
        }
    });
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
}

fn go_on(client: &mut Client, recipe: &Recipe, path: &Path) -> Result<Outcome> {
    let file = StateFile { path: path.into(), resume: true, at_stop: true };
    client.answer(Job::UnlearnKept(recipe.clone(), file))
}

/// Holds a run that was stopped twice against one that was not.
fn holds(client: &mut Client, name: &str, recipe: &Recipe) {
    let scratch = Scratch::new(name);
    let path = scratch.path("run.state");
    let whole = client.unlearn(recipe.clone());
    // An engine that remembers nothing of it, where a process may have another.
    let on_cpu = client.engine.info.kind == DeviceKind::Cpu;
    let mut fresh = on_cpu.then(|| Client::new(DeviceChoice::Cpu));
    let client = fresh.as_mut().unwrap_or(client);
    stop(client, recipe, &path, false);
    let first = Found::open(&path).unwrap().step();
    stop(client, recipe, &path, true);
    let second = Found::open(&path).unwrap().step();
    assert!(0 < first && first < second && second < whole.log.len(), "{first}, {second}");
    let resumed = run(go_on(client, recipe, &path).unwrap());
    let weights = |run: &Run| run.model.weights().hash();
    assert_eq!(weights(&resumed), weights(&whole), "{name}");
    let losses = |run: &Run| run.log.iter().map(|l| (l.step, l.loss)).collect::<Vec<_>>();
    assert_eq!(losses(&resumed), losses(&whole), "{name}");
    let steps = |run: &Run| run.snapshots.steps().collect::<Vec<_>>();
    assert_eq!(steps(&resumed), steps(&whole), "{name}");
    assert_eq!(resumed.report.after, whole.report.after, "{name}");
    let frozen = |run: &Run| run.report.mask.as_ref().map(|mask| mask.frozen_changed);
    assert_eq!(frozen(&resumed), frozen(&whole), "{name}");
    assert!(frozen(&whole).is_none_or(|n| n == 0) || recipe.knobs.contains_key("drift"));
}

#[test]
fn classifiers_go_on_by_every_kind_of_method() {
    // Moments of free weights, of all, what a method carries, teachers, a network that grows, weight decay on
    // frozen weights, a start of its own.
    for (method, mask, knob) in [
        ("salun", None, None),
        ("salun", Some(Estimator::Random), Some("drift=1")),
        ("salun-soft", None, None),
        ("scrub", None, None),
        ("be", Some(Estimator::SumAbsGrad), None),
        ("retrain", None, None),
    ] {
        let mut recipe = Recipe { method: method.into(), mask, ..classes() };
        if let Some(knob) = knob {
            recipe.set(knob).unwrap();
        }
        holds(&mut Client::new(DeviceChoice::Cpu), &format!("resume-{method}"), &recipe);
    }
}

#[test]
fn diffusion_models_and_prompts_go_on() {
    for (name, recipe) in [
        ("ddpm", recipe("fashion-ddpm", "fashion-mnist", "class:Sneaker")),
        (
            "ddpm-sfr",
            Recipe {
                method: "sfr-on".into(),
                ..recipe("fashion-ddpm", "fashion-mnist", "class:Bag")
            },
        ),
        ("t2i", recipe("emoji-t2i", "emoji", "prompt:a cat")),
    ] {
        holds(&mut Client::new(DeviceChoice::Cpu), &format!("resume-{name}"), &recipe);
    }
}

#[test]
fn a_run_on_a_gpu_goes_on_there() {
    if !vulkan() || !alone("resume::a_run_on_a_gpu_goes_on_there") {
        return;
    }
    let gpu = &mut Client::new(DeviceChoice::Gpu);
    holds(gpu, "resume-gpu", &classes());
    // And on the CPU, where the moments lie otherwise: with the same mask, and that is said.
    let scratch = Scratch::new("resume-elsewhere");
    let path = scratch.path("run.state");
    stop(gpu, &classes(), &path, false);
    let resumed = run(go_on(&mut Client::new(DeviceChoice::Cpu), &classes(), &path).unwrap());
    let Report { mask, notes, .. } = &resumed.report;
    assert_eq!(mask.as_ref().unwrap().frozen_changed, 0);
    assert!(notes.iter().any(|note| note.starts_with("the run was begun by ")), "{notes:?}");
}

#[test]
fn a_state_of_something_else_is_refused_in_one_line() {
    let scratch = Scratch::new("resume-other");
    let path = scratch.path("run.state");
    let client = &mut Client::new(DeviceChoice::Cpu);
    let line = |client: &mut Client, recipe: &Recipe| {
        let error = go_on(client, recipe, &path).unwrap_err().to_string();
        assert!(error.contains("run.state") && error.lines().count() == 1, "{error}");
        error
    };
    assert!(line(client, &classes()).contains("there is no state to go on from"));
    stop(client, &classes(), &path, false);
    let whole = fs::read(&path).unwrap();
    let denser = Recipe { density: 0.7, ..classes() };
    assert!(line(client, &denser).contains("density was 0.5, now 0.7"));

    // Cut short, of zeros, of another length, without a vector, with a number that is none, another log.
    let at = |text: &str| whole.windows(text.len()).position(|w| w == text.as_bytes()).unwrap();
    let swapped = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = at(from);
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    let mut infinite = whole.clone();
    // The first number behind the list of tensors.
    let first = 8 + usize::from_le_bytes(*whole.first_chunk().unwrap());
    infinite[first..first + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    for (what, bytes) in [
        ("not a whole safetensors file", whole[..whole.len() / 2].to_vec()),
        ("not a whole safetensors file", b"not a state".to_vec()),
        ("not a whole safetensors file", vec![0; 4096]),
        ("': is missing", swapped("\"first.", "\"worst.")),
        ("is not a finite number", infinite),
        ("is not the state of a run", swapped("salun-run-state", "salun-ran-state")),
        ("its log is not that of its updates", {
            let (mut bytes, step) = (whole.clone(), at("\"step\\\":"));
            bytes[step..]
                .iter_mut()
                .find(|b| b.is_ascii_digit())
                .into_iter()
                .for_each(|b| *b = b'7');
            bytes
        }),
    ] {
        fs::write(&path, bytes).unwrap();
        let said = line(client, &classes());
        assert!(said.contains(what), "{said}");
    }
    fs::write(&path, &whole).unwrap();
    run(go_on(client, &classes(), &path).unwrap());
}
