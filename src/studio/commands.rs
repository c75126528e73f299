//! What keys, buttons and menus trigger, each in one place: its words, its keys, what it does. The list of
//! keys behind "?" is made of it. Tab, Enter and the arrows also move between and press all widgets.
//!
//! A key by itself only changes what is shown: someone may be writing without a field in focus. What
//! starts, stops or saves something takes Ctrl (Cmd on a Mac), except Esc, which writes nothing.

use egui::{Event, KeyboardShortcut, Popup};

use super::prelude::*;
use super::present;
use super::views::{compare::Comparison, lessons};
use crate::words::Piece;

/// When a command's keys are its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// While somebody writes a prompt, too.
    Always,
    /// While nobody writes.
    Idle,
    /// While no widget has the focus: else the keys move it.
    Unfocused,
}

/// A press of one of a command's keys.
#[derive(Debug, Clone, Copy)]
pub struct Press {
    /// The key's place among them; 0 for a button.
    pub key: usize,
    /// Presses that came with one frame, which may be slow.
    pub times: isize,
}

/// Something that a person can have done.
pub struct Command {
    /// On its button.
    pub name: &'static str,
    /// What it does, beside its button.
    pub hint: &'static str,
    /// What it does, in the list of keys.
    pub does: &'static str,
    pub keys: &'static [KeyboardShortcut],
    /// What its keys are called, where that is not one by one.
    called: &'static str,
    /// Keys and names that are another table's.
    rows: fn() -> Vec<(Key, String)>,
    pub when: When,
    /// The piece of the studio that it is of: where a worksheet leaves that out, it has no keys.
    piece: Option<Piece>,
    /// Why it cannot be had now; empty where that is plain to see.
    pub blocked: fn(&Studio) -> Option<&'static str>,
    pub run: fn(&mut Studio, Press),
}

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

impl Command {
    /// What it does in the list of keys, and then; it has no keys and no button yet.
    const fn new(does: &'static str, run: fn(&mut Studio, Press)) -> Self {
        let (name, hint, keys, called) = ("", "", [].as_slice(), "");
        let (rows, blocked) = (Vec::new, |_: &Studio| None);
        let when = When::Idle;
        Self { name, hint, does, keys, called, rows, when, piece: None, blocked, run }
    }

    /// What there is to say of keys that egui or a view sees to.
    const fn said(called: &'static str, does: &'static str) -> Self {
        Self { called, ..Self::new(does, |_, _| {}) }
    }

    /// With a button: its name, and what is said beside it.
    const fn button(self, name: &'static str, hint: &'static str) -> Self {
        Self { name, hint, ..self }
    }

    /// With keys, and when they are its own.
    const fn keys(self, keys: &'static [KeyboardShortcut], when: When) -> Self {
        Self { keys, when, ..self }
    }

    /// As a part of a piece of the studio.
    const fn of(self, piece: Piece) -> Self {
        Self { piece: Some(piece), ..self }
    }

    /// Where something may be in its way.
    const fn unless(self, blocked: fn(&Studio) -> Option<&'static str>) -> Self {
        Self { blocked, ..self }
    }
}

pub const FORGET: Command = Command::new("Forget", |studio, _| studio.state.forget())
    .button("Forget", "Unlearns with this recipe, then again with a random mask")
    .keys(&[ctrl(Key::Enter)], When::Always)
    .unless(|studio| studio.state.blocked());

pub const PAUSE: Command =
    Command::new("Pause or continue", |studio, _| studio.state.toggle_pause())
        .button("Pause", "Holds the work, or goes on")
        .keys(&[ctrl(Key::P)], When::Always)
        .unless(idle);

pub const STEP: Command = Command::new("One update while paused", |studio, _| studio.state.step())
    .button("Step", "One update")
    .keys(&[ctrl(Key::Period)], When::Always)
    .unless(idle);

pub const CANCEL: Command = Command::new("Cancel", |studio, _| studio.state.cancel())
    .button("Cancel", "")
    .keys(&[plain(Key::Escape)], When::Idle)
    .unless(idle);

pub const UNDO: Command =
    Command::new("Undo the last kept request", |studio, _| studio.state.undo())
        .button("Undo", "Back to the model before the last request, every bit")
        .keys(&[ctrl(Key::Z)], When::Idle)
        .unless(|studio| studio.state.waits());

pub const REDO: Command =
    Command::new("Take up the undone request again", |studio, _| studio.state.redo())
        .keys(&[SHIFT_Z], When::Idle)
        .unless(|studio| studio.state.waits());

pub const BACK: Command = Command::new("Bring the earlier sitting back", |studio, _| {
    if studio.saver.earlier.is_some() && !studio.state.held() {
        studio.later = true;
        studio.saver.recall();
    }
})
.button("Bring back", "Shows the runs of the earlier sitting again, and what was picked")
.keys(&[ctrl(Key::B)], When::Idle)
.unless(|studio| studio.state.waits());

pub const GO_ON: Command = Command::new("Go on with the run that was under way", |studio, _| {
    if studio.state.held() {
        return;
    }
    if let Some(run) = studio.saver.interrupted.clone() {
        let begun = studio.state.go_on_with(run);
        studio.state.tell(begun);
    }
})
.button("Go on", "Makes the updates that are left, to the same result as without the stop")
.keys(&[ctrl(Key::G)], When::Idle)
.unless(|studio| studio.state.waits());

const SHIFT_Z: KeyboardShortcut =
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);

#[cfg(not(target_arch = "wasm32"))]
pub const COMPARE: Command = Command::new("Compare with weights that others made", |studio, _| {
    if studio.state.blocked().is_none() {
        studio.ask_after();
    }
})
.button("Compare with weights…", "Weights after forgetting what is picked, looked at as a run")
.keys(&[ctrl(Key::K)], When::Idle)
.of(Piece::Open)
.unless(|studio| studio.state.blocked());

pub const SAVE: Command = Command::new("Save the finished runs", |studio, _| studio.save())
    .button("Run folders", "A folder for each finished run: recipe, report, weights, mask, figures")
    .keys(&[ctrl(Key::S)], When::Always)
    .of(Piece::Export)
    .unless(|studio| {
        let there = studio.state.finished().next().is_some() && !studio.saver.busy();
        (!there).then_some("Nothing to save yet")
    });

const TASKS: Command = Command {
    piece: Some(Piece::Tasks),
    rows: || tasks::ALL.iter().map(|task| (task.key, task.title.into())).collect(),
    ..Command::new("", |studio, press| studio.show_task(tasks::ALL[press.key].task))
};

const VIEWS: Command = Command {
    rows: || {
        let mut rows: Vec<_> = View::ALL.iter().map(|v| (v.key, v.name.to_string())).collect();
        rows[1..].iter_mut().for_each(|(_, name)| *name = name.to_lowercase());
        rows
    },
    ..Command::new("", |studio, press| {
        let view = View::ALL[press.key];
        // Where there are no tabs there is still a way to the lessons, which say what is left out.
        let left_out = studio.state.hides(Piece::Tabs) && *view != lessons::VIEW;
        if view.tasks.contains(&studio.state.task) && !left_out {
            studio.view = view;
        }
    })
};

const ARROWS: &[KeyboardShortcut] =
    &[plain(Key::ArrowUp), plain(Key::ArrowLeft), plain(Key::ArrowDown), plain(Key::ArrowRight)];

const WALK: Command = Command {
    called: "Arrows",
    ..Command::new("Previous or next class or concept", |studio, press| {
        studio.state.pick_next(if press.key < 2 { -press.times } else { press.times });
    })
    .keys(ARROWS, When::Unfocused)
};

pub const DENSITY: Command = Command::new("Less or more density", |studio, press| {
    let by = if press.key == 0 { -press.times } else { press.times };
    let twentieths = (studio.state.session().request.density + 0.05 * by as f64) * 20.0;
    studio.state.set_density(twentieths.round() / 20.0);
})
.button("", "Share of weights that may change")
.keys(&[plain(Key::OpenBracket), plain(Key::CloseBracket)], When::Idle)
.of(Piece::Density);

pub const SWIPE: Command = Command::new("Swipe between before and after", |studio, _| {
    studio.own.of::<Comparison>().swipe.on ^= true;
})
.button("Swipe", "Before and after in one pane")
.keys(&[plain(Key::W)], When::Idle);

pub const TOUR: Command = Command::new("Tour", |studio, _| studio.toggle_tour())
    .button("Tour", "Six steps through the main job")
    .keys(&[plain(Key::H)], When::Idle)
    .of(Piece::Tour);

/// F5 loads a page anew.
const PRESENT_KEY: Key = if cfg!(target_arch = "wasm32") { Key::F9 } else { Key::F5 };

pub const PRESENT: Command = Command::new("Presentation", |studio, _| studio.toggle_presentation())
    .button("Present", "The main job step by step, in large letters, by a remote's keys")
    .keys(&[plain(PRESENT_KEY)], When::Always)
    .of(Piece::Tour);

const FRAMES: Command = Command::new("Frame times", |studio, _| studio.frames.shown ^= true)
    .keys(&[plain(Key::F12)], When::Idle);

/// Every command, and what else there is to say of keys, in the order of the list.
pub const ALL: &[Command] = &[
    FORGET,
    PAUSE,
    STEP,
    CANCEL,
    // Before the other, whose key without Shift is a part of this one's.
    REDO,
    UNDO,
    BACK,
    #[cfg(not(target_arch = "wasm32"))]
    GO_ON,
    #[cfg(not(target_arch = "wasm32"))]
    COMPARE,
    SAVE,
    TASKS,
    VIEWS,
    WALK,
    DENSITY,
    SWIPE,
    Command::said("B", "Hold: Before in every pane"),
    TOUR,
    PRESENT,
    Command::said(
        "PageDown, PageUp",
        "While presenting: a step on or back; . a blank screen, Esc ends it",
    ),
    Command::said("Tab, Enter", "Walk through and press everything"),
    FRAMES,
    Command::said("Cmd", "On a Mac in place of Ctrl"),
];

/// Whether there is nothing to hold or to stop.
fn idle(studio: &Studio) -> Option<&'static str> {
    studio.state.work.as_ref().is_none_or(|w| w.cancelling).then_some("")
}

impl Command {
    /// Whether a worksheet leaves it out.
    pub fn hidden(&self, studio: &Studio) -> bool {
        self.piece.is_some_and(|piece| studio.state.hides(piece))
    }

    /// Its keys.
    pub fn shortcuts(&self) -> Vec<KeyboardShortcut> {
        let rows = (self.rows)().into_iter().map(|(key, _)| plain(key));
        self.keys.iter().copied().chain(rows).collect()
    }

    /// Its line of the list of keys: what they are called, and what it does.
    pub fn help(&self) -> [String; 2] {
        let names: Vec<String> = (self.rows)().into_iter().map(|(_, name)| name).collect();
        let does = if names.is_empty() { self.does.into() } else { names.join(", ") };
        let keys = if self.called.is_empty() { self.called_keys(", ") } else { self.called.into() };
        [keys, does]
    }

    /// What it does, and its keys.
    pub fn tooltip(&self) -> String {
        match self.hint {
            "" => String::new(),
            hint => format!("{hint} ({})", self.called_keys(" and ")),
        }
    }

    /// Draws its button.
    pub fn ui(&self, studio: &mut Studio, ui: &mut Ui) {
        self.button_ui(Button::new(self.name), studio, ui);
    }

    /// Draws another button for it, and does it where that is pressed.
    pub fn button_ui(&self, button: Button, studio: &mut Studio, ui: &mut Ui) {
        if button_ui(ui, button, &self.tooltip(), (self.blocked)(studio)) {
            (self.run)(studio, Press { key: 0, times: 1 });
        }
    }

    fn called_keys(&self, between: &str) -> String {
        let called = |shortcut: KeyboardShortcut| match shortcut.logical_key {
            Key::Escape => "Esc".to_string(),
            key if shortcut.modifiers.command => {
                let shift = if shortcut.modifiers.shift { "Shift+" } else { "" };
                format!("Ctrl+{shift}{}", key.symbol_or_name())
            }
            key => key.symbol_or_name().into(),
        };
        self.shortcuts().into_iter().map(called).collect::<Vec<_>>().join(between)
    }
}

/// Does what keys ask for.
pub fn handle_keys(studio: &mut Studio, ctx: &Context) {
    // A question that lies over the window has the keys.
    if ctx.memory(|m| m.top_modal_layer().is_some()) {
        return;
    }
    let writing = writing(ctx) || Popup::is_any_open(ctx);
    present::handle_keys(studio, ctx, writing);
    let escape = |ctx: &Context| ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape));
    if !writing && studio.tour.at.is_some() && escape(ctx) {
        studio.tour.at = None;
    }
    let focused = ctx.memory(|m| m.focused().is_some());
    for command in ALL {
        let theirs = match command.when {
            _ if command.hidden(studio) => false,
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
    fn the_list_of_keys_names_all_of_them() {
        let help: Vec<_> = ALL.iter().map(Command::help).collect();
        let has = |keys: &str, does: &str| {
            assert!(help.contains(&[keys.to_string(), does.to_string()]), "{help:?}");
        };
        has("Ctrl+Enter", "Forget");
        has("Ctrl+.", "One update while paused");
        has("Esc", "Cancel");
        has("1, 2, 3", "Text-to-image, Diffusion, Classifier");
        let views: Vec<&str> = View::ALL.iter().map(|view| view.key.name()).collect();
        assert!(help.iter().any(|[keys, _]| *keys == views.join(", ")), "{help:?}");
        has("Arrows", "Previous or next class or concept");
        has("[, ]", "Less or more density");
        assert_eq!(DENSITY.tooltip(), "Share of weights that may change ([ and ])");
        let mut keys: Vec<_> = ALL.iter().flat_map(Command::shortcuts).collect();
        let n = keys.len();
        keys.sort_by_key(|k| (k.modifiers.command, k.modifiers.shift, k.logical_key));
        keys.dedup();
        assert_eq!(keys.len(), n, "no key has two meanings");
    }

    #[test]
    fn a_word_is_not_a_row_of_shortcuts() {
        let text = |t: &str| Event::Text(t.into());
        assert!(written(&[text("fast")]) && written(&[text("f"), text("a")]));
        assert!(written(&[Event::Paste("f".into())]));
        assert!(!written(&[]) && !written(&[text("[")]) && !written(&[text("["), text("[")]));
    }
}
