//! The strength of a finished run: a slider below the panes for each, between the original, the run and beyond.

use egui::UiBuilder;

use super::prelude::*;
use crate::words::STRENGTHS;

/// Height of the line, in points: it begins in the gap below the panes and ends in the panel's margin.
const HEIGHT: f32 = 18.0;
/// Widths, in points: of the number, and of what is said beside it.
const VALUE: f32 = 52.0;
const SAID: f32 = 150.0;
/// The least width of a slider, in points.
const LEAST: f32 = 40.0;
/// Steps of the slider to a strength of 1.
const STEPS: f64 = 20.0;

const HINT: &str = "How much of the run's change its pane shows: every weight of the original, and this much of what \
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

/// Draws a slider for each finished run that stands side by side, in what is left of the view.
pub fn dials_ui(state: &mut State, ui: &mut Ui) {
    let arms: Vec<Arm> =
        Arm::BOTH.into_iter().filter(|a| state.session().run(*a).is_some()).collect();
    let start = ui.cursor().min - vec2(0.0, ui.spacing().item_spacing.y);
    let line = Rect::from_min_size(start, vec2(ui.available_width(), HEIGHT));
    let each = line.width() / arms.len().max(1) as f32;
    for (i, arm) in arms.into_iter().enumerate() {
        let left = line.left() + i as f32 * each;
        let room = Rect::from_min_size(pos2(left, line.top()), vec2(each - 8.0, HEIGHT));
        let beside = Layout::left_to_right(Align::Center);
        let ui = &mut ui.new_child(UiBuilder::new().max_rect(room).layout(beside));
        let (blocked, strength) = (state.undialled(arm), state.session().strength(arm));
        let name = ["Strength", "Random mask"][arm as usize];
        if let Some(strength) = dial_ui(ui, name, strength, blocked) {
            state.set_strength(arm, strength);
        }
    }
}

/// Draws the slider of a run; the strength that it was moved to.
pub fn dial_ui(ui: &mut Ui, name: &str, strength: f64, blocked: Option<&str>) -> Option<f64> {
    let mut moved = strength;
    ui.spacing_mut().interact_size = vec2(VALUE - 8.0, HEIGHT);
    ui.spacing_mut().button_padding.y = 0.0;
    let label = ui.label(name).on_hover_text(HINT);
    let room = ui.available_width() - VALUE;
    let tells = room > SAID + LEAST;
    let room = if tells { room - SAID } else { room };
    ui.spacing_mut().slider_width = room.clamp(LEAST, 240.0);
    let slider = Slider::new(&mut moved, STRENGTHS).step_by(1.0 / STEPS).fixed_decimals(2);
    let dial = ui.label_inputs_by(label.id, |ui| ui.add_enabled(blocked.is_none(), slider));
    // Beside the slider only where there is room.
    let hint = format!("{HINT}. Now: {}", said(strength));
    let changed = explained(dial, &hint, blocked).changed();
    if tells {
        ui.add(Label::new(small(said(strength)).weak()).truncate());
    }
    changed.then(|| (moved * STEPS).round() / STEPS)
}
