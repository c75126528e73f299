//! The filters of a layer as small pictures of their kernels, and one of them weight by weight.

use std::{collections::HashMap, sync::Weak};

use egui::{ColorImage, Image, TextureHandle, TextureOptions};

use crate::engine::LayerWeights;
use crate::models::WeightEntry;
use crate::saliency::picture::Mosaic;
use crate::saliency::{Scores, picture};
use crate::studio::Saliency;
use crate::studio::heat::place;
use crate::studio::prelude::*;

/// Side of a filter's picture, and of its place, in points.
const TILE: f32 = 58.0;
const CELL: f32 = TILE + 8.0;
/// Points a weight of an open filter, at the most.
const CLOSEST: f32 = 32.0;
/// Pictures that are kept: more than fit a window of 3840 x 2160 points.
const KEPT: usize = 2000;

/// What is shown of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum What {
    #[default]
    Before,
    After,
    Score,
    Change,
}

/// The layer whose filters are drawn.
pub struct Open<'a> {
    pub param: usize,
    pub entry: &'a WeightEntry,
    /// Its scores and the mask, once something is picked.
    pub saliency: Option<&'a Saliency>,
    /// Its weights before, where they are known.
    pub weights: Option<&'a Arc<LayerWeights>>,
    pub run: Option<&'a Arc<Run>>,
}

/// What pictures were painted from: the layer, what of it, the mask, the weights, the run. What it was is not
/// held on to, but nothing else comes to be in its place.
struct Painted {
    param: usize,
    what: What,
    revision: u64,
    scores: Weak<Scores>,
    weights: Weak<LayerWeights>,
    run: Weak<Run>,
}

impl Painted {
    fn of(open: &Open, what: What) -> Self {
        Self {
            param: open.param,
            what,
            revision: open.saliency.map_or(0, |saliency| saliency.revision),
            scores: open.saliency.map_or_else(Weak::new, |s| Arc::downgrade(&s.ranking)),
            weights: open.weights.map_or_else(Weak::new, Arc::downgrade),
            run: open.run.map_or_else(Weak::new, Arc::downgrade),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (self.param, self.what, self.revision) == (other.param, other.what, other.revision)
            && self.scores.ptr_eq(&other.scores)
            && self.weights.ptr_eq(&other.weights)
            && self.run.ptr_eq(&other.run)
    }
}

/// How filters are drawn.
#[derive(Default)]
pub struct Filters {
    what: What,
    /// The filter that is open.
    filter: Option<usize>,
    by_saliency: bool,
    shown: Option<Shown>,
    tiles: HashMap<usize, TextureHandle>,
}

/// What the pictures show.
struct Shown {
    of: Painted,
    /// Of all the layer's weights.
    values: Vec<f32>,
    largest: f32,
    /// Of each filter, the share of its weights in the mask.
    shares: Vec<f32>,
}

impl Open<'_> {
    /// What is shown of each of the layer's weights, and the largest of them.
    fn values(&self, what: What) -> Option<(Vec<f32>, f32)> {
        let range = self.entry.range();
        let values = match what {
            What::Before => self.weights?.values.clone(),
            What::After => self.after()?.to_vec(),
            What::Score => self.saliency?.ranking.scores[range].to_vec(),
            What::Change => self.run?.change.values.get(range)?.to_vec(),
        };
        let most = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        // Before and after in one scale.
        let largest = match what {
            What::Before | What::After => {
                let before = self.weights.map(|weights| &weights.values[..]);
                let other = if what == What::Before { self.after() } else { before };
                most(&values).max(other.map_or(0.0, most))
            }
            _ => most(&values),
        };
        Some((values, largest))
    }

    /// Its weights after the run, if the layer still has as many.
    fn after(&self) -> Option<&[f32]> {
        let weights = self.run?.model.weights();
        let entry = &weights.layout.params[weights.layout.find(&self.entry.name)?];
        (entry.shape == self.entry.shape).then(|| &weights.values[entry.range()])
    }

    /// Whether a weight, by its place in the layer, may change.
    fn free(&self, weight: usize) -> bool {
        self.saliency.is_none_or(|saliency| saliency.free(self.entry.offset + weight))
    }

    /// The share of a filter's weights in the mask.
    fn share(&self, filter: usize, n: usize) -> f32 {
        let free = (filter * n..(filter + 1) * n).filter(|&weight| self.free(weight)).count();
        free as f32 / n.max(1) as f32
    }
}

impl Filters {
    /// Draws the filters, or the open one; whether what is asked for is known.
    pub fn ui(&mut self, open: &Open, ui: &mut Ui) -> bool {
        let mosaic = Mosaic::of(open.entry);
        if self.shown.as_ref().is_some_and(|shown| shown.of.param != open.param) {
            self.filter = None;
        }
        self.bar_ui(open, &mosaic, ui);
        self.renew(open, &mosaic);
        let Some(shown) = self.shown.take() else { return false };
        let paint = Paint { open, mosaic, what: self.what, shown: &shown };
        match self.filter.filter(|filter| *filter < mosaic.filters) {
            Some(filter) => self.one_ui(&paint, filter, ui),
            None => self.all_ui(&paint, ui),
        }
        self.shown = Some(shown);
        true
    }

    fn bar_ui(&mut self, open: &Open, mosaic: &Mosaic, ui: &mut Ui) {
        let ran = open.run.is_some();
        let scored = open.saliency.is_some();
        let there = match self.what {
            What::Before => true,
            What::After | What::Change => ran,
            What::Score => scored,
        };
        if !there {
            self.what = What::Before;
        }
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            let all = [
                (What::Before, "Weights", "Blue below 0, orange above; frozen ones are grey", true),
                (What::After, "After", "The weights after the run", ran),
                (What::Score, "Scores", "How salient each weight is", scored),
                (What::Change, "Change", "How far the run moved each weight", ran),
            ];
            let all = all.into_iter().filter(|(.., there)| *there);
            tabs_ui(ui, &mut self.what, all.map(|(what, name, hint, _)| (what, name, hint)));
            ui.add_space(8.0);
            match self.filter {
                Some(filter) if mosaic.filters > 1 => {
                    if ui.button("All filters").clicked() {
                        self.filter = None;
                    }
                    ui.label(format!("Filter {filter} of {}", format::count(mosaic.filters)));
                }
                None if mosaic.filters > 1 && scored => {
                    let hint = "Those with most weights in the mask come first";
                    ui.checkbox(&mut self.by_saliency, "Salient first").on_hover_text(hint);
                }
                _ => {}
            }
        });
        if mosaic.filters == 1 {
            self.filter = Some(0);
        }
    }

    /// Lets go of pictures of something else, and finds what the new ones show.
    fn renew(&mut self, open: &Open, mosaic: &Mosaic) {
        let now = Painted::of(open, self.what);
        if self.tiles.len() > KEPT {
            self.tiles.clear();
        }
        if self.shown.as_ref().is_none_or(|shown| !shown.of.is(&now)) {
            self.tiles.clear();
            self.shown = open.values(self.what).map(|(values, largest)| {
                let shares = (0..mosaic.filters).map(|filter| open.share(filter, mosaic.n));
                Shown { of: now, values, largest, shares: shares.collect() }
            });
        }
    }

    fn tile(&mut self, paint: &Paint, filter: usize, ui: &Ui) -> TextureHandle {
        let load = || {
            let heat = paint.filter(filter);
            let image = ColorImage::from_rgba_unmultiplied([heat.width, heat.height], &heat.rgba);
            ui.ctx().load_texture("filter", image, TextureOptions::NEAREST)
        };
        self.tiles.entry(filter).or_insert_with(load).clone()
    }

    fn all_ui(&mut self, paint: &Paint, ui: &mut Ui) {
        let Paint { open, mosaic, shown, .. } = paint;
        let mut order: Vec<usize> = (0..mosaic.filters).collect();
        if self.by_saliency {
            order.sort_by(|a, b| shown.shares[*b].total_cmp(&shown.shares[*a]));
        }
        let columns = ((ui.available_width() - 8.0) / CELL).floor().max(1.0) as usize;
        ui.spacing_mut().item_spacing = Vec2::splat(0.0);
        let area = ScrollArea::vertical().id_salt(("filters", open.param)).auto_shrink(false);
        area.show_rows(ui, CELL + 6.0, order.len().div_ceil(columns), |ui, rows| {
            for row in rows {
                ui.horizontal(|ui| {
                    for &filter in order.iter().skip(row * columns).take(columns) {
                        self.tile_ui(paint, filter, ui);
                    }
                });
            }
        });
    }

    fn tile_ui(&mut self, paint: &Paint, filter: usize, ui: &mut Ui) {
        let Paint { open, mosaic, shown, .. } = paint;
        let (rect, response) = ui.allocate_exact_size(vec2(CELL, CELL + 6.0), Sense::click());
        let share = shown.shares[filter];
        let told = told(open, filter, mosaic.n, share);
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &told));
        if ui.is_rect_visible(rect) {
            let palette = theme::palette(ui);
            let frame = Rect::from_min_size(rect.min + Vec2::splat(2.0), Vec2::splat(TILE + 4.0));
            let ring = match response.hovered() || response.has_focus() {
                true => Stroke::new(2.0, palette.accent_text),
                false => Stroke::new(1.0, palette.border),
            };
            ui.painter().rect(frame, 3.0, Color32::from_gray(10), ring, StrokeKind::Inside);
            let [width, height] = mosaic.size().map(|side| side as f32);
            let scale = TILE / width.max(height);
            let place = Rect::from_center_size(frame.center(), vec2(width, height) * scale);
            let tile = self.tile(paint, filter, ui);
            Image::from_texture((tile.id(), place.size())).paint_at(ui, place);
            let bar =
                Rect::from_min_size(frame.left_bottom() + vec2(0.0, 2.0), vec2(frame.width(), 3.0));
            ui.painter().rect_filled(bar, 1.0, palette.border);
            let filled = bar.with_max_x(bar.left() + bar.width() * share);
            ui.painter().rect_filled(filled, 1.0, palette.accent_text);
        }
        if response.clicked() {
            self.filter = Some(filter);
        }
        response.on_hover_text(told);
    }

    /// Draws one filter, weight by weight.
    fn one_ui(&mut self, paint: &Paint, filter: usize, ui: &mut Ui) {
        let Paint { open, mosaic, .. } = paint;
        let tile = self.tile(paint, filter, ui);
        let [width, height] = mosaic.size().map(|side| side as f32);
        let room = ui.available_size() - Vec2::splat(12.0);
        let scale = (room / vec2(width, height)).min_elem().clamp(4.0, CLOSEST);
        let area = ScrollArea::both().id_salt(("filter", open.param, filter)).auto_shrink(false);
        area.show(ui, |ui| {
            let size = vec2(width, height) * scale;
            let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
            let told = told(open, filter, mosaic.n, paint.shown.shares[filter]);
            response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &told));
            ui.painter().rect_filled(rect, 0.0, Color32::from_gray(10));
            Image::from_texture((tile.id(), size)).paint_at(ui, rect);
            let Some(at) = response.hover_pos() else { return };
            let at = ((at - rect.min) / scale).max(Vec2::ZERO);
            let Some(weight) = mosaic.weight([at.x as usize, at.y as usize]) else { return };
            let [x, y] = mosaic.place(weight).map(|v| v as f32);
            let outline = Rect::from_min_size(rect.min + vec2(x, y) * scale, Vec2::splat(scale));
            let stroke = Stroke::new(1.5, theme::palette(ui).strong);
            ui.painter().rect_stroke(outline.expand(1.0), 0.0, stroke, StrokeKind::Outside);
            response.on_hover_ui_at_pointer(|ui| weight_ui(open, filter * mosaic.n + weight, ui));
        });
    }
}

/// A filter in words.
fn told(open: &Open, filter: usize, n: usize, share: f32) -> String {
    match open.saliency {
        Some(_) => {
            let free = format::percent(f64::from(share));
            format!("Filter {filter}: {free} of its {n} weights in the mask")
        }
        None => format!("Filter {filter}: {n} weights"),
    }
}

/// Where a weight is, what it was, what became of it, and whether it may change.
fn weight_ui(open: &Open, weight: usize, ui: &mut Ui) {
    let at = open.entry.offset + weight;
    ui.label(RichText::new(place(&open.entry.shape, weight)).strong());
    if let Some(weights) = open.weights {
        ui.label(format!("weight {:.4}", weights.values[weight]));
    }
    if let Some(after) = open.after() {
        ui.label(format!("after {:.4}", after[weight]));
    }
    if let Some(saliency) = open.saliency {
        ui.label(format!("score {:.3e}", saliency.ranking.scores[at]));
    }
    if let Some(change) = open.run.and_then(|run| run.change.values.get(at)) {
        ui.label(format!("|change| {change:.3e}"));
    }
    if open.saliency.is_some() {
        ui.label(if open.free(weight) { "In the mask: free" } else { "Not in the mask: frozen" });
    }
}

/// How the filters of a layer are painted.
struct Paint<'a> {
    open: &'a Open<'a>,
    mosaic: Mosaic,
    what: What,
    shown: &'a Shown,
}

impl Paint<'_> {
    fn filter(&self, filter: usize) -> picture::Heat {
        let first = filter * self.mosaic.n;
        self.mosaic.paint(|weight| {
            let (v, free) = (self.shown.values[first + weight], self.open.free(first + weight));
            match self.what {
                What::Before | What::After => picture::signed(v, self.shown.largest, free),
                What::Score | What::Change => picture::scored(v, self.shown.largest, free),
            }
        })
    }
}
