//! The timeline's scrubber: back and forth over a run's steps, played, one step against another; and what can be
//! done with the step that it is held at.

use super::prelude::*;
use crate::words::Recipe;

/// Seconds that each step is shown while they are played.
const EACH: f64 = 0.6;
/// Height of the slider's line, in points.
const LINE: f32 = 26.0;

/// Steps that are being played: since when, in seconds of the window's clock.
#[derive(Debug, Default)]
struct Playing(Option<f64>);

/// Draws the slider, and below it what can be done with the step that it is held at.
pub fn scrubber_ui(studio: &mut Studio, ui: &mut Ui) {
    let stops = studio.state.session().stops();
    if stops.len() < 2 {
        return;
    }
    // Room is left below the curve for what was held before: what is held by now has it in the next frame.
    let held = studio.state.session().scrub.is_some();
    play(studio, &stops, ui);
    slider_ui(studio, &stops, ui);
    if held {
        actions_ui(&mut studio.state, ui);
    }
}

/// Holds the timeline at the step whose turn it is.
fn play(studio: &mut Studio, stops: &[usize], ui: &Ui) {
    let playing = studio.own.of::<Playing>();
    let Some(since) = playing.0 else { return };
    let passed = ((ui.input(|i| i.time) - since) / EACH).max(0.0) as usize;
    let last = stops.len() - 1;
    if passed >= last {
        playing.0 = None;
    } else {
        ui.ctx().request_repaint_after(std::time::Duration::from_secs_f64(EACH / 4.0));
    }
    studio.state.session_mut().scrub = Some(stops[passed.min(last)]);
}

fn slider_ui(studio: &mut Studio, stops: &[usize], ui: &mut Ui) {
    let Studio { own, state, .. } = studio;
    let (playing, session) = (own.of::<Playing>(), state.session_mut());
    let last = stops.len() - 1;
    let mut at = session.scrub.map_or(last, |s| stops.partition_point(|stop| *stop < s).min(last));
    ui.horizontal(|ui| {
        ui.set_max_height(LINE);
        ui.spacing_mut().item_spacing.x = 4.0;
        let live = ui.add(Button::new("Live").selected(session.scrub.is_none()));
        if live.on_hover_text("Follow the training").clicked() {
            (session.scrub, playing.0) = (None, None);
        }
        let (name, hint) = match playing.0 {
            Some(_) => ("Stop", "Holds the timeline here"),
            None => ("Play", "Shows one step after another"),
        };
        if ui.button(name).on_hover_text(hint).clicked() {
            playing.0 = playing.0.is_none().then(|| ui.input(|i| i.time));
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 78.0).max(40.0);
        let slider = Slider::new(&mut at, 0..=last).show_value(false);
        if ui.name_inputs("Timeline", |ui| ui.add(slider)).changed() {
            (session.scrub, playing.0) = (stops.get(at).copied(), None);
        }
        let step = stops.get(at).copied().unwrap_or(0);
        ui.add(Label::new(small(format!("step {}", format::count(step))).weak()).truncate());
    });
}

/// Draws what can be done with the held step.
fn actions_ui(state: &mut State, ui: &mut Ui) {
    let blocked = state.unheld();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        ui.spacing_mut().button_padding.x = 5.0;
        let session = state.session_mut();
        let held = session.scrub.filter(|_| session.attempt(Arm::Method).is_some());
        let is_held = held.is_some() && session.against == held;
        let button = Button::new(small("Against")).selected(is_held);
        let hint = "Shows this step in the pane Before, so that another is held against it; once more: the unchanged \
                    model again";
        if button_ui(ui, button, hint, held.is_none().then_some("No run is shown")) {
            session.against = held.filter(|_| !is_held);
        }
        let hint = "Forget goes on from this step, with what is set then: method, density, rate, updates. The optimiser \
                    begins afresh";
        if button_ui(ui, Button::new(small("Branch")), hint, blocked) {
            state.branch();
        }
        let hint = "Takes this step for a run of its own: measured, judged, in the list of runs";
        if button_ui(ui, Button::new(small("Measure")), hint, blocked) {
            state.measure_step();
        }
        let hint = "Makes this step the model, so that another request can follow; Undo goes back, every bit";
        if button_ui(ui, Button::new(small("Keep")), hint, blocked) {
            state.keep_step();
        }
    });
}

/// Says what the request goes on from, and offers to begin with the unchanged model.
pub fn branch_ui(state: &mut State, ui: &mut Ui) {
    let Some(branch) = state.session().recipe().and_then(|recipe| recipe.branch) else { return };
    let text = format!("Goes on from {}", said(&branch));
    let mut stops = false;
    let hint = "Begins with the unchanged model again";
    let button = |ui: &mut Ui| stops = ui.button("Leave").on_hover_text(hint).clicked();
    line_ui(ui, button, |ui| drop(ui.add(Label::new(&text).truncate()).on_hover_text(&text)));
    if stops {
        state.stop_branching();
    }
}

/// A run that another goes on from: "step 12 of SalUn".
pub fn said(branch: &Recipe) -> String {
    let name = format::method(&branch.method);
    match branch.until {
        Some(until) => format!("step {} of {name}", format::count(until)),
        None => format!("the end of {name}"),
    }
}
