//! A cloud of points: where they are, how they are drawn, which of them a hand is near.

use egui::ecolor::Hsva;

use super::{Looked, PANES, Whereabouts};
use crate::engine::Projection;
use crate::studio::prelude::*;

/// Radius of a point, and how far from it a hand still points at it, in points.
const DOT: f32 = 2.6;
const NEAR: f32 = 9.0;

/// The colours of classes: even steps around the circle of hues, light and dark in turn.
pub fn colour(class: usize, classes: usize, dark: bool) -> Color32 {
    let hue = (class as f32 / classes.max(1) as f32 + 0.02).fract();
    let [saturation, value] = match (dark, class.is_multiple_of(2)) {
        (true, true) => [0.62, 1.0],
        (true, false) => [0.78, 0.82],
        (false, true) => [0.85, 0.80],
        (false, false) => [0.95, 0.58],
    };
    Hsva::new(hue, saturation, value, 1.0).into()
}

/// The range of two coordinates that points lie in.
pub fn bounds<'a>(points: impl IntoIterator<Item = &'a [f32; 2]>) -> Rect {
    let mut bounds = Rect::NOTHING;
    let finite = points.into_iter().filter(|p| p.iter().all(|v| v.is_finite()));
    finite.for_each(|[x, y]| bounds.extend_with(pos2(*x, *y)));
    match bounds.is_finite() {
        // A little around it, and something where all lie on one spot.
        true => bounds.expand2(bounds.size() * 0.04 + Vec2::splat(1e-6)),
        false => Rect::from_center_size(Pos2::ZERO, Vec2::splat(1.0)),
    }
}

/// One model's points on the screen.
pub struct Cloud {
    /// Where each picture's point is.
    pub at: Vec<Pos2>,
}

impl Cloud {
    /// A model's points within a rectangle; `whole` is what of the coordinates it shows.
    pub fn new(points: &[[f32; 2]], whole: Rect, within: Rect) -> Self {
        let at = |&[x, y]: &[f32; 2]| {
            let share = (pos2(x, y) - whole.min) / whole.size();
            // The second axis points up.
            pos2(
                within.left() + share.x * within.width(),
                within.bottom() - share.y * within.height(),
            )
        };
        Self { at: points.iter().map(at).collect() }
    }

    /// The point that is nearest to a place, and near it.
    pub fn nearest(&self, to: Pos2) -> Option<usize> {
        let away = |at: &usize| self.at[*at].distance_sq(to);
        let nearest = (0..self.at.len()).min_by(|a, b| away(a).total_cmp(&away(b)))?;
        (away(&nearest) <= NEAR * NEAR).then_some(nearest)
    }

    /// Draws the points: the forgotten over the others, the picked over those.
    pub fn draw(&self, shown: &Whereabouts, looked: &Looked, painter: &Painter, ui: &Ui) {
        let (palette, dark) = (theme::palette(ui), ui.visuals().dark_mode);
        let embedding = looked.embedding;
        let caught = |place: usize| {
            shown.map.brushes.iter().any(|brush| brush.line.surrounds(self.at[place]))
        };
        let brushed = shown.map.brushes.iter().any(|brush| brush.line.points.len() > 1);
        let order = |forgotten: bool| {
            (0..self.at.len()).filter(move |&place| embedding.forgotten[place] == forgotten)
        };
        for place in order(false).chain(order(true)) {
            let at = self.at[place];
            let fill = colour(embedding.labels[place], looked.classes.len(), dark);
            if embedding.forgotten[place] {
                painter.circle(at, DOT + 0.8, fill, Stroke::new(1.3, palette.strong));
            } else {
                painter.circle_filled(at, DOT, fill.gamma_multiply(0.8));
            }
        }
        for (place, item) in embedding.items.iter().enumerate() {
            let under = brushed && caught(place);
            if under || shown.picked.contains(item) {
                painter.circle_stroke(
                    self.at[place],
                    DOT + 2.0,
                    Stroke::new(1.8, palette.accent_text),
                );
            }
            if shown.chosen.contains(item) {
                let square = Rect::from_center_size(self.at[place], Vec2::splat(2.0 * DOT + 7.0));
                let stroke = Stroke::new(1.5, palette.caution);
                painter.rect_stroke(square, 2.0, stroke, StrokeKind::Middle);
            }
        }
        if let Some(at) = shown.map.hovered.and_then(|place| self.at.get(place)) {
            painter.circle_stroke(*at, DOT + 5.0, Stroke::new(2.0, palette.strong));
        }
    }
}

/// The coordinates that a model's points have, by its place: the original's axes, or its own.
pub fn coordinates(map: &Projection, own: bool) -> &[[f32; 2]] {
    match &map.shared {
        Some(shared) if !own => shared,
        _ => &map.own,
    }
}

/// What of the coordinates each model's plot shows: all plots of the original's axes show the same.
pub fn ranges(looked: &Looked, own: bool) -> [Rect; PANES.len()] {
    let maps = &looked.embedding.maps;
    let shared = maps.iter().flatten().filter_map(|map| map.shared.as_ref());
    let shared = bounds(shared.flatten());
    maps.each_ref().map(|map| match map {
        Some(map) if own || map.shared.is_none() => bounds(&map.own),
        _ => shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_fill_the_plot_and_the_second_axis_points_up() {
        let points = [[-1.0, 0.0], [1.0, 4.0], [f32::NAN, 0.0]];
        let whole = bounds(&points);
        assert!(whole.contains(pos2(-1.0, 0.0)) && whole.contains(pos2(1.0, 4.0)));
        let within = Rect::from_min_size(pos2(100.0, 100.0), Vec2::splat(200.0));
        let cloud = Cloud::new(&points[..2], whole, within);
        assert!(cloud.at.iter().all(|at| within.contains(*at)));
        assert!(cloud.at[0].x < cloud.at[1].x && cloud.at[0].y > cloud.at[1].y);
        assert_eq!(cloud.nearest(cloud.at[1] + vec2(4.0, 3.0)), Some(1));
        assert_eq!(cloud.nearest(within.center()), None);
        assert!(bounds(&[[2.0, 2.0]; 3]).is_positive() && bounds(&[]).is_positive());
    }

    #[test]
    fn no_two_of_ten_classes_have_one_colour() {
        for dark in [true, false] {
            let all: std::collections::HashSet<Color32> =
                (0..10).map(|class| colour(class, 10, dark)).collect();
            assert_eq!(all.len(), 10);
        }
    }
}
