//! The curves of the bottom: the loss, the accuracies at a glance, or the forget map in small.

use egui_plot::{Line, LineStyle, VLine};

use super::attempt::{FORGET, Glance, RETAIN};
use super::chart::note;
use super::prelude::*;
use super::views::map;
use super::{arm_name, key_ui, scrubber};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Curve {
    #[default]
    Loss,
    Accuracy,
    Map,
}

/// A curve as it is drawn and named.
struct Drawn {
    name: String,
    /// What stands beside the tabs, where a piece of another line does not say it.
    key: Option<String>,
    points: Vec<[f64; 2]>,
    color: Color32,
    dashed: bool,
}

/// Heights of what lies below the curve, without and with a held step, in points, as it was drawn last.
struct Below([f32; 2]);

impl Default for Below {
    fn default() -> Self {
        Self([34.0, 84.0])
    }
}

/// Draws the choice and what was chosen.
pub fn curves_ui(studio: &mut Studio, ui: &mut Ui) {
    let Studio { own, state, .. } = studio;
    let (chosen, session) = (own.of::<Curve>(), state.session());
    let drawn = drawn(session, *chosen, theme::palette(ui));
    let height = std::mem::replace(&mut ui.spacing_mut().interact_size.y, 18.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0, 1.0);
        ui.spacing_mut().button_padding.y = 1.0;
        let tabs = [
            (Curve::Loss, "Loss", LOSS),
            (Curve::Accuracy, "UA, RA, TA", GLANCE),
            (Curve::Map, "Map", "The forget map of all finished runs"),
        ];
        tabs_ui(ui, chosen, tabs);
        // Not in the plot, where it would lie over the end of the curves.
        let named = drawn.iter().filter_map(|curve| Some((curve, curve.key.as_deref()?)));
        named.for_each(|(curve, key)| name_ui(curve, key, ui));
    });
    ui.spacing_mut().interact_size.y = height;
    if *chosen == Curve::Map {
        let size = ui.available_size();
        if let Some(number) = map::chart_ui(session, ui, size) {
            state.recall(number);
        }
        return;
    }
    let (chosen, held) = (*chosen, usize::from(session.scrub.is_some()));
    let below = own.of::<Below>().0[held];
    if session.stops().len() < 2 {
        return plot_ui(session, chosen, drawn, 0.0, ui);
    }
    plot_ui(session, chosen, drawn, below, ui);
    let shown = ui.scope(|ui| scrubber::scrubber_ui(studio, ui)).response.rect.height();
    studio.own.of::<Below>().0[held] = shown + ui.spacing().item_spacing.y;
}

/// What the loss is.
const LOSS: &str = "Of every update: what is to be forgotten and what is to be kept, where a method tells them \
                    apart";
/// What the accuracies are while a model trains.
const GLANCE: &str = "A glance at the shown tiles, before, while it trains and after: UA of those \
                      of the forget set, and RA and TA, which are one here, of the others";

/// A curve's name after a piece of its line.
fn name_ui(curve: &Drawn, key: &str, ui: &mut Ui) {
    ui.add_space(6.0);
    key_ui(ui, key, |painter, at| {
        let (half, stroke) = (vec2(8.0, 0.0), Stroke::new(1.5, curve.color));
        let ends = [at - half, at + half];
        if curve.dashed {
            painter.extend(Shape::dashed_line(&ends, stroke, 4.0, 2.5));
        } else {
            painter.line_segment(ends, stroke);
        }
    });
}

/// What is drawn of both runs.
fn drawn(session: &TaskState, curve: Curve, palette: &Palette) -> Vec<Drawn> {
    let forgotten = session.forgotten();
    let mut all = Vec::new();
    for arm in Arm::BOTH {
        let Some(attempt) = session.attempt(arm) else { continue };
        let color = palette.of(arm.pane());
        let mut add = |what: &str, color, points: Vec<[f64; 2]>| {
            let (whose, dashed) = (arm_name(session, arm), arm == Arm::Control);
            let name = format!("{whose}{what}");
            // Dashes say whose it is, and colours of which part.
            let key = match (arm, what) {
                (Arm::Method, RETAIN) => Some(what.trim().into()),
                (Arm::Control, FORGET) => Some(whose.into()),
                (Arm::Control, RETAIN) => None,
                _ => Some(name.clone()),
            };
            all.push(Drawn { name, key, points, color, dashed });
        };
        match curve {
            Curve::Loss => {
                for (what, points) in attempt.curves() {
                    let color = if what == RETAIN { palette.good } else { color };
                    add(what, color, points.to_vec());
                }
            }
            Curve::Accuracy if attempt.steps > 0 => {
                let look = |(step, grid): &(usize, Arc<Grid>)| Glance::of(*step, grid, &forgotten);
                let looks: Vec<Glance> = attempt.snapshots.iter().map(look).collect();
                let shares = |of: fn(&Glance) -> Option<f64>| -> Vec<[f64; 2]> {
                    looks.iter().filter_map(|look| Some([look.step as f64, of(look)?])).collect()
                };
                add(" UA", color, shares(|look| look.gone));
                add(" RA and TA", palette.good, shares(|look| look.kept));
            }
            _ => {}
        }
    }
    // Pictures that show nothing of the forget set, or nothing else, have no such accuracy.
    all.retain(|drawn| curve == Curve::Loss || !drawn.points.is_empty());
    all
}

/// Draws a curve, with room below it.
fn plot_ui(session: &TaskState, curve: Curve, drawn: Vec<Drawn>, below: f32, ui: &mut Ui) {
    let palette = theme::palette(ui);
    let steps = session.attempts.iter().flatten().map(|a| a.steps).max().unwrap_or(0);
    let held = session.scrub.map(|s| VLine::new("shown step", s as f64).color(palette.strong));
    let mut plot = still_plot("curve")
        .height((ui.available_height() - below).max(60.0))
        .grid_color(palette.border)
        .y_axis_min_width(28.0)
        .include_x(0.0)
        .include_x(steps.max(1) as f64)
        .include_y(0.0);
    let empty = drawn.is_empty();
    if empty {
        plot = plot.include_y(1.0).show_axes(false).show_grid(false);
    } else if curve == Curve::Accuracy {
        plot = plot.include_y(100.0);
    }
    let shown = plot.show(ui, |plot| {
        for Drawn { name, points, color, dashed, .. } in drawn {
            let style = if dashed { LineStyle::dashed_loose() } else { LineStyle::Solid };
            plot.line(Line::new(name, points).width(1.5).color(color).style(style));
        }
        if let Some(held) = held {
            plot.vline(held.allow_hover(false));
        }
    });
    if empty {
        let text = match curve {
            Curve::Loss => "The loss appears here while the model forgets",
            _ => "UA, RA and TA appear here with every look at the pictures",
        };
        note(ui.painter(), shown.response.rect, text, ui);
    }
}
