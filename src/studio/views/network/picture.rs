//! The drawing of a network: cards, layers and what flows between them.

use super::plan::{HEAD, Line, Plan, rounded};
use super::shades::{Painted, Shade, Shades};
use crate::models::{Graph, NodeKind, Way};
use crate::studio::key_ui;
use crate::studio::prelude::*;

/// Zooms that a drawing takes by itself, and that a person may choose.
const FITTING: [f32; 2] = [0.62, 1.7];
pub const ZOOMS: [f32; 2] = [0.25, 4.0];
/// The smallest letters, in points.
const SMALLEST: f32 = 9.0;

/// What is drawn, and how.
pub struct Picture<'a> {
    pub graph: &'a Graph,
    pub plan: &'a Plan,
    pub shades: &'a Shades,
    pub painted: Painted,
    /// The node that is open.
    pub open: Option<usize>,
}

impl Picture<'_> {
    /// Draws it, scrolled and as large as `zoom` says or the place allows; the layer that was clicked.
    pub fn ui(&self, zoom: &mut Option<f32>, ui: &mut Ui) -> Option<usize> {
        let place = ui.available_size() - Vec2::splat(10.0);
        let fitting = (place / self.plan.size).min_elem().clamp(FITTING[0], FITTING[1]);
        let scale = zoom.unwrap_or(fitting);
        let mut clicked = None;
        ScrollArea::both().id_salt("network").auto_shrink(false).show(ui, |ui| {
            let size = self.plan.size * scale;
            let whole = size.max(place);
            let (rect, response) = ui.allocate_exact_size(whole, Sense::hover());
            response.widget_info(|| {
                let (layers, blocks) = (self.graph.layers(), self.graph.blocks.len());
                let told = format!("The network: {layers} layers in {blocks} blocks");
                WidgetInfo::labeled(Role::Image, true, told)
            });
            let corner = rect.min + (whole - size) / 2.0;
            clicked = self.draw(corner, scale, ui);
            if response.contains_pointer() {
                let by = ui.input(|i| i.zoom_delta());
                if by != 1.0 {
                    *zoom = Some((scale * by).clamp(ZOOMS[0], ZOOMS[1]));
                }
            }
        });
        clicked
    }

    fn draw(&self, corner: Pos2, scale: f32, ui: &mut Ui) -> Option<usize> {
        let palette = theme::palette(ui);
        let at = |point: Pos2| corner + point.to_vec2() * scale;
        let within = |rect: Rect| Rect::from_min_max(at(rect.min), at(rect.max));
        let pointer = ui.ctx().pointer_hover_pos().filter(|p| ui.clip_rect().contains(*p));
        let hovered = pointer.and_then(|p| {
            (0..self.plan.nodes.len())
                .find(|&node| within(self.plan.nodes[node]).expand(1.0).contains(p))
        });
        let shown = [self.open, hovered];
        for (block, card) in self.graph.blocks.iter().zip(&self.plan.cards) {
            self.card(&block.name, within(*card), scale, ui);
        }
        for line in &self.plan.lines {
            let told = shown.iter().flatten().any(|node| line.ends.contains(node));
            self.line(line, told, &at, scale, palette, ui.painter());
        }
        let mut clicked = None;
        for (node, rect) in self.plan.nodes.iter().enumerate() {
            if self.node_ui(node, within(*rect), ui) {
                clicked = Some(node);
            }
        }
        clicked
    }

    fn card(&self, name: &str, rect: Rect, scale: f32, ui: &Ui) {
        let palette = theme::palette(ui);
        let stroke = Stroke::new(1.0, palette.border);
        let painter = ui.painter();
        painter.rect(rect, 4.0 * scale.min(1.0), palette.card, stroke, StrokeKind::Inside);
        let size = (HEAD * 0.66 * scale).clamp(SMALLEST, 13.0);
        let head = rect.with_max_y(rect.top() + HEAD * scale);
        // The end of a name tells it apart; where there is no room for that either, the hand asks for it.
        let mut names = [name, name.split(' ').next_back().unwrap_or_default()].into_iter();
        let lay = |name: &str| {
            painter.layout_no_wrap(name.into(), FontId::proportional(size), palette.weak)
        };
        if head.height() >= size * 0.85
            && let Some(galley) = names.find_map(|name| {
                Some(lay(name)).filter(|galley| galley.size().x <= rect.width() - 2.0)
            })
        {
            painter.galley(head.center() - galley.size() / 2.0, galley, palette.weak);
        }
    }

    fn line(
        &self,
        line: &Line,
        told: bool,
        at: &dyn Fn(Pos2) -> Pos2,
        scale: f32,
        palette: &Palette,
        painter: &Painter,
    ) {
        // There are very many: those of what a person looks at are shown.
        if line.way == Way::Condition && !told {
            return;
        }
        let width = if told { 2.0 } else { 1.2 } * scale.clamp(0.7, 1.4);
        let stroke = Stroke::new(width, colour(line.way, palette));
        let points: Vec<Pos2> = line.points.iter().map(|point| at(*point)).collect();
        let [first, .., last] = points[..] else { return };
        if line.swings {
            let bend = vec2(((last.x - first.x) / 2.0).abs().max(8.0 * scale), 0.0);
            let curve = [first, first + bend, last - bend, last];
            painter.add(egui::epaint::CubicBezierShape::from_points_stroke(
                curve,
                false,
                Color32::TRANSPARENT,
                stroke,
            ));
        } else {
            painter.line(rounded(&points, 5.0 * scale), stroke);
        }
        if line.way == Way::Skip || line.swings {
            let before = if line.swings { last - vec2(4.0, 0.0) } else { points[points.len() - 2] };
            let along = (last - before).normalized() * 4.0 * scale.clamp(0.7, 1.2);
            let across = along.rot90() * 0.6;
            let tip = vec![last, last - along + across, last - along - across];
            painter.add(Shape::convex_polygon(tip, stroke.color, Stroke::NONE));
        }
    }

    /// Draws a node; whether it was clicked.
    fn node_ui(&self, node: usize, rect: Rect, ui: &mut Ui) -> bool {
        let palette = theme::palette(ui);
        let of = &self.graph.nodes[node];
        if of.kind != NodeKind::Layer {
            if ui.is_rect_visible(rect) {
                dot(of.kind, rect, palette, ui.painter());
            }
            return false;
        }
        let id = ui.scope_id().with(("layer", node));
        let grip = rect.expand2(vec2(0.0, 1.0));
        let response = ui.interact(grip, id, Sense::click());
        let open = self.open == Some(node);
        let shade = &self.shades.nodes[node];
        response
            .widget_info(|| WidgetInfo::selected(Role::Button, true, open, self.told(node, shade)));
        if ui.is_rect_visible(rect) {
            let painter = ui.painter();
            let colours = self.shades.colours(node, self.painted, palette);
            let width = rect.width() / colours.len() as f32;
            for (i, colour) in colours.iter().enumerate() {
                let left = rect.left() + i as f32 * width;
                let part = Rect::from_min_size(pos2(left, rect.top()), vec2(width, rect.height()));
                painter.rect_filled(part, 1.5, *colour);
            }
            let stroke = match (open, response.hovered() || response.has_focus()) {
                (true, _) => Stroke::new(2.5, palette.strong),
                (_, true) => Stroke::new(2.0, palette.accent_text),
                _ => Stroke::new(0.8, palette.weak),
            };
            painter.rect_stroke(rect, 1.5, stroke, StrokeKind::Outside);
        }
        if response.gained_focus() {
            ui.scroll_to_rect(grip, None);
        }
        let clicked = response.clicked();
        response.on_hover_ui(|ui| self.hover_ui(node, shade, ui));
        clicked
    }

    /// A layer in words.
    fn told(&self, node: usize, shade: &Shade) -> String {
        let name = &self.graph.nodes[node].name;
        match &self.shades.names[0] {
            Some(_) => {
                let share = format::percent(f64::from(shade.share(0)));
                format!(
                    "Layer {name}: {share} of {} weights in the mask",
                    format::count(shade.weights)
                )
            }
            None => format!("Layer {name}"),
        }
    }

    fn hover_ui(&self, node: usize, shade: &Shade, ui: &mut Ui) {
        let of = &self.graph.nodes[node];
        ui.label(RichText::new(&of.name).strong());
        ui.weak(&self.graph.blocks[of.block].name);
        let shares = self.shades.names.iter().enumerate();
        for (mask, name) in shares.filter_map(|(mask, name)| Some((mask, name.as_ref()?))) {
            let share = format::percent(f64::from(shade.share(mask)));
            let [kept, n] = [shade.kept[mask], shade.weights].map(format::count);
            ui.label(format!("{name}: {kept} of {n} weights in the mask, {share}"));
        }
        if let (Some(_), Some(jaccard)) = (&self.shades.names[1], shade.common.jaccard()) {
            let both = format::count(shade.common.both);
            ui.label(format!("Both keep {both}: Jaccard {jaccard:.2}"));
        }
        if shade.change > 0.0 {
            ui.label(format!("A weight moved by {:.2e} on average", shade.change));
        }
        ui.weak("Click for its filters");
    }
}

/// The colour of what flows.
fn colour(way: Way, palette: &Palette) -> Color32 {
    match way {
        Way::Next => palette.weak,
        Way::Residual => palette.good,
        Way::Skip => palette.accent_text,
        Way::Condition => palette.caution,
    }
}

/// Draws what has no weights.
fn dot(kind: NodeKind, rect: Rect, palette: &Palette, painter: &Painter) {
    let (middle, radius) = (rect.center(), rect.height() / 2.0);
    let stroke = Stroke::new(1.0, palette.weak);
    match kind {
        NodeKind::Input => drop(painter.rect_filled(rect, radius, palette.weak)),
        NodeKind::Sum => {
            painter.circle(middle, radius, palette.canvas, stroke);
            painter.hline(middle.x - radius..=middle.x + radius, middle.y, stroke);
            painter.vline(middle.x, middle.y - radius..=middle.y + radius, stroke);
        }
        NodeKind::Join => {
            painter.rect(rect, 1.0, palette.canvas, stroke, StrokeKind::Inside);
            painter.vline(middle.x, rect.y_range(), stroke);
        }
        NodeKind::Layer => {}
    }
}

/// Names the lines of a network.
pub fn lines_ui(graph: &Graph, ui: &mut Ui) {
    let names = [
        (Way::Residual, "residual"),
        (Way::Skip, "skip"),
        (Way::Condition, "condition, of the layer under the hand"),
    ];
    for (way, name) in names {
        if graph.edges.iter().any(|edge| edge.way == way) {
            let color = colour(way, theme::palette(ui));
            key_ui(ui, name, |painter, at| {
                painter.hline(at.x - 8.0..=at.x + 8.0, at.y, Stroke::new(2.0, color));
            });
        }
    }
}
