//! What earlier versions wrote still opens and means what it meant. `tests/fixtures/old/run` is a run folder from
//! before files carried a format version, without its pictures.

use std::path::Path;

use crate::common::Client;
use salun_studio::engine::{Job, Outcome};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::AnyModel;
use salun_studio::run::{Link, folder};
use salun_studio::saliency::Mask;
use salun_studio::words::{Budget, Estimator, Recipe};

#[test]
fn an_old_run_folder_opens_and_measures_as_it_did() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old/run");
    // Its report's hashes are compared on the way.
    let saved = folder::read(&dir).unwrap();
    let AnyModel::Plain(model) = saved.model else { panic!("a classifier") };
    assert_eq!((&*saved.recipe.forget, saved.recipe.budget), ("class:Sneaker", Budget::Tiny));
    assert_eq!(model.card.unlearned[0].forget, "class:Sneaker");
    let report = saved.report;
    let mask = Mask::given(dir.join("mask.safetensors").to_str().unwrap(), &model.weights.layout);
    let found = report.mask.unwrap();
    assert_eq!(mask.unwrap().bits.ones(), found.k);

    let job = Job::Evaluate { model, recipe: saved.recipe };
    let Outcome::Measured(now) = Client::new(DeviceChoice::Cpu).run(job) else { panic!() };
    let then = report.after;
    // One picture more or less, where sums are taken in another order.
    for (now, then) in [(now.UA, then.UA), (now.RA, then.RA), (now.TA, then.TA)] {
        assert!((now - then).abs() < 5.6, "{now} was {then}");
    }
    assert_eq!(now.n, then.n);
}

#[test]
fn old_recipes_and_links_mean_what_they_meant() {
    let text = "model = \"fashion-ddpm\"\ndata = \"fashion-mnist\"\nforget = \"class:Bag\"\nmethod = \"salun\"\n\
                density = 0.5\nalpha = 0.25\nredirect = \"next\"\nbudget = \"quick\"\nseed = 7\n";
    let recipe = Recipe::parse(text, "recipe.toml").unwrap();
    assert_eq!((recipe.seed, recipe.knobs.get("alpha")), (7, Some(&0.25)));
    let link =
        "model=fashion-classifier&forget=class%3ASneaker&mask=inverted&density=0.3&seed=2&run=1";
    let link = Link::parse(link).unwrap();
    let recipe = Recipe {
        mask: Some(Estimator::Inverted),
        density: 0.3,
        seed: 2,
        ..Recipe::new("fashion-classifier", "fashion-mnist", "class:Sneaker")
    };
    assert_eq!((link.recipe, link.run), (recipe, true));
}
