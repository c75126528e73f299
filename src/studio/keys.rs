//! Keyboard shortcuts. Tab, Enter and the arrows also move between and press all widgets.
//!
//! A key by itself only changes what is shown: someone may be writing without a field in focus. What
//! starts, stops or saves something takes Ctrl (Cmd on a Mac), except Esc, which writes nothing.

use egui::{Context, Event, Id, Key, Modifiers, Popup};

use super::{app::Studio, views::View};
use crate::words::task::Task;

/// The list behind "?".
pub const HELP: [(&str, &str); 16] = [
    ("Ctrl+Enter", "Forget"),
    ("Ctrl+P", "Pause or continue"),
    ("Ctrl+.", "One update while paused"),
    ("Esc", "Cancel"),
    ("Ctrl+Z", "Undo the last kept request"),
    ("Ctrl+S", "Save the finished runs"),
    ("1, 2, 3", "Diffusion, Classifier, Text-to-image"),
    ("C, M, D, A, O, T", "Compare, forget map, data, audit, masks, table"),
    ("Arrows", "Previous or next class"),
    ("[, ]", "Less or more density"),
    ("W", "Swipe between before and after"),
    ("B", "Hold: Before in every pane"),
    ("H", "Tour"),
    ("Tab, Enter", "Walk through and press everything"),
    ("F12", "Frame times"),
    ("Cmd", "On a Mac in place of Ctrl"),
];

/// Does what a key asks for.
pub fn handle(studio: &mut Studio, ctx: &Context) {
    // A question that lies over the window has the keys.
    if ctx.memory(|m| m.top_modal_layer().is_some()) {
        return;
    }
    let commanded = |key| ctx.input_mut(|i| i.consume_key(Modifiers::COMMAND, key));
    // Who writes a prompt presses these, too; undo is the field's own.
    if commanded(Key::P) {
        studio.state.toggle_pause();
    }
    if commanded(Key::Period) {
        studio.state.step();
    }
    if commanded(Key::Enter) {
        studio.state.forget();
    }
    if commanded(Key::S) {
        studio.save();
    }
    if writing(ctx) || Popup::is_any_open(ctx) {
        return;
    }
    let focused = ctx.memory(|m| m.focused().is_some());
    let pressed = |key| ctx.input_mut(|i| i.consume_key(Modifiers::NONE, key));
    let state = &mut studio.state;

    // With a widget in focus, the arrows leave it.
    if !focused {
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
    if commanded(Key::Z) {
        state.undo();
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
    if pressed(Key::F12) {
        studio.frames.shown ^= true;
    }
}

/// Whether someone is writing: a text field has the focus, or had it a frame ago (Enter and Esc take
/// it away before they come here), or more arrives at once than shortcuts are pressed.
fn writing(ctx: &Context) -> bool {
    let id = Id::unique("a text field has the focus");
    let now = ctx.text_edit_focused();
    let before = ctx.data_mut(|d| std::mem::replace(d.get_temp_mut_or_default(id), now));
    now || before || ctx.input(|i| written(&i.events))
}

/// Whether events are those of a text: a paste, a word of an input method, different letters in one
/// frame. A key that repeats in a slow frame is not.
fn written(events: &[Event]) -> bool {
    let mut letters = events.iter().filter_map(|event| match event {
        Event::Text(text) => Some(text.as_str()),
        Event::Paste(_) | Event::Ime(_) => Some("a text"),
        _ => None,
    });
    let Some(first) = letters.next() else { return false };
    first.chars().count() > 1 || letters.any(|letter| letter != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_a_row_of_shortcuts() {
        let text = |t: &str| Event::Text(t.into());
        assert!(written(&[text("fast")]) && written(&[text("f"), text("a")]));
        assert!(written(&[Event::Paste("f".into())]));
        assert!(!written(&[]) && !written(&[text("[")]) && !written(&[text("["), text("[")]));
    }
}
