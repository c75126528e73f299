//! The bottom: progress, the loss curve with its scrubber, the verdicts.

use egui::{Align, Button, Layout, ProgressBar, ScrollArea, Ui, vec2};

use super::{
    app::Studio,
    curves,
    session::{Arm, Session},
    state::{Kind, State, Work},
    theme,
    tour::Spot,
    verdict, words,
};

/// Draws the panel.
pub fn timeline_ui(studio: &mut Studio, ui: &mut Ui) {
    status_ui(&mut studio.state, ui);
    ui.add_space(2.0);
    let height = ui.available_height();
    ui.horizontal_top(|ui| {
        let whole = ui.available_width();
        ui.allocate_ui(vec2(whole * 0.4, height), |ui| {
            ui.vertical(|ui| curves::curves_ui(studio, ui));
        });
        let cards = ui.available_rect_before_wrap();
        studio.tour.mark(Spot::Verdict, cards);
        ScrollArea::vertical().id_salt("verdicts").auto_shrink(false).show(ui, |ui| {
            let (session, free) = (studio.state.session(), !studio.state.held());
            let mut keep = false;
            ui.columns(2, |columns| {
                for (arm, ui) in Arm::BOTH.into_iter().zip(columns) {
                    // Not justified, as columns would have it.
                    keep |= ui.vertical(|ui| verdict::card_ui(session, arm, free, ui)).inner;
                }
            });
            if keep {
                studio.state.adopt();
            }
        });
    });
}

/// The name of a run.
pub fn arm_name(session: &Session, arm: Arm) -> &str {
    match arm {
        Arm::Control => "Random mask",
        Arm::Method => {
            // The one that runs or ran, whatever is picked by now.
            let name = session.attempt(arm).map_or(&session.request.method, |a| &a.method);
            words::method(name)
        }
    }
}

fn status_ui(state: &mut State, ui: &mut Ui) {
    ui.horizontal(|ui| {
        let paused = state.work.as_ref().is_some_and(|w| w.paused);
        let busy = state.work.as_ref().is_some_and(|w| !w.cancelling);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add_enabled(busy, Button::new("Cancel")).clicked() {
                state.cancel();
            }
            let name = if paused { "Continue" } else { "Pause" };
            let hint = "Holds the work, or goes on (Space)";
            if ui.add_enabled(busy, Button::new(name)).on_hover_text(hint).clicked() {
                state.toggle_pause();
            }
            if paused
                && ui
                    .add_enabled(busy, Button::new("Step"))
                    .on_hover_text("One update (.)")
                    .clicked()
            {
                state.step();
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| match &state.work {
                Some(work) => progress_ui(state, work, ui),
                None => drop(ui.weak(&state.ended)),
            });
        });
    });
}

fn progress_ui(state: &State, work: &Work, ui: &mut Ui) {
    let whose = match work.kind {
        Kind::Open(_) | Kind::Import => "Opening",
        Kind::Rank { then_forget: false } => "Saliency",
        Kind::Rank { then_forget: true } => "Saliency, then forgetting",
        Kind::Unlearn(arm) => arm_name(state.session(), arm),
        Kind::Browse => "Pictures",
        Kind::Adopt => "Taking up the result",
        Kind::Overlap => "Comparing masks",
        Kind::Audit(_) => "Audit",
        Kind::Attack(_, kind) => kind.title(),
    };
    let elapsed = words::elapsed(work.elapsed());
    let (phase, share, left) = match &work.progress {
        Some(p) => {
            let share = p.done as f32 / p.total.max(1) as f32;
            let left = p.seconds_left.map(|s| format!("{elapsed}, {}", words::left(s)));
            (p.phase.as_str(), share, left.unwrap_or(elapsed))
        }
        None => ("Starting", 0.0, elapsed),
    };
    let text = match (work.cancelling, work.paused) {
        (true, _) => "Cancelling…".to_string(),
        (_, true) => format!("{whose}: paused"),
        _ if phase.starts_with(whose) => phase.to_string(),
        _ => format!("{whose}: {phase}"),
    };
    ui.allocate_ui(vec2(190.0, ui.available_height()), |ui| {
        ui.set_min_width(190.0);
        ui.add(egui::Label::new(text).truncate());
    });
    let width = (ui.available_width() - 130.0).max(40.0);
    let bar = ProgressBar::new(share.clamp(0.0, 1.0)).desired_width(width).desired_height(10.0);
    ui.add(bar.fill(theme::palette(ui).accent));
    ui.weak(left);
}
