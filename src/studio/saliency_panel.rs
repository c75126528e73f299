//! The right panel: histogram with the threshold on it, a bar for every layer, the open layer.

use egui::CursorIcon;
use egui_plot::{Bar, BarChart, VLine, uniform_grid_spacer};

use super::heat::HeatMap;
use super::prelude::*;
use super::salient_record::recorded_ui;
use super::{Saliency, Spot, heat};
use crate::models::latent::is_cross_attention;
use crate::saliency::Histogram;

/// Height of a layer's row, in points.
const ROW: f32 = 32.0;
/// Characters of a layer's name that do not fit beside its counts.
const LONG: usize = 36;

/// Draws the panel.
pub fn saliency_ui(studio: &mut Studio, ui: &mut Ui) {
    Spot::Saliency.mark(ui.ctx(), ui.max_rect());
    ui.heading("Saliency");
    let Studio { own, state, .. } = studio;
    let session = state.session();
    let Some(saliency) = &session.saliency else {
        return match &session.record {
            Some(record) => recorded_ui(record, ui),
            None => empty_ui(state, ui),
        };
    };
    let (k, n) = (saliency.k, saliency.ranking.scores.len());
    let run = session.run(Arm::Method);
    let model = session.opened.as_ref().map_or("", |o| o.model());
    let heat = own.of::<HeatMap>();
    heat.of(model);
    ui.label(format!("{} of {} weights free", format::count(k), format::count(n)));
    if !saliency.whole {
        let first = format::count(saliency.ranking.n_forget);
        ui.weak(format!("A first guess, from {first} pictures"));
    }
    cross_attention_ui(saliency, ui);
    let dragged = histogram_ui(saliency, state.waits(), ui);
    Spot::Saliency.formula_ui(ui);
    ui.checkbox(&mut heat.lists_small, "Show biases and norms");

    if heat.layer.is_some() {
        Panel::bottom("heat map")
            .frame(Frame::NONE)
            .resizable(true)
            .default_size(250.0)
            .size_range(140.0..=ui.available_height() * 0.7)
            .show(ui, |ui| {
                ui.add_space(6.0);
                heat::heat_ui(heat, saliency, run, ui);
            });
    }
    legend_ui(run.is_some(), ui);
    ui.push_id(model, |ui| layers_ui(session, saliency, heat, ui));
    if let Some(density) = dragged {
        state.set_density(density);
    }
}

fn empty_ui(state: &State, ui: &mut Ui) {
    ui.weak(match state.working() {
        Some(JobKind::Rank) => "Scoring every weight by its gradient…",
        _ if state.session().opened.is_none() => "Opening the model…",
        _ => tasks::of(state.task).pick[1],
    });
}

/// Says how much of the layers that read the prompt is free, where there are such layers.
fn cross_attention_ui(saliency: &Saliency, ui: &mut Ui) {
    let reads = saliency.layers.iter().filter(|l| is_cross_attention(&l.name));
    let [kept, n] = reads.fold([0, 0], |[kept, n], l| [kept + l.kept, n + l.n]);
    if n == 0 {
        return;
    }
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(8.0, 14.0), Sense::hover());
        mark(ui.painter(), rect.center(), theme::palette(ui));
        let share = format::percent(kept as f64 / n as f64);
        ui.label(small(format!("Cross-attention: {share} free")))
            .on_hover_text("The layers that read the prompt; each is marked like this in the list");
    });
}

/// The mark of a layer that reads the prompt.
fn mark(painter: &Painter, at: Pos2, palette: &Palette) {
    let points = [vec2(0.0, -4.0), vec2(4.0, 0.0), vec2(0.0, 4.0), vec2(-4.0, 0.0)];
    let points = points.map(|corner| at + corner).to_vec();
    painter.add(Shape::convex_polygon(points, palette.caution, Stroke::NONE));
}

/// What is drawn in a layer's row.
fn legend_ui(changed: bool, ui: &mut Ui) {
    let palette = theme::palette(ui);
    ui.horizontal(|ui| {
        ui.label(small("Free").color(palette.accent_text));
        let (rect, _) = ui.allocate_exact_size(vec2(2.0, 10.0), Sense::hover());
        let stroke = Stroke::new(1.0, palette.strong);
        ui.painter().vline(rect.center().x, rect.y_range(), stroke);
        ui.add_space(-4.0);
        ui.label(small("all layers").color(palette.weak))
            .on_hover_text("The density: a bar that reaches further is a more salient layer");
        if changed {
            ui.label(small("Mean change").color(palette.caution));
        }
    });
}

/// The bars of a histogram of scores, those at and above a threshold in the colour of what may change, and its line.
pub fn bars(scores: &Histogram, threshold: f64, palette: &Palette) -> (BarChart, VLine) {
    let cut = threshold.log10().clamp(scores.start, scores.end());
    let bars = scores.counts.iter().enumerate().map(|(i, count)| {
        let middle = scores.start + (i as f64 + 0.5) * scores.step;
        let color = if middle >= cut { palette.accent_text } else { palette.weak };
        Bar::new(middle, *count as f64).width(scores.step * 0.9).fill(color).stroke(Stroke::NONE)
    });
    let chart = BarChart::new("weights", bars.collect()).allow_hover(false);
    (chart, VLine::new("threshold", cut).color(palette.strong).width(2.0).allow_hover(false))
}

/// Draws the histogram and returns the density where the threshold was dragged to. `waits`: why that
/// cannot be done now, where a run in progress has its density.
fn histogram_ui(saliency: &Saliency, waits: Option<&str>, ui: &mut Ui) -> Option<f64> {
    let histogram = &saliency.histogram;
    let (chart, line) = bars(histogram, saliency.threshold.into(), theme::palette(ui));
    let drawn = still_plot("histogram")
        .height(112.0)
        .allow_double_click_reset(false)
        .show_axes([true, false])
        .show_grid(false)
        .show_x(false)
        .show_y(false)
        .show_crosshair(false)
        .label_formatter(|_| None)
        .x_grid_spacer(uniform_grid_spacer(|_| [8.0, 4.0, 4.0]))
        .x_axis_formatter(|mark, _| format!("{:.0}", mark.value))
        .include_x(histogram.start)
        // Room for the last label.
        .include_x(histogram.end() + 0.5)
        .include_y(0.0)
        .show(ui, |plot| {
            plot.bar_chart(chart);
            plot.vline(line);
            plot.pointer_coordinate().map(|p| p.x)
        });
    ui.label(small("log10 of the score of each weight").weak());
    let (cursor, then) = match waits {
        Some(why) => (CursorIcon::NotAllowed, why),
        None => (CursorIcon::ResizeHorizontal, "Drag the threshold to set the density"),
    };
    let response = drawn.response.on_hover_cursor(cursor);
    let moved = waits.is_none() && (response.dragged() || response.clicked());
    let below = format::count(histogram.below);
    let about = saliency.ranking.estimator.about();
    response.on_hover_text(format!(
        "The score of every weight, {about}; {below} are zero or nearly. {then}"
    ));
    let at = drawn.inner.filter(|_| moved)?;
    Some(saliency.ranking.live.density_at(10f64.powf(at) as f32))
}

fn layers_ui(session: &TaskState, saliency: &Saliency, heat: &mut HeatMap, ui: &mut Ui) {
    let revealed = heat.layer.filter(|_| std::mem::take(&mut heat.reveals));
    // What has one axis is listed where it was picked.
    heat.lists_small |=
        revealed.is_some_and(|i| saliency.layers.get(i).is_some_and(|l| l.shape.len() < 2));
    let listed: Vec<usize> = (0..saliency.layers.len())
        .filter(|&i| heat.lists_small || saliency.layers[i].shape.len() > 1)
        .collect();
    ui.spacing_mut().item_spacing.y = 2.0;
    let mut area = ScrollArea::vertical().auto_shrink(false);
    if let Some(at) = revealed.and_then(|layer| listed.iter().position(|l| *l == layer)) {
        let row = ROW + ui.spacing().item_spacing.y;
        area = area.vertical_scroll_offset(((at as f32 - 1.0) * row).max(0.0));
    }
    area.show_rows(ui, ROW, listed.len(), |ui, rows| {
        for &layer in &listed[rows] {
            let open = heat.layer == Some(layer);
            if layer_ui(session, saliency, layer, open, ui) {
                heat.toggle(layer);
            }
        }
    });
}

/// Draws the row of a layer, which may be the open one; whether it was clicked.
fn layer_ui(session: &TaskState, saliency: &Saliency, at: usize, open: bool, ui: &mut Ui) -> bool {
    let layer = &saliency.layers[at];
    // How far its weights moved on average in a run, and the largest such mean of any layer.
    let change = session.run(Arm::Method).map(|run| &run.change);
    let moved = change.map(|change| [change.layers[at], change.most()]);
    let size = vec2(ui.available_width(), ROW);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let kept = format!("{} of {}", format::count(layer.kept), format::count(layer.n));
    let reads_prompt = is_cross_attention(&layer.name);
    response.widget_info(|| {
        let reads = if reads_prompt { ", cross-attention" } else { "" };
        let label = format!("{}{reads}, {kept} weights free", layer.name);
        WidgetInfo::selected(Role::Button, ui.is_enabled(), open, label)
    });
    if !ui.is_rect_visible(rect) {
        return response.clicked();
    }
    let palette = theme::palette(ui);
    let fill = match (open, response.hovered()) {
        (true, _) => ui.visuals().selection.bg_fill,
        (_, true) => ui.visuals().widgets.hovered.bg_fill,
        _ => palette.card,
    };
    let ring = if response.has_focus() { palette.accent_text } else { palette.border };
    let painter = ui.painter();
    painter.rect(rect, 4.0, fill, Stroke::new(1.0, ring), StrokeKind::Inside);

    let font = TextStyle::Small.resolve(ui.style());
    let inner = rect.shrink2(vec2(8.0, 4.0));
    let share = layer.kept as f32 / layer.n.max(1) as f32;
    let free = format::percent(f64::from(share));
    // Long names need the room of the counts.
    let brief = saliency.layers.iter().any(|l| l.name.len() > LONG);
    let shown = if brief { free.clone() } else { kept.clone() };
    let count = painter.layout_no_wrap(shown, font.clone(), palette.weak);
    let left = if reads_prompt { 12.0 } else { 0.0 };
    let room = inner.width() - count.size().x - 8.0 - left;
    if reads_prompt {
        mark(painter, inner.left_top() + vec2(4.0, count.size().y / 2.0), palette);
    }
    painter.galley(pos2(inner.right() - count.size().x, inner.top()), count, palette.weak);
    let text = ui.visuals().text_color();
    let name = short(&layer.name, room, |name| {
        painter.layout_no_wrap(name.into(), FontId::clone(&font), text).size().x
    });
    let name = painter.layout_no_wrap(name, font, text);
    painter.galley(inner.left_top() + vec2(left, 0.0), name, text);

    let bar = inner.with_min_y(inner.bottom() - 5.0);
    painter.rect_filled(bar, 2.0, palette.border);
    let filled = bar.with_max_x(bar.left() + bar.width() * share);
    painter.rect_filled(filled, 2.0, palette.accent_text);
    let tick = bar.left() + bar.width() * session.request.density as f32;
    painter.vline(tick, bar.expand(1.5).y_range(), Stroke::new(1.0, palette.strong));

    if let Some([mean, most]) = moved {
        let line = inner.with_min_y(inner.bottom() + 1.0).with_max_y(inner.bottom() + 3.0);
        let filled = line.with_max_x(line.left() + line.width() * mean / most);
        painter.rect_filled(filled, 1.0, palette.caution);
    }

    let clicked = response.clicked();
    response.on_hover_ui(|ui| {
        ui.label(RichText::new(&layer.name).strong());
        if reads_prompt {
            ui.label("Cross-attention: it reads the prompt");
        }
        ui.label(format!("{kept} weights are free, {free}"));
        if let Some([mean, _]) = moved {
            ui.label(format!("A weight moved by {mean:.2e} on average"));
        }
        ui.weak("Click for the heat map");
    });
    clicked
}

/// A layer's name in little room: the words of diffusers' names cut short, and where that does not
/// do, without its middle. Its block and its end tell it apart.
pub fn short(name: &str, room: f32, width: impl Fn(&str) -> f32) -> String {
    const WORDS: [(&str, &str); 7] = [
        ("transformer_blocks", "tr"),
        ("_blocks", ""),
        ("_block", ""),
        ("attentions", "attn"),
        ("resnets", "res"),
        ("samplers", ""),
        ("time_emb", "time"),
    ];
    let name = name.strip_suffix(".weight").unwrap_or(name);
    if width(name) <= room {
        return name.into();
    }
    let name = WORDS.iter().fold(name.to_string(), |name, (long, short)| name.replace(long, short));
    let parts: Vec<&str> = name.split('.').collect();
    let without = |cut: usize| {
        let tail = (parts.len() - cut) / 2;
        let head = parts.len() - cut - tail;
        format!("{}…{}", parts[..head].join("."), parts[parts.len() - tail..].join("."))
    };
    let cuts = 1..parts.len().saturating_sub(1);
    let last = cuts.clone().next_back().map_or(name.clone(), without);
    let mut shorter = std::iter::once(name.clone()).chain(cuts.map(without));
    shorter.find(|name| width(name) <= room).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_its_block_and_its_end() {
        let width = |s: &str| s.chars().count() as f32;
        assert_eq!(short("conv1.weight", 20.0, width), "conv1");
        assert_eq!(short("fc.bias", 20.0, width), "fc.bias");
        let name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight";
        assert_eq!(short(name, 80.0, width), name.trim_end_matches(".weight"));
        assert_eq!(short(name, 30.0, width), "down.1.attn.0.tr.0.attn2.to_k");
        assert_eq!(short(name, 25.0, width), "down.1.attn…0.attn2.to_k");
        assert_eq!(short(name, 18.0, width), "down.1…attn2.to_k");
        assert_eq!(short(name, 3.0, width), "down…to_k");
        assert_eq!(short("classifier", 3.0, width), "classifier");
    }
}
