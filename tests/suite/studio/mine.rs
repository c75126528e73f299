//! A person's own pictures: dropped, drawn, looked at, made a forget set or a class.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use egui::{Key, Theme, vec2};
use egui_kittest::{Harness, kittest::Queryable};

use crate::binary::Scratch;
use crate::studio::played::{Played, window};
use salun_studio::engine::Job;
use salun_studio::error::Error;
use salun_studio::studio::state::JobKind;
use salun_studio::studio::{Choice, Studio};
use salun_studio::words::Task;

const LAPTOP: [f32; 2] = [1024.0, 700.0];

#[derive(Debug)]
struct File(PathBuf);

impl egui::DroppedFile for File {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|e| e.to_string())
    }
}

fn drop_on(window: &mut Harness<Studio>, path: PathBuf) {
    window.input_mut().dropped_files.push(Arc::new(File(path)));
    window.step();
}

/// A window with the classifier open.
fn classifier<'a>(size: [f32; 2]) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = window(size, Theme::Dark);
    window.step();
    window.state_mut().state.switch(Task::Classify);
    played.answer();
    window.run();
    (window, played)
}

/// The same with the own pictures shown and `n` dots drawn.
fn drawn<'a>(size: [f32; 2], n: usize) -> (Harness<'a, Studio>, Played) {
    let (mut window, played) = classifier(size);
    window.key_press(Key::D);
    window.step();
    played.answer();
    window.run();
    window.get_by_label("Shown class").click();
    window.run();
    window.get_by_label("My pictures…").click();
    window.run();
    for dot in 0..n {
        let at = window.get_by_label("Drawing pad, empty").rect().center();
        let at = at + vec2(8.0 * dot as f32, 0.0);
        window.drag_at(at);
        window.step();
        window.drop_at(at);
        window.run();
        window.get_by_label("Drawing pad, 1 line");
        window.get_by_label("Add").click();
        window.run();
    }
    if n > 0 {
        look(&mut window, &played);
    }
    (window, played)
}

/// Answers what the model sees.
fn look(window: &mut Harness<Studio>, played: &Played) {
    let (_, job) = played.asked();
    assert!(matches!(job, Job::Look { .. }), "{job:?}");
    // What came meanwhile is looked at then.
    while window.state().state.working() == Some(JobKind::Look) {
        played.answer();
        window.run();
    }
}

#[test]
fn a_picture_that_is_dropped_is_looked_at_by_the_classifier_and_forgotten() {
    let scratch = Scratch::new("dropped");
    // White on the left and black on the right: the middle square of it is half of each.
    let picture = image::RgbImage::from_fn(80, 40, |x, _| image::Rgb([255 * u8::from(x < 40); 3]));
    picture.save(scratch.path("halves.jpg")).unwrap();
    let (mut window, played) = window(LAPTOP, Theme::Dark);
    window.step();
    played.answer();
    window.run();
    drop_on(&mut window, scratch.path("halves.jpg"));
    assert_eq!(window.state().state.task, Task::Classify, "only a classifier looks at pictures");
    played.answer();
    window.run();
    let Job::Look { model, pictures, after: None } = played.asked().1 else {
        panic!("{:?}", played.asked().1)
    };
    assert_eq!((model.as_str(), pictures.len()), ("fashion-classifier", 1));
    let row = &pictures.picture(0)[28 * 14..28 * 15];
    assert!(row[..12].iter().all(|v| *v > 240) && row[16..].iter().all(|v| *v < 15), "{row:?}");
    played.answer();
    window.run();
    window.get_by_label("Bag 93\u{a0}%");
    let told = window.state().summary().mine;
    assert_eq!((told.n, told.seen), (1, vec!["Bag".to_string()]));

    window.get_by_label("Forget this 1").click();
    window.run();
    let Job::Keep(mine) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!((mine.classes.clone(), mine.pictures.labels.clone()), (vec!["Bag".into()], vec![0]));
    played.answer();
    window.run();
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    let name = mine.name();
    assert!(name.starts_with("mine-"), "{name}");
    assert_eq!(recipe.forget, format!("mine:{name}"));
    assert_eq!(recipe.data, format!("fashion-mnist+mine:{name}"));
    // A class is again one of the data set alone.
    played.answer();
    window.run();
    window.state_mut().state.pick(Choice::Class(0));
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(recipe.data, "fashion-mnist");
}

#[test]
fn what_is_no_picture_is_refused_with_a_line() {
    let scratch = Scratch::new("undropped");
    scratch.put("noise.png", [7; 500]);
    scratch.put("empty.webp", []);
    let (mut window, played) = classifier(LAPTOP);
    for file in ["noise.png", "empty.webp", "gone.gif"] {
        drop_on(&mut window, scratch.path(file));
        let error = window.state().state.error.clone().unwrap();
        assert!(error.contains(file) && error.contains("PNG, JPEG, WebP"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    assert_eq!(window.state().summary().mine.n, 0);
    assert!(!matches!(played.asked().1, Job::Look { .. }));
}

#[test]
fn what_is_drawn_on_the_pad_is_added_inverted_and_taken_out() {
    let (mut window, played) = drawn(LAPTOP, 2);
    let Job::Look { pictures, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(pictures.len(), 2);
    let at = |pictures: &salun_studio::data::Pictures, n: usize, x: usize, y: usize| {
        pictures.picture(n)[y * 28 + x]
    };
    assert!(at(&pictures, 0, 13, 13) > 200 && at(&pictures, 0, 3, 3) == 0);
    assert!(at(&pictures, 1, 14, 13) > 200 && at(&pictures, 1, 13, 13) < 255);
    window.get_by_label("Invert").click();
    window.run();
    let Job::Look { pictures, .. } = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert!(at(&pictures, 0, 13, 13) < 55 && at(&pictures, 0, 3, 3) == 255);
    look(&mut window, &played);
    window.get_by_label("Take out picture 1").click();
    window.run();
    look(&mut window, &played);
    assert_eq!(window.state().summary().mine.n, 1);
    window.get_by_label("Forget this 1");
    window.get_by_label("Take all out").click();
    window.run();
    window.get_by_label("No pictures yet");
    window.get_by_label("Training pictures").click();
    window.run();
    window.get_by_label_contains("540 training pictures");
}

#[test]
fn pictures_that_could_not_be_looked_at_are_not_asked_about_again_and_again() {
    let (mut window, played) = drawn(LAPTOP, 0);
    let at = window.get_by_label("Drawing pad, empty").rect().center();
    window.drag_at(at);
    window.step();
    window.drop_at(at);
    window.run();
    window.get_by_label("Add").click();
    window.run();
    let jobs = played.count();
    played.fail(Error::Request("it looks at 3 channels, not 1".into()));
    window.run();
    assert_eq!(played.count(), jobs);
    assert!(window.state().state.error.as_deref().is_some_and(|e| e.contains("3 channels")));
}

#[test]
fn a_class_of_ones_own_is_learnt_and_undone() {
    let (mut window, played) = drawn([1440.0, 900.0], 3);
    window.get_by_label("Class of the pictures").click();
    window.run();
    window.get_by_label("A new class").click();
    window.run();
    let learn = |window: &mut Harness<Studio>, name: &str| {
        window.get_by_role(egui::Role::TextInput).focus();
        window.run();
        window.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
        window.get_by_role(egui::Role::TextInput).type_text(name);
        window.run();
        window.get_by_label(&format!("Learn {name}")).click_accesskit();
        window.run();
    };
    let jobs = played.count();
    learn(&mut window, "bag");
    assert_eq!(played.count(), jobs, "the model knows a Bag");
    learn(&mut window, "cross");
    let Job::Learn { model, data, mine, .. } = played.asked().1 else {
        panic!("{:?}", played.asked().1)
    };
    assert_eq!((model.as_str(), data.as_str()), ("fashion-classifier", "fashion-mnist"));
    assert_eq!((mine.classes.clone(), mine.pictures.len()), (vec!["cross".into()], 3));
    assert!(window.state().state.held());
    played.answer();
    window.run();
    // It is there to be forgotten, like any other.
    look(&mut window, &played);
    window.get_by_label("cross").click();
    window.run();
    let Job::Rank(recipe) = played.asked().1 else { panic!("{:?}", played.asked().1) };
    assert_eq!(recipe.forget, "class:cross");
    assert_eq!(recipe.model, format!("fashion-classifier+mine:{}", mine.name()));
    assert_eq!(recipe.data, format!("fashion-mnist+mine:{}", mine.name()));
    played.answer();
    window.run();
    window.get_by_label("Undo").click();
    window.run();
    let opened = window.state().state.session().opened.clone().unwrap();
    assert_eq!((opened.name.as_str(), opened.classes.len()), ("fashion-classifier", 10));
}

#[test]
fn they_are_looked_at_again_after_forgetting() {
    let (mut window, played) = drawn(LAPTOP, 2);
    window.get_by_label("Forget these 2").click();
    window.run();
    for _ in ["kept", "ranked"] {
        played.answer();
        window.run();
    }
    window.state_mut().state.forget();
    for _ in ["method", "control"] {
        played.answer();
        window.run();
    }
    let Job::Look { after: Some(_), .. } = played.asked().1 else {
        panic!("{:?}", played.asked().1)
    };
    window.get_all_by_label("Bag 93\u{a0}%").next().expect("what was seen before stays");
    look(&mut window, &played);
    let after = "after: Sandal 61\u{a0}%";
    assert_eq!(window.get_all_by_label(after).count(), 2);
    assert_eq!(window.state().summary().mine.after, ["Sandal", "Sandal"]);
}

#[test]
fn the_pad_fits_a_phone() {
    let (window, _) = drawn([390.0, 844.0], 1);
    for node in window.query_all_by_label_contains("") {
        let rect = node.rect();
        assert!(rect.left() >= -1.0, "{node:?} lies off the screen");
    }
    let pad = window.get_by_label("Drawing pad, empty").rect();
    assert!(pad.right() <= 390.0 && pad.width() > 100.0, "{pad:?}");
}
