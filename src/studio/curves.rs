//! The curves of the bottom: the loss, the accuracies at a glance, or the forget map in small.

use egui::{Button, RichText, Slider, Ui};
use egui_plot::{Corner, Legend, Line, LineStyle, Plot, VLine};

use super::{
    app::Studio,
    session::{Arm, Session},
    theme::{self, Palette},
    timeline::arm_name,
    views, words,
};
use crate::run::report::Metrics;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Curve {
    #[default]
    Loss,
    Accuracy,
    Map,
}

/// Draws the choice and what was chosen.
pub fn curves_ui(studio: &mut Studio, ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().interact_size.y = 20.0;
        ui.spacing_mut().button_padding.y = 1.0;
        for (curve, name, hint) in [
            (Curve::Loss, "Loss", "Of every update"),
            (Curve::Accuracy, "UA and RA", "At a glance while it trains, over the shown tiles"),
            (Curve::Map, "Map", "The forget map of all finished runs"),
        ] {
            ui.selectable_value(&mut studio.curve, curve, name).on_hover_text(hint);
        }
    });
    if studio.curve == Curve::Map {
        let size = ui.available_size();
        if let Some(number) = views::map_chart_ui(studio.state.session(), ui, size) {
            studio.state.recall(number);
        }
        return;
    }
    let session = studio.state.session();
    let palette = theme::palette(ui);
    let lines = match studio.curve {
        Curve::Loss => losses(session, palette),
        _ => accuracies(session, palette),
    };
    plot_ui(session, studio.curve, lines, ui);
    if session.stops().len() > 1 {
        scrub_ui(studio.state.session_mut(), ui);
    }
}

fn losses<'a>(session: &Session, palette: &Palette) -> Vec<Line<'a>> {
    let line = |arm: Arm| {
        let losses = session.attempt(arm)?.losses.clone();
        Some(styled(Line::new(arm_name(session, arm).to_owned(), losses), arm, palette))
    };
    Arm::BOTH.into_iter().filter_map(line).collect()
}

fn accuracies<'a>(session: &Session, palette: &Palette) -> Vec<Line<'a>> {
    type Value = fn(&Metrics) -> f64;
    let values: [(&str, Value); 2] = [("UA", |m| m.UA), ("RA", |m| m.RA)];
    let line = |arm: Arm, name: &str, value: Value| {
        let glances = &session.attempt(arm).filter(|a| !a.glances.is_empty())?.glances;
        let points: Vec<[f64; 2]> = glances.iter().map(|(s, m)| [*s as f64, value(m)]).collect();
        let line = Line::new(format!("{} {name}", arm_name(session, arm)), points);
        let line = styled(line, arm, palette);
        Some(if name == "RA" { line.color(palette.good) } else { line })
    };
    let each = Arm::BOTH.into_iter().flat_map(|arm| values.map(|(name, value)| (arm, name, value)));
    each.filter_map(|(arm, name, value)| line(arm, name, value)).collect()
}

fn styled<'a>(line: Line<'a>, arm: Arm, palette: &Palette) -> Line<'a> {
    match arm {
        Arm::Method => line.width(1.5).color(palette.accent_text),
        Arm::Control => line.width(1.5).color(palette.caution).style(LineStyle::dashed_loose()),
    }
}

fn plot_ui(session: &Session, curve: Curve, lines: Vec<Line>, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let steps = session.attempts.iter().flatten().map(|a| a.steps).max().unwrap_or(0);
    let held = session.scrub.map(|s| VLine::new("shown step", s as f64).color(palette.strong));
    let below = if session.stops().len() > 1 { 34.0 } else { 0.0 };
    let mut plot = Plot::new("curve")
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
    let empty = lines.is_empty();
    if empty {
        plot = plot.include_y(1.0).show_axes(false).show_grid(false);
    } else {
        let legend = Legend::default().position(Corner::RightTop).background_alpha(0.6);
        plot = plot.legend(legend.text_style(egui::TextStyle::Small));
        if curve == Curve::Accuracy {
            plot = plot.include_y(100.0);
        }
    }
    let drawn = plot.show(ui, |plot| {
        for line in lines {
            plot.line(line);
        }
        if let Some(held) = held {
            plot.vline(held.allow_hover(false));
        }
    });
    if empty {
        let text = match curve {
            Curve::Loss => "The loss appears here while the model forgets",
            _ => "UA and RA appear here with every look at the pictures",
        };
        let font = egui::TextStyle::Body.resolve(ui.style());
        let at = drawn.response.rect.center();
        ui.painter().text(at, egui::Align2::CENTER_CENTER, text, font, palette.weak);
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
