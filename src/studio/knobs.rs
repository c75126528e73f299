//! The method's own knobs, as its registry entry declares them, and its learning rate.

use egui::DragValue;

use super::prelude::*;
use crate::run::figures::short;
use crate::unlearn::registry::METHODS;
use crate::unlearn::{Knob, KnobKind, Method};
use crate::words::{Budget, Recipe};

/// Draws a control for every knob of the method.
pub fn knobs_ui(state: &mut State, ui: &mut Ui) {
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
