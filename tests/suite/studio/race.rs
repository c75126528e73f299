//! A race: which runs are made, in which order, what stands in its table.

use egui::accesskit::Role;
use egui::{Key, Theme};
use egui_kittest::kittest::Queryable;

use crate::studio::{
    answers::grid,
    played::{Played, picked, unlearn_recipe, window},
};
use salun_studio::engine::Job;
use salun_studio::error::Error;
use salun_studio::eval::Place;
use salun_studio::studio::state::{JobKind, State};
use salun_studio::studio::{Arm, Choice, Entrant, Field, Whose};
use salun_studio::words::{Estimator, Recipe, Task};

fn asked(played: &Played) -> Recipe {
    unlearn_recipe(&played.asked().1).clone()
}

fn answer(state: &mut State, played: &Played) {
    played.answer();
    state.poll();
}

const MASKS: [Entrant; 3] = [
    Entrant::Mask(Estimator::AbsSumGrad),
    Entrant::Mask(Estimator::Random),
    Entrant::Mask(Estimator::Fisher),
];

#[test]
fn runs_are_made_one_after_another_and_are_runs_of_the_list() {
    let (mut state, played) = picked();
    assert_eq!(state.unraced(&MASKS[..1]), Some("Pick at least two"));
    state.race(&MASKS);
    for (at, entrant) in MASKS.into_iter().enumerate() {
        let Entrant::Mask(mask) = entrant else { panic!() };
        assert_eq!(state.working(), Some(JobKind::Race(at)));
        assert_eq!(
            (asked(&played).mask, asked(&played).forget.as_str()),
            (Some(mask), "class:Sneaker")
        );
        assert!(state.held() && state.unraced(&MASKS).is_some());
        played.live(1, 40);
        state.poll();
        assert_eq!(state.session().race.lanes[at].attempt.losses.len(), 1);
        answer(&mut state, &played);
    }
    assert!(state.work.is_none());
    let session = state.session();
    assert_eq!(session.history.entries.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(state.fresh.len(), 3, "kept and saved as any other");
    assert!(session.history.shown.is_none() && session.run(Arm::Method).is_none());
    // The nearest to the corner that forgot: both masks that are not random do as well, the first is named.
    let places: Vec<_> = session.race.finished().map(|(_, run)| Place::of(&run.report)).collect();
    assert_eq!(session.race.best(), Some(0), "{places:?}");
    assert!(places[1].damage > places[0].damage);
    // Shown again, it is the run of both sides, and the race stays.
    state.recall_beside(2);
    assert_eq!(state.session().run(Arm::Method).unwrap().recipe.mask, Some(Estimator::Random));
    assert_eq!(state.session().race.lanes.len(), 3);
    // Another forget set has another race.
    state.pick(Choice::Class(1));
    assert!(state.session().race.lanes.is_empty());
}

#[test]
fn a_race_is_stopped_and_goes_on_and_what_cannot_be_made_holds_up_nothing() {
    let (mut state, played) = picked();
    state.race(&MASKS);
    answer(&mut state, &played);
    played.live(5, 40);
    state.poll();
    state.cancel();
    played.fail(Error::Cancelled);
    state.poll();
    assert!(state.work.is_none() && state.session().race.lanes[1].attempt.cancelled);
    assert_eq!((state.unresumed(), state.session().history.entries.len()), (None, 1));
    state.resume_race();
    assert_eq!(
        (state.working(), asked(&played).mask),
        (Some(JobKind::Race(1)), Some(Estimator::Random))
    );
    assert!(state.session().race.lanes[1].attempt.losses.is_empty(), "it begins anew");
    played.fail(Error::Request("no such thing".into()));
    state.poll();
    assert_eq!(state.session().race.lanes[1].failed.as_deref(), Some("no such thing"));
    assert_eq!(state.working(), Some(JobKind::Race(2)));
    answer(&mut state, &played);
    assert_eq!(state.unresumed(), Some("All runs are made"));
    assert_eq!(state.error, None);
}

#[test]
fn each_run_of_a_race_is_drawn_at_its_own_strength() {
    let (mut state, played) = picked();
    state.race(&MASKS[..2]);
    answer(&mut state, &played);
    answer(&mut state, &played);
    state.set_strength(Whose::Lane(1), 0.5);
    let Job::Interpolate { strength, recipe, .. } = played.asked().1 else { panic!("no drawing") };
    assert_eq!((strength, recipe.mask), (0.5, Some(Estimator::Random)));
    answer(&mut state, &played);
    let part = |at: usize| state.session().race.lanes[at].attempt.part(state.session().base());
    assert!(matches!(part(1), Some((g, 0.5)) if **g == grid(3)));
    assert_eq!(part(0), None);
}

#[test]
fn methods_are_picked_by_checkboxes_and_the_table_says_what_the_reports_say() {
    for (size, theme) in [([1280.0, 800.0], Theme::Dark), ([390.0, 844.0], Theme::Light)] {
        let (mut window, played) = window(size, theme);
        window.step();
        window.state_mut().state.switch(Task::Classify);
        played.answer();
        window.run();
        window.state_mut().state.pick(Choice::Class(7));
        played.answer();
        window.run();
        window.key_press(Key::V);
        window.run();
        assert_eq!(window.state().view.name, "Race");
        for name in ["SalUn", "Gradient ascent"] {
            window.get_by_role_and_label(Role::CheckBox, name).click();
            window.run();
        }
        window.get_by_label("Race 2 runs").click();
        window.run();
        window.get_by_label("Stop the race");
        for _ in 0..2 {
            played.answer();
            window.run();
        }
        let state = &window.state().state;
        let race = &state.session().race;
        assert_eq!(race.lanes.len(), 2);
        assert_eq!(race.best(), Some(0));
        for (_, run) in race.finished() {
            let report = &run.report;
            for value in [report.after.UA, report.after.RA, report.after.TA] {
                let text = format!("{value:.1}");
                assert!(window.query_all_by_label(&text).next().is_some(), "{text}");
            }
        }
        assert_eq!(window.query_all_by_label("best so far").count(), 1);
        assert_eq!(window.query_all_by_role_and_label(Role::Slider, "Strength").count(), 2);
        window.get_by_label_contains("Gradient ascent, step 40");
        assert_eq!(state.session().history.entries.len(), 2);
    }
}

#[test]
fn every_field_has_entrants_of_every_task() {
    for task in Task::ALL {
        for (field, name, _) in Field::ALL {
            assert!(field.entrants(task).len() > 1, "{name}");
        }
    }
}
