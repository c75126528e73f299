//! What to forget of a text-to-image model: a prompt, and what it is to become.

use std::sync::Arc;

use egui::{ComboBox, Key, Label, RichText, TextEdit, Ui, vec2};

use super::{
    app::Studio,
    forget_panel::{chip_ui, field_ui},
    narrow::NARROW,
    request::Choice,
    state::{
        State, WAIT,
        actions::{LONGEST_PROMPT, kept},
    },
    tile::{self, Sheet},
};
use crate::{
    data::emoji::{captions::article, target::LISTS},
    engine::job::Opened,
    words::{recipe::Redirect, task::Task},
};

/// What was written, and what it was written about.
#[derive(Default)]
pub struct Draft {
    text: String,
    /// The request that it is in step with.
    of: Option<Choice>,
    sheet: Sheet,
    /// Whether the field was there in the last frame.
    there: bool,
}

impl Draft {
    /// What is typed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the field appears in this frame. Called in every frame, with the task of it.
    pub fn appears(&mut self, task: Task) -> bool {
        let here = task == Task::TextToImage;
        let before = std::mem::replace(&mut self.there, here);
        here && !before
    }
}

/// Draws the field, and what may be put into it once the model is open.
pub fn prompt_ui(studio: &mut Studio, ui: &mut Ui, opened: Option<&Arc<Opened>>, appears: bool) {
    field_of_words_ui(studio, ui, appears);
    notice_ui(studio, ui);
    if let Some(opened) = opened {
        ui.add_space(4.0);
        choices_ui(studio, ui, opened);
    }
}

fn field_of_words_ui(studio: &mut Studio, ui: &mut Ui, appears: bool) {
    let asked = studio.state.session().request.what.clone();
    // A request that came from elsewhere: a link, the history, a chip.
    if studio.draft.of != asked {
        if let Some(Choice::Prompt(text)) = &asked
            && *text != kept(&studio.draft.text)
        {
            studio.draft.text = text.clone();
        }
        studio.draft.of = asked.clone();
    }
    let free = !studio.state.held();
    let title = ui.label(RichText::new("Prompt to forget").small().weak());
    let field = TextEdit::singleline(&mut studio.draft.text)
        .hint_text("a cat, mono style, weapons…")
        // As wide as the panel: without an end it would push it open.
        .desired_width(ui.available_width())
        .margin(vec2(8.0, 6.0))
        // It keeps the focus: what is typed next belongs to the prompt.
        .return_key(None);
    let response = ui
        .add_enabled(free, field)
        .labelled_by(title.id)
        .on_hover_text("What the model shall no longer draw: Enter shows it, and where it lives")
        .on_disabled_hover_text(WAIT);
    if response.has_focus() && ui.input(|i| i.key_pressed(Key::Enter) && i.modifiers.is_none()) {
        studio.state.ask(&studio.draft.text);
    }
    // Whoever comes here writes next; on a phone a keyboard would cover the pictures, and a link has
    // said what to forget.
    let wide = ui.ctx().content_rect().width() >= NARROW;
    if appears && wide && asked.is_none() && studio.state.session().wanted.is_none() {
        response.request_focus();
    }
}

/// Concepts, styles and lists to press on.
fn choices_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>) {
    let asked = studio.state.session().request.what.clone();
    let free = !studio.state.held();
    ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
    let mut chosen = None;
    let on = |prompt: &str| matches!(&asked, Some(Choice::Prompt(text)) if text == prompt);
    let texture = studio.draft.sheet.texture(ui.ctx(), &opened.grid);
    let size = vec2((ui.available_width() - 4.0) / 2.0, 26.0);
    let rows: Vec<usize> = (0..opened.grid.rows.len()).collect();
    for pair in rows.chunks(2) {
        ui.horizontal(|ui| {
            ui.spacing_mut().button_padding = vec2(4.0, 2.0);
            for &row in pair {
                let Some(name) = opened.grid.name(row, &opened.classes) else { continue };
                let prompt = format!("{} {name}", article(name));
                let picture = Some((texture, tile::uv(&opened.grid, row, 0)));
                if chip_ui(ui, name, picture, on(&prompt), size, free).clicked() {
                    chosen = Some(prompt);
                }
            }
        });
    }
    let styles = opened.classes.iter().filter(|name| name.ends_with(" style"));
    let styles: Vec<(&str, &str)> =
        styles.map(|name| (name.trim_end_matches(" style"), name.as_str())).collect();
    let lists: Vec<(&str, &str)> = LISTS.iter().map(|(name, _)| (*name, *name)).collect();
    for (title, all) in [("Styles", styles), ("Lists", lists)] {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().button_padding = vec2(6.0, 2.0);
            ui.label(RichText::new(title).small().weak());
            for (name, prompt) in all {
                let button = egui::Button::new(RichText::new(name).small()).selected(on(prompt));
                let response = ui.add_enabled(free, button).on_hover_text(prompt);
                if response.on_disabled_hover_text(WAIT).clicked() {
                    chosen = Some(prompt.to_string());
                }
            }
        });
    }
    if let Some(prompt) = chosen {
        studio.draft.text = prompt;
        studio.state.ask(&studio.draft.text);
    }
}

/// How the prompt is read, or what is wrong with it.
fn notice_ui(studio: &Studio, ui: &mut Ui) {
    let written = studio.draft.text.trim();
    let asked = match &studio.state.session().request.what {
        Some(Choice::Prompt(text)) => text.as_str(),
        _ => "",
    };
    let long = written.chars().count() > LONGEST_PROMPT;
    let pane = studio.state.session().pane.as_ref();
    let open = studio.state.session().opened.is_some();
    let text = match (written.is_empty(), kept(written) == asked, pane) {
        (true, ..) if !open => "Write what is to be forgotten".to_string(),
        (true, ..) => "Write what is to be forgotten, or pick it below".into(),
        _ if long => format!("Only the first {LONGEST_PROMPT} characters are read"),
        (_, true, _) if !open => "Read once the model is open".into(),
        (_, true, Some(pane)) => pane.notice.clone(),
        (_, true, None) => "Reading the prompt…".into(),
        (_, false, _) => "Press Enter to see what it draws and where it lives".into(),
    };
    ui.add(Label::new(RichText::new(text).small().weak()).wrap());
}

/// Draws the choice of what the prompt is to become.
pub fn redirect_ui(state: &mut State, ui: &mut Ui) {
    let redirect = &mut state.session_mut().request.redirect;
    let name = |r: &Redirect| match r {
        Redirect::Next => "The next of its kind",
        Redirect::Null => "Nothing",
        _ => "Something else",
    };
    field_ui(ui, "Becomes", |ui| {
        ComboBox::from_id_salt("becomes")
            .width(ui.available_width())
            .selected_text(name(redirect))
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(redirect, Redirect::Next, name(&Redirect::Next));
                ui.selectable_value(redirect, Redirect::Null, name(&Redirect::Null));
                let own = matches!(redirect, Redirect::Class(_));
                if ui.selectable_label(own, name(&Redirect::Class(String::new()))).clicked() && !own
                {
                    *redirect = Redirect::Class("a dog".into());
                }
            })
            .response
            .on_hover_text("What the model draws instead")
    });
    if let Redirect::Class(text) = redirect {
        field_ui(ui, "", |ui| {
            let field = TextEdit::singleline(text).char_limit(LONGEST_PROMPT);
            ui.add(field.desired_width(ui.available_width() - 8.0).hint_text("nothing"))
                .on_hover_text("A prompt of your own; empty is nothing")
        });
    }
}
