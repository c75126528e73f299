//! One layer as a picture, a weight a pixel: its saliency, or how far a run moved it.

use std::sync::Arc;

use egui::{
    Align, Context, Layout, Rect, RichText, ScrollArea, Sense, Slider, Stroke, StrokeKind, Ui,
    Vec2, pos2, vec2,
};

use super::{salient::Saliency, strips::Strips, theme};
use crate::{
    engine::job::Run,
    models::weights::WeightEntry,
    saliency::{picture, ranking::Ranking},
};

/// Points a weight, at the most.
const CLOSEST: f32 = 24.0;

/// What a map is painted from.
enum Source<'a> {
    Saliency(&'a Saliency),
    Change(&'a Arc<Run>),
}

/// What a map was painted from: the scores and the revision of the mask, or the run.
#[derive(Debug)]
enum Painted {
    Saliency(Arc<Ranking>, u64),
    Change(Arc<Run>),
}

/// The open layer and its texture.
#[derive(Default)]
pub struct HeatMap {
    pub layer: Option<usize>,
    /// Whether the change is asked for, and not the saliency.
    change: bool,
    /// Points a weight; chosen by the layer's size where absent.
    zoom: Option<f32>,
    /// What the strips show, of which layer.
    painted: Option<(Painted, usize)>,
    pub strips: Strips,
    /// Weights across and down.
    size: [usize; 2],
}

impl HeatMap {
    /// Opens a layer, or closes it if it is open.
    pub fn toggle(&mut self, layer: usize) {
        self.layer = if self.layer == Some(layer) { None } else { Some(layer) };
        self.zoom = None;
    }

    /// Paints anew if the source or the layer changed.
    fn refresh(&mut self, ctx: &Context, source: &Source, entry: &WeightEntry, layer: usize) {
        let painted = self.painted.as_ref().filter(|(_, of)| *of == layer);
        if painted.is_some_and(|(painted, _)| source.gave(painted)) {
            return;
        }
        let side = ctx.input(|i| i.max_texture_side);
        self.size = picture::size(entry);
        self.size[1] = self.size[1].min(side);
        let there = match source {
            Source::Saliency(saliency) => self.strips.paint(self.size, side, saliency, layer),
            Source::Change(_) => false,
        };
        if !there {
            let (values, largest) = (source.values(), source.largest(layer, entry));
            let heat = picture::heat(entry, values, largest, |at| source.free(at));
            self.strips.copy(ctx, self.size, side, &heat.rgba);
        }
        self.painted = Some((source.note(), layer));
    }
}

impl Source<'_> {
    /// Of all N weights.
    fn values(&self) -> &[f32] {
        match self {
            Self::Saliency(s) => &s.ranking.scores,
            Self::Change(run) => &run.change.values,
        }
    }

    /// The largest value of a layer, nearly.
    fn largest(&self, layer: usize, entry: &WeightEntry) -> f32 {
        match self {
            Self::Saliency(s) => s.ranking.live.largest(layer),
            Self::Change(run) => {
                run.change.values[entry.range()].iter().copied().fold(0.0, f32::max)
            }
        }
    }

    /// Whether a weight, by its position among all N, may change.
    fn free(&self, at: usize) -> bool {
        match self {
            Self::Saliency(s) => s.free(at),
            Self::Change(run) => run.mask.as_ref().is_none_or(|mask| mask.bits[at] == 1),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Saliency(_) => "score",
            Self::Change(_) => "|change|",
        }
    }

    fn note(&self) -> Painted {
        match self {
            Self::Saliency(s) => Painted::Saliency(s.ranking.clone(), s.revision),
            Self::Change(run) => Painted::Change(Arc::clone(run)),
        }
    }

    fn gave(&self, painted: &Painted) -> bool {
        match (self, painted) {
            (Self::Saliency(s), Painted::Saliency(ranking, revision)) => {
                Arc::ptr_eq(&s.ranking, ranking) && s.revision == *revision
            }
            (Self::Change(run), Painted::Change(painted)) => Arc::ptr_eq(run, painted),
            _ => false,
        }
    }
}

/// Draws the open layer: its saliency, or its change in a finished run.
pub fn heat_ui(heat: &mut HeatMap, saliency: &Saliency, run: Option<&Arc<Run>>, ui: &mut Ui) {
    let Some(layer) = heat.layer.filter(|l| *l < saliency.layers.len()) else { return };
    let source = match run.filter(|_| heat.change) {
        Some(run) => Source::Change(run),
        None => Source::Saliency(saliency),
    };
    let entry = &saliency.ranking.layout.params[layer];
    heat.refresh(ui.ctx(), &source, entry, layer);
    let size = vec2(heat.size[0] as f32, heat.size[1] as f32);
    let fitting = (ui.available_width() - 8.0) / size.x;
    let mut zoom = heat.zoom.unwrap_or(fitting.clamp(1.0, 12.0));

    line_ui(ui, RichText::new(&entry.name).strong(), |ui| {
        if ui.button("Close").clicked() {
            heat.layer = None;
        }
        if run.is_some() {
            ui.selectable_value(&mut heat.change, true, "Change")
                .on_hover_text("How far the run moved every weight; frozen ones did not move");
            ui.selectable_value(&mut heat.change, false, "Saliency");
        }
    });
    let shape: Vec<String> = entry.shape.iter().map(usize::to_string).collect();
    let text = format!("{}, grey is frozen", shape.join("×"));
    line_ui(ui, RichText::new(text).small().weak(), |ui| {
        ui.spacing_mut().slider_width = 72.0;
        let slider = Slider::new(&mut zoom, 1.0..=CLOSEST).logarithmic(true).show_value(false);
        ui.name_inputs("Zoom", |ui| ui.add(slider).on_hover_text("Zoom (Ctrl and the wheel)"));
    });

    ScrollArea::both().id_salt(layer).auto_shrink(false).show(ui, |ui| {
        let (rect, response) = ui.allocate_exact_size(size * zoom, Sense::hover());
        paint(heat, ui, rect, zoom);
        let Some(at) = response.hover_pos() else { return };
        zoom *= ui.input(|i| i.zoom_delta());
        let place = ((at - rect.min) / zoom).min(size - Vec2::splat(1.0)).max(Vec2::ZERO);
        let (column, row) = (place.x as usize, place.y as usize);
        let corner = rect.min + vec2(column as f32, row as f32) * zoom;
        let outline = Rect::from_min_size(corner, Vec2::splat(zoom)).expand(1.0);
        let stroke = Stroke::new(1.5, theme::palette(ui).strong);
        ui.painter().rect_stroke(outline, 0.0, stroke, StrokeKind::Outside);
        let index = row * heat.size[0] + column;
        response.on_hover_ui_at_pointer(|ui| weight_ui(&source, entry, index, ui));
    });
    heat.zoom = Some(zoom.clamp(1.0, CLOSEST));
}

/// Text on the left, cut where it meets the control on the right.
fn line_ui(ui: &mut Ui, text: RichText, control: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            control(ui);
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(egui::Label::new(text).truncate());
            });
        });
    });
}

fn paint(heat: &HeatMap, ui: &Ui, rect: Rect, zoom: f32) {
    let mut left = rect.left();
    for (id, size) in heat.strips.all() {
        let place = Rect::from_min_size(pos2(left, rect.top()), size * zoom);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(id, place, whole, egui::Color32::WHITE);
        left += place.width();
    }
}

/// Where a weight is, its value, and whether it may change.
fn weight_ui(source: &Source, entry: &WeightEntry, index: usize, ui: &mut Ui) {
    ui.label(RichText::new(place(&entry.shape, index)).strong());
    let at = entry.offset + index;
    ui.label(format!("{} {:.3e}", source.name(), source.values()[at]));
    ui.label(if source.free(at) { "Free" } else { "Frozen" });
}

/// The index along each axis of a weight: "out 3, in 1, ky 0, kx 2".
fn place(shape: &[usize], index: usize) -> String {
    const AXES: [&str; 4] = ["out", "in", "ky", "kx"];
    let mut rest = index;
    let mut parts: Vec<String> = shape
        .iter()
        .enumerate()
        .rev()
        .map(|(axis, extent)| {
            let at = rest % extent;
            rest /= extent;
            format!("{} {at}", AXES.get(axis).unwrap_or(&"axis"))
        })
        .collect();
    parts.reverse();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_named_by_its_axes() {
        assert_eq!(place(&[16, 3, 3, 3], 0), "out 0, in 0, ky 0, kx 0");
        assert_eq!(place(&[16, 3, 3, 3], 27 + 9 + 3 + 2), "out 1, in 1, ky 1, kx 2");
        assert_eq!(place(&[10, 64], 65), "out 1, in 1");
        assert_eq!(place(&[64], 5), "out 5");
    }
}
