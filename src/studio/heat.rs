//! One layer as a picture, a weight a pixel.

use std::sync::Arc;

use egui::{
    Align, ColorImage, Context, Layout, Rect, RichText, ScrollArea, Sense, Slider, Stroke,
    StrokeKind, TextureHandle, TextureOptions, Ui, Vec2, pos2, vec2,
};

use super::{salient::Saliency, theme};
use crate::{
    models::weights::WeightEntry,
    saliency::{picture, ranking::Ranking},
};

/// Points a weight, at the most.
const CLOSEST: f32 = 24.0;

/// The open layer and its texture.
#[derive(Default)]
pub struct HeatMap {
    pub layer: Option<usize>,
    /// Points a weight; chosen by the layer's size where absent.
    zoom: Option<f32>,
    /// What the strips were made from: scores, revision of the mask, layer.
    made_from: Option<(Arc<Ranking>, u64, usize)>,
    /// Side by side, none wider than a texture may be.
    strips: Vec<TextureHandle>,
    /// Weights across and down.
    size: [usize; 2],
}

impl HeatMap {
    /// Opens a layer, or closes it if it is open.
    pub fn toggle(&mut self, layer: usize) {
        self.layer = if self.layer == Some(layer) { None } else { Some(layer) };
        self.zoom = None;
    }

    /// Paints anew if the scores, the mask or the layer changed.
    fn refresh(&mut self, ctx: &Context, saliency: &Saliency, layer: usize) {
        let fresh = self.made_from.as_ref().is_some_and(|(ranking, revision, made)| {
            Arc::ptr_eq(ranking, &saliency.ranking)
                && *revision == saliency.revision
                && *made == layer
        });
        if fresh {
            return;
        }
        let heat = picture::heat(&saliency.ranking, layer, saliency.mask.threshold);
        let image = ColorImage::from_rgba_unmultiplied([heat.width, heat.height], &heat.rgba);
        let widest = ctx.input(|i| i.max_texture_side);
        self.strips = (0..heat.width)
            .step_by(widest)
            .map(|x| {
                let width = widest.min(heat.width - x);
                let rows = image.pixels.chunks(heat.width).take(widest);
                let pixels = rows.flat_map(|row| &row[x..x + width]).copied().collect::<Vec<_>>();
                let strip = ColorImage::new([width, pixels.len() / width], pixels);
                ctx.load_texture("heat map", strip, TextureOptions::NEAREST)
            })
            .collect();
        self.size = [heat.width, heat.height.min(widest)];
        self.made_from = Some((saliency.ranking.clone(), saliency.revision, layer));
    }
}

/// Draws the open layer.
pub fn heat_ui(heat: &mut HeatMap, saliency: &Saliency, ui: &mut Ui) {
    let Some(layer) = heat.layer.filter(|l| *l < saliency.layers.len()) else { return };
    heat.refresh(ui.ctx(), saliency, layer);
    let entry = &saliency.ranking.layout.params[layer];
    let size = vec2(heat.size[0] as f32, heat.size[1] as f32);
    let fitting = (ui.available_width() - 8.0) / size.x;
    let mut zoom = heat.zoom.unwrap_or(fitting.clamp(1.0, 12.0));

    line_ui(ui, RichText::new(&entry.name).strong(), |ui| {
        if ui.button("Close").clicked() {
            heat.layer = None;
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
        response.on_hover_ui_at_pointer(|ui| weight_ui(saliency, entry, index, ui));
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
    for strip in &heat.strips {
        let size = strip.size_vec2() * zoom;
        let place = Rect::from_min_size(pos2(left, rect.top()), size);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(strip.id(), place, whole, egui::Color32::WHITE);
        left += size.x;
    }
}

/// Where a weight is, its score, and whether it may change.
fn weight_ui(saliency: &Saliency, entry: &WeightEntry, index: usize, ui: &mut Ui) {
    ui.label(RichText::new(place(&entry.shape, index)).strong());
    let at = entry.offset + index;
    ui.label(format!("|gradient| {:.3e}", saliency.ranking.scores[at]));
    ui.label(if saliency.mask.bits[at] == 1 { "Free" } else { "Frozen" });
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
