//! Names beside points.

use super::RING;
use crate::studio::Chart;
use crate::studio::prelude::*;

/// Names beside points, where there is room for them.
pub struct Labels<'a> {
    pub chart: &'a Chart,
    font: FontId,
    taken: Vec<Rect>,
    back: Color32,
}

impl<'a> Labels<'a> {
    /// No names yet.
    pub fn new(chart: &'a Chart, ui: &Ui) -> Self {
        let font = TextStyle::Small.resolve(ui.style());
        Self { chart, font, taken: Vec::new(), back: theme::palette(ui).canvas }
    }

    /// Keeps a point, and the ring around a shown one, free of names.
    pub fn avoid(&mut self, at: Pos2) {
        self.taken.push(Rect::from_center_size(at, Vec2::splat(2.0 * RING)));
    }

    /// Keeps a run, its control and the line between them free of names.
    pub fn avoid_pair(&mut self, pair: [Option<Pos2>; 2]) {
        pair.into_iter().flatten().for_each(|at| self.avoid(at));
        if let [Some(from), Some(to)] = pair {
            let steps = (from.distance(to) / 6.0).ceil().max(1.0);
            let along = (0..=steps as usize).map(|i| from.lerp(to, i as f32 / steps));
            self.taken.extend(along.map(|at| Rect::from_center_size(at, Vec2::splat(4.0))));
        }
    }

    /// Writes a name beside a point, above or below it, or leaves it out.
    pub fn put(&mut self, at: Pos2, name: &str, color: Color32) {
        self.write(name, color, |size| {
            let (middle, away) = (at - size / 2.0, Vec2::splat(RING + 4.0) + size / 2.0);
            let sides = [Vec2::RIGHT, Vec2::UP, Vec2::LEFT, Vec2::DOWN];
            let corners = [vec2(1.0, -1.0), vec2(1.0, 1.0), vec2(-1.0, -1.0), vec2(-1.0, 1.0)];
            sides.into_iter().chain(corners).map(|to| middle + to * away).collect()
        });
    }

    /// Writes the name of an area in its upper left corner, where it fits, or above or beside it.
    pub fn put_at(&mut self, area: Rect, name: &str, color: Color32) {
        self.write(name, color, |size| {
            let (left, right) = (area.left() + 4.0, area.right() + 4.0);
            let inside = if size.x + 8.0 < area.width() { left } else { right };
            vec![
                pos2(inside, area.top() + 3.0),
                pos2(left, area.top() - size.y - 2.0),
                pos2(right, area.bottom() - size.y - 4.0),
                pos2(right, area.top() + 3.0),
                pos2(right, area.top() - size.y - 2.0),
                pos2(left, area.bottom() - size.y - 4.0),
            ]
        });
    }

    /// Writes a name to the first of some places that is free, or leaves it out.
    fn write(&mut self, name: &str, color: Color32, places: impl Fn(Vec2) -> Vec<Pos2>) {
        let galley = self.chart.painter.layout_no_wrap(name.into(), self.font.clone(), color);
        let places = places(galley.size()).into_iter();
        let mut rects = places.map(|min| Rect::from_min_size(min, galley.size()));
        let free = |rect: &Rect| {
            self.chart.rect.contains_rect(*rect) && !self.taken.iter().any(|t| t.intersects(*rect))
        };
        if let Some(rect) = rects.find(free) {
            self.chart.painter.rect_filled(rect, 2.0, self.back.gamma_multiply(0.6));
            self.chart.painter.galley(rect.min, galley, color);
            self.taken.push(rect);
        }
    }
}
