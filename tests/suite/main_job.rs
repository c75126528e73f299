//! The main job through the engine: repeatable on one device, the same on two.

use std::{path::Path, sync::Arc};

use crate::{
    binary::{Scratch, bytes},
    common::{Client, alone, vulkan},
};
use salun_studio::data;
use salun_studio::engine::{Command, Engine, Event, Job, Outcome, Run};
use salun_studio::gpu::{DeviceChoice, DeviceKind, device};
use salun_studio::train::TrainRequest;
use salun_studio::words::{Budget, Estimator, Recipe, Report, SampleOptions};

/// A folder with `each` real pictures of every class.
fn pictures(to: &Path, each: usize) -> String {
    let data = data::open("fashion-mnist").unwrap();
    for class in 0..10 {
        let folder = to.join(format!("{class}"));
        std::fs::create_dir_all(&folder).unwrap();
        let of_class = (0..data.train.len()).filter(|&i| data.train.labels[i] == class);
        for i in of_class.take(each) {
            let picture =
                image::GrayImage::from_raw(28, 28, data.train.picture(i).to_vec()).unwrap();
            picture.save(folder.join(format!("{i}.png"))).unwrap();
        }
    }
    format!("folder:{}", to.display())
}

/// A small classifier, trained for a moment.
fn small_classifier(data: &str, scratch: &Scratch) -> String {
    let request = TrainRequest {
        preset: "fashion-classifier".into(),
        data: data.into(),
        steps: Some(60),
        batch: Some(64),
        width: Some(4),
        seed: 1,
        ..TrainRequest::default()
    };
    let job = Job::Train { request, resume: None };
    let Outcome::Trained(model) = Client::new(DeviceChoice::Cpu).run(job) else {
        panic!("no model")
    };
    scratch.keep("small.safetensors", model.plain().unwrap())
}

fn check_mask(run: &Run) {
    let mask = run.report.mask.as_ref().expect("a mask");
    let bits = run.mask.as_ref().unwrap();
    assert_eq!(mask.k, (mask.n as f64 * mask.density) as usize);
    assert_eq!(bits.bits.ones(), mask.k);
    assert_eq!(mask.layers.iter().map(|l| l.kept).sum::<usize>(), mask.k);
    assert_eq!(mask.frozen_changed, 0);
    let moved = bits.bits.iter().zip(&run.change.values);
    assert!(moved.filter(|(bit, _)| !bit).all(|(_, change)| *change == 0.0));
}

#[test]
fn one_recipe_gives_the_same_bytes_twice_on_the_cpu() {
    let classify = Recipe {
        steps: Some(8),
        batch: Some(64),
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Sneaker")
    };
    let mut generate = Recipe {
        steps: Some(3),
        batch: Some(8),
        ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
    };
    generate.sampling = Some(SampleOptions { steps: 2, ..Default::default() });
    for recipe in [classify, generate] {
        let runs = [0, 1].map(|_| Client::new(DeviceChoice::Cpu).unlearn(recipe.clone()));
        assert!(
            bytes(runs[0].model.plain().unwrap()) == bytes(runs[1].model.plain().unwrap()),
            "{}",
            recipe.model
        );
        let masks = [0, 1].map(|i| runs[i].mask.as_ref().unwrap().hash());
        assert_eq!(masks[0], masks[1]);
        assert_eq!(runs[0].after, runs[1].after);
        runs.iter().for_each(|run| check_mask(run));

        let control = Client::new(DeviceChoice::Cpu).unlearn(recipe.random_control());
        check_mask(&control);
        let [ours, theirs] = [&runs[0], &control].map(|r| r.mask.as_ref().unwrap());
        assert_eq!(ours.k, theirs.k);
        assert!(ours.overlap(theirs) < 0.5, "the control's mask is another one");
    }
}

#[test]
fn the_cpu_and_vulkan_agree_on_a_tiny_recipe() {
    if !vulkan() || !alone("main_job::the_cpu_and_vulkan_agree_on_a_tiny_recipe") {
        return;
    }
    let scratch = Scratch::new("agree");
    let data = pictures(&scratch.path("pictures"), 120);
    let model = small_classifier(&data, &scratch);
    let mut clients = [DeviceChoice::Cpu, DeviceChoice::Gpu].map(Client::new);
    let recipe =
        Recipe { steps: Some(4), batch: Some(64), ..Recipe::new(&model, &data, "class:7") };
    let [a, b] = agree(&mut clients, &recipe);
    for (x, y) in [(&a.before, &b.before), (&a.after, &b.after)] {
        for (x, y) in [(x.UA, y.UA), (x.RA, y.RA), (x.TA, y.TA)] {
            // A picture or two lie where the classes meet.
            assert!((x - y).abs() <= 2.0, "{x} and {y}");
        }
    }
    let mut recipe = Recipe {
        steps: Some(3),
        batch: Some(8),
        budget: Budget::Tiny,
        ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
    };
    recipe.sampling = Some(SampleOptions { steps: 2, ..Default::default() });
    agree(&mut clients, &recipe);
}

#[test]
fn after_a_gpu_is_lost_the_cpu_goes_on() {
    if !vulkan() || !alone("main_job::after_a_gpu_is_lost_the_cpu_goes_on") {
        return;
    }
    let compute = device::open(DeviceChoice::Gpu).unwrap();
    let (setup, name) = (compute.setup.clone().expect("a GPU"), compute.info.name.clone());
    let engine = Engine::spawn(compute);
    let is_lost = || device::is_lost(&setup.device, &setup.queue);
    assert!(!is_lost());
    setup.device.destroy();
    assert!(is_lost(), "a window that draws on it begins anew");
    let open = |id| {
        let (model, seed, budget) = ("fashion-classifier".into(), 1, Budget::Tiny);
        engine.tell(Command::Start { id, job: Box::new(Job::Open { model, seed, budget }) });
        let mut devices = Vec::new();
        loop {
            match engine.wait().expect("the engine lives") {
                Event::Ready(device) => devices.push(device),
                Event::Done { outcome, .. } => return (Some(outcome), devices),
                Event::Failed { error, .. } => {
                    eprintln!("{error}");
                    return (None, devices);
                }
                _ => {}
            }
        }
    };
    assert!(open(1).0.is_none(), "the GPU is lost");
    let (outcome, devices) = open(2);
    assert!(matches!(outcome, Some(Outcome::Opened(_))));
    assert_eq!(
        devices.last().map(|d| (d.kind, &*d.why)),
        Some((DeviceKind::Cpu, &*format!("{name} was lost")))
    );
}

/// Runs a recipe on two devices: the same mask, and the same loss of every update.
fn agree(clients: &mut [Client; 2], recipe: &Recipe) -> [Report; 2] {
    let mut checks = [0; 2];
    let mut checks_of = checks.iter_mut();
    let [cpu, gpu] = clients.each_mut().map(|client| {
        let checks = checks_of.next().unwrap();
        let phase = |phase: &str| *checks += usize::from(phase.contains("Checking the GPU"));
        match client.told(Job::Unlearn(recipe.clone()), phase) {
            Ok(Outcome::Unlearned(run)) => run,
            other => panic!("{other:?}"),
        }
    });
    assert!(checks[0] == 0 && checks[1] > 0, "only a GPU is held against the CPU: {checks:?}");
    [&cpu, &gpu].into_iter().for_each(|run| check_mask(run));
    // The GPU's own selection is the one that the CPU makes of the same scores.
    let again = gpu.ranking.as_ref().unwrap().mask(recipe.density).unwrap();
    assert!(gpu.mask.as_ref().unwrap().bits == again.bits);
    let overlap = cpu.mask.as_ref().unwrap().overlap(gpu.mask.as_ref().unwrap());
    assert!(overlap >= 0.99, "mask overlap {overlap}");
    let losses = [&cpu, &gpu].map(|run| run.log.iter().map(|l| l.loss).collect::<Vec<_>>());
    eprintln!("{}: mask overlap {overlap:.4}, losses {losses:?}", recipe.model);
    let steps = cpu.report.training.steps;
    assert_eq!(losses.each_ref().map(Vec::len), [steps; 2]);
    for (a, b) in losses[0].iter().zip(&losses[1]) {
        assert!((a - b).abs() <= 0.02 * a.abs(), "losses {losses:?}");
    }
    [cpu, gpu].map(|run| run.report.clone())
}

#[test]
fn a_random_share_can_be_forgotten_and_no_mask_is_a_mask_of_everything() {
    let recipe = Recipe {
        steps: Some(4),
        batch: Some(64),
        method: "rl".into(),
        ..Recipe::new("fashion-classifier", "fashion-mnist", "random:10%")
    };
    let run = Client::new(DeviceChoice::Cpu).unlearn(recipe);
    assert!(run.mask.is_none() && run.report.mask.is_none());
    assert_eq!(run.report.forget.n, 5_400);
    assert_ne!(run.model.weights().hash(), {
        let original = salun_studio::models::registry::open("fashion-classifier").unwrap();
        original.weights.hash()
    });
}

#[test]
fn an_audit_of_the_original_finds_the_original() {
    let scratch = Scratch::new("audit");
    let data = pictures(&scratch.path("pictures"), 120);
    let name = small_classifier(&data, &scratch);
    let recipe = Recipe { budget: Budget::Tiny, ..Recipe::new(&name, &data, "random:10%") };
    let model = Arc::new(salun_studio::models::registry::open(&name).unwrap());
    let job = Job::Audit { retrain: Some(model.clone()), model, recipe };
    let Outcome::Audited(found) = Client::new(DeviceChoice::Cpu).run(job) else {
        panic!("no audit")
    };
    let (metrics, audit) = (&found.metrics, &found.audit);
    assert!(metrics.MIA.is_some() && metrics.MIA_n.iter().all(|n| *n > 0));
    let rows = metrics.confusion.iter().map(|row| row.iter().sum::<usize>());
    assert_eq!(rows.sum::<usize>(), metrics.n[2], "nothing is left out of TA");
    assert_eq!((&audit.run, audit.retrain.as_ref()), (&audit.original, Some(&audit.original)));
    let names: Vec<_> = audit.run.attacks.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["confidence", "entropy", "modified entropy", "RMIA"]);
    assert_eq!(audit.layers.len(), 9);
    for value in audit.layers.iter().flat_map(|l| l.original.into_iter().chain(l.retrain.unwrap()))
    {
        assert!((value.unwrap() - 1.0).abs() < 1e-9, "{value:?}");
    }
    assert_eq!(audit.divergence.unwrap().js, 0.0);
    let relearn = audit.run.relearn.as_ref().unwrap();
    assert_eq!(relearn.accuracy.len(), 3);
}

#[test]
fn density_zero_freezes_every_weight() {
    let recipe = Recipe {
        steps: Some(2),
        batch: Some(32),
        density: 0.0,
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Bag")
    };
    let run = Client::new(DeviceChoice::Cpu).unlearn(recipe);
    check_mask(&run);
    let original = salun_studio::models::registry::open("fashion-classifier").unwrap();
    assert_eq!(run.model.weights().values, original.weights.values);
}

#[test]
fn a_cancelled_job_ends_and_the_engine_goes_on() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let recipe = Recipe {
        mask: Some(Estimator::Random),
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Coat")
    };
    client.start(Job::Unlearn(recipe.clone()));
    // One that still waits is cancelled with it.
    client.start(Job::Unlearn(recipe));
    let (mut asked, mut ended) = (None, 0);
    loop {
        match client.engine.wait().unwrap() {
            Event::Progress { .. } | Event::Step { .. } if asked.is_none() => {
                asked = Some(std::time::Instant::now());
                client.engine.switches.cancel();
            }
            Event::Failed { error, .. } => {
                assert!(matches!(error, salun_studio::error::Error::Cancelled), "{error}");
                ended += 1;
                if ended == 2 {
                    break;
                }
            }
            Event::Done { .. } => panic!("it was cancelled"),
            _ => {}
        }
    }
    let model = "fashion-classifier".to_string();
    assert!(matches!(
        client.run(Job::Open { model, seed: 1, budget: Budget::Quick }),
        Outcome::Opened(_)
    ));
}
