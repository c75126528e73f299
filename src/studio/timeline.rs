//! The bottom: progress, the loss curve with its scrubber, the verdicts.

use egui::{Align, Button, Layout, ProgressBar, RichText, ScrollArea, Slider, Ui, vec2};
use egui_plot::{Corner, Legend, Line, LineStyle, Plot, VLine};

use super::{
    app::Studio,
    session::{Arm, Session},
    state::{Kind, State, Work},
    theme, verdict, words,
};
use crate::unlearn::registry::METHODS;

/// Draws the panel.
pub fn timeline_ui(studio: &mut Studio, ui: &mut Ui) {
    status_ui(&mut studio.state, ui);
    ui.add_space(2.0);
    let height = ui.available_height();
    ui.horizontal_top(|ui| {
        let whole = ui.available_width();
        ui.allocate_ui(vec2(whole * 0.4, height), |ui| {
            ui.vertical(|ui| curve_ui(studio.state.session_mut(), ui));
        });
        ScrollArea::vertical().id_salt("verdicts").auto_shrink(false).show(ui, |ui| {
            let session = studio.state.session();
            ui.columns(2, |columns| {
                for (arm, ui) in Arm::BOTH.into_iter().zip(columns) {
                    // Not justified, as columns would have it.
                    ui.vertical(|ui| verdict::card_ui(session, arm, ui));
                }
            });
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
            METHODS.iter().find(|m| m.name == name).map_or(name.as_str(), |m| m.title)
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
            if ui.add_enabled(busy, Button::new(name)).clicked() {
                state.toggle_pause();
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| match &state.work {
                Some(work) => progress_ui(state, work, ui),
                None => drop(ui.weak(state.ended)),
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
    };
    let (phase, share, left) = match &work.progress {
        Some(p) => {
            let share = p.done as f32 / p.total.max(1) as f32;
            (p.phase.as_str(), share, p.seconds_left.map(words::left).unwrap_or_default())
        }
        None => ("Starting", 0.0, String::new()),
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
    let width = (ui.available_width() - 90.0).max(60.0);
    let bar = ProgressBar::new(share.clamp(0.0, 1.0)).desired_width(width).desired_height(10.0);
    ui.add(bar.fill(theme::palette(ui).accent));
    ui.weak(left);
}

fn curve_ui(session: &mut Session, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let line = |arm: Arm| {
        let losses = session.attempt(arm)?.losses.clone();
        let line = Line::new(arm_name(session, arm).to_owned(), losses).width(1.5);
        Some(match arm {
            Arm::Method => line.color(palette.accent_text),
            Arm::Control => line.color(palette.caution).style(LineStyle::dashed_loose()),
        })
    };
    let lines: Vec<Line> = Arm::BOTH.into_iter().filter_map(line).collect();
    let steps = session.attempts.iter().flatten().map(|a| a.steps).max().unwrap_or(0);
    let held = session.scrub.map(|s| VLine::new("shown step", s as f64).color(palette.strong));
    let scrubs = session.stops().len() > 1;
    let below = if scrubs { 34.0 } else { 0.0 };
    let mut plot = Plot::new("loss")
        .height((ui.available_height() - below).max(60.0))
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .grid_color(palette.border)
        .y_axis_min_width(28.0)
        .include_x(0.0)
        .include_x(steps.max(1) as f64)
        .include_y(0.0);
    if lines.is_empty() {
        plot = plot.include_y(1.0).show_axes(false).show_grid(false);
    } else {
        let legend = Legend::default().position(Corner::RightTop).background_alpha(0.6);
        plot = plot.legend(legend.text_style(egui::TextStyle::Small));
    }
    let empty = lines.is_empty();
    let drawn = plot.show(ui, |plot| {
        for line in lines {
            plot.line(line);
        }
        if let Some(held) = held {
            plot.vline(held.allow_hover(false));
        }
    });
    if empty {
        let text = "The loss appears here while the model forgets";
        let font = egui::TextStyle::Body.resolve(ui.style());
        let at = drawn.response.rect.center();
        ui.painter().text(at, egui::Align2::CENTER_CENTER, text, font, palette.weak);
    }
    if scrubs {
        scrub_ui(session, ui);
    }
}

fn scrub_ui(session: &mut Session, ui: &mut Ui) {
    let stops = session.stops();
    let last = stops.len().saturating_sub(1);
    let mut at = session.scrub.map_or(last, |s| stops.partition_point(|stop| *stop < s).min(last));
    ui.horizontal(|ui| {
        ui.set_max_height(26.0);
        let live = ui.add(Button::new("Live").selected(session.scrub.is_none()));
        if live.on_hover_text("Follow the training").clicked() {
            session.scrub = None;
        }
        ui.spacing_mut().slider_width = (ui.available_width() - 78.0).max(60.0);
        let slider = Slider::new(&mut at, 0..=last).show_value(false);
        let moved = ui.name_inputs("Timeline", |ui| ui.add(slider)).changed();
        if moved {
            session.scrub = stops.get(at).copied();
        }
        let step = stops.get(at).copied().unwrap_or(0);
        ui.label(RichText::new(format!("step {}", words::count(step))).small().weak());
    });
}
