//! The first ten seconds: what stands there before the model is open, and that nothing moves when something comes.

use egui::{Rect, Theme};
use egui_kittest::{Harness, kittest::Queryable};

use crate::studio::answers::{live, pane, ranking};
use crate::studio::played::{Played, window, window_at, window_on};
use salun_studio::engine::{Event, Job, Outcome};
use salun_studio::error::Error;
use salun_studio::studio::state::JobKind;
use salun_studio::studio::views::{View, audit, map, masks, table};
use salun_studio::studio::{Arm, Choice, Studio};
use salun_studio::words::Task;

const LAPTOP: [f32; 2] = [1280.0, 800.0];

type Window<'a> = Harness<'a, Studio>;

/// Where the first widgets of such labels are.
fn rects(window: &Window, labels: &[&str]) -> Vec<Rect> {
    let rect = |label: &&str| match window.query_all_by_label(label).next() {
        Some(node) => node.rect(),
        // The pane, and not what the line at the bottom says of it.
        None => {
            let all = window.get_all_by_label_contains(label).map(|node| node.rect());
            all.max_by(|a, b| a.area().total_cmp(&b.area())).unwrap()
        }
    };
    labels.iter().map(rect).collect()
}

/// Asks for the forgetting of a cat in a window whose model has yet to open, and answers until the weights are
/// scored.
fn asked<'a>(size: [f32; 2]) -> (Window<'a>, Played) {
    let (mut window, played) = window_on(Task::TextToImage, size, Theme::Dark);
    window.run();
    window.get_by_label("cat").click();
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    (window, played)
}

#[test]
fn the_studio_opens_on_the_text_to_image_model() {
    let played = Played::default();
    let studio = Studio::new(Box::new(played.clone()), Box::new(|_| unreachable!()));
    assert_eq!(studio.state.task, Task::TextToImage);
    assert!(matches!(played.asked().1, Job::Open { model, .. } if model == "emoji-t2i"));
}

#[test]
fn the_question_its_answers_and_pictures_stand_there_before_the_model_does() {
    for task in Task::ALL {
        let (mut window, played) = window_on(task, LAPTOP, Theme::Light);
        window.run();
        assert_eq!(played.count(), 1, "the model is still being opened");
        window.get_by_label("What shall it forget?");
        window.get_by_label(if task.prompted() { "elephant" } else { "Sneaker" });
        let before = window.get_by_label_contains("Before: ").rect();
        assert!(
            before.area() > 0.3 * LAPTOP[0] * LAPTOP[1],
            "{task:?}: pictures are large, {before}"
        );
        for nothing in ["After", "Random mask", "Saliency", "Loss"] {
            let shown = window.query_all_by_label_contains(nothing).count();
            assert_eq!(shown, 0, "{task:?}: {nothing} has nothing to show and takes no room");
        }
        let told = window.state().state.blocked();
        assert!(
            told.is_some_and(|why| why.contains("first")),
            "only the pick is missing: {told:?}"
        );
    }
}

#[test]
fn everything_that_the_model_was_shown_can_be_picked() {
    let (mut window, _) = window_on(Task::TextToImage, LAPTOP, Theme::Dark);
    window.run();
    window.get_by_label("More concepts…").click();
    window.run();
    window.get_by_label("penguin").click();
    window.run();
    assert!(window.query_by_label("penguin").is_none(), "the list closes");
    let what = window.state().state.session().what.clone();
    assert_eq!(what, Some(Choice::Prompt("a penguin".into())));
}

#[test]
fn forget_can_be_pressed_while_the_model_opens() {
    let (mut window, played) = asked(LAPTOP);
    assert_eq!(played.count(), 1);
    window.get_by_label_contains("Opening, then forgetting");
    assert!(window.state().state.held(), "another request would conflict with it");
    played.answer();
    window.run();
    assert!(matches!(played.asked().1, Job::Rank(r) if r.forget == "prompt:a cat"));
    window.get_by_label_contains("Saliency, then forgetting");
    played.answer();
    window.run();
    assert!(matches!(played.asked().1, Job::Unlearn(r) if r.forget == "prompt:a cat"));
}

#[test]
fn a_cancel_or_a_failure_takes_forget_back() {
    for error in [Error::Cancelled, Error::Device("lost".into())] {
        let (mut window, played) = asked(LAPTOP);
        played.fail(error);
        window.run();
        assert!(!window.state().state.session().under_way());
        assert!(window.query_by_label_contains("After").is_none());
        window.state_mut().state.open();
        played.answer();
        window.run();
        let kind = window.state().state.work.as_ref().map(|work| work.kind);
        assert_eq!(kind, Some(JobKind::Rank));
        played.answer();
        window.run();
        assert!(window.state().state.work.is_none(), "it was to be scored, and not forgotten");
    }
}

#[test]
fn nothing_moves_when_something_comes() {
    let (mut window, played) = window_on(Task::TextToImage, LAPTOP, Theme::Dark);
    window.run();
    let first = ["What shall it forget?", "elephant", "Forget", "Before: ", "Compare", "Share"];
    let before = rects(&window, &first);
    played.answer();
    window.run();
    // The played model has four concepts, so that only the chips and their tiles are others.
    let kept = [0, 2, 4, 5];
    let now =
        rects(&window, &["What shall it forget?", "cat", "Forget", "Before: ", "Compare", "Share"]);
    assert!(kept.iter().all(|&i| now[i] == before[i]), "the model came: {before:?}, {now:?}");

    window.get_by_label("cat").click();
    window.run();
    let panels = ["What shall it forget?", "Forget", "Compare", "Saliency", "Share"];
    let before = rects(&window, &panels);
    let (id, job) = played.asked();
    let Job::Rank(recipe) = &job else { panic!("{job:?}") };
    played.tell(Event::Pane { id, pane: pane(&recipe.forget) });
    window.run();
    assert_eq!(rects(&window, &panels), before, "the prompt's pictures came");
    played.tell(Event::Done { id, outcome: Outcome::Ranked(ranking(recipe)) });
    window.run();
    assert_eq!(rects(&window, &panels), before, "the scores came");

    window.get_by_label("Forget").click();
    window.run();
    let panes = ["Forget", "Saliency", "Before: ", "After (SalUn): ", "Random mask: ", "Pause"];
    let before = rects(&window, &panes);
    let (id, _) = played.asked();
    for step in 1..=30 {
        played.tell(Event::Step { id, live: live(step, 40) });
    }
    window.run();
    assert_eq!(rects(&window, &panes), before, "pictures of a step came");
    for arm in Arm::BOTH {
        played.answer();
        window.run();
        assert_eq!(rects(&window, &panes), before, "a result came: {arm:?}");
    }
}

#[test]
fn the_whole_main_job_is_in_view_at_1280_by_800() {
    for task in Task::ALL {
        let (mut window, played) = window_on(task, LAPTOP, Theme::Dark);
        window.run();
        played.answer();
        window.run();
        window.get_by_label(if task.prompted() { "cat" } else { "Sneaker" }).click();
        window.run();
        played.answer();
        window.run();
        window.get_by_label("Forget").click();
        window.run();
        for _ in Arm::BOTH {
            played.answer();
            window.run();
        }
        let screen = Rect::from_min_size(egui::Pos2::ZERO, LAPTOP.into());
        let timeline = window.get_by_label("Loss").rect().top();
        for pane in ["Before: ", "After (SalUn): ", "Random mask: "] {
            let rect = window.get_by_label_contains(pane).rect();
            assert!(
                screen.contains_rect(rect) && rect.bottom() < timeline,
                "{task:?}: {pane} {rect}"
            );
        }
        let status = window.get_by_label("Pause").rect().top();
        for said in ["Forgot", "Random mask wins", "SalUn wins"] {
            for node in window.query_all_by_label_contains(said) {
                let rect = node.rect();
                assert!(rect.bottom() < status, "{task:?}: '{said}' is below what is seen, {rect}");
            }
        }
        for said in ["What shall it forget?", "Forget", "Forgot"] {
            assert!(screen.contains_rect(window.get_by_label(said).rect()), "{task:?}: {said}");
        }
    }
}

#[test]
fn tiles_grow_with_the_window() {
    let side = |size: [f32; 2]| {
        let (mut window, played) = window_on(Task::TextToImage, size, Theme::Dark);
        window.run();
        let [opening] = rects(&window, &["Before: "])[..] else { unreachable!() };
        played.answer();
        window.run();
        window.state_mut().state.ask("a cat");
        played.answer();
        window.run();
        window.state_mut().state.forget();
        window.run();
        let [after] = rects(&window, &["After (SalUn): "])[..] else { unreachable!() };
        [opening.area(), after.area()]
    };
    let sizes =
        [side([1024.0, 640.0]), side(LAPTOP), side([1920.0, 1080.0]), side([3840.0, 2160.0])];
    for pair in sizes.windows(2) {
        // Before has the room already that a wider window gives to what comes after.
        assert!(pair[1][0] > pair[0][0] && pair[1][1] > 1.3 * pair[0][1], "{sizes:?}");
    }
    assert!(sizes[3][0] > 0.4 * 3840.0 * 2160.0, "4K: {sizes:?}");
}

#[test]
fn a_phone_shows_one_pane_at_a_time_and_a_drag_brings_the_next() {
    let (mut window, played) = asked([390.0, 844.0]);
    for _ in 0..2 {
        played.answer();
        window.run();
    }
    // Whoever presses Forget sees After.
    let after = window.get_by_label_contains("After (SalUn): ").rect();
    assert!(window.query_by_label_contains("Before: ").is_none());
    assert!(after.width() > 250.0, "it has the whole width: {after}");
    let drag = |window: &mut Window, by: f32| {
        let start = egui::pos2(195.0, 250.0);
        window.hover_at(start);
        window.step();
        window.drag_at(start);
        window.step();
        for part in 1..=4 {
            window.hover_at(start + egui::vec2(by * part as f32 / 4.0, 0.0));
            window.step();
        }
        window.drop_at(start + egui::vec2(by, 0.0));
        window.run();
    };
    drag(&mut window, 160.0);
    window.get_by_label_contains("Before: ");
    drag(&mut window, -160.0);
    window.get_by_label_contains("After (SalUn): ");
    drag(&mut window, -20.0);
    window.get_by_label_contains("After (SalUn): ");
    window.get_all_by_label("Random mask").last().unwrap().click();
    window.run();
    window.get_by_label_contains("Random mask: nothing yet");
}

#[test]
fn views_of_runs_show_what_is_recorded_or_offer_to_make_one() {
    let (mut window, played) = window_on(Task::Classify, LAPTOP, Theme::Light);
    window.run();
    played.answer();
    window.run();
    window.state_mut().view = &map::VIEW;
    window.run();
    window.get_by_label_contains("18 recorded rows");
    window.get_by_label_contains("Recorded, SalUn: 2.9 left");
    window.get_by_label_contains("seed 1, 2, 3");
    window.get_by_label("Show the table").click();
    window.run();
    assert_eq!(window.state().view, &table::VIEW);
    window.get_by_label("Forgetting a class");
    window.get_by_label("recorded with the program");
    window.state_mut().view = &masks::VIEW;
    window.run();
    window.get_by_label_contains("recorded with the program: classes, seed 1");
    window.key_press(egui::Key::R);
    window.run();
    window.get_by_label("Nothing is picked yet; this recipe would forget Sneaker");
    window.state_mut().view = &audit::VIEW;
    window.run();
    window.get_by_label("Forget Sneaker").click();
    window.run();
    assert!(window.state().state.session().eager);
    played.answer();
    window.run();
    assert!(matches!(played.asked().1, Job::Unlearn(r) if r.forget == "class:Sneaker"));
}

#[test]
fn every_shipped_table_can_be_looked_at() {
    let (mut window, _) = window_on(Task::TextToImage, LAPTOP, Theme::Dark);
    window.state_mut().view = &table::VIEW;
    window.run();
    window.get_by_label("A text-to-image model forgets a concept, or a style");
    for title in ["Random data forgetting, 10 % and 50 %", "SalUn under every mask"] {
        window.get_by_label("Recorded").click();
        window.run();
        window.get_all_by_label(title).last().unwrap().click();
        window.run();
        window.get_all_by_label(title).next().unwrap();
        window.get_by_label_contains("runs, 0 failed");
    }
}

#[test]
fn whatever_can_be_pressed_has_a_name() {
    use egui::accesskit::Role;
    use egui_kittest::kittest::NodeT;
    for size in [LAPTOP, [390.0, 844.0]] {
        let (mut window, played) = window(size, Theme::Dark);
        played.answer();
        window.run();
        window.state_mut().state.pick(Choice::Class(7));
        for _ in 0..3 {
            played.answer();
            window.run();
            window.state_mut().state.forget();
            window.run();
        }
        for &view in View::ALL.iter().filter(|view| view.tasks.contains(&Task::Generate)) {
            window.state_mut().view = view;
            window.run_ok();
            for node in window.query_all_by_label_contains("").chain(window.query_all_by(|_| true))
            {
                let node = node.accesskit_node();
                let pressed = [
                    Role::Button,
                    Role::CheckBox,
                    Role::Slider,
                    Role::SpinButton,
                    Role::TextInput,
                    Role::ComboBox,
                ];
                let named = node.label().is_some_and(|name| !name.trim().is_empty());
                let told = named || node.value().is_some_and(|value| !value.trim().is_empty());
                assert!(
                    !pressed.contains(&node.role()) || told,
                    "{}: {:?}",
                    view.name,
                    node.role()
                );
            }
        }
    }
}

#[test]
fn whoever_wants_no_motion_gets_none() {
    let (mut window, _) = window(LAPTOP, Theme::Dark);
    window.run();
    window.get_by_label("?").click();
    window.run();
    window.get_by_label("Reduce motion").click();
    window.run();
    assert!(window.state().is_calm());
    assert_eq!(window.ctx.global_style().animation_time, 0.0);
}

#[test]
fn one_to_three_pixels_a_point_are_drawn_alike() {
    let layout = |pixels: f32| {
        let task = Task::TextToImage;
        let (mut window, played) = window_at(pixels, task, LAPTOP, Theme::Dark);
        played.answer();
        window.run();
        let labels = ["What shall it forget?", "cat", "Forget", "Before: ", "Compare", "Share"];
        rects(&window, &labels)
    };
    let one = layout(1.0);
    for pixels in [1.25, 1.5, 2.0, 3.0] {
        for (a, b) in one.iter().zip(layout(pixels)) {
            let apart = (a.min - b.min).abs().max((a.max - b.max).abs());
            assert!(apart.max_elem() < 6.0, "{pixels}: {a} and {b}");
        }
    }
}
