//! A line drawn by hand around things, or a rectangle spanned by one that is straight.

use egui::{Event, PointerButton, Pos2, Rect, Response, Shape, Stroke, StrokeKind, Ui, Vec2};

/// Points nearer than this to the last one are left out.
const NEAR: f32 = 3.0;
/// A line is straight while it strays less than this from the way between its ends, in points or as
/// a share of it.
const STRAYS: f32 = 10.0;
const STRAYS_SHARE: f32 = 0.12;

/// Points that a click may move.
const CLICK: f32 = 6.0;

/// The line so far, in the coordinates of what it is drawn over.
#[derive(Debug, Default)]
pub struct Lasso {
    pub points: Vec<Pos2>,
    /// Around all points: most of what there is to catch lies outside.
    bounds: Option<Rect>,
}

/// A line that is being drawn with the pointer.
#[derive(Debug, Default)]
pub struct Brush {
    /// Where it may begin.
    pressed: Option<Pos2>,
    /// What there is of it.
    pub line: Lasso,
}

impl Brush {
    /// Follows the pointer over something whose corner is at `origin`. The lines that ended in this frame, from
    /// that corner on, each with whether what it catches is to be dropped.
    pub fn follow(&mut self, response: &Response, origin: Vec2, ui: &Ui) -> Vec<(Lasso, bool)> {
        let mut ended = Vec::new();
        if !response.sense.senses_drag() {
            return ended;
        }
        if !ui.input(|i| i.pointer.primary_down() || i.pointer.primary_released()) {
            // It was let go while this was not drawn.
            *self = Self::default();
        }
        let over = response.contains_pointer() || response.is_pointer_button_down_on();
        // A slow frame brings several events, and a quick hand begins and ends in one.
        for event in ui.input(|i| i.events.clone()) {
            match event {
                Event::PointerButton {
                    pos, button: PointerButton::Primary, pressed: true, ..
                } => {
                    self.line = Lasso::default();
                    let here = over && response.interact_rect.contains(pos);
                    self.pressed = here.then_some(pos - origin);
                }
                Event::PointerMoved(pos) => self.draw_to(pos - origin),
                Event::PointerButton {
                    pos,
                    button: PointerButton::Primary,
                    pressed: false,
                    ..
                } => {
                    self.draw_to(pos - origin);
                    self.pressed = None;
                    let line = std::mem::take(&mut self.line);
                    if !line.points.is_empty() {
                        let drops = ui.input(|i| i.modifiers.command || i.modifiers.alt);
                        ended.push((line, drops));
                    }
                }
                _ => {}
            }
        }
        ended
    }

    /// Goes on with the line to a point, once that is further from its beginning than a click moves.
    fn draw_to(&mut self, to: Pos2) {
        let Some(from) = self.pressed else { return };
        if self.line.points.is_empty() && from.distance(to) > CLICK {
            self.line.draw_to(from);
        }
        if !self.line.points.is_empty() {
            self.line.draw_to(to);
        }
    }

    /// The line as it is drawn over something whose corner is at `origin`, where there is one.
    pub fn shape(&self, origin: Vec2, stroke: Stroke) -> Option<Shape> {
        let mut shape = (self.line.points.len() > 1).then(|| self.line.shape(stroke))?;
        shape.translate(origin);
        Some(shape)
    }
}

impl Lasso {
    /// Goes on to a point.
    pub fn draw_to(&mut self, to: Pos2) {
        if self.points.last().is_none_or(|last| last.distance(to) >= NEAR) {
            self.points.push(to);
            self.bounds = Some(Rect::from_pos(to).union(self.bounds.unwrap_or(Rect::NOTHING)));
        }
    }

    /// The rectangle that a straight line spans: it surrounds nothing by itself.
    pub fn rectangle(&self) -> Option<Rect> {
        let (first, last) = (self.points.first()?, self.points.last()?);
        let way = *last - *first;
        let along = way.normalized();
        let strays = |p: &Pos2| (*p - *first).dot(along.rot90()).abs();
        let most = STRAYS.max(way.length() * STRAYS_SHARE);
        let within =
            |p: &Pos2| (-STRAYS..=way.length() + STRAYS).contains(&(*p - *first).dot(along));
        let straight = self.points.iter().all(|p| strays(p) <= most && within(p));
        self.bounds.filter(|_| straight)
    }

    /// The line as it is drawn, or the rectangle that it spans.
    pub fn shape(&self, stroke: Stroke) -> Shape {
        match self.rectangle() {
            Some(rect) => Shape::rect_stroke(rect, 0.0, stroke, StrokeKind::Middle),
            None => Shape::closed_line(self.points.clone(), stroke),
        }
    }

    /// Whether a rectangle's middle is inside, or the line goes through it; of a straight line,
    /// whether the two rectangles meet.
    pub fn catches(&self, rect: Rect) -> bool {
        let touched = || self.points.windows(2).any(|ends| crosses(ends[0], ends[1], rect));
        let caught = || self.rectangle().is_some() || self.around(rect.center()) || touched();
        self.bounds.is_some_and(|bounds| bounds.intersects(rect)) && caught()
    }

    /// Whether a point is within it, or under it.
    pub fn surrounds(&self, point: Pos2) -> bool {
        self.catches(Rect::from_min_max(point, point))
    }

    /// Even-odd rule, the ends joined.
    fn around(&self, p: Pos2) -> bool {
        let ends = self.points.iter().zip(self.points.iter().cycle().skip(1));
        let crossings = ends.filter(|(a, b)| {
            (a.y > p.y) != (b.y > p.y) && p.x < a.x + (p.y - a.y) / (b.y - a.y) * (b.x - a.x)
        });
        crossings.count() % 2 == 1
    }
}

/// Whether a piece of the line passes through a rectangle, looked at in small steps.
fn crosses(a: Pos2, b: Pos2, rect: Rect) -> bool {
    let steps = (a.distance(b) / (rect.width().min(rect.height()) / 4.0).max(1.0)).ceil().max(1.0);
    (0..=steps as usize).any(|i| rect.contains(a.lerp(b, i as f32 / steps)))
}

#[cfg(test)]
mod tests {
    use egui::pos2;

    use super::*;

    fn lasso(points: &[[f32; 2]]) -> Lasso {
        let mut lasso = Lasso::default();
        points.iter().for_each(|[x, y]| lasso.draw_to(pos2(*x, *y)));
        lasso
    }

    fn tile(x: f32, y: f32) -> Rect {
        Rect::from_center_size(pos2(x, y), egui::vec2(10.0, 10.0))
    }

    #[test]
    fn what_is_inside_is_caught_and_what_is_in_the_notch_is_not() {
        // The letter U.
        let u = lasso(&[
            [0.0, 0.0],
            [30.0, 0.0],
            [30.0, 70.0],
            [70.0, 70.0],
            [70.0, 0.0],
            [100.0, 0.0],
            [100.0, 100.0],
            [0.0, 100.0],
        ]);
        assert!(u.catches(tile(15.0, 40.0)) && u.catches(tile(85.0, 40.0)));
        assert!(!u.catches(tile(50.0, 40.0)) && !u.catches(tile(150.0, 40.0)));
    }

    #[test]
    fn a_straight_line_spans_a_rectangle() {
        let across = lasso(&[[0.0, 0.0], [50.0, 52.0], [100.0, 100.0]]);
        assert!(across.catches(tile(90.0, 10.0)) && across.catches(tile(10.0, 90.0)));
        assert!(!across.catches(tile(110.0, 50.0)));
        // There and back is a thin loop.
        let back = lasso(&[[0.0, 0.0], [100.0, 100.0], [4.0, 2.0]]);
        assert!(back.rectangle().is_none() && !back.catches(tile(90.0, 10.0)));
        assert_eq!(Lasso::default().rectangle(), None);
    }

    #[test]
    fn a_stroke_catches_what_it_goes_through() {
        let stroke = lasso(&[[0.0, 5.0], [200.0, 5.0]]);
        assert!(stroke.catches(tile(100.0, 5.0)) && !stroke.catches(tile(100.0, 25.0)));
        assert!(!Lasso::default().catches(tile(0.0, 0.0)));
    }
}
