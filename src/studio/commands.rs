//! What keys, buttons and menus trigger, each in one place: its words, its keys, what it does. The list of
//! keys behind "?" is made of it.

use egui::{Button, Key, KeyboardShortcut, Modifiers, Ui};

use super::app::Studio;
use super::state::WAIT;
use super::tasks;
use super::views::View;
use super::views::compare::Comparison;
use super::widgets::button_ui;

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
    /// Why it cannot be had now; empty where that is plain to see.
    pub blocked: fn(&Studio) -> Option<&'static str>,
    pub run: fn(&mut Studio, Press),
}

/// What most commands are: nothing to press yet.
const NONE: Command = Command {
    name: "",
    hint: "",
    does: "",
    keys: &[],
    called: "",
    rows: Vec::new,
    when: When::Idle,
    blocked: |_| None,
    run: |_, _| {},
};

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn ctrl(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

pub const FORGET: Command = Command {
    name: "Forget",
    hint: "Unlearns with this recipe, then again with a random mask",
    does: "Forget",
    keys: &[ctrl(Key::Enter)],
    when: When::Always,
    blocked: |studio| studio.state.blocked(),
    run: |studio, _| studio.state.forget(),
    ..NONE
};

pub const PAUSE: Command = Command {
    name: "Pause",
    hint: "Holds the work, or goes on",
    does: "Pause or continue",
    keys: &[ctrl(Key::P)],
    when: When::Always,
    blocked: idle,
    run: |studio, _| studio.state.toggle_pause(),
    ..NONE
};

pub const STEP: Command = Command {
    name: "Step",
    hint: "One update",
    does: "One update while paused",
    keys: &[ctrl(Key::Period)],
    when: When::Always,
    blocked: idle,
    run: |studio, _| studio.state.step(),
    ..NONE
};

pub const CANCEL: Command = Command {
    name: "Cancel",
    does: "Cancel",
    keys: &[plain(Key::Escape)],
    blocked: idle,
    run: |studio, _| studio.state.cancel(),
    ..NONE
};

pub const UNDO: Command = Command {
    name: "Undo",
    hint: "Back to the model before the last request, every bit",
    does: "Undo the last kept request",
    keys: &[ctrl(Key::Z)],
    blocked: |studio| studio.state.held().then_some(WAIT),
    run: |studio, _| studio.state.undo(),
    ..NONE
};

pub const SAVE: Command = Command {
    name: "Run folders",
    hint: "A folder for each finished run: recipe, report, weights, mask, figures",
    does: "Save the finished runs",
    keys: &[ctrl(Key::S)],
    when: When::Always,
    blocked: |studio| {
        let there = studio.state.finished().next().is_some() && !studio.saver.busy();
        (!there).then_some("Nothing to save yet")
    },
    run: |studio, _| studio.save(),
    ..NONE
};

const TASKS: Command = Command {
    rows: || tasks::ALL.iter().map(|task| (task.key, task.title.into())).collect(),
    run: |studio, press| studio.state.switch(tasks::ALL[press.key].task),
    ..NONE
};

const VIEWS: Command = Command {
    rows: || {
        let mut rows: Vec<_> = View::ALL.iter().map(|v| (v.key, v.name.to_string())).collect();
        rows[1..].iter_mut().for_each(|(_, name)| *name = name.to_lowercase());
        rows
    },
    run: |studio, press| {
        let view = View::ALL[press.key];
        if view.tasks.contains(&studio.state.task) {
            studio.view = view;
        }
    },
    ..NONE
};

const WALK: Command = Command {
    does: "Previous or next class",
    called: "Arrows",
    keys: &[
        plain(Key::ArrowUp),
        plain(Key::ArrowLeft),
        plain(Key::ArrowDown),
        plain(Key::ArrowRight),
    ],
    when: When::Unfocused,
    run: |studio, press| {
        studio.state.pick_next(if press.key < 2 { -press.times } else { press.times });
    },
    ..NONE
};

pub const DENSITY: Command = Command {
    hint: "Share of weights that may change",
    does: "Less or more density",
    keys: &[plain(Key::OpenBracket), plain(Key::CloseBracket)],
    run: |studio, press| {
        let by = if press.key == 0 { -press.times } else { press.times };
        let twentieths = (studio.state.session().request.density + 0.05 * by as f64) * 20.0;
        studio.state.set_density(twentieths.round() / 20.0);
    },
    ..NONE
};

pub const SWIPE: Command = Command {
    name: "Swipe",
    hint: "Before and after in one pane",
    does: "Swipe between before and after",
    keys: &[plain(Key::W)],
    run: |studio, _| studio.own.of::<Comparison>().swipe.on ^= true,
    ..NONE
};

pub const TOUR: Command = Command {
    name: "Tour",
    hint: "Six steps through the main job",
    does: "Tour",
    keys: &[plain(Key::H)],
    run: |studio, _| studio.toggle_tour(),
    ..NONE
};

const FRAMES: Command = Command {
    does: "Frame times",
    keys: &[plain(Key::F12)],
    run: |studio, _| studio.frames.shown ^= true,
    ..NONE
};

/// Every command, and what else there is to say of keys, in the order of the list.
pub const ALL: [Command; 16] = [
    FORGET,
    PAUSE,
    STEP,
    CANCEL,
    UNDO,
    SAVE,
    TASKS,
    VIEWS,
    WALK,
    DENSITY,
    SWIPE,
    Command { called: "B", does: "Hold: Before in every pane", ..NONE },
    TOUR,
    Command { called: "Tab, Enter", does: "Walk through and press everything", ..NONE },
    FRAMES,
    Command { called: "Cmd", does: "On a Mac in place of Ctrl", ..NONE },
];

/// Whether there is nothing to hold or to stop.
fn idle(studio: &Studio) -> Option<&'static str> {
    studio.state.work.as_ref().is_none_or(|w| w.cancelling).then_some("")
}

impl Command {
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
            key if shortcut.modifiers.command => format!("Ctrl+{}", key.symbol_or_name()),
            key => key.symbol_or_name().into(),
        };
        self.shortcuts().into_iter().map(called).collect::<Vec<_>>().join(between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_keys_names_all_of_them() {
        let help = ALL.map(|command| command.help());
        let has = |keys: &str, does: &str| {
            assert!(help.contains(&[keys.to_string(), does.to_string()]), "{help:?}");
        };
        has("Ctrl+Enter", "Forget");
        has("Ctrl+.", "One update while paused");
        has("Esc", "Cancel");
        has("1, 2, 3", "Diffusion, Classifier, Text-to-image");
        let views: Vec<&str> = View::ALL.iter().map(|view| view.key.name()).collect();
        assert!(help.iter().any(|[keys, _]| *keys == views.join(", ")), "{help:?}");
        has("Arrows", "Previous or next class");
        has("[, ]", "Less or more density");
        assert_eq!(DENSITY.tooltip(), "Share of weights that may change ([ and ])");
        let mut keys: Vec<_> = ALL.iter().flat_map(Command::shortcuts).collect();
        let n = keys.len();
        keys.sort_by_key(|k| (k.modifiers.command, k.logical_key));
        keys.dedup();
        assert_eq!(keys.len(), n, "no key has two meanings");
    }
}
