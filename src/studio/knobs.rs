//! The method's own knobs, as its registry entry declares them.

use egui::{ComboBox, DragValue, Slider, Ui};

use super::{forget_panel::field_ui, state::State};
use crate::unlearn::{
    knob::{Kind, Knob},
    registry::METHODS,
};

/// Draws a control for every knob of the method.
pub fn knobs_ui(state: &mut State, ui: &mut Ui) {
    let task = state.task;
    let request = &mut state.session_mut().request;
    let Some(method) = METHODS.iter().find(|m| m.name == request.method) else { return };
    for knob in method.knobs().filter(|k| k.fits(task)) {
        let set = request.knobs.get(knob.name).copied();
        let mut value = set.unwrap_or(knob.default);
        if knob.kind == Kind::Switch {
            let mut on = value == 1.0;
            ui.checkbox(&mut on, knob.name).on_hover_text(knob.what);
            value = f64::from(u8::from(on));
        } else {
            field_ui(ui, knob.name, |ui| {
                let inner = ui.push_id(knob.name, |ui| knob_ui(knob, &mut value, ui));
                inner.response.on_hover_text(knob.what)
            });
        }
        if value == knob.default {
            request.knobs.remove(knob.name);
        } else if Some(value) != set {
            request.knobs.insert(knob.name.into(), value);
        }
    }
}

fn knob_ui(knob: &Knob, value: &mut f64, ui: &mut Ui) {
    let [least, most] = knob.range;
    match knob.kind {
        Kind::Real => drop(ui.add(Slider::new(value, least..=most))),
        Kind::Log => {
            let small = if least > 0.0 { least } else { most * 1e-8 };
            let slider =
                Slider::new(value, least..=most).logarithmic(true).smallest_positive(small);
            ui.add(slider.custom_formatter(|v, _| crate::run::figures::short(v)));
        }
        Kind::Whole => drop(ui.add(DragValue::new(value).range(least..=most).fixed_decimals(0))),
        Kind::Switch => {}
        Kind::Choice(names) => {
            let name = |v: f64| names.get(v as usize).copied().unwrap_or_default();
            ComboBox::from_id_salt(knob.name).selected_text(name(*value)).show_ui(ui, |ui| {
                for (i, text) in names.iter().enumerate() {
                    ui.selectable_value(value, i as f64, *text);
                }
            });
        }
    }
}
