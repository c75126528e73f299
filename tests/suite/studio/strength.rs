//! The strength of a finished run: what is asked for and what is shown.

use egui::accesskit::Role;
use egui::{Key, Theme};
use egui_kittest::{Harness, kittest::Queryable};

use crate::studio::{
    answers::grid,
    played::{Played, picked, settle, tried},
};
use salun_studio::engine::Job;
use salun_studio::error::Error;
use salun_studio::studio::state::{JobKind, State};
use salun_studio::studio::{Arm, Content, Pane, Studio};
use salun_studio::words::{Estimator, Export, Task};

/// A state whose diffusion model forgot Sneaker, and its control with it.
fn forgot() -> (State, Played) {
    let (mut state, played) = picked();
    state.forget();
    for _ in Arm::BOTH {
        assert!(state.undialled(Arm::Method).is_some());
        played.answer();
        state.poll();
    }
    (state, played)
}

/// The strength that After shows, and whether it shows as much as so many lost tiles.
fn shown(state: &State, lost: usize) -> Option<f64> {
    match state.session().content(Pane::After) {
        Content::Part(shown, strength) => {
            assert_eq!(**shown, grid(lost));
            Some(strength)
        }
        Content::Grid(shown, Some(40)) => {
            assert_eq!(**shown, grid(lost));
            None
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_latest_strength_counts_and_the_ends_are_there_without_drawing() {
    let (mut state, played) = forgot();
    let (jobs, cancels) = (played.count(), played.0.borrow().cancels);
    state.set_strength(Arm::Method, 0.5);
    let Job::Interpolate { strength, recipe, .. } = played.asked().1 else { panic!("no drawing") };
    assert_eq!((strength, recipe.forget.as_str()), (0.5, "class:Sneaker"));
    assert_eq!(shown(&state, 6), None, "the run's pictures until others come");
    let (stale, _) = played.asked();
    state.set_strength(Arm::Method, 0.75);
    assert_eq!(played.0.borrow().cancels, cancels + 1);
    played.tell(salun_studio::engine::Event::Failed { id: stale, error: Error::Cancelled });
    state.poll();
    assert_eq!(state.working(), Some(JobKind::Strength(Arm::Method.into())));
    played.answer();
    state.poll();
    assert_eq!(shown(&state, 4), Some(0.75));
    // What was drawn stays until the next is.
    state.set_strength(Arm::Method, 1.2);
    assert_eq!(shown(&state, 4), Some(0.75));
    state.set_strength(Arm::Method, 0.0);
    assert!(state.work.is_none());
    assert_eq!(shown(&state, 0), Some(0.0));
    state.set_strength(Arm::Method, 1.0);
    assert_eq!(shown(&state, 6), None);
    assert_eq!(played.count(), jobs + 3);
    state.set_strength(Arm::Method, 7.0);
    let Job::Interpolate { strength, .. } = played.asked().1 else { panic!("no drawing") };
    assert_eq!(strength, 1.5);
    played.fail(Error::Device("lost".into()));
    state.poll();
    assert_eq!(state.session().strength(Arm::Method), 0.75, "back to what is drawn");
    // A look back shows the training, and another run begins with all of its change.
    state.session_mut().scrub = Some(20);
    assert!(matches!(state.session().content(Pane::After), Content::Grid(_, Some(20))));
    state.forget();
    assert_eq!(state.session().strength(Arm::Method), 1.0);
}

#[test]
fn another_task_or_a_run_in_progress_drops_what_is_being_drawn() {
    let (mut state, _) = forgot();
    state.set_strength(Arm::Method, 0.5);
    state.switch(Task::Classify);
    state.switch(Task::Generate);
    assert_eq!(state.session().strength(Arm::Method), 1.0);
    state.set_strength(Arm::Method, 0.5);
    assert_eq!(state.blocked(), None);
    state.forget();
    assert_eq!(state.working(), Some(JobKind::Unlearn(Arm::Method)));
    state.set_strength(Arm::Method, 0.5);
    assert_eq!(state.session().strength(Arm::Method), 1.0);
}

#[test]
fn each_finished_run_is_drawn_at_its_own_strength() {
    let (mut state, played) = forgot();
    state.set_strength(Arm::Method, 0.5);
    played.answer();
    state.poll();
    state.set_strength(Arm::Control, 0.25);
    let Job::Interpolate { strength, recipe, .. } = played.asked().1 else { panic!("no drawing") };
    assert_eq!((strength, recipe.mask), (0.25, Some(Estimator::Random)));
    played.answer();
    state.poll();
    assert_eq!(shown(&state, 3), Some(0.5));
    assert!(
        matches!(state.session().content(Pane::Random), Content::Part(g, 0.25) if **g == grid(1))
    );
}

/// Moves the slider so many steps down.
fn lower(window: &mut Harness<Studio>, steps: usize) {
    window.get_by_role_and_label(Role::Slider, "Strength").focus();
    window.run();
    for _ in 0..steps {
        window.key_press(Key::ArrowLeft);
        window.run();
    }
}

#[test]
fn the_slider_is_below_the_panes_of_a_finished_run_and_fits_a_phone() {
    for size in [[1024.0, 700.0], [390.0, 844.0]] {
        let (mut window, played) = tried(size, Theme::Light);
        lower(&mut window, 2);
        assert!(matches!(played.asked().1, Job::Interpolate { strength: 0.9, .. }));
        played.answer();
        window.run();
        let pane = window.get_by_label_contains(", strength 0.9").rect();
        for part in window.get_all_by_label("Strength") {
            let rect = part.rect();
            assert!(rect.top() >= pane.bottom() && rect.right() < size[0], "{rect:?}");
            // Not under the panel that follows.
            let next = if size[0] < 400.0 { "Timeline and verdict" } else { "Pause" };
            assert!(rect.bottom() < window.get_by_label(next).rect().top() - 6.0, "{rect:?}");
        }
        if size[0] < 400.0 {
            window.get_by_label("Timeline and verdict").click();
            window.run();
        }
        window.get_by_label_contains("Pictures at strength 0.9:");
    }
}

#[test]
fn the_change_and_a_part_of_it_are_exported() {
    let (mut window, played) = tried([1280.0, 800.0], Theme::Dark);
    lower(&mut window, 2);
    played.answer();
    window.run();
    for (entry, wanted, file) in [
        ("Change alone (safetensors)", Export::Delta, "delta.safetensors"),
        (
            "Weights at strength 0.9 (safetensors)",
            Export::Weights { strength: 0.9 },
            "strength-0.9.safetensors",
        ),
    ] {
        window.get_by_label("Export").click();
        window.run();
        window.get_by_label(entry).click();
        window.run();
        let Job::Export { what, mask, .. } = played.asked().1 else { panic!("nothing is made") };
        assert!(what == wanted && mask.is_some());
        assert!(window.state().state.held(), "nothing else meanwhile");
        played.answer();
        settle(&mut window);
        let ended = &window.state().state.ended;
        let saved = format!("Saved to generate-class-sneaker-abs-sum-grad-{file}");
        assert_eq!(*ended, saved);
    }
}
