//! The keys of [`commands`]. Tab, Enter and the arrows also move between and press all widgets.
//!
//! A key by itself only changes what is shown: someone may be writing without a field in focus. What
//! starts, stops or saves something takes Ctrl (Cmd on a Mac), except Esc, which writes nothing.

use egui::{Event, Popup};

use super::commands;
use super::commands::{Press, When};
use super::prelude::*;

/// Does what keys ask for.
pub fn handle(studio: &mut Studio, ctx: &Context) {
    // A question that lies over the window has the keys.
    if ctx.memory(|m| m.top_modal_layer().is_some()) {
        return;
    }
    let writing = writing(ctx) || Popup::is_any_open(ctx);
    let escape = |ctx: &Context| ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape));
    if !writing && studio.tour.at.is_some() && escape(ctx) {
        studio.tour.at = None;
    }
    let focused = ctx.memory(|m| m.focused().is_some());
    for command in &commands::ALL {
        let theirs = match command.when {
            When::Always => true,
            When::Idle => !writing,
            When::Unfocused => !writing && !focused,
        };
        for (key, shortcut) in command.shortcuts().into_iter().enumerate().filter(|_| theirs) {
            let (modifiers, pressed) = (shortcut.modifiers, shortcut.logical_key);
            let times = ctx.input_mut(|i| i.count_and_consume_key(modifiers, pressed));
            if times > 0 {
                (command.run)(studio, Press { key, times: times as isize });
            }
        }
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
