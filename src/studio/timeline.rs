//! The bottom: the loss curve with its scrubber, the verdicts; and below them the line of what is being done.

use egui::ProgressBar;

use super::prelude::*;
use super::state::Way;
use super::{Spot, Whose, commands, curves, verdict};
use crate::job_context::Progress;
use crate::words::Piece;

/// Below this width, in points, curves and verdicts stand in a column; height of the curves there.
const NARROW: f32 = 560.0;
const CURVES: f32 = 200.0;
/// The least width of a card that has another one beside it, in points: its table is not cut.
const CARD: f32 = 225.0;
/// Widths of the status line's parts, in points: the label at the most, the bar at the least, the
/// time.
const LABEL: f32 = 280.0;
const BAR: f32 = 60.0;
const LEFT: f32 = 190.0;

/// Draws the panel.
pub fn timeline_ui(studio: &mut Studio, ui: &mut Ui) {
    if ui.available_width() < NARROW {
        return column_ui(studio, ui);
    }
    let height = ui.available_height();
    ui.horizontal_top(|ui| {
        let whole = ui.available_width();
        if !studio.state.hides(Piece::Timeline) {
            ui.allocate_ui(vec2(whole * 0.36, height), |ui| {
                ui.vertical(|ui| curves::curves_ui(studio, ui));
            });
        }
        if studio.state.hides(Piece::Verdict) {
            return;
        }
        let cards = ui.available_rect_before_wrap();
        Spot::Verdict.mark(ui.ctx(), cards);
        ScrollArea::vertical().id_salt("verdicts").auto_shrink(false).show(ui, |ui| {
            // The area goes on in its parent's direction.
            ui.vertical(|ui| {
                Spot::Verdict.formula_ui(ui);
                verdict::winner_ui(studio.state.session(), ui);
                cards_ui(&mut studio.state, ui);
            });
        });
    });
}

/// Draws the same in a column: what came of it first.
fn column_ui(studio: &mut Studio, ui: &mut Ui) {
    Spot::Verdict.mark(ui.ctx(), ui.available_rect_before_wrap());
    ScrollArea::vertical().id_salt("timeline").auto_shrink(false).show(ui, |ui| {
        if !studio.state.hides(Piece::Verdict) {
            Spot::Verdict.formula_ui(ui);
            verdict::winner_ui(studio.state.session(), ui);
            cards_ui(&mut studio.state, ui);
        }
        if studio.state.hides(Piece::Timeline) {
            return;
        }
        ui.add_space(8.0);
        let size = vec2(ui.available_width(), CURVES);
        ui.allocate_ui(size, |ui| {
            ui.set_min_height(size.y);
            ui.vertical(|ui| curves::curves_ui(studio, ui));
        });
    });
}

/// Draws both runs' cards, side by side where there is room.
pub fn cards_ui(state: &mut State, ui: &mut Ui) {
    let arms = if state.hides(Piece::Control) { &Arm::BOTH[..1] } else { &Arm::BOTH };
    if ui.available_width() < 2.0 * CARD {
        return arms.iter().for_each(|arm| verdict::run_ui(state, *arm, ui));
    }
    ui.columns(arms.len(), |columns| {
        for (arm, ui) in arms.iter().copied().zip(columns) {
            // Not justified, as columns would have it.
            ui.vertical(|ui| verdict::run_ui(state, arm, ui));
        }
    });
}

/// The name of a run.
pub fn arm_name(session: &TaskState, arm: Arm) -> &str {
    match arm {
        Arm::Control => "Random mask",
        Arm::Method => {
            // The one that runs or ran, whatever is picked by now.
            let name = session.attempt(arm).map_or(&session.request.method, |a| &a.recipe.method);
            format::method(name)
        }
    }
}

/// Draws what is being done and how far it is, or how it ended.
pub fn status_ui(studio: &mut Studio, ui: &mut Ui) {
    let paused = studio.state.work.as_ref().is_some_and(|w| w.paused);
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            commands::CANCEL.ui(studio, ui);
            let pause = Button::new(if paused { "Continue" } else { commands::PAUSE.name });
            commands::PAUSE.button_ui(pause, studio, ui);
            if paused {
                commands::STEP.ui(studio, ui);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| doing_ui(&studio.state, ui));
        });
    });
}

/// Draws what is being done, or how the last work ended.
pub fn doing_ui(state: &State, ui: &mut Ui) {
    match &state.work {
        Some(work) => progress_ui(state, work, ui),
        None => drop(ui.weak(&state.ended)),
    }
}

fn progress_ui(state: &State, work: &RunningJob, ui: &mut Ui) {
    let text = match (work.cancelling, work.paused) {
        (true, _) => "Cancelling…".to_string(),
        (_, true) => format!("{}, paused", doing(state, work)),
        _ => doing(state, work),
    };
    let elapsed = format::elapsed(work.started.elapsed().as_secs_f64());
    let (progress, way) = (work.progress.as_ref(), work.way(state.eager()));
    let part = progress.map_or(0.0, |p| p.done as f32 / p.total.max(1) as f32);
    let share = way.map_or(part, |way| way.share as f32);
    let left = match (&way, progress.and_then(|p| p.seconds_left)) {
        _ if work.paused => None,
        (Some(Way { seconds_left, verdict, .. }), _) => {
            let to = if verdict.is_some() { " to the verdict" } else { "" };
            seconds_left.map(|seconds| format!("{}{to}", format::left(seconds)))
        }
        // Other parts may follow, and how long they take is not known.
        (None, seconds) => seconds.map(|s| format!("{} in this part", format::left(s))),
    };
    let left = left.map_or(elapsed.clone(), |left| format!("{elapsed}, {left}"));
    let room = ui.available_width();
    let wide = room > BAR + LEFT + 160.0;
    let label = if wide { (room - BAR - LEFT).min(LABEL) } else { room * 0.55 };
    ui.allocate_ui(vec2(label, ui.available_height()), |ui| {
        ui.set_min_width(label);
        ui.add(Label::new(text).truncate());
    });
    if wide {
        let width = ui.available_width() - LEFT;
        let bar = ProgressBar::new(share.clamp(0.0, 1.0)).desired_width(width).desired_height(10.0);
        let bar = ui.add(bar.fill(theme::palette(ui).accent)).rect;
        if let Some(verdict) = way.and_then(|way| way.verdict) {
            let x = egui::lerp(bar.x_range(), verdict as f32);
            ui.painter().vline(x, bar.y_range(), Stroke::new(2.0, theme::palette(ui).strong));
        }
    }
    ui.add(Label::new(RichText::new(left).weak()).truncate());
}

/// What is done now: "Random mask, step 12 of 150", "Comparing masks: Scoring weights".
fn doing(state: &State, work: &RunningJob) -> String {
    let whose = match work.kind {
        JobKind::Unlearn(arm) => arm_name(state.session(), arm),
        JobKind::Race(at) => state.session().race.lanes.get(at).map_or("", |lane| &lane.name),
        kind => kind.told()[0],
    };
    let whose = if state.eager() { format!("{whose}, then forgetting") } else { whose.into() };
    let Some(Progress { phase, done, total, .. }) = &work.progress else {
        return format!("{whose}: Starting");
    };
    let (part, warming) = match phase.split_once(": ") {
        Some((part, warming)) => (part, format!(", {warming}")),
        None => (&**phase, String::new()),
    };
    match work.kind {
        kind if kind.makes().is_some_and(|whose| trains(state.session(), whose, part)) => {
            let [done, total] = [*done, *total].map(format::count);
            format!("{whose}, step {done} of {total}{warming}")
        }
        _ if part.starts_with(&whose) => format!("{part}{warming}"),
        _ => format!("{whose}: {part}{warming}"),
    }
}

/// Whether a part of a run is its updates, which go by the method's name.
fn trains(session: &TaskState, whose: Whose, part: &str) -> bool {
    let method = session.shown(whose).map(|a| format::method(&a.recipe.method));
    method.is_some_and(|name| part.strip_prefix("Forgetting with ").unwrap_or(part) == name)
}
