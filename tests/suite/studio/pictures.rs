//! Every panel as it was looked at last: light and dark, on a phone, a laptop, a projector.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --release --test suite -- pictures::` records them anew, in
//! `tests/fixtures/studio`; `tests/peers/shrink_pictures.py` then writes the same pixels in fewer bytes.

use egui::Theme;
use egui_kittest::kittest::Queryable;
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults, try_image_snapshot_options};
use image::RgbaImage;
use image::imageops::crop_imm;

use crate::common::vulkan;
use crate::studio::played::{settle, tried, window};
use salun_studio::saliency::By;
use salun_studio::studio::views::{View, audit, compare, masks, steps};
use salun_studio::studio::{Arm, Choice, Studio};
use salun_studio::words::Task;

/// What is drawn, in 16 steps a channel: enough to see by, and a quarter of the bytes.
fn drawn(window: &mut Harness<Studio>) -> RgbaImage {
    let mut picture = window.render().unwrap();
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

/// Holds what windows of a size and a theme show against what was recorded.
fn hold(name: &str, size: [f32; 2], theme: Theme, held: &mut SnapshotResults) {
    // A value at the edge of a step may be taken for the next one.
    let step = 140.0;
    let options = SnapshotOptions::new().output_path("tests/fixtures/studio").threshold(step);
    let mut hold = |what: &str, picture: &RgbaImage| {
        let file = format!("{name}-{}", what.to_lowercase().replace(' ', "-"));
        held.add(try_image_snapshot_options(picture, file, &options));
    };
    let (mut at, played) = window(size, theme);
    at.run();
    played.answer();
    at.run();
    hold("opening", &drawn(&mut at));
    let state = &mut at.state_mut().state;
    state.switch(Task::TextToImage);
    played.answer();
    at.run();
    at.state_mut().state.pick(Choice::Prompt("a cat".into()));
    played.answer();
    at.run();
    at.state_mut().state.forget();
    for _ in Arm::BOTH {
        played.answer();
        at.run();
    }
    settle(&mut at);
    let prompt = drawn(&mut at);
    hold("prompt", &prompt);
    at.state_mut().view = &steps::VIEW;
    at.step();
    played.answer();
    at.run();
    hold("steps", &changed(&drawn(&mut at), &prompt));
    at.get_by_label("Words").click();
    at.run();
    hold("steps words", &changed(&drawn(&mut at), &prompt));
    let (mut at, played) = tried(size, theme);
    let verdict = drawn(&mut at);
    hold("verdict", &verdict);
    for &view in View::ALL.iter().filter(|view| view.tasks.contains(&Task::Classify)) {
        if *view == compare::VIEW {
            continue;
        }
        at.state_mut().view = view;
        at.step();
        let state = &mut at.state_mut().state;
        match view {
            _ if *view == masks::VIEW => state.compare_masks(By::Classes),
            _ if *view == audit::VIEW => state.audit(Arm::Method),
            _ => {}
        }
        if at.state().state.work.is_some() {
            played.answer();
        }
        settle(&mut at);
        hold(view.name, &changed(&drawn(&mut at), &verdict));
        if *view == audit::VIEW {
            for part in ["Attacks", "Relearn", "Layers", "Most changed"] {
                at.get_by_label(part).click();
                at.run();
                hold(&format!("audit {part}"), &changed(&drawn(&mut at), &verdict));
            }
        }
    }
    at.state_mut().view = &compare::VIEW;
    at.run();
    if at.query_by_label("Timeline and verdict").is_some() {
        for tab in ["Saliency", "Timeline and verdict"] {
            at.get_by_label(tab).click();
            at.run();
            hold(tab, &changed(&drawn(&mut at), &verdict));
        }
    }
}

/// The same in both themes.
fn hold_both(name: &str, size: [f32; 2]) {
    if !vulkan() {
        return;
    }
    let mut held = SnapshotResults::new();
    hold(&format!("{name}-light"), size, Theme::Light, &mut held);
    hold(&format!("{name}-dark"), size, Theme::Dark, &mut held);
    held.unwrap();
}

#[test]
fn a_phone_shows_what_was_looked_at() {
    hold_both("phone", [390.0, 844.0]);
}

#[test]
fn a_laptop_shows_what_was_looked_at() {
    hold_both("laptop", [1024.0, 700.0]);
}

#[test]
fn a_projector_shows_what_was_looked_at() {
    hold_both("projector", [1920.0, 1080.0]);
}
