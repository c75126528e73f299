//! What to forget of a text-to-image model: a prompt, and what it is to become.

use std::sync::Arc;

use egui::{ComboBox, Key, Label, RichText, TextEdit, Ui, vec2};

use super::{
    app::Studio,
    forget_panel::{chip_ui, field_ui},
    request::Choice,
    state::{
        State, WAIT,
        asks::{LONGEST_PROMPT, kept},
    },
    tile::{self, Sheet},
};
use crate::{
    data::emoji::{captions::article, target::LISTS},
    engine::job::Opened,
    run::recipe::Redirect,
};

/// What was written, and what it was written about.
#[derive(Default)]
pub struct Draft {
    text: String,
    /// The request that it is in step with.
    of: Option<Choice>,
    sheet: Sheet,
}

/// Draws the field and what may be put into it.
pub fn prompt_ui(studio: &mut Studio, ui: &mut Ui, opened: &Arc<Opened>) {
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
        .margin(vec2(8.0, 6.0));
    let response = ui
        .add_enabled(free, field)
        .labelled_by(title.id)
        .on_hover_text("What the model shall no longer draw: Enter shows it, and where it lives")
        .on_disabled_hover_text(WAIT);
    if response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter)) {
        studio.state.ask(&studio.draft.text);
    }
    notice_ui(studio, ui);
    ui.add_space(4.0);
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
    let text = match (written.is_empty(), kept(written) == asked, pane) {
        (true, ..) => "Write what is to be forgotten, or pick it below".to_string(),
        _ if long => format!("Only the first {LONGEST_PROMPT} characters are read"),
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
