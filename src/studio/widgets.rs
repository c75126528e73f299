//! Pieces that several panels are made of.

use egui::{
    Align, Align2, AtomExt as _, Atoms, Button, Color32, ComboBox, Frame, Image, Label, Layout,
    Response, RichText, Ui, Vec2, vec2,
};
use egui_plot::Plot;

use super::theme;

/// Width of a number's box. It is fixed, so that a longer number moves nothing.
pub const NUMBER: f32 = 68.0;

/// Text in small letters.
pub fn small(text: impl Into<String>) -> RichText {
    RichText::new(text).small()
}

/// Draws what something rests on: small, weak, in as many lines as it takes.
pub fn fact_ui(ui: &mut Ui, text: impl Into<String>) -> Response {
    ui.add(Label::new(small(text).weak()).wrap())
}

/// A button in the colour of what matters most.
pub fn primary(ui: &Ui, text: &str) -> Button<'static> {
    Button::new(RichText::new(text).color(Color32::WHITE)).fill(theme::palette(ui).accent)
}

/// Draws a button with what it does, or why it cannot be had now; whether it was pressed.
pub fn button_ui(ui: &mut Ui, button: Button, hint: &str, blocked: Option<&str>) -> bool {
    let response = ui.add_enabled(blocked.is_none(), button);
    explained(response, hint, blocked).clicked()
}

/// Says beside a control what it does, or why it cannot be had now; empty where that is plain to see.
pub fn explained(mut response: Response, hint: &str, blocked: Option<&str>) -> Response {
    if !hint.is_empty() {
        response = response.on_hover_text(hint);
    }
    match blocked.unwrap_or_default() {
        "" => response,
        why => response.on_disabled_hover_text(why),
    }
}

/// Draws a list that drops down, as wide as there is room.
pub fn combo_ui(ui: &mut Ui, id: &str, chosen: &str, list_ui: impl FnOnce(&mut Ui)) -> Response {
    let combo = ComboBox::from_id_salt(id).width(ui.available_width());
    combo.selected_text(chosen).truncate().show_ui(ui, list_ui).response
}

/// Draws a control with its name before it.
pub fn field_ui<R>(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.horizontal(|ui| {
        let size = vec2(58.0, ui.spacing().interact_size.y);
        let label = ui.allocate_ui_with_layout(size, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(size.x);
            ui.label(name)
        });
        slider_room(ui);
        ui.label_inputs_by(label.inner.id, add)
    })
    .inner
}

/// Draws a list that drops down, with its name before it.
pub fn choice_ui(ui: &mut Ui, name: &str, chosen: &str, list: impl FnOnce(&mut Ui)) -> Response {
    field_ui(ui, name, |ui| combo_ui(ui, name, chosen, list))
}

/// Gives sliders the width that is left beside their number.
pub fn slider_room(ui: &mut Ui) {
    ui.spacing_mut().interact_size.x = NUMBER;
    let left = ui.available_width() - NUMBER - ui.spacing().item_spacing.x;
    ui.spacing_mut().slider_width = left.max(40.0);
}

/// Draws a value that is the method's own until a person sets another, which begins at `start`.
pub fn own_ui<T>(value: &mut Option<T>, start: T, ui: &mut Ui, set: impl FnOnce(&mut T, &mut Ui)) {
    let (name, hint) = match value {
        Some(_) => ("Reset", "Back to the method's own"),
        None => ("The method's own", "Click to set another"),
    };
    if let Some(given) = value {
        set(given, ui);
    }
    if ui.button(name).on_hover_text(hint).clicked() {
        *value = if value.is_none() { Some(start) } else { None };
    }
}

/// Draws one of several, side by side: what it is, its name, what it is for.
pub fn tabs_ui<'a, T: PartialEq>(
    ui: &mut Ui,
    chosen: &mut T,
    all: impl IntoIterator<Item = (T, &'a str, &'a str)>,
) {
    for (value, name, hint) in all {
        explained(ui.selectable_value(chosen, value, name), hint, None);
    }
}

/// Draws the heads of a table's columns, and goes on to its first row.
pub fn heads_ui<'a>(ui: &mut Ui, heads: impl IntoIterator<Item = &'a str>) {
    heads.into_iter().for_each(|head| drop(ui.label(small(head).weak())));
    ui.end_row();
}

/// Draws a card on a panel.
pub fn card_ui<R>(ui: &mut Ui, margin: f32, add: impl FnOnce(&mut Ui) -> R) -> R {
    let frame = Frame::group(ui.style()).fill(theme::palette(ui).card).inner_margin(margin);
    frame.show(ui, add).inner
}

/// Draws what stands in the middle of a view that has nothing to show.
pub fn middle_ui(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.4);
        add(ui);
    });
}

/// Draws what stands on the right of a line, and what has the room that is left.
pub fn line_ui(ui: &mut Ui, right: impl FnOnce(&mut Ui), left: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            right(ui);
            ui.with_layout(Layout::left_to_right(Align::Center), left);
        });
    });
}

/// What is on a chip: a name, a picture, and whether it is chosen.
pub type Chip<'a> = (&'a str, Option<Image<'a>>, bool);

/// Height of a chip where there is room, in points, and what its width is at least.
pub const CHIP: f32 = 38.0;
const CHIP_WIDTH: f32 = 100.0;

/// Draws `n` buttons of names and pictures, as many in a row as there is room for, or why they cannot be had
/// now; the one that was pressed.
pub fn chips_ui<'a>(
    n: usize,
    blocked: Option<&str>,
    ui: &mut Ui,
    chip: impl Fn(usize) -> Option<Chip<'a>>,
) -> Option<usize> {
    const GAP: f32 = 4.0;
    // Lower where the window is.
    let height = (ui.ctx().content_rect().height() * 0.05).clamp(26.0, CHIP).round();
    let per_row = ((ui.available_width() + GAP) / (CHIP_WIDTH + GAP)).max(1.0) as usize;
    let width = (ui.available_width() + GAP) / per_row as f32 - GAP;
    let size = vec2(width, height);
    ui.spacing_mut().item_spacing = Vec2::splat(GAP);
    let mut pressed = None;
    for first in (0..n).step_by(per_row) {
        ui.horizontal(|ui| {
            ui.spacing_mut().button_padding = vec2(4.0, 2.0);
            for i in first..n.min(first + per_row) {
                let Some((name, picture, on)) = chip(i) else { continue };
                let name = small(name).atom_grow(true).atom_align(Align2::LEFT_CENTER);
                let mut atoms = Atoms::new(name);
                if let Some(picture) = picture {
                    atoms.push_left(
                        picture.fit_to_exact_size(Vec2::splat(height - 4.0)).corner_radius(4),
                    );
                }
                let chip = Button::new(atoms).selected(on).truncate().gap(6.0).min_size(size);
                let response = ui.add_enabled_ui(blocked.is_none(), |ui| {
                    ui.set_max_width(size.x);
                    ui.add(chip)
                });
                if explained(response.inner, "", blocked).clicked() {
                    pressed = Some(i);
                }
            }
        });
    }
    pressed
}

/// A plot that stays as it is under the hand.
pub fn still_plot(name: &str) -> Plot<'static> {
    Plot::new(name)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
}
