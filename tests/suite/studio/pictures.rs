//! Every panel and view as it was looked at last: light and dark, on a phone, a small and a usual laptop, a projector.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --release --test suite -- pictures::` records them anew, in
//! `tests/fixtures/studio`; `tests/peers/shrink_pictures.py` then writes the same pixels in fewer bytes.

use egui::Theme;
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults, try_image_snapshot_options};
use image::RgbaImage;
use image::imageops::{crop_imm, thumbnail};

use crate::common::vulkan;
use crate::studio::played::{Played, settle, tried, window_on};
use salun_studio::saliency::By;
use salun_studio::studio::views::{View, audit, compare, masks};
use salun_studio::studio::{Arm, Choice, Studio};
use salun_studio::words::Task;

/// From this width on, pictures are kept at half their size: a quarter of the bytes, and still read.
const WIDE: u32 = 1000;

/// What is drawn, in 16 steps a channel: enough to see by, and a quarter of the bytes.
fn drawn(window: &mut Harness<Studio>) -> RgbaImage {
    let mut picture = window.render().unwrap();
    if picture.width() >= WIDE {
        picture = thumbnail(&picture, picture.width() / 2, picture.height() / 2);
    }
    picture.pixels_mut().for_each(|p| p.0 = [p.0[0] & 0xF0, p.0[1] & 0xF0, p.0[2] & 0xF0, 255]);
    picture
}

/// The part of a picture that is other than in one beside it.
fn changed(picture: &RgbaImage, beside: &RgbaImage) -> RgbaImage {
    let differ = picture.enumerate_pixels().zip(beside.pixels()).filter(|((.., a), b)| a != b);
    let (xs, ys): (Vec<u32>, Vec<u32>) = differ.map(|((x, y, _), _)| (x, y)).unzip();
    let span = |all: &[u32]| [all.iter().min(), all.iter().max()].map(|v| v.copied().unwrap_or(0));
    let ([left, right], [top, bottom]) = (span(&xs), span(&ys));
    crop_imm(picture, left, top, right - left + 1, bottom - top + 1).to_image()
}

/// What windows of a size and a theme show, held against what was recorded.
struct Held<'a> {
    name: String,
    results: &'a mut SnapshotResults,
}

impl Held<'_> {
    fn hold(&mut self, what: &str, picture: &RgbaImage) {
        // A value at the edge of a step may be taken for the next one.
        let step = 140.0;
        let options = SnapshotOptions::new().output_path("tests/fixtures/studio").threshold(step);
        let file = format!("{}-{}", self.name, what.to_lowercase().replace(' ', "-"));
        self.results.add(try_image_snapshot_options(picture, file, &options));
    }

    /// Shows views one after another, and holds what is other than in a picture of the window.
    fn views<'v>(
        &mut self,
        at: &mut Harness<Studio>,
        played: &Played,
        views: impl Iterator<Item = &'v &'static View>,
        what: &str,
    ) {
        let beside = drawn(at);
        for &view in views {
            at.state_mut().view = view;
            at.step();
            let state = &mut at.state_mut().state;
            match view {
                _ if state.session().run(Arm::Method).is_none() => {}
                _ if *view == masks::VIEW => state.compare_masks(By::Classes),
                _ if *view == audit::VIEW && !state.task.prompted() => state.audit(Arm::Method),
                _ => {}
            }
            if at.state().state.work.is_some() {
                played.answer();
            }
            settle(at);
            self.hold(&format!("{what}{}", view.name), &changed(&drawn(at), &beside));
        }
    }
}

/// Views that a task has, but for the comparison.
fn views_of(task: Task) -> impl Iterator<Item = &'static &'static View> {
    let others = View::ALL.iter().filter(|view| ***view != compare::VIEW);
    others.filter(move |view| view.tasks.contains(&task))
}

/// A window with the text-to-image model: at its opening, and when it forgot a cat.
fn hold_prompts(size: [f32; 2], theme: Theme, held: &mut Held) {
    let task = Task::TextToImage;
    let (mut at, played) = window_on(task, size, theme);
    at.run();
    played.answer();
    at.run();
    held.hold("opening", &drawn(&mut at));
    // What has little to show yet is much the same on a neighbouring width.
    if [390.0, 1280.0].contains(&size[0]) {
        held.views(&mut at, &played, views_of(task), "opening ");
    }
    at.state_mut().view = &compare::VIEW;
    at.run();
    at.state_mut().state.pick(Choice::Prompt("a cat".into()));
    played.answer();
    at.run();
    held.hold("picked", &drawn(&mut at));
    at.state_mut().state.forget();
    for _ in Arm::BOTH {
        played.answer();
        at.run();
    }
    settle(&mut at);
    held.hold("prompt", &drawn(&mut at));
    let alone = views_of(task).filter(|view| !view.tasks.contains(&Task::Classify));
    held.views(&mut at, &played, alone, "");
}

/// A window whose classifier forgot Sneaker.
fn hold_classes(size: [f32; 2], theme: Theme, held: &mut Held) {
    let (mut at, played) = tried(size, theme);
    let verdict = drawn(&mut at);
    held.hold("verdict", &verdict);
    held.views(&mut at, &played, views_of(Task::Classify), "");
    at.state_mut().view = &audit::VIEW;
    at.run();
    for part in ["Attacks", "Relearn", "Layers", "Most changed"] {
        at.get_by_label(part).click();
        at.run();
        held.hold(&format!("audit {part}"), &changed(&drawn(&mut at), &verdict));
    }
    at.state_mut().view = &compare::VIEW;
    at.run();
    if at.query_by_label("Timeline and verdict").is_some() {
        for tab in ["Pick", "Saliency"] {
            at.get_all_by_label(tab).next().unwrap().click();
            at.run();
            held.hold(tab, &changed(&drawn(&mut at), &verdict));
        }
    }
}

/// Both in both themes.
fn hold_both(name: &str, size: [f32; 2]) {
    if !vulkan() {
        return;
    }
    let mut results = SnapshotResults::new();
    for (theme, called) in [(Theme::Light, "light"), (Theme::Dark, "dark")] {
        let mut held = Held { name: format!("{name}-{called}"), results: &mut results };
        hold_prompts(size, theme, &mut held);
        hold_classes(size, theme, &mut held);
    }
    results.unwrap();
}

#[test]
fn a_phone_shows_what_was_looked_at() {
    hold_both("phone", [390.0, 844.0]);
}

#[test]
fn a_small_laptop_shows_what_was_looked_at() {
    hold_both("small", [1024.0, 700.0]);
}

#[test]
fn a_laptop_shows_what_was_looked_at() {
    hold_both("laptop", [1280.0, 800.0]);
}

#[test]
fn a_projector_shows_what_was_looked_at() {
    hold_both("projector", [1920.0, 1080.0]);
}
