//! The other views of the centre, and what lies over them.

use egui::{Key, Modifiers, Theme, vec2};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};

use crate::studio::{
    answers::SNEAKER,
    played::{settle, tried},
};
use salun_studio::engine::{Event, Job};
use salun_studio::eval::Evidence;
use salun_studio::eval::verdict::verdict;
use salun_studio::job_context::Progress;
use salun_studio::saliency::By;
use salun_studio::studio::views::{View, compare, map};
use salun_studio::studio::{Arm, Choice, Studio};

const SMALL: [f32; 2] = [1024.0, 700.0];

#[test]
fn the_map_keeps_a_point_for_every_run_and_its_control() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.key_press(Key::M);
    window.run();
    for run in ["Run 1, SalUn, 50 %: ", "Run 2, SalUn, 10 %: ", "Random mask of run 1"] {
        window.get_by_label_contains(run);
    }
    let (jobs, points) = (played.count(), ["Run 1, SalUn", "Random mask of run 1"]);
    let [method, control] = points.map(|p| window.get_by_label_contains(p).rect().center());
    assert!(control.y < method.y, "the control lost more of the rest");
    window.get_by_label_contains("Run 1, SalUn").click();
    window.run();
    let session = window.state().state.session();
    assert_eq!((session.history.shown, session.request.density), (Some(1), 0.5));
    window.get_by_label_contains("Show run 2").click();
    window.run();
    assert_eq!(window.state().state.session().history.shown, Some(2));
    assert_eq!(played.count(), jobs);
}

#[test]
fn the_swipe_follows_the_pointer_and_the_arrows() {
    let (mut window, _) = tried(SMALL, Theme::Light);
    window.key_press(Key::W);
    window.run();
    let line = |window: &Harness<Studio>| {
        window.get_by_label("Swipe between Before and After (SalUn)").rect().center().x
    };
    let pane = window.get_by_label_contains("After (SalUn): ").rect();
    assert!((line(&window) - pane.center().x).abs() < 1.0);
    window.hover_at(pane.min + vec2(pane.width() * 0.25, 60.0));
    window.run();
    assert!((line(&window) - (pane.left() + pane.width() * 0.25)).abs() < 1.0);
    window.get_by_label("Swipe between Before and After (SalUn)").focus();
    window.run();
    let before = line(&window);
    window.key_press(Key::ArrowRight);
    window.run();
    assert!((line(&window) - before - pane.width() * 0.05).abs() < 1.0);
    let what = &window.state().state.session().what;
    assert_eq!(*what, Some(Choice::Class(SNEAKER)), "the arrows picked no class");
}

#[test]
fn pictures_are_picked_by_click_shift_lasso_and_keyboard() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.key_press(Key::D);
    window.step();
    played.answer();
    window.run();
    let grid = window.get_by_label_contains("training pictures").rect();
    let tile = |column: usize, row: usize| {
        grid.min + vec2(20.0 + 43.0 * column as f32, 20.0 + 43.0 * row as f32)
    };
    let click = |window: &mut Harness<Studio>, at, modifiers| {
        window.hover_at(at);
        window.run();
        let button = egui::PointerButton::Primary;
        for pressed in [true, false] {
            let event = egui::Event::PointerButton { pos: at, button, pressed, modifiers };
            window.event_modifiers(event, modifiers);
        }
        window.run();
    };
    click(&mut window, tile(1, 0), Modifiers::NONE);
    window.get_by_label("1 picked");
    click(&mut window, tile(4, 0), Modifiers::SHIFT);
    window.get_by_label("4 picked");
    // Around the second and third of the second row.
    window.drag_at(tile(0, 1) + vec2(22.0, -15.0));
    for to in [vec2(107.0, -15.0), vec2(107.0, 17.0), vec2(22.0, 17.0)] {
        window.hover_at(tile(0, 1) + to);
        window.step();
    }
    window.drop_at(tile(0, 1) + vec2(22.0, 17.0));
    window.run();
    window.get_by_label("6 picked");
    window.key_press(Key::Enter);
    window.run();
    window.get_by_label("5 picked");
    window.get_by_label("Forget these 5").click();
    window.run();
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    let columns = (grid.width() / 43.0).round() as usize;
    // The cursor was on the last one that was clicked, and dropped it; items are in order.
    assert_eq!(recipe.forget, format!("items:1-3,{}-{}", columns + 1, columns + 2));
    window.get_by_label("Clear").click();
    window.run();
    assert!(window.query_by_label("Clear").is_none());
}

#[test]
fn only_pictures_of_the_training_part_are_shown_and_a_class_by_itself() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.key_press(Key::D);
    window.step();
    played.answer();
    window.run();
    window.get_by_label_contains("540 training pictures");
    window.get_by_label("Shown class").click();
    window.run();
    window.get_all_by_label("Dress").last().expect("in the list").click();
    window.run();
    window.get_by_label_contains("54 training pictures");
}

#[test]
fn the_tour_stops_at_every_spot_and_ends() {
    for size in [[1280.0, 800.0], SMALL, [390.0, 844.0]] {
        let (mut window, _) = tried(size, Theme::Dark);
        window.state_mut().view = &map::VIEW;
        window.key_press(Key::H);
        window.run();
        assert_eq!(window.state().view, &compare::VIEW);
        for stop in 1..=6 {
            window.get_by_label(&format!("{stop} of 6"));
            // The button has the focus: the keyboard alone goes on.
            window.key_press(Key::Enter);
            window.run();
        }
        assert!(window.query_by_label("6 of 6").is_none());
        window.key_press(Key::H);
        window.run();
        window.get_by_label("Skip tour").click();
        window.run();
        assert!(window.query_by_label("Skip tour").is_none());
    }
}

#[test]
fn figures_and_the_recipe_can_be_taken_away() {
    let (mut window, _) = tried(SMALL, Theme::Dark);
    window.get_by_label("Export").click();
    window.run();
    window.get_by_label("Recipe (TOML)").click();
    settle(&mut window);
    window.get_by_label_contains("recipe.toml");
    window.get_by_label("Export").click();
    window.run();
    window.get_by_label_contains("Figures").click();
    window.run();
    window.get_by_label("Forget map (PNG and SVG)").click();
    settle(&mut window);
    window.get_by_label("Saved to forget-map.png and forget-map.svg");
    window.get_by_label("Export").click();
    window.run();
    window.get_by_label("Copy the recipe").click();
    window.step();
    let copied = window.output().platform_output.commands.iter().any(
        |c| matches!(c, egui::OutputCommand::CopyText(text) if text.contains("class:Sneaker")),
    );
    assert!(copied, "the recipe is on the clipboard");
}

#[test]
fn the_recipe_view_writes_what_the_run_would_be() {
    let (mut window, _) = tried(SMALL, Theme::Light);
    window.key_press(Key::R);
    window.run();
    let recipe = window.state().state.session().recipe().unwrap();
    let shown = window.get_by_label_contains("method = \"salun\"");
    assert!(shown.rect().height() > 0.0);
    window.get_by_label_contains(&recipe.protocol()[..12]);
    window.get_by_label("Copy").click();
    window.run();
}

#[test]
fn views_fit_a_phone() {
    let (mut window, played) = tried([390.0, 844.0], Theme::Light);
    for &view in View::ALL {
        window.state_mut().view = view;
        window.step();
        if window.state().state.work.is_some() {
            played.answer();
        }
        window.run();
        let all = window.query_all_by_label_contains("");
        // What is scrolled out of sight has no place.
        for node in all.filter(|node| node.accesskit_node().bounding_box().is_some()) {
            let rect = node.rect();
            assert!(rect.left() >= -1.0, "{view:?}: {node:?} lies off the screen");
        }
    }
}

#[test]
fn masks_of_classes_are_compared() {
    let (mut window, played) = tried(SMALL, Theme::Light);
    window.key_press(Key::O);
    window.run();
    window.get_by_label("Classes").click();
    window.run();
    assert!(matches!(played.asked().1, Job::Overlap { by: By::Classes, .. }));
    played.answer();
    window.run();
    window.get_by_label("Overlap of masks; the most alike are Coat and Dress: 0.800");
    window.get_by_label_contains("two random ones share 0.05");
}

#[test]
fn a_result_is_kept_more_is_forgotten_and_undone() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.get_by_label("Forget more").click();
    window.run();
    assert!(matches!(played.asked().1, Job::Adopt { .. }));
    played.answer();
    window.run();
    window.get_by_label("Forgot Sneaker");
    window.get_by_label("Bag").click();
    window.run();
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    let earlier: Vec<&str> = recipe.after.iter().map(|r| r.forget.as_str()).collect();
    assert_eq!((recipe.forget.as_str(), earlier), ("class:Bag", vec!["class:Sneaker"]));
    played.answer();
    window.run();
    window.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    window.run();
    assert!(window.query_by_label("Forgot Sneaker").is_none());
    let session = window.state().state.session();
    assert_eq!(session.opened.as_ref().map(|o| o.name.as_str()), Some("fashion-classifier"));
    // Its runs are on the map again.
    window.key_press(Key::M);
    window.run();
    window.get_by_label_contains("Run 1, SalUn");
}

#[test]
fn an_audit_shows_what_is_only_hidden() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.key_press(Key::A);
    window.run();
    window.get_by_label("Confusion, After. Sneaker: 44 of 90 are seen as Ankle boot");
    window.get_by_label("Most changed").click();
    window.run();
    window.get_by_label("Test picture 90");
    window.get_by_label("Attacks").click();
    window.run();
    window.get_by_label("Audit this run").click();
    window.run();
    let Job::Audit { recipe, retrain: None, .. } = played.asked().1 else {
        panic!("{:?}", played.asked().1)
    };
    assert_eq!(recipe.density, 0.1);
    let held = "Wait for the work in progress, or cancel it";
    assert_eq!(window.state().state.blocked(), Some(held));
    played.answer();
    window.run();
    window.get_by_label("ROC of confidence, area 0.620");
    // Below what the scroll area shows.
    window.get_by_label("entropy").click_accesskit();
    window.run();
    window.get_by_label("ROC of entropy, area 0.590");
    window.get_by_label("Relearn").click();
    window.run();
    window.get_by_label_contains("Relearn curves, mean height: After 89.");
    window.get_by_label("Layers").click();
    window.run();
    window.get_by_label("After 91.0 %");
    // The card, and the list of runs.
    window.get_by_label("Hidden: 30\u{a0}updates bring it back");
    window.get_by_label_contains("A probe of its features finds 91.0\u{a0}%");
    window.key_press(Key::M);
    window.run();
    window.get_by_label("Show run 2  SalUn, 10 %, Sneaker, hidden");
    window.get_by_label("Show run 1  SalUn, 50 %, Sneaker, forgot");
}

#[test]
fn who_won_is_said_above_both_cards() {
    let (window, _) = tried([1440.0, 900.0], Theme::Dark);
    let said = "SalUn wins: it keeps 8.6\u{a0}points more than a random mask of equal size";
    let said = window.get_by_label(said).rect();
    window.get_by_label(&"n = 600 and 5,400".replace(' ', "\u{a0}"));
    let heading = window.get_by_label("Forgot").rect();
    assert!(said.bottom() <= heading.top());
    assert!(heading.height() > 20.0, "the verdict is what is largest");
    for line in window.query_all_by_label_contains("0 frozen weights changed") {
        assert!(line.rect().bottom() < 900.0, "in view without scrolling");
    }
}

#[test]
fn one_picture_is_no_verdict() {
    let (mut window, _) = tried([1440.0, 900.0], Theme::Dark);
    let attempt = window.state_mut().state.session_mut().attempt_mut(Arm::Method).expect("a run");
    let run = std::sync::Arc::make_mut(attempt.run.as_mut().expect("a result"));
    run.report.after.n = [1, 9, 9];
    run.report.verdict = verdict(&Evidence::of(&run.report));
    window.run();
    window.get_by_label("No verdict");
    window.get_by_label("Too few pictures to judge by (n\u{a0}=\u{a0}1)");
    window.get_by_label("Too few pictures to say which mask is better");
    assert!(window.query_by_label("Forgot").is_none());
}

#[test]
fn figures_are_those_of_the_step_that_is_shown() {
    let (mut window, played) = tried([1440.0, 900.0], Theme::Dark);
    window.state_mut().state.forget();
    for step in 1..=30 {
        played.live(step, 40);
    }
    window.run();
    window.get_by_label("Pictures of step 30: their 60\u{a0}tiles");
    window.get_by_label_contains("UA 67");
    window.state_mut().state.session_mut().scrub = Some(10);
    window.run();
    window.get_by_label("Pictures of step 10: their 60\u{a0}tiles");
    window.get_by_label_contains("UA 17");
    // The panes and the curve begin before the first update.
    window.state_mut().state.session_mut().scrub = Some(0);
    window.run();
    window.get_by_label_contains("UA 0");
    window.get_by_label("UA, RA, TA").click();
    window.run();
    window.get_by_label("SalUn RA and TA");
}

#[test]
fn the_status_line_says_whose_step_it_is() {
    let (mut window, played) = tried([1440.0, 900.0], Theme::Dark);
    let tell = |window: &mut Harness<Studio>, phase: &str, seconds_left| {
        let (id, _) = played.asked();
        let (phase, whole) = (phase.into(), None);
        let progress = Progress { phase, done: 12, total: 150, seconds_left, whole };
        played.tell(Event::Progress { id, progress });
        window.step();
    };
    window.state_mut().state.forget();
    tell(&mut window, "Scoring weights", None);
    window.get_by_label("SalUn: Scoring weights");
    tell(&mut window, "SalUn", Some(30.0));
    window.get_by_label("SalUn, step 12 of 150");
    window.get_by_label_contains("30 s left in this part");
    tell(&mut window, "SalUn: preparing the GPU", None);
    window.get_by_label("SalUn, step 12 of 150, preparing the GPU");
    played.answer();
    window.run();
    tell(&mut window, "Forgetting with SalUn", None);
    window.get_by_label("Random mask, step 12 of 150");
}

#[test]
fn every_method_offers_its_own_knobs() {
    let (mut window, played) = tried(SMALL, Theme::Dark);
    window.state_mut().state.set_method("scrub");
    window.get_by_label("More settings").click_accesskit();
    window.run();
    for knob in [
        "Weight of the true labels",
        "Weight of the original",
        "Temperature",
        "Forget epochs",
        "Learning rate",
    ] {
        assert!(window.query_all_by_label(knob).next().is_some(), "{knob}");
    }
    window.state_mut().state.set_method("rl");
    window.run();
    window.get_by_label("True label possible").click_accesskit();
    window.run();
    window.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.run();
    let Job::Unlearn(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(recipe.knobs, [("true-label".to_string(), 1.0)].into());
}
