//! Several requests one after another, and the way back.

use std::sync::Arc;

use crate::{
    binary::{Scratch, bytes},
    common::{Client, fresh},
};
use salun_studio::data;
use salun_studio::data::ForgetSet;
use salun_studio::engine::{Job, Opened, Outcome, Run};
use salun_studio::gpu::DeviceChoice;
use salun_studio::models::torch::{Format, export};
use salun_studio::models::{Architecture, Model, registry};
use salun_studio::words::{Budget, Estimator, Recipe};

impl Client {
    fn opened(&mut self, job: Job) -> Arc<Opened> {
        match self.run(job) {
            Outcome::Opened(opened) => opened,
            other => panic!("{other:?}"),
        }
    }

    fn adopt(&mut self, run: &Arc<Run>) -> Arc<Opened> {
        self.opened(Job::Adopt { run: run.clone(), seed: 1, budget: Budget::Tiny })
    }

    /// The weights behind a name, bit for bit: a run that does nothing gives them back.
    fn weights(&mut self, of: &Opened) -> String {
        let nothing = Recipe { method: "noop".into(), steps: None, ..request("class:Bag") };
        let run = self.unlearn(Recipe { after: of.after.clone(), ..nothing });
        assert_eq!(run.recipe.start(), of.name);
        run.model.weights().hash()
    }
}

/// A request to the shipped classifier, a little longer than the tiny budget's own.
fn request(forget: &str) -> Recipe {
    Recipe {
        budget: Budget::Tiny,
        steps: Some(64),
        ..Recipe::new("fashion-classifier", "fashion-mnist", forget)
    }
}

#[test]
fn what_was_forgotten_first_stays_forgotten_and_undo_is_exact() {
    let mut client = Client::new(DeviceChoice::Cpu);
    let open = Job::Open { model: "fashion-classifier".into(), seed: 1, budget: Budget::Tiny };
    let original = client.opened(open);
    let untouched = registry::open("fashion-classifier").unwrap().weights.hash();
    assert_eq!(client.weights(&original), untouched);

    let first = client.unlearn(request("class:Sneaker"));
    assert!(first.report.after.UA >= 90.0, "{:?}", first.report.after);
    let one = client.adopt(&first);
    assert_eq!((one.model(), one.after.len()), ("fashion-classifier", 1));
    assert_eq!(client.weights(&one), first.model.weights().hash());

    let second = client.unlearn(Recipe { after: one.after.clone(), ..request("class:Bag") });
    assert!(second.report.after.UA >= 90.0, "{:?}", second.report.after);
    let [earlier] = &second.report.earlier[..] else { panic!("{:?}", second.report.earlier) };
    eprintln!("{earlier:?}");
    assert_eq!(earlier.spec, "class:Sneaker");
    assert!(earlier.before >= 90.0 && earlier.after >= 90.0, "{earlier:?}");
    let forgotten: Vec<_> =
        second.model.plain().unwrap().card.unlearned.iter().map(|u| &*u.forget).collect();
    assert_eq!(forgotten, ["class:Sneaker", "class:Bag"]);
    assert_eq!(second.report.mask.as_ref().unwrap().frozen_changed, 0);

    let two = client.adopt(&second);
    assert_eq!(client.weights(&two), second.model.weights().hash());
    // Undo, twice.
    for (name, hash) in [(&one.name, first.model.weights().hash()), (&original.name, untouched)] {
        let job = Job::Open { model: name.clone(), seed: 1, budget: Budget::Tiny };
        let opened = client.opened(job);
        assert_eq!(client.weights(&opened), hash);
    }
    // The recipe alone leads to the same weights on an engine that has adopted nothing.
    let recipe = Recipe::parse(&second.recipe.to_toml().unwrap(), "recipe").unwrap();
    let again = Client::new(DeviceChoice::Cpu).unlearn(recipe);
    assert_eq!(again.model.weights().hash(), second.model.weights().hash());
    assert_eq!(again.report.earlier, second.report.earlier);
}

#[test]
fn a_model_of_which_something_was_said_takes_the_next_request() {
    let scratch = Scratch::new("said");
    let shipped = registry::open("fashion-classifier").unwrap();
    let file = scratch.path("own.pth");
    std::fs::write(&file, export::encode(&shipped, Format::Pth, true).unwrap()).unwrap();
    let model = format!("{}?normalize=fashion-mnist", file.display());
    let mut client = Client::new(DeviceChoice::Cpu);
    let asked = |forget: &str| Recipe { model: model.clone(), steps: Some(2), ..request(forget) };
    let first = client.unlearn(asked("class:Sneaker"));
    let one = client.adopt(&first);
    let second = client.unlearn(Recipe { after: one.after.clone(), ..asked("class:Bag") });
    assert_eq!(second.report.earlier[0].spec, "class:Sneaker");
}

#[test]
fn a_file_of_unlearned_weights_takes_the_next_request() {
    let scratch = Scratch::new("requests");
    let keep = |model: &Model| scratch.keep("model.safetensors", model);
    let path = keep(&scratch.classifier());
    let mut client = Client::new(DeviceChoice::Cpu);
    let short = |forget: &str| Recipe {
        model: path.clone(),
        steps: Some(2),
        mask: Some(Estimator::Random),
        ..request(forget)
    };
    // The items of a set that the next model's losses would choose otherwise are kept in the card.
    let first = client.unlearn(short("hardest:100"));
    keep(first.model.plain().unwrap());
    // Another engine: this one has read the file already.
    let second = Client::new(DeviceChoice::Cpu).unlearn(short("random:10%"));
    keep(second.model.plain().unwrap());
    let third = Client::new(DeviceChoice::Cpu).unlearn(short("items:0-99"));
    let earlier: Vec<_> = third.report.earlier.iter().map(|e| &*e.spec).collect();
    assert_eq!(earlier, ["hardest:100", "random:10%"]);
    // The hardest are those that the model gets wrong, and still are after so few steps.
    assert!(third.report.earlier[0].before > 50.0, "{:?}", third.report.earlier);

    let data = data::open("fashion-mnist").unwrap();
    let split = data.split(1);
    let card = &third.model.plain().unwrap().card;
    assert_eq!(card.unlearned.len(), 3);
    let hardest = card.unlearned[0].items.as_ref().unwrap();
    let hardest = ForgetSet::parse(&format!("items:{hardest}"), &data, &split, 1).unwrap();
    assert_eq!(hardest.forget.len(), 100);
    assert!(card.unlearned[1].items.is_none(), "it follows from the seed");
}

#[test]
fn weights_that_do_not_fit_the_pictures_they_name_are_told_and_not_run() {
    let scratch = Scratch::new("misfits");
    let mut client = Client::new(DeviceChoice::Cpu);
    let mut import = |model: &Model, name: &str| {
        let (name, bytes) = (name.into(), bytes(model).into());
        client.answer(Job::Import { name, bytes, seed: 1, budget: Budget::Tiny })
    };
    // Both say that they were trained on grey pictures.
    let colours = |of: Model| {
        let mut card = of.card;
        match &mut card.architecture {
            Architecture::Resnet(config) => {
                (config.channels, config.mean, config.std) = (3, vec![0.5; 3], vec![0.2; 3]);
            }
            Architecture::Unet(config) => config.channels = 3,
            other => panic!("{other:?}"),
        }
        fresh(card, 1)
    };
    let refused = import(&colours(scratch.classifier()), "colours.safetensors").unwrap_err();
    assert!(refused.to_string().contains("looks at 3 channels"), "{refused}");
    // Its samples can be seen, and nobody judges them.
    let opened = import(&colours(scratch.diffusion()), "pictures.safetensors").unwrap();
    let Outcome::Opened(opened) = opened else { panic!("{opened:?}") };
    assert_eq!(opened.grid.channels, 3);
    assert!(opened.grid.seen.iter().all(Option::is_none));
    let recipe = Recipe { model: "pictures.safetensors".into(), ..request("class:Bag") };
    for job in [Job::Rank(recipe.clone()), Job::Unlearn(recipe)] {
        let refused = client.answer(job).unwrap_err();
        assert!(refused.to_string().contains("3 channels"), "{refused}");
    }
}
