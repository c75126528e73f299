//! One layer as a picture, a weight a pixel: its saliency, or how far a run moved it.

use std::any::Any;

use super::Saliency;
use super::prelude::*;
use super::saliency_panel::short;
use super::strips::Strips;
use crate::models::WeightEntry;
use crate::saliency::picture;

/// Points a weight, at the most.
const CLOSEST: f32 = 24.0;

/// What a map is painted from.
struct Source<'a> {
    /// What a value is.
    name: &'static str,
    /// Of all N weights.
    values: &'a [f32],
    /// Whether a weight, by its position among all N, may change.
    free: &'a dyn Fn(usize) -> bool,
    /// Present where the values are its scores.
    saliency: Option<&'a Saliency>,
    note: Painted,
}

/// What a map was painted from: the scores and the revision of the mask, or the run.
type Painted = (Arc<dyn Any>, u64);

/// The open layer and its texture.
#[derive(Default)]
pub struct HeatMap {
    pub layer: Option<usize>,
    /// Whether the list of layers has biases and norms, too.
    pub lists_small: bool,
    /// Whether the list is to be scrolled to the layer.
    pub reveals: bool,
    /// The model that the layer is one of.
    model: String,
    /// Whether the change is asked for, and not the saliency.
    change: bool,
    /// Points a weight, where a person chose; else the map fills its place.
    zoom: Option<f32>,
    /// What the strips show, of which layer.
    painted: Option<(Painted, usize)>,
    pub strips: Strips,
    /// Weights across and down.
    size: [usize; 2],
}

impl HeatMap {
    /// Closes the open layer if it is another model's.
    pub fn of(&mut self, model: &str) {
        if self.model != model {
            self.model = model.into();
            self.layer = None;
        }
    }

    /// Opens a layer, or closes it if it is open.
    pub fn toggle(&mut self, layer: usize) {
        self.layer = if self.layer == Some(layer) { None } else { Some(layer) };
        self.zoom = None;
    }

    /// Opens a layer that was picked elsewhere than in the list.
    pub fn open(&mut self, layer: usize) {
        (self.layer, self.zoom, self.reveals) = (Some(layer), None, true);
    }

    /// Paints anew if the source or the layer changed.
    fn refresh(&mut self, ctx: &Context, source: &Source, entry: &WeightEntry, layer: usize) {
        let (of, revision) = &source.note;
        let same = |((from, at), shown): &(Painted, usize)| {
            Arc::ptr_eq(from, of) && at == revision && *shown == layer
        };
        if self.painted.as_ref().is_some_and(same) {
            return;
        }
        let side = ctx.input(|i| i.max_texture_side);
        self.size = picture::size(entry);
        self.size[1] = self.size[1].min(side);
        let scored = source.saliency;
        // The engine of a page computes on a device of its own.
        #[cfg(target_arch = "wasm32")]
        let painted = false;
        #[cfg(not(target_arch = "wasm32"))]
        let painted = scored.is_some_and(|s| self.strips.paint(self.size, side, s, layer));
        if !painted {
            let values = source.values;
            let most = || values[entry.range()].iter().copied().fold(0.0, f32::max);
            let largest = scored.map_or_else(most, |s| s.ranking.live.largest(layer));
            let heat = picture::heat(entry, values, largest, source.free);
            self.strips.copy(ctx, self.size, side, &heat.rgba);
        }
        self.painted = Some((source.note.clone(), layer));
    }
}

/// Draws the open layer: its saliency, or its change in a finished run.
pub fn heat_ui(heat: &mut HeatMap, saliency: &Saliency, run: Option<&Arc<Run>>, ui: &mut Ui) {
    let Some(layer) = heat.layer.filter(|l| *l < saliency.layers.len()) else { return };
    let run_frees = |run: &Run, at| run.mask.as_ref().is_none_or(|mask| mask.bits.get(at));
    let source = match run.filter(|run| heat.change && !run.change.values.is_empty()) {
        Some(run) => Source {
            name: "|change|",
            values: &run.change.values,
            free: &move |at| run_frees(run, at),
            saliency: None,
            note: (Arc::<Run>::clone(run), 0),
        },
        None => Source {
            name: "score",
            values: &saliency.ranking.scores,
            free: &|at| saliency.free(at),
            saliency: Some(saliency),
            note: (saliency.ranking.clone(), saliency.revision),
        },
    };
    let entry = &saliency.ranking.layout.params[layer];
    heat.refresh(ui.ctx(), &source, entry, layer);
    let size = vec2(heat.size[0] as f32, heat.size[1] as f32);

    title_ui(heat, &entry.name, ui);
    if run.is_some() {
        ui.horizontal(|ui| {
            let moved = "How far the run moved every weight; frozen ones did not move";
            tabs_ui(ui, &mut heat.change, [(false, "Saliency", ""), (true, "Change", moved)]);
        });
    }
    let shape: Vec<String> = entry.shape.iter().map(usize::to_string).collect();
    let text = format!("{}, grey is frozen", shape.join("×"));
    let place = ui.available_size() - vec2(0.0, ui.spacing().interact_size.y);
    let fitting = fill(size, place);
    let mut zoom = heat.zoom.unwrap_or(fitting);
    let slider_ui = |ui: &mut Ui| {
        ui.spacing_mut().slider_width = 72.0;
        let slider = Slider::new(&mut zoom, 1.0..=CLOSEST).logarithmic(true).show_value(false);
        ui.name_inputs("Zoom", |ui| ui.add(slider).on_hover_text("Zoom (Ctrl and the wheel)"));
        ui.label(small("Zoom").weak());
    };
    line_ui(ui, slider_ui, |ui| drop(ui.add(Label::new(small(text).weak()).truncate())));

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
    // As long as nobody chose, it follows the panel's size.
    if heat.zoom.is_some() || zoom != fitting {
        heat.zoom = Some(zoom.clamp(1.0, CLOSEST));
    }
}

/// Points a weight where a map of so many weights fills its place, across or down, whichever is
/// more: the rest can be scrolled to.
fn fill(size: Vec2, place: Vec2) -> f32 {
    // Room for the other bar.
    let ratio = (place - Vec2::splat(10.0)) / size;
    ratio.max_elem().clamp(1.0, CLOSEST)
}

/// The layer's name, whole where the panel is wide enough, and the way out.
fn title_ui(heat: &mut HeatMap, name: &str, ui: &mut Ui) {
    let close = |ui: &mut Ui| {
        if ui.button("Close").clicked() {
            heat.layer = None;
        }
    };
    line_ui(ui, close, |ui| {
        let font = TextStyle::Body.resolve(ui.style());
        let color = ui.visuals().text_color();
        let galley = |text: &str| ui.painter().layout_no_wrap(text.into(), font.clone(), color);
        let text = short(name, ui.available_width(), |name| galley(name).size().x);
        ui.add(Label::new(RichText::new(text).strong()).truncate()).on_hover_text(name);
    });
}

fn paint(heat: &HeatMap, ui: &Ui, rect: Rect, zoom: f32) {
    let mut left = rect.left();
    for (id, size) in heat.strips.all() {
        let place = Rect::from_min_size(pos2(left, rect.top()), size * zoom);
        let whole = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
        ui.painter().image(id, place, whole, Color32::WHITE);
        left += place.width();
    }
}

/// Where a weight is, its value, and whether it may change.
fn weight_ui(source: &Source, entry: &WeightEntry, index: usize, ui: &mut Ui) {
    ui.label(RichText::new(place(&entry.shape, index)).strong());
    let at = entry.offset + index;
    ui.label(format!("{} {:.3e}", source.name, source.values[at]));
    ui.label(if (source.free)(at) { "Free" } else { "Frozen" });
}

/// The index along each axis of a weight: "out 3, in 1, ky 0, kx 2".
pub fn place(shape: &[usize], index: usize) -> String {
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
    fn a_map_fills_its_place_across_or_down() {
        let place = vec2(270.0, 150.0);
        for size in [[48, 48], [432, 48], [36, 4], [1152, 128], [64, 1], [10, 64]] {
            let size = vec2(size[0] as f32, size[1] as f32);
            let zoom = fill(size, place);
            let drawn = size * zoom;
            let full = drawn.x >= place.x - 11.0 || drawn.y >= place.y - 11.0;
            assert!((1.0..=CLOSEST).contains(&zoom) && full, "{size}: {drawn}");
        }
    }

    #[test]
    fn a_weight_is_named_by_its_axes() {
        assert_eq!(place(&[16, 3, 3, 3], 0), "out 0, in 0, ky 0, kx 0");
        assert_eq!(place(&[16, 3, 3, 3], 27 + 9 + 3 + 2), "out 1, in 1, ky 1, kx 2");
        assert_eq!(place(&[10, 64], 65), "out 1, in 1");
        assert_eq!(place(&[64], 5), "out 5");
    }
}
