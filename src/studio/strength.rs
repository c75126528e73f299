//! The strength of a finished run: a slider below the panes, between the original, the run and beyond.

use egui::UiBuilder;

use super::prelude::*;
use crate::words::STRENGTHS;

/// Height of the line, in points: it begins in the gap below the panes and ends in the panel's margin.
const HEIGHT: f32 = 18.0;
/// Widths, in points: of the number, and of what is said beside it.
const VALUE: f32 = 52.0;
const SAID: f32 = 150.0;
/// Steps of the slider to a strength of 1.
const STEPS: f64 = 20.0;

const HINT: &str = "How much of the run's change After shows: every weight of the original, and this much of what \
                    the run did to it. 0 is the original and 1 the run, bit for bit; above 1 goes on beyond it";

/// What a strength is, in a few words.
fn said(strength: f64) -> &'static str {
    match strength {
        0.0 => "the original, every bit",
        1.0 => "the run, every bit",
        part if part < 1.0 => "a part of the change",
        _ => "beyond the run",
    }
}

/// Draws the slider in what is left of the view.
pub fn dial_ui(state: &mut State, ui: &mut Ui) {
    let blocked = state.undialled();
    let mut strength = state.session().dial.strength;
    let start = ui.cursor().min - vec2(0.0, ui.spacing().item_spacing.y);
    let line = Rect::from_min_size(start, vec2(ui.available_width(), HEIGHT));
    let beside = Layout::left_to_right(Align::Center);
    let ui = &mut ui.new_child(UiBuilder::new().max_rect(line).layout(beside));
    ui.spacing_mut().interact_size = vec2(VALUE - 8.0, HEIGHT);
    ui.spacing_mut().button_padding.y = 0.0;
    let label = ui.label("Strength").on_hover_text(HINT);
    let room = ui.available_width() - VALUE - SAID;
    ui.spacing_mut().slider_width = room.clamp(60.0, 240.0);
    let slider = Slider::new(&mut strength, STRENGTHS).step_by(1.0 / STEPS).fixed_decimals(2);
    let dial = ui.label_inputs_by(label.id, |ui| ui.add_enabled(blocked.is_none(), slider));
    if explained(dial, HINT, blocked).changed() {
        state.set_strength((strength * STEPS).round() / STEPS);
    }
    let said = said(state.session().dial.strength);
    ui.add(Label::new(small(said).weak()).truncate());
}
