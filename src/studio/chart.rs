//! The frame of a small plot: axes with round numbers, and where a value lies.

use egui::text::LayoutJob;

use super::prelude::*;

/// Room for the numbers and the name of an axis, in points: below, and on the left.
const BELOW: f32 = 34.0;
const LEFT: f32 = 48.0;

/// A plot that was begun.
pub struct Chart {
    /// Where the values lie.
    pub rect: Rect,
    pub painter: Painter,
    ends: [f64; 2],
}

impl Chart {
    /// Draws the axes, which have a name and go from 0 to an end. `told` is the plot in words, for those
    /// who cannot see it.
    pub fn new(ui: &mut Ui, size: Vec2, axes: [(&str, f64); 2], told: &str) -> Self {
        let (whole, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, told));
        let palette = theme::palette(ui);
        let rect = Rect::from_min_max(whole.min + vec2(LEFT, 8.0), whole.max - vec2(10.0, BELOW));
        let painter = ui.painter_at(whole);
        let chart = Self { rect, painter, ends: axes.map(|(_, end)| end) };
        let painter = &chart.painter;
        painter.rect_filled(rect, 0.0, palette.canvas);
        let font = TextStyle::Small.resolve(ui.style());
        let line = Stroke::new(1.0, palette.border);
        for tick in ticks(chart.ends[0], rect.width() / 70.0) {
            let x = chart.at(tick, 0.0).x;
            painter.vline(x, rect.y_range(), line);
            let place = pos2(x, rect.bottom() + 3.0);
            painter.text(place, Align2::CENTER_TOP, number(tick), font.clone(), palette.weak);
        }
        for tick in ticks(chart.ends[1], rect.height() / 36.0) {
            let y = chart.at(0.0, tick).y;
            painter.hline(rect.x_range(), y, line);
            let place = pos2(rect.left() - 5.0, y);
            painter.text(place, Align2::RIGHT_CENTER, number(tick), font.clone(), palette.weak);
        }
        let strong = Stroke::new(1.0, palette.weak);
        painter.hline(rect.x_range(), rect.bottom(), strong);
        painter.vline(rect.left(), rect.y_range(), strong);
        let place = pos2(rect.center().x, whole.bottom() - 1.0);
        painter.text(place, Align2::CENTER_BOTTOM, axes[0].0, font.clone(), palette.text);
        let lay = |name: &str| painter.layout_no_wrap(name.into(), font.clone(), palette.text);
        let mut name = lay(axes[1].0);
        if name.size().x > whole.height() {
            // Its unit goes where there is no room for it.
            name = lay(axes[1].0.split(',').next().unwrap_or_default());
        }
        let place = pos2(whole.left() + 1.0, rect.center().y + name.size().x / 2.0);
        let turned = egui::epaint::TextShape::new(place, name, palette.text);
        painter.add(turned.with_angle(-std::f32::consts::FRAC_PI_2));
        chart
    }

    /// Where a value lies.
    pub fn at(&self, x: f64, y: f64) -> Pos2 {
        let share = |value: f64, end: f64| (value / end).clamp(-1.0, 2.0) as f32;
        pos2(
            self.rect.left() + share(x, self.ends[0]) * self.rect.width(),
            self.rect.bottom() - share(y, self.ends[1]) * self.rect.height(),
        )
    }

    /// Draws a weak line of dashes between two points.
    pub fn dashed(&self, ends: [Pos2; 2], ui: &Ui) {
        let stroke = Stroke::new(1.0, theme::palette(ui).weak);
        self.painter.extend(Shape::dashed_line(&ends, stroke, 4.0, 4.0));
    }

    /// Draws a line through values.
    pub fn line(&self, values: impl IntoIterator<Item = [f64; 2]>, width: f32, color: Color32) {
        let points: Vec<Pos2> = values.into_iter().map(|[x, y]| self.at(x, y)).collect();
        self.painter.line(points, Stroke::new(width, color));
    }
}

/// Says in the middle of an empty plot what will be there.
pub fn note(painter: &Painter, plot: Rect, text: &str, ui: &Ui) {
    let palette = theme::palette(ui);
    let font = TextStyle::Body.resolve(ui.style());
    let margin = vec2(10.0, 6.0);
    let width = (plot.width() - 4.0 * margin.x).max(40.0);
    let mut job = LayoutJob::simple(text.into(), font, palette.weak, width);
    job.halign = Align::Center;
    let galley = painter.layout_job(job);
    let card = Rect::from_center_size(plot.center(), galley.size() + 2.0 * margin);
    // Filled: grid lines would strike the text through.
    painter.rect(card, 5.0, palette.card, Stroke::new(1.0, palette.border), StrokeKind::Inside);
    painter.galley(pos2(card.center().x, card.top() + margin.y), galley, palette.weak);
}

/// A mark's meaning: `draw` draws it around a point, before its name. Wraps as a whole.
pub fn key_ui(ui: &mut Ui, name: &str, draw: impl FnOnce(&Painter, Pos2)) -> Response {
    const MARK: f32 = 20.0;
    let font = TextStyle::Small.resolve(ui.style());
    let color = theme::palette(ui).text;
    let galley = ui.painter().layout_no_wrap(name.into(), font, color);
    let size = vec2(MARK + galley.size().x, galley.size().y);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, name));
    draw(ui.painter(), pos2(rect.left() + MARK / 2.0 - 2.0, rect.center().y));
    ui.painter().galley(rect.min + vec2(MARK, 0.0), galley, color);
    response
}

/// The smallest round number that a value fits below.
pub fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.max(1e-12).log10().floor());
    let round = [1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0];
    round.into_iter().map(|r| r * power).find(|r| *r >= value).unwrap_or(10.0 * power)
}

/// About `many` round numbers from 0 to `end`.
fn ticks(end: f64, many: f32) -> impl Iterator<Item = f64> {
    let step = end / f64::from(many.clamp(2.0, 10.0));
    let power = 10f64.powf(step.max(1e-12).log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().map(|r| r * power).find(|r| *r >= step);
    let step = round.unwrap_or(step);
    (0..=(end / step + 1e-9) as usize).map(move |i| i as f64 * step)
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_and_count_in_round_numbers() {
        assert_eq!([7.0, 10.0, 11.0, 98.0].map(round_up), [7.5, 10.0, 15.0, 100.0]);
        assert_eq!(ticks(100.0, 5.0).collect::<Vec<_>>(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(ticks(1.0, 4.0).map(number).collect::<Vec<_>>(), ["0", "0.5", "1"]);
        assert_eq!(ticks(15.0, 3.0).map(number).collect::<Vec<_>>(), ["0", "5", "10", "15"]);
    }
}
