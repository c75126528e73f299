//! The left panel: what to forget, how, and the button.

use std::sync::Arc;

use egui::{
    Align, Align2, AtomExt as _, Atoms, Button, Color32, ComboBox, DragValue, Frame, Image, Layout,
    Panel, Rect, Response, RichText, ScrollArea, Slider, TextureId, Ui, UiBuilder, Vec2, vec2,
};

use super::{
    app::Studio,
    assumed::assumed_ui,
    format, items,
    knobs::knobs_ui,
    prompt,
    request::{Choice, Request},
    state::{State, WAIT},
    task_state::Pane,
    theme, tile,
    tour::Spot,
    views::View,
};
use crate::{
    data::sets,
    engine::job::Opened,
    models::registry,
    unlearn::registry::METHODS,
    words::{budget::Budget, estimator::Estimator, recipe::Redirect, task::Task},
};

/// Width of a number's box. It is fixed, so that a longer number moves nothing.
const NUMBER: f32 = 68.0;

/// Draws the panel.
pub fn forget_ui(studio: &mut Studio, ui: &mut Ui) {
    // A panel grows with what is in it and stays so; of this child it does not hear.
    let room = ui.available_rect_before_wrap();
    let mut inside = ui.new_child(UiBuilder::new().max_rect(room));
    content_ui(studio, &mut inside);
    ui.advance_cursor_after_rect(room);
}

fn content_ui(studio: &mut Studio, ui: &mut Ui) {
    let button = Panel::bottom("forget button")
        .frame(Frame::NONE)
        .show_separator_line(false)
        .show(ui, |ui| button_ui(&mut studio.state, ui));
    studio.tour.mark(Spot::Forget, button.response.rect);
    let appears = studio.draft.appears(studio.state.task);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        assumed_ui(&mut studio.state, ui);
        ui.heading("What to forget");
        what_ui(studio, ui, appears);
        ui.add_space(8.0);
        ui.heading("How");
        let free = !studio.state.held();
        ui.add_enabled_ui(free, |ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            how_ui(&mut studio.state, ui);
        });
        notes_ui(&studio.state, ui);
    });
}

/// What a person should know of the model and its runs.
fn notes_ui(state: &State, ui: &mut Ui) {
    let mut notes = state.notes().peekable();
    if notes.peek().is_none() {
        return;
    }
    ui.add_space(8.0);
    ui.heading("Notes");
    for note in notes {
        ui.label(RichText::new(note).small());
    }
}

/// `appears`: whether the field for a prompt was not there a frame ago.
fn what_ui(studio: &mut Studio, ui: &mut Ui, appears: bool) {
    let task = studio.state.task;
    let opened = studio.state.session().opened.clone();
    if let Some(opened) = &opened {
        earlier_ui(&mut studio.state, opened, ui);
    }
    let seen = studio.state.session().seen().cloned();
    let picks = ui.scope(|ui| match task {
        Task::TextToImage => prompt::prompt_ui(studio, ui, seen.as_ref(), appears),
        _ => classes_ui(studio, ui, seen.as_ref()),
    });
    studio.tour.mark(Spot::Pick, picks.response.rect);
    if task == Task::Classify {
        ui.add_enabled_ui(opened.is_some(), |ui| parts_ui(studio, ui));
    }
}

fn button_ui(state: &mut State, ui: &mut Ui) {
    let blocked = state.blocked();
    let text = RichText::new("Forget").size(15.0).color(Color32::WHITE);
    ui.add_space(8.0);
    let size = vec2(ui.available_width(), 36.0);
    let button = Button::new(text).fill(theme::palette(ui).accent);
    let response = ui
        .add_enabled_ui(blocked.is_none(), |ui| ui.add_sized(size, button))
        .inner
        .on_hover_text("Unlearns with this recipe, then again with a random mask (Ctrl+Enter)")
        .on_disabled_hover_text(blocked.unwrap_or_default());
    if response.clicked() {
        state.forget();
    }
}

/// The requests that the model has met, and a way back.
fn earlier_ui(state: &mut State, opened: &Opened, ui: &mut Ui) {
    if opened.after.is_empty() {
        return;
    }
    let names: Vec<String> = opened.after.iter().map(|r| format::forget_set(&r.forget)).collect();
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let undo = ui
                .add_enabled(!state.held(), Button::new("Undo"))
                .on_hover_text("Back to the model before the last request, every bit (Ctrl+Z)")
                .on_disabled_hover_text(WAIT);
            if undo.clicked() {
                state.undo();
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = format!("Forgot {}", names.join(", "));
                ui.add(egui::Label::new(text).truncate());
            });
        });
    });
}

/// A chip a class. Of a shipped model they are known before it is open, and nothing moves when it is.
fn classes_ui(studio: &mut Studio, ui: &mut Ui, seen: Option<&Arc<Opened>>) {
    let session = studio.state.session();
    let picked = session.request.what.clone();
    let set = registry::shipped(&session.model).and_then(|shipped| sets::find(shipped.data));
    let names: Vec<String> = match (seen, set) {
        (Some(seen), _) => seen.classes.clone(),
        (None, Some(set)) => set.classes.iter().map(|name| name.to_string()).collect(),
        (None, None) => return drop(ui.weak("The classes appear once the model is open")),
    };
    let free = !studio.state.held();
    let sheet = studio.comparison.sheet(Pane::Before);
    let grid = seen.map(|seen| (sheet.texture(ui.ctx(), &seen.grid), seen.grid.clone()));
    chips_ui(&names, ui, |ui, class, size| {
        let picture = grid.as_ref().and_then(|(texture, grid)| {
            let row = grid.rows.iter().position(|r| *r == Some(class))?;
            Some((*texture, tile::uv(grid, row, 0)))
        });
        let on = picked == Some(Choice::Class(class));
        if chip_ui(ui, &names[class], picture, on, size, free).clicked() {
            studio.state.pick(Choice::Class(class));
        }
    });
}

/// Chips of so many classes, two a row; `chip` draws one of a size.
fn chips_ui<T>(classes: &[T], ui: &mut Ui, mut chip: impl FnMut(&mut Ui, usize, Vec2)) {
    // Lower where the panel is.
    let height = if ui.ctx().content_rect().height() < 720.0 { 24.0 } else { 28.0 };
    let size = vec2((ui.available_width() - 4.0) / 2.0, height);
    let classes: Vec<usize> = (0..classes.len()).collect();
    ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
    for pair in classes.chunks(2) {
        ui.horizontal(|ui| {
            ui.spacing_mut().button_padding = vec2(4.0, 2.0);
            pair.iter().for_each(|&class| chip(ui, class, size));
        });
    }
}

/// A button with a name and a picture, which is a part of a texture.
pub fn chip_ui(
    ui: &mut Ui,
    name: &str,
    picture: Option<(TextureId, Rect)>,
    on: bool,
    size: Vec2,
    free: bool,
) -> Response {
    let name = RichText::new(name).small();
    let mut atoms = Atoms::new(name.atom_grow(true).atom_align(Align2::LEFT_CENTER));
    if let Some((texture, uv)) = picture {
        let side = Vec2::splat(size.y - 6.0);
        atoms.push_left(Image::from_texture((texture, side)).uv(uv).fit_to_exact_size(side));
    }
    let chip = Button::new(atoms).selected(on).truncate().gap(6.0).min_size(size);
    let response = ui.add_enabled_ui(free, |ui| {
        ui.set_max_width(size.x);
        ui.add(chip)
    });
    response.inner.on_disabled_hover_text(WAIT)
}

/// Forget sets that are a part of some classes.
fn parts_ui(studio: &mut Studio, ui: &mut Ui) {
    type Part = fn(u32) -> Choice;
    const SHARES: [(&str, Part, &str); 3] = [
        ("A random share", Choice::Share, "Of all training pictures"),
        ("The hardest share", Choice::Hardest, "The training pictures with the largest loss"),
        ("The easiest share", Choice::Easiest, "The training pictures with the smallest loss"),
    ];
    let state = &mut studio.state;
    let picked = state.session().request.what.clone();
    let (now, mut percent) = match &picked {
        Some(Choice::Share(percent)) => (Some(0), *percent),
        Some(Choice::Hardest(percent)) => (Some(1), *percent),
        Some(Choice::Easiest(percent)) => (Some(2), *percent),
        _ => (None, 10),
    };
    ui.add_enabled_ui(!state.held(), |ui| {
        let name = match (&picked, now) {
            (_, Some(share)) => SHARES[share].0.to_string(),
            (Some(Choice::Items(list)), _) => format::forget_set(&items::spec(list)),
            _ => "Some pictures…".into(),
        };
        field_ui(ui, "Or", |ui| {
            let combo = ComboBox::from_id_salt("part").width(ui.available_width());
            combo
                .selected_text(name)
                .truncate()
                .show_ui(ui, |ui| {
                    for (i, (name, part, hint)) in SHARES.into_iter().enumerate() {
                        let entry = ui.selectable_label(now == Some(i), name);
                        if entry.on_hover_text(hint).clicked() {
                            state.pick(part(percent));
                        }
                    }
                    let on = matches!(picked, Some(Choice::Items(_)));
                    let entry = ui.selectable_label(on, "Picked pictures…");
                    if entry.on_hover_text("Pick them from the data set").clicked() {
                        studio.view = View::Data;
                    }
                })
                .response
                .on_disabled_hover_text(WAIT)
        });
        let Some(now) = now else { return };
        let response =
            field_ui(ui, "Share", |ui| ui.add(Slider::new(&mut percent, 1..=50).suffix(" %")));
        if response.changed() {
            state.aim(SHARES[now].1(percent));
        }
        // Score once, when the hand rests.
        if response.drag_stopped() || (response.changed() && !response.dragged()) {
            state.pick(SHARES[now].1(percent));
        }
    });
}

fn how_ui(state: &mut State, ui: &mut Ui) {
    method_ui(state, ui);
    let method = METHODS.iter().find(|m| m.name == state.session().request.method);
    let fields = method.map(|m| m.fields(state.task)).unwrap_or_default();
    if fields.contains(&"mask") {
        mask_ui(state, ui);
        density_ui(state, ui);
    }
    if fields.contains(&"redirect") {
        match state.task {
            Task::TextToImage => prompt::redirect_ui(state, ui),
            _ => redirect_ui(state, ui),
        }
    }
    let response = field_ui(ui, "Seed", |ui| {
        let seed = &mut state.session_mut().request.seed;
        ui.add(DragValue::new(seed).speed(0.1)).on_hover_text("Of the pictures, scores and runs")
    });
    if !response.dragged() && !response.has_focus() {
        state.reseed();
    }
    budget_ui(state, ui);
    if fields.contains(&"steps") {
        steps_ui(state, ui);
    }
    if fields.contains(&"batch") {
        batch_ui(state, ui);
    }
    knobs_ui(state, ui);
}

fn method_ui(state: &mut State, ui: &mut Ui) {
    let task = state.task;
    let mut name = state.session().request.method.clone();
    field_ui(ui, "Method", |ui| {
        ComboBox::from_id_salt("method")
            .width(ui.available_width())
            .selected_text(format::method(&name))
            .truncate()
            .show_ui(ui, |ui| {
                for method in METHODS.iter().filter(|m| m.tasks().contains(&task)) {
                    let chosen = method.name == name;
                    let entry = ui.selectable_label(chosen, method.title);
                    if entry.on_hover_text(method.paper).clicked() {
                        name = method.name.into();
                    }
                }
            })
            .response
    });
    state.set_method(&name);
}

fn mask_ui(state: &mut State, ui: &mut Ui) {
    let mut mask = state.session().request.mask;
    let now = state.session().request.estimator();
    let own = Request { mask: None, ..state.session().request.clone() }.estimator();
    let own = format!("The method's own: {}", own.title());
    field_ui(ui, "Mask", |ui| {
        ComboBox::from_id_salt("mask")
            .width(ui.available_width())
            .selected_text(now.title())
            .truncate()
            .show_ui(ui, |ui| {
                ui.selectable_value(&mut mask, None, &own);
                for &estimator in Estimator::ALL {
                    let hint = format!("{} ({})", estimator.about(), estimator.name());
                    ui.selectable_value(&mut mask, Some(estimator), estimator.title())
                        .on_hover_text(hint);
                }
            })
            .response
            .on_hover_text(format!("Which weights may change: {} ({})", now.about(), now.name()))
    });
    state.set_mask(mask);
}

fn density_ui(state: &mut State, ui: &mut Ui) {
    let masked = state.session().request.masked(state.task);
    let mut percent = state.session().request.density * 100.0;
    let response = field_ui(ui, "Density", |ui| {
        let slider = Slider::new(&mut percent, 0.0..=100.0).suffix(" %").max_decimals(1);
        ui.add_enabled(masked, slider)
            .on_hover_text("Share of weights that may change ([ and ])")
            .on_disabled_hover_text("Without a mask, every weight changes")
    });
    if response.changed() {
        state.set_density(percent / 100.0);
    }
}

fn redirect_ui(state: &mut State, ui: &mut Ui) {
    let session = state.session_mut();
    let Some(opened) = session.opened.clone() else { return };
    let forgotten = match &session.request.what {
        Some(Choice::Class(class)) => opened.classes.get(*class),
        _ => None,
    };
    let redirect = &mut session.request.redirect;
    let name = |r: &Redirect| match r {
        Redirect::Next => "Next class".to_string(),
        Redirect::Null => "No class".to_string(),
        Redirect::Random => "A random class".to_string(),
        Redirect::Noise => "Noise".to_string(),
        Redirect::Class(class) => class.clone(),
    };
    field_ui(ui, "Redirect", |ui| {
        ComboBox::from_id_salt("redirect")
            .width(ui.available_width())
            .selected_text(name(redirect))
            .truncate()
            .show_ui(ui, |ui| {
                let classes = opened.classes.iter().filter(|c| Some(*c) != forgotten);
                let classes = classes.map(|c| Redirect::Class(c.clone()));
                let general = [Redirect::Next, Redirect::Random, Redirect::Null, Redirect::Noise];
                for option in general.into_iter().chain(classes) {
                    let text = name(&option);
                    ui.selectable_value(redirect, option, text);
                }
            })
            .response
            .on_hover_text("What the model makes instead of the forgotten class")
    });
}

fn budget_ui(state: &mut State, ui: &mut Ui) {
    let mut budget = state.session().request.budget;
    field_ui(ui, "Budget", |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 8.0;
        for (option, name, hint) in [
            (Budget::Tiny, "Tiny", "A first look, too few pictures to trust the figures"),
            (Budget::Quick, "Quick", "Stated subsets, minutes on two cores"),
            (Budget::Full, "Full", "Everything"),
        ] {
            let button = Button::new(name).selected(budget == option);
            if ui.add(button).on_hover_text(hint).clicked() {
                budget = option;
            }
        }
    });
    state.set_budget(budget);
}

/// Pictures in an update: fewer where there are few.
fn batch_ui(state: &mut State, ui: &mut Ui) {
    let batch = &mut state.session_mut().request.batch;
    field_ui(ui, "Batch", |ui| {
        own_ui(batch, 32, ui, |n, ui| {
            let drag = DragValue::new(n).range(1..=4096).speed(0.2);
            ui.add_sized([NUMBER, ui.spacing().interact_size.y], drag)
                .on_hover_text("Pictures in an update");
        });
    });
}

fn steps_ui(state: &mut State, ui: &mut Ui) {
    let steps = &mut state.session_mut().request.steps;
    field_ui(ui, "Steps", |ui| {
        own_ui(steps, 100, ui, |n, ui| {
            ui.add(
                DragValue::new(n)
                    .range(1..=10_000_000)
                    .custom_formatter(|n, _| format::count(n as usize)),
            );
        });
    });
}

/// A value that is the method's own until a person sets another, which begins at `start`.
pub fn own_ui<T>(value: &mut Option<T>, start: T, ui: &mut Ui, set: impl FnOnce(&mut T, &mut Ui)) {
    match value {
        Some(given) => {
            set(given, ui);
            if ui.button("Reset").on_hover_text("Back to the method's own").clicked() {
                *value = None;
            }
        }
        None => {
            if ui.button("The method's own").on_hover_text("Click to set another").clicked() {
                *value = Some(start);
            }
        }
    }
}

/// A control with its name before it.
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

/// Gives sliders the width that is left beside their number.
pub fn slider_room(ui: &mut Ui) {
    ui.spacing_mut().interact_size.x = NUMBER;
    let left = ui.available_width() - NUMBER - ui.spacing().item_spacing.x;
    ui.spacing_mut().slider_width = left.max(40.0);
}
