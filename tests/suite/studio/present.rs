//! The presentation, walked through by a remote's keys.

use egui::{Key, Theme};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::played::{Played, window};
use salun_studio::engine::Job;
use salun_studio::studio::{Arm, Studio};
use salun_studio::words::Task;

const TITLES: [&str; 7] = [
    "What shall it forget?",
    "Pick it",
    "Where it lives",
    "Forget",
    "After",
    "Is it the mask?",
    "The verdict",
];

fn press(window: &mut Harness<Studio>, key: Key) {
    window.key_press(key);
    window.run();
}

/// Whether a step is shown: its title and its place.
fn at(window: &Harness<Studio>, step: usize) {
    window.get_by_label(&format!("{} of 7", step + 1));
    assert!(window.query_all_by_label(TITLES[step]).next().is_some(), "{}", TITLES[step]);
}

/// Answers all that is asked for until nothing is.
fn answer(window: &mut Harness<Studio>, played: &Played) {
    while window.state().state.work.is_some() {
        played.answer();
        window.run();
    }
}

fn presented<'a>(size: [f32; 2], task: Task) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = window(size, Theme::Dark);
    window.run();
    window.state_mut().state.switch(task);
    answer(&mut window, &played);
    press(&mut window, Key::F5);
    (window, played)
}

#[test]
fn a_remotes_keys_walk_through_the_main_job_of_every_task() {
    for task in Task::ALL {
        let (mut window, played) = presented([1920.0, 1080.0], task);
        at(&window, 0);
        assert!(window.query_by_label("Export").is_none(), "no bar, no panels");
        assert!((window.ctx.zoom_factor() - 2.0).abs() < 0.01, "{}", window.ctx.zoom_factor());
        window.get_by_label_contains("Before: ");
        press(&mut window, Key::PageDown);
        at(&window, 1);
        assert!(window.state().state.session().what.is_none(), "the choice is the audience's");
        press(&mut window, Key::PageDown);
        at(&window, 2);
        assert!(window.state().state.session().what.is_some(), "an example, where nobody chose");
        answer(&mut window, &played);
        window.get_by_label("Saliency");
        press(&mut window, Key::ArrowRight);
        at(&window, 3);
        assert!(matches!(played.asked().1, Job::Unlearn(_)), "Forget is pressed");
        let asked = played.count();
        played.live(10, 40);
        window.run();
        window.get_by_label_contains("After (SalUn): ");
        answer(&mut window, &played);
        press(&mut window, Key::PageDown);
        at(&window, 4);
        window.get_by_label_contains("Before: ");
        window.get_by_label_contains("After (SalUn): ");
        press(&mut window, Key::PageDown);
        at(&window, 5);
        window.get_by_label_contains("Random mask: ");
        press(&mut window, Key::PageDown);
        at(&window, 6);
        assert_eq!(window.query_all_by_label_contains("0 frozen weights changed").count(), 2);
        // The end is not passed, and the way back does nothing again.
        press(&mut window, Key::PageDown);
        at(&window, 6);
        for step in (0..6).rev() {
            press(&mut window, if step % 2 == 0 { Key::PageUp } else { Key::ArrowLeft });
            at(&window, step);
        }
        assert_eq!(played.count(), asked + 1, "the run and its control");
        press(&mut window, Key::Escape);
        window.get_by_label("Export");
        assert!((window.ctx.zoom_factor() - 1.0).abs() < 0.01, "as large as before");
    }
}

#[test]
fn a_full_stop_blanks_the_screen_and_brings_it_back() {
    let (mut window, _) = presented([1280.0, 800.0], Task::Generate);
    press(&mut window, Key::Period);
    window.get_by_label_contains("A blank screen");
    assert!(window.query_by_label("1 of 7").is_none());
    press(&mut window, Key::Period);
    at(&window, 0);
    press(&mut window, Key::Period);
    // Whoever goes on has seen enough black.
    press(&mut window, Key::PageDown);
    at(&window, 1);
    press(&mut window, Key::F5);
    window.get_by_label("Export");
}

#[test]
fn buttons_do_the_same_where_there_are_no_keys() {
    for size in [[390.0, 844.0], [1280.0, 800.0]] {
        let (mut window, played) = presented(size, Task::Classify);
        window.get_by_label("Next").click();
        window.run();
        at(&window, 1);
        window.get_by_label("Sneaker").click();
        window.run();
        answer(&mut window, &played);
        let picked = window.state().state.session().what.clone();
        for step in 2..7 {
            window.get_by_label("Next").click();
            window.run();
            answer(&mut window, &played);
            at(&window, step);
        }
        assert_eq!(window.state().state.session().what, picked);
        assert!(window.state().state.session().run(Arm::Method).is_some());
        window.get_by_label("Back").click();
        window.run();
        at(&window, 5);
        window.get_by_label("End").click();
        window.run();
        assert!(window.query_by_label("6 of 7").is_none());
    }
}
