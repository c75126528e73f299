//! The steps of the sampler in the window: what is traced, how one moves through it, what is said.

use egui::{Event, Key, Modifiers, PointerButton, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use crate::studio::answers::SNEAKER;
use crate::studio::played::{self, Played, window};
use salun_studio::engine::{Job, TraceRequest, Traced};
use salun_studio::error::Error;
use salun_studio::studio::views::{compare, steps};
use salun_studio::studio::{Choice, Studio};
use salun_studio::words::Task;

const SIZE: [f32; 2] = [1280.0, 800.0];

/// A window in which the diffusion model forgot Sneaker, and its control did.
fn forgot<'a>(size: [f32; 2], theme: Theme) -> (Harness<'a, Studio>, Played) {
    played::forgot(Task::Generate, Choice::Class(SNEAKER), size, theme)
}

/// The same, with a prompt of the text-to-image model.
fn forgot_prompt<'a>(size: [f32; 2], theme: Theme) -> (Harness<'a, Studio>, Played) {
    played::forgot(Task::TextToImage, Choice::Prompt("a cat".into()), size, theme)
}

fn traced(played: &Played) -> TraceRequest {
    match played.asked().1 {
        Job::Trace(request) => request,
        job => panic!("steps were to be asked for, not {job:?}"),
    }
}

/// Shows the steps, and answers what they ask for.
fn look(window: &mut Harness<Studio>, played: &Played) -> TraceRequest {
    window.key_press(Key::S);
    window.step();
    let request = traced(played);
    played.answer();
    window.run();
    request
}

#[test]
fn the_steps_of_the_forgotten_tile_are_traced_for_all_panes_once() {
    let (mut window, played) = forgot(SIZE, Theme::Dark);
    let request = look(&mut window, &played);
    assert_eq!((request.row, &request.columns[..]), (SNEAKER, &[0][..]));
    let of: Vec<_> = request.of.iter().map(|of| matches!(of, Traced::Ended { .. })).collect();
    assert_eq!(of, [false, true, true], "Before, After, Random mask");
    assert_eq!(request.recipe.map(|recipe| recipe.forget), Some("class:Sneaker".into()));
    // They part half way, and that is the step that is shown at first.
    window.get_by_label("Step 6 of 8, t = 350, noise 38 %");
    window.get_by_label("Parts from Before, of 8 steps: After at step 6, Random mask at step 6");
    window.get_by_label("Seen as Sneaker: Before from step 5 on, After never, Random mask never");
    window.get_by_label_contains("Before: seen as Sneaker, 90 %");
    window.get_by_label_contains("After (SalUn): seen as Ankle boot, 90 %; ");
    let jobs = played.count();
    for key in [Key::C, Key::S] {
        window.key_press(key);
        window.run();
    }
    assert_eq!(played.count(), jobs, "what is known is not traced again");
}

#[test]
fn one_moves_through_the_steps_by_arrows_by_hand_and_by_playing() {
    let (mut window, played) = forgot(SIZE, Theme::Light);
    look(&mut window, &played);
    // The strip has the keys from the first frame on; no class is picked by the arrows.
    for (key, said) in [
        (Key::ArrowLeft, "Step 5 of 8"),
        (Key::Home, "Step 1 of 8"),
        (Key::ArrowRight, "Step 2 of 8"),
        (Key::End, "Finished after 8 steps"),
    ] {
        window.key_press(key);
        window.run();
        assert!(window.query_all_by_label_contains(said).next().is_some(), "{key:?}: {said}");
    }
    let what = &window.state().state.session().what;
    assert_eq!(*what, Some(Choice::Class(SNEAKER)));
    let strip = window.get_by_label_contains("Finished after 8 steps. Parts").rect();
    window.hover_at(strip.left_center() + vec2(80.0, 0.0));
    window.drag_at(strip.left_center() + vec2(80.0, 0.0));
    window.step();
    window.drop_at(strip.left_center() + vec2(80.0, 0.0));
    window.run();
    window.get_by_label("Step 1 of 8, t = 900, noise 100 %");
    window.get_by_label("Play steps").click();
    for _ in 0..2 {
        window.step();
    }
    window.get_by_label("Hold steps");
    for _ in 0..20 {
        window.step();
    }
    window.get_by_label("Play steps");
    window.get_by_label("Finished after 8 steps");
}

#[test]
fn another_picture_or_all_of_them_are_looked_at() {
    let (mut window, played) = forgot(SIZE, Theme::Dark);
    look(&mut window, &played);
    let choose = |window: &mut Harness<Studio>, list: &str, name: &str| {
        window.get_by_label(list).click();
        window.run();
        // Not all entries of a list are in sight.
        window.get_all_by_label(name).last().expect("in the list").scroll_to_me();
        window.run();
        window.get_all_by_label(name).last().expect("in the list").click();
        window.run();
    };
    choose(&mut window, "Picture", "All pictures");
    assert_eq!(traced(&played).columns, [0, 1, 2, 3, 4, 5]);
    played.answer();
    window.run();
    choose(&mut window, "Row", "Bag");
    assert_eq!(traced(&played).row, 8);
    played.answer();
    window.run();
    window.get_by_label_contains("Before: seen as Bag, 90 %; Bag, 90 %");
}

#[test]
fn a_tile_of_the_comparison_is_opened_by_a_double_click_and_by_enter() {
    let (mut window, played) = forgot(SIZE, Theme::Dark);
    window.state_mut().view = &compare::VIEW;
    window.run();
    let pane = window.get_by_label_contains("After (SalUn): ").rect();
    let at = pane.min + vec2(10.0, pane.height() * 0.25);
    window.hover_at(at);
    window.run();
    for _ in 0..2 {
        // As quick as a hand.
        let (button, modifiers) = (PointerButton::Primary, Modifiers::NONE);
        for pressed in [true, false] {
            let event = Event::PointerButton { pos: at, button, pressed, modifiers };
            window.input_mut().events.push(event);
        }
        window.step();
    }
    window.run();
    assert_eq!(window.state().view, &steps::VIEW);
    let request = traced(&played);
    assert!(request.row != SNEAKER && request.columns == [0], "{request:?}");
    window.state_mut().view = &compare::VIEW;
    window.run();
    window.get_by_label_contains("After (SalUn): ").focus();
    window.run();
    window.key_press(Key::Enter);
    window.step();
    assert_eq!(window.state().view, &steps::VIEW);
}

#[test]
fn words_are_shown_over_the_picture_at_a_step_and_in_the_mean() {
    let (mut window, played) = forgot_prompt(SIZE, Theme::Dark);
    let request = look(&mut window, &played);
    assert_eq!(request.recipe.map(|recipe| recipe.forget), Some("prompt:a cat".into()));
    window.get_by_label("Words").click();
    window.run();
    for pane in ["Before", "After", "Random mask"] {
        for word in ["a", "cat", "flat", "style"] {
            window.get_by_label_contains(&format!("{word}, {pane}: "));
        }
    }
    let share = |window: &Harness<Studio>| {
        window.get_by_label_contains("cat, Before: ").accesskit_node().label().unwrap_or_default()
    };
    let at_step = share(&window);
    window.get_by_label_contains("the brightest is 6 %");
    window.get_by_label("Mean of all steps").click();
    window.run();
    assert_ne!(at_step, share(&window));
    window.get_by_label_contains("the brightest is 4 %");
}

#[test]
fn the_difference_is_shown_in_both_views() {
    let (mut window, played) = forgot(SIZE, Theme::Light);
    look(&mut window, &played);
    window.get_by_label("Difference").click();
    window.run();
    assert_eq!(window.get_all_by_label_contains("% from Before").count(), 2);
    window.key_press(Key::C);
    window.run();
    window.get_by_label("Difference").click();
    window.run();
    window.get_by_label_contains("After (SalUn), difference: ");
}

#[test]
fn what_was_stopped_is_not_traced_again_by_itself() {
    let (mut window, played) = forgot(SIZE, Theme::Dark);
    window.key_press(Key::S);
    window.step();
    window.get_by_label("Drawing step by step…");
    played.fail(Error::Cancelled);
    window.run();
    let jobs = played.count();
    window.run();
    assert_eq!(played.count(), jobs);
    window.get_by_label("Draw the steps").click();
    window.step();
    window.step();
    assert_eq!(played.count(), jobs + 1);
    // A run does not wait for it.
    assert_eq!(window.state().state.blocked(), None);
    window.state_mut().state.forget();
    window.step();
    assert!(matches!(played.asked().1, Job::Unlearn(_)));
}

#[test]
fn a_classifier_has_no_steps() {
    let (mut window, played) = window(SIZE, Theme::Dark);
    window.step();
    window.state_mut().state.switch(Task::Classify);
    played.answer();
    window.run();
    assert!(window.query_by_label("Steps").is_none());
    window.key_press(Key::S);
    window.run();
    assert_eq!(window.state().view, &compare::VIEW);
}

#[test]
fn steps_fit_every_window() {
    for size in [[390.0, 844.0], [1024.0, 640.0], [1280.0, 800.0], [1920.0, 1080.0]] {
        for theme in [Theme::Light, Theme::Dark] {
            let (mut window, played) = forgot_prompt(size, theme);
            look(&mut window, &played);
            for look in ["Pictures", "Difference", "Words"] {
                window.get_by_label(look).click();
                window.run();
                let all = window.query_all_by_label_contains("");
                // What is scrolled out of sight has no place.
                for node in all.filter(|node| node.accesskit_node().bounding_box().is_some()) {
                    let rect = node.rect();
                    assert!(rect.left() >= -1.0, "{size:?}, {look}: {node:?} lies off the screen");
                }
                let strip = window.get_by_label_contains(" %. Parts from Before").rect();
                assert!(strip.right() <= size[0] + 1.0, "{size:?}, {look}: {strip:?}");
            }
        }
    }
}
