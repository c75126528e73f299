//! Formulas as letters and lines on a panel.

use egui::{Galley, text::LayoutJob, text::TextFormat};

use super::{Formula, LARGE, Part};
use crate::studio::prelude::*;

/// Sizes of what is low or high, of a large sign and of its limits, beside the letters around them.
const SCRIPT: f32 = 0.7;
const SIGN: f32 = 1.45;
const LIMIT: f32 = 0.66;
/// How far a letter reaches above and below the line that it stands on, and where a fraction's line and the
/// middle of a large sign are above it, in parts of its size.
const ASCENT: f32 = 0.74;
const DESCENT: f32 = 0.2;
const AXIS: f32 = 0.27;
/// The smallest letters, in points, of a formula that has to be made to fit.
const SMALLEST: f32 = 9.0;

/// Something that is laid out: positions are from the left end of the line that it stands on, y downwards.
#[derive(Default)]
struct Laid {
    width: f32,
    up: f32,
    down: f32,
    letters: Vec<(Vec2, Arc<Galley>)>,
    /// From, to, and how thick.
    lines: Vec<(Vec2, Vec2, f32)>,
}

impl Laid {
    /// Takes in something at a place.
    fn put(&mut self, other: Self, at: Vec2) {
        self.width = self.width.max(at.x + other.width);
        self.up = self.up.max(other.up - at.y);
        self.down = self.down.max(other.down + at.y);
        self.letters.extend(other.letters.into_iter().map(|(place, galley)| (at + place, galley)));
        let moved = |(from, to, thick)| (at + from, at + to, thick);
        self.lines.extend(other.lines.into_iter().map(moved));
    }
}

impl Formula {
    /// Draws the formula in letters of a size, in points, or of a smaller one where there is less room.
    pub fn ui(&self, size: f32, ui: &mut Ui) -> Response {
        let color = theme::palette(ui).strong;
        let room = ui.available_width();
        let mut laid = self.lay(ui, size, color);
        if laid.width > room {
            laid = self.lay(ui, (size * room / laid.width).max(SMALLEST), color);
        }
        let (rect, response) =
            ui.allocate_exact_size(vec2(laid.width.min(room), laid.up + laid.down), Sense::hover());
        let said = self.plain();
        response.widget_info(|| WidgetInfo::labeled(Role::Math, true, &said));
        let painter = ui.painter();
        let start = rect.left_top() + vec2(0.0, laid.up);
        for (place, galley) in laid.letters {
            painter.galley(start + place, galley, color);
        }
        for (from, to, thick) in laid.lines {
            painter.line_segment([start + from, start + to], Stroke::new(thick, color));
        }
        response
    }

    fn lay(&self, ui: &Ui, size: f32, color: Color32) -> Laid {
        let pen = Pen { ui, color };
        let mut all = Laid::default();
        for line in &self.lines {
            let line = pen.row(line, size);
            let y = if all.width == 0.0 { 0.0 } else { all.down + 0.35 * size + line.up };
            all.put(line, vec2(0.0, y));
        }
        all
    }
}

struct Pen<'a> {
    ui: &'a Ui,
    color: Color32,
}

impl Pen<'_> {
    fn row(&self, parts: &[Part], size: f32) -> Laid {
        let mut row = Laid { up: ASCENT * size, down: DESCENT * size, ..Laid::default() };
        for part in parts {
            let at = vec2(row.width, 0.0);
            row.put(self.part(part, size), at);
        }
        row
    }

    fn part(&self, part: &Part, size: f32) -> Laid {
        match part {
            Part::Letters(text, slanted) => self.letters(text, *slanted, size),
            Part::Large(sign) => self.sign(*sign, size),
            Part::Fraction(above, below) => self.fraction(above, below, size),
            Part::Scripts { of, low, high } => match &**of {
                Part::Large(sign) => self.limits(*sign, low, high, size),
                of => self.scripts(of, low, high, size),
            },
        }
    }

    /// Letters in the typeface that has them: the window's own, or the one for code, which has more signs.
    fn letters(&self, text: &str, slanted: bool, size: f32) -> Laid {
        let mut laid = Laid::default();
        for c in text.chars() {
            // The sign of a difference of sets is in neither.
            let c = if c == '∖' { '\\' } else { c };
            let own = FontId::proportional(size);
            let has = self.ui.fonts_mut(|fonts| fonts.has_glyph(&own, c));
            let font_id = if has { own } else { FontId::monospace(size) };
            let format = TextFormat {
                font_id,
                color: self.color,
                italics: slanted,
                ..TextFormat::default()
            };
            let job = LayoutJob::single_section(c.into(), format);
            let galley = self.ui.painter().layout_job(job);
            let base = galley
                .rows
                .first()
                .map_or(0.0, |row| row.pos.y + row.glyphs.first().map_or(0.0, |glyph| glyph.pos.y));
            let width = galley.size().x;
            let letter = Laid {
                width,
                up: ASCENT * size,
                down: DESCENT * size,
                letters: vec![(vec2(0.0, -base), galley)],
                ..Laid::default()
            };
            let at = vec2(laid.width, 0.0);
            laid.put(letter, at);
        }
        laid
    }

    /// A large sign, with its middle where a fraction's line would be.
    fn sign(&self, sign: char, size: f32) -> Laid {
        debug_assert!(LARGE.contains(&sign));
        let large = SIGN * size;
        let letter = self.letters(&sign.to_string(), false, large);
        let mut laid = Laid::default();
        let middle = (ASCENT - DESCENT) / 2.0 * large;
        laid.put(letter, vec2(0.08 * size, middle - AXIS * size));
        laid.width += 0.08 * size;
        laid
    }

    fn limits(&self, sign: char, low: &[Part], high: &[Part], size: f32) -> Laid {
        let sign = self.sign(sign, size);
        let [below, above] =
            [low, high].map(|part| (!part.is_empty()).then(|| self.row(part, LIMIT * size)));
        let width =
            [&below, &above].into_iter().flatten().map(|l| l.width).fold(sign.width, f32::max);
        let (up, down) = (sign.up, sign.down);
        let mut laid = Laid::default();
        let middle = |part: &Laid| (width - part.width) / 2.0;
        let at = vec2(middle(&sign), 0.0);
        laid.put(sign, at);
        if let Some(below) = below {
            let at = vec2(middle(&below), down + below.up);
            laid.put(below, at);
        }
        if let Some(above) = above {
            let at = vec2(middle(&above), -up - above.down);
            laid.put(above, at);
        }
        laid.width = width + 0.1 * size;
        laid
    }

    fn scripts(&self, of: &Part, low: &[Part], high: &[Part], size: f32) -> Laid {
        let mut laid = self.part(of, size);
        let [low, high] = [low, high].map(|part| self.row(part, SCRIPT * size));
        let right = laid.width + 0.07 * size;
        for (script, y) in [(low, 0.24), (high, -0.4)] {
            if script.width > 0.0 {
                // A slanted letter begins before its place and ends behind it.
                let at = if y > 0.0 { right } else { right + 0.03 * size };
                laid.put(script, vec2(at, y * size));
            }
        }
        laid.width += 0.1 * size;
        laid
    }

    fn fraction(&self, above: &[Part], below: &[Part], size: f32) -> Laid {
        let [above, below] = [above, below].map(|part| self.row(part, 0.86 * size));
        let edge = 0.12 * size;
        let width = above.width.max(below.width) + 2.0 * edge;
        let (axis, gap) = (-AXIS * size, 0.14 * size);
        let mut laid = Laid::default();
        laid.lines.push((vec2(edge / 2.0, axis), vec2(width - edge / 2.0, axis), size / 15.0));
        let at = |part: &Laid, y| vec2((width - part.width) / 2.0, y);
        let place = at(&above, axis - gap - above.down);
        laid.put(above, place);
        let place = at(&below, axis + gap + below.up);
        laid.put(below, place);
        laid.width = width + 0.08 * size;
        laid
    }
}

/// Sentences with variables in them, each in its colour: what stands behind `_` is set low, a variable and what
/// is low are slanted.
pub fn sentences<'a>(all: impl IntoIterator<Item = (&'a str, Color32)>, ui: &Ui) -> LayoutJob {
    let size = TextStyle::Body.resolve(ui.style()).size;
    let mut job = LayoutJob::default();
    for (text, color) in all.into_iter().filter(|(text, _)| !text.is_empty()) {
        let mut before = if job.text.is_empty() { 0.0 } else { 0.6 * size };
        let mut add = |text: &str, size: f32, italics: bool, before: f32| {
            let format = TextFormat {
                font_id: FontId::proportional(size),
                color,
                italics,
                valign: Align::BOTTOM,
                ..TextFormat::default()
            };
            job.append(text, before, format);
        };
        let mut rest = text;
        while let Some((head, tail)) = rest.split_once('_') {
            let variable = head.char_indices().next_back().map_or(0, |(at, _)| at);
            let low = tail.chars().next().map_or(0, char::len_utf8);
            add(&head[..variable], size, false, before);
            add(&head[variable..], size, true, 0.0);
            add(&tail[..low], SCRIPT * size, true, 0.1 * size);
            // A slanted letter ends behind its place.
            (rest, before) = (&tail[low..], 0.12 * size);
        }
        add(rest, size, false, before);
    }
    job
}
