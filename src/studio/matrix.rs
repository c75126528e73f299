//! A table of shades: rows by columns, the number in each cell.

use super::prelude::*;

/// What is shown.
pub struct Matrix<'a> {
    /// In words, for those who cannot see it.
    pub told: String,
    /// Of the rows and of the columns: they are the same.
    pub names: &'a [String],
    /// What the rows and the columns are.
    pub axes: [&'a str; 2],
    /// How dark a cell is, 0..=1.
    pub shade: &'a dyn Fn(usize, usize) -> f64,
    /// What a cell says.
    pub text: &'a dyn Fn(usize, usize) -> String,
    /// What a cell means, in a sentence.
    pub means: &'a dyn Fn(usize, usize) -> String,
    /// A row that is marked.
    pub marked: Option<usize>,
}

/// Sides of a cell, in points.
const LEAST: f32 = 18.0;
const MOST: f32 = 46.0;

impl Matrix<'_> {
    /// Draws it into the available space.
    pub fn ui(&self, ui: &mut Ui) {
        let palette = theme::palette(ui);
        let font = TextStyle::Small.resolve(ui.style());
        let wide = |name: &String| {
            ui.painter().layout_no_wrap(name.clone(), font.clone(), palette.text).size().x
        };
        let names = self.names.iter().map(wide).fold(40.0, f32::max).min(110.0) + 8.0;
        // Column names stand upright.
        let heads = self.names.iter().map(wide).fold(20.0, f32::max).min(90.0) + 8.0;
        let count = self.names.len();
        let cells = count.max(1) as f32;
        let room = ui.available_size() - vec2(names + 22.0, heads + 24.0);
        let side = (room.min_elem() / cells).clamp(LEAST, MOST).floor();
        let size = vec2(names, heads) + Vec2::splat(18.0 + side * cells);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &self.told));
        let painter = ui.painter_at(rect.expand(2.0));
        let corner = rect.min + vec2(names, heads) + Vec2::splat(18.0);
        let cell = |row: usize, column: usize| {
            let at = corner + vec2(column as f32, row as f32) * side;
            Rect::from_min_size(at, vec2(side, side))
        };

        let upright = |at, text: &str, color: Color32| {
            let galley = painter.layout_no_wrap(text.into(), font.clone(), color);
            let at = at - vec2(galley.size().y / 2.0, 0.0);
            let shape = egui::epaint::TextShape::new(at, galley, color);
            painter.add(shape.with_angle(-std::f32::consts::FRAC_PI_2));
        };
        let middle = corner.x + side * cells / 2.0;
        let top = pos2(middle, rect.top());
        painter.text(top, Align2::CENTER_TOP, self.axes[1], font.clone(), palette.weak);
        let length =
            painter.layout_no_wrap(self.axes[0].into(), font.clone(), palette.weak).size().x;
        let along = corner.y + (side * cells + length) / 2.0;
        upright(pos2(rect.left() + 7.0, along), self.axes[0], palette.weak);
        for (column, name) in self.names.iter().enumerate() {
            let x = cell(0, column).center().x;
            upright(pos2(x, corner.y - 5.0), &cut(name, 14), palette.text);
        }
        let digits = FontId::proportional((side * 0.36).clamp(8.0, 12.0));
        for (row, name) in self.names.iter().enumerate() {
            let marked = self.marked == Some(row);
            let color = if marked { palette.accent_text } else { palette.text };
            let at = pos2(corner.x - 6.0, cell(row, 0).center().y);
            painter.text(at, Align2::RIGHT_CENTER, cut(name, 16), font.clone(), color);
            for column in 0..count {
                let rect = cell(row, column).shrink(0.5);
                let shade = (self.shade)(row, column).clamp(0.0, 1.0) as f32;
                painter.rect_filled(rect, 1.0, palette.card.lerp_to_gamma(palette.accent, shade));
                let color = if shade > 0.45 { Color32::WHITE } else { palette.text };
                let text = (self.text)(row, column);
                painter.text(rect.center(), Align2::CENTER_CENTER, text, digits.clone(), color);
            }
            if marked {
                let band = cell(row, 0).union(cell(row, count - 1));
                let stroke = Stroke::new(1.5, palette.accent_text);
                painter.rect_stroke(band, 2.0, stroke, StrokeKind::Outside);
            }
        }

        let Some(at) = response.hover_pos() else { return };
        let place = (at - corner) / side;
        if place.x < 0.0 || place.y < 0.0 {
            return;
        }
        let (row, column) = (place.y as usize, place.x as usize);
        if row.max(column) < count {
            let stroke = Stroke::new(1.5, palette.strong);
            painter.rect_stroke(cell(row, column), 1.0, stroke, StrokeKind::Inside);
            response.on_hover_text_at_pointer((self.means)(row, column));
        }
    }
}

fn cut(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.into();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}
