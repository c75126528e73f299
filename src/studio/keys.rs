//! Keyboard shortcuts. Tab, Enter and the arrows also move between and press all widgets.

use egui::{Context, Key, Modifiers, Popup};

use super::{app::Studio, views::View};
use crate::models::Task;

/// The list behind "?".
pub const HELP: [(&str, &str); 15] = [
    ("1, 2, 3", "Diffusion, Classifier, Text-to-image"),
    ("C, M, D, A, O, T", "Compare, forget map, data, audit, masks, table"),
    ("Arrows", "Previous or next class"),
    ("[, ]", "Less or more density"),
    ("F", "Forget"),
    ("Space", "Pause or continue"),
    (".", "One update while paused"),
    ("Esc", "Cancel"),
    ("Ctrl+Z", "Undo the last kept request"),
    ("W", "Swipe between before and after"),
    ("B", "Hold: Before in every pane"),
    ("S", "Save the finished runs"),
    ("H", "Tour"),
    ("Tab, Enter", "Walk through and press everything"),
    ("F12", "Frame times"),
];

/// Does what a key asks for.
pub fn handle(studio: &mut Studio, ctx: &Context) {
    if ctx.text_edit_focused() || Popup::is_any_open(ctx) {
        return;
    }
    let focused = ctx.memory(|m| m.focused().is_some());
    let pressed = |key| ctx.input_mut(|i| i.consume_key(Modifiers::NONE, key));
    let state = &mut studio.state;

    // With a widget in focus, Space presses it and the arrows leave it.
    if !focused {
        if pressed(Key::Space) {
            state.toggle_pause();
        }
        for (key, by) in
            [(Key::ArrowUp, -1), (Key::ArrowLeft, -1), (Key::ArrowDown, 1), (Key::ArrowRight, 1)]
        {
            // Several presses may come with one slow frame.
            let presses = ctx.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, key));
            if presses > 0 {
                state.pick_next(by * presses as isize);
            }
        }
    }
    if pressed(Key::Escape) {
        if studio.tour.is_on() {
            studio.tour.end();
        } else {
            state.cancel();
        }
    }
    if ctx.input_mut(|i| i.consume_key(Modifiers::COMMAND, Key::Z)) {
        state.undo();
    }
    if pressed(Key::Period) {
        state.step();
    }
    if pressed(Key::F) {
        state.forget();
    }
    for (key, task) in [Key::Num1, Key::Num2, Key::Num3].into_iter().zip(Task::ALL) {
        if pressed(key) {
            state.switch(task);
        }
    }
    for (key, by) in [(Key::OpenBracket, -0.05), (Key::CloseBracket, 0.05)] {
        let presses = ctx.input_mut(|i| i.count_and_consume_key(Modifiers::NONE, key));
        if presses > 0 {
            let twentieths = (state.session().request.density + by * presses as f64) * 20.0;
            state.set_density(twentieths.round() / 20.0);
        }
    }
    for view in View::ALL {
        if view.fits(studio.state.task) && pressed(view.key()) {
            studio.view = *view;
        }
    }
    if pressed(Key::W) {
        studio.comparison.swipe.on ^= true;
    }
    if pressed(Key::H) {
        studio.toggle_tour();
    }
    if pressed(Key::S) {
        studio.save();
    }
    if pressed(Key::F12) {
        studio.frames.shown ^= true;
    }
}
