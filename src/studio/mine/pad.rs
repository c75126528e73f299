//! A pad to draw on with a mouse, a pen or a finger.

use egui::{Event, PointerButton};
use image::{Rgb, RgbImage};

use crate::studio::prelude::*;

/// Its side, in points.
const SIDE: f32 = 168.0;
/// Side of the picture that is made of it, in pixels.
const PIXELS: u32 = 128;
/// Points of all lines together, at the most.
const MOST: usize = 4_000;

/// One line: where it goes, in shares of the side, how wide it is, and its colour.
#[derive(Debug)]
struct Line {
    points: Vec<Pos2>,
    width: f32,
    ink: [u8; 3],
}

/// What is drawn so far, on black.
#[derive(Debug)]
pub struct Pad {
    lines: Vec<Line>,
    drawing: bool,
    /// Width of the pen, as a share of the side.
    pub pen: f32,
    pub ink: [u8; 3],
}

impl Default for Pad {
    fn default() -> Self {
        Self { lines: Vec::new(), drawing: false, pen: 0.1, ink: [255; 3] }
    }
}

impl Pad {
    /// Whether nothing is drawn.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Wipes it.
    pub fn clear(&mut self) {
        (self.lines, self.drawing) = (Vec::new(), false);
    }

    /// Draws it, and what is drawn on it; where it is.
    pub fn ui(&mut self, ui: &mut Ui) -> Rect {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(SIDE), Sense::click_and_drag());
        self.follow(&response, ui);
        let painter = ui.painter_at(rect);
        painter.rect_filled(rect, 2.0, Color32::BLACK);
        for line in &self.lines {
            let [r, g, b] = line.ink;
            let (ink, width) = (Color32::from_rgb(r, g, b), line.width * SIDE);
            let points: Vec<Pos2> =
                line.points.iter().map(|p| rect.min + p.to_vec2() * SIDE).collect();
            // Round where it bends and where it ends.
            painter.extend(points.iter().map(|p| Shape::circle_filled(*p, width / 2.0, ink)));
            painter.add(Shape::line(points, Stroke::new(width, ink)));
        }
        let edge = Stroke::new(1.0, theme::palette(ui).weak);
        painter.rect_stroke(rect, 2.0, edge, StrokeKind::Inside);
        let told = match self.lines.len() {
            0 => "Drawing pad, empty".into(),
            1 => "Drawing pad, 1 line".into(),
            n => format!("Drawing pad, {n} lines"),
        };
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &told));
        rect
    }

    fn follow(&mut self, response: &Response, ui: &Ui) {
        let rect = response.rect;
        if !ui.input(|i| i.pointer.primary_down() || i.pointer.primary_released()) {
            // It was let go while this was not drawn.
            self.drawing = false;
        }
        let over = response.contains_pointer() || response.is_pointer_button_down_on();
        let share = |pos: Pos2| ((pos - rect.min) / SIDE).to_pos2();
        // A slow frame brings several events.
        for event in ui.input(|i| i.events.clone()) {
            match event {
                Event::PointerButton { pos, button: PointerButton::Primary, pressed, .. } => {
                    self.drawing = pressed && over && response.interact_rect.contains(pos);
                    if self.drawing {
                        let (width, ink) = (self.pen, self.ink);
                        self.lines.push(Line { points: vec![share(pos)], width, ink });
                    }
                }
                Event::PointerMoved(pos) if self.drawing => self.draw_to(share(pos)),
                _ => {}
            }
        }
    }

    fn draw_to(&mut self, to: Pos2) {
        let n: usize = self.lines.iter().map(|line| line.points.len()).sum();
        let Some(line) = self.lines.last_mut().filter(|_| n < MOST) else { return };
        if line.points.last().is_none_or(|last| last.distance(to) > 0.005) {
            line.points.push(to);
        }
    }

    /// What is drawn, as a picture.
    pub fn picture(&self) -> RgbImage {
        let mut picture = RgbImage::new(PIXELS, PIXELS);
        for line in &self.lines {
            let pairs =
                line.points.iter().zip(line.points.iter().skip(1).chain(line.points.last()));
            pairs.for_each(|(a, b)| lay(&mut picture, *a, *b, line));
        }
        picture
    }
}

/// Lays a piece of a line on a picture, its edge softened over a pixel.
fn lay(picture: &mut RgbImage, from: Pos2, to: Pos2, line: &Line) {
    let scale = PIXELS as f32;
    let (from, to) = (from.to_vec2() * scale, to.to_vec2() * scale);
    let radius = line.width * scale / 2.0;
    let place = |v: f32| v.clamp(0.0, scale - 1.0) as u32;
    let (low, high) = (from.min(to) - Vec2::splat(radius + 1.0), from.max(to));
    let high = high + Vec2::splat(radius + 1.0);
    let way = to - from;
    for y in place(low.y)..=place(high.y) {
        for x in place(low.x)..=place(high.x) {
            let at = vec2(x as f32 + 0.5, y as f32 + 0.5) - from;
            let along = (at.dot(way) / way.length_sq().max(1e-9)).clamp(0.0, 1.0);
            let covered = (radius + 0.5 - (at - way * along).length()).clamp(0.0, 1.0);
            let Rgb(below) = *picture.get_pixel(x, y);
            let mixed = |c: usize| {
                let [new, old] = [line.ink[c], below[c]].map(f32::from);
                (new * covered + old * (1.0 - covered)).round() as u8
            };
            picture.put_pixel(x, y, Rgb([mixed(0), mixed(1), mixed(2)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_wide_as_its_pen_and_a_dot_is_round() {
        let line = |points: &[[f32; 2]]| Line {
            points: points.iter().map(|[x, y]| pos2(*x, *y)).collect(),
            width: 0.25,
            ink: [255, 0, 9],
        };
        let lines = vec![line(&[[0.25, 0.5], [0.75, 0.5]])];
        let drawn = Pad { lines, ..Pad::default() }.picture();
        let at = |picture: &RgbImage, x, y| picture.get_pixel(x, y).0;
        assert_eq!(at(&drawn, 64, 64), [255, 0, 9]);
        assert_eq!(at(&drawn, 64, 64 + 14), [255, 0, 9]);
        assert_eq!(at(&drawn, 64, 64 + 18), [0; 3]);
        assert_eq!(at(&drawn, 10, 64), [0; 3]);
        let dot = Pad { lines: vec![line(&[[0.5, 0.5]])], ..Pad::default() }.picture();
        assert_eq!(at(&dot, 64 + 14, 64), [255, 0, 9]);
        assert_eq!(at(&dot, 64 + 14, 64 + 14), [0; 3], "a corner");
        // Beyond the edge is nowhere.
        let out = vec![line(&[[-3.0, -3.0], [4.0, 4.0]])];
        Pad { lines: out, ..Pad::default() }.picture();
    }
}
