//! What to forget of a text-to-image model: a prompt, and what it is to become.

use egui::TextEdit;

use super::narrow::NARROW;
use super::prelude::*;
use super::state::LONGEST_PROMPT;
use super::state::actions::kept;
use super::{Choice, Sheet, concepts, tile};
use crate::data::corpus::{LISTS, article};
use crate::words::Redirect;

/// What was written, and what it was written about.
#[derive(Default)]
pub struct Draft {
    /// What is typed.
    pub text: String,
    /// The request that it is in step with.
    of: Option<Choice>,
    sheet: Sheet,
    /// Whether somebody has just come here, to write.
    pub comes: bool,
}

/// The prompts of the first pictures' rows.
pub fn choices(seen: &Opened) -> Vec<Choice> {
    let names = (0..seen.grid.rows.len()).filter_map(|row| seen.grid.name(row, &seen.classes));
    let styled = has_styles(seen);
    names.map(|name| Choice::Prompt(prompt_of(styled, name))).collect()
}

/// The prompt of the first picture's row.
pub fn example(session: &TaskState) -> Option<Choice> {
    choices(session.seen()?).into_iter().next()
}

/// What is asked for to be shown what a row shows: captions are prompts as they are.
fn prompt_of(styled: bool, name: &str) -> String {
    match styled {
        true => format!("{} {name}", article(name)),
        false => name.to_string(),
    }
}

/// Whether a model draws concepts in styles: the one of emoji does.
fn has_styles(opened: &Opened) -> bool {
    opened.classes.iter().any(|name| name.ends_with(" style"))
}

/// Draws the field, and what may be put into it once there is something to see of the model.
pub fn prompt_ui(studio: &mut Studio, ui: &mut Ui, seen: Option<&Arc<Opened>>) {
    field_of_words_ui(studio, ui);
    notice_ui(studio, ui);
    if let Some(seen) = seen {
        ui.add_space(4.0);
        choices_ui(studio, ui, seen);
    }
}

fn field_of_words_ui(studio: &mut Studio, ui: &mut Ui) {
    let Studio { own, state, .. } = studio;
    let draft = own.of::<Draft>();
    let asked = state.session().what.clone();
    // A request that came from elsewhere: a link, the history, a chip.
    if draft.of != asked {
        if let Some(Choice::Prompt(text)) = &asked
            && *text != kept(&draft.text)
        {
            draft.text = text.clone();
        }
        // What has just been forgotten is not what is to be forgotten next.
        let later = state.session().opened.as_ref().is_some_and(|opened| !opened.after.is_empty());
        if asked.is_none() && later {
            draft.text.clear();
        }
        draft.of = asked.clone();
    }
    let blocked = state.waits();
    let title = ui.label(small("Prompt to forget").weak());
    let field = TextEdit::singleline(&mut draft.text)
        .hint_text("a cat, mono style, weapons…")
        // As wide as the panel: without an end it would push it open.
        .desired_width(ui.available_width())
        .margin(vec2(8.0, 6.0))
        // It keeps the focus: what is typed next belongs to the prompt.
        .return_key(None);
    let response = ui.add_enabled(blocked.is_none(), field).labelled_by(title.id);
    let hint = "What the model shall no longer draw: Enter shows it, and where it lives";
    let response = explained(response, hint, blocked);
    if response.has_focus() && ui.input(|i| i.key_pressed(Key::Enter) && i.modifiers.is_none()) {
        state.ask(&draft.text);
    }
    // Whoever comes here writes next; on a phone a keyboard would cover the pictures, and a link has
    // said what to forget.
    let comes = std::mem::take(&mut draft.comes);
    let wide = ui.ctx().content_rect().width() >= NARROW;
    if comes && wide && asked.is_none() && state.session().wanted.is_none() {
        response.request_focus();
    }
}

/// Concepts, styles and lists to press on.
fn choices_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>) {
    let Studio { own, state, .. } = studio;
    let draft = own.of::<Draft>();
    let asked = state.session().what.clone();
    let blocked = state.waits();
    let on = |prompt: &str| matches!(&asked, Some(Choice::Prompt(text)) if text == prompt);
    let texture = draft.sheet.texture(ui.ctx(), &opened.grid);
    let name = |row| opened.grid.name(row, &opened.classes);
    let styles = opened.classes.iter().filter(|name| name.ends_with(" style"));
    let styles: Vec<(&str, &str)> =
        styles.map(|name| (name.trim_end_matches(" style"), name.as_str())).collect();
    let styled = !styles.is_empty();
    let prompt = |name: &str| prompt_of(styled, name);
    let pressed = chips_ui(opened.grid.rows.len(), blocked, ui, |row| {
        let picture = tile::image(texture, &opened.grid, [row, 0], CHIP);
        name(row).map(|name| (name, Some(picture), on(&prompt(name))))
    });
    let mut chosen = pressed.and_then(name).map(prompt);
    if styled {
        let more = concepts::all_ui(studio, ui, |name| on(&prompt(name)));
        chosen = more.as_deref().map(prompt).or(chosen);
    }
    let lists: Vec<(&str, &str)> = LISTS.iter().map(|(name, _)| (*name, *name)).collect();
    let rows = [("Styles", styles), ("Lists", lists)];
    for (title, all) in rows.into_iter().filter(|_| styled) {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().button_padding = vec2(6.0, 2.0);
            ui.label(small(title).weak());
            for (name, prompt) in all {
                let button = Button::new(small(name)).selected(on(prompt));
                if button_ui(ui, button, prompt, blocked) {
                    chosen = Some(prompt.to_string());
                }
            }
        });
    }
    if let Some(prompt) = chosen {
        studio.state.ask(&prompt);
        studio.own.of::<Draft>().text = prompt;
    }
}

/// How the prompt is read, or what is wrong with it.
fn notice_ui(studio: &mut Studio, ui: &mut Ui) {
    let written = studio.own.of::<Draft>().text.trim();
    let session = studio.state.session();
    let asked = match &session.what {
        Some(Choice::Prompt(text)) => text.as_str(),
        _ => "",
    };
    let long = written.chars().count() > LONGEST_PROMPT;
    let (pane, open) = (session.pane.as_ref(), session.opened.is_some());
    let text = match (written.is_empty(), kept(written) == asked, pane) {
        (true, ..) => "Or pick it below".to_string(),
        _ if long => format!("Only the first {LONGEST_PROMPT} characters are read"),
        (_, true, _) if !open => "Read once the model is open".into(),
        (_, true, Some(pane)) => pane.notice.clone(),
        (_, true, None) => "Reading the prompt…".into(),
        (_, false, _) => "Press Enter to see what it draws and where it lives".into(),
    };
    fact_ui(ui, text);
}

/// Draws the choice of what the prompt is to become.
pub fn redirect_ui(state: &mut State, ui: &mut Ui) {
    let redirect = &mut state.session_mut().request.redirect;
    let name = |r: &Redirect| match r {
        Redirect::Next => "The next of its kind",
        Redirect::Null => "Nothing",
        Redirect::Random => "Any other, at random",
        Redirect::Noise => "Noise",
        Redirect::Class(_) => "Something else",
    };
    choice_ui(ui, "Becomes", name(redirect), |ui| {
        for to in [Redirect::Next, Redirect::Random, Redirect::Null, Redirect::Noise] {
            let title = name(&to);
            ui.selectable_value(redirect, to, title);
        }
        let own = matches!(redirect, Redirect::Class(_));
        if ui.selectable_label(own, name(&Redirect::Class(String::new()))).clicked() && !own {
            *redirect = Redirect::Class("a dog".into());
        }
    })
    .on_hover_text("What the model draws instead");
    if let Redirect::Class(text) = redirect {
        field_ui(ui, "", |ui| {
            let field = TextEdit::singleline(text).char_limit(LONGEST_PROMPT);
            ui.add(field.desired_width(ui.available_width() - 8.0).hint_text("nothing"))
                .on_hover_text("A prompt of your own; empty is nothing")
        });
    }
}
