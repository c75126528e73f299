//! What the studio asks for, without a window.

use std::sync::Arc;

use crate::studio::{
    answers::{SNEAKER, layout, opened, ranking},
    played::{picked, state, unlearn_recipe},
};
use salun_studio::engine::{Event, Job};
use salun_studio::error::Error;
use salun_studio::studio::state::{JobKind, State};
use salun_studio::studio::{Arm, Choice, Content, Pane};
use salun_studio::words::{Budget, Estimator, ForgetKind, Redirect, Task};

#[test]
fn recorded_pictures_are_there_before_the_model() {
    let (mut state, played) = state();
    assert!(
        matches!(played.asked().1, Job::Open { model, seed: 1, .. } if model == "fashion-ddpm")
    );
    assert!(matches!(state.session().content(Pane::Before), Content::Grid(_, None)));
    let (id, _) = played.asked();
    played.tell(Event::Rough { id, opened: Arc::new(opened("fashion-ddpm")) });
    state.poll();
    assert!(matches!(state.session().content(Pane::Before), Content::Grid(_, None)));
    assert!(state.session().opened.is_none() && state.blocked().is_some());
    played.answer();
    state.poll();
    assert!(matches!(state.session().content(Pane::Before), Content::Grid(_, None)));
    assert!(state.work.is_none());
}

#[test]
fn another_pick_replaces_the_one_before_and_late_news_of_it_is_ignored() {
    let (mut state, played) = state();
    played.answer();
    state.poll();
    state.pick(Choice::Class(0));
    let (stale, job) = played.asked();
    assert!(matches!(job, Job::Rank(recipe) if recipe.forget == "class:T-shirt/top"));
    state.pick(Choice::Class(SNEAKER));
    assert_eq!(played.0.borrow().cancels, 1);
    played.tell(Event::Failed { id: stale, error: Error::Cancelled });
    state.poll();
    assert_eq!(state.work.as_ref().map(|w| w.kind), Some(JobKind::Rank));
    played.answer();
    state.poll();
    let saliency = state.session().saliency.as_ref().unwrap();
    assert_eq!(saliency.ranking.forget, "class:Sneaker");
    assert_eq!(saliency.k, layout().n() / 2);
}

#[test]
fn the_first_pictures_give_a_first_guess_of_the_saliency() {
    let (mut state, played) = state();
    played.answer();
    state.poll();
    state.pick(Choice::Class(SNEAKER));
    let (id, job) = played.asked();
    let Job::Rank(recipe) = &job else { panic!("{job:?}") };
    played.tell(Event::Early { id, ranking: ranking(recipe) });
    state.poll();
    assert!(state.session().saliency.is_some() && !state.session().scored());
    // A cancel leaves the guess; the same class asks for the rest.
    played.fail(Error::Cancelled);
    state.poll();
    state.pick(Choice::Class(SNEAKER));
    played.answer();
    state.poll();
    assert!(state.session().scored());
}

#[test]
fn a_slider_on_the_move_scores_nothing_until_it_rests() {
    let (mut state, played) = state();
    state.switch(Task::Classify);
    played.answer();
    state.poll();
    state.pick(Choice::Share(ForgetKind::Random, 10));
    let jobs = played.count();
    state.aim(Choice::Share(ForgetKind::Random, 20));
    // The scores of the smaller share come too late.
    played.answer();
    state.poll();
    assert!(state.session().saliency.is_none() && played.count() == jobs);
    state.pick(Choice::Share(ForgetKind::Random, 20));
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == "random:20%"));
}

#[test]
fn a_class_is_never_redirected_to_itself() {
    let (mut state, _) = picked();
    state.session_mut().request.redirect = Redirect::Class("Bag".into());
    state.pick(Choice::Class(SNEAKER + 1));
    assert_eq!(state.session().request.redirect, Redirect::Next);
}

#[test]
fn bars_follow_the_density() {
    let (mut state, _) = picked();
    state.set_density(0.1);
    let saliency = state.session().saliency.as_ref().unwrap();
    let kept = |s: &State| s.session().saliency.as_ref().unwrap().layers.clone();
    let tenth = (layout().n() as f64 * 0.1) as usize;
    assert!(!saliency.exact);
    assert_eq!(kept(&state).iter().map(|l| l.kept).sum::<usize>(), tenth);
    state.settle();
    let saliency = state.session().saliency.as_ref().unwrap();
    assert!(saliency.exact);
    let mask = saliency.ranking.mask(0.1).unwrap();
    assert_eq!(kept(&state), mask.layers());
    assert!(mask.bits.iter().enumerate().all(|(at, bit)| saliency.free(at) == bit));
    state.set_density(7.0);
    assert_eq!(state.session().request.density, 1.0);
}

#[test]
fn a_density_of_nothing_forgets_nothing() {
    let (mut state, played) = picked();
    state.set_density(0.0);
    assert_eq!(state.blocked(), Some("At 0 % no weight may change"));
    let jobs = played.count();
    state.forget();
    assert_eq!(played.count(), jobs);
    state.set_mask(Some(Estimator::None));
    assert_eq!(state.blocked(), None, "without a mask every weight may change");
}

#[test]
fn the_density_of_a_run_in_progress_stays() {
    let (mut state, played) = picked();
    state.forget();
    state.set_density(0.1);
    assert_eq!(state.session().request.density, 0.5);
    for _ in Arm::BOTH {
        played.answer();
        state.poll();
    }
    state.set_density(0.1);
    assert_eq!(state.session().request.density, 0.1);
}

#[test]
fn a_learning_rate_is_one_methods_own() {
    let (mut state, _) = picked();
    state.session_mut().request.lr = Some(1e-3);
    assert_eq!(state.session().recipe().unwrap().lr, Some(1e-3));
    assert!(state.session().link().query().contains("lr=0.001"));
    state.set_method("ga");
    assert_eq!(state.session().request.lr, None);
}

#[test]
fn forget_runs_the_method_and_then_a_random_mask_of_equal_size() {
    let (mut state, played) = picked();
    state.forget();
    let (_, job) = played.asked();
    assert_eq!(unlearn_recipe(&job).mask, None);
    assert_eq!(state.blocked(), Some("A run is in progress"));
    played.answer();
    state.poll();
    let (_, job) = played.asked();
    assert_eq!(unlearn_recipe(&job).mask, Some(Estimator::Random));
    played.answer();
    state.poll();
    assert!(state.work.is_none());
    let sizes: Vec<usize> =
        state.finished().map(|(_, r)| r.report.mask.as_ref().unwrap().k).collect();
    assert_eq!(sizes, [layout().n() / 2; 2]);
}

#[test]
fn the_after_pane_follows_the_training_and_the_scrubber_looks_back() {
    let (mut state, played) = picked();
    state.forget();
    let step = |state: &State| match state.session().content(Pane::After) {
        Content::Grid(_, step) => step,
        other => panic!("{other:?}"),
    };
    assert_eq!(step(&state), Some(0));
    for at in 1..=21 {
        played.live(at, 40);
    }
    state.poll();
    assert_eq!(step(&state), Some(20));
    assert_eq!(state.session().stops(), [0, 10, 20]);
    state.session_mut().scrub = Some(10);
    assert_eq!(step(&state), Some(10));
    state.session_mut().scrub = None;
    played.answer();
    state.poll();
    assert_eq!(step(&state), Some(40));
}

#[test]
fn forget_pressed_while_the_weights_are_scored_waits_for_them() {
    let (mut state, played) = picked();
    state.pick(Choice::Class(0));
    let jobs = played.count();
    assert_eq!(state.blocked(), None);
    state.forget();
    assert_eq!(played.count(), jobs);
    assert!(state.blocked().is_some());
    played.answer();
    state.poll();
    assert!(
        matches!(played.asked().1, Job::Unlearn(recipe) if recipe.forget == "class:T-shirt/top")
    );
}

#[test]
fn cancel_keeps_what_is_there_and_starts_no_control() {
    let (mut state, played) = picked();
    state.forget();
    played.live(10, 40);
    state.poll();
    let cancels = played.0.borrow().cancels;
    state.cancel();
    played.live(11, 40);
    state.poll();
    assert_eq!(played.0.borrow().cancels, cancels + 1);
    let jobs = played.count();
    played.fail(Error::Cancelled);
    state.poll();
    assert_eq!((&*state.ended, &state.error, played.count()), ("Cancelled", &None, jobs));
    let attempt = state.session().attempt(Arm::Method).unwrap();
    assert!(attempt.cancelled && attempt.losses.len() == 2);
    assert!(state.session().saliency.is_some() && state.blocked().is_none());
}

#[test]
fn a_failure_is_one_line_and_the_model_can_be_opened_again() {
    let (mut state, played) = state();
    played.fail(Error::Device("out of memory".into()));
    state.poll();
    assert_eq!(state.error.as_deref(), Some("the device failed: out of memory"));
    assert_eq!(state.blocked(), Some("No model is open"));
    state.open();
    assert_eq!(state.error, None);
    played.answer();
    state.poll();
    assert!(state.session().opened.is_some());
}

#[test]
fn tasks_keep_what_they_have_and_a_run_holds_the_switch() {
    let (mut state, played) = picked();
    state.switch(Task::Classify);
    assert!(matches!(played.asked().1, Job::Open { model, .. } if model == "fashion-classifier"));
    played.answer();
    state.poll();
    state.pick(Choice::Share(ForgetKind::Random, 10));
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == "random:10%"));
    let jobs = played.count();
    state.switch(Task::Generate);
    assert!(state.session().saliency.is_some());
    assert_eq!(played.count(), jobs);
    state.forget();
    state.switch(Task::Classify);
    state.pick(Choice::Class(0));
    assert_eq!(state.task, Task::Generate);
    assert_eq!(state.session().what, Some(Choice::Class(SNEAKER)));
}

#[test]
fn requests_change_while_a_model_opens_or_is_scored() {
    let (mut state, played) = state();
    // A budget does not stop the opening.
    state.set_budget(Budget::Full);
    assert!(matches!(state.work.as_ref().map(|w| w.kind), Some(JobKind::Open(1))));
    // The last of two seeds is opened.
    for seed in [2, 3] {
        state.session_mut().request.seed = seed;
        state.reseed();
    }
    assert!(matches!(played.asked().1, Job::Open { seed: 3, .. }));
    played.answer();
    state.poll();
    for seed in [4, 5] {
        state.session_mut().request.seed = seed;
        state.reseed();
        state.reseed();
    }
    assert!(matches!(played.asked().1, Job::Open { seed: 5, .. }));
    played.answer();
    state.poll();
    // Forget waits for the scores, and holds the request; not while a cancel is on its way.
    state.pick(Choice::Class(SNEAKER));
    assert!(!state.held());
    state.forget();
    assert!(state.held());
    state.cancel();
    assert_eq!(state.blocked(), Some("Cancelling"));
}

#[test]
fn a_new_seed_opens_the_model_again_and_scores_again() {
    let (mut state, played) = picked();
    state.session_mut().request.seed = 9;
    state.reseed();
    assert!(matches!(played.asked().1, Job::Open { seed: 9, .. }));
    played.answer();
    state.poll();
    assert!(matches!(played.asked().1, Job::Rank(recipe) if recipe.seed == 9));
    let jobs = played.count();
    state.reseed();
    assert_eq!(played.count(), jobs);
    // A reopening that another pick replaces leaves the shown seed, so the noise stays the same.
    state.session_mut().request.seed = 10;
    state.reseed();
    state.pick(Choice::Class(0));
    assert!(matches!(played.asked().1, Job::Rank(recipe) if recipe.seed == 9));
}

#[test]
fn a_weights_file_takes_the_place_of_its_tasks_model_or_is_refused() {
    let (mut state, played) = picked();
    let bytes: Arc<[u8]> = [1, 2, 3].into();
    state.import("mine.safetensors".into(), Some(bytes.clone()));
    played.fail(Error::file("mine.safetensors", "not a whole safetensors file"));
    state.poll();
    assert!(state.error.as_ref().is_some_and(|e| e.starts_with("mine.safetensors")));
    assert!(state.session().opened.is_some() && state.session().scored());
    state.import("mine.safetensors".into(), Some(bytes));
    played.answer();
    state.poll();
    assert_eq!((state.task, state.session().model.as_str()), (Task::Classify, "mine.safetensors"));
    state.pick(Choice::Class(0));
    assert!(matches!(played.asked().1, Job::Rank(recipe) if recipe.model == "mine.safetensors"));
}

#[test]
fn retrain_is_shown_where_it_is_shipped_and_named_where_not() {
    let (mut state, played) = picked();
    assert!(matches!(state.session().content(Pane::Retrain), Content::Next(_)), "it is shipped");
    state.pick(Choice::Class(SNEAKER + 1));
    let hint = "None is shipped for Bag; the method Retrain makes one, as long as training takes";
    assert_eq!(state.session().content(Pane::Retrain), Content::Hint(hint.into()));
    state.switch(Task::Classify);
    played.answer();
    state.poll();
    state.pick(Choice::Class(SNEAKER));
    played.answer();
    state.poll();
    assert!(matches!(state.session().content(Pane::Retrain), Content::Grid(..)));
}

#[test]
fn another_mask_is_scored_anew_and_a_random_one_needs_no_control() {
    let (mut state, played) = picked();
    let jobs = played.count();
    state.set_mask(Some(Estimator::AbsSumGrad));
    assert_eq!(played.count(), jobs, "the scores that are there are the right ones");
    state.set_mask(Some(Estimator::Random));
    assert!(matches!(played.asked().1, Job::Rank(r) if r.mask == Some(Estimator::Random)));
    played.answer();
    state.poll();
    state.forget();
    played.answer();
    state.poll();
    assert!(state.work.is_none() && state.finished().count() == 1);
    state.set_mask(Some(Estimator::None));
    assert!(state.work.is_none(), "nothing to score");
}

#[test]
fn finished_runs_stay_and_can_be_shown_again() {
    let (mut state, played) = picked();
    for density in [0.5, 0.1] {
        state.set_density(density);
        state.forget();
        for _ in Arm::BOTH {
            played.answer();
            state.poll();
        }
    }
    let history = &state.session().history;
    assert_eq!(history.entries.len(), 2);
    assert!(history.entries.iter().all(|e| e.reports.iter().all(Option::is_some)));
    assert_eq!(history.shown, Some(2));
    // Another class puts the pictures away and keeps the runs.
    state.pick(Choice::Class(0));
    played.answer();
    state.poll();
    assert_eq!(state.session().history.shown, None);
    let jobs = played.count();
    state.recall(1);
    let session = state.session();
    assert_eq!(session.what, Some(Choice::Class(SNEAKER)));
    assert_eq!((session.request.density, session.history.shown), (0.5, Some(1)));
    assert!(matches!(session.content(Pane::After), Content::Grid(_, Some(40))));
    assert_eq!(session.saliency.as_ref().map(|s| s.ranking.forget.as_str()), Some("class:Sneaker"));
    assert_eq!(played.count(), jobs, "nothing is computed again");
    state.forget();
    state.recall(2);
    assert_eq!(state.session().history.shown, None, "a run holds what is shown");
}

#[test]
fn the_pictures_to_pick_from_are_opened_when_nothing_else_is_done() {
    let (mut state, played) = state();
    state.browse();
    assert_eq!(played.count(), 1, "not while the model opens");
    played.answer();
    state.poll();
    state.browse();
    assert!(matches!(played.asked().1, Job::Browse { data, .. } if data == "fashion-mnist"));
    state.pick(Choice::Class(0));
    assert!(matches!(state.work.as_ref().map(|w| w.kind), Some(JobKind::Rank)));
    played.answer();
    state.poll();
    state.browse();
    played.fail(Error::file("train-images", "damaged"));
    state.poll();
    let jobs = played.count();
    state.browse();
    assert_eq!(played.count(), jobs, "a failure is not repeated by itself");
    assert!(state.error.is_some());
}

#[test]
fn weights_that_others_made_are_a_run_without_a_control() {
    let (mut state, played) = picked();
    let request = state.session().request.clone();
    state.session_mut().request.steps = Some(7);
    state.compare("their runs/after.pth");
    let (_, job) = played.asked();
    let recipe = unlearn_recipe(&job).clone();
    assert_eq!(
        (recipe.given.as_deref(), &*recipe.method),
        (Some("their runs/after.pth"), "after.pth")
    );
    assert_eq!((recipe.steps, recipe.audit, &*recipe.forget), (None, Some(false), "class:Sneaker"));
    assert!(recipe.check().is_ok());
    state.compare("another.pth");
    assert_eq!(state.error.as_deref(), Some("A run is in progress"));
    let jobs = played.count();
    played.answer();
    state.poll();
    assert_eq!(
        played.count(),
        jobs,
        "nothing was trained that a random mask could be held against"
    );
    assert!(state.work.is_none() && state.session().run(Arm::Method).is_some());
    assert_eq!(salun_studio::studio::arm_name(state.session(), Arm::Method), "after.pth");
    assert!(matches!(state.session().content(Pane::Random), Content::Hint(_)));
    // What is asked for next is a run of ours again, also where this one is shown.
    let number = state.session().history.entries[0].number;
    state.recall(number);
    let next = state.session().recipe().unwrap();
    assert_eq!((next.given, next.method), (None, request.method));
}
