//! What a person sees and presses.

use std::sync::Arc;

use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};

use crate::{
    binary::Scratch,
    studio::{
        answers::{SNEAKER, grid, live, opened},
        played::{Played, settle, tried, window},
    },
};
use salun_studio::engine::{Event, Grid, Job, LiveStep, Opened, Outcome};
use salun_studio::error::Error;
use salun_studio::models::{Assumed, Said};
use salun_studio::studio::{Choice, Studio};
use salun_studio::words::Task;

#[test]
fn frames_alone_ask_for_nothing() {
    let played = Played::default();
    let studio = Studio::new(Box::new(played.clone()), Box::new(|_| unreachable!()));
    let mut window = Harness::builder()
        .with_size([1280.0, 800.0])
        .build_ui_state(|ui, studio: &mut Studio| studio.show(ui), studio);
    for _ in 0..5 {
        window.step();
    }
    assert_eq!(played.count(), 1, "while the model opens");
    window.state_mut().state.session_mut().request.seed = 9;
    for _ in 0..5 {
        window.step();
    }
    assert_eq!(played.count(), 2, "while it opens with another seed");
    played.fail(Error::Device("lost".into()));
    for _ in 0..5 {
        window.step();
    }
    assert_eq!(played.count(), 2, "after it failed");
}

#[test]
fn a_phone_shows_pictures_above_and_a_panel_at_a_time_below() {
    let (mut window, played) = window([390.0, 844.0], egui::Theme::Dark);
    played.answer();
    window.run();
    window.get_by_label("Menu");
    window.get_by_label("Sneaker").click();
    window.run();
    played.answer();
    window.run();
    window.get_by_label("Saliency").click();
    window.run();
    window.get_by_label_contains("layer1.0.conv1.weight");
    assert!(window.query_by_label("Timeline and verdict").is_none(), "there is nothing in it");
    window.get_by_label("Pick").click();
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    window.get_by_label("Timeline and verdict");
    window.get_by_label("Waiting for the first step");
}

#[test]
fn a_person_picks_a_class_presses_forget_and_reads_the_verdict() {
    let (mut window, played) = window([1024.0, 640.0], egui::Theme::Dark);
    played.answer();
    window.run();
    window.get_by_label("CPU, no GPU found");
    window.get_by_label("Sneaker").click();
    window.run();
    played.answer();
    window.run();
    window.get_by_label_contains("layer1.0.conv1.weight").click();
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    let before = window.get_by_label_contains("After (SalUn): ").rect();
    for step in 1..=20 {
        played.live(step, 40);
    }
    window.run();
    window.get_by_label_contains("Sneaker 3 of 6, step 20");
    played.answer();
    window.run();
    played.answer();
    window.run();
    let pane = window.get_by_label_contains("After (SalUn): ");
    assert_eq!(pane.rect(), before, "the panes stay where they are");
    for scrub in [Some(0), None] {
        window.state_mut().state.session_mut().scrub = scrub;
        for _ in 0..3 {
            window.run();
        }
        assert_eq!(window.query_by_label("Branch").is_some(), scrub.is_some());
        let pane = window.get_by_label_contains("After (SalUn): ").rect();
        assert_eq!(pane, before, "while a step is held, and after");
    }
    let pane = window.get_by_label_contains("After (SalUn): ");
    let below = window.get_by_label("Pause").rect().top();
    assert!(pane.rect().bottom() < below, "all classes are in view");
    window.get_by_label("Forgot");
    window.get_by_label("Over-forgot: the rest lost 9.5\u{a0}points");
    assert_eq!(window.query_all_by_label_contains("0 frozen weights changed").count(), 2);
    window.get_by_label("Change").click();
    window.run();
    assert_eq!(window.query_all_by_label("Mean change").count(), 1);
}

#[test]
fn the_keyboard_does_it_all() {
    let (mut window, played) = window([1024.0, 640.0], egui::Theme::Light);
    played.answer();
    window.run();
    for key in [egui::Key::ArrowDown, egui::Key::ArrowDown] {
        window.key_press(key);
    }
    window.run();
    played.answer();
    window.key_press(egui::Key::OpenBracket);
    window.run();
    let session = window.state().state.session();
    assert_eq!((session.what.clone(), session.request.density), (Some(Choice::Class(1)), 0.45));
    let command = egui::Modifiers::COMMAND;
    window.key_press_modifiers(command, egui::Key::Enter);
    window.key_press_modifiers(command, egui::Key::P);
    window.run();
    assert!(played.0.borrow().paused);
    window.get_by_label("Continue");
    window.get_by_label("Step").click();
    window.key_press_modifiers(command, egui::Key::Period);
    window.run();
    assert_eq!(played.0.borrow().steps, 2);
    let cancels = played.0.borrow().cancels;
    window.key_press(egui::Key::Escape);
    window.run();
    assert_eq!(played.0.borrow().cancels, cancels + 1);
    played.fail(Error::Cancelled);
    window.run();
    window.get_by_label("Cancelled");
    window.key_press(egui::Key::Num3);
    window.run();
    assert_eq!(window.state().state.task, Task::Classify);
}

#[test]
fn words_without_a_field_start_stop_and_save_nothing() {
    use egui::{Event, Key};
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    window.step();
    let cancels = played.0.borrow().cancels;
    for (letter, key) in [("f", Key::F), ("a", Key::A), ("s", Key::S), (" ", Key::Space)] {
        window.key_press(key);
        window.event(Event::Text(letter.into()));
        window.step();
    }
    assert!(!played.0.borrow().paused && played.0.borrow().cancels == cancels);
}

#[test]
fn the_left_panel_stays_as_wide_as_it_is() {
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    played.answer();
    window.run();
    let width = |window: &Harness<Studio>| window.get_by_label("Forget").rect().right();
    let before = width(&window);
    window.get_by_label("Sneaker").click();
    window.run();
    played.answer();
    for density in [0.726, 1.0, 0.005] {
        window.state_mut().state.set_density(density);
        window.run();
        assert_eq!(width(&window), before, "{density}");
    }
    window.state_mut().state.session_mut().request.steps = Some(9_999_999);
    window.state_mut().state.session_mut().request.lr = Some(1.234e-11);
    window.get_by_label("Text-to-image").click();
    window.run();
    assert_eq!(width(&window), before, "a prompt, while its model opens");
    played.answer();
    window.run();
    assert_eq!(width(&window), before, "its chips");
}

#[test]
fn saving_tells_where_or_why_not() {
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    played.answer();
    window.run();
    window.state_mut().state.pick(Choice::Class(SNEAKER));
    for key in [None, Some(egui::Key::Enter), None] {
        if let Some(key) = key {
            window.key_press_modifiers(egui::Modifiers::COMMAND, key);
            window.run();
        }
        played.answer();
        window.run();
    }
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::S);
    settle(&mut window);
    assert!(window.query_all_by_label("Saved to runs/sneaker").next().is_some());
    window.get_by_label_contains("runs/random is already there");
    window.get_by_label("Dismiss").click();
    window.run();
    assert!(window.query_by_label("Dismiss").is_none());
}

#[test]
fn a_copied_link_is_said_for_a_while() {
    let (mut window, played) = window([1024.0, 640.0], egui::Theme::Dark);
    played.answer();
    window.run();
    assert!(window.query_by_label_contains("copied").is_none());
    window.get_by_label("Share").click();
    window.run();
    window.get_by_label("Request copied");
    // A frame of the test takes a quarter of a second.
    window.run_steps(20);
    assert!(window.query_by_label("Request copied").is_none());
}

#[test]
fn a_file_is_opened_by_its_path() {
    let (mut window, played) = window([1024.0, 640.0], egui::Theme::Dark);
    let scratch = Scratch::new("path");
    scratch.put("mine.pth", "");
    let path = scratch.path("mine.pth").display().to_string();
    played.answer();
    window.run();
    window.get_by_label("Open…").click();
    window.run();
    window.get_by_label("Weights file…").click();
    window.run_ok();
    window.get_by_label("Open a weights file");
    // The field has the focus, and what is in it is selected.
    window.event(egui::Event::Text(path.clone()));
    window.run_ok();
    window.key_press(egui::Key::Enter);
    window.run_ok();
    assert!(matches!(played.asked().1, Job::Open { model, .. } if model == path));
    assert!(window.query_by_label("Open a weights file").is_none());
}

#[test]
fn weights_that_others_made_are_compared_with_the_model_that_is_open() {
    let (mut window, played) = window([1024.0, 640.0], egui::Theme::Dark);
    let scratch = Scratch::new("compare");
    scratch.put("after.pth", "");
    let path = scratch.path("after.pth").display().to_string();
    played.answer();
    window.run();
    let compare = |window: &mut Harness<_>| {
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K);
        window.run_ok();
    };
    let title = "Compare with weights after forgetting";
    compare(&mut window);
    assert!(window.query_by_label(title).is_none(), "nothing is picked");
    window.state_mut().state.pick(Choice::Class(SNEAKER));
    played.answer();
    window.run();
    compare(&mut window);
    window.get_by_label(title);
    window.event(egui::Event::Text(path.clone()));
    window.run_ok();
    window.key_press(egui::Key::Enter);
    window.run_ok();
    let (_, job) = played.asked();
    assert!(
        matches!(&job, Job::Unlearn(recipe) if recipe.given.as_ref() == Some(&path)),
        "{job:?}"
    );
    assert!(window.query_by_label(title).is_none());
    // It has its file's name where a method stands.
    played.answer();
    window.run();
    assert!(window.query_all_by_label_contains("after.pth").next().is_some());
}

#[test]
fn what_a_file_does_not_say_can_be_said_in_the_window() {
    let (mut window, played) = window([1280.0, 1000.0], egui::Theme::Dark);
    played.answer();
    window.run();
    assert!(window.query_by_label("Pixels").is_none(), "a shipped model says it");
    window.state_mut().state.import("own.pth".into(), None);
    let assumed = Assumed { classes: true, normalisation: true, ..Assumed::default() };
    let open = |model: &str| {
        let opened = Opened { name: model.into(), assumed, ..opened("fashion-classifier") };
        Outcome::Opened(Arc::new(opened))
    };
    let (id, _) = played.asked();
    played.tell(Event::Done { id, outcome: open("own.pth") });
    window.run();
    window.get_by_value("As the data are").click();
    window.run();
    window.get_by_label("From 0 to 1").click();
    window.run();
    let unit = "own.pth?normalize=unit";
    let (id, job) = played.asked();
    assert!(matches!(job, Job::Open { model, .. } if model == unit));
    played.tell(Event::Done { id, outcome: open(unit) });
    window.run();
    let field = window.get_by_role(egui::accesskit::Role::TextInput);
    field.focus();
    window.run();
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    window.event(egui::Event::Text("a,b,c,d,e,f,g,h,i,j".into()));
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
    let named = "own.pth?classes=a%2Cb%2Cc%2Cd%2Ce%2Cf%2Cg%2Ch%2Ci%2Cj&normalize=unit";
    let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(model, named, "{:?}", window.state().state.error);
}

#[test]
fn a_lora_is_laid_over_an_own_text_to_image_model_in_the_window() {
    let (mut window, played) = window([1280.0, 1000.0], egui::Theme::Dark);
    played.answer();
    window.run();
    assert!(window.query_by_label("LoRA").is_none(), "only a model of one's own takes one");
    window.state_mut().state.import("sd.safetensors".into(), None);
    let own = Opened { name: "sd.safetensors".into(), ..opened("emoji-t2i") };
    let (id, _) = played.asked();
    played.tell(Event::Done { id, outcome: Outcome::Opened(Arc::new(own)) });
    window.run();
    for field in ["Pictures", "LoRA", "U-Net", "Judge"] {
        window.get_by_label(field);
    }
    window.get_all_by_role(egui::accesskit::Role::TextInput).nth(1).unwrap().focus();
    window.run();
    window.event(egui::Event::Text("style.safetensors@0.8, b.pt".into()));
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
    let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(model, "sd.safetensors?lora=style.safetensors%400.8&lora=b.pt");
}

#[test]
fn a_text_to_image_model_of_ones_own_is_told_its_pictures_in_the_window() {
    let (mut window, played) = window([1280.0, 1000.0], egui::Theme::Dark);
    played.answer();
    window.run();
    let tell = |window: &mut Harness<Studio>, name: &str, data: &str| {
        window.state_mut().state.import(name.into(), None);
        let own = Opened { name: name.into(), data: data.into(), ..opened("emoji-t2i") };
        let (id, _) = played.asked();
        played.tell(Event::Done { id, outcome: Outcome::Opened(Arc::new(own)) });
        window.run();
    };
    let write = |window: &mut Harness<Studio>, field: usize, text: &str| {
        window.get_all_by_role(egui::accesskit::Role::TextInput).nth(field).unwrap().focus();
        window.run();
        window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        window.event(egui::Event::Text(text.into()));
        window.run();
        window.key_press(egui::Key::Enter);
        window.run();
        let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
        Said::of(&model).unwrap().1.data.unwrap()
    };
    tell(&mut window, "sd", "emoji");
    assert!(window.query_by_label("Captions").is_none(), "emoji have their own");
    // A folder without captions gets the usual template, which can be seen and changed.
    let usual = "folder:mine?caption=an+image+of+a+%7Bclass%7D";
    assert_eq!(write(&mut window, 0, "folder:mine"), usual);
    tell(&mut window, "sd", usual);
    window.get_by_label("Captions");
    assert_eq!(write(&mut window, 1, "a {class}"), "folder:mine?caption=a+%7Bclass%7D");
    assert_eq!(write(&mut window, 0, "made:prompts.txt"), "made:prompts.txt");
    let folder = std::path::Path::new("other");
    assert!(window.state_mut().state.take_pictures(folder), "as if it were dropped");
    let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert!(model.contains("data=folder%3Aother%3Fcaption"), "{model}");
}

#[test]
fn a_judge_of_an_own_diffusion_model_can_be_named_in_the_window() {
    let (mut window, played) = window([1280.0, 1000.0], egui::Theme::Dark);
    played.answer();
    window.run();
    assert!(window.query_by_label("Judge").is_none(), "a shipped model has one");
    window.state_mut().state.import("own.safetensors".into(), None);
    let mut nobody = (*opened("fashion-ddpm").grid).clone();
    nobody.seen.fill(None);
    let grid = Arc::new(nobody);
    let tell = |name: &str| {
        let own = Opened { name: name.into(), grid: grid.clone(), ..opened("fashion-ddpm") };
        let (id, _) = played.asked();
        played.tell(Event::Done { id, outcome: Outcome::Opened(Arc::new(own)) });
    };
    tell("own.safetensors");
    window.run();
    window.get_by_label("Judge");
    assert!(window.query_by_role(egui::accesskit::Role::TextInput).is_none());
    window.get_by_value("The shipped one, if there is one").click();
    window.run();
    window.get_by_label("A file, or a folder of CLIP").click();
    window.run();
    window.get_by_role(egui::accesskit::Role::TextInput).focus();
    window.run();
    window.event(egui::Event::Text("mine/judge.pth".into()));
    window.run();
    window.key_press(egui::Key::Enter);
    window.run();
    let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(model, "own.safetensors?judge=mine%2Fjudge.pth");
    // Nobody is a choice, too.
    tell(&model);
    window.run();
    window.get_by_value("A file, or a folder of CLIP").click();
    window.run();
    window.get_by_label("Nobody").click();
    window.run();
    let Job::Open { model, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(model, "own.safetensors?judge=none");
}

#[test]
fn a_failure_lies_over_the_panels_and_moves_none() {
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    played.answer();
    window.run();
    let before = window.get_by_label_contains("Before: ").rect();
    window.state_mut().state.error = Some("mine.pth: not a whole file".into());
    window.run();
    window.get_by_label("mine.pth: not a whole file");
    assert_eq!(window.get_by_label_contains("Before: ").rect(), before);
    window.get_by_label("Dismiss").click();
    window.run();
    assert_eq!(window.state().state.error, None);
}

#[test]
fn panes_come_with_what_they_show() {
    let (mut window, played) = window([1280.0, 800.0], egui::Theme::Dark);
    played.answer();
    window.run();
    window.get_by_label("Sneaker").click();
    window.run();
    played.answer();
    window.run();
    let others = ["After (SalUn): ", "Random mask: ", "Retrain: "];
    for pane in others {
        assert!(window.query_by_label_contains(pane).is_none(), "{pane} has nothing to show");
    }
    window.get_by_label("Forget").click();
    window.run();
    window.get_by_label_contains(
        "After (SalUn): 59 of 60 seen as their class, Sneaker 6 of 6, step 0",
    );
    window.get_by_label("Random mask: nothing yet");
    // What is to be forgotten is seen first, alone, and is no step to go back to.
    let (id, _) = played.asked();
    let seen = grid(6);
    let row = Grid {
        rows: vec![Some(SNEAKER)],
        pixels: (0..6).flat_map(|column| seen.pixels_of(SNEAKER, column).to_vec()).collect(),
        seen: (0..6).map(|column| seen.seen_in(SNEAKER, column)).collect(),
        ..seen
    };
    let glimpse = Some(Arc::new(row));
    played.tell(Event::Step { id, live: LiveStep { glimpse, ..live(2, 40) } });
    window.run();
    window.get_by_label("After (SalUn): Sneaker alone, step 2");
    assert_eq!(window.state().state.session().stops(), [0]);
    played.live(10, 40);
    window.run();
    window.get_by_label_contains("Sneaker 5 of 6, step 10");
    // A Retrain twin of Sneaker is shipped; of a bag there is none, and its switch says so.
    window.get_by_label_contains("Retrain: ");
    window.state_mut().state.cancel();
    played.fail(Error::Cancelled);
    window.run();
    window.get_by_label("Bag").click();
    window.run();
    played.answer();
    window.run();
    window.get_by_label("Forget").click();
    window.run();
    assert!(window.query_by_label_contains("Retrain: ").is_none());
    assert!(window.get_by_label("Retrain").accesskit_node().is_disabled());
}

#[test]
fn the_diffusion_model_is_offered_what_it_can_do() {
    let (mut window, played) = window([1024.0, 700.0], egui::Theme::Dark);
    played.answer();
    window.run();
    assert!(window.query_by_label("Audit").is_none(), "the audit is of classifiers");
    window.key_press(egui::Key::D);
    window.step();
    played.answer();
    window.run();
    window.get_by_label_contains("click one to forget its class");
    let grid = window.get_by_label_contains("training pictures").rect();
    let tile = |i: usize| grid.min + egui::vec2(20.0 + 43.0 * i as f32, 20.0);
    window.hover_at(tile(SNEAKER));
    window.run();
    window.drag_at(tile(SNEAKER));
    window.drop_at(tile(SNEAKER));
    window.run();
    window.get_by_label("Forget the class of this picture").click();
    window.run();
    assert_eq!(window.state().state.session().what, Some(Choice::Class(SNEAKER)));
    assert!(matches!(played.asked().1, Job::Rank(recipe) if recipe.forget == "class:Sneaker"));
}

#[test]
fn a_quick_straight_drag_picks_what_it_spans() {
    let (mut window, played) = tried([1024.0, 700.0], egui::Theme::Dark);
    window.key_press(egui::Key::D);
    window.step();
    played.answer();
    window.run();
    let grid = window.get_by_label_contains("training pictures").rect();
    let tile = |column: usize, row: usize| {
        grid.min + egui::vec2(20.0 + 43.0 * column as f32, 20.0 + 43.0 * row as f32)
    };
    let press = |pos, pressed| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: egui::Modifiers::NONE,
    };
    window.hover_at(tile(0, 0));
    window.run();
    // All of it in one frame.
    let (start, end) = (tile(0, 0), tile(2, 1));
    window.event(press(start, true));
    window.event(egui::Event::PointerMoved(end));
    window.event(press(end, false));
    window.run();
    window.get_by_label("6 picked");
    // And frame by frame.
    window.drag_at(tile(4, 0));
    window.step();
    window.hover_at(tile(4, 2));
    window.step();
    window.drop_at(tile(4, 2));
    window.run();
    window.get_by_label("9 picked");
}

#[test]
fn a_missing_folder_is_called_that() {
    let (mut window, _) = tried([1024.0, 700.0], egui::Theme::Dark);
    window.key_press(egui::Key::T);
    window.run();
    window.get_by_role(egui::Role::TextInput).focus();
    window.run();
    window.get_by_role(egui::Role::TextInput).type_text("/no/such/folder");
    window.run();
    window.get_by_label("Open").click();
    settle(&mut window);
    window.get_by_label("/no/such/folder: no such folder");
}
