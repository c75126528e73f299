//! The left panel: what to forget, how, and the button.

use egui::{CollapsingHeader, DragValue, UiBuilder};

use super::assumed::assumed_ui;
use super::prelude::*;
use super::request::estimator;
use super::{Spot, classes, commands, scrubber};
use crate::run::figures::short;
use crate::unlearn::registry::METHODS;
use crate::unlearn::{Knob, KnobKind, Method};
use crate::words::{Budget, Estimator, Piece, Recipe};

/// Size of the question, in points.
const QUESTION: f32 = 18.0;

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
        .show(ui, |ui| button_ui(studio, ui));
    Spot::Forget.mark(ui.ctx(), button.response.rect);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        assumed_ui(&mut studio.state, ui);
        ui.label(RichText::new("What shall it forget?").size(QUESTION).strong());
        ui.add_space(2.0);
        what_ui(studio, ui);
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
        ui.label(small(note));
    }
}

fn what_ui(studio: &mut Studio, ui: &mut Ui) {
    let task = studio.state.task;
    let opened = studio.state.session().opened.clone();
    if let Some(opened) = &opened {
        earlier_ui(studio, opened, ui);
    }
    let seen = studio.state.session().seen().cloned();
    let picks = ui.scope(|ui| (tasks::of(task).what_ui)(studio, ui, seen.as_ref()));
    Spot::Pick.mark(ui.ctx(), picks.response.rect);
    Spot::Pick.formula_ui(ui);
    if task.classifies() {
        ui.add_enabled_ui(opened.is_some(), |ui| classes::parts_ui(studio, ui));
    }
}

fn button_ui(studio: &mut Studio, ui: &mut Ui) {
    scrubber::branch_ui(&mut studio.state, ui);
    let blocked = (commands::FORGET.blocked)(studio);
    let text = RichText::new(commands::FORGET.name).size(17.0).color(Color32::WHITE);
    ui.add_space(8.0);
    Spot::Forget.formula_ui(ui);
    let size = vec2(ui.available_width(), 40.0);
    let button = Button::new(text).fill(theme::palette(ui).accent);
    let response = ui.add_enabled_ui(blocked.is_none(), |ui| ui.add_sized(size, button)).inner;
    if explained(response, &commands::FORGET.tooltip(), blocked).clicked() {
        studio.state.forget();
    }
}

/// The requests that the model has met, and a way back.
fn earlier_ui(studio: &mut Studio, opened: &Opened, ui: &mut Ui) {
    if opened.after.is_empty() {
        return;
    }
    let names: Vec<String> = opened.after.iter().map(|r| format::forget_set(&r.forget)).collect();
    let text = format!("Forgot {}", names.join(", "));
    line_ui(ui, |ui| commands::UNDO.ui(studio, ui), |ui| drop(ui.add(Label::new(text).truncate())));
}

fn how_ui(state: &mut State, ui: &mut Ui) {
    if !state.hides(Piece::Method) {
        Spot::Method.around(ui, |ui| method_ui(state, ui));
    }
    let method = METHODS.iter().find(|m| m.name == state.session().request.method);
    let fields = method.map(|m| m.fields(state.task)).unwrap_or_default();
    let has = |field| fields.contains(&field);
    if has("mask") && !state.hides(Piece::Density) {
        Spot::Density.around(ui, |ui| density_ui(state, ui));
    }
    if has("redirect") && !state.hides(Piece::Redirect) {
        Spot::Redirect.around(ui, |ui| (tasks::of(state.task).redirect_ui)(state, ui));
    }
    let more = CollapsingHeader::new("More settings");
    let seeding = more.show_unindented(ui, |ui| more_ui(state, &fields, ui)).body_returned;
    if seeding != Some(true) {
        state.reseed();
    }
}

/// Draws what is seldom changed; whether the seed is being set.
fn more_ui(state: &mut State, fields: &[&str], ui: &mut Ui) -> bool {
    if fields.contains(&"mask") && !state.hides(Piece::Mask) {
        mask_ui(state, ui);
    }
    let seeding = !state.hides(Piece::Seed) && seed_ui(state, ui);
    if !state.hides(Piece::Budget) {
        budget_ui(state, ui);
    }
    if !state.hides(Piece::Knobs) {
        numbers_ui(state, fields, ui);
        knobs_ui(state, ui);
    }
    seeding
}

/// Draws the seed; whether it is being set.
fn seed_ui(state: &mut State, ui: &mut Ui) -> bool {
    let seed = field_ui(ui, "Seed", |ui| {
        let seed = &mut state.session_mut().request.seed;
        ui.add(DragValue::new(seed).speed(0.1)).on_hover_text("Of the pictures, scores and runs")
    });
    seed.dragged() || seed.has_focus()
}

/// Draws how long and in what parts it is trained, where a method has that.
fn numbers_ui(state: &mut State, fields: &[&str], ui: &mut Ui) {
    let has = |field| fields.contains(&field);
    let request = &mut state.session_mut().request;
    if has("steps") {
        let number = |n: f64, _| format::count(n as usize);
        let set = |n: &mut usize, ui: &mut Ui| {
            ui.add(DragValue::new(n).range(1..=10_000_000).custom_formatter(number));
        };
        field_ui(ui, "Steps", |ui| own_ui(&mut request.steps, 100, ui, set));
    }
    // Fewer where there are few.
    if has("batch") {
        let set = |n: &mut usize, ui: &mut Ui| {
            let drag = DragValue::new(n).range(1..=4096).speed(0.2);
            ui.add_sized([NUMBER, ui.spacing().interact_size.y], drag)
                .on_hover_text("Pictures in an update");
        };
        field_ui(ui, "Batch", |ui| own_ui(&mut request.batch, 32, ui, set));
    }
}

fn method_ui(state: &mut State, ui: &mut Ui) {
    let task = state.task;
    let mut name = state.session().request.method.clone();
    choice_ui(ui, "Method", format::method(&state.session().request.method), |ui| {
        for method in METHODS.iter().filter(|m| m.tasks().contains(&task)) {
            ui.selectable_value(&mut name, method.name.into(), method.title)
                .on_hover_text(method.paper);
        }
    });
    state.set_method(&name);
}

fn mask_ui(state: &mut State, ui: &mut Ui) {
    let request = &state.session().request;
    let now = estimator(request);
    let own = estimator(&Recipe { mask: None, ..request.clone() });
    let mut mask = request.mask;
    let about = |estimator: Estimator| format!("{} ({})", estimator.about(), estimator.name());
    choice_ui(ui, "Mask", now.title(), |ui| {
        ui.selectable_value(&mut mask, None, format!("The method's own: {}", own.title()));
        for &estimator in Estimator::ALL {
            ui.selectable_value(&mut mask, Some(estimator), estimator.title())
                .on_hover_text(about(estimator));
        }
    })
    .on_hover_text(format!("Which weights may change: {}", about(now)));
    state.set_mask(mask);
}

fn density_ui(state: &mut State, ui: &mut Ui) {
    let request = &state.session().request;
    let masked = estimator(request) != Estimator::None;
    let mut percent = request.density * 100.0;
    let response = field_ui(ui, "Density", |ui| {
        let slider = Slider::new(&mut percent, 0.0..=100.0).suffix(" %").max_decimals(1);
        ui.add_enabled(masked, slider)
            .on_hover_text(commands::DENSITY.tooltip())
            .on_disabled_hover_text("Without a mask, every weight changes")
    });
    if response.changed() {
        state.set_density(percent / 100.0);
    }
}

fn budget_ui(state: &mut State, ui: &mut Ui) {
    let mut budget = state.session().request.budget;
    field_ui(ui, "Budget", |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 8.0;
        for (option, name, hint) in [
            (Budget::Tiny, "Tiny", "A first look, too few pictures to trust the figures"),
            (Budget::Brief, "Brief", "A verdict within a minute on two cores"),
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

/// Draws a control for every knob of the method.
fn knobs_ui(state: &mut State, ui: &mut Ui) {
    let task = state.task;
    let request = &mut state.session_mut().request;
    let Some(method) = METHODS.iter().find(|m| m.name == request.method) else { return };
    for knob in method.knobs().filter(|k| k.fits(task)) {
        let set = request.knobs.get(knob.name).copied();
        let mut value = set.unwrap_or(knob.default);
        let hint = format!("{} ({})", knob.what, knob.name);
        ui.push_id(knob.name, |ui| knob_ui(knob, &mut value, ui).on_hover_text(hint));
        if value == knob.default {
            request.knobs.remove(knob.name);
        } else if Some(value) != set {
            request.knobs.insert(knob.name.into(), value);
        }
    }
    if method.fields(task).contains(&"lr") {
        rate_ui(request, method, task, ui);
    }
}

/// A switch beside its title, anything else below it: titles are longer than the panel's other names.
fn knob_ui(knob: &Knob, value: &mut f64, ui: &mut Ui) -> Response {
    if knob.kind == KnobKind::Switch {
        let mut on = *value == 1.0;
        let response = ui.checkbox(&mut on, knob.title);
        *value = f64::from(u8::from(on));
        return response;
    }
    let label = ui.label(small(knob.title).weak());
    ui.horizontal(|ui| {
        slider_room(ui);
        ui.label_inputs_by(label.id, |ui| control_ui(knob, value, ui))
    })
    .inner
}

fn control_ui(knob: &Knob, value: &mut f64, ui: &mut Ui) -> Response {
    let [least, most] = knob.range;
    match knob.kind {
        KnobKind::Log => {
            // By powers, down to the smallest value above 0.
            let smallest = if least > 0.0 { least } else { most * 1e-8 };
            let slider = Slider::new(value, least..=most).logarithmic(true);
            ui.add(slider.smallest_positive(smallest).custom_formatter(|v, _| short(v)))
        }
        KnobKind::Whole => ui.add(DragValue::new(value).range(least..=most).fixed_decimals(0)),
        KnobKind::Choice(names) => {
            let name = |v: f64| names.get(v as usize).copied().unwrap_or_default();
            combo_ui(ui, knob.name, name(*value), |ui| {
                for (i, text) in names.iter().enumerate() {
                    ui.selectable_value(value, i as f64, *text);
                }
            })
        }
        KnobKind::Real | KnobKind::Switch => ui.add(Slider::new(value, least..=most)),
    }
}

fn rate_ui(request: &mut Recipe, method: &Method, task: Task, ui: &mut Ui) {
    let start = usual_rate(method, task, request.budget);
    let label = ui.label(small("Learning rate").weak());
    ui.horizontal(|ui| {
        own_ui(&mut request.lr, start, ui, |lr, ui| {
            // In proportion to the rate: a hand sets it by powers.
            let speed = *lr * 0.02;
            let number = DragValue::new(lr).range(1e-12..=1e3).speed(speed);
            ui.add(number.custom_formatter(|v, _| short(v))).labelled_by(label.id);
        });
    });
}

/// Where the search for another learning rate begins: near the method's own.
fn usual_rate(method: &Method, task: Task, budget: Budget) -> f64 {
    let rate = method.treats(task).map_or(0.0, |how| how.lr(&budget.sizes()));
    // A method that trains as the model was trained has none.
    if rate > 0.0 { rate } else { 1e-3 }
}
