//! A run's steps in the window: looked at again, held against one another, gone on from, kept.

use egui::accesskit::Role;
use egui::{Key, Modifiers, Theme};
use egui_kittest::kittest::Queryable;

use crate::studio::{
    answers::{SNEAKER, grid},
    played::{self, Played, picked, tried, unlearn_recipe},
};
use salun_studio::engine::Job;
use salun_studio::error::Error;
use salun_studio::studio::state::{JobKind, State};
use salun_studio::studio::{Arm, Choice, Content, Pane};
use salun_studio::words::{Recipe, Task};

/// A state whose diffusion model forgot Sneaker, and its control with it.
fn forgot() -> (State, Played) {
    let (mut state, played) = picked();
    state.forget();
    for _ in Arm::BOTH {
        played.answer();
        state.poll();
    }
    (state, played)
}

fn answer(state: &mut State, played: &Played) {
    played.answer();
    state.poll();
}

#[test]
fn two_steps_are_held_against_each_other() {
    let (mut state, _) = forgot();
    state.session_mut().scrub = Some(20);
    state.session_mut().against = Some(10);
    assert!(
        matches!(state.session().content(Pane::Before), Content::Grid(g, Some(10)) if **g == grid(1))
    );
    assert!(
        matches!(state.session().content(Pane::After), Content::Grid(g, Some(20)) if **g == grid(3))
    );
    assert_eq!(**state.session().reference().unwrap(), grid(1));
    state.session_mut().against = None;
    assert!(
        matches!(state.session().content(Pane::Before), Content::Grid(g, None) if **g == grid(0))
    );
    // Another request begins with the unchanged model.
    state.session_mut().against = Some(10);
    state.pick(Choice::Class(1));
    assert_eq!(state.session().against, None);
}

#[test]
fn a_request_goes_on_from_a_held_step_with_other_settings() {
    let (mut state, played) = forgot();
    assert!(state.held_step().unwrap().until.is_none(), "the end of the whole run");
    state.session_mut().scrub = Some(20);
    let from =
        Recipe { until: Some(20), ..state.session().run(Arm::Method).unwrap().recipe.clone() };
    state.branch();
    state.set_method("ga");
    state.set_density(0.1);
    state.forget();
    let (_, job) = played.asked();
    let asked = unlearn_recipe(&job).clone();
    assert_eq!((asked.branch.as_deref(), asked.density, &*asked.method), (Some(&from), 0.1, "ga"));
    assert!(asked.check().is_ok());
    answer(&mut state, &played);
    // Its control goes on from there, too; and both are in the list of runs with the one before.
    let (_, job) = played.asked();
    assert_eq!(unlearn_recipe(&job).branch, asked.branch);
    answer(&mut state, &played);
    assert_eq!(state.session().history.entries.len(), 2);
    // Another class has no such run.
    state.pick(Choice::Class(1));
    answer(&mut state, &played);
    assert_eq!(state.session().recipe().unwrap().branch, None);
    // The run that is shown again has its own.
    state.recall(2);
    assert_eq!(state.session().recipe().unwrap().branch, asked.branch);
    state.stop_branching();
    assert_eq!(state.session().recipe().unwrap().branch, None);
}

#[test]
fn a_cancelled_run_is_gone_on_from_where_it_was() {
    let (mut state, played) = picked();
    state.forget();
    (1..=25).for_each(|step| played.live(step, 40));
    state.poll();
    assert!(state.unheld().is_some(), "while it runs");
    state.cancel();
    played.fail(Error::Cancelled);
    state.poll();
    assert_eq!((state.unheld(), state.held_step().unwrap().until), (None, Some(20)));
    state.branch();
    assert_eq!(state.session().recipe().unwrap().branch.unwrap().until, Some(20));
}

#[test]
fn a_step_is_measured_as_a_run_and_kept_as_the_model_and_undone() {
    let (mut state, played) = forgot();
    state.session_mut().scrub = Some(10);
    let jobs = played.count();
    state.measure_step();
    let (_, job) = played.asked();
    let asked = unlearn_recipe(&job).clone();
    assert_eq!(asked.until, Some(10));
    let (step, shown) = state.session().attempt(Arm::Method).unwrap().at(None);
    assert_eq!((step, &**shown), (0, &grid(0)), "the way there, without what is not measured yet");
    answer(&mut state, &played);
    assert!(state.work.is_none() && played.count() == jobs + 1, "a step has no control");
    assert_eq!(state.session().history.entries.len(), 2);

    state.recall(1);
    let before = state.session().opened.clone().unwrap();
    state.session_mut().scrub = Some(20);
    state.keep_step();
    assert_eq!(state.working(), Some(JobKind::KeepStep));
    answer(&mut state, &played);
    let Job::Adopt { run, .. } = played.asked().1 else { panic!("it is not taken up") };
    assert_eq!(run.recipe.until, Some(20));
    answer(&mut state, &played);
    let kept = state.session().opened.clone().unwrap();
    assert_eq!((kept.name.clone(), kept.after.len()), (run.recipe.end(), 1));
    state.undo();
    assert_eq!(state.session().opened.as_ref().unwrap().name, before.name);
    state.redo();
    assert_eq!(state.session().opened.as_ref().unwrap().name, kept.name);
    state.redo();
    assert_eq!(state.session().opened.as_ref().unwrap().name, kept.name, "there is nothing more");
    state.undo();
    assert_eq!(state.session().opened.as_ref().unwrap().name, before.name);
}

#[test]
fn steps_are_played_and_what_can_be_done_with_one_stands_below() {
    for size in [[1280.0, 800.0], [390.0, 844.0]] {
        let (mut window, _) = tried(size, Theme::Dark);
        if size[0] < 400.0 {
            window.get_by_label("Timeline and verdict").click();
            window.run();
        }
        assert!(window.query_by_label("Branch").is_none(), "nothing is held");
        window.get_by_label("Play").scroll_to_me();
        window.run();
        window.get_by_label("Play").click();
        window.step();
        window.step();
        window.step();
        assert!(window.state().state.session().scrub.is_some(), "it is held where it plays");
        for _ in 0..400 {
            window.step();
        }
        assert_eq!(window.state().state.session().scrub, Some(40), "it ends with the last");
        window.get_by_role_and_label(Role::Slider, "Timeline").focus();
        window.run();
        window.key_press(Key::ArrowLeft);
        window.run();
        assert_eq!(window.state().state.session().scrub, Some(30));
        let actions = ["Against", "Branch", "Measure", "Keep"];
        for name in actions {
            // On a phone they are below in the column.
            window.get_by_label(name).scroll_to_me();
            window.run();
            let rect = window.get_by_label(name).rect();
            assert!(rect.right() < size[0] && rect.bottom() < size[1], "{name} {rect:?}");
        }
        window.get_by_label("Against").scroll_to_me();
        window.run();
        window.get_by_label("Against").click();
        window.run();
        assert_eq!(window.state().state.session().against, Some(30));
        window.get_by_label("Branch").click();
        window.run();
        let branch = window.state().state.session().recipe().unwrap().branch.unwrap();
        assert_eq!(branch.until, Some(30));
        if size[0] > 400.0 {
            window.get_by_label("Goes on from step 30 of SalUn");
            window.get_by_label("Leave").click();
            window.run();
            assert!(window.query_by_label_contains("Goes on from").is_none());
        }
        window.get_by_label("Live").scroll_to_me();
        window.run();
        window.get_by_label("Live").click();
        window.run();
        assert!(window.query_by_label("Branch").is_none());
    }
}

#[test]
fn keys_undo_a_kept_request_and_take_it_up_again() {
    let sneaker = Choice::Class(SNEAKER);
    let (mut window, played) =
        played::forgot(Task::Classify, sneaker, [1280.0, 800.0], Theme::Light);
    window.state_mut().state.adopt();
    played.answer();
    window.run();
    let after = |window: &egui_kittest::Harness<salun_studio::studio::Studio>| {
        window.state().state.session().opened.as_ref().unwrap().after.len()
    };
    assert_eq!(after(&window), 1);
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.run();
    assert_eq!(after(&window), 0);
    window.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    window.run();
    assert_eq!(after(&window), 1);
}
