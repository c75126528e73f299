//! What is recorded of the unchanged shipped models is what they draw.

use std::{fs, path::PathBuf};

use crate::common::Client;
use salun_studio::data::corpus;
use salun_studio::data::corpus::Pair;
use salun_studio::engine::{Job, Known, Outcome, TIMES};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::{AnyModel, open_latent, registry};
use salun_studio::wire;
use salun_studio::words::{Budget, Recipe, SampleOptions, Task};

/// How the brief budget samples with the first seed.
fn options(task: Task) -> SampleOptions {
    let steps = Budget::Brief.sizes().sampler[task as usize];
    SampleOptions { steps, ..SampleOptions::default() }
}

/// Where a shipped model's record lies.
fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "assets/recorded", &format!("{name}.known")].iter().collect()
}

/// Checks that what is recorded of a shipped model is of its weights and of how they are drawn.
fn assert_recorded(name: &str) {
    let bytes = fs::read(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let known: Known = wire::inflate(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!known.is_empty(), "{name}: nothing is recorded");
    let is_of = if registry::is_latent(name) {
        let model = open_latent(name).unwrap();
        let weights = model.parts();
        known.is_of(&weights, &options(Task::TextToImage))
    } else {
        let model = registry::open(name).unwrap();
        known.is_of(&[&model.weights], &options(Task::Generate))
    };
    assert!(is_of, "{name}: recorded of other weights, or of pictures drawn in another way");
}

/// Draws and writes what is known of a shipped model.
fn record(client: &mut Client, name: &str) -> Known {
    let latent = registry::is_latent(name);
    let options = options(if latent { Task::TextToImage } else { Task::Generate });
    if latent {
        let model = AnyModel::Latent(open_latent(name).unwrap().into());
        let survey = Job::Survey { model: name.into(), concepts: usize::MAX, n: TIMES, options };
        let Outcome::Surveyed(survey) = client.run(survey) else { unreachable!() };
        let corpus = corpus::open().unwrap();
        let caption = |concept, style| corpus.caption(Pair { concept, style });
        return Known::of_survey(&model, &options, &survey, caption).expect("somebody judges");
    }
    let model = AnyModel::Plain(registry::open(name).unwrap().into());
    let n = Budget::Brief.sizes().measured[Task::Generate as usize].most[0];
    let sample = Job::Sample { model: name.into(), class: None, n, options };
    let Outcome::Sampled(grid) = client.run(sample) else { unreachable!() };
    Known::of_classes(&model, &options, &grid)
}

#[test]
fn what_is_known_of_the_shipped_models_is_what_they_draw() {
    let mut client = Client::new(DeviceChoice::Cpu);
    if std::env::var_os("SALUN_RECORD").is_some() {
        for name in ["fashion-ddpm", "fashion-ddpm-retrain-sneaker", "emoji-t2i"] {
            fs::write(file(name), wire::deflate(&record(&mut client, name)).unwrap()).unwrap();
        }
        return;
    }
    assert_recorded("fashion-ddpm-retrain-sneaker");
    // Of a run that changes nothing, all that is measured before is known, and all after is drawn.
    for (model, data, forget) in
        [("fashion-ddpm", "fashion-mnist", "class:Bag"), ("emoji-t2i", "emoji", "prompt:a cat")]
    {
        assert_recorded(model);
        let budget = Budget::Brief;
        let recipe = Recipe { method: "noop".into(), budget, ..Recipe::new(model, data, forget) };
        let run = client.unlearn(recipe);
        let (before, after) = (&run.report.before, &run.report.after);
        assert_eq!(before.n, after.n);
        for (known, drawn) in [(before.UA, after.UA), (before.RA, after.RA), (before.TA, after.TA)]
        {
            // On another processor a picture or two lie where classes meet.
            assert!((known - drawn).abs() < 4.0, "{model}: {known} is recorded, {drawn} is drawn");
        }
    }
}
