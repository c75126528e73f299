//! What a link asks of the studio.

use crate::studio::played::{state, unlearn_recipe};
use salun_studio::engine::Job;
use salun_studio::run::Link;
use salun_studio::studio::{Content, Pane};

#[test]
fn a_link_opens_its_model_picks_its_class_and_runs() {
    let (mut state, played) = state();
    let text =
        "model=fashion-classifier&forget=class%3ABag&density=0.2&seed=4&steps=40&at=20&run=1";
    state.follow(Link::parse(text).unwrap()).unwrap();
    assert_eq!(state.session().link().query(), text);
    let asked = played.asked().1;
    assert!(matches!(asked, Job::Open { model, seed: 4, .. } if model == "fashion-classifier"));
    played.answer();
    state.poll();
    assert!(matches!(played.asked().1, Job::Rank(recipe) if recipe.forget == "class:Bag"));
    played.answer();
    state.poll();
    let (_, job) = played.asked();
    let recipe = unlearn_recipe(&job);
    assert_eq!((recipe.density, recipe.steps, recipe.seed), (0.2, Some(40), 4));
    played.answer();
    state.poll();
    assert!(matches!(state.session().content(Pane::After), Content::Grid(_, Some(20))));
    // What is shared now is what was asked for, held at the same place, and waits for Forget.
    assert_eq!(state.session().link().query(), text.replace("&run=1", ""));
}

#[test]
fn a_link_that_asks_for_what_is_not_there_says_so_and_opens_the_rest() {
    let (mut state, played) = state();
    let link = Link::parse("forget=class%3ASneeker&density=0.3").unwrap();
    state.follow(link).unwrap();
    played.answer();
    state.poll();
    assert!(state.error.as_ref().is_some_and(|e| e.contains("did you mean 'Sneaker'")));
    assert!(state.session().opened.is_some() && state.session().request.density == 0.3);
    let share = Link::parse("forget=random%3A10%25").unwrap();
    state.follow(share).unwrap();
    played.answer();
    state.poll();
    assert!(state.error.is_some(), "the diffusion model forgets no share");
    assert!(state.follow(Link::parse("model=../../x").unwrap()).is_err());
}
