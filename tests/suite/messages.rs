//! Messages between a studio and its engine arrive as they were sent.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use salun_studio::engine::{Command, Event, Job, Outcome};
use salun_studio::error::Error;
use salun_studio::models::{AnyModel, registry};
use salun_studio::saliency::Scores;
use salun_studio::wire::{pack, unpack};
use salun_studio::words::{Estimator, Recipe, Redirect};

fn there_and_back<T: Serialize + DeserializeOwned>(message: &T) -> T {
    unpack(&pack(message).unwrap()).unwrap()
}

#[test]
fn a_command_arrives_as_it_was_sent() {
    let recipe = Recipe {
        redirect: Redirect::Class("Bag".into()),
        mask: Some(Estimator::Random),
        lr: Some(0.1),
        ..Recipe::new("fashion-ddpm", "fashion-mnist", "class:Sneaker")
    };
    let sent = Command::Start { id: 7, job: Box::new(Job::Unlearn(recipe.clone())) };
    let Command::Start { id: 7, job } = there_and_back(&sent) else { panic!("another command") };
    assert!(matches!(*job, Job::Unlearn(arrived) if arrived == recipe));
    assert!(matches!(there_and_back(&Command::Pause(true)), Command::Pause(true)));
}

#[test]
fn a_model_and_its_scores_arrive_bit_for_bit() {
    for shipped in ["fashion-classifier", "fashion-ddpm"] {
        let model = registry::open(shipped).unwrap();
        let sent = Arc::new(AnyModel::Plain(model.clone().into()));
        let event = Event::Done { id: 1, outcome: Outcome::Trained(sent) };
        let Event::Done { outcome: Outcome::Trained(arrived), .. } = there_and_back(&event) else {
            panic!("another event")
        };
        let arrived = arrived.plain().unwrap();
        assert_eq!(arrived.card, model.card);
        assert_eq!(arrived.weights.hash(), model.weights.hash());
        assert_eq!(arrived.unet().is_some(), model.unet().is_some());

        let ranking = Scores::random(model.weights.layout.clone(), "class:0", 1);
        let mask = ranking.mask(0.0).unwrap();
        let arrived: Scores = there_and_back(&ranking);
        assert_eq!(arrived.scores, ranking.scores);
        assert_eq!(arrived.mask(0.5).unwrap().hash(), ranking.mask(0.5).unwrap().hash());
        // Its threshold is infinite.
        assert_eq!(there_and_back(&mask).threshold.to_bits(), mask.threshold.to_bits());
    }
}

#[test]
fn failures_keep_their_words_and_broken_bytes_are_refused() {
    let error = Error::argument("density", 2.0, "a share from 0 to 1 is needed");
    let failed = Event::Failed { id: 3, error: error.clone() };
    let Event::Failed { error: arrived, .. } = there_and_back(&failed) else {
        panic!("another event")
    };
    assert_eq!(arrived.to_string(), error.to_string());
    let bytes = pack(&failed).unwrap();
    for n in 0..bytes.len() {
        assert!(unpack::<Event>(&bytes[..n]).is_err());
    }
}
